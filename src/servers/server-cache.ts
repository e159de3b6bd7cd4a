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
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { Exchange } from '../engine/exchange.ts'
import { isPlainEffective } from '../engine/plain-hit.ts'
import type { Origin, Store } from '../engine/ports.ts'
import { redactUrl } from '../engine/redact.ts'
import type { CacheStats } from '../engine/stats.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList, ResponseHead } from '../http/message.ts'
import { MemoryStore } from '../stores/memory.ts'
import { Addresses } from './addresses.ts'
import { resolveServerOptions, type RouteSettings, type ServerCacheOptions, type ServerSettings } from './options.ts'

/** What to purge; several conditions purge what meets any of them. */
export interface PurgeQuery {
  /** A URL, or a path under `baseUrl`. */
  url?: string | readonly string[]
  tag?: string | readonly string[]
  /** Everything whose URL starts so. Needs a store that can list. */
  prefix?: string
  /** Everything. */
  all?: boolean
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

export class ServerCache {
  readonly settings: ServerSettings
  /** The client whose engine this is; null while a store named by a URL is being loaded. */
  #client: CacheClient | null = null
  #loading: Promise<CacheClient> | null = null
  /** Where requests go. */
  readonly addresses: Addresses
  readonly #listeners: [type: '*', listener: (event: CacheEvent) => void][] = []
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
      for (const [type, listener] of this.#listeners) client.engine.events.on(type, listener)
      return client
    })
    return this.#loading
  }

  on<T extends CacheEventType | '*'>(
    type: T,
    listener: (event: T extends CacheEventType ? CacheEventOf<T> : CacheEvent) => void,
  ): () => void {
    const all = (event: CacheEvent): void => {
      if (type === '*' || event.type === type) listener(event as never)
    }
    if (this.#client !== null) return this.#client.engine.events.on('*', all)
    this.#listeners.push(['*', all])
    return () =>
      void this.#listeners.splice(
        this.#listeners.findIndex(([, known]) => known === all),
        1,
      )
  }

  stats(): CacheStats | null {
    return this.#client?.engine.stats() ?? null
  }

  /** Whether hits of a route may take the engine's fast lane. */
  isPlain({ effective }: RouteSettings): boolean {
    return isPlainEffective(effective)
  }

  exchange(
    request: { readonly method: string; readonly url: string; readonly headers: HeaderList },
    key: string | null,
    { effective }: RouteSettings,
    origin: Origin,
    more: Partial<Exchange> = {},
  ): Exchange {
    const { ignoredParams } = effective.key
    const redact = (url: string): string => redactUrl(url, ignoredParams)
    return { request, key, effective, origin, signal: null, redactUrl: redact, ...more }
  }

  /** The fields of a request that the engine and the handler of a kept answer see (rule 1). */
  plainHeaders(headers: HeaderList): HeaderList {
    const { requestDirectives } = this.settings
    return headers.filter(([name, value]) => {
      if (CONDITIONS.has(name)) return false
      if (requestDirectives || (name !== 'cache-control' && name !== 'pragma')) return true
      // RFC 9111 section 5.2.1.5 is a MUST NOT: what such a request brings is not stored.
      return name === 'cache-control' && parseCacheControl(value).noStore
    })
  }

  /**
   * The head of an answer as the engine shall see it: with what rules 2 and 3 make of it.
   * @param signedIn a user or a session came with the request
   */
  guarded(head: ResponseHead, signedIn: boolean, { effective, allowUsers }: RouteSettings): ResponseHead {
    const { policy } = effective
    const own = signedIn && !allowUsers ? 'private' : null
    const listed = policy.statuses?.has(head.status) || policy.expireAfterByStatus.has(head.status)
    const named = listed || (policy.expireAfter !== null && head.status < 400)
    // Without a word on how long, neither the answer's nor the route's, it is kept not even for serving it stale.
    const unsaid = !named && !isExplicit(head.headers, policy.targets) ? 'no-store' : null
    const added = own ?? unsaid
    if (added === null) return head
    const line: HeaderLine = ['cache-control', added]
    return { ...head, headers: [...head.headers.filter(([name]) => !policy.targets.includes(name)), line] }
  }

  /** Purges by URL, tag, prefix, or all of it. How many entries went, where that is known at once. */
  async purge(query: PurgeQuery): Promise<number> {
    const { url, tag, prefix, all } = query
    const client = await this.ready()
    if (all === true) {
      await this.entries.clear()
      return 0
    }
    let count = 0
    const urls = url === undefined ? [] : typeof url === 'string' ? [url] : url
    if (urls.length > 0) count += await this.entries.delete({ url: urls.map((each) => this.#absolute(each)) })
    if (tag !== undefined) await this.entries.invalidateTags(tag, 'delete')
    if (prefix !== undefined) {
      const start = this.#absolute(prefix)
      count += await this.entries.delete({ pattern: (each: string | URL) => String(each).startsWith(start) })
    }
    void client
    return count
  }

  #absolute(url: string): string {
    const { baseUrl } = this.settings
    if (!url.startsWith('/')) return url
    if (baseUrl === null) throw new TypeError(`purge: '${url}' needs an origin: give the whole URL, or set baseUrl`)
    return baseUrl + url
  }

  /** Whether a PURGE request may purge (M4). */
  async mayPurge(url: string, headers: Headers): Promise<boolean> {
    const { purge } = this.settings
    if (purge === null) return false
    if ('authorize' in purge) return purge.authorize({ url, headers })
    const given = /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1] ?? ''
    return sameSecret(given, purge.token)
  }

  async close(): Promise<void> {
    if (this.#client === null && this.#loading === null) return
    await (await this.ready()).close()
  }
}

function isExplicit(headers: HeaderList, targets: readonly string[]): boolean {
  if (targets.some((name) => hasHeader(headers, name)) || hasHeader(headers, 'expires')) return true
  const { maxAge, sMaxage } = parseCacheControl(getHeader(headers, 'cache-control'))
  return maxAge !== null || sMaxage !== null
}

const encoder = new TextEncoder()

/** Compares in a time that does not depend on where they differ, on any runtime. */
function sameSecret(given: string, secret: string): boolean {
  const [left, right] = [encoder.encode(given), encoder.encode(secret)]
  let difference = left.length ^ right.length
  for (const [at, byte] of left.entries()) difference |= byte ^ (right[at % right.length] ?? 0)
  return difference === 0
}
