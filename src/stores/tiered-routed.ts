/**
 * One store made of several, each for some keys (row 220): long-lived things on disk, the rest in memory; one database a customer.
 *
 * Rule 1: a key's store is a function of the key alone, the same for ever: what moves to another store is not found there.
 * Rule 2: it lists if all can, and locks if all can.
 */
import {
  isListable,
  isLocking,
  type BatchReadingStore,
  type EntryChange,
  type EntryHead,
  type ListableStore,
  type ListedEntry,
  type ListQuery,
  type LockingStore,
  type MaybePromise,
  type ReadOutcome,
  type Store,
  type StoredEntry,
  type StoreLimits,
  type StoreSize,
  type Version,
} from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { checkOptions, checkStore, wrong } from './options.ts'
import { locksOf, type Listing } from './passed-on.ts'
import { outcomeNow, outcomeOf, readManyOf } from './read-many.ts'
import { arranged } from './listing.ts'

/** What a route is chosen by. */
export interface RoutedKey {
  readonly key: string
  /** The URL in a key of the cache (`GET https://…`); null: it is none, as with `keyFn` or `memoize`. */
  readonly url: string | null
}

export interface RoutedOptions<S extends Store = Store> {
  /** The stores by the names that `route` gives. All are closed with the routed store. */
  readonly stores: Readonly<Record<string, S>>
  /** The name of the store for a key. */
  readonly route: (key: RoutedKey) => string
}

/**
 * A store that is another one for some keys.
 *
 * @example
 * ```ts
 * import { MemoryStore } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 * import { RoutedStore } from 'keepfresh/tiered'
 *
 * const store = new RoutedStore({
 *   stores: { images: new SqliteStore('images.db'), rest: new MemoryStore() },
 *   route: ({ url }) => (url?.includes('/images/') ? 'images' : 'rest'),
 * })
 * ```
 */
export class RoutedStore implements BatchReadingStore {
  readonly name = 'routed' as const
  readonly limits: StoreLimits
  readonly #stores: ReadonlyMap<string, Store>
  readonly #route: (key: RoutedKey) => string

