/** Checking the options of server caches: unknown names with the nearest known one, wrong values with what is accepted. */
import { isOptionsObject, nearest, OptionError } from '../errors.ts'
import { CACHE_CHECKS, expect, RULE_CHECKS, type Check } from '../clients/validate.ts'
import { shown } from '../clients/shown.ts'
import { parseExpiry, type Duration } from '../clients/durations.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'

const { enabled: boolean, filter: fn } = RULE_CHECKS

const ROUTE: { readonly [K in keyof Required<RouteOptions>]: Check } = {
  ttl: (value, name) => void parseExpiry(value as Duration, name),
  allowUsers: boolean,
  override: RULE_CHECKS.override,
  minTtl: RULE_CHECKS.minTtl,
  maxTtl: RULE_CHECKS.maxTtl,
  jitter: RULE_CHECKS.jitter,
  refreshAhead: RULE_CHECKS.refreshAhead,
  staleWhileRevalidate: RULE_CHECKS.staleWhileRevalidate,
  staleIfError: RULE_CHECKS.staleIfError,
  allowedStatusCodes: RULE_CHECKS.allowedStatusCodes,
  tags: RULE_CHECKS.tags,
  ignoredParams: RULE_CHECKS.ignoredParams,
  matchHeaders: RULE_CHECKS.matchHeaders,
  filter: fn,
  readOnly: RULE_CHECKS.readOnly,
  enabled: boolean,
  maxEntrySize: RULE_CHECKS.maxEntrySize,
}

const SERVER: { readonly [K in keyof Required<ServerCacheOptions>]: Check } = {
  ...ROUTE,
  store: CACHE_CHECKS.store,
  autoClose: CACHE_CHECKS.autoClose,
  sortParams: CACHE_CHECKS.sortParams,
  tagHeaders: CACHE_CHECKS.tagHeaders,
  targets: CACHE_CHECKS.targets,
  setCookie: CACHE_CHECKS.setCookie,
  storeTimeout: CACHE_CHECKS.storeTimeout,
  collapseTimeout: CACHE_CHECKS.collapseTimeout,
  singleFlight: CACHE_CHECKS.singleFlight,
  lockLease: CACHE_CHECKS.lockLease,
  cleanup: CACHE_CHECKS.cleanup,
  broadcast: CACHE_CHECKS.broadcast,
  clock: CACHE_CHECKS.clock,
  routes: expect(
    (value: unknown) => Array.isArray(value) || isOptionsObject(value),
    'an object from globs to durations or rules, or an array of [pattern, duration or rule]',
  ),
  requestDirectives: boolean,
  etag: boolean,
  cacheStatus: CACHE_CHECKS.cacheStatus,
  trustProxy: boolean,
  baseUrl: expect(
    (value: unknown) => typeof value === 'string' && /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
    'an http or https URL',
  ),
  purge: expect(
    isPurge,
    "an object with a token of at least 16 characters, or with a function authorize; its path, where it has one, starts with '/'",
  ),
  onError: fn,
}

function isPurge(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { token, authorize, path } = value as { token?: unknown; authorize?: unknown; path?: unknown }
  if (path !== undefined && (typeof path !== 'string' || !/^\/[^?#\s]*$/.test(path))) return false
  return typeof authorize === 'function' || (typeof token === 'string' && token.length >= 16)
}

/** @throws OptionError for what can hold no options */
export function checkObject(options: unknown, where: string): void {
  if (isOptionsObject(options)) return
  const message = `${where} takes an object of options such as { ttl: '5m' }, not ${shown(options)}`
  throw new OptionError('ERR_OPTION_VALUE', 'options', message)
}

/** @throws OptionError for what is no function that answers requests */
export function checkHandler(handler: unknown, where: string): void {
  if (typeof handler === 'function') return
  const message = `${where}: the handler must be a function that answers a request, not ${shown(handler)}`
  throw new OptionError('ERR_OPTION_VALUE', 'handler', message)
}

function check(options: object, checks: Readonly<Record<string, Check>>, where: string): void {
  checkObject(options, where)
  for (const [name, value] of Object.entries(options)) {
    const known = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (known === undefined) {
      const near = nearest(name, Object.keys(checks))
      const hint = near === undefined ? `known are ${Object.keys(checks).join(', ')}` : `did you mean ${near}?`
      throw new OptionError('ERR_OPTION_UNKNOWN', name, `${where}: unknown option ${name}; ${hint}`)
    }
    if (value !== undefined) known(value, name)
  }
}

/** @throws OptionError */
export function checkServerOptions(options: object, where: string): void {
  check(options, SERVER, where)
}

/** @throws OptionError */
export function checkRouteOptions(options: object, where: string): void {
  check(options, ROUTE, where)
}
