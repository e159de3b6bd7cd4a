/**
 * The ports of the engine: what a store, an origin and a clock must be. Everything else in keepfresh stands behind these.
 *
 * The store's rules:
 * 1. Keys are opaque strings of any length; an entry's `meta` is opaque data: Vary, freshness and tags never reach a store.
 * 2. A write becomes visible only when it is complete, and then as a whole; a failed write leaves what was there, or nothing.
 * 3. `update` changes metadata without touching the body, and only if the entry is still of that version.
 * 4. What a reader holds stays readable as the version it opened, or its stream fails: never a mix.
 * 5. A corrupt entry is reported by throwing StoreError with code 'ERR_STORE_CORRUPT'; a missing one is undefined.
 * 6. All methods may answer at once or by a promise: the engine awaits only promises, so that memory and SQLite hits stay synchronous.
 */
import type { ResponseMeta, TagMark, ValueMeta, VariantIndex, WrappedMeta } from '../policy/decision.ts'
import type { StoreError } from '../errors.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'

/** A value now, or a promise of it. */
export type MaybePromise<T> = T | Promise<T>

/** What an entry is, opaque to stores: plain JSON data, written and read by the codec in record.ts. */
export type EntryMeta = ResponseMeta | VariantIndex | TagMark | ValueMeta | WrappedMeta

/** An instant in ms since the epoch that never comes. */
export const NEVER: number = 8_640_000_000_000_000

/** What the engine writes beside the body. Instants are ms since the epoch; NEVER where there is none. */
export interface EntryHead {
  readonly key: string
  readonly meta: EntryMeta
  readonly createdAt: number
  /** From here on the entry is expired (stale): what deleteExpired removes. */
  readonly expiresAt: number
  /** From here on the entry is of no use to anyone: a store with native TTL may drop it. */
  readonly keepUntil: number
}

/** Tells two writes of one key apart; compared with ===. */
export type Version = string | number

/** A stored body that may be opened any number of times, each time anew. */
export interface StoredBody {
  /** Length in bytes. */
  readonly size: number
  /** The whole body where the store has it at hand (small entries); never modified by anyone. Null: open it. */
  readonly bytes: Uint8Array | null
  /** The bytes from `start` up to, but not including, `end`. A corrupt body fails the stream with a StoreError. */
  open(start: number, end: number): ReadableStream<Uint8Array>
}

export interface StoredEntry extends EntryHead {
  readonly version: Version
  readonly body: StoredBody
}

/** A change of metadata by a 304 or by resetExpiration. */
export interface EntryChange {
  readonly meta: EntryMeta
  readonly expiresAt: number
  readonly keepUntil: number
}

/** Facts about a store that the engine consults; declared, not discovered. */
export interface StoreLimits {
  /** The largest body in bytes the store takes; `Infinity` where only the disk limits it. */
  readonly maxEntrySize: number
  /** Bodies up to this many bytes are written whole (`Uint8Array`); longer ones as a stream. */
  readonly inlineSize: number
  /** Entries survive the process. */
  readonly persistent: boolean
  /** Several processes or machines use it at once by design (a server): where it can lock, the engine does so by default. */
  readonly shared: boolean
}

export interface Store {
  /** A short name for messages: 'memory', 'sqlite', ... */
  readonly name: string
  readonly limits: StoreLimits
  read(key: string): MaybePromise<StoredEntry | undefined>
  /**
   * Stores the entry under `head.key`, in place of what was there. The store consumes the stream; when the stream fails, nothing
   * is stored, what was there before stays, and the write rejects with the stream's own error; so it does, with a TypeError, where the
   * stream gives anything but Uint8Array. It may give the version it wrote, where it knows that without looking.
   *
   * The chunks of a stream are the store's own. A body given whole is not: it is kept or read, but never changed, and its buffer is not
   * transferred, since whoever asked reads the same bytes.
   */
  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): MaybePromise<Version | void>
  /** True if the entry still had this version and is changed; false if it is gone or was replaced. */
  update(key: string, change: EntryChange, version: Version): MaybePromise<boolean>
  /** Deletes any number of keys, ignoring missing ones; how many there were. */
  delete(keys: readonly string[]): MaybePromise<number>
  /** Releases everything; idempotent. Every other method then throws StoreError 'ERR_STORE_CLOSED'. */
  close(): MaybePromise<void>
}

/** What a batched read found under one key: the entry, nothing, or why this one could not be read. */
export type ReadOutcome = StoredEntry | StoreError | undefined

/**
 * A store that reads many keys in fewer steps than one each. A separate type: any store can be read key by key, and is where it has not this.
 */
export interface BatchReadingStore extends Store {
  /**
   * What is under each key, in the order of the keys, one answer each; a key that is named twice is answered twice. An entry is what `read`
   * gives, whether expired or not; where its body is long, it is opened later, as any. A missing one is undefined. One that cannot be read
   * (corrupt, of a later format, on a server that fails) is its StoreError, and the others are none the worse for it. The entries need not
   * be of one instant.
   * @throws StoreError where none of them could be asked for
   */
  readMany(keys: readonly string[]): MaybePromise<readonly ReadOutcome[]>
}

/**
 * Whether a store reads many keys at once.
 *
 * @example
 * ```ts
 * import { isBatchReading, type Store } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const store: Store = new SqliteStore(':memory:')
 * if (isBatchReading(store)) console.log(await store.readMany(['a', 'b'])) // [ undefined, undefined ]
 * ```
 */
export function isBatchReading(store: Store): store is BatchReadingStore {
  return has(store, 'readMany')
}

/** Whether it has all of these; what is no object has nothing. */
function has(store: unknown, ...names: readonly string[]): boolean {
  return typeof store === 'object' && store !== null && names.every((name) => name in store)
}

