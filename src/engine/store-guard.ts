/**
 * The store as the engine sees it: it never throws, never hangs, never hands over garbage (RELIABILITY B27-B43).
 *
 * Rule 1: a read that fails, is late or is garbage is a miss and an `error` event; garbage is deleted.
 * Rule 2: a write that fails or is late costs the entry, never the response.
 * Rule 3: what could not be deleted, or was being written when it was deleted, is remembered here (a tombstone), and not served again
 *         by this process (B35).
 * Rule 4: after some failures in a row the store is left alone for a while, then probed with one call (circuit.ts, B37).
 */
import { asStoreError, StoreError } from '../errors.ts'
import { Circuit } from './circuit.ts'
import { clipped } from './clipped.ts'
import type { StoreOperation, Events } from './events.ts'
import { chain, isPromise, together } from './maybe.ts'
import { isTrusted, isValidMeta } from './meta.ts'
import {
  isBatchReading,
  isGathering,
  isListable,
  isLocking,
  type BatchReadingStore,
  type Clock,
  type EntryChange,
  type EntryHead,
  type ListQuery,
  type MaybePromise,
  type ReadOutcome,
  type Store,
  type StoredEntry,
  type Version,
} from './ports.ts'
import { after, inTime, quietlyAfter, settledInTime } from './timer.ts'
import { Tombstones } from './tombstones.ts'

export interface GuardOptions {
  /** Milliseconds a read may take; writes, updates and deletes get `writeTimeout`. */
  readonly readTimeout: number
  readonly writeTimeout: number
}

/** Twenty reads long, from a second to half a minute; never shorter than a read. Nobody's answer waits for a write of a short body. */
export function writeTimeoutFor(readTimeout: number): number {
  return Math.max(readTimeout, Math.min(Math.max(20 * readTimeout, 1000), 30_000))
}

/** What a write may want to know. */
export interface WriteOptions {
  /** Whether a write that failed failed by its body (the origin broke off): that is no failure of the store. */
  readonly isOwnFailure?: (error: unknown) => boolean
  /** Nobody waits for it: its time limit keeps no process alive (RELIABILITY 161). */
  readonly background?: boolean
  /** It may be made a little later, together with others: no other process waits for it. */
  readonly gathered?: boolean
  /** Called when a gathered write that counted as made has failed. */
  readonly lost?: () => void
  /** Called when a write that was given up has come to be stored after all. */
  readonly late?: () => void
  /** The bytes of a stream that are all at hand: a second more for each megabyte. A stream without it has no limit here (live-body.ts). */
  readonly size?: number
}

interface Attempt<T, U> {
  readonly operation: StoreOperation
  readonly key: string | null
  readonly call: () => MaybePromise<T>
  readonly map: (value: T) => U
  /** What is answered where the store failed. */
  readonly otherwise: U
  /** No time limit. */
  readonly unlimited?: boolean
  /** How its success is told later (`#mayGather`). */
  readonly gathered?: boolean
  readonly options?: WriteOptions
}

export class StoreGuard {
  readonly store: Store
  readonly #events: Events
  readonly clock: Clock
  readonly #options: GuardOptions
  /** Reads under way, by key. */
  readonly #reading = new Map<string, Promise<StoredEntry | undefined>>()
  /** Rule 3. */
  readonly #tombstones: Tombstones
  /** Apart: a store whose writes work while its reads hang must not be asked on every request. */
  readonly #reads: Circuit
  readonly #writes: Circuit

  constructor(store: Store, events: Events, clock: Clock, options: GuardOptions) {
    this.store = store
    this.#events = events
    this.clock = clock
    this.#options = options
    this.#tombstones = new Tombstones(clock)
    this.#reads = new Circuit(clock)
    this.#writes = new Circuit(clock)
  }

