/** `session.cache`: looking into the cache and taking things out of it (features I1, I2, I4, E6). */
import { OptionError, StateError } from '../errors.ts'
import type { ListedEntry, ListableStore, Store, StoreSize } from '../engine/ports.ts'
import { isListable, NEVER } from '../engine/ports.ts'
import type { CacheStats } from '../engine/stats.ts'
import type { ResponseMeta } from '../policy/decision.ts'
import { currentAge } from '../policy/age.ts'
import type { Exchange } from '../engine/exchange.ts'
import { entryHead } from '../engine/keeper.ts'
import { trust } from '../engine/meta.ts'
import { isSearchKey } from '../engine/searches.ts'
import { urlTag } from '../engine/tags.ts'
import { tellable } from './broadcast.ts'
import type { CacheClient } from './client.ts'
import { parseExpiry, parseSeconds, type Duration } from './durations.ts'
import { headerList, type CachedRequestInit, type FetchInput } from './incoming.ts'
import { compilePattern, type UrlPatternLike } from './url-rules.ts'
import { shown } from './shown.ts'
import { boolean, checkMembers, checkNames, expect, fn, type Check } from './validate.ts'

/** One stored response, without its body. */
export interface CacheEntry {
  readonly key: string
  readonly url: string
  readonly method: string
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly createdAt: Date
  /** Undefined: it never expires. */
  readonly expiresAt: Date | undefined
  readonly isExpired: boolean
  /** Bytes of the body. */
  readonly size: number
  readonly tags: readonly string[]
}

/** Which entries to list. */
export interface EntriesQuery {
  /** true: only expired ones, false: only fresh ones. Default both. */
  expired?: boolean
  filter?: (entry: CacheEntry) => boolean
  order?: 'created' | 'expires' | 'size' | 'key'
  descending?: boolean
  limit?: number
}

/** What to delete; several conditions select what meets any of them. */
export interface DeleteQuery {
  url?: FetchInput | readonly FetchInput[]
  key?: string | readonly string[]
  tag?: string | readonly string[]
  /** A glob on host and path, a RegExp, a URLPattern or a function. Needs a store that can list. */
  pattern?: UrlPatternLike
  /** All that have expired. Needs a store that can list. */
  expired?: boolean
  /** All that were stored longer ago than this: seconds or '30d'. Needs a store that can list. */
  olderThan?: Duration
}

/** How the client a cache belongs to asks: its base, headers, credentials and cookies are part of what is looked up. */
export interface Asking {
  /** A request as the client would send it. */
  prepare(input: FetchInput, init: CachedRequestInit | undefined): Promise<[FetchInput, CachedRequestInit | undefined]>
  fetch(input: FetchInput): Promise<Response>
}

/**
 * What a client has stored: `session.cache`, and `cache` of a cached fetch and of a server cache.
 *
 * Methods that list throw StateError ERR_NOT_LISTABLE where the store cannot (Memcached).
 *
 * @example
 * ```ts
 * const session = new CachedSession({ baseUrl: 'https://api.example.com' })
 * await (await session.get('/users')).json()
 * for await (const { url, expiresAt } of session.cache.entries({ expired: false })) console.log(url, expiresAt)
 * ```
 */
export class ResponseCache {
  readonly #client: () => Promise<CacheClient>
  readonly #asking: Asking