/** A store that can gather short writes and make them together. */
export interface GatheringStore extends Store {
  /**
   * Takes a body of at most `inlineSize` bytes, to be written soon. From now on whoever uses this store finds the entry, as if it were
   * written. `failed` is told, later, where it could not be.
   * @throws StoreError where the store cannot be used
   */
  writeSoon(head: EntryHead, body: Uint8Array, failed: (error: unknown) => void): void
  /** Writes what was taken, or tells that it failed, before it returns. */
  flush(): void
}

/** Whether a store gathers writes. */
export function isGathering(store: Store): store is GatheringStore {
  return has(store, 'writeSoon')
}

/** An entry as listed: everything but its body. */
export interface ListedEntry extends EntryHead {
  readonly version: Version
  /** Length of the body in bytes. */
  readonly size: number
}

export interface ListQuery {
  /** Only entries that expired at or before this instant (ms). */
  readonly expiredAt?: number
  /** Only entries that are not yet expired at this instant (ms). */
  readonly freshAt?: number
  /** Only entries created before this instant (ms). */
  readonly createdBefore?: number
  readonly order?: 'created' | 'expires' | 'size' | 'key'
  readonly descending?: boolean
  readonly limit?: number
}

export interface StoreSize {
  readonly entries: number
  /** Bytes used: bodies and metadata; for a store on disk, what it occupies there. */
  readonly bytes: number
}

/** A store that can say what it holds. A separate type, since some (Memcached) cannot. */
export interface ListableStore extends Store {
  keys(): AsyncIterable<string>
  /** Entries without their bodies; safe while entries change. A corrupt entry is skipped. */
  entries(query?: ListQuery): AsyncIterable<ListedEntry>
  size(): MaybePromise<StoreSize>
  clear(): MaybePromise<void>
  /** Deletes what the query selects without reading bodies, in slices that leave the event loop free; how many. */
  deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number>
}

/**
 * Whether a store can list what it holds; the compiler knows it then, too.
 *
 * @example
 * ```ts
 * import { isListable, MemoryStore, type Store } from 'keepfresh'
 *
 * const store: Store = new MemoryStore()
 * if (isListable(store)) for await (const key of store.keys()) console.log(key)
 * ```
 */
export function isListable(store: Store): store is ListableStore {
  return has(store, 'entries', 'keys', 'size', 'clear', 'deleteWhere')
}

/**
 * A store that can hold leases: mutual exclusion between processes (cross-process single-flight, RELIABILITY 69, 154).
 *
 * Lock names are opaque strings in a space of their own: locks are never listed, counted, cleared or mistaken for entries. A lease ends by
 * itself `lease` ms after it was taken or last renewed, by the store's own clock where it has one. Owners are unguessable strings.
 */
export interface LockingStore extends Store {
  /** Takes the lock for `lease` ms; false: another owner's lease is running (or this owner's own: use renew). */
  lock(name: string, owner: string, lease: number): MaybePromise<boolean>
  /** Prolongs a lease that this owner still holds, to `lease` ms from now; false: it ended, or is another's. */
  renew(name: string, owner: string, lease: number): MaybePromise<boolean>
  /** Gives the lock back; false: this owner did not hold it any more (and another's lease stays untouched). */
  unlock(name: string, owner: string): MaybePromise<boolean>
}

/** Whether a store has leases, by which processes ask the origin one at a time. */
export function isLocking(store: Store): store is LockingStore {
  return has(store, 'lock', 'renew', 'unlock')
}

/** A store that gives entries up for room, and can say so. */
export interface EvictingStore extends Store {
  /** Calls `listener` for each entry that had to go; returns a function that stops it. */
  watchEvictions(listener: (key: string, size: number, reason: 'entries' | 'bytes') => void): () => void
}

/** Whether a store gives entries up for room and can say so. */
export function isEvicting(store: Store): store is EvictingStore {
  return has(store, 'watchEvictions')
}

/** Time as an argument: ms since the epoch. */
export interface Clock {
  now(): number
}

/** A body as it comes in, read once: a stream, or what costs less than one. */
export type OriginBody = ReadableStream<Uint8Array> | PlainBody

/** What is used of a stream. */
export interface PlainBody {
  getReader(): OriginReader
  cancel(reason?: unknown): Promise<void>
}

export interface OriginReader {
  read(): Promise<OriginChunk>
  /** What `read` would give without waiting; null: nothing yet. It does not fail: `read` says why there will be no more. */
  atHand?(): OriginChunk | null
  cancel(reason?: unknown): Promise<void>
}

export type OriginChunk =
  | { readonly done: false; readonly value: Uint8Array }
  | { readonly done: true; readonly value?: Uint8Array | undefined }

/** What the origin answered: a head, and the body as it streams in (null: there is none). */
export interface OriginResponse extends ResponseHead {
  readonly body: OriginBody | null
  /** The body is already decoded although the headers say Content-Encoding. */
  readonly decoded: boolean
  /** Nothing but the end of the connection ends the body: one that was cut looks whole. */
  readonly undelimited?: boolean
  /** Made for the one who asked: it is passed on, and changes nothing of what others are given, not even by taking its place. */
  readonly personal?: boolean
  /** The status the origin gave, where this was put together with what is stored (completion.ts). */
  readonly originStatus?: number
  /** What must stay alive for an unread body to stay whole: undici empties the body of a Response that was collected. */
  readonly owner?: object
}

/** Asks the origin with exactly this head. The edge knows how (which fetch, which body, which other init fields). */
export type Origin = (request: RequestHead, signal: AbortSignal | null) => Promise<OriginResponse>
