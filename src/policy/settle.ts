/**
 * What the origin's answer means (RFC 9111 sections 3, 4.3.3-4.3.5, 4.4): keep it, freshen what is kept, or neither.
 */
import type { CacheControl } from '../http/cache-control.ts'
import { formatDate } from '../http/date.ts'
import { connectionHeaders, getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import { parseVary } from '../http/vary.ts'
import { initialAge } from './age.ts'
import { merged, sameValidators, validates } from './conditional.ts'
import type { Outcome, ResponseMeta, Terms } from './decision.ts'
import { forbidden } from './forbidden.ts'
import { explicitLifetime, hasValidator, lifetime, ownExpiry, type LifetimeInput } from './freshness.ts'
import { invalidation } from './invalidate.ts'
import { forStored, madeExpiry, withExpiry } from './made-expiry.ts'
import type { Expiry, PolicyOptions } from './options.ts'
import { slidingSeconds } from './sliding.ts'
import { partOf, refusal } from './storable.ts'
import { directivesOf } from './targeted.ts'

export interface SettleInput {
  /** As the caller made it. */
  readonly request: RequestHead
  /** As it was forwarded. */
  readonly sent: RequestHead
  /** The entry whose validators were sent; null: none. */
  readonly stored: ResponseMeta | null
  readonly response: ResponseHead
  readonly requestTime: number
  readonly responseTime: number
  readonly options: PolicyOptions
  /** Uniform in [0, 1), for jitter. */
  readonly random: number
}

export function settle(input: SettleInput): Outcome {
  const { request, response, options } = input
  if (!options.methods.has(request.method)) {
    const invalid = invalidation(request, response)
    return invalid === null ? { kind: 'refuse', reason: 'method', drop: false } : { kind: 'invalidate', ...invalid }
  }
  if (response.status === 304) return freshen(input)
  if (options.expireAfterBy === null) return decide(input)
  const own = madeExpiry(request, response, options)
  const drop = supersedes(input)
  if (own === 'failed') return { kind: 'refuse', reason: 'expire-after-failed', drop }
  if (isZero(own ?? options.expireAfter)) return { kind: 'refuse', reason: 'expire-after-zero', drop }
  return decide({ ...input, options: withExpiry(options, own) })
}

function decide(input: SettleInput): Outcome {
  const { request, response, options } = input
  const facts = lifetimeInput(input, response.headers)
  const explicit = explicitLifetime(facts) !== null
  const reason = refusal({ request, response, directives: facts.directives, options, explicit })
  if (reason !== null) return { kind: 'refuse', reason, drop: supersedes(input) }
  const terms = termsOf(facts)
  if (terms.lifetime <= terms.initialAge && !isWorthKeeping(terms, response.headers))
    return { kind: 'refuse', reason: 'no-freshness', drop: supersedes(input) }
  return {
    kind: 'store',
    reason:
      terms.source === 'heuristic' || terms.source === 'expire-after' || terms.source === 'override'
        ? terms.source
        : explicit
          ? 'explicit'
          : 'validator',
    headers: storableHeaders(dated(response.headers, input.responseTime), facts.directives, options),
    terms,
    vary: parseVary(getHeader(response.headers, 'vary')) ?? [],
    part: partOf(response),
  }
}

/**
 * Section 4.3.3: a server error may pass without harm to what is stored; any other answer has taken its place. What a HEAD does to a
 * stored GET is said by headUpdate.
 */
function supersedes({ request, response, stored }: SettleInput): boolean {
  return stored !== null && response.status < 500 && (request.method !== 'HEAD' || stored.method === 'HEAD')
}

/** Stale on arrival: of use only where it can be revalidated or served stale. */
function isWorthKeeping(terms: Terms, headers: HeaderList): boolean {
  return hasValidator(headers) || terms.staleWhileRevalidate > 0 || terms.staleIfError > 0
}

/** Section 4.3.4: a 304 for what is stored gives it new headers and new terms. */
function freshen(input: SettleInput): Outcome {
  const { request, stored, response, responseTime, options } = input
  if (stored === null) return { kind: 'refuse', reason: 'not-modified', drop: false }
  if (!validates(response, stored, responseTime)) return { kind: 'refuse', reason: 'not-modified', drop: true }
  const headers = merged(stored.headers, dated(response.headers, responseTime))
  if (hasOutgrown(stored.headers, headers)) return { kind: 'refuse', reason: 'not-modified', drop: true }
  const head = { ...response, status: stored.status, headers }
  const facts = lifetimeInput({ ...input, options: forStored(request, head, options) }, headers)
  return forbidden(request, stored, facts) ?? refreshed(facts, options)
}

/** Bytes of header fields that 304s may make of an entry; what is longer is fetched anew (RELIABILITY 98). */
const MAX_HEAD = 64 * 1024

function hasOutgrown(stored: HeaderList, now: HeaderList): boolean {
  const bytes = headBytes(now)
  return bytes > MAX_HEAD && bytes > headBytes(stored)
}

function headBytes(headers: HeaderList): number {
  let bytes = 0
  for (const [name, value] of headers) bytes += name.length + value.length + 4
  return bytes
}

function refreshed(facts: LifetimeInput, options: PolicyOptions): Outcome {
  return {
    kind: 'refresh',
    headers: storableHeaders(facts.response.headers, facts.directives, options),
    terms: termsOf(facts),
  }
}

/** Section 4.3.5: a HEAD that agrees with the stored GET freshens it, one that does not makes it unusable. */
export function headUpdate(
  stored: ResponseMeta,
  response: ResponseHead,
  requestTime: number,
  responseTime: number,
  options: PolicyOptions,
  request: RequestHead,
): Outcome {
  // Its fields may be about who asks: what all are given is not renewed by them.
  if (options.shared && isKnown(request, options)) return { kind: 'refuse', reason: 'authorization', drop: false }
  // A 405 is about HEAD alone.
  if (response.status >= 500 || response.status === 405) return { kind: 'refuse', reason: 'server-error', drop: false }
  const agrees =
    response.status === stored.status &&
    sameValidators(response, stored) &&
    sameLength(stored.headers, response.headers)
  if (!agrees) return { kind: 'refuse', reason: 'head-size', drop: true }
  const headers = merged(stored.headers, dated(response.headers, responseTime))
  if (hasOutgrown(stored.headers, headers)) return { kind: 'refuse', reason: 'head-size', drop: true }
  const head = { ...response, status: stored.status, headers }
  const facts = {
    ...factsOf(head, options),
    initialAge: initialAge(head.headers, requestTime, responseTime),
    responseTime,
    options: forStored(request, head, options),
    random: 0,
  }
  return forbidden(request, stored, facts) ?? refreshed(facts, options)
}

function isKnown({ headers }: RequestHead, { allowCookies }: PolicyOptions): boolean {
  return hasHeader(headers, 'authorization') || (!allowCookies && hasHeader(headers, 'cookie'))
}

function sameLength(stored: HeaderList, head: HeaderList): boolean {
  const length = getHeader(head, 'content-length')
  const storedLength = getHeader(stored, 'content-length')
  return length === null || storedLength === null || length === storedLength
}

function lifetimeInput(input: SettleInput, headers: HeaderList): LifetimeInput {
  const { response, stored, requestTime, responseTime, options, random } = input
  const head = { ...response, status: response.status === 304 && stored ? stored.status : response.status, headers }
  return {
    ...factsOf(head, options),
    initialAge: initialAge(headers, requestTime, responseTime),
    responseTime,
    options,
    random,
  }
}

function factsOf(
  response: ResponseHead,
  options: PolicyOptions,
): Pick<LifetimeInput, 'response' | 'directives' | 'targeted'> {
  return { response, ...directivesOf(response.headers, options) }
}

function termsOf(facts: LifetimeInput): Terms {
  const { directives, options } = facts
  const own = ownExpiry(options, facts.response.status)
  const overridden = options.override && own !== null
  const span = lifetime(facts)
  const sliding = slidingSeconds(span, facts.initialAge, own, options)
  return Object.freeze({
    ...span,
    initialAge: facts.initialAge,
    noCache: (directives.noCache || becameNoStore(directives)) && !overridden,
    mustRevalidate: !overridden && mustRevalidate(directives, options),
    immutable: directives.immutable,
    staleWhileRevalidate: directives.staleWhileRevalidate ?? options.staleWhileRevalidate,
    staleIfError: directives.staleIfError ?? options.staleIfError,
    ...(sliding === undefined ? {} : { sliding }),
  })
}

/** Section 5.2.2.5: only a 304 can make no-store of what is stored already: then nothing is answered from it without asking. */
function becameNoStore({ noStore, mustUnderstand }: CacheControl): boolean {
  return noStore && !mustUnderstand
}

/** Sections 5.2.2.2, 5.2.2.8; s-maxage implies proxy-revalidate (5.2.2.10). */
function mustRevalidate(directives: CacheControl, options: PolicyOptions): boolean {
  return directives.mustRevalidate || (options.shared && (directives.proxyRevalidate || directives.sMaxage !== null))
}

/** RFC 9110 section 6.6.1: a response without Date is stored with the time it was received. */
function dated(headers: HeaderList, responseTime: number): HeaderList {
  return hasHeader(headers, 'date') ? headers : [...headers, ['date', formatDate(responseTime)]]
}

/** Section 3.1: everything but fields of the connection, fields named by no-cache and (shared) private, and stripped cookies. */
function storableHeaders(headers: HeaderList, directives: CacheControl, options: PolicyOptions): HeaderList {
  const hop = connectionHeaders(headers)
  const strips = options.shared && options.setCookie === 'strip' && hasHeader(headers, 'set-cookie')
  const { noCacheFields, privateFields } = directives
  const named = new Set([...noCacheFields, ...(options.shared ? privateFields : []), ...(strips ? ['set-cookie'] : [])])
  return headers.filter(([name]) => !hop.has(name) && !named.has(name))
}

function isZero(expiry: Expiry | null): boolean {
  return expiry?.kind === 'seconds' && expiry.seconds === 0
}