  /** @internal */
  constructor(client: () => Promise<CacheClient>, asking?: Asking) {
    this.#client = client
    this.#asking = asking ?? {
      prepare: async (input, init) => [input, init],
      fetch: async (input) => (await client()).fetch(input),
    }
  }

  /** The client, once what its callers have read to the end is stored. */
  async #landed(): Promise<CacheClient> {
    const client = await this.#client()
    await client.engine.upkeep.landed()
    return client
  }

  async #exchange(client: CacheClient, input: FetchInput, init?: CachedRequestInit): Promise<Exchange> {
    return client.exchangeFor(...(await this.#asking.prepare(input, init)))
  }

  /**
   * Whether a response is stored that could answer this request, fresh or not.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * console.log(await fetch.cache.has('https://api.example.com/users')) // true
   * ```
   */
  async has(input: FetchInput, init?: CachedRequestInit): Promise<boolean> {
    return (await this.get(input, init)) !== undefined
  }

  /**
   * The entry a request would be answered from, fresh or not; without its body.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * const entry = await fetch.cache.get('https://api.example.com/users')
   * console.log(entry?.status, entry?.isExpired) // 200 false
   * ```
   */
  async get(input: FetchInput, init?: CachedRequestInit): Promise<CacheEntry | undefined> {
    const client = await this.#landed()
    const entry = await client.engine.find(await this.#exchange(client, input, init))
    client.assertInstalled()
    return entry && view({ ...entry, size: entry.body.size }, client.settings.clock.now())
  }

  /**
   * Deletes what the query selects, all variants included; how many entries went (tags are not counted: they are marks).
   *
   * @throws OptionError ERR_PATTERN, ERR_DURATION, ERR_OPTION_VALUE; StoreError where a pattern or an age had to be looked for and the store failed.
   *   What else could not be deleted is not served again by this process.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await fetch.cache.delete({ url: 'https://api.example.com/users' })
   * await fetch.cache.delete({ tag: ['users', 'orders'] })
   * await fetch.cache.delete({ pattern: 'api.example.com/users/*', olderThan: '30d' }) // what meets either
   * ```
   */
  async delete(query: DeleteQuery): Promise<number> {
    checkMembers(query, CONDITIONS, 'delete')
    if (Object.values(query).every((condition) => condition === undefined))
      throw new OptionError(
        'ERR_OPTION_VALUE',
        'delete',
        `delete: say what: ${Object.keys(CONDITIONS).join(', ')}; clear() deletes everything`,
      )
    const matches = query.pattern === undefined ? null : compilePattern(query.pattern, 'pattern')
    const age = query.olderThan === undefined ? null : parseSeconds(query.olderThan, 'olderThan') * 1000
    const tags = stringsGiven(many(query.tag), 'tags', 'delete')
    const keys = new Set(stringsGiven(many(query.key), 'key', 'delete'))
    const client = await this.#landed()
    const { invalidations, upkeep } = client.engine
    const addressed = await this.#addressed(client, many(query.url))
    for (const key of addressed.entries) keys.add(key)
    const urlTags = [...addressed.urls].map(urlTag)
    const told = query.pattern === undefined ? null : tellable(query.pattern)
    const urls = told === null ? [] : [told]
    // Before anything is looked for: what is written from here on is fenced, what was written before is found.
    if (matches !== null) invalidations.fenceAll()
    if (keys.size + addressed.indexes.length + urlTags.length + tags.length + urls.length > 0)
      invalidations.announce({
        keys: [...keys, ...addressed.indexes],
        tags: [...urlTags, ...tags],
        mode: 'delete',
        urls,
      })
    if (urlTags.length > 0 && !isCheap(client.store)) await invalidations.mark(urlTags, 'delete')
    // Entries of other users and of requests with a body have keys that cannot be computed from the URL (row 245).
    const listed = matches !== null || (urlTags.length > 0 && isCheap(client.store))
    const found = listed ? await this.#found((url) => matches?.(url) === true || addressed.urls.has(url)) : []
    if (matches !== null && told === null && found.length > 0) invalidations.tell?.({ keys: found })
    for (const key of found) keys.add(key)
    let count = keys.size + addressed.indexes.length === 0 ? 0 : await invalidations.drop([...keys], addressed.indexes)
    if (tags.length > 0) await invalidations.mark(tags, 'delete')
    if (age !== null) count += await this.#deleteOlder(client, client.settings.clock.now() - age)
    if (matches !== null || age !== null) await upkeep.sweep()
    return query.expired ? count + (await this.deleteExpired()) : count
  }
  /** What is stored for URLs: the keys that can be computed, and the URLs as they are stored. */
  async #addressed(client: CacheClient, inputs: readonly FetchInput[]): Promise<Addressed> {
    const entries: string[] = []
    const indexes: string[] = []
    const urls = new Set<string>()
    for (const input of inputs) {
      const { key, request, redactUrl } = await this.#exchange(client, input)
      urls.add(redactUrl(request.url))
      if (key === null) continue
      const under = await client.engine.upkeep.keysUnder(key)
      entries.push(...under.entries)
      indexes.push(...under.indexes)
    }
    return { entries, indexes, urls }
  }

  /** The keys of entries whose URLs a test selects. */
  async #found(matches: (url: string) => boolean): Promise<string[]> {
    const keys: string[] = []
    for await (const { key, url } of this.entries()) if (matches(url)) keys.push(key)
    return keys
  }

  /** Deletes what was created before an instant, and marks of that age, which nothing that is left looks at; how many entries. */
  async #deleteOlder(client: CacheClient, createdBefore: number): Promise<number> {
    const { invalidations } = client.engine
    let [entries, marks]: [string[], string[]] = [[], []]
    let count = 0
    const drop = async (): Promise<void> => {
      count += await invalidations.drop(entries, marks)
      ;[entries, marks] = [[], []]
    }
    for await (const { key, meta } of listable(client).entries({ createdBefore })) {
      if (meta.kind === 'response') entries.push(key)
      else if (meta.kind === 'mark' && !isSearchKey(key)) marks.push(key)
      if (entries.length + marks.length >= SLICE) await drop()
    }
    await drop()
    return count
  }

  /**
   * Empties the cache; what is under way is not stored.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * await fetch.cache.clear()
   * console.log(await fetch.cache.has('https://api.example.com/users')) // false
   * ```
   */
  async clear(): Promise<void> {
    const client = await this.#landed()
    const store = listable(client)
    await client.engine.invalidations.all(() => store.clear())
  }

  /**
   * The keys of all stored responses.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * for await (const key of fetch.cache.keys()) console.log(key)
   * ```
   */
  async *keys(): AsyncGenerator<string> {
    for await (const { key } of this.entries()) yield key
  }

  /**
   * The URLs of all stored responses, each once, sorted.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * console.log(await fetch.cache.urls()) // [ 'https://api.example.com/users' ]
   * ```
   */
  async urls(query: EntriesQuery = {}): Promise<string[]> {
    const urls = new Set<string>()
    for await (const { url } of this.entries(query)) urls.add(url)
    return [...urls].toSorted()
  }

  /**
   * Stored responses, without their bodies.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * for await (const { url, size } of fetch.cache.entries({ order: 'size', descending: true, limit: 10 })) console.log(url, size)
   * ```
   */
  async *entries(query: EntriesQuery = {}): AsyncGenerator<CacheEntry> {
    checkMembers(query, LISTING, 'entries')
    const { expired, filter, limit = Infinity, ...order } = query
    const client = await this.#landed()
    const now = client.settings.clock.now()
    const when = expired === undefined ? {} : expired ? { expiredAt: now } : { freshAt: now }
    let left = limit
    for await (const listed of listable(client).entries({ ...when, ...order })) {
      if (left <= 0) return
      const entry = view(listed, now)
      if (entry === undefined || (filter && !filter(entry))) continue
      left -= 1
      yield entry
    }
  }

  /**
   * Entries (indexes and marks included) and bytes used.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * const { entries, bytes } = await fetch.cache.size()
   * console.log(entries > 0, bytes > 0) // true true
   * ```
   */
  async size(): Promise<StoreSize> {
    return listable(await this.#landed()).size()
  }

  /**
   * Counters since the client was made.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * console.log((await fetch.cache.stats()).misses) // 1
   * ```
   */
  async stats(): Promise<CacheStats> {
    return (await this.#client()).engine.stats()
  }

  /**
   * Stores a response by hand, by the same rules as one from the origin; false where they refuse it. Reads its body.
   * `init` says more of the request: its headers, and by `httpCache` an expiry, tags, a key (row 235).
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * const made = Response.json({ id: 7 }, { headers: { 'Cache-Control': 'max-age=60' } })
   * console.log(await fetch.cache.put('https://api.example.com/users/7', made)) // true
   * ```
   */
  async put(request: FetchInput, response: Response, init?: CachedRequestInit): Promise<boolean> {
    // No instanceof: there are Responses of other packages.
    if (typeof response?.arrayBuffer !== 'function' || typeof response.status !== 'number')
      throw new OptionError('ERR_OPTION_VALUE', 'response', 'put: give a Response to store')
    const client = await this.#client()
    const now = client.settings.clock.now()
    const { status, statusText } = response
    const head = { status, statusText, headers: headerList(response.headers) }
    const received = { response: head, decoded: false, requestTime: now, responseTime: now }
    const body = async (): Promise<Uint8Array> => new Uint8Array(await response.arrayBuffer())
    return client.engine.put(await this.#exchange(client, request, init), received, body)
  }

  /**
   * Fetches URLs so that they are stored; failures are counted, not thrown. `concurrency`: how many at a time, by default 4.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * const urls = [1, 2, 3].map((page) => `https://api.example.com/users?page=${page}`)
   * const { done, failed } = await fetch.cache.warm(urls, { concurrency: 2 })
   * console.log(done, failed) // 3 0
   * ```
   */
  async warm(urls: Iterable<FetchInput>, options: WarmOptions = {}): Promise<WarmProgress> {
    const queue = inputsGiven(urls)
    checkMembers(options, WARMING, 'warm')
    const { concurrency = 4, onProgress } = options
    const progress = { done: 0, failed: 0, total: queue.length }
    const worker = async (): Promise<void> => {
      for (let url = queue.shift(); url !== undefined; url = queue.shift()) {
        try {
          const response = await this.#asking.fetch(url)
          await response.arrayBuffer()
          if (!response.ok) progress.failed += 1
        } catch {
          // Counted: the caller decides what a failure means.
          progress.failed += 1
        }
        progress.done += 1
        onProgress?.({ ...progress })
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, queue.length) }, worker))
    return progress
  }

  /**
   * Deletes expired entries without reading bodies; how many. `olderThan`: only those stored longer ago than this, in seconds or as
   * '30d'.
   *
   * @throws OptionError ERR_DURATION
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * console.log(await fetch.cache.deleteExpired({ olderThan: '30d' })) // 0
   * ```
   */
  async deleteExpired(options: { olderThan?: Duration } = {}): Promise<number> {
    checkNames(options, ['olderThan'], 'deleteExpired')
    const { olderThan } = options
    const age = olderThan === undefined ? null : parseSeconds(olderThan, 'olderThan') * 1000
    const client = await this.#landed()
    const now = client.settings.clock.now()
    const older = age === null ? {} : { createdBefore: now - age }
    listable(client)
    return client.engine.upkeep.deleteExpired({ expiredAt: now, ...older })
  }

  /**
   * Gives stored entries a new lifetime, counted from now; how many. Bodies are not touched.
   *
   * @throws OptionError ERR_DURATION
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users')).json()
   * console.log(await fetch.cache.resetExpiration('1d', ({ url }) => url.includes('/users'))) // 1
   * ```
   */
  async resetExpiration(expireAfter: Duration, filter?: (entry: CacheEntry) => boolean): Promise<number> {
    const expiry = parseExpiry(expireAfter, 'expireAfter')
    if (filter !== undefined) fn(filter, 'filter')
    const client = await this.#landed()
    const now = client.settings.clock.now()
    let count = 0
    for await (const listed of listable(client).entries()) {
      const entry = view(listed, now)
      if (listed.meta.kind !== 'response' || entry === undefined || (filter && !filter(entry))) continue
      const { meta } = listed
      const age = currentAge(meta, now)
      const lifetime =
        expiry.kind === 'never'
          ? 4_000_000_000_000
          : age + (expiry.kind === 'at' ? Math.max(0, (expiry.at - now) / 1000) : expiry.seconds)
      const { sliding: _, ...terms } = meta.terms
      const slides = meta.terms.sliding !== undefined && expiry.kind === 'seconds'
      const changed: ResponseMeta = trust({
        ...meta,
        terms: { ...terms, lifetime, source: 'override', ...(slides ? { sliding: expiry.seconds } : {}) },
      })
      const { expiresAt, keepUntil } = entryHead(changed)
      if (await client.engine.upkeep.renew(listed, { meta: changed, expiresAt, keepUntil })) count += 1
    }
    return count
  }

  /**
   * Invalidates all entries that carry any of the tags: 'stale' has them revalidated, 'delete' has them gone. One write a tag.
   *
   * @example
   * ```ts
   * const fetch = createCachedFetch()
   * await (await fetch('https://api.example.com/users', { httpCache: { tags: ['users'] } })).json()
   * await fetch.cache.invalidateTags('users')
   * const response = await fetch('https://api.example.com/users')
   * console.log(response.revalidated) // true
   * ```
   */
  async invalidateTags(tags: string | readonly string[], mode: 'stale' | 'delete' = 'stale'): Promise<void> {
    if (mode !== 'stale' && mode !== 'delete')
      throw new OptionError(
        'ERR_OPTION_VALUE',
        'mode',
        `invalidateTags: mode is 'stale' or 'delete', not ${shown(mode)}`,
      )
    const given = stringsGiven([tags].flat(), 'tags', 'invalidateTags')
    await (await this.#landed()).engine.invalidations.tags(given, mode)
  }
}

/** Entries deleted at once. */
const SLICE = 200

/** What URLs are stored under. */
interface Addressed {
  readonly entries: readonly string[]
  /** Of variants. */
  readonly indexes: readonly string[]
  readonly urls: ReadonlySet<string>
}

const CONDITIONS: Checks<DeleteQuery> = {
  url: null,
  key: null,
  tag: null,
  pattern: null,
  expired: boolean,
  olderThan: null,
}

const ORDERS: readonly unknown[] = ['created', 'expires', 'size', 'key']

const LISTING: Checks<EntriesQuery> = {
  expired: boolean,
  filter: fn,
  order: expect((value) => ORDERS.includes(value), `one of ${ORDERS.join(', ')}`),
  descending: boolean,
  limit: expect((value) => typeof value === 'number' && value >= 0, 'a number, 0 or more'),
}

const WARMING: Checks<WarmOptions> = {
  concurrency: expect((value) => Number.isInteger(value) && Number(value) > 0, 'a whole number above 0'),
  onProgress: fn,
}

type Checks<T> = { readonly [K in keyof Required<T>]: Check | null }

interface WarmOptions {
  concurrency?: number
  onProgress?: (progress: WarmProgress) => void
}

export interface WarmProgress {
  readonly done: number
  readonly failed: number
  readonly total: number
}

function many<T>(value: T | readonly T[] | undefined): readonly T[] {
  return value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T]
}

