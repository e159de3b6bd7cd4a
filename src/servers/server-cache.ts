/**
 * What all server edges share: one engine in the posture of a shared cache, the keys of requests, the guards, and purging.
 *
 * Rule 1: conditions and ranges of the visitor are answered here, from the whole response; the engine sees a plain GET (answering.ts).
 * Rule 2: an answer to a signed-in user is private unless the route says otherwise (feature M3).
 * Rule 3: errors are kept only where they say for how long, or where a status is listed (feature M2).
 */
import { CacheClient } from '../clients/client.ts'
import { ResponseCache } from '../clients/cache-view.ts'
import { openerOf } from '../clients/store-url.ts'
import type { UrlPatternLike } from '../clients/url-rules.ts'
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { Exchange } from '../engine/exchange.ts'
import type { Origin, Store } from '../engine/ports.ts'
import { redactUrl } from '../engine/redact.ts'
import type { CacheStats } from '../engine/stats.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import { formatDate } from '../http/date.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import { MemoryStore } from '../stores/memory.ts'
import { Addresses } from './addresses.ts'
import type { ServerCacheOptions } from './options.ts'
import { resolveServerOptions, type RouteSettings, type ServerSettings } from './settings.ts'
import { boolean, checkMembers, expect, type Check } from '../clients/validate.ts'
import { OptionError, StateError } from '../errors.ts'

/** What to purge; several conditions purge what meets any of them. */
export interface PurgeQuery {
  /** A URL, or a path under `baseUrl`. */
  url?: string | readonly string[]
  tag?: string | readonly string[]
  /** Keys of entries, as they are listed. */
  key?: string | readonly string[]
  /** Everything whose URL starts so. Needs a store that can list. */
  prefix?: string
  /** A glob on host and path, a RegExp, a URLPattern or a function. Needs a store that can list. */
  pattern?: UrlPatternLike
  /** Everything. */
  all?: boolean
}

const isText = (value: unknown): boolean => typeof value === 'string' && value !== ''
const texts = expect(
  (value: unknown) => isText(value) || (Array.isArray(value) && value.every(isText)),
  'a non-empty string or an array of such',
)

const PURGES: { readonly [K in keyof Required<PurgeQuery>]: Check | null } = {
  url: texts,
  tag: texts,
  key: texts,
  prefix: expect(isText, 'a non-empty string'),
  pattern: null,
  all: boolean,
}

/** Fields that ask for less than the whole answer, or about the way to it: not for the handler of an answer that is kept. */
export const CONDITIONS: ReadonlySet<string> = new Set([
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'range',
])

const OF_ITS_VISITOR: ReadonlySet<string> = new Set(['set-cookie', 'clear-site-data'])
const OF_THE_ANSWER: ReadonlySet<string> = new Set([
  'cache-control',
  'date',
  'etag',
  'expires',
  'last-modified',
  'vary',
])

interface Listening {
  readonly type: CacheEventType | '*'
  readonly listener: (event: never) => void
  stop: (() => void) | null
}

/** For events of its own type only: whoever wants errors makes no hit slower. */
function listen(client: CacheClient, one: Listening): void {
  one.stop = client.engine.events.on(one.type, one.listener as (event: CacheEvent) => void)
}

export class ServerCache {
  readonly settings: ServerSettings
  /** The client whose engine this is; null while a store named by a URL is being loaded. */
  #client: CacheClient | null = null
  #loading: Promise<CacheClient> | null = null
  /** Where requests go. */
  readonly addresses: Addresses
  /** Those who want to hear of a client that is not there yet. */
  readonly #waiting = new Set<Listening>()
  /** What is stored: listing, inspection, deletion, as a client's. */
  readonly entries: ResponseCache

  /** @param finish how many bytes are still read for the store alone when a visitor has left (RELIABILITY A4) */
  constructor(options: ServerCacheOptions, where: string, finish: number = Infinity) {
    const settings = resolveServerOptions(options, where)
    this.settings = { ...settings, client: { ...settings.client, backgroundFill: finish } }
    this.addresses = new Addresses(this.settings)
    const { store, storeUrl } = this.settings.client
    const own = store ?? (storeUrl === 'memory:' ? new MemoryStore() : null)
    if (own !== null) this.#client = new CacheClient(this.settings.client, own)
    else openerOf(storeUrl)
    this.entries = new ResponseCache(() => this.ready())
  }

  /** The client at once, or null while its store is being loaded. */
  get client(): CacheClient | null {
    return this.#client
  }

