/** What a user may set, and what is made of it. Wrong options are refused when they are given (feature S5). */
import { parseExpiry, parseSeconds, type Duration } from '../clients/durations.ts'
import { isLocking, NEVER, type Clock, type Store } from '../engine/ports.ts'
import { writeTimeoutFor } from '../engine/store-guard.ts'
import { isOptionsObject, nearest, OptionError } from '../errors.ts'
import { FOREVER, type Expiry } from '../policy/options.ts'
import { DEFAULT_EVICTION, EVICTION_NAMES } from '../stores/eviction/by-name.ts'
import type { EvictionName } from '../stores/eviction/policy.ts'
import type { Windows } from './entry.ts'
import { EVENT_TYPES } from './events.ts'

/**
 * What goes first when the cache is full. 'ttl': what expires first. 'tlru': what has expired, then the least recently used. The others know
 * nothing of time: 'lru' least recently used, 'lfu' least frequently used, 'fifo' oldest, 'random' any, 'sieve' and 'tinylfu' the least
 * useful by recency and frequency.
 */
export type Eviction = 'ttl' | 'tlru' | EvictionName

/** A duration, or a function of the value that gives one. */
export type Ttl<K, V> = Duration | ((value: V, key: K) => Duration)

/** Options of a cache of values. Durations are seconds, or '90s', '5m', '1h', '30d'. */
export interface AsyncCacheOptions<K, V> {
  /** What events call it; with a `store`, also what tells its entries from those of other caches there: then it is required. */
  name?: string
  /** Where entries are. Default: in memory, by reference. A store given here stays open when the cache is closed, unless `autoClose`. */
  store?: Store
  /** Closes the store with the cache. Default false. */
  autoClose?: boolean
  /** What tells one key from another: it is given the key, and what it returns is compared by value. Default: the key itself. */
  key?: (key: K) => unknown
  /** How long a value is fresh; 0: it is not kept; 'never' (the default): it does not expire. A function decides for each value. */
  ttl?: Ttl<K, V>
  /** Shortens each lifetime by up to this share (0 to 1) at random, so that what was made together does not expire together. */
  jitter?: number
  /** How long `undefined` and `null` are kept. Default: as any value. */
  negativeTtl?: Duration
  /** How long an error is kept and thrown again without calling the function. Default 0: errors are never kept. */
  errorTtl?: Duration | ((error: unknown, key: K) => Duration)
  /** How long past its freshness a value is still answered with, while it is renewed in the background. */
  staleWhileRevalidate?: Duration
  /** How long past its freshness a value is still of use where the function fails, or takes longer than `softTimeout`. */
  staleIfError?: Duration
  /** Renews a value in the background when a hit comes late in its life: after this share of it (0 to 1), or by XFetch, at random, where `beta` above 1 is earlier. */
  refreshAhead?: number | { beta: number }
  /** Longest wait for the function where there is a value within `staleIfError`: that is the answer then, and the function goes on. */
  softTimeout?: Duration
  /** Longest a call of the function may take: who waits is told by a TimeoutError, or gets a value within `staleIfError`. */
  hardTimeout?: Duration
  /** Tags, by which entries are invalidated together. */
  tags?: readonly string[] | ((value: V, key: K) => readonly string[])
  /** Keep the value? */
  filter?: (value: V, key: K) => boolean
  /** Keep only what took the function at least this long. */
  minDuration?: Duration
  /** In memory: the most entries, or with `sizeOf` the largest sum of sizes. Default 10,000 entries. */
  maxSize?: number
  /** In memory: the size of a value, in the unit of `maxSize`, which is required then. Errors count as a ten-thousandth of that, 1 at least. */
  sizeOf?: (value: V, key: K) => number
  /** In memory: what goes first when it is full. Default 'tinylfu'. */
  eviction?: Eviction
  /** In memory: what callers get. false (the default): the value itself; 'structured': a copy each; 'freeze': the value, deeply frozen. */
  clone?: 'structured' | 'freeze' | false
  /**
   * Let only one process at a time call the function for a key, where the store can hold leases; how long a process that was killed keeps
   * the others waiting. Default 10 s on a store shared by design (Redis), else false.
   */
  lease?: Duration | false
  /** Longest wait for the store to read. Default 0.25 s, and a millisecond more for each key of many; a write gets twenty times that, 1 s to 30 s. */
  storeTimeout?: Duration
  /** Time, for tests. */
  clock?: Clock
  /** Uniform in [0, 1), for jitter, XFetch and eviction 'random'. Default Math.random. */
  random?: () => number
}

