/**
 * Options resolved: what a client works with. Resolving validates everything; what is in force for one request is then
 * the session's settings, narrowed by the first URL rule that matches, narrowed by the request's own options.
 */
import { OptionError } from '../errors.ts'
import { systemClock } from '../engine/clock.ts'
import type { Cleanup } from '../engine/cleaner.ts'
import type { Effective, KeyOptions } from '../engine/exchange.ts'
import type { Clock, Store } from '../engine/ports.ts'
import { writeTimeoutFor } from '../engine/store-guard.ts'
import type { CacheMode, Demand } from '../policy/decision.ts'
import { FOREVER, RFC_OPTIONS, type PolicyOptions } from '../policy/options.ts'
import type { InvalidationChannel } from './broadcast.ts'
import { parseExpiry, parseSeconds, type Duration } from './durations.ts'
import { compileExpireAfter, type ExpireAfter } from './expire-after.ts'
import type { CacheOptions, RequestCacheOptions, RuleOptions, UrlRule } from './options.ts'
import { compilePattern, type UrlMatcher } from './url-rules.ts'
import { checkCacheOptions, checkRequestOptions, checkRule, checkRulePair } from './validate.ts'

export interface Settings {
  /** A store given by the user; null: it is made from `storeUrl`. */
  readonly store: Store | null
  readonly storeUrl: string
  readonly autoClose: boolean
  readonly fetch: typeof globalThis.fetch | null
  readonly clock: Clock
  /** Milliseconds. */
  readonly readTimeout: number
  /** Milliseconds, derived from `readTimeout`. */
  readonly writeTimeout: number
  readonly collapseTimeout: number
  /** Where flights are single; null: as the store is. */
  readonly singleFlight: 'process' | 'store' | null
  /** Milliseconds. */
  readonly lockLease: number
  /** Bytes. */
  readonly readAhead: number
  readonly backgroundFill: number
  /** Background cleanup; null: none. */
  readonly cleanup: Cleanup | null
  /** How other caches hear of invalidations; null: not at all. */
  readonly broadcast: true | string | InvalidationChannel | null
  readonly clearSiteData: boolean
  /** What is in force where no rule and no request option says otherwise. */
  readonly plain: Effective
  readonly rules: readonly CompiledRule[]
}

interface CompiledRule {
  readonly matches: UrlMatcher
  readonly effective: Effective
}

/** Where a client starts: RFC 9111, or the habits of requests-cache. */
export type Posture = 'fetch' | 'session'

const IDENTITY = ['authorization', 'proxy-authorization', 'x-api-key', 'x-auth-token', 'x-api-token', 'x-access-token']

const PLAIN_DEMAND: Demand = Object.freeze({
  mode: 'default',
  refresh: false,
  forceRefresh: false,
  onlyIfCached: false,
})

const METHODS = ['GET', 'HEAD', 'QUERY']

/** What is shorter is sooner fetched anew. */
const RESUMED = 65_536

/** There, If-Range to another origin takes a preflight, which that need not answer. */
const inBrowser = 'document' in globalThis || 'importScripts' in globalThis

export function resolveOptions(
  options: CacheOptions,
  posture: Posture,
  sessionOptions: Iterable<string> = [],
): Settings {
  checkCacheOptions(options, posture === 'fetch' ? 'createCachedFetch' : 'CachedSession', sessionOptions)
  const { store, autoClose = typeof store !== 'object', storeTimeout = 0.25, collapseTimeout = 10 } = options
  const plain = withRule(baseEffective(options, posture), options)
  const readTimeout = parseSeconds(storeTimeout, 'storeTimeout') * 1000
  return {
    store: typeof store === 'object' ? store : null,
    storeUrl: typeof store === 'string' ? store : 'memory:',
    autoClose,
    fetch: options.fetch ?? null,
    clock: options.clock ?? systemClock(),
    readTimeout,
    writeTimeout: writeTimeoutFor(readTimeout),
    collapseTimeout: parseSeconds(collapseTimeout, 'collapseTimeout') * 1000,
    singleFlight: options.singleFlight ?? null,
    lockLease: Math.max(100, parseSeconds(options.lockLease ?? 10, 'lockLease') * 1000),
    readAhead: options.readAhead ?? 262_144,
    backgroundFill: options.backgroundFill ?? 262_144,
    cleanup: options.cleanup === undefined ? null : cleanupOf(options.cleanup),
    broadcast: options.broadcast || null,
    clearSiteData: options.clearSiteData ?? true,
    plain,
    rules: compileRules(options.urlsExpireAfter ?? [], plain),
  }
}