  /** The client once its store is loaded. @throws StateError ERR_MISSING_PEER, StoreError */
  ready(): Promise<CacheClient> {
    if (this.#client !== null) return Promise.resolve(this.#client)
    this.#loading ??= openerOf(this.settings.client.storeUrl)().then((store: Store) => {
      const client = (this.#client = new CacheClient(this.settings.client, store))
      for (const one of this.#waiting) listen(client, one)
      this.#waiting.clear()
      return client
    })
    return this.#loading
  }

  on<T extends CacheEventType | '*'>(
    type: T,
    listener: (event: T extends CacheEventType ? CacheEventOf<T> : CacheEvent) => void,
  ): () => void {
    const one: Listening = { type, listener: listener as (event: never) => void, stop: null }
    if (this.#client === null) this.#waiting.add(one)
    else listen(this.#client, one)
    return () => {
      this.#waiting.delete(one)
      one.stop?.()
    }
  }

  stats(): CacheStats | null {
    return this.#client?.engine.stats() ?? null
  }

  /** @param inside whose route may have its say until the answer is settled */
  exchange(
    { method, url, headers }: RequestHead,
    key: string,
    inside: { readonly settings: RouteSettings },
    origin: Origin,
    more: Partial<Exchange> = {},
  ): Exchange {
    const { ignoredParams } = inside.settings.effective.key
    return {
      request: { method, url, headers: this.#plainHeaders(headers) },
      key,
      get effective() {
        return inside.settings.effective
      },
      origin,
      signal: null,
      redactUrl: (each) => redactUrl(each, ignoredParams),
      ...more,
    }
  }

  /** The fields of a request that the engine and the handler of a kept answer see (rule 1). */
  #plainHeaders(headers: HeaderList): HeaderList {
    const { requestDirectives } = this.settings
    return headers.filter(([name, value]) => {
      if (CONDITIONS.has(name)) return false
      if (requestDirectives || (name !== 'cache-control' && name !== 'pragma')) return true
      // RFC 9111 section 5.2.1.5 is a MUST NOT: what such a request brings is not stored.
      return name === 'cache-control' && parseCacheControl(value).noStore
    })
  }

  /**
   * The head of an answer as the engine shall see it: with what rules 2 and 3 make of it, and a date.
   * @param signedIn a user or a session came with the request
   */
  offered(head: ResponseHead, signedIn: boolean, { effective, allowUsers }: RouteSettings): ResponseHead {
    const { policy } = effective
    // Row 248: what has its visitor's browser forget things would have every visitor's do so.
    const personal = (signedIn && !allowUsers) || hasHeader(head.headers, 'clear-site-data')
    const own = personal ? 'private' : null
    const listed = policy.statuses?.has(head.status) || policy.expireAfterByStatus.has(head.status)
    const named = listed || (policy.expireAfter !== null && head.status < 400)
    // Without a word on how long, neither the answer's nor the route's, it is kept not even for serving it stale.
    const unsaid = !named && !isExplicit(head.headers, policy.targets) ? 'no-store' : null
    const added = own ?? unsaid
    const headers: HeaderLine[] = []
    for (const line of head.headers) if (added === null || !policy.targets.includes(line[0])) headers.push(line)
    if (added !== null) headers.push(['cache-control', added])
    return this.dated({ ...head, headers })
  }

  /**
   * A handler's 304 about what is stored, as the engine shall see it. Its visitor's cookies are no part of it; where it is personal,
   * nothing is but what it says of the freshness and the version of the answer (RFC 9110 section 15.4.5): the rest may be about them,
   * its own address in Content-Location, too.
   */
  confirmed(head: ResponseHead, personal: boolean, { effective }: RouteSettings): ResponseHead {
    const { targets } = effective.policy
    const isKept = (name: string): boolean =>
      !OF_ITS_VISITOR.has(name) && (!personal || OF_THE_ANSWER.has(name) || targets.includes(name))
    return this.dated({ ...head, headers: head.headers.filter(([name]) => isKept(name)) })
  }

  /** Servers put in the Date when they send. */
  dated(head: ResponseHead): ResponseHead {
    if (hasHeader(head.headers, 'date')) return head
    return { ...head, headers: [...head.headers, ['date', formatDate(this.settings.client.clock.now())]] }
  }

  /** Purges by URL, tag, prefix, or all of it. How many entries went; those of a tag are not counted, they are marked. */
  async purge(query: PurgeQuery): Promise<number> {
    checkMembers(query, PURGES, 'purge')
    const { url, tag, key, prefix, pattern, all } = query
    if (all === true) return this.#purgeAll()
    const start = prefix === undefined ? undefined : this.#absolute(prefix)
    const urls = url === undefined ? [] : [url].flat().map((each) => this.#absolute(each))
    let count = 0
    if (urls.length > 0) count += await this.entries.delete({ url: urls })
    if (key !== undefined) count += await this.entries.delete({ key })
    if (tag !== undefined) await this.entries.invalidateTags(tag, 'delete')
    if (start !== undefined) count += await this.entries.delete({ pattern: startingWith(start) })
    if (pattern !== undefined) count += await this.entries.delete({ pattern })
    return count
  }

  async #purgeAll(): Promise<number> {
    let stored = 0
    try {
      for await (const _ of this.entries.keys()) stored += 1
    } catch (error) {
      if (error instanceof StateError) throw error
      // What cannot be counted (a damaged database) goes all the same; where it cannot, clear() says so.
      this.report(error)
    }
    await this.entries.clear()
    return stored
  }

  #absolute(url: string): string {
    const { baseUrl } = this.settings
    if (!url.startsWith('/')) return url
    if (baseUrl === null)
      throw new OptionError('ERR_URL', 'url', `purge: '${url}' needs an origin: give the whole URL, or set baseUrl`)
    return baseUrl + url
  }

  /** Tells of a failure that no visitor hears of. */
  report(error: unknown): void {
    const { onError } = this.settings
    if (onError !== null) onError(error)
    else this.#client?.engine.events.emit({ type: 'refresh-failed', key: '', url: '', method: '', error })
  }

  async close(): Promise<void> {
    if (this.#client === null && this.#loading === null) return
    await (await this.ready()).close()
  }
}

/** As a regular expression: other caches can be told of that (option `broadcast`). */
function startingWith(prefix: string): RegExp {
  return new RegExp(`^${prefix.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}`)
}

function isExplicit(headers: HeaderList, targets: readonly string[]): boolean {
  if (targets.some((name) => hasHeader(headers, name)) || hasHeader(headers, 'expires')) return true
  const { maxAge, sMaxage } = parseCacheControl(getHeader(headers, 'cache-control'))
  return maxAge !== null || sMaxage !== null
}
