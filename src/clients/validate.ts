/** Options are wrong where they are given: unknown names with the nearest known one, wrong values with the accepted forms (feature S5). */
import { isOptionsObject, nearest, OptionError } from '../errors.ts'
import { checkBroadcast } from './broadcast.ts'
import { parseExpiry, parseSeconds, type Duration } from './durations.ts'
import { EVENT_TYPES } from '../engine/events.ts'
import type { CacheOptions, RequestCacheOptions, RuleOptions, UrlRule } from './options.ts'
import { shown } from './shown.ts'
import type { UrlPatternLike } from './url-rules.ts'

/** Throws where a value is none that an option of that name takes. */
export type Check = (value: unknown, name: string) => void

/** A check by a predicate, and the forms it accepts. */
export function expect(holds: (value: never) => boolean, forms: string): Check {
  return (value, name) => {
    if (!holds(value as never))
      throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be ${forms}, not ${shown(value)}`)
  }
}

export const boolean: Check = expect((value: unknown) => typeof value === 'boolean', 'true or false')
export const fn: Check = expect((value: unknown) => typeof value === 'function', 'a function')
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

const share = expect((value: unknown) => typeof value === 'number' && value >= 0 && value <= 1, 'a number from 0 to 1')
const hits = expect((value: unknown) => Number.isInteger(value) && Number(value) > 0, 'a whole number above 0')

/** A length of time that is not nothing. */
const interval: Check = (value, name) => {
  duration(value, name)
  expect((given: Duration) => parseSeconds(given, name) > 0, 'a duration above 0')(value, name)
}

/** An object of known members, at least one of them. */
function members(value: unknown, name: string, checks: Readonly<Record<string, Check>>, forms: string): void {
  const given = typeof value === 'object' && value !== null && !(value instanceof Date) ? Object.entries(value) : []
  const set = given.filter(([, member]) => member !== undefined)
  expect(() => set.length > 0 && set.every(([member]) => Object.hasOwn(checks, member)), forms)(value, name)
  for (const [member, part] of set) checks[member]?.(part, `${name}.${member}`)
}

/** Of what may be set for a URL and one request; the server edges check by these, too. */
export const RULE_CHECKS: { readonly [K in keyof Required<RuleOptions>]: Check } = {
  expireAfter: (value, name) => {
    if (typeof value !== 'function') expiry(value, name)
  },
  slidingExpiration: (value, name) => {
    if (typeof value === 'boolean') return
    members(value, name, { maxAge: duration }, 'true, false or { maxAge }')
  },
  refreshAhead: (value, name) => {
    if (value === false) return
    if (typeof value === 'number') return share(value, name)
    members(value, name, { after: share, hits }, 'false, a number from 0 to 1, or { after, hits }')
  },
  override: boolean,
  minTtl: duration,
  maxTtl: duration,
  jitter: share,
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
      (given: unknown) => isOptionsObject(given) && Object.keys(given).every((status) => /^[2-5]\d\d$/.test(status)),
      'an object from statuses to durations',
    )(value, name)
    for (const [status, lifetime] of Object.entries(value as object)) expiry(lifetime, `${name}.${status}`)
  },
  tags: strings,
  ignoredParams: strings,
  contentRootKey: expect((value: unknown) => typeof value === 'string' && value !== '', 'a non-empty string'),
  matchHeaders: (value, name) => {
    if (typeof value !== 'boolean') strings(value, name)
  },
  filter: fn,
  readOnly: boolean,
  onlyIfCached: boolean,
  enabled: boolean,
  maxEntrySize: bytes,
  resume: expect(
    (value: unknown) => typeof value === 'boolean' || (typeof value === 'number' && value >= 0),
    'true, false or a number of bytes, 0 or more',
  ),
}

const REQUEST_CHECKS: { readonly [K in keyof Required<RequestCacheOptions>]: Check } = {
  ...RULE_CHECKS,
  refresh: boolean,
  forceRefresh: boolean,
  key: expect((value: unknown) => typeof value === 'string' && value !== '', 'a non-empty string'),
}

/** Options that only a request has. */
const OF_REQUESTS: readonly string[] = Object.keys(REQUEST_CHECKS).filter((name) => !Object.hasOwn(RULE_CHECKS, name))

/** Whether a request's `httpCache` has an option of that name. */
export function isCacheOption(name: string): boolean {
  return Object.hasOwn(REQUEST_CHECKS, name)
}

/** Names that a fetch may have for something else. */
const COMMON: ReadonlySet<string> = new Set(['enabled', 'filter', 'key', 'override', 'tags'])

/**
 * A session's own methods take options of the cache as `httpCache`; beside it they would be lost on fetch.
 * @throws OptionError
 */
export function checkPlaced(request: object): void {
  for (const name of Object.keys(request)) {
    if (!Object.hasOwn(REQUEST_CHECKS, name) || COMMON.has(name)) continue
    const message = `${name} is an option of the cache: give it as httpCache: { ${name} }`
    throw new OptionError('ERR_OPTION_UNKNOWN', name, message)
  }
}

/** No Map, no Date: an object whose own members say it all. */
function isPlainObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * One rule by URL.
 * @throws OptionError
 */
export function checkRulePair(pair: unknown, where: string): asserts pair is readonly [UrlPatternLike, UrlRule] {
  if (!Array.isArray(pair) || pair.length !== 2 || pair[1] === undefined)
    throw new OptionError(
      'ERR_OPTION_VALUE',
      where,
      `${where}: each rule is a pattern and what holds for it: { 'example.com/a': '5m' }, or [['example.com/a', '5m']]`,
    )
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

/** Of all options of a cache. */
export const CACHE_CHECKS: { readonly [K in keyof Required<CacheOptions>]: Check } = {
  ...RULE_CHECKS,
  store: (value, name) => {
    if (typeof value === 'string' || isStore(value)) return
    const isClass = typeof value === 'function' && isStore(value.prototype)
    const hint = isClass ? `; give new ${value.name}(...)` : ''
    const forms =
      "a store (an object with read, write, update, delete, close) or a URL such as 'memory:' or 'sqlite:http.db'"
    throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be ${forms}, not ${shown(value)}${hint}`)
  },
  fetch: fn,
  shared: boolean,
  urlsExpireAfter: expect(
    (value: unknown) => Array.isArray(value) || isPlainObject(value),
    'an object from globs to durations or rules, or an array of [pattern, duration or rule]',
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
  cleanup: (value, name) => {
    if (typeof value !== 'object' || value instanceof Date) return interval(value, name)
    members(value, name, { every: interval, expiredFor: duration }, 'a duration, or { every, expiredFor }')
    interval((value as { every?: unknown } | null)?.every, `${name}.every`)
  },
  broadcast: checkBroadcast,
  clearSiteData: boolean,
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
  if (!isOptionsObject(options) || isStore(options))
    throw new OptionError(
      'ERR_OPTION_VALUE',
      where,
      `${where} takes an object of options, not ${shown(options)}${formFor(options)}`,
    )
  const known = [...Object.keys(checks), ...extra]
  for (const [name, value] of Object.entries(options)) {
    if (!known.includes(name)) throw unknown(name, known, where)
    if (value !== undefined) checks[name]?.(value, name)
  }
}

