/**
 * All that a namespace holds, walked through with SCAN, never KEYS, on every primary (RELIABILITY 137).
 *
 * Only what has the shape of ours is read, counted or removed; a value of another type under such a name is passed over.
 */
import { StoreError } from '../errors.ts'
import { FRAME_HEADER } from '../engine/record.ts'
import type { RedisConnection } from './redis-connection.ts'
import type { RedisKeys } from './redis-keys.ts'

/** Names asked for in one SCAN. */
const BATCH = 500
/** Bytes read of each frame when listing; a longer head takes a second read. */
const HEAD = 8192
/** A head that claims to be longer than this is damaged, and is not read. */
const LONGEST_HEAD = 16 * 1024 * 1024

export class RedisWalk {
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.#connection = connection
    this.#keys = keys
  }

  /** The start of every entry's frame, its head complete. */
  async *heads(): AsyncGenerator<Uint8Array[]> {
    // SCAN may name a key twice while the server's table grows or shrinks.
    const seen = new Set<string>()
    const isNew = (name: string): boolean => this.#keys.isEntry(name) && seen.size < seen.add(name).size
    for await (const names of this.#scan(this.#keys.entryPattern, isNew)) {
      yield await Promise.all(names.map((name) => this.#head(name)))
    }
  }

  /** The start of a frame, its head complete; nothing where there is no frame. */
  async #head(name: string): Promise<Uint8Array> {
    const start = await this.#range(name, HEAD)
    if (start.length < HEAD) return start
    const end = FRAME_HEADER + headLengthOf(start)
    return end <= HEAD || end > LONGEST_HEAD ? start : this.#range(name, end)
  }

  #range(name: string, end: number): Promise<Uint8Array> {
    const range = this.#connection.run(name, ['GETRANGE', name, '0', String(end - 1)], rangeOf)
    return range.catch((error: unknown) => insteadOfForeign(error, new Uint8Array()))
  }

  /** Bytes of all values of ours. */
  async bytes(): Promise<number> {
    let sum = 0
    const seen = new Set<string>()
    for (const [pattern, isOurs] of this.#walks()) {
      const isNew = (name: string): boolean => isOurs(name) && seen.size < seen.add(name).size
      for await (const names of this.#scan(pattern, isNew)) {
        const lengths = names.map((name) => this.#connection.run(name, ['STRLEN', name], Number))
        const known = lengths.map((length) => length.catch((error: unknown) => insteadOfForeign(error, 0)))
        for (const length of await Promise.all(known)) sum += length
      }
    }
    return sum
  }

  /** Removes all that is ours. In a cluster each name is in a slot of its own: there it is a command each, all sent at once. */
  async clear(): Promise<void> {
    const { spread } = await this.#connection.client()
    for (const [pattern, isOurs] of this.#walks()) {
      for await (const names of this.#scan(pattern, isOurs)) {
        const groups = spread ? names.map((name) => [name]) : [names]
        await Promise.all(groups.map((group) => this.#connection.run(group[0] ?? '', ['UNLINK', ...group], Number)))
      }
    }
  }

  #walks(): readonly (readonly [pattern: string, isOurs: (name: string) => boolean])[] {
    return [
      [this.#keys.entryPattern, (name) => this.#keys.isEntry(name)],
      [this.#keys.chunkPattern, (name) => this.#keys.isChunk(name)],
    ]
  }

  /** The names that a pattern matches and `isWanted` takes, without what the client puts before them, a batch at a time. */
  async *#scan(pattern: string, isWanted: (name: string) => boolean): AsyncGenerator<string[]> {
    const prefix = this.#connection.keyPrefix.length
    for (const send of await this.#connection.primaries()) {
      let cursor = '0'
      do {
        const command = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(BATCH)]
        const page = pageOf(await send(command))
        cursor = page.cursor
        const names = page.names.map((name) => name.slice(prefix)).filter(isWanted)
        if (names.length > 0) yield names
      } while (cursor !== '0')
    }
  }
}

/** What GETRANGE gives: nothing where there is no key. */
function rangeOf(reply: unknown): Uint8Array {
  return reply instanceof Uint8Array ? reply : new Uint8Array()
}

/** What stands for a value of another type under a name like ours, in a listing; any other error is thrown on. */
function insteadOfForeign<T>(error: unknown, value: T): T {
  if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return value
  throw error
}

function headLengthOf(frame: Uint8Array): number {
  return new DataView(frame.buffer, frame.byteOffset, frame.byteLength).getUint32(4, true)
}

function pageOf(reply: unknown): { cursor: string; names: string[] } {
  const [cursor, names] = Array.isArray(reply) ? reply : []
  if (!Array.isArray(names)) throw new StoreError('ERR_STORE_FAILED', 'Redis answered SCAN with something else.')
  return { cursor: String(cursor), names: names.map(String) }
}
