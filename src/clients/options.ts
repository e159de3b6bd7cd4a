/** The options of createCachedFetch and CachedSession, of a URL rule and of one request: one vocabulary, documented here. */
import type { ResponseFilter } from '../engine/exchange.ts'
import type { RequestHead } from '../http/message.ts'
import type { Clock, Store } from '../engine/ports.ts'
import type { InvalidationChannel } from './broadcast.ts'
import type { Duration } from './durations.ts'
import type { ExpireAfter } from './expire-after.ts'
import type { UrlPatternLike } from './url-rules.ts'

/** What may be set for a session, for a URL and for one request; of several, request beats URL beats session (feature E3). */
export interface RuleOptions {
  /**
   * How long a response stays fresh that does not say so itself. Seconds, '5m', a Date, 'never' or -1; 0: neither read nor store.
   * Or a function of the request and the response that says so; 0 from it: not stored, undefined: as without it.
   */
  expireAfter?: ExpireAfter
  /** `expireAfter` beats what the origin says. Default false. */
  override?: boolean
  /** Least lifetime for what the origin limits, seconds or '5m'. Default none. */
  minTtl?: Duration
  /** Greatest lifetime for what the origin allows, seconds or '1h'. Default none. */
  maxTtl?: Duration
  /** Shortens lifetimes set by `expireAfter` by a random fraction up to this, 0 to 1. Default 0. */
  jitter?: number
  /**
   * Sliding expiration: a hit begins a lifetime set by `expireAfter` anew (to within a hundredth of it). `maxAge` (seconds or '1d'): as long
   * as the response is not older than this. What the origin said about freshness does not slide. Default false.
   */
  slidingExpiration?: boolean | { maxAge: Duration }
  /**
   * Refresh in the background what is hit while it is still fresh: `after` this share of its lifetime (0 to 1, or the number alone), or after
   * so many `hits` since it was fetched, as this process counts. One refresh a key at a time; one that fails is an event. Default false.
   */
  refreshAhead?: false | number | { after?: number; hits?: number }
  /** Obey Cache-Control, Expires and Pragma of requests and responses. Default true. */
  cacheControl?: boolean
  /** Heuristic freshness (RFC 9111 section 4.2.2): false, or the fraction of the time since Last-Modified and its maximum. Default 10 %, a week. */
  heuristic?: boolean | { fraction: number; maximum: Duration }
  /** Answer stale at once and refresh in the background: true is any age, or a duration (RFC 5861). Default false. */
  staleWhileRevalidate?: boolean | Duration
  /** Answer stale when the origin fails (no answer, or 5xx): true is any age, or a duration (RFC 5861). Default false. */
  staleIfError?: boolean | Duration
  /** Revalidate every hit that has a validator. Default false. */
  alwaysRevalidate?: boolean
  /** Statuses that are stored. Default: by RFC 9111 for createCachedFetch, [200] for CachedSession. */
  allowedStatusCodes?: readonly number[]
  /** `expireAfter` by status, such as `{ 404: '1m' }`: these statuses are stored, too (0: never). Default none. */
  expireAfterByStatus?: Readonly<Record<number, Duration>>
  /** Tags for the entries, for `invalidateTags`. Default none. */
  tags?: readonly string[]
  /** Parameters that count for nothing, in query, forms, JSON bodies and matched headers; their values are redacted. Default none. */
  ignoredParams?: readonly string[]
  /** The member of a JSON body, such as 'variables', in which alone `ignoredParams` are ignored, where the body has it. Default none: anywhere. */
  contentRootKey?: string
  /** Request headers that are part of the key; true: all of them. Vary applies on top. Default false. */
  matchHeaders?: boolean | readonly string[]
  /** Keeps responses out, on write and on read. Default none. */
  filter?: ResponseFilter
  /** Answer hits, write nothing. Default false. */
  readOnly?: boolean
  /** Never touch the network: a 504 where nothing usable is stored. Default false. */
  onlyIfCached?: boolean
  /** False: neither read nor write. Default true. */
  enabled?: boolean
  /** Largest body stored, in bytes; longer ones pass through. Default 2 GiB. */
  maxEntrySize?: number
  /**
   * Keep what has arrived of a body that is cut, by the network or by a caller who stops reading, and ask for the rest alone next time (`Range`
   * with `If-Range`; RFC 9111 section 3.3): true is from 65,536 bytes on, or a number of bytes. Needs a strong validator and Content-Length.
   * It is never given as the whole. false: nothing is kept, and the rest of stored parts is not asked for alone. Default true; in browsers
   * false, where If-Range takes a preflight.
   */
  resume?: boolean | number
}