/** How that would be given, where it is one of the things others take first. */
function formFor(given: unknown): string {
  if (typeof given === 'string') return "; a store is given as { store: 'sqlite:http.db' }, a base as { baseUrl }"
  if (isStore(given)) return '; a store is given as { store }'
  return typeof given === 'function' ? '; a fetch is given as { fetch }' : ''
}

/** What other caches call it, in lower case and without underscores. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  allowablecodes: 'allowedStatusCodes',
  allowedcodes: 'allowedStatusCodes',
  backend: 'store',
  cache: 'store',
  cachename: 'store',
  disabled: 'enabled',
  includegetheaders: 'matchHeaders',
  olddataonerror: 'staleIfError',
  includeheaders: 'matchHeaders',
  jar: 'cookies',
  cookiejar: 'cookies',
  maxage: 'expireAfter',
  prefixurl: 'baseUrl',
  ttl: 'expireAfter',
}

/** Options of others, by where they belong. */
const BELONGS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      'maxEntries',
      'maxBytes',
      'maxSize',
      'eviction',
      'useTemp',
      'useCacheDir',
      'fastSave',
      'wal',
      'namespace',
      'client',
      'dbPath',
    ].map((name) => [name.toLowerCase(), `${name} is an option of a store: give it to the one you make`]),
  ),
  ...Object.fromEntries(
    ['agent', 'dispatcher', 'redirect', 'signal'].map((name) => [
      name,
      `${name} is for fetch: give it with a request, or have a fetch of your own add it`,
    ]),
  ),
  ...Object.fromEntries(
    ['cert', 'connector', 'proxies', 'proxy', 'ssl', 'verify'].map((name) => [
      name,
      `${name} is about connections: give a dispatcher of undici with a request, or a fetch of your own`,
    ]),
  ),
  connection: 'a connection is given to the store you make, as client',
  salt: 'secrets are given to a wrapper of the store: signed() of keepfresh/sign',
  serializer: 'entries have one format; compressed(), encrypted() and signed() wrap any store',
  secretkey: 'entries are signed by a wrapper of their store: signed() of keepfresh/sign',
}