/** What may differ from call to call. */
export interface CallOptions {
  /** Ends this caller's wait; the function and other callers go on. */
  signal?: AbortSignal
  /** Calls the function whatever is there. */
  refresh?: boolean
  /** In place of the cache's own `ttl`. */
  ttl?: Duration
  /** Besides the cache's own `tags`. */
  tags?: readonly string[]
  /** false: does not keep the value, nor renew a stale one. */
  write?: boolean
}

/** What `set` and `setMany` take. */
export type SetOptions = Pick<CallOptions, 'ttl' | 'tags'>

/** The options as the cache uses them: instants and lengths in ms. */
export interface Settings<K, V> {
  readonly name: string
  readonly store: Store | null
  readonly autoClose: boolean
  readonly key: ((key: K) => unknown) | null
  readonly ttl: Expiry | ((value: V, key: K) => Expiry)
  readonly jitter: number
  readonly negativeTtl: Expiry | null
  /** Null: errors are never kept. */
  readonly errorTtl: Expiry | ((error: unknown, key: K) => Expiry) | null
  readonly windows: Windows
  readonly softTimeout: number
  readonly hardTimeout: number
  readonly tags: readonly string[] | ((value: V, key: K) => readonly string[])
  readonly filter: ((value: V, key: K) => boolean) | null
  readonly minDuration: number
  readonly maxSize: number
  readonly sizeOf: ((value: V, key: K) => number) | null
  readonly eviction: Eviction
  readonly clone: 'structured' | 'freeze' | false
  /** 0: no leases. */
  readonly lease: number
  readonly readTimeout: number
  readonly writeTimeout: number
  readonly clock: Clock | null
  readonly random: () => number
}

/** Checks and resolves. @throws OptionError */
export function settingsOf<K, V>(options: AsyncCacheOptions<K, V>, where: string): Settings<K, V> {
  checkNames(options, CHECKS, where)
  for (const [name, value] of Object.entries(options))
    if (value !== undefined) CHECKS[name as keyof typeof CHECKS]?.(value, name)
  const { name = '', store = null, ttl = 'never', errorTtl, negativeTtl, maxSize, sizeOf = null } = options
  checkTogether(options, where)
  const lease = options.lease ?? (store?.limits.shared && isLocking(store) ? 10 : false)
  const timeout = ms(options.storeTimeout ?? 0.25, 'storeTimeout')
  return {
    name,
    store,
    autoClose: options.autoClose ?? false,
    key: options.key ?? null,
    ttl: typeof ttl === 'function' ? (value, key) => parseExpiry(ttl(value, key), 'ttl') : parseExpiry(ttl, 'ttl'),
    jitter: options.jitter ?? 0,
    negativeTtl: negativeTtl === undefined ? null : parseExpiry(negativeTtl, 'negativeTtl'),
    errorTtl:
      typeof errorTtl === 'function'
        ? (error, key) => parseExpiry(errorTtl(error, key), 'errorTtl')
        : errorTtl === undefined
          ? null
          : parseExpiry(errorTtl, 'errorTtl'),
    windows: windowsOf(options),
    softTimeout: ms(options.softTimeout ?? 'never', 'softTimeout'),
    hardTimeout: ms(options.hardTimeout ?? 'never', 'hardTimeout'),
    tags: options.tags ?? [],
    filter: options.filter ?? null,
    minDuration: ms(options.minDuration ?? 0, 'minDuration'),
    maxSize: maxSize ?? 10_000,
    sizeOf,
    eviction: options.eviction ?? DEFAULT_EVICTION,
    clone: options.clone ?? false,
    lease: lease === false ? 0 : ms(lease, 'lease'),
    readTimeout: timeout,
    writeTimeout: writeTimeoutFor(timeout),
    clock: options.clock ?? null,
    random: options.random ?? Math.random,
  }
}

/** An instant, from an expiry: ms since the epoch, jitter taken off. */
export function instantOf(expiry: Expiry, now: number, jitter: number, random: () => number): number {
  if (expiry.kind === 'never') return NEVER
  if (expiry.kind === 'at') return Math.min(NEVER, expiry.at)
  if (expiry.seconds >= FOREVER) return NEVER
  return Math.min(NEVER, now + expiry.seconds * 1000 * (jitter === 0 ? 1 : 1 - jitter * random()))
}

