/** AsyncCache: values under keys, and the function that brings what is missing. */
import { isPromise } from '../engine/maybe.ts'
import { NEVER } from '../engine/ports.ts'
import { keyOf, textOf } from './argument-key.ts'
import { Batch, type BatchFunction } from './batch.ts'
import { Core } from './core.ts'
import type { Draft, Id, InvalidateMode } from './entry.ts'
import type { MemoEvent, MemoEventOf, MemoEventType, MemoStats } from './events.ts'
import type { LoadContext } from './filling.ts'
import {
  checkCall,
  checkEvent,
  checkFunction,
  checkIterable,
  checkSet,
  checkTags,
  settingsOf,
  show,
  wrongGiven,
  type AsyncCacheOptions,
  type CallOptions,
  type SetOptions,
} from './options.ts'

const NONE: CallOptions = Object.freeze({})

/** One entry, as `entries()` lists them. */
export interface CacheItem<K, V> {
  readonly key: K
  readonly value: V
  readonly createdAt: Date
  /** Null: never. */
  readonly expiresAt: Date | null
  /** Past its freshness, but still of use as the options say. */
  readonly stale: boolean
  readonly tags: readonly string[]
}

/** For memoize and @cached: how a key becomes an id, the machine of another cache, and who is to be named in errors. */
interface Inside<K, V> {
  readonly idOf?: (key: K) => Id
  readonly core?: Core<K, V>
  readonly where?: string
}

/** What AsyncCache and memoize share; not part of the public interface. @internal */
export let coreOf: <K, V>(cache: AsyncCache<K, V>) => Core<K, V>

/**
 * A cache of values that come asynchronously. Keys are compared by value; values are kept by reference in memory, or, with their types, in
 * any store.
 *
 * @example
 * ```ts
 * import { AsyncCache } from 'keepfresh/memo'
 *
 * const users = new AsyncCache<number, string>({ ttl: '5m', maxSize: 1000 })
 * const load = async ({ signal }: { signal: AbortSignal }): Promise<string> => {
 *   const response = await fetch('https://api.example.com/users/42', { signal })
 *   return response.text()
 * }
 * const user = await users.getOrSet(42, load)
 * console.log(user === (await users.get(42))) // true
 * ```
 */
export class AsyncCache<K = string, V = unknown> implements AsyncDisposable {
  static {
    coreOf = (cache) => cache.#core
  }

  readonly #core: Core<K, V>
  readonly #idOf: (key: K) => Id

  /** @throws OptionError for an unknown option (with the nearest name) or a wrong value */
  constructor(options?: AsyncCacheOptions<K, V>)
  /** @internal */
  constructor(options: AsyncCacheOptions<K, V>, inside: Inside<K, V>)
  constructor(options: AsyncCacheOptions<K, V> = {}, inside: Inside<K, V> = {}) {
    this.#core = inside.core ?? new Core<K, V>(settingsOf(options, inside.where ?? 'AsyncCache'))
    const { key } = this.#core.settings
    this.#idOf = inside.idOf ?? (key === null ? keyOf : (given: K) => keyOf(key(given)))
  }

  /** The `name` option; '' without one. */
  get name(): string {
    return this.#core.settings.name
  }