function cleanupOf(cleanup: NonNullable<CacheOptions['cleanup']>): Cleanup {
  const given = typeof cleanup === 'object' && !(cleanup instanceof Date) ? cleanup : { every: cleanup }
  return {
    every: parseSeconds(given.every, 'cleanup.every') * 1000,
    expiredFor: given.expiredFor === undefined ? null : parseSeconds(given.expiredFor, 'cleanup.expiredFor') * 1000,
  }
}

function baseEffective(options: CacheOptions, posture: Posture): Effective {
  const { shared = false, allowedMethods = METHODS, cacheStatus = false } = options
  const session = posture === 'session'
  const policy: PolicyOptions = {
    ...RFC_OPTIONS,
    shared,
    expireAfter: session ? { kind: 'never' } : null,
    statuses: session ? new Set([200]) : null,
    methods: new Set(allowedMethods.map((method) => method.toUpperCase())),
    serveStaleWhenDisconnected: options.serveStaleWhenDisconnected ?? false,
    targets: (options.targets ?? (shared ? ['cdn-cache-control'] : [])).map(lower),
    setCookie: options.setCookie ?? 'refuse',
    allowCookies: options.allowCookies ?? false,
    normalizeVary: options.normalizeVary ?? false,
  }
  return {
    enabled: true,
    policy,
    demand: PLAIN_DEMAND,
    key: baseKey(options, session),
    filter: null,
    readOnly: false,
    maxEntrySize: 2 ** 31,
    resume: inBrowser ? null : RESUMED,
    tags: [],
    tagHeaders: (options.tagHeaders ?? []).map(lower),
    cacheStatus: cacheStatus === false ? null : cacheStatus === true ? 'keepfresh' : cacheStatus,
  }
}

function baseKey(options: CacheOptions, session: boolean): KeyOptions {
  const { identityHeaders = session ? [...IDENTITY, 'cookie'] : IDENTITY } = options
  return {
    sortParams: options.sortParams ?? session,
    ignoredParams: new Set(),
    matchHeaders: [],
    identityHeaders: identityHeaders === false ? [] : identityHeaders.map(lower),
    keyFn: options.keyFn ?? null,
  }
}

/** @throws OptionError that names the pattern */
function compileRules(rules: NonNullable<CacheOptions['urlsExpireAfter']>, plain: Effective): CompiledRule[] {
  const pairs: readonly unknown[] = Array.isArray(rules) ? rules : Object.entries(rules)
  return pairs.map((pair) => {
    checkRulePair(pair, 'urlsExpireAfter')
    const [pattern, rule] = pair
    const matches = compilePattern(pattern, 'urlsExpireAfter')
    const settings = isDuration(rule) ? { expireAfter: rule } : rule
    try {
      checkRule(settings, 'a rule')
    } catch (error) {
      if (!(error instanceof OptionError)) throw error
      const option = isDuration(rule) ? 'urlsExpireAfter' : error.option
      throw new OptionError(error.code, option, `urlsExpireAfter, '${String(pattern)}': ${error.message}`)
    }
    return { matches, effective: withRule(plain, settings) }
  })
}

function isDuration(rule: UrlRule): rule is ExpireAfter {
  return typeof rule !== 'object' || rule === null || rule instanceof Date
}

/** What is in force for one request: one prepared object unless the request has options of its own. */
export function effectiveFor(
  settings: Settings,
  url: string,
  request: RequestCacheOptions | undefined,
  mode: CacheMode,
): Effective {
  let effective = settings.plain
  for (const rule of settings.rules) {
    if (!rule.matches(url)) continue
    effective = rule.effective
    break
  }
  if (request === undefined && mode === 'default') return effective
  return withRequest(effective, request ?? {}, mode)
}

function withRequest(base: Effective, request: RequestCacheOptions, mode: CacheMode): Effective {
  checkRequestOptions(request)
  const effective = withRule(base, request)
  const demand: Demand = {
    mode,
    refresh: request.refresh ?? false,
    forceRefresh: request.forceRefresh ?? false,
    onlyIfCached: effective.demand.onlyIfCached,
  }
  const { key } = request
  return { ...effective, demand, key: key === undefined ? effective.key : { ...effective.key, keyFn: () => key } }
}

/** Settings on top of others, checked: what one route of a server has. */
export function effectiveWith(base: Effective, rule: RuleOptions): Effective {
  checkRule(rule, 'route')
  return withRule(base, rule)
}

function withRule(base: Effective, rule: RuleOptions): Effective {
  const {
    enabled = base.enabled,
    filter = base.filter,
    readOnly = base.readOnly,
    maxEntrySize = base.maxEntrySize,
    onlyIfCached,
    resume,
  } = rule
  return {
    ...base,
    enabled,
    filter,
    readOnly,
    maxEntrySize,
    demand: onlyIfCached === undefined ? base.demand : { ...base.demand, onlyIfCached },
    resume: resume === undefined ? base.resume : resumeOf(resume),
    tags: rule.tags ? [...new Set([...base.tags, ...rule.tags])] : base.tags,
    key: withRuleKey(base.key, rule),
    policy: withRulePolicy(base.policy, rule),
  }
}

