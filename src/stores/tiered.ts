/**
 * keepfresh/tiered: memory in front of any store (feature B8, row 219).
 *
 * Rule 1: the far store decides. A write is there first and in memory after it; what fails there is not in memory either.
 * Rule 2: memory answers for `nearTtl` seconds at most since the far store was asked: that bounds what another process changed unseen.
 *   With a coherence channel changes arrive; while it is down, the bound is that of having none.
 * Rule 3: what was asked for before a change is not kept after it (tiered-flights.ts).
 * Rule 4: memory holds what the far store hands over whole (small bodies); long ones stream from the far store.
 * Rule 5: a version is the far store's, or one of ours for what was just written: `update` looks up which version that became.
 */
import { chain, isPromise } from '../engine/maybe.ts'
import {
  isListable,
  isLocking,
  type BatchReadingStore,
  type Clock,
  type EntryChange,
  type EntryHead,
  type EntryMeta,
  type ListableStore,
  type LockingStore,
  type MaybePromise,
  type ReadOutcome,
  type Store,
  type StoredEntry,
  type StoreLimits,
  type Version,
} from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { MemoryStore, type MemoryStoreOptions } from './memory.ts'
import { checkOptions, wrong } from './options.ts'
import { locksOf, type Listing } from './passed-on.ts'
import type { Coherence } from './tiered-coherence.ts'
import { readManyOf } from './read-many.ts'
import { Flights, type Flight } from './tiered-flights.ts'

export type { Coherence, CoherenceListener } from './tiered-coherence.ts'
export { pollingCoherence, type PollingOptions } from './tiered-polling.ts'
export { redisCoherence, type PublishingClient, type RedisCoherenceOptions } from './tiered-redis.ts'
export { routed, RoutedStore, type RoutedKey, type RoutedOptions } from './tiered-routed.ts'

export interface TieredOptions<F extends Store = Store> {
  /** The memory in front: a store, or the options of one. Default: a MemoryStore with its defaults. */
  readonly near?: MemoryStore | MemoryStoreOptions
  /** The store behind it, which decides. It is closed with the tiered store. */
  readonly far: F
  /** How long memory answers without asking the far store: seconds, or Infinity. Default 5; with `coherence`, 60. */
  readonly nearTtl?: number
  /** What tells processes of each other's changes. Default: none. It is closed with the store. */
  readonly coherence?: Coherence
  /** Ms that only go forward, for tests. Default performance.now. */
  readonly clock?: Clock
}

/** Without a channel that tells of changes: seconds. */
const BLIND_TTL = 5
const COHERENT_TTL = 60

/** What is known of an entry in memory, by its metadata. */
interface Tag {
  readonly version: Version
  /** When the far store was known to have it. */
  readonly at: number
  /** The entry as handed out, made at the first hit. */
  entry: StoredEntry | null
}

/** Begins the versions of what was written here and not read back yet. */
const OURS = '\0near '

/**
 * Memory over another store. It lists and locks if the far store does (isListable, isLocking): `tiered` has that in its type.
 *
 * @example
 * ```ts
 * import { SqliteStore } from 'keepfresh/sqlite'
 * import { TieredStore } from 'keepfresh/tiered'
 *
 * const store = new TieredStore({ far: new SqliteStore('http.db'), near: { maxBytes: 32 * 1024 * 1024 } })
 * ```
 */
export class TieredStore implements BatchReadingStore {
  readonly name: string
  readonly limits: StoreLimits
  readonly #near: MemoryStore
  readonly #far: Store
  readonly #coherence: Coherence | null
  readonly #clock: Clock
  readonly #ttl: number
  readonly #flights = new Flights()
  readonly #tags = new WeakMap<EntryMeta, Tag>()
  #isConnected = false
  #written = 0
  #closed = false

  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
  constructor(options: TieredOptions) {
    checkTiers(options)
    const { near = {}, far, coherence = null, clock = { now: () => performance.now() } } = options
    const { nearTtl = coherence === null ? BLIND_TTL : COHERENT_TTL } = options
    this.#near = near instanceof MemoryStore ? near : new MemoryStore(near)
    this.#far = far
    this.#coherence = coherence
    this.#clock = clock
    this.#ttl = nearTtl * 1000
    this.name = `tiered ${far.name}`
    this.limits = far.limits
    if (isListable(far)) Object.assign(this, this.#listing(far))
    if (isLocking(far))
      Object.assign(
        this,
        locksOf(() => far),
      )
    coherence?.subscribe({
      changed: (keys) => this.#forget(keys),
      connected: (isConnected) => {
        this.#isConnected = isConnected
        this.#forget(null)
      },
    })
  }

  read(key: string): MaybePromise<StoredEntry | undefined> {
    this.#assertOpen()
    return this.#readNear(key) ?? this.#readFar(key)
  }

  /** Memory answers what it may; the far store is asked for the rest, all at once where it can do that. */
  readMany(keys: readonly string[]): MaybePromise<readonly ReadOutcome[]> {
    this.#assertOpen()
    const found = new Map<string, ReadOutcome>()
    for (const key of keys) found.set(key, this.#readNear(key))
    const rest = [...found.keys()].filter((key) => found.get(key) === undefined)
    if (rest.length === 0) return keys.map((key) => found.get(key))
    return chain(this.#readManyFar(rest), (outcomes) => {
      rest.forEach((key, index) => found.set(key, outcomes[index]))
      return keys.map((key) => found.get(key))
    })
  }

  /** What memory may answer. */
  #readNear(key: string): StoredEntry | undefined {
    const near = this.#near.read(key)
    const tag = near === undefined ? undefined : this.#tags.get(near.meta)
    if (near === undefined || tag === undefined || this.#clock.now() - tag.at >= this.#bound()) return undefined
    return (tag.entry ??= { ...near, version: tag.version })
  }

  /** Rule 2, in ms. */
  #bound(): number {
    return this.#coherence === null || this.#isConnected ? this.#ttl : Math.min(this.#ttl, BLIND_TTL * 1000)
  }

