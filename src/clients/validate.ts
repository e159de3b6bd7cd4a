/** Options are wrong where they are given: unknown names with the nearest known one, wrong values with the accepted forms (feature S5). */
import { nearest, OptionError } from '../errors.ts'
import { parseExpiry, parseSeconds, type Duration } from './durations.ts'
import type { CacheOptions, RequestCacheOptions, RuleOptions } from './options.ts'

type Check = (value: unknown, name: string) => void

function expect(holds: (value: never) => boolean, forms: string): Check {
  return (value, name) => {
    if (!holds(value as never))
      throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be ${forms}, not ${show(value)}`)
  }
}

function show(value: unknown): string {
  return typeof value === 'string'
    ? `'${value}'`
    : typeof value === 'object' && value !== null
      ? Object.prototype.toString.call(value)
      : String(value)
}

const boolean = expect((value: unknown) => typeof value === 'boolean', 'true or false')
const fn = expect((value: unknown) => typeof value === 'function', 'a function')
const strings = expect(
  (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== ''),
  'an array of non-empty strings',
)
const bytes = expect((value: unknown) => typeof value === 'number' && value >= 0, 'a number of bytes, 0 or more')
const duration: Check = (value, name) => void parseSeconds(value as Duration, name)
const expiry: Check = (value, name) => void parseExpiry(value as Duration, name)
const durationOrBoolean: Check = (value, name) => {
  if (typeof value !== 'boolean') duration(value, name)
}

const RULE_CHECKS: { readonly [K in keyof Required<RuleOptions>]: Check } = {
  expireAfter: expiry,
  override: boolean,
  minTtl: duration,
  maxTtl: duration,
  jitter: expect((value: unknown) => typeof value === 'number' && value >= 0 && value <= 1, 'a number from 0 to 1'),
  cacheControl: boolean,
  heuristic: (value, name) => {
    if (typeof value === 'boolean') return
    const { fraction, maximum } = (value ?? {}) as { fraction?: unknown; maximum?: unknown }
    expect(
      () => typeof fraction === 'number' && fraction >= 0 && fraction <= 1,
      'true, false or { fraction: 0..1, maximum: duration }',
    )(value, name)
    duration(maximum, `${name}.maximum`)
  },
  staleWhileRevalidate: durationOrBoolean,
  staleIfError: durationOrBoolean,
  alwaysRevalidate: boolean,
  allowedStatusCodes: expect(
    (value: unknown) =>
      Array.isArray(value) && value.every((status) => Number.isInteger(status) && status >= 200 && status <= 599),
    'an array of statuses from 200 to 599',
  ),
  expireAfterByStatus: (value, name) => {
    expect(
      (given: unknown) =>
        typeof given === 'object' && given !== null && Object.keys(given).every((status) => /^[2-5]\d\d$/.test(status)),
      'an object from statuses to durations',
    )(value, name)
    for (const [status, duration] of Object.entries(value as object)) expiry(duration, `${name}.${status}`)
  },
  tags: strings,
  ignoredParams: strings,
  matchHeaders: (value, name) => {
    if (typeof value !== 'boolean') strings(value, name)
  },
  filter: fn,
  readOnly: boolean,
  enabled: boolean,
  maxEntrySize: bytes,
}

const REQUEST_CHECKS: { readonly [K in keyof Required<RequestCacheOptions>]: Check } = {
  ...RULE_CHECKS,
  refresh: boolean,
  forceRefresh: boolean,
  onlyIfCached: boolean,
  key: expect((value: unknown) => typeof value === 'string' && value !== '', 'a non-empty string'),
}

const STORE_METHODS = ['read', 'write', 'update', 'delete', 'close'] as const

/** Whether a value has what every store has. */
export function isStore(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    STORE_METHODS.every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

const CACHE_CHECKS: { readonly [K in keyof Required<CacheOptions>]: Check } = {
  ...RULE_CHECKS,
  store: expect(
    (value: unknown) => typeof value === 'string' || isStore(value),
    "a store (an object with read, write, update, delete, close) or a URL such as 'memory:' or 'sqlite:http.db'",
  ),
  fetch: fn,
  shared: boolean,
  urlsExpireAfter: expect(
    (value: unknown) => typeof value === 'object' && value !== null,
    'an object or an array of [pattern, rule]',
  ),
  allowedMethods: strings,
  serveStaleWhenDisconnected: boolean,
  targets: strings,
  setCookie: expect(
    (value: unknown) => value === 'refuse' || value === 'strip' || value === 'store',
    "'refuse', 'strip' or 'store'",
  ),
  allowCookies: boolean,
  normalizeVary: boolean,
  sortParams: boolean,
  keyFn: fn,
  identityHeaders: (value, name) => {
    if (value !== false) strings(value, name)
  },
  tagHeaders: strings,
  cacheStatus: expect(
    (value: unknown) => typeof value === 'boolean' || (typeof value === 'string' && value !== ''),
    'true, false or a name',
  ),
  storeTimeout: duration,
  collapseTimeout: duration,
  singleFlight: expect((value: unknown) => value === 'process' || value === 'store', "'process' or 'store'"),
  lockLease: duration,
  backgroundFill: bytes,
  readAhead: bytes,
  autoClose: boolean,
  clock: expect(
    (value: unknown) => typeof (value as { now?: unknown } | null)?.now === 'function',
    'an object with now(): ms since the epoch',
  ),
}

function check(
  options: object,
  checks: Readonly<Record<string, Check>>,
  where: string,
  extra: Iterable<string> = [],
): void {
  const known = [...Object.keys(checks), ...extra]
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw unknown(name, known, where)
    if (value !== undefined) checks[name]?.(value, name)
  }
}

function unknown(name: string, known: readonly string[], where: string): OptionError {
  const near = nearest(name, known)
  const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`
  return new OptionError('ERR_OPTION_UNKNOWN', name, `${where}: unknown option ${name}; ${hint}`)
}

/** `extra`: names the caller checks itself (those of a session). */
export function checkCacheOptions(options: object, where: string, extra: Iterable<string> = []): void {
  check(options, CACHE_CHECKS, where, extra)
}

export function checkRule(rule: object, where: string): void {
  check(rule, RULE_CHECKS, where)
}

/** What `configure` of a session takes. */
export function checkChanges(options: object): void {
  const { urlsExpireAfter, allowedMethods } = CACHE_CHECKS
  check(options, { ...RULE_CHECKS, urlsExpireAfter, allowedMethods }, 'configure')
}

export function checkRequestOptions(options: object): void {
  check(options, REQUEST_CHECKS, 'httpCache')
}
