/**
 * A store whose entries a wrapper changes on their way in and back out: compression, encryption, signatures (feature B10).
 *
 * Rule 1: the store inside sees metadata of kind 'wrapped' and a body that is the wrapper's; it is a store like any other to it.
 * Rule 2: what the store inside can do (list, lock, read many at once, track), the wrapped one can; what it cannot, this one does not claim to.
 * Rule 3: what cannot be unwrapped is ERR_STORE_CORRUPT when it is read, and skipped when it is listed.
 * Rule 4: nothing waits that need not: over a synchronous store small entries are read synchronously.
 */
import { StoreError } from '../errors.ts'
import { chain, together } from '../engine/maybe.ts'
import { isValidMeta } from '../engine/meta.ts'
import {
  isBatchReading,
  isListable,
  isLocking,
  type BatchReadingStore,
  type EntryChange,
  type EntryHead,
  type EntryMeta,
  type ListableStore,
  type ListedEntry,
  type ListQuery,
  type MaybePromise,
  type ReadOutcome,
  type Store,
  type StoredEntry,
  type StoreLimits,
  type StoreSize,
  type Version,
} from '../engine/ports.ts'
import { checkStore } from './options.ts'
import { locksOf } from './passed-on.ts'
import { outcomeOf } from './read-many.ts'
import { Recent } from './recent.ts'
import { arranged } from './listing.ts'
import { isTracking, type Tracking } from './tiered-coherence.ts'

export type Bytes = Uint8Array | ReadableStream<Uint8Array>

/** A head and a body on their way into a store. */
export interface Parcel {
  readonly head: EntryHead
  readonly body: Bytes
}

/** A head with the version it was read at. */
export interface VersionedHead extends EntryHead {
  readonly version: Version
}

/** What a wrapper does to entries. `stored` is always as the store inside has it. */
export interface Wrapper {
  /** What it makes of a store, for messages: 'compressed'. */
  readonly title: string
  limits(inner: StoreLimits): StoreLimits
  /** What the store inside calls a key, or a lock. */
  nameOf(key: string): string
  /** By what order of listing the store inside sorts otherwise than by what the caller is given. */
  readonly reorders: readonly NonNullable<ListQuery['order']>[]
  /** The store inside does not know the keys: they are in the heads. */
  readonly hidesKeys: boolean
  wrap(head: EntryHead, body: Bytes): MaybePromise<Parcel>
  /** @throws StoreError ERR_STORE_CORRUPT */
  unwrap(key: string, stored: StoredEntry): MaybePromise<StoredEntry>
  /** A change of metadata in the form the store inside takes. @throws StoreError ERR_STORE_CORRUPT */
  change(key: string, stored: VersionedHead, change: EntryChange): EntryChange
  /** @throws StoreError ERR_STORE_CORRUPT */
  list(stored: ListedEntry): ListedEntry
}

class WrappedStore<S extends Store> implements Store {
  readonly name: string
  readonly limits: StoreLimits
  protected readonly inner: S
  protected readonly wrapper: Wrapper
  /** Heads kept at hand: an update of what was just read reads nothing again. */
  readonly #heads = new Recent<VersionedHead>()

  constructor(inner: S, wrapper: Wrapper) {
    this.inner = inner
    this.wrapper = wrapper
    this.name = `${wrapper.title} ${inner.name}`
    this.limits = wrapper.limits(inner.limits)
  }

  read(key: string): MaybePromise<StoredEntry | undefined> {
    return chain(this.inner.read(this.wrapper.nameOf(key)), (stored) => this.#unwrap(key, stored))
  }

  #unwrap(key: string, stored: StoredEntry | undefined): MaybePromise<StoredEntry | undefined> {
    if (stored === undefined) return undefined
    this.#remember(key, stored)
    return this.wrapper.unwrap(key, stored)
  }

  /** What a batched read of the store inside found, as this one gives it. */
  unwrapped(key: string, stored: ReadOutcome): MaybePromise<ReadOutcome> {
    return stored instanceof StoreError ? stored : outcomeOf(() => this.#unwrap(key, stored))
  }

  #remember(key: string, { meta, createdAt, expiresAt, keepUntil, version, ...stored }: StoredEntry): void {
    this.#heads.set(key, { key: stored.key, meta, createdAt, expiresAt, keepUntil, version })
  }

  write(head: EntryHead, body: Bytes): MaybePromise<Version | void> {
    return chain(this.wrapper.wrap(head, body), (parcel) => this.inner.write(parcel.head, parcel.body))
  }