  #readFar(key: string): MaybePromise<StoredEntry | undefined> {
    const flight = this.#flights.start(key)
    const at = this.#clock.now()
    return this.#asking(
      [flight],
      () => this.#far.read(key),
      (entry) => {
        this.#arrived(flight, entry, at)
        return entry
      },
    )
  }

  #readManyFar(keys: readonly string[]): MaybePromise<readonly ReadOutcome[]> {
    const flights = keys.map((key) => this.#flights.start(key))
    const at = this.#clock.now()
    return this.#asking(
      flights,
      () => readManyOf(this.#far, keys),
      (outcomes) => {
        flights.forEach((flight, index) => {
          const outcome: ReadOutcome = outcomes[index]
          if (outcome instanceof StoreError) this.#flights.end(flight)
          else this.#arrived(flight, outcome, at)
        })
        return outcomes
      },
    )
  }

  #asking<T>(flights: readonly Flight[], ask: () => MaybePromise<T>, arrived: (answer: T) => T): MaybePromise<T> {
    const failed = (error: unknown): never => {
      for (const flight of flights) this.#flights.end(flight)
      throw error
    }
    let answer: MaybePromise<T>
    try {
      answer = ask()
    } catch (error) {
      return failed(error)
    }
    return isPromise(answer) ? answer.then(arrived, failed) : arrived(answer)
  }

  /** Rule 3. */
  #arrived(flight: Flight, entry: StoredEntry | undefined, at: number): void {
    const isCurrent = this.#flights.end(flight)
    if (entry !== undefined && isCurrent && !this.#closed) this.#keep(entry, entry.body.bytes, entry.version, at)
    else if (isCurrent && !this.#closed) this.#near.delete([flight.key])
  }

  /** Puts a copy into memory, where it fits there; nothing else stays under its key. */
  #keep(head: EntryHead, bytes: Uint8Array | null, version: Version, at: number): void {
    const { key, meta, createdAt, expiresAt, keepUntil } = head
    if (this.#closed) return
    if (bytes === null || bytes.length > this.#near.limits.maxEntrySize) return void this.#near.delete([key])
    try {
      // A copy: what the far store handed out may be a view of something larger.
      this.#near.write({ key, meta, createdAt, expiresAt, keepUntil }, new Uint8Array(bytes))
      this.#tags.set(meta, { version, at, entry: null })
    } catch (error) {
      // Too large for the memory as a whole: it is read from the far store, which has it.
      this.#near.delete([key])
      if (!(error instanceof StoreError && error.code === 'ERR_STORE_FULL')) throw error
    }
  }

  #forget(keys: readonly string[] | null): void {
    if (this.#closed) return
    this.#flights.changed(keys)
    if (keys === null) this.#near.clear()
    else this.#near.delete(keys)
  }

  #ours(): Version {
    return `${OURS}${++this.#written}`
  }

  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    this.#assertOpen()
    const { key } = head
    const flight = this.#flights.start(key)
    const at = this.#clock.now()
    let isCurrent = false
    await this.#changing([key], async () => {
      try {
        await this.#far.write(head, body)
      } finally {
        isCurrent = this.#flights.end(flight)
      }
    })
    if (isCurrent && body instanceof Uint8Array) this.#keep(head, body, this.#ours(), at)
    await this.#publish([key])
  }

  /** A change of the far store: afterwards memory has nothing from before it, and when it failed, others have not either. */
  async #changing<T>(keys: readonly string[] | null, change: () => MaybePromise<T>): Promise<T> {
    try {
      return await change()
    } catch (error) {
      // It may have been made all the same, or in part. Its failure is the one to report.
      await this.#publish(keys).catch(() => undefined)
      throw error
    } finally {
      this.#forget(keys)
    }
  }

  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    this.#assertOpen()
    const flight = this.#flights.start(key)
    const at = this.#clock.now()
    const before = this.#nearWith(key, version)
    let isCurrent = false
    const done = await this.#changing([key], async () => {
      try {
        const actual = isOurs(version) ? await this.#versionOf(key, before) : version
        return actual !== null && (await this.#far.update(key, change, actual))
      } finally {
        isCurrent = this.#flights.end(flight)
      }
    })
    if (!done) return false
    if (isCurrent && before !== null) this.#keep({ ...before, ...change }, before.body.bytes, this.#ours(), at)
    await this.#publish([key])
    return true
  }

  /** The entry in memory, if it is of this version. */
  #nearWith(key: string, version: Version): StoredEntry | null {
    const near = this.#near.read(key)
    return near !== undefined && this.#tags.get(near.meta)?.version === version ? near : null
  }

  /** The far store's version of what was written from here; null: it has another entry by now. */
  async #versionOf(key: string, written: StoredEntry | null): Promise<Version | null> {
    const stored = written === null ? undefined : await this.#far.read(key)
    return stored !== undefined && written !== null && isSame(stored, written) ? stored.version : null
  }

  async delete(keys: readonly string[]): Promise<number> {
    this.#assertOpen()
    if (keys.length === 0) return 0
    this.#forget(keys)
    const count = await this.#changing(keys, () => this.#far.delete(keys))
    await this.#publish(keys)
    return count
  }

  async #publish(keys: readonly string[] | null): Promise<void> {
    try {
      await this.#coherence?.publish(keys)
    } catch (cause) {
      const message = `The ${this.name} store changed, but other processes could not be told: they may answer from memory until their nearTtl ends.`
      throw new StoreError('ERR_STORE_FAILED', message, { cause })
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#near.close()
    try {
      await this.#coherence?.close()
    } finally {
      await this.#far.close()
    }
  }

  /** What a listing far store adds. It knows what there is; memory only answers. */
  #listing(far: ListableStore): Listing {
    const changing = async <T>(change: () => MaybePromise<T>): Promise<T> => {
      this.#assertOpen()
      this.#forget(null)
      const result = await this.#changing(null, change)
      await this.#publish(null)
      return result
    }
    return {
      keys: () => far.keys(),
      entries: (query) => far.entries(query),
      size: () => far.size(),
      clear: () => changing(() => far.clear()),
      deleteWhere: (query) => changing(() => far.deleteWhere(query)),
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', `the ${this.name} store is closed`)
  }
}