function withRuleKey(base: KeyOptions, { ignoredParams, matchHeaders, contentRootKey }: RuleOptions): KeyOptions {
  if (ignoredParams === undefined && matchHeaders === undefined && contentRootKey === undefined) return base
  return {
    ...base,
    contentRootKey: contentRootKey ?? base.contentRootKey ?? null,
    ignoredParams: ignoredParams ? new Set([...base.ignoredParams, ...ignoredParams.map(lower)]) : base.ignoredParams,
    matchHeaders:
      matchHeaders === undefined
        ? base.matchHeaders
        : typeof matchHeaders === 'boolean'
          ? matchHeaders || []
          : matchHeaders.map(lower),
  }
}

function withRulePolicy(base: PolicyOptions, rule: RuleOptions): PolicyOptions {
  const stale = (value: boolean | Duration | undefined, name: string, known: number): number =>
    value === undefined ? known : typeof value === 'boolean' ? (value ? FOREVER : 0) : parseSeconds(value, name)
  return {
    ...base,
    cacheControl: rule.cacheControl ?? base.cacheControl,
    ...withExpireAfter(base, rule.expireAfter),
    sliding: rule.slidingExpiration === undefined ? base.sliding : slidingOf(rule.slidingExpiration),
    refreshAhead: rule.refreshAhead === undefined ? base.refreshAhead : refreshAheadOf(rule.refreshAhead),
    expireAfterByStatus: withStatuses(base.expireAfterByStatus, rule.expireAfterByStatus),
    override: rule.override ?? base.override,
    minTtl: rule.minTtl === undefined ? base.minTtl : parseSeconds(rule.minTtl, 'minTtl'),
    maxTtl: rule.maxTtl === undefined ? base.maxTtl : parseSeconds(rule.maxTtl, 'maxTtl'),
    jitter: rule.jitter ?? base.jitter,
    heuristic: rule.heuristic === undefined ? base.heuristic : heuristicOf(rule.heuristic),
    statuses: rule.allowedStatusCodes === undefined ? base.statuses : new Set(rule.allowedStatusCodes),
    staleWhileRevalidate: stale(rule.staleWhileRevalidate, 'staleWhileRevalidate', base.staleWhileRevalidate),
    staleIfError: stale(rule.staleIfError, 'staleIfError', base.staleIfError),
    alwaysRevalidate: rule.alwaysRevalidate ?? base.alwaysRevalidate,
  }
}

/** A function stands before what would be in force without it. */
function withExpireAfter(
  { expireAfter, expireAfterBy }: PolicyOptions,
  given: RuleOptions['expireAfter'],
): Pick<PolicyOptions, 'expireAfter' | 'expireAfterBy'> {
  if (given === undefined) return { expireAfter, expireAfterBy }
  if (typeof given === 'function') return { expireAfter, expireAfterBy: compileExpireAfter(given, expireAfterBy) }
  return { expireAfter: parseExpiry(given, 'expireAfter'), expireAfterBy: null }
}

function slidingOf(value: NonNullable<RuleOptions['slidingExpiration']>): PolicyOptions['sliding'] {
  if (typeof value === 'boolean') return value ? FOREVER : null
  return parseSeconds(value.maxAge, 'slidingExpiration.maxAge')
}

function refreshAheadOf(value: NonNullable<RuleOptions['refreshAhead']>): PolicyOptions['refreshAhead'] {
  if (value === false) return null
  const { after = null, hits = null } = typeof value === 'number' ? { after: value } : value
  return { after, hits }
}

function resumeOf(value: NonNullable<RuleOptions['resume']>): number | null {
  return typeof value === 'number' ? value : value ? RESUMED : null
}

function withStatuses(
  base: PolicyOptions['expireAfterByStatus'],
  given: RuleOptions['expireAfterByStatus'],
): PolicyOptions['expireAfterByStatus'] {
  if (given === undefined) return base
  const own = Object.entries(given).map(
    ([status, value]) => [Number(status), parseExpiry(value, `expireAfterByStatus.${status}`)] as const,
  )
  return new Map([...base, ...own])
}

function heuristicOf(value: NonNullable<RuleOptions['heuristic']>): PolicyOptions['heuristic'] {
  if (typeof value === 'boolean') return value ? RFC_OPTIONS.heuristic : null
  return { fraction: value.fraction, maximum: parseSeconds(value.maximum, 'heuristic.maximum') }
}

function lower(text: string): string {
  return text.toLowerCase()
}