function unknown(name: string, known: readonly string[], where: string): OptionError {
  const plain = name.replaceAll('_', '')
  const elsewhere = ELSEWHERE[plain.toLowerCase()]
  const near = elsewhere !== undefined && known.includes(elsewhere) ? elsewhere : nearest(name, known)
  const misplaced = near === undefined && where !== 'httpCache' ? nearest(plain, OF_REQUESTS) : undefined
  const hint =
    near !== undefined
      ? `did you mean ${near}?`
      : misplaced !== undefined
        ? `${misplaced} is for one request: httpCache: { ${misplaced} }`
        : (BELONGS[plain.toLowerCase()] ?? `known are ${known.join(', ')}`)
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

/** What a method takes besides its main argument, or as it: an object with known names. */
export function checkNames(given: object, known: readonly string[], where: string): void {
  if (!isOptionsObject(given))
    throw new OptionError(
      'ERR_OPTION_VALUE',
      where,
      `${where} takes an object with ${known.join(', ')}, not ${shown(given)}`,
    )
  for (const name of Object.keys(given)) if (!known.includes(name)) throw unknown(name, known, where)
}

/** As `checkNames`, and what each of them is; null: that is looked at where it is used. */
export function checkMembers(given: object, checks: Readonly<Record<string, Check | null>>, where: string): void {
  checkNames(given, Object.keys(checks), where)
  for (const [name, value] of Object.entries(given)) if (value !== undefined) checks[name]?.(value, name)
}

/** @throws OptionError */
export function checkListening(type: unknown, listener: unknown): void {
  if (typeof type !== 'string' || (type !== '*' && !Object.hasOwn(EVENT_TYPES, type))) {
    const near = typeof type === 'string' ? nearest(type, Object.keys(EVENT_TYPES)) : undefined
    const hint =
      near === undefined ? `known are ${Object.keys(EVENT_TYPES).join(', ')} and '*'` : `did you mean '${near}'?`
    throw new OptionError('ERR_OPTION_UNKNOWN', 'type', `on: there is no event ${shown(type)}; ${hint}`)
  }
  fn(listener, 'listener')
}

export function checkRequestOptions(options: object): void {
  check(options, REQUEST_CHECKS, 'httpCache')
}
