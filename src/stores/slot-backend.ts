/**
 * Records over what can do no more than get, put and remove a named value: Keyv, unstorage (feature B9).
 *
 * Rule 1: names are `prefix:e:` and the SHA-256 of the key, or `prefix:c:`, a chunk's id and its number: what is behind limits length and
 *   letters of names, keys are not limited.
 * Rule 2: nothing can be compared and set in one step. Changes of one key take turns in this process; between processes the last one
 *   wins, and the chunks of the other stay until their lifetime ends.
 */
import { createHash } from 'node:crypto'
import type { StoreLimits } from '../engine/ports.ts'
import { frameHeader } from '../engine/record.ts'
import { StoreError } from '../errors.ts'
import { groupsOf } from './groups-of.ts'
import { KeyedMutex } from './keyed-mutex.ts'
import type { OptionRule } from './options.ts'
import type { ListableBackend } from './record-listing.ts'
import type { BatchBackend } from './record-store.ts'

/** What is under a name, or why that could not be had. */
export type SlotValue = Uint8Array | StoreError | undefined

/** Named values. */
export interface Slots {
  /** For each name its value, or undefined; or why just this one could not be had. */
  get(names: readonly string[]): Promise<readonly SlotValue[]>
  /** `ttl`: ms; null: no end. */
  put(name: string, value: Uint8Array, ttl: number | null): Promise<void>
  remove(names: readonly string[]): Promise<void>
  close(): Promise<void>
}

/** Named values that can be walked through. */
export interface ListableSlots extends Slots {
  /** The names that begin so, and the values where the walk brings them along. */
  names(prefix: string): AsyncIterable<readonly [name: string, value: Uint8Array | null]>
}

export interface SlotOptions {
  /** Begins every name. Default 'keepfresh'. */
  readonly prefix?: string
  /** The largest body in bytes. Default no limit. */
  readonly maxEntrySize?: number
  /** Bodies up to this many bytes are in the value of their entry, longer ones in chunks. Default 64 KiB. */
  readonly inlineSize?: number
  /** Bytes of a chunk. Default 256 KiB. */
  readonly chunkSize?: number
}

export const SLOT_RULES: Readonly<Record<string, OptionRule>> = {
  prefix: { type: 'string' },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
  inlineSize: { type: 'number', range: [0, Infinity] },
  chunkSize: { type: 'number', range: [64, 2 ** 30] },
}

/** Names asked for at once. */
const TOGETHER = 200
/** Lifetimes over 68 years (ms) are none: in seconds they are more than some of what is behind can take, and refuses. */
const LONGEST = 2_147_483_647_000

export class SlotBackend<S extends Slots> implements BatchBackend {
  readonly name: string
  readonly limits: StoreLimits
  readonly chunkSize: number
  protected readonly slots: S
  protected readonly prefix: string
  readonly #turns = new KeyedMutex()

  constructor(name: string, slots: S, options: SlotOptions, facts: Pick<StoreLimits, 'persistent' | 'shared'>) {
    const { prefix = 'keepfresh', maxEntrySize = Infinity, inlineSize = 65_536, chunkSize = 262_144 } = options
    this.name = name
    this.slots = slots
    this.prefix = prefix
    this.chunkSize = chunkSize
    this.limits = { maxEntrySize, inlineSize, ...facts }
  }

