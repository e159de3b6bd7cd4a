/**
 * May it be stored? (RFC 9111 section 3, and the guards of a shared cache.) One function, one reason.
 */
import type { CacheControl } from '../http/cache-control.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import { parseContentRange } from '../http/range.ts'
import { parseVary } from '../http/vary.ts'
import { parseCacheControl } from '../http/cache-control.ts'
import type { RefuseReason } from './decision.ts'
import { isHeuristicallyCacheable, ownExpiry } from './freshness.ts'
import type { PolicyOptions } from './options.ts'

/** Final statuses whose caching behaviour is understood: those of RFC 9110 section 15. */
const UNDERSTOOD: ReadonlySet<number> = new Set([
  200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
  409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505,
])

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

/** Section 3.5 and the guards of R4: nothing that depends on who asks. */
function sharedRefusal(
  { request, response, directives, options, explicit }: Candidate,
  vary: readonly string[],
): RefuseReason | null {
  if (directives.private) return 'private'
  const shareable =
    directives.public ||
    directives.mustRevalidate ||
    (directives.sMaxage !== null && !(directives.invalid && directives.sMaxage === 0))
  if (hasHeader(request.headers, 'authorization') && !shareable) return 'authorization'
  if (options.setCookie === 'refuse' && hasHeader(response.headers, 'set-cookie')) return 'set-cookie'
  if (options.allowCookies) return null
  if (!explicit && hasHeader(request.headers, 'cookie')) return 'cookie'
  return vary.some((name) => CREDENTIALS.has(name)) ? 'vary-credentials' : null
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

/** The part a 206 carries; null for any other status, or where Content-Range does not say. */
export function partOf(response: ResponseHead): { first: number; last: number; total: number | null } | null {
  if (response.status !== 206) return null
  const value = getHeader(response.headers, 'content-range')
  const range = value === null ? null : parseContentRange(value)
  return range === null || 'unsatisfied' in range ? null : range
}