/** `init.httpCache`: for one request. */
export interface RequestCacheOptions extends RuleOptions {
  /** Revalidate now; a 304 keeps the stored body. */
  refresh?: boolean
  /** Fetch the whole response now and overwrite. */
  forceRefresh?: boolean
  /** The key to use in place of the computed one. */
  key?: string
}

/** A rule of `urlsExpireAfter`: an expiry, or settings. */
export type UrlRule = ExpireAfter | RuleOptions

/** Patterns with their rules, in order; the first match wins. */
export type UrlRules =
  | Readonly<Record<string, UrlRule>>
  | readonly (readonly [pattern: UrlPatternLike, rule: UrlRule])[]

/** Options of createCachedFetch, and of CachedSession beside those of a session. */
export interface CacheOptions extends RuleOptions {
  /** Where entries live: a store, or a URL ('memory:', 'sqlite:http.db'). Default: memory, bounded, gone with the process. */
  store?: Store | string
  /**
   * The fetch to wrap. Default: the global one, looked up at each call; where that is Node's own, a plain GET goes to its dispatcher without it,
   * and nobody can tell but by the time it takes.
   */
  fetch?: typeof globalThis.fetch
  /** A shared cache by RFC 9111: stores nothing that is one user's. Default false. */
  shared?: boolean
  /** Rules by URL. Default none. */
  urlsExpireAfter?: UrlRules
  /** Methods that are cached. Default GET, HEAD and QUERY; the body is part of the key. */
  allowedMethods?: readonly string[]
  /** Answer stale when the origin cannot be reached, and 504 where stale is forbidden (RFC 9111 section 4.2.4). Default false: fetch rejects. */
  serveStaleWhenDisconnected?: boolean
  /** Targeted fields to obey (RFC 9213). Default ['cdn-cache-control'] in a shared cache, none in a private one. */
  targets?: readonly string[]
  /** What a shared cache does with responses that set cookies. Default 'refuse'. */
  setCookie?: 'refuse' | 'strip' | 'store'
  /** Let a shared cache store what depends on cookies. Default false. */
  allowCookies?: boolean
  /** Compare Accept-Language and Accept-Encoding by meaning in Vary. Default false. */
  normalizeVary?: boolean
  /** Sort query parameters in the key. Default false for createCachedFetch, true for CachedSession. */
  sortParams?: boolean
  /** Makes the key: gets the request and the default key. Default: the default key. */
  keyFn?: (request: RequestHead, defaultKey: string) => string | Promise<string>
  /** Requests that differ in these headers never share an entry; false: they may. Default: Authorization and API key headers. */
  identityHeaders?: false | readonly string[]
  /** Response fields whose members are tags ('cache-tag', 'surrogate-key'). Default none. */
  tagHeaders?: readonly string[]
  /** Put Cache-Status (RFC 9211) on responses: true, or the name of this cache. Default false. */
  cacheStatus?: boolean | string
  /**
   * How long the store may take to read before the origin is asked. Default 0.25 seconds. A write may take twenty times as long (5 seconds
   * then; at least 1 second, at most 30 or as long as a read), and a long body waits that long for a store that does not read on.
   */
  storeTimeout?: Duration
  /** How long a request waits for an identical one before it asks the origin itself. Default 10 seconds. */
  collapseTimeout?: Duration
  /**
   * One exchange at a time for one thing: in this process, or among all that use the store, where it can lock. A process that dies in
   * the middle holds the others up for at most `lockLease`. Default 'store' for stores that are servers, else 'process'.
   */
  singleFlight?: 'process' | 'store'
  /** How long a lock is held that is not renewed. Default 10 seconds. */
  lockLease?: Duration
  /** Bytes still read for the store after the caller has left a body. Default 262,144. */
  backgroundFill?: number
  /** Bytes read ahead of a caller. Default 262,144. */
  readAhead?: number
  /**
   * Delete in the background what is of no more use, every so many seconds or '1h', give or take a tenth: what expired so long ago
   * that it will neither be revalidated nor served stale, or `expiredFor` ago. For stores that can list, and do not expire entries by
   * themselves; one process at a time where the store can lock. Default none.
   */
  cleanup?: Duration | { every: Duration; expiredFor?: Duration }
  /**
   * Tell other caches what is invalidated or deleted here, and do what they tell: true, or the name of a BroadcastChannel, for the threads of
   * this process; an InvalidationChannel for whatever connects processes. Default false.
   */
  broadcast?: boolean | string | InvalidationChannel
  /** Let an https origin clear what is stored of it by `Clear-Site-Data: "cache"`. A shared cache never does. Default true, with `cacheControl`. */
  clearSiteData?: boolean
  /** Close the store with the client. Default: true for a store made from a URL or by default, false for an instance. */
  autoClose?: boolean
  /** The clock, for tests. Default: the system's. */
  clock?: Clock
}