/**
 * A TieredStore whose type says what its far store can.
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 * import { tiered } from 'keepfresh/tiered'
 *
 * const store = tiered({ far: new SqliteStore('http.db'), nearTtl: 5 })
 * await using fetch = createCachedFetch({ store, autoClose: true })
 * await (await fetch('https://api.example.com/users')).json()
 * console.log((await store.size()).entries > 0) // true
 * ```
 */
export function tiered(options: TieredOptions<ListableStore & LockingStore>): TieredStore & ListableStore & LockingStore
export function tiered(options: TieredOptions<ListableStore>): TieredStore & ListableStore
export function tiered(options: TieredOptions<LockingStore>): TieredStore & LockingStore
export function tiered(options: TieredOptions): TieredStore
export function tiered(options: TieredOptions): TieredStore {
  return new TieredStore(options)
}

function isOurs(version: Version): boolean {
  return typeof version === 'string' && version.startsWith(OURS)
}

function isSame(a: StoredEntry, b: StoredEntry): boolean {
  return (
    a.createdAt === b.createdAt &&
    a.expiresAt === b.expiresAt &&
    a.keepUntil === b.keepUntil &&
    a.body.size === b.body.size &&
    JSON.stringify(a.meta) === JSON.stringify(b.meta)
  )
}

function checkTiers(options: TieredOptions): void {
  const object = { type: 'object' } as const
  checkOptions('TieredStore', options, {
    near: object,
    far: object,
    nearTtl: { type: 'number' },
    coherence: object,
    clock: object,
  })
  const { far, nearTtl = BLIND_TTL } = options
  if (typeof far?.read !== 'function') throw wrong('TieredStore', 'far', 'must be a store')
  if (!(nearTtl > 0))
    throw wrong('TieredStore', 'nearTtl', 'must be more than 0 seconds: without it, use the far store itself')
}