function windowsOf(options: AsyncCacheOptions<never, never>): Windows {
  const { refreshAhead = 1 } = options
  return {
    whileRevalidate: ms(options.staleWhileRevalidate ?? 0, 'staleWhileRevalidate'),
    ifError: ms(options.staleIfError ?? 0, 'staleIfError'),
    refreshAhead: typeof refreshAhead === 'number' ? refreshAhead : 1,
    beta: typeof refreshAhead === 'number' ? 0 : refreshAhead.beta,
  }
}

function ms(duration: Duration, option: string): number {
  const seconds = parseSeconds(duration, option)
  return seconds >= FOREVER ? NEVER : seconds * 1000
}

/** Options that ask for others, or are of no use with them. */
function checkTogether<K, V>(options: AsyncCacheOptions<K, V>, where: string): void {
  const wrong = (option: string, message: string): OptionError => wrongGiven(option, `${where}: ${message}`)
  const { store, name = '', ttl, eviction, lease = false, softTimeout } = options
  if (store !== undefined && name === '')
    throw wrong(
      'name',
      "with a store a name is required: it tells this cache's entries from those of others in the same store",
    )
  if (lease !== false && (store === undefined || !isLocking(store)))
    throw wrong('lease', 'lease needs a store that can hold leases, such as Redis')
  if ((eviction === 'ttl' || eviction === 'tlru') && ttl === undefined)
    throw wrong('ttl', `eviction '${eviction}' goes by when entries expire: give ttl`)
  if (options.sizeOf !== undefined && options.maxSize === undefined)
    throw wrong('maxSize', 'with sizeOf the bound is in its unit: give maxSize')
  if (softTimeout !== undefined && options.staleIfError === undefined)
    throw wrong('softTimeout', 'softTimeout answers with a stale value: say how stale it may be with staleIfError')
  if (store === undefined) return
  const inMemory = (['maxSize', 'sizeOf', 'eviction', 'clone'] as const).find((option) => options[option] !== undefined)
  if (inMemory !== undefined)
    throw wrong(
      inMemory,
      `${inMemory} is for values in memory; a store has bounds of its own, and gives every caller a copy`,
    )
}

type Check = (value: unknown, name: string) => void

function expect(holds: (value: unknown) => boolean, forms: string): Check {
  return (value, name) => {
    if (!holds(value)) throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be ${forms}, not ${show(value)}`)
  }
}

/** A wrong value as a message shows it; of objects only what they are. */
export function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  return typeof value === 'object' && value !== null ? Object.prototype.toString.call(value) : String(value)
}

const boolean = expect((value) => typeof value === 'boolean', 'true or false')
const fn = expect((value) => typeof value === 'function', 'a function')
const share = expect((value) => typeof value === 'number' && value >= 0 && value <= 1, 'a number from 0 to 1')
const seconds: Check = (value, name) => void parseSeconds(value as Duration, name)
const expiry: Check = (value, name) => void parseExpiry(value as Duration, name)
const positive: Check = (value, name) => {
  if (parseSeconds(value as Duration, name) <= 0)
    throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be longer than 0`)
}
const strings = expect(
  (value) => Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== ''),
  'an array of non-empty strings, or a function that returns one',
)
const orFunction =
  (check: Check): Check =>
  (value, name) => {
    if (typeof value !== 'function') check(value, name)
  }
const has =
  (...names: readonly string[]) =>
  (value: unknown): boolean =>
    typeof value === 'object' && value !== null && names.every((name) => typeof Reflect.get(value, name) === 'function')

