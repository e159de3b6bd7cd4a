/**
 * What RecordStore needs, from memcached.
 *
 * Rule 1: a hit is one `get`, many are one a server, a write one round trip: the `get` of what is replaced goes out with the `set`.
 * Rule 2: memcached evicts items one by one. A frame whose chunks are not all there is a miss, before a byte is sent (RELIABILITY B41).
 * Rule 3: while a server is known to be down, what it has is a miss; what should change there fails (B35 wants to know).
 */
import { FRAME_HEADER, frameHeader, hexOf } from '../engine/record.ts'
import type { Clock, StoreLimits } from '../engine/ports.ts'
import { getManyOf, type Found, type MemcachedCommands } from './memcached-client.ts'
import { DownError } from './memcached-connection.ts'
import { exptimeOf } from './memcached-expiry.ts'
import type { MemcachedKeys } from './memcached-keys.ts'
import { outcomeOf } from './read-many.ts'
import type { BatchBackend } from './record-store.ts'

/** How long (ms) chunks that no frame names any more are kept for those who read them now. */
const GRACE = 60_000
/** `exptime` of an item that ends as it is stored. */
const AT_ONCE = -1
/** Commands under way at once for one call. */
const SLICE = 64
const EMPTY = new Uint8Array()

export class MemcachedBackend implements BatchBackend {
  readonly name = 'memcached' as const
  readonly limits: StoreLimits
  readonly chunkSize: number
  readonly #client: MemcachedCommands
  readonly #keys: MemcachedKeys
  readonly #clock: Clock
  readonly #end: () => Promise<void>

  /** @param end what closing the store closes */
  constructor(
    client: MemcachedCommands,
    keys: MemcachedKeys,
    sizes: { readonly limits: StoreLimits; readonly chunkSize: number },
    clock: Clock,
    end: () => Promise<void>,
  ) {
    this.limits = sizes.limits
    this.chunkSize = sizes.chunkSize
    this.#client = client
    this.#keys = keys
    this.#clock = clock
    this.#end = end
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#client
      .get(this.#keys.entry(key))
      .then((value) => (value === undefined || !isChunked(value) ? value : this.#whole(key, value)), downAsMissing)
  }

  async getMany(keys: readonly string[]): Promise<readonly Found[]> {
    const found = await getManyOf(
      this.#client,
      keys.map((key) => this.#keys.entry(key)),
    )
    const values = found.map((value, index) => {
      if (value instanceof DownError) return undefined
      if (!(value instanceof Uint8Array) || !isChunked(value)) return value
      return outcomeOf(() => this.#whole(keys[index] ?? '', value))
    })
    return Promise.all(values)
  }

  /** The frame, where its chunks are all there. */
  async #whole(key: string, frame: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return (await this.#isWhole(key, frame)) ? frame : undefined
    } catch (error) {
      return downAsMissing(error)
    }
  }

  /** Rule 2. `add` tells whether an item is there without sending it, and moves it to the end of those to be evicted. */
  async #isWhole(key: string, frame: Uint8Array): Promise<boolean> {
    const { chunked } = frameHeader(frame)
    if (chunked === null) return true
    const id = hexOf(chunked.id)
    const isMissing = (n: number): Promise<boolean> => this.#client.add(this.#keys.chunk(key, id, n), EMPTY, AT_ONCE)
    const count = Math.ceil(chunked.size / chunked.length)
    return (await inSlices(count, isMissing, (missing) => !missing.includes(true))).length === count
  }

  async set(key: string, value: Uint8Array, ttl: number | null): Promise<Uint8Array | undefined> {
    const name = this.#keys.entry(key)
    // One connection answers in order: this is what the write replaces, unless another writes between the two.
    const [before] = await Promise.all([this.#client.get(name), this.#client.set(name, value, this.#exptime(ttl))])
    return before
  }

  async replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): Promise<boolean> {
    const name = this.#keys.entry(key)
    const before = await this.#client.gets(name)
    if (before === undefined || version.some((byte, at) => before.data[16 + at] !== byte)) return false
    return this.#client.cas(name, value, this.#exptime(ttl), before.cas)
  }

  remove(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return inSlices(keys.length, async (n) => {
      const name = this.#keys.entry(keys[n] ?? '')
      const [before, deleted] = await Promise.all([this.#client.get(name), this.#client.delete(name)])
      return deleted ? (before?.slice(0, FRAME_HEADER) ?? EMPTY) : undefined
    })
  }

  getChunk(key: string, id: string, n: number): Promise<Uint8Array | undefined> {
    return this.#client.get(this.#keys.chunk(key, id, n))
  }

  setChunk(key: string, id: string, n: number, value: Uint8Array, ttl: number | null): Promise<void> {
    return this.#client.set(this.#keys.chunk(key, id, n), value, this.#exptime(ttl))
  }

  async keepChunks(key: string, id: string, count: number, ttl: number | null): Promise<void> {
    const exptime = this.#exptime(ttl)
    await inSlices(count, (n) => this.#client.touch(this.#keys.chunk(key, id, n), exptime))
  }

  async dropChunks(key: string, id: string, count: number): Promise<void> {
    const exptime = this.#exptime(GRACE)
    // Those that cannot be reached end by their own lifetime, or are evicted as the least used: no reason for a write to fail.
    const touch = (n: number): Promise<boolean> =>
      this.#client.touch(this.#keys.chunk(key, id, n), exptime).catch(() => false)
    await inSlices(count, touch, (found) => found.includes(true))
  }

  close(): Promise<void> {
    return this.#end()
  }

  #exptime(ttl: number | null): number {
    return exptimeOf(ttl, this.#clock.now())
  }
}

/** Rule 3. @throws whatever else it is that failed */
function downAsMissing(error: unknown): undefined {
  if (error instanceof DownError) return undefined
  throw error
}

/** Whether a frame's chunk length is not 0; what is no frame at all is found out by whoever decodes it. */
function isChunked(frame: Uint8Array): boolean {
  return frame.length >= FRAME_HEADER && (frame[32] || frame[33] || frame[34] || frame[35]) !== 0
}

/**
 * The results of `count` calls, so many at once that the servers are busy and memory is not; those before the first slice that `goesOn`
 * refuses. A count from a frame that no checksum was taken of may be beyond all measure (RELIABILITY 145).
 */
async function inSlices<T>(
  count: number,
  call: (n: number) => Promise<T>,
  goesOn: (slice: readonly T[]) => boolean = () => true,
): Promise<T[]> {
  const results: T[] = []
  while (results.length < count) {
    const length = Math.min(SLICE, count - results.length)
    const from = results.length
    const slice = await Promise.all(Array.from({ length }, (_, n) => call(from + n)))
    if (!goesOn(slice)) break
    results.push(...slice)
  }
  return results
}
