/**
 * The plan for a request (RFC 9111 section 4): what to do before the origin is asked.
 *
 * Rule 1: request directives only narrow; nothing here makes an entry live longer than its terms (feature E3).
 * Rule 2: total: any headers give a plan, never an exception.
 */
import { parseCacheControl, type CacheControl } from '../http/cache-control.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { parseRange } from '../http/range.ts'
import { currentAge } from './age.ts'
import { answer } from './answer.ts'
import { isForOthers } from './authorized.ts'
import { conditionsFor, conditionsForVariants } from './conditional.ts'
import type { Answer, BypassReason, Demand, Plan, ResponseMeta, RevalidateReason, Variant } from './decision.ts'
import { isEarly } from './early.ts'
import { freshUntil, hasValidator, isFresh } from './freshness.ts'
import { lackOf } from './lack.ts'
import type { PolicyOptions } from './options.ts'
import { forbidsStale, mayServeStale, onError, staleness } from './stale.ts'

/** What the engine found for a request. */
export interface Stored {
  readonly meta: ResponseMeta | null
  /** Bytes of its stored body. */
  readonly size: number
  /** A tag of it was invalidated: it must be revalidated. */
  readonly invalidated: boolean
  /** The variants under the same key that were not selected. */
  readonly variants: readonly Variant[]
}

/** A clock this far behind the entry (ms) cannot tell its age (RELIABILITY 157). */
const CLOCK_SLACK = 60_000

const NO_DIRECTIVES = parseCacheControl(null)

/** Why a request is forwarded without any look at the store; null: it is not. only-if-cached forwards nothing: see plan(). */
export function bypass(request: RequestHead, demand: Demand, options: PolicyOptions): BypassReason | null {
  const reason = notForUs(request, demand, options)
  return reason !== null && isOnlyIfCached(request, demand, options) ? null : reason
}

function notForUs(request: RequestHead, demand: Demand, options: PolicyOptions): BypassReason | null {
  if (!options.methods.has(request.method)) return 'method'
  if (demand.mode === 'no-store') return 'mode-no-store'
  const { expireAfter, expireAfterBy } = options
  if (expireAfterBy === null && expireAfter?.kind === 'seconds' && expireAfter.seconds === 0) return 'expire-after-zero'
  if (request.headers.length === 0) return null
  if (options.cacheControl && directivesOf(request).noStore) return 'request-no-store'
  if (hasHeader(request.headers, 'if-match') || hasHeader(request.headers, 'if-unmodified-since')) return 'precondition'
  const range = getHeader(request.headers, 'range')
  if (range === null) return null
  const parsed = parseRange(range)
  if (parsed === null) return 'range-unit'
  return parsed.ranges.length > 1 ? 'multi-range' : null
}

function directivesOf(request: RequestHead): CacheControl {
  return parseCacheControl(getHeader(request.headers, 'cache-control'))
}

/** The directives of a request that are obeyed. */
function obeyed(request: RequestHead, options: PolicyOptions): CacheControl {
  return options.cacheControl && request.headers.length > 0 ? directivesOf(request) : NO_DIRECTIVES
}

function isOnlyIfCached(request: RequestHead, demand: Demand, options: PolicyOptions): boolean {
  return demand.mode === 'only-if-cached' || demand.onlyIfCached || obeyed(request, options).onlyIfCached
}

export function plan(request: RequestHead, demand: Demand, stored: Stored, now: number, options: PolicyOptions): Plan {
  const directives = obeyed(request, options)
  const onlyIfCached = isOnlyIfCached(request, demand, options)
  // Row 95: what could only be forwarded cannot be answered at all.
  if (onlyIfCached && (demand.mode === 'reload' || notForUs(request, demand, options) !== null))
    return { kind: 'unsatisfiable', reason: 'only-if-cached' }
  if (demand.forceRefresh && !onlyIfCached) return { kind: 'miss', reason: 'force-refresh', conditions: [] }
  if (demand.mode === 'reload') return { kind: 'miss', reason: 'mode-reload', conditions: [] }
  const { meta } = stored
  const reply = meta === null ? null : answer(request, meta, stored.size)
  if (meta === null || reply === null || (meta.parts !== null && reply.kind === 'whole')) {
    return onlyIfCached ? { kind: 'unsatisfiable', reason: 'only-if-cached' } : missed(request, stored, options)
  }
  if (isForOthers(request, meta, options))
    return onlyIfCached
      ? { kind: 'unsatisfiable', reason: 'only-if-cached' }
      : { kind: 'miss', reason: 'authorization-miss', conditions: [] }
  const { invalidated } = stored
  const used: Used = { request, directives, demand, meta, reply, now, options, invalidated, onlyIfCached }
  // Section 4.4: what was invalidated is not merely old: no mode has it sent before it is validated.
  if (!invalidated && (demand.mode === 'force-cache' || demand.mode === 'only-if-cached')) return whatever(used)
  return decide(used)
}

interface Used {
  readonly request: RequestHead
  readonly directives: CacheControl
  readonly demand: Demand
  readonly meta: ResponseMeta
  readonly reply: Answer
  readonly now: number
  readonly options: PolicyOptions
  readonly invalidated: boolean
  readonly onlyIfCached: boolean
}

