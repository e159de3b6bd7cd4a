/** Options of a server cache, checked and resolved: for all, by path and for one route. */
import type { RuleOptions } from '../clients/options.ts'
import type { Duration } from '../clients/durations.ts'
import { effectiveWith, resolveOptions, type Settings } from '../clients/settings.ts'
import { compilePattern, type UrlMatcher, type UrlPatternLike } from '../clients/url-rules.ts'
import { checkRulePair } from '../clients/validate.ts'
import type { Effective } from '../engine/exchange.ts'
import type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
import { checkRouteOptions, checkServerOptions } from './validate.ts'

/** What is in force for all requests. */
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
      // A handler makes whole answers.
      resume: false,
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
  return pairs.map((pair) => {
    checkRulePair(pair, 'routes')
    const [pattern, rule] = pair
    return { matches: compilePattern(pattern, 'routes'), settings: ruleSettings(plain, rule) }
  })
}

function isOptions(rule: Duration | RouteOptions): rule is RouteOptions {
  return typeof rule === 'object' && rule !== null && !(rule instanceof Date)
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