  /** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
  constructor(options: RoutedOptions) {
    checkOptions('RoutedStore', options, { stores: { type: 'object' }, route: { type: 'function' } })
    this.#stores = new Map(Object.entries(options.stores ?? {}))
    // One store may be there under several names: it is listed, and closed, once.
    const all = [...new Set(this.#stores.values())]
    if (all.length === 0) throw wrong('RoutedStore', 'stores', 'must hold at least one store')
    for (const [name, store] of this.#stores) checkStore('RoutedStore', `stores.${name}`, store)
    if (typeof options.route !== 'function') throw wrong('RoutedStore', 'route', 'must be a function')
    this.#route = options.route
    this.limits = {
      maxEntrySize: Math.max(...all.map(({ limits }) => limits.maxEntrySize)),
      inlineSize: Math.min(...all.map(({ limits }) => limits.inlineSize)),
      persistent: all.every(({ limits }) => limits.persistent),
      shared: all.some(({ limits }) => limits.shared),
    }
    if (all.every(isListable)) Object.assign(this, listingOf(all))
    const locking = new Map([...this.#stores].filter((pair): pair is [string, LockingStore] => isLocking(pair[1])))
    if (locking.size === this.#stores.size)
      Object.assign(
        this,
        locksOf((name) => this.#among(locking, name)),
      )
  }

  #for(key: string): Store {
    return this.#among(this.#stores, key)
  }

  /** @throws StoreError ERR_STORE_FAILED where the route leads to no store */
  #among<S extends Store>(stores: ReadonlyMap<string, S>, key: string): S {
    const [, url = null] = /^[A-Z]+ ([a-z][a-z0-9+.-]*:[^\n]*)/i.exec(key) ?? []
    const name = this.#route({ key, url })
    const store = stores.get(name)
    if (store !== undefined) return store
    const message = `The route of a key leads to the store ${name}, which there is not: there are ${[...stores.keys()].join(', ')}.`
    throw new StoreError('ERR_STORE_FAILED', message)
  }

  read(key: string): MaybePromise<StoredEntry | undefined> {
    return this.#for(key).read(key)
  }

  /** Each store is asked for its own; where one fails, the keys of the others are none the worse. */
  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    const stores = keys.map((key) => outcomeNow(() => this.#for(key)))
    const outcomes: ReadOutcome[] = stores.map((store) => (store instanceof StoreError ? store : undefined))
    const groups = Map.groupBy(keys.keys(), (index) => stores[index])
    const asked = [...groups].map(async ([store, indexes]) => {
      if (store === undefined || store instanceof StoreError) return
      const found = await outcomeOf(() =>
        readManyOf(
          store,
          indexes.map((index) => keys[index] ?? ''),
        ),
      )
      indexes.forEach((index, n) => (outcomes[index] = found instanceof StoreError ? found : found[n]))
    })
    await Promise.all(asked)
    const [first] = outcomes
    if (first instanceof StoreError && outcomes.every((outcome) => outcome instanceof StoreError)) throw first
    return outcomes
  }

  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): MaybePromise<Version | void> {
    return this.#for(head.key).write(head, body)
  }

  update(key: string, change: EntryChange, version: Version): MaybePromise<boolean> {
    return this.#for(key).update(key, change, version)
  }

  async delete(keys: readonly string[]): Promise<number> {
    const groups = Map.groupBy(keys, (key) => this.#for(key))
    return sum(await Promise.all([...groups].map(([store, some]) => store.delete(some))))
  }

  /** Closes all of them. @throws the error of the first that could not be closed, or AggregateError of several */
  async close(): Promise<void> {
    const closing = Array.from(new Set(this.#stores.values()), async (store) => store.close())
    const outcomes = await Promise.allSettled(closing)
    const errors = outcomes.flatMap((outcome): unknown[] => (outcome.status === 'rejected' ? [outcome.reason] : []))
    if (errors.length > 1)
      throw new AggregateError(errors, `${errors.length} stores of a routed one could not be closed.`)
    if (errors.length === 1) throw errors[0]
  }
}

/**
 * A RoutedStore whose type says what its stores can.
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE
 *
 * @example
 * ```ts
 * import { createCachedFetch, MemoryStore } from 'keepfresh'
 * import { FileStore } from 'keepfresh/file'
 * import { routed } from 'keepfresh/tiered'
 *
 * const store = routed({
 *   stores: { images: new FileStore('images'), rest: new MemoryStore() },
 *   route: ({ url }) => (url?.includes('/images/') ? 'images' : 'rest'),
 * })
 * const fetch = createCachedFetch({ store })
 * const response = await fetch('https://example.com/images/1')
 * console.log(response.ok) // true
 * ```
 */
export function routed(options: RoutedOptions<ListableStore & LockingStore>): RoutedStore & ListableStore & LockingStore
export function routed(options: RoutedOptions<ListableStore>): RoutedStore & ListableStore
export function routed(options: RoutedOptions<LockingStore>): RoutedStore & LockingStore
export function routed(options: RoutedOptions): RoutedStore
export function routed(options: RoutedOptions): RoutedStore {
  return new RoutedStore(options)
}

function listingOf(stores: readonly ListableStore[]): Listing {
  const together = async function* <T>(list: (store: ListableStore) => AsyncIterable<T>): AsyncGenerator<T> {
    for (const store of stores) yield* list(store)
  }
  return {
    keys: () => together((store) => store.keys()),
    // Each gives what it has in order, up to the limit; they are put in order together.
    entries: (query: ListQuery = {}): AsyncIterable<ListedEntry> =>
      arranged(
        together((store) => store.entries(query)),
        query,
      ),
    size: async (): Promise<StoreSize> => {
      const sizes = await Promise.all(stores.map((store) => store.size()))
      return { entries: sum(sizes.map(({ entries }) => entries)), bytes: sum(sizes.map(({ bytes }) => bytes)) }
    },
    clear: async (): Promise<void> => {
      await Promise.all(stores.map((store) => store.clear()))
    },
    deleteWhere: async (query) => sum(await Promise.all(stores.map((store) => store.deleteWhere(query)))),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0)
}