  /** Reads; a read of the same key that is under way is joined, so that a herd on one key costs the store one read. */
  read(key: string): MaybePromise<StoredEntry | undefined> {
    const under = this.#reading.size === 0 ? undefined : this.#reading.get(key)
    if (under !== undefined) return under
    const result = this.#asked(key)
    if (!isPromise(result)) return result ?? undefined
    // Until it has come; nobody who waits for it is told before.
    const joined: Promise<StoredEntry | undefined> = this.#readLater(key, result, (entry) => {
      if (this.#reading.get(key) === joined) this.#reading.delete(key)
      return entry ?? undefined
    })
    this.#reading.set(key, joined)
    return joined
  }

  /** As `read` for each of the keys, in their order; where the store can, it is asked once for all that nobody is reading. */
  readMany(keys: readonly string[]): MaybePromise<readonly (StoredEntry | undefined)[]> {
    const { store } = this
    const rest = [...new Set(keys)].filter((key) => !this.#reading.has(key))
    if (rest.length < 2 || !isBatchReading(store)) return together(keys.map((key) => this.read(key)))
    const found = this.#readBatch(store, rest)
    const inOrder = (entries: ReadonlyMap<string, StoredEntry>): readonly (StoredEntry | undefined)[] =>
      keys.map((key) => entries.get(key))
    if (!isPromise(found)) return together(keys.map((key) => this.#reading.get(key) ?? found.get(key)))
    for (const key of rest)
      this.#joinable(
        key,
        found.then((entries) => entries.get(key)),
      )
    // Not before nobody can join it any more.
    const over = found.then((entries) => entries)
    return this.#reading.size === rest.length
      ? over.then(inOrder)
      : Promise.all(keys.map((key) => this.#reading.get(key)))
  }

  /** What is there, by key; a batch that fails is one failure of the store, whatever it was of. */
  #readBatch(store: BatchReadingStore, keys: readonly string[]): MaybePromise<ReadonlyMap<string, StoredEntry>> {
    if (!this.#reads.mayCall()) return NOTHING
    const failed = (error: unknown): ReadonlyMap<string, StoredEntry> => {
      this.#failed('read', null, error)
      return NOTHING
    }
    let result: MaybePromise<readonly ReadOutcome[]>
    try {
      result = store.readMany(keys)
    } catch (error) {
      return failed(error)
    }
    return isPromise(result)
      ? this.soon(result, keys.length).then((outcomes) => this.#checkedBatch(keys, outcomes), failed)
      : this.#checkedBatch(keys, result)
  }

  #checkedBatch(keys: readonly string[], outcomes: readonly ReadOutcome[]): ReadonlyMap<string, StoredEntry> {
    const found = new Map<string, StoredEntry>()
    if (!Array.isArray(outcomes) || outcomes.length !== keys.length) {
      this.#failed('read', null, corrupt(this.store.name, 'a malformed answer'))
      return found
    }
    // Failures first, and as one: a store that could read any of the keys is not down.
    let counts = true
    keys.forEach((key, index) => {
      const outcome: ReadOutcome = outcomes[index]
      if (!(outcome instanceof Error)) return
      this.#readFailed(key, outcome, counts)
      counts &&= !isIll(outcome)
    })
    keys.forEach((key, index) => {
      const outcome: ReadOutcome = outcomes[index]
      const entry = outcome instanceof Error ? undefined : this.#checked(key, outcome)
      if (entry) found.set(key, entry)
    })
    return found
  }

  /** Whoever reads the key now waits for this. */
  #joinable(key: string, result: Promise<StoredEntry | undefined>): void {
    this.#reading.set(key, result)
    void result.then(() => {
      if (this.#reading.get(key) === result) this.#reading.delete(key)
    })
  }

  /** Reads what is there from now on: no read that began before is joined. */
  readAnew(key: string): MaybePromise<StoredEntry | undefined> {
    return chain(this.readKnown(key), orNothing)
  }

  /** Reads anew, and tells what is not there (undefined) from what could not be read (null). */
  readKnown(key: string): MaybePromise<StoredEntry | undefined | null> {
    const result = this.#asked(key)
    return isPromise(result) ? this.#readLater(key, result, same) : result
  }

  /** What the store says at once, checked; or its promise, as it is. */
  #asked(key: string): StoredEntry | undefined | null | Promise<StoredEntry | undefined> {
    if (!this.#reads.mayCall()) return null
    try {
      const result = this.store.read(key)
      return isPromise(result) ? result : this.#checked(key, result)
    } catch (error) {
      return this.#readFailed(key, error)
    }
  }

  /** What `map` makes of an answer that takes a while. */
  #readLater<T>(
    key: string,
    result: Promise<StoredEntry | undefined>,
    map: (entry: StoredEntry | undefined | null) => T,
  ): Promise<T> {
    const limit = this.#options.readTimeout
    return settledInTime(result, limit, {
      answered: (entry) => map(this.#checked(key, entry)),
      failed: (error) => map(this.#readFailed(key, error)),
      late: () => this.#late('read', limit),
    })
  }

  #readFailed(key: string, error: unknown, counts: boolean = true): null {
    this.#failed('read', key, error, counts)
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') this.#discard(key)
    return null
  }

  /** B30, B40: an entry is what it says and is the one asked for. */
  #checked(key: string, entry: StoredEntry | undefined): StoredEntry | undefined | null {
    this.#reads.succeeded()
    if (entry === undefined) return undefined
    if (typeof entry !== 'object' || entry === null || !isTrusted(entry.meta)) {
      if (!isSoundEntry(entry)) return this.#readFailed(key, corrupt(this.store.name, 'a malformed entry'))
    }
    if (entry.meta.key !== key) return this.#readFailed(key, corrupt(this.store.name, 'the entry of another key'))
    if (this.#tombstones.cover(entry)) return undefined
    return clipped(entry)
  }

  /** Nobody joins a read that began before a change: it may have seen what was there until then. */
  #changing<T>(keys: readonly string[], change: () => MaybePromise<T>): MaybePromise<T> {
    const forget = (): void => {
      if (this.#reading.size > 0) for (const key of keys) this.#reading.delete(key)
    }
    forget()
    const result = change()
    if (isPromise(result)) void result.then(forget, forget)
    return result
  }

  /** Whether the entry was written. */
  write(
    head: EntryHead,
    body: Uint8Array | ReadableStream<Uint8Array>,
    options: WriteOptions = NO_OPTIONS,
  ): MaybePromise<boolean> {
    const { key } = head
    const began = this.#tombstones.serial
    const gathered = options.gathered === true && body instanceof Uint8Array && this.#mayGather(key)
    return this.#attempt({
      options,
      gathered,
      operation: 'write',
      key,
      call: () =>
        this.#tombstones.writing(
          key,
          this.#changing([key], () => this.#written(head, body, gathered ? options : null)),
        ),
      map: () => {
        this.#tombstones.written(key, began)
        return true
      },
      otherwise: false,
      unlimited: !(body instanceof Uint8Array) && options.size === undefined,
    })
  }

  /** How a gathered write went is told later: too late for a store that fails (rule 4), and for a key that shows again what was deleted (rule 3). */
  #mayGather(key: string): boolean {
    return isGathering(this.store) && this.#writes.isSound && !this.#tombstones.has(key)
  }

  /** What nobody waits for goes together with others, where the store can do that. */
  #written(
    head: EntryHead,
    body: Uint8Array | ReadableStream<Uint8Array>,
    gathered: WriteOptions | null,
  ): MaybePromise<Version | void> {
    const { store } = this
    if (gathered === null || !(body instanceof Uint8Array) || !isGathering(store)) return store.write(head, body)
    return store.writeSoon(head, body, (error) => {
      this.#failed('write', head.key, error)
      gathered.lost?.()
    })
  }

  update(key: string, change: EntryChange, version: Version): MaybePromise<boolean> {
    return this.#attempt({
      operation: 'update',
      key,
      call: () => this.#changing([key], () => this.store.update(key, change, version)),
      map: same,
      otherwise: false,
    })
  }

  /** How many were deleted; what could not be deleted is buried here. */
  delete(keys: readonly string[]): MaybePromise<number> {
    if (keys.length === 0) return 0
    this.#tombstones.deleting(keys)
    const bury = (): number => {
      this.#tombstones.bury(keys)
      return 0
    }
    const done = this.#attempt({
      operation: 'delete',
      key: keys[0] ?? null,
      call: () => this.#changing(keys, () => this.store.delete(keys)),
      map: same,
      otherwise: -1,
    })
    if (isPromise(done)) return done.then((count) => (count < 0 ? bury() : count))
    return done < 0 ? bury() : done
  }

  /**
   * Deletes what a query selects, for as long as that takes; how many. What fails is none of the caller's affair (B42): nothing depends on
   * expired entries being gone. 0 where the store cannot list.
   */
  deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): MaybePromise<number> {
    const { store } = this
    if (!isListable(store)) return 0
    return this.#attempt({
      operation: 'delete',
      key: null,
      call: () => store.deleteWhere(query),
      map: same,
      otherwise: 0,
      unlimited: true,
    })
  }

  /** Empties the store: nobody joins a read that began before, and what is being written is buried. Unlike the rest of this class, it throws. */
  async emptied(empty: () => MaybePromise<void>): Promise<void> {
    this.#reading.clear()
    this.#tombstones.emptying()
    try {
      await empty()
    } finally {
      this.#reading.clear()
    }
  }

  /** Whether the lock was taken; null: the store cannot lock, or failed to. */
  lock(name: string, owner: string, lease: number): MaybePromise<boolean | null> {
    const { store } = this
    if (!isLocking(store)) return null
    return this.#attempt<boolean, boolean | null>({
      operation: 'lock',
      key: name,
      call: () => store.lock(name, owner, lease),
      map: same,
      otherwise: null,
    })
  }

  /** Whether the lease is still its owner's; a store that fails to say so says no. */
  renew(name: string, owner: string, lease: number): MaybePromise<boolean> {
    const { store } = this
    if (!isLocking(store)) return false
    return this.#attempt({
      operation: 'lock',
      key: name,
      call: () => store.renew(name, owner, lease),
      map: same,
      otherwise: false,
    })
  }

  /** Gives a lock back; where that fails, its lease ends by itself. */
  unlock(name: string, owner: string): MaybePromise<boolean> {
    const { store } = this
    if (!isLocking(store)) return false
    return this.#attempt({
      operation: 'lock',
      key: name,
      call: () => store.unlock(name, owner),
      map: same,
      otherwise: false,
    })
  }

  #discard(key: string): void {
    void this.delete([key])
  }

  #attempt<T, U>(attempt: Attempt<T, U>): MaybePromise<U> {
    if (!this.#writes.mayCall()) return attempt.otherwise
    let result: MaybePromise<T>
    try {
      result = attempt.call()
    } catch (error) {
      return this.#attemptFailed(attempt, error)
    }
    if (!isPromise(result)) return this.#attemptSucceeded(attempt, result)
    const limited = attempt.unlimited ? result : this.#inTime(result, attempt)
    return limited.then(
      (value) => this.#attemptSucceeded(attempt, value),
      (error: unknown) => this.#attemptFailed(attempt, error),
    )
  }

  #attemptSucceeded<T, U>(attempt: Attempt<T, U>, value: T): U {
    if (!attempt.gathered) this.#writes.succeeded()
    return attempt.map(value)
  }

  #attemptFailed<T, U>({ operation, key, otherwise, options }: Attempt<T, U>, error: unknown): U {
    if (!options?.isOwnFailure?.(error)) this.#failed(operation, key, error)
    return otherwise
  }

  #inTime<T, U>(result: Promise<T>, { operation, options = NO_OPTIONS }: Attempt<T, U>): Promise<T> {
    const { late, background, size = 0 } = options
    const limit = this.#options.writeTimeout + size / 1000
    return inTime(result, limit, background ? quietlyAfter : after, () => {
      if (late) result.then(late, () => undefined)
      return this.#late(operation, limit)
    })
  }

  #late(operation: StoreOperation, timeout: number): StoreError {
    return new StoreError(
      'ERR_STORE_TIMEOUT',
      `the ${this.store.name} store took longer than ${timeout} ms to ${operation}`,
    )
  }

  /**
   * What a store reads, as long as that may take: a millisecond more for each further key.
   * @throws StoreError ERR_STORE_TIMEOUT, or what the store fails with
   */
  soon<T>(result: Promise<T>, keys: number = 1): Promise<T> {
    const limit = this.#options.readTimeout + keys - 1
    return inTime(result, limit, after, () => this.#late('read', limit))
  }

  /** Reports a failure of the store; for failures met elsewhere (a body stream that breaks), too. */
  report(operation: StoreOperation, key: string | null, error: unknown): void {
    this.#failed(operation, key, error)
    if (key !== null && error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') this.#discard(key)
  }

  /** `counts`: it is one more failure of the store. */
  #failed(operation: StoreOperation, key: string | null, error: unknown, counts: boolean = true): void {
    const known = asStoreError(error, operation, this.store.name)
    // What a filter throws is the user's.
    if (counts && operation !== 'filter' && isIll(known)) (operation === 'read' ? this.#reads : this.#writes).failed()
    this.#events.emit({ type: 'error', operation, key, error: known })
  }
}

/** A corrupt or too large entry says nothing about the health of the store. */
function isIll({ code }: StoreError): boolean {
  return code !== 'ERR_STORE_CORRUPT' && code !== 'ERR_STORE_FULL'
}

function orNothing(entry: StoredEntry | undefined | null): StoredEntry | undefined {
  return entry ?? undefined
}

function isSoundEntry(entry: unknown): entry is StoredEntry {
  if (typeof entry !== 'object' || entry === null) return false
  const { meta, body, createdAt, expiresAt, version } = entry as Partial<StoredEntry>
  if (typeof createdAt !== 'number' || typeof expiresAt !== 'number') return false
  if (typeof version !== 'number' && typeof version !== 'string') return false
  if (typeof body !== 'object' || body === null || typeof body.size !== 'number' || typeof body.open !== 'function')
    return false
  if (body.bytes !== null && !(body.bytes instanceof Uint8Array && body.bytes.length === body.size)) return false
  return isValidMeta(meta)
}

function corrupt(store: string, what: string): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', `the ${store} store returned ${what}`)
}

const NOTHING: ReadonlyMap<string, StoredEntry> = new Map()
const NO_OPTIONS: WriteOptions = Object.freeze({})

/** How a write is made that nobody waits for. */
export const IN_BACKGROUND: WriteOptions = Object.freeze({ background: true })

function same<T>(value: T): T {
  return value
}