  update(key: string, change: EntryChange, version: Version): MaybePromise<boolean> {
    const name = this.wrapper.nameOf(key)
    const known = this.#heads.get(key)
    const stored = known?.version === version ? known : this.inner.read(name)
    return chain<VersionedHead | undefined, boolean>(stored, (head) => {
      if (head?.version !== version) return false
      return this.inner.update(name, this.wrapper.change(key, head, change), version)
    })
  }

  delete(keys: readonly string[]): MaybePromise<number> {
    for (const key of keys) this.#heads.delete(key)
    return this.inner.delete(keys.map((key) => this.wrapper.nameOf(key)))
  }

  close(): MaybePromise<void> {
    this.#heads.clear()
    return this.inner.close()
  }
}

type BatchReads = Pick<BatchReadingStore, 'readMany'>

function batchReadsOf(inner: BatchReadingStore, made: WrappedStore<Store>, wrapper: Wrapper): BatchReads {
  return {
    readMany: (keys) =>
      chain(inner.readMany(keys.map((key) => wrapper.nameOf(key))), (stored) =>
        together(keys.map((key, index) => made.unwrapped(key, stored[index]))),
      ),
  }
}

/** The channel of the store inside, which knows keys by the names they have there. */
function trackingOf(inner: Tracking, wrapper: Wrapper): Tracking {
  return {
    nameOf: (key) => inner.nameOf(wrapper.nameOf(key)),
    has: (key, version) => inner.has(wrapper.nameOf(key), version),
    publish: (keys) => inner.publish(keys),
    subscribe: (listener) => inner.subscribe(listener),
    close: () => inner.close(),
  }
}

class ListableWrapped<S extends ListableStore> extends WrappedStore<S> implements ListableStore {
  keys(): AsyncIterable<string> {
    return this.wrapper.hidesKeys ? this.#keys() : this.inner.keys()
  }

  async *#keys(): AsyncGenerator<string> {
    for await (const { key } of this.entries()) yield key
  }

  entries(query: ListQuery = {}): AsyncIterable<ListedEntry> {
    const { order, limit, descending, ...selection } = query
    const last = limit === undefined ? {} : { limit }
    if (order === undefined) return arranged(this.#listed(selection), last)
    const sorted = { order, descending: descending ?? false }
    return this.wrapper.reorders.includes(order)
      ? arranged(this.#listed(selection), { ...sorted, ...last })
      : arranged(this.#listed({ ...selection, ...sorted }), last)
  }

  async *#listed(query: ListQuery): AsyncGenerator<ListedEntry> {
    for await (const stored of this.inner.entries(query)) {
      const entry = soundOrNull(() => this.wrapper.list(stored))
      if (entry !== null) yield entry
    }
  }

  size(): MaybePromise<StoreSize> {
    return this.inner.size()
  }

  clear(): MaybePromise<void> {
    return this.inner.clear()
  }

  deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    return this.inner.deleteWhere(query)
  }
}

function soundOrNull<T>(make: () => T): T | null {
  try {
    return make()
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return null
    throw error
  }
}

/** The store, wrapped: listable if it is listable, locking if it is locking. */
export function wrapStore(inner: Store, wrapper: Wrapper): Store {
  checkStore(wrapper.title, 'store', inner)
  const made = isListable(inner) ? new ListableWrapped(inner, wrapper) : new WrappedStore(inner, wrapper)
  if (isBatchReading(inner)) Object.assign(made, batchReadsOf(inner, made, wrapper))
  if (isTracking(inner)) Object.assign(made, { tracking: () => trackingOf(inner.tracking(), wrapper) })
  return isLocking(inner)
    ? Object.assign(
        made,
        locksOf(
          () => inner,
          (name) => wrapper.nameOf(name),
        ),
      )
    : made
}

/** Metadata for the store inside, trusted when it comes back by reference. */
export function wrappedMeta(key: string, by: string, data: string): EntryMeta {
  const meta: unknown = { kind: 'wrapped', key, by, data }
  if (!isValidMeta(meta)) throw new TypeError('wrapped metadata is made of strings')
  return meta
}

/** What a proof of an entry's metadata covers beside the metadata: for another key, or other instants, it proves nothing. */
export type Proved = Omit<EntryHead, 'meta'>

export function isProvedFor(known: Proved, { key, createdAt, expiresAt, keepUntil }: Proved): boolean {
  return (
    known.key === key && known.createdAt === createdAt && known.expiresAt === expiresAt && known.keepUntil === keepUntil
  )
}

export function corrupt(what: string, cause?: unknown): StoreError {
  const options = cause === undefined ? undefined : { cause }
  return new StoreError('ERR_STORE_CORRUPT', `The stored entry cannot be unwrapped: ${what}.`, options)
}