/** Names, checked. @throws OptionError */
function stringsGiven(given: readonly string[], option: 'tags' | 'key', where: string): readonly string[] {
  if (given.every((name) => typeof name === 'string')) return given
  const what = option === 'tags' ? 'tag' : 'key'
  throw new OptionError('ERR_OPTION_VALUE', option, `${where}: a ${what} is a string, and several are an array of them`)
}

/** What is to be asked for. @throws OptionError */
function inputsGiven(urls: unknown): FetchInput[] {
  const isList = typeof urls === 'object' && urls !== null && Symbol.iterator in urls
  const given = isList ? [...(urls as Iterable<unknown>)] : []
  const wrong = isList ? given.find((url) => !isInput(url)) : urls
  if (isList && wrong === undefined && given.every(isInput)) return given
  const hint = isInput(urls) ? '; one alone, too, in an array' : ''
  throw new OptionError(
    'ERR_OPTION_VALUE',
    'urls',
    `warm takes an array, or another iterable, of URLs and Requests, not ${shown(wrong)}${hint}`,
  )
}

function isInput(url: unknown): url is FetchInput {
  return typeof url === 'string' || (typeof url === 'object' && url !== null && ('href' in url || 'url' in url))
}

/** Whether looking for something costs less than marking it: what dies with the process is all at hand. */
function isCheap(store: Store): boolean {
  return !store.limits.persistent && isListable(store)
}

function listable(client: CacheClient): ListableStore {
  if (isListable(client.store)) return client.store
  throw new StateError('ERR_NOT_LISTABLE', `the ${client.store.name} store cannot list what it holds`)
}

function view(listed: ListedEntry, now: number): CacheEntry | undefined {
  const { meta, key, createdAt, expiresAt, size } = listed
  if (meta.kind !== 'response') return undefined
  return {
    key,
    url: meta.url,
    method: meta.method,
    status: meta.status,
    headers: meta.headers,
    createdAt: new Date(createdAt),
    expiresAt: expiresAt >= NEVER ? undefined : new Date(expiresAt),
    isExpired: expiresAt <= now,
    size,
    tags: meta.tags,
  }
}