const CHECKS: { readonly [Name in keyof Required<AsyncCacheOptions<never, never>>]: Check } = {
  name: expect((value) => typeof value === 'string' && !value.includes('\n'), 'a string of one line'),
  store: expect(
    has('read', 'write', 'update', 'delete', 'close'),
    'a store (an object with read, write, update, delete, close)',
  ),
  autoClose: boolean,
  key: fn,
  ttl: orFunction(expiry),
  jitter: share,
  negativeTtl: expiry,
  errorTtl: orFunction(expiry),
  staleWhileRevalidate: seconds,
  staleIfError: seconds,
  refreshAhead: (value, name) => {
    const beta = typeof value === 'object' && value !== null ? Reflect.get(value, 'beta') : undefined
    if (typeof beta === 'number' && beta > 0 && Number.isFinite(beta)) return
    expect(
      (share_) => typeof share_ === 'number' && share_ > 0 && share_ <= 1,
      'a number above 0 and up to 1, or { beta: number above 0 }',
    )(value, name)
  },
  softTimeout: positive,
  hardTimeout: positive,
  tags: orFunction(strings),
  filter: fn,
  minDuration: seconds,
  maxSize: expect((value) => typeof value === 'number' && value >= 1, 'a number of at least 1'),
  sizeOf: fn,
  eviction: expect(
    (value) => value === 'ttl' || value === 'tlru' || (typeof value === 'string' && EVICTION_NAMES.includes(value)),
    `one of ttl, tlru, ${EVICTION_NAMES.join(', ')}`,
  ),
  clone: expect(
    (value) => value === false || value === 'structured' || value === 'freeze',
    "'structured', 'freeze' or false",
  ),
  lease: (value, name) => {
    if (value !== false) positive(value, name)
  },
  storeTimeout: positive,
  clock: expect(has('now'), 'an object with now(): ms since the epoch'),
  random: fn,
}

const CALL_CHECKS: { readonly [Name in keyof Required<CallOptions>]: Check } = {
  signal: expect((value) => value instanceof AbortSignal, 'an AbortSignal'),
  refresh: boolean,
  ttl: expiry,
  tags: strings,
  write: boolean,
}

const SET_CHECKS: { readonly [Name in keyof Required<SetOptions>]: Check } = {
  ttl: CALL_CHECKS.ttl,
  tags: CALL_CHECKS.tags,
}

/** @throws OptionError */
export function checkSet(options: SetOptions, where: string): void {
  checkNames(options, SET_CHECKS, where)
  checkCall(options, where)
}

/** @throws OptionError */
export function checkCall(options: CallOptions, where: string): void {
  checkNames(options, CALL_CHECKS, where)
  for (const name in options) {
    const value = options[name as keyof CallOptions]
    if (value !== undefined) CALL_CHECKS[name as keyof CallOptions](value, name)
  }
}

function checkNames(options: object, checks: object, where: string): void {
  checkObject(options, where)
  for (const name in options) {
    if (Object.hasOwn(checks, name)) continue
    const known = Object.keys(checks)
    const near = nearest(name, known)
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`
    throw new OptionError('ERR_OPTION_UNKNOWN', name, `${where}: unknown option ${name}; ${hint}`)
  }
}

/** @throws OptionError for what is no object to have options in */
export function checkObject(options: unknown, where: string): void {
  if (isOptionsObject(options)) return
  const isDuration = typeof options === 'number' || typeof options === 'string' || options instanceof Date
  const hint = isDuration ? '; a duration is given as { ttl: ... }' : ''
  throw wrongGiven('options', `${where}: options must be an object, not ${show(options)}${hint}`)
}

/** @throws OptionError */
export function checkFunction(given: unknown, where: string, what: string): void {
  if (typeof given === 'function') return
  throw wrongGiven('fn', `${where}: ${what} must be a function, not ${show(given)}`)
}

/**
 * A text is iterable, too, but nobody means its characters.
 * @throws OptionError
 */
export function checkIterable(given: unknown, where: string, what: string): void {
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) return
  throw wrongGiven(what, `${where}: ${what} must be an array or another iterable, not ${show(given)}`)
}

export function wrongGiven(option: string, message: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, message)
}

/** @throws OptionError */
export function checkTags(tags: unknown, where: string): void {
  if (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag !== '')) return
  const given = Array.isArray(tags) ? `[${tags.map(show).join(', ')}]` : show(tags)
  throw wrongGiven('tags', `${where}: tags must be a non-empty string, or an array of such, not ${given}`)
}

/** @throws OptionError, with the nearest type of event */
export function checkEvent(type: unknown, where: string): void {
  if (typeof type === 'string' && EVENT_TYPES.has(type)) return
  const near = typeof type === 'string' ? nearest(type, EVENT_TYPES) : undefined
  const hint = near === undefined ? `there are *, ${[...EVENT_TYPES].join(', ')}` : `did you mean ${near}?`
  throw wrongGiven('type', `${where}: there is no event ${show(type)}; ${hint}`)
}