  /**
   * The value under the key; where there is none that is fresh, the function's, which is then kept. Calls for the same key wait for one and
   * the same call of the function.
   * @throws what the function throws; OptionError ERR_KEY for a key without a value; the signal's reason; a TimeoutError (`hardTimeout`);
   * StateError once the cache is closed, or where the function would wait for itself
   */
  getOrSet(key: K, fn: (context: LoadContext<K>) => V | PromiseLike<V>, options: CallOptions = NONE): Promise<V> {
    try {
      if (typeof fn !== 'function') checkFunction(fn, 'getOrSet', 'the second argument')
      const id = this.#idOf(key)
      if (options === NONE) {
        const hit = this.#core.hit(id)
        if (hit !== undefined) return hit
      } else checkCall(options, 'getOrSet')
      return this.#core.load({ id, key, fn, options })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Calls the function whatever is there, and keeps what it brings; a call under way that began earlier is not waited for. */
  refresh(
    key: K,
    fn: (context: LoadContext<K>) => V | PromiseLike<V>,
    options: Omit<CallOptions, 'refresh'> = NONE,
  ): Promise<V> {
    try {
      if (options !== NONE) checkCall(options, 'refresh')
      return this.getOrSet(key, fn, { ...options, refresh: true })
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** The value if there is a fresh one, else undefined. */
  get(key: K): Promise<V | undefined> {
    try {
      this.#core.assertOpen()
      const id = this.#idOf(key)
      return this.#core.hit(id) ?? this.#find(id)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #find(id: Id): Promise<V | undefined> {
    return this.#taken(id, await this.#core.installed(this.#core.keeper.find(id)))
  }

  #taken(id: Id, draft: Draft<K, V> | undefined): V | undefined {
    const { teller } = this.#core
    if (draft !== undefined && this.#isFresh(draft)) {
      teller.hit(id, draft, 'fresh')
      return this.#core.copy(draft.value as V)
    }
    teller.miss(id, draft === undefined ? 'absent' : 'stale')
    return undefined
  }

  /** As `get`, but it counts neither as a hit nor as a use. */
  async peek(key: K): Promise<V | undefined> {
    const draft = await this.#peek(key)
    return draft && this.#core.copy(draft.value as V)
  }

  /** Whether there is a fresh value, `undefined` and `null` included. */
  async has(key: K): Promise<boolean> {
    return (await this.#peek(key)) !== undefined
  }

  async #peek(key: K): Promise<Draft<K, V> | undefined> {
    this.#core.assertOpen()
    const draft = await this.#core.installed(this.#core.keeper.peek(this.#idOf(key)))
    return draft !== undefined && this.#isFresh(draft) ? draft : undefined
  }

  #isFresh(draft: Draft<K, V>): boolean {
    return !draft.failed && this.#core.clock.now() < draft.freshUntil
  }

  /**
   * Puts a value under the key, in place of what is there and of what is on its way.
   * @throws OptionError ERR_OPTION_VALUE for a value that the store cannot give back as it is, and for a promise, which may yet fail
   */
  async set(key: K, value: V, options: SetOptions = NONE): Promise<void> {
    checkSet(options, 'set')
    if (isPromise(value)) {
      // That it fails is told to nobody else.
      value.then(undefined, () => undefined)
      throw wrongGiven('value', 'set: the value must not be a promise; await it first, or use getOrSet')
    }
    await this.#core.set(this.#idOf(key), key, value, options)
  }

  /** The fresh values of the keys, in their order; undefined where there is none. */
  async getMany(keys: Iterable<K>): Promise<(V | undefined)[]> {
    this.#core.assertOpen()
    const ids = this.#idsOf(keys, 'getMany')
    const drafts = await this.#core.installed(this.#core.keeper.findMany(ids))
    return ids.map((id, index) => this.#taken(id, drafts[index]))
  }

  #idsOf(keys: Iterable<K>, where: string): Id[] {
    checkIterable(keys, where, 'keys')
    return Array.from(keys, this.#idOf)
  }

  /** Puts many values: pairs, or a Map. */
  async setMany(entries: Iterable<readonly [K, V]>, options: SetOptions = NONE): Promise<void> {
    checkIterable(entries, 'setMany', 'entries')
    const pairs = [...entries]
    for (const pair of pairs) checkIterable(pair, 'setMany', 'each entry')
    await Promise.all(pairs.map(([key, value]) => this.set(key, value, options)))
  }

  /**
   * The values of the keys, in their order. The function is called once for all that is missing, and brings their values in that order.
   * @throws what the function throws; a TypeError where it brings another number of values
   */
  async getOrSetMany(keys: Iterable<K>, fn: BatchFunction<K, V>, options: CallOptions = NONE): Promise<V[]> {
    checkCall(options, 'getOrSetMany')
    checkIterable(keys, 'getOrSetMany', 'keys')
    checkFunction(fn, 'getOrSetMany', 'the second argument')
    this.#core.assertOpen()
    const list = [...keys]
    return new Batch(this.#core, fn, options).load(list.map(this.#idOf), list)
  }

  /** Deletes what is under the key; whether there was anything. What a call under way brings is not kept. */
  async delete(key: K): Promise<boolean> {
    return (await this.#core.drop([this.#idOf(key)])) > 0
  }

  /** Deletes many; how many there were. */
  async deleteMany(keys: Iterable<K>): Promise<number> {
    return this.#core.drop(this.#idsOf(keys, 'deleteMany'))
  }

  /**
   * Invalidates what carries one of the tags: by default it is gone ('delete'), since only another call could tell whether a value holds; 'stale'
   * leaves it as a stale value, for what `staleWhileRevalidate` and `staleIfError` allow. (Of responses, which can be revalidated, 'stale' is the
   * default.) In a store, tags are shared with everything else there.
   */
  async invalidateTags(tags: string | readonly string[], mode: InvalidateMode = 'delete'): Promise<void> {
    const list = typeof tags === 'string' ? [tags] : tags
    checkTags(list, 'invalidateTags')
    if (mode !== 'delete' && mode !== 'stale')
      throw wrongGiven('mode', `invalidateTags: mode must be 'delete' or 'stale', not ${show(mode)}`)
    await this.#core.invalidateTags(list, mode)
  }

  /**
   * What is there, fresh or of use while stale, in no particular order. Keys that came from a store are copies.
   * @throws StateError ERR_NOT_LISTABLE where the store cannot list
   */
  async *entries(): AsyncGenerator<CacheItem<K, V>> {
    this.#core.assertOpen()
    for await (const draft of this.#core.keeper.entries()) {
      if (draft.failed || this.#core.verdict(draft) === 'gone') continue
      const { key, createdAt, freshUntil, tags } = draft
      const expiresAt = freshUntil >= NEVER ? null : new Date(freshUntil)
      const stale = this.#core.clock.now() >= freshUntil
      yield { key, value: this.#core.copy(draft.value as V), createdAt: new Date(createdAt), expiresAt, stale, tags }
    }
  }

  /** Removes what is of no use any more, without waiting for its turn; how many. @throws StateError ERR_NOT_LISTABLE */
  async deleteExpired(): Promise<number> {
    this.#core.assertOpen()
    return this.#core.installed(this.#core.keeper.deleteExpired())
  }

  /** Deletes everything of this cache, and nothing else in its store. @throws StateError ERR_NOT_LISTABLE */
  clear(): Promise<void> {
    return this.#core.clear()
  }

  /** Counts since the cache was made. */
  stats(): MemoStats {
    return this.#core.teller.counters.snapshot(this.#core.table?.count ?? null)
  }

  /** Calls the listener for each event of a type, or of any ('*'); what is returned ends that. */
  on(type: '*', listener: (event: MemoEvent) => void): () => void
  on<T extends MemoEventType>(type: T, listener: (event: MemoEventOf<T>) => void): () => void
  on<T extends MemoEventType>(type: T | '*', listener: (event: MemoEventOf<T>) => void): () => void {
    if (type !== '*') checkEvent(type, 'on')
    checkFunction(listener, 'on', 'the listener')
    return this.#core.teller.events.on(type, listener)
  }

  /** The text that stands for the key: what events call it. @throws OptionError ERR_KEY */
  cacheKey(key: K): string {
    return textOf(this.#idOf(key))
  }

  /** Ends the cache: later calls fail. Idempotent. The store stays open, unless `autoClose`. */
  close(): Promise<void> {
    return this.#core.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
