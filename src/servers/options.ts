/** The options of every server edge: one vocabulary, that of the client where it means the same. */
import type { CacheOptions, RuleOptions } from '../clients/options.ts'
import type { Duration } from '../clients/durations.ts'
import type { UrlPatternLike } from '../clients/url-rules.ts'

/** What may be set for all routes, by path and for one route; the more particular wins. */
export interface RouteOptions extends Pick<
  RuleOptions,
  | 'override'
  | 'minTtl'
  | 'maxTtl'
  | 'jitter'
  | 'refreshAhead'
  | 'staleWhileRevalidate'
  | 'staleIfError'
  | 'allowedStatusCodes'
  | 'tags'
  | 'ignoredParams'
  | 'matchHeaders'
  | 'filter'
  | 'readOnly'
  | 'enabled'
  | 'maxEntrySize'
> {
  /** How long an answer stays fresh that does not say so itself: seconds, '5m', a Date, 'never'; 0: not cached. Default: none, so that only answers with explicit freshness are kept. */
  ttl?: Duration
  /** Keep answers to requests that carry cookies, a user or a session although nothing in them says that they may be shared. Default false. */
  allowUsers?: boolean
}

/** Options by path: a glob on host and path, a RegExp, a URLPattern or a function; the first match wins. */
export type RouteRules =
  | Readonly<Record<string, Duration | RouteOptions>>
  | readonly (readonly [pattern: UrlPatternLike, rule: Duration | RouteOptions])[]

/** Purging by HTTP: who may, and where besides PURGE requests. */
export type PurgeOptions = (
  | {
      /** Requests with `Authorization: Bearer TOKEN`; 16 characters or more. */
      readonly token: string
    }
  | {
      /** Requests this function lets through. */
      readonly authorize: (request: {
        readonly method: string
        readonly url: string
        readonly headers: Headers
      }) => boolean | Promise<boolean>
    }
) & {
  /** A path such as '/-/cache', under which GET lists what is stored and DELETE purges what its query names. Default: none. */
  readonly path?: string
}

/** Options of a server cache. */
export interface ServerCacheOptions
  extends
    RouteOptions,
    Pick<
      CacheOptions,
      | 'store'
      | 'autoClose'
      | 'sortParams'
      | 'tagHeaders'
      | 'targets'
      | 'setCookie'
      | 'storeTimeout'
      | 'collapseTimeout'
      | 'singleFlight'
      | 'lockLease'
      | 'cleanup'
      | 'broadcast'
      | 'clock'
    > {
  /** Options by path. Default none. */
  routes?: RouteRules
  /** Obey `Cache-Control: no-cache` and its like in requests. Default false: visitors do not make the handler run. */
  requestDirectives?: boolean
  /** Make an ETag where the handler makes none. Default true. */
  etag?: boolean
  /** Say what happened in Cache-Status (RFC 9211): true, or the name of this cache. Default true. */
  cacheStatus?: boolean | string
  /** Believe X-Forwarded-Proto and X-Forwarded-Host: only behind a proxy that sets them. Default: as Express, Koa or Fastify is set up to believe it; elsewhere false. */
  trustProxy?: boolean
  /** The origin all URLs are put under in keys, such as 'https://example.com'; for sites that answer the same under any name. Default: what the request says. */
  baseUrl?: string
  /** Answer PURGE requests, and those under `path`. Default: they go to the handler. */
  purge?: PurgeOptions
  /** Told of errors thrown by a handler that nobody else would hear of. Default: they are thrown where the process sees them. */
  onError?: (error: unknown) => void
}
