/**
 * keepfresh/keyv: a Keyv instance as a store (feature B9), and with it every backend that Keyv has.
 *
 * Rule 1: values are base64 text: Keyv's serializers and backends keep that whole, and not all of them keep bytes.
 * Rule 2: Keyv reports a failed write by `false` and, unless `throwOnErrors` is set, a failed read as nothing found: the first is an
 *   error here, the second a miss.
 * Rule 3: names and turns are those of slot-backend.ts.
 */
import type { Clock } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { checkOptions, CLOCK_RULE, wrong } from './options.ts'
import { outcomeOf } from './read-many.ts'
import { ListableRecordStore } from './record-listing.ts'
import { RecordStore } from './record-store.ts'
import {
  ListableSlotBackend,
  SLOT_RULES,
  SlotBackend,
  type ListableSlots,
  type SlotOptions,
  type Slots,
  type SlotValue,
} from './slot-backend.ts'

/** What is used of Keyv (version 5 or later). */
export interface KeyvLike {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown, ttl?: number): Promise<boolean>
  getMany(keys: string[]): Promise<unknown[]>
  deleteMany(keys: string[]): Promise<unknown>
  disconnect(): Promise<void>
  iterator?: unknown
}

export interface KeyvStoreOptions extends SlotOptions {
  /** Entries survive the process. Default: whether Keyv's backend is anything but a Map. */
  readonly persistent?: boolean
  /** Several processes use it. Default: as `persistent`. */
  readonly shared?: boolean
  /** Disconnect Keyv when the store is closed. Default false: it was given, and stays open. */
  readonly disconnect?: boolean
  /** For tests. Default the system's. */
  readonly clock?: Clock
}

class KeyvSlots implements Slots {
  protected readonly keyv: KeyvLike
  readonly #disconnects: boolean

  constructor(keyv: KeyvLike, disconnects: boolean) {
    this.keyv = keyv
    this.#disconnects = disconnects
  }