  #nameOf(key: string): string {
    return `${this.prefix}:e:${createHash('sha256').update(JSON.stringify(key)).digest('hex')}`
  }

  #chunkName(id: string, n: number): string {
    return `${this.prefix}:c:${id}:${n}`
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#value(this.#nameOf(key))
  }

  async #value(name: string): Promise<Uint8Array | undefined> {
    const [value] = await this.slots.get([name])
    if (value instanceof StoreError) throw value
    return value
  }

  async getMany(keys: readonly string[]): Promise<readonly SlotValue[]> {
    const values: SlotValue[] = []
    for (const some of groupsOf(keys, TOGETHER))
      values.push(...(await this.slots.get(some.map((key) => this.#nameOf(key)))))
    return values
  }

  set(key: string, value: Uint8Array, ttl: number | null): Promise<Uint8Array | undefined> {
    return this.#turns.run([key], async () => {
      const name = this.#nameOf(key)
      const [before] = await this.slots.get([name])
      await this.slots.put(name, value, lifetime(ttl))
      return readOf(before)
    })
  }

  replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): Promise<boolean> {
    return this.#turns.run([key], async () => {
      const before = await this.get(key)
      if (before === undefined || Buffer.compare(before.subarray(16, 24), version) !== 0) return false
      await this.slots.put(this.#nameOf(key), value, lifetime(ttl))
      return true
    })
  }

  async remove(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    const removed: (Uint8Array | undefined)[] = []
    for (const some of groupsOf(keys, TOGETHER)) {
      const before = await this.#turns.run(some, async () => {
        const names = some.map((key) => this.#nameOf(key))
        const values = await this.slots.get(names)
        // All of them: one that cannot be read may be there.
        await this.slots.remove(names)
        return values
      })
      removed.push(...before.map(readOf))
    }
    return removed
  }

  getChunk(_key: string, id: string, n: number): Promise<Uint8Array | undefined> {
    return this.#value(this.#chunkName(id, n))
  }

  setChunk(_key: string, id: string, n: number, value: Uint8Array, ttl: number | null): Promise<void> {
    return this.slots.put(this.#chunkName(id, n), value, lifetime(ttl))
  }

  async keepChunks(_key: string, id: string, count: number, ttl: number | null): Promise<void> {
    // A lifetime cannot be changed alone: each chunk is written again.
    for (let n = 0; n < count; n++) {
      const name = this.#chunkName(id, n)
      const value = await this.#value(name)
      if (value !== undefined) await this.slots.put(name, value, lifetime(ttl))
    }
  }

  async dropChunks(_key: string, id: string, count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, n) => n)
    for (const some of groupsOf(numbers, TOGETHER)) await this.slots.remove(some.map((n) => this.#chunkName(id, n)))
  }

  close(): Promise<void> {
    return this.slots.close()
  }
}

export class ListableSlotBackend extends SlotBackend<ListableSlots> implements ListableBackend {
  async *heads(): AsyncGenerator<readonly Uint8Array[]> {
    let names: string[] = []
    for await (const [name, value] of this.slots.names(`${this.prefix}:e:`)) {
      if (value !== null) yield [value]
      else if (names.push(name) >= TOGETHER) {
        yield await this.#present(names)
        names = []
      }
    }
    if (names.length > 0) yield await this.#present(names)
  }

  /**
   * What can be read of what is there.
   * @throws StoreError where nothing can, not even that there is nothing under another name: it is not the values that are at fault
   */
  async #present(names: readonly string[]): Promise<readonly Uint8Array[]> {
    const values = await this.slots.get(names)
    const [first] = values
    if (first instanceof StoreError && values.every((value) => value instanceof StoreError)) {
      const [nothing] = await this.slots.get([`${this.prefix}:n`])
      if (nothing instanceof StoreError) throw first
    }
    return values.map(readOf).filter((value) => value !== undefined)
  }

  /** What the entries say of themselves: frames, and bodies beside them. */
  async bytes(): Promise<number> {
    let total = 0
    for await (const frames of this.heads()) for (const frame of frames) total += frame.length + besideOf(frame)
    return total
  }

  async clear(): Promise<void> {
    const names: string[] = []
    for await (const [name] of this.slots.names(`${this.prefix}:`)) names.push(name)
    for (const some of groupsOf(names, TOGETHER)) await this.slots.remove(some)
  }
}

function lifetime(ttl: number | null): number | null {
  return ttl === null || ttl > LONGEST ? null : ttl
}

/** What was there, as far as it can be read: what cannot is replaced and removed all the same. */
function readOf(value: SlotValue): Uint8Array | undefined {
  return value instanceof StoreError ? undefined : value
}

function besideOf(frame: Uint8Array): number {
  try {
    return frameHeader(frame).chunked?.size ?? 0
  } catch {
    // Damaged: it names nothing that could be counted.
    return 0
  }
}
