/**
 * keepfresh/tiered: memory in front of any store (feature B8, row 219).
 *
 * Rule 1: the far store decides. A write is there first and in memory after it; what fails there is not in memory either.
 * Rule 2: memory answers for `nearTtl` seconds at most since the far store was asked: that bounds what another process changed unseen.
 *   With a coherence channel changes arrive; while it is down, the bound is that of having none.
 * Rule 3: what was asked for before a change is not kept after it (tiered-flights.ts).
 * Rule 4: memory holds what the far store hands over whole (small bodies); long ones stream from the far store.
 * Rule 5: a version is the far store's, or one of ours for what was just written where it does not tell: `update` looks up which
 *   version that became.
 * Rule 6: a server that tells of every change (Tracking) tells of ours, too. The first time it tells of what was written from here, it is
 *   asked whether that is still there, a few bytes: in what it tells, our change and another's can be one.
 */
import { chain, isPromise } from '../engine/maybe.ts'
import {
  isListable,
  isLocking,
  type BatchReadingStore,
  type Clock,
  type EntryChange,
  type EntryHead,
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
import { MemoryStore } from './memory.ts'
import { locksOf, type Listing } from './passed-on.ts'
import { isTracking, type Coherence, type Tracking } from './tiered-coherence.ts'
import { readManyOf } from './read-many.ts'
import { Flights, type Flight } from './tiered-flights.ts'
import { Near } from './tiered-near.ts'
import { BLIND_TTL, checkTiers, COHERENT_TTL, type TieredOptions } from './tiered-options.ts'

export type { Coherence, CoherenceListener, Tracking, TrackingStore } from './tiered-coherence.ts'
export type { TieredOptions } from './tiered-options.ts'
export { pollingCoherence, type PollingOptions } from './tiered-polling.ts'
export { redisCoherence, type PublishingClient, type RedisCoherenceOptions } from './tiered-redis.ts'
export { routed, RoutedStore, type RoutedKey, type RoutedOptions } from './tiered-routed.ts'

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
  readonly #near: Near
  readonly #far: Store
  readonly #coherence: Coherence | null
  /** The channel, where it is the server's own. */
  readonly #tracking: Tracking | null
  /** Nobody asked for a channel: that there is none is no error. */
  readonly #isImplied: boolean
  readonly #clock: Clock
  readonly #ttl: number
  /** While the channel is down. */
  readonly #blindTtl: number
  readonly #flights: Flights
  #isConnected = false
  #written = 0
  #closed = false

  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
  constructor(options: TieredOptions) {
    checkTiers(options)
    const { near = {}, far, coherence: channel, clock = { now: () => performance.now() } } = options
    const tracking = (channel ?? 'tracking') === 'tracking' && isTracking(far) ? far.tracking() : null
    const coherence = typeof channel === 'object' ? channel : tracking
    const { nearTtl = coherence === null ? BLIND_TTL : COHERENT_TTL } = options
    const nameOf = tracking && ((key: string): string => tracking.nameOf(key))
    this.#near = new Near(near instanceof MemoryStore ? near : new MemoryStore(near), clock, nameOf)
    this.#flights = new Flights(nameOf)
    this.#far = far
    this.#coherence = coherence
    this.#tracking = tracking
    this.#isImplied = channel === undefined
    this.#clock = clock
    this.#ttl = nearTtl * 1000
    // Who says how long, and nothing of a channel, says it of memory without one.
    const isSaid = this.#isImplied && options.nearTtl !== undefined
    this.#blindTtl = isSaid ? this.#ttl : Math.min(this.#ttl, BLIND_TTL * 1000)
    this.name = `tiered ${far.name}`
    this.limits = far.limits
    if (isListable(far)) Object.assign(this, this.#listing(far))
    if (isLocking(far))
      Object.assign(
        this,
        locksOf(() => far),
      )
    coherence?.subscribe({
      changed: (keys) => (tracking !== null && keys !== null ? this.#told(keys, tracking) : this.#forget(keys)),
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
    return this.#near.read(key, this.#bound())
  }

  /** Rule 2, in ms. */
  #bound(): number {
    return this.#coherence === null || this.#isConnected ? this.#ttl : this.#blindTtl
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
    if (!isCurrent || this.#closed) return
    if (entry === undefined) this.#near.drop([flight.key])
    else this.#near.keep(entry, entry.body.bytes, { version: entry.version, at, isUntold: false })
  }

  #forget(keys: readonly string[] | null): void {
    if (this.#closed) return
    this.#flights.changed(keys)
    this.#near.drop(keys)
  }

  /** Rule 6. */
  #told(names: readonly string[], tracking: Tracking): void {
    if (this.#closed) return
    this.#flights.told(names)
    for (const key of this.#near.keysOf(names)) {
      const tag = this.#near.tag(key)
      if (tag?.isUntold !== true) this.#near.drop([key])
      else {
        tag.isUntold = false
        void this.#check(key, tag.version, tracking)
      }
    }
  }

  /** Memory does not keep what the far store has not, or does not say that it has. */
  async #check(key: string, version: Version, tracking: Tracking): Promise<void> {
    const isThere = await tracking.has(key, version).catch(() => false)
    if (!isThere && !this.#closed && this.#near.tag(key)?.version === version) this.#near.drop([key])
  }

  #ours(): Version {
    return `${OURS}${++this.#written}`
  }

  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    this.#assertOpen()
    const { key } = head
    const flight = this.#flights.start(key, this.#tracking !== null)
    const at = this.#clock.now()
    let isCurrent = false
    const written = await this.#changing([key], async () => {
      try {
        return await this.#far.write(head, body)
      } finally {
        isCurrent = this.#flights.end(flight)
      }
    })
    if (isCurrent && body instanceof Uint8Array) this.#keepOwn(head, body, written ?? null, at, flight)
    await this.#publish([key])
  }

  /** What was written or changed from here; `version`: null where the far store does not tell. */
  #keepOwn(head: EntryHead, body: Uint8Array | null, version: Version | null, at: number, { isTold }: Flight): void {
    if (this.#closed || (isTold && version === null)) return
    const tracking = version === null ? null : this.#tracking
    this.#near.keep(head, body, { version: version ?? this.#ours(), at, isUntold: tracking !== null && !isTold })
    if (version !== null && tracking !== null && isTold) void this.#check(head.key, version, tracking)
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
    const flight = this.#flights.start(key, this.#tracking !== null)
    const at = this.#clock.now()
    const before = this.#near.ofVersion(key, version)
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
    if (isCurrent && before !== null) this.#keepOwn({ ...before, ...change }, before.body.bytes, null, at, flight)
    await this.#publish([key])
    return true
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
    if (this.#isImplied) return
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