function missed(request: RequestHead, { meta, variants }: Stored, options: PolicyOptions): Plan {
  if (meta !== null) return partlyMissed(request, meta, options)
  if (variants.length === 0) return { kind: 'miss', reason: 'uri-miss', conditions: [] }
  const own = request.headers.some(([name]) => name.startsWith('if-') || name === 'range')
  return { kind: 'miss', reason: 'vary-miss', conditions: own ? [] : conditionsForVariants(variants) }
}

function partlyMissed(request: RequestHead, meta: ResponseMeta, options: PolicyOptions): Plan {
  if (isForOthers(request, meta, options)) return { kind: 'miss', reason: 'authorization-miss', conditions: [] }
  const lack = lackOf(request, meta)
  const plain = { kind: 'miss', reason: 'partial-miss', conditions: [] } as const
  return lack === null ? plain : { ...plain, lack }
}

/** The Fetch standard's force-cache and only-if-cached take any stored response, however old. */
function whatever({ meta, reply, now }: Used): Plan {
  const age = currentAge(meta, now)
  if (isFresh(meta, now)) return { kind: 'hit', reason: 'mode-force-cache', age, answer: reply, refresh: false }
  return { kind: 'stale', reason: 'mode-force-cache', age, answer: reply, refresh: false }
}

function decide(used: Used): Plan {
  const { meta, reply, now, directives, options, invalidated, onlyIfCached } = used
  const age = currentAge(meta, now)
  const reason = mustValidate(used, age)
  if (reason === null && isFresh(meta, now)) {
    const refresh = !onlyIfCached && isEarly(meta, now, options)
    return { kind: 'hit', reason: 'fresh', age, answer: reply, refresh }
  }
  const stale = reason === null ? allowedStale(used) : null
  if (stale !== null)
    return {
      kind: 'stale',
      reason: stale,
      age,
      answer: reply,
      refresh: stale === 'stale-while-revalidate' && !onlyIfCached,
    }
  if (onlyIfCached) {
    // Row 95: without the network, an error is certain: what may be served on error may be served now.
    if (reason === null && mayServeStale(meta, directives, now, options)) {
      return { kind: 'stale', reason: 'stale-if-error', age, answer: reply, refresh: false }
    }
    return { kind: 'unsatisfiable', reason: 'only-if-cached' }
  }
  return {
    kind: 'revalidate',
    reason: reason ?? 'stale',
    conditions: conditionsFor(meta),
    onError: onError(meta, directives, invalidated, now, options),
  }
}

/** What forbids an answer without asking the origin although the entry may be fresh (sections 4.3, 5.2.1, 5.2.2.4, 5.4). */
function mustValidate(
  { request, directives, demand, meta, now, options, invalidated, onlyIfCached }: Used,
  age: number,
): RevalidateReason | null {
  // Row 95: a demand for both is one for what is stored.
  const wanted = onlyIfCached ? null : demanded(demand, meta, now, options)
  if (wanted !== null) return wanted
  if (demand.mode === 'no-cache') return 'mode-no-cache'
  if (directives.noCache || directives.noCacheFields.length > 0) return 'request-no-cache'
  if (options.cacheControl && !directives.present && isPragmaNoCache(request)) return 'pragma'
  if (meta.terms.noCache) return 'no-cache'
  if (invalidated) return 'invalidated'
  if (now < meta.responseTime - CLOCK_SLACK) return 'clock'
  if (directives.maxAge !== null && tooOld(age, directives.maxAge)) return 'request-max-age'
  if (directives.minFresh !== null && (freshUntil(meta) - now) / 1000 < directives.minFresh) return 'request-min-fresh'
  return null
}

/** Section 5.2.1.1. max-age=0 is how clients ask for a validation: how fast the first answer came must not decide whether they get one. */
function tooOld(age: number, maxAge: number): boolean {
  return age > maxAge || maxAge === 0
}

/** What the user wants revalidated; RFC 8246 section 2: an immutable response has nothing to revalidate while it is fresh. */
function demanded(demand: Demand, meta: ResponseMeta, now: number, options: PolicyOptions): RevalidateReason | null {
  if (demand.refresh) return 'refresh'
  const settled = meta.terms.immutable && isFresh(meta, now)
  return options.alwaysRevalidate && hasValidator(meta.headers) && !settled ? 'always-revalidate' : null
}

/** Section 5.4: only in the absence of Cache-Control. */
function isPragmaNoCache(request: RequestHead): boolean {
  if (request.headers.length === 0 || hasHeader(request.headers, 'cache-control')) return false
  const pragma = getHeader(request.headers, 'pragma')
  return pragma !== null && pragma.split(',').some((member) => member.trim().toLowerCase() === 'no-cache')
}

/** Why a stale answer is allowed without asking: the caller's max-stale, stale-while-revalidate of the response or the user. */
function allowedStale({ directives, meta, now, options }: Used): 'max-stale' | 'stale-while-revalidate' | null {
  if (forbidsStale(meta)) return null
  const past = staleness(meta, now)
  // Sections 5.2.1.1, 5.2.1.2: a request with a limit of its own accepts nothing beyond it; one that limits only the age, nothing stale.
  if (directives.maxStale !== null) return past <= directives.maxStale ? 'max-stale' : null
  if (directives.maxAge !== null) return null
  const window = Math.max(meta.terms.staleWhileRevalidate, options.staleWhileRevalidate)
  return window > 0 && past <= window ? 'stale-while-revalidate' : null
}
