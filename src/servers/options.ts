/** The options of every server edge: one vocabulary, that of the client where it means the same. */
import type { CacheOptions, RuleOptions } from '../clients/options.ts'
import type { Duration } from '../clients/durations.ts'
import { compilePattern, type UrlMatcher, type UrlPatternLike } from '../clients/url-rules.ts'
import { checkRouteOptions, checkServerOptions } from './validate.ts'
import { effectiveWith, resolveOptions, type Settings } from '../clients/settings.ts'
import type { Effective } from '../engine/exchange.ts'

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

/** Options resolved. */
export interface ServerSettings {
  readonly client: Settings
  readonly plain: RouteSettings
  readonly routes: readonly { readonly matches: UrlMatcher; readonly settings: RouteSettings }[]
  readonly etag: boolean
  readonly cacheStatus: string | null
  readonly requestDirectives: boolean
  /** Null: as the framework does. */
  readonly trustProxy: boolean | null
  readonly baseUrl: string | null
  readonly purge: PurgeOptions | null
  readonly onError: ((error: unknown) => void) | null
}

/** What is in force for one route. */
export interface RouteSettings {
  readonly effective: Effective
  readonly allowUsers: boolean
}

const TAG_HEADERS = ['cache-tag', 'surrogate-key']

/** @throws OptionError */
export function resolveServerOptions(options: ServerCacheOptions, where: string): ServerSettings {
  checkServerOptions(options, where)
  const { routes, requestDirectives = false, etag = true, cacheStatus = true, trustProxy = null } = options
  const { baseUrl, purge, onError, ttl, allowUsers = false, ...rest } = options
  const shared: Record<string, unknown> = { ...rest }
  for (const name of ['routes', 'requestDirectives', 'etag', 'cacheStatus', 'trustProxy']) delete shared[name]
  const client = resolveOptions(
    {
      ...shared,
      ...(ttl === undefined ? {} : { expireAfter: ttl }),
      tagHeaders: options.tagHeaders ?? TAG_HEADERS,
      shared: true,
      heuristic: false,
      allowedMethods: ['GET', 'HEAD'],
      normalizeVary: true,
      allowCookies: allowUsers,
    },
    'fetch',
  )
  const plain = { effective: client.plain, allowUsers }
  const compiled = compileRoutes(routes ?? {}, plain)
  const rules = compiled.map(({ matches, settings }) => ({ matches, effective: settings.effective }))
  return {
    client: { ...client, rules },
    plain,
    routes: compiled,
    etag,
    cacheStatus: cacheStatus === false ? null : cacheStatus === true ? 'keepfresh' : cacheStatus,
    requestDirectives,
    trustProxy,
    baseUrl: baseUrl === undefined ? null : new URL(baseUrl).origin,
    purge: purge ?? null,
    onError: onError ?? null,
  }
}

function compileRoutes(routes: RouteRules, plain: RouteSettings): ServerSettings['routes'] {
  const pairs: readonly (readonly [UrlPatternLike, Duration | RouteOptions])[] = Array.isArray(routes)
    ? routes
    : Object.entries(routes)
  return pairs.map(([pattern, rule]) => ({
    matches: compilePattern(pattern, 'routes'),
    settings: ruleSettings(plain, rule),
  }))
}

function isOptions(rule: Duration | RouteOptions): rule is RouteOptions {
  return typeof rule === 'object' && !(rule instanceof Date)
}

function clientRule(rule: RouteOptions): RuleOptions {
  const { ttl, allowUsers: _, ...rest } = rule
  return ttl === undefined ? rest : { ...rest, expireAfter: ttl }
}

/** The settings of a route on top of those of all. It may be behind the cache, which does not know it then before the handler runs. */
export function routeSettings(base: RouteSettings, options: RouteOptions): RouteSettings {
  return settingsWith(base, options, true)
}

/** Those of a rule, in any of its forms, that the cache knows beforehand: false is for routes that are not cached. */
export function ruleSettings(base: RouteSettings, rule: false | Duration | RouteOptions): RouteSettings {
  if (rule === false) return settingsWith(base, { enabled: false }, false)
  return settingsWith(base, isOptions(rule) ? rule : { ttl: rule }, false)
}

function settingsWith(base: RouteSettings, options: RouteOptions, staleWithEntry: boolean): RouteSettings {
  checkRouteOptions(options, 'route')
  const { allowUsers = base.allowUsers } = options
  const effective = effectiveWith(base.effective, clientRule(options))
  const policy = { ...effective.policy, allowCookies: allowUsers, staleWithEntry }
  return { effective: { ...effective, policy }, allowUsers }
}
