/**
 * What the origin's answer means (RFC 9111 sections 3, 4.3.3-4.3.5, 4.4): keep it, freshen what is kept, or neither.
 */
import type { CacheControl } from '../http/cache-control.ts'
import { formatDate } from '../http/date.ts'
import { connectionHeaders, getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import { parseVary } from '../http/vary.ts'
import { initialAge } from './age.ts'
import { isKnown, isRefusal } from './authorized.ts'
import { answersCaller, merged, sameValidators, validates } from './conditional.ts'
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
  const facts = lifetimeInput(input)
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
    headers: dated(storableHeaders(response.headers, facts.directives, options), input.responseTime),
    terms,
    vary: parseVary(getHeader(response.headers, 'vary')) ?? [],
    part: partOf(response),
  }
}

/**
 * Section 4.3.3: a server error may pass without harm to what is stored; an answer that is about the resource has taken its place.
 * What a HEAD does to a stored GET is said by headUpdate.
 */
function supersedes({ request, response, stored, options }: SettleInput): boolean {
  if (stored === null || response.status >= 500 || OF_THE_MOMENT.has(response.status)) return false
  // Who is refused takes nothing away from the others (RELIABILITY 86).
  if (options.shared && isRefusal(request, response.status, options)) return false
  return request.method !== 'HEAD' || stored.method === 'HEAD'
}

/** Answers about the request and the moment it came in, not about the resource: what is stored of it stays. */
const OF_THE_MOMENT: ReadonlySet<number> = new Set([407, 408, 425, 429, 431])

/** Stale on arrival: of use only where it can be revalidated or served stale. */
function isWorthKeeping(terms: Terms, headers: HeaderList): boolean {
  return hasValidator(headers) || terms.staleWhileRevalidate > 0 || terms.staleIfError > 0 || terms.keep !== undefined
}

/** Section 4.3.4: a 304 for what is stored gives it new headers and new terms. */
function freshen(input: SettleInput): Outcome {
  const { request, stored, response } = input
  if (stored === null || answersCaller(request, response, stored))
    return { kind: 'refuse', reason: 'not-modified', drop: false }
  if (!validates(response, stored)) return { kind: 'refuse', reason: 'not-modified', drop: true }
  return renewedBy(input, stored) ?? { kind: 'refuse', reason: 'not-modified', drop: true }
}

/** What is stored with the fields of an update (section 3.2), if it may be kept so; null: it has outgrown its limit. */
function renewedBy(input: SettleInput, stored: ResponseMeta): Outcome | null {
  const { request, response, responseTime, options } = input
  const headers = merged(stored.headers, dated(response.headers, responseTime))
  if (hasOutgrown(stored.headers, headers)) return null
  const head = { ...response, status: stored.status, headers }
  const facts = lifetimeInput({ ...input, response: head, options: forStored(request, head, options) })
  return (
    forbidden(request, stored, facts) ?? {
      kind: 'refresh',
      headers: storableHeaders(headers, facts.directives, options),
      terms: termsOf(facts),
    }
  )
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

/** Whether an answer tells what is at its URL: an error is about its own request, unless it says that nothing is there. */
export function isAboutResource(status: number): boolean {
  return status < 400 || status === 404 || status === 410
}

/** Section 4.3.5: a HEAD that agrees with the stored GET freshens it, one that does not makes it unusable. `size`: bytes of its body. */
export function headUpdate(input: Omit<SettleInput, 'stored'>, stored: ResponseMeta, size: number): Outcome {
  const { request, response, options } = input
  // Its fields may be about who asks: what all are given is not renewed by them.
  if (options.shared && isKnown(request, options)) return { kind: 'refuse', reason: 'authorization', drop: false }
  if (!isAboutResource(response.status)) return { kind: 'refuse', reason: 'server-error', drop: false }
  const agrees =
    response.status === stored.status && sameValidators(response, stored) && sameLength(stored, size, response.headers)
  const renewed = agrees ? renewedBy({ ...input, stored }, stored) : null
  return renewed ?? { kind: 'refuse', reason: 'head-size', drop: true }
}

/**
 * Where the stored response has no Content-Length, its body has a length; none to compare where it is stored decoded, or in another coding:
 * what compresses a GET as it is sent often leaves a HEAD as it is.
 */
function sameLength({ headers, decoded }: ResponseMeta, size: number, head: HeaderList): boolean {
  const length = getHeader(head, 'content-length')
  const otherwise = decoded || getHeader(head, 'content-encoding') !== getHeader(headers, 'content-encoding')
  const storedLength = getHeader(headers, 'content-length') ?? (otherwise ? length : String(size))
  return length === null || length === storedLength
}

function lifetimeInput({ response, requestTime, responseTime, options, random }: SettleInput): LifetimeInput {
  return {
    response,
    ...directivesOf(response.headers, options),
    initialAge: initialAge(response.headers, requestTime, responseTime),
    responseTime,
    options,
    random,
  }
}

function termsOf(facts: LifetimeInput): Terms {
  const { directives, options } = facts
  const own = ownExpiry(options, facts.response.status)
  const overridden = options.override && own !== null
  const span = lifetime(facts)
  const sliding = slidingSeconds(span, facts.initialAge, own, options)
  const noStore = becameNoStore(directives) && !overridden
  return Object.freeze({
    ...span,
    initialAge: facts.initialAge,
    noCache: noStore || (directives.noCache && !overridden),
    mustRevalidate: !overridden && mustRevalidate(directives, options),
    immutable: directives.immutable,
    ...staleWindows(directives, options),
    ...(sliding === undefined ? {} : { sliding }),
    ...(noStore ? { noStore } : {}),
  })
}

/** The origin's belong to the entry; what the user allows is asked for with each request (stale.ts), and only has it kept so long. */
function staleWindows(
  directives: CacheControl,
  options: PolicyOptions,
): Pick<Terms, 'staleWhileRevalidate' | 'staleIfError' | 'keep'> {
  const stays = options.staleWithEntry
  const staleWhileRevalidate = directives.staleWhileRevalidate ?? (stays ? options.staleWhileRevalidate : 0)
  const staleIfError = directives.staleIfError ?? (stays ? options.staleIfError : 0)
  const keep = Math.max(options.staleWhileRevalidate, options.staleIfError)
  const windows = { staleWhileRevalidate, staleIfError }
  return keep > Math.max(staleWhileRevalidate, staleIfError) ? { ...windows, keep } : windows
}

/** Section 5.2.2.5: only an update can make no-store of what is stored already. It answers who asked, and is kept no longer (keeper.ts). */
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