  async get(names: readonly string[]): Promise<readonly SlotValue[]> {
    if (names.length > 1) {
      try {
        return (await this.keyv.getMany([...names])).map(bytesOf)
      } catch {
        // One that cannot be deserialized must not cost the others: each is asked for, and says what is wrong with it.
      }
    }
    return Promise.all(names.map((name) => outcomeOf(() => this.#getOne(name))))
  }

  async #getOne(name: string): Promise<Uint8Array | undefined> {
    try {
      return bytesOf(await this.keyv.get(name))
    } catch (error) {
      // Its deserializer could make nothing of the value.
      if (error instanceof SyntaxError) return bytesOf('')
      throw error
    }
  }

  async put(name: string, value: Uint8Array, ttl: number | null): Promise<void> {
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    // 0 is no end, also where Keyv has a default lifetime.
    if (await this.keyv.set(name, text, ttl ?? 0)) return
    throw new StoreError('ERR_STORE_FAILED', 'Keyv did not store a value; what failed is in its `error` event.')
  }

  async remove(names: readonly string[]): Promise<void> {
    await this.keyv.deleteMany([...names])
  }

  async close(): Promise<void> {
    if (this.#disconnects) await this.keyv.disconnect()
  }
}

class ListableKeyvSlots extends KeyvSlots implements ListableSlots {
  async *names(prefix: string): AsyncGenerator<readonly [name: string, value: Uint8Array | null]> {
    const pairs: unknown = typeof this.keyv.iterator === 'function' ? this.keyv.iterator() : null
    if (!isAsyncIterable(pairs)) throw new StoreError('ERR_STORE_FAILED', 'Keyv has no iterator any more.')
    for await (const pair of pairs) {
      if (!Array.isArray(pair) || !String(pair[0]).startsWith(prefix)) continue
      yield [String(pair[0]), bytesOf(pair[1]) ?? null]
    }
  }
}

/**
 * A Keyv instance as a store. It cannot list, whatever Keyv can: `fromKeyv` makes one that does.
 *
 * @example
 * ```ts
 * import { Keyv } from 'keyv'
 * import { KeyvStore } from 'keepfresh/keyv'
 *
 * const store = new KeyvStore(new Keyv({ namespace: 'http' }))
 * ```
 */
export class KeyvStore extends RecordStore {
  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
  constructor(keyv: KeyvLike, options: KeyvStoreOptions = {}) {
    const facts = factsOf(keyv, options)
    super(new SlotBackend('keyv', new KeyvSlots(keyv, options.disconnect ?? false), options, facts), options.clock)
  }
}

/** A Keyv instance whose backend can be walked through, as a store that lists. */
export class ListableKeyvStore extends ListableRecordStore {
  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE: also where this Keyv has no iterator */
  constructor(keyv: KeyvLike, options: KeyvStoreOptions = {}) {
    const facts = factsOf(keyv, options)
    if (!canIterate(keyv))
      throw wrong('KeyvStore', 'keyv', 'has no iterator: its backend cannot be listed. Use KeyvStore')
    const slots = new ListableKeyvSlots(keyv, options.disconnect ?? false)
    super(new ListableSlotBackend('keyv', slots, options, facts), options.clock)
  }
}

/**
 * A Keyv instance as the store it can be: one that lists where Keyv has an iterator.
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE
 *
 * @example
 * ```ts
 * import { Keyv } from 'keyv'
 * import { createCachedFetch } from 'keepfresh'
 * import { fromKeyv } from 'keepfresh/keyv'
 *
 * const fetch = createCachedFetch({ store: fromKeyv(new Keyv({ namespace: 'http' })) })
 * await (await fetch('https://api.example.com/users')).json()
 * console.log(await fetch.cache.has('https://api.example.com/users')) // true
 * ```
 */
export function fromKeyv(keyv: KeyvLike, options: KeyvStoreOptions = {}): KeyvStore | ListableKeyvStore {
  return isKeyvLike(keyv) && canIterate(keyv) ? new ListableKeyvStore(keyv, options) : new KeyvStore(keyv, options)
}

/** Whether a value can be used as Keyv is. */
export function isKeyvLike(value: unknown): value is KeyvLike {
  if (typeof value !== 'object' || value === null) return false
  const names = ['get', 'set', 'getMany', 'deleteMany', 'disconnect']
  return names.every((name) => typeof Reflect.get(value, name) === 'function')
}

/**
 * Version 5 has an iterator only where its backend can be walked through; version 6 always has one, which gives nothing where not.
 * There, backends that Keyv wrapped say what they can, and Maps, which it wraps too, can.
 */
function canIterate(keyv: KeyvLike): boolean {
  if (typeof keyv.iterator !== 'function') return false
  const capabilities = within(storeOf(keyv), 'capabilities')
  if (capabilities === undefined) return true
  const exists = within(within(within(capabilities, 'methods'), 'iterator'), 'exists')
  return exists === true || isOverMap(keyv)
}

function storeOf(keyv: KeyvLike): unknown {
  return within(keyv, 'store')
}

function isOverMap(keyv: KeyvLike): boolean {
  const store = storeOf(keyv)
  return store instanceof Map || within(store, 'store') instanceof Map
}

function within(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** What is no text of ours is bytes that are no frame: the store says that they are damaged. */
function bytesOf(value: unknown): Uint8Array | undefined {
  if (value === undefined || value === null) return undefined
  // A copy: short Buffers share one pool.
  return typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : new Uint8Array()
}

function factsOf(keyv: unknown, options: KeyvStoreOptions): { persistent: boolean; shared: boolean } {
  if (!isKeyvLike(keyv)) throw wrong('KeyvStore', 'keyv', 'must be an instance of Keyv, version 5 or later')
  const boolean = { type: 'boolean' } as const
  const own = { persistent: boolean, shared: boolean, disconnect: boolean, clock: CLOCK_RULE }
  checkOptions('KeyvStore', options, { ...SLOT_RULES, ...own })
  const persistent = options.persistent ?? !isOverMap(keyv)
  return { persistent, shared: options.shared ?? persistent }
}
