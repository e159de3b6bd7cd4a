/**
 * May it be stored? (RFC 9111 section 3, and the guards of a shared cache.) One function, one reason.
 */
import type { CacheControl } from '../http/cache-control.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import { parseContentRange } from '../http/range.ts'
import { parseVary } from '../http/vary.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import { isForAll, isRefusal } from './authorized.ts'
import type { RefuseReason } from './decision.ts'
import { isHeuristicallyCacheable, ownExpiry } from './freshness.ts'
import type { PolicyOptions } from './options.ts'

/** Final statuses whose caching behaviour is understood: those of RFC 9110 section 15. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
  409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 451, 500, 501, 502, 503, 504, 505,
])

/** Answers to fields of their own request that no key holds: If-Match and its like, Range, Expect. Another request would get them wrongly. */
const OF_ONE_REQUEST: ReadonlySet<number> = new Set([412, 416, 417])

/** RFC 6585 sections 3 to 6: "MUST NOT be stored by a cache". A user who names them knows better. */
const NEVER_STORED: ReadonlySet<number> = new Set([428, 429, 431, 511])

/** Selecting fields that tell users apart: a shared cache does not store what varies on them, unless allowed (RELIABILITY 78). */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

export interface Candidate {
  readonly request: RequestHead
  readonly response: ResponseHead
  readonly directives: CacheControl
  readonly options: PolicyOptions
  /** The origin set a lifetime explicitly. */
  readonly explicit: boolean
}

/** Why a response may not be stored; null: it may. */
export function refusal(candidate: Candidate): RefuseReason | null {
  const { request, response, directives, options } = candidate
  const { status } = response
  const overridden = options.override && ownExpiry(options, status) !== null
  if (status < 200 || status > 599 || status === 407) return 'status-not-understood'
  if (status === 304) return 'not-modified'
  if (OF_ONE_REQUEST.has(status) || (NEVER_STORED.has(status) && !isListed(status, options))) return 'status'
  if (options.cacheControl && parseCacheControl(getHeader(request.headers, 'cache-control')).noStore)
    return 'request-no-store'
  if (directives.mustUnderstand && !UNDERSTOOD.has(status)) return 'status-not-understood'
  // Section 5.2.2.3: with must-understand, no-store is for caches that do not understand the status.
  if (directives.noStore && !overridden && !(directives.mustUnderstand && UNDERSTOOD.has(status))) return 'no-store'
  const vary = parseVary(getHeader(response.headers, 'vary'))
  if (vary === null || vary[0] === '*') return 'vary-star'
  if (status === 206 && partOf(response) === null) return 'partial'
  return (options.shared ? sharedRefusal(candidate, vary) : null) ?? statusRefusal(candidate, overridden)
}

function isListed(status: number, { statuses, expireAfterByStatus }: PolicyOptions): boolean {
  return expireAfterByStatus.has(status) || statuses?.has(status) === true
}

/** Section 3.5 and the guards of R4: nothing that depends on who asks. */
function sharedRefusal(
  { request, response, directives, options, explicit }: Candidate,
  vary: readonly string[],
): RefuseReason | null {
  if (directives.private) return 'private'
  if (hasHeader(request.headers, 'authorization') && !isForAll(directives)) return 'authorization'
  if (isRefusal(request, response.status, options)) return 'authorization'
  if (options.setCookie === 'refuse' && setsCookie(response, directives)) return 'set-cookie'
  if (options.allowCookies) return null
  if (!explicit && hasHeader(request.headers, 'cookie')) return 'cookie'
  return vary.some((name) => CREDENTIALS.has(name)) ? 'vary-credentials' : null
}

/** A Set-Cookie that no-cache or private names is not among the fields that are stored (sections 5.2.2.4, 5.2.2.7). */
function setsCookie({ headers }: ResponseHead, { noCacheFields, privateFields }: CacheControl): boolean {
  return (
    hasHeader(headers, 'set-cookie') && !noCacheFields.includes('set-cookie') && !privateFields.includes('set-cookie')
  )
}

function statusRefusal(
  { response, directives, options, explicit }: Candidate,
  overridden: boolean,
): RefuseReason | null {
  const { status } = response
  const own = options.expireAfterByStatus.get(status)
  if (own !== undefined) return own.kind === 'seconds' && own.seconds === 0 ? 'status' : null
  if (options.statuses !== null) {
    const listed = options.statuses.has(status) || (status === 206 && options.statuses.has(200))
    return listed ? null : 'status'
  }
  if (explicit || overridden || isHeuristicallyCacheable(status)) return null
  if (options.cacheControl && (directives.public || (directives.private && !options.shared))) return null
  return options.expireAfter !== null && status < 400 && status !== 302 && status !== 307 && status !== 303
    ? null
    : 'status'
}

/** The part a 206 carries; null for any other status, for several parts in one, or where Content-Range does not say. */
export function partOf(response: ResponseHead): { first: number; last: number; total: number | null } | null {
  if (response.status !== 206) return null
  // RFC 9110 section 15.3.7.2: the body is not the part, but parts with heads of their own.
  if (/^multipart\/byteranges/i.test(getHeader(response.headers, 'content-type') ?? '')) return null
  const value = getHeader(response.headers, 'content-range')
  const range = value === null ? null : parseContentRange(value)
  return range === null || 'unsatisfied' in range ? null : range
}
