/** Checking the options of server caches: unknown names with the nearest known one, wrong values with what is accepted. */
import { nearest, OptionError } from '../errors.ts'
import { isStore } from '../clients/validate.ts'
import { parseExpiry, parseSeconds } from '../clients/durations.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'

type Check = (value: unknown, name: string) => void

function must(holds: (value: unknown) => boolean, accepted: string): Check {
  return (value, name) => {
    if (!holds(value)) throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be ${accepted}`)
  }
}

const boolean = must((value) => typeof value === 'boolean', 'true or false')
const fn = must((value) => typeof value === 'function', 'a function')
const strings = must(
  (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  'an array of strings',
)
const duration: Check = (value, name) => void parseSeconds(value as number, name)
const expiry: Check = (value, name) => void parseExpiry(value as number, name)
const stale: Check = (value, name) => {
  if (typeof value !== 'boolean') parseSeconds(value as number, name)
}

/** The client's own checks look into these further. */
const ROUTE: { readonly [K in keyof Required<RouteOptions>]: Check } = {
  ttl: expiry,
  allowUsers: boolean,
  override: boolean,
  minTtl: duration,
  maxTtl: duration,
  jitter: must((value) => typeof value === 'number' && value >= 0 && value <= 1, 'a number from 0 to 1'),
  staleWhileRevalidate: stale,
  staleIfError: stale,
  allowedStatusCodes: must(
    (value) =>
      Array.isArray(value) && value.every((status) => Number.isInteger(status) && status >= 200 && status < 600),
    'an array of statuses from 200 to 599',
  ),
  tags: strings,
  ignoredParams: strings,
  matchHeaders: must((value) => typeof value === 'boolean' || Array.isArray(value), 'true, false or an array of names'),
  filter: fn,
  readOnly: boolean,
  enabled: boolean,
  maxEntrySize: must((value) => typeof value === 'number' && value >= 0, 'a number of bytes'),
}

const SERVER: { readonly [K in keyof Required<ServerCacheOptions>]: Check } = {
  ...ROUTE,
  store: must((value) => typeof value === 'string' || isStore(value), 'a store or a store URL'),
  autoClose: boolean,
  sortParams: boolean,
  tagHeaders: strings,
  targets: strings,
  setCookie: must(
    (value) => value === 'refuse' || value === 'strip' || value === 'store',
    "'refuse', 'strip' or 'store'",
  ),
  storeTimeout: duration,
  collapseTimeout: duration,
  singleFlight: must((value) => value === 'process' || value === 'store', "'process' or 'store'"),
  lockLease: duration,
  clock: must((value) => typeof (value as { now?: unknown } | null)?.now === 'function', 'an object with now()'),
  routes: must((value) => typeof value === 'object' && value !== null, 'an object or an array of [pattern, rule]'),
  requestDirectives: boolean,
  etag: boolean,
  cacheStatus: must(
    (value) => typeof value === 'boolean' || (typeof value === 'string' && value !== ''),
    'true, false or a name',
  ),
  trustProxy: boolean,
  baseUrl: must(
    (value) => typeof value === 'string' && /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
    'an http or https URL',
  ),
  purge: must(
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

function check(options: object, checks: Readonly<Record<string, Check>>, where: string): void {
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
  if (typeof options !== 'object' || options === null)
    throw new OptionError('ERR_OPTION_VALUE', 'options', `${where} takes an object of options`)
  check(options, SERVER, where)
}

/** @throws OptionError */
export function checkRouteOptions(options: object, where: string): void {
  check(options, ROUTE, where)
}
