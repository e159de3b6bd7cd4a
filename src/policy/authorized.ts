/**
 * Authorization in a shared cache (RFC 9111 section 3.5; RELIABILITY 73): in the words that let a response to such a request be stored, the
 * origin says that it is for all. Without them it is not stored; nor does what an anonymous user was told answer somebody known.
 * A 401 or 403 is about who asks, whatever it says: nobody is refused what another was (RELIABILITY 86).
 */
import type { CacheControl } from '../http/cache-control.ts'
import { hasHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import type { ResponseMeta } from './decision.ts'
import type { PolicyOptions } from './options.ts'
import { directivesOf } from './targeted.ts'

export function isForAll({ public: isPublic, mustRevalidate, sMaxage, invalid }: CacheControl): boolean {
  return isPublic || mustRevalidate || (sMaxage !== null && !(invalid && sMaxage === 0))
}

/** Whether the request says who asks. */
export function isKnown({ headers }: RequestHead, { allowCookies }: PolicyOptions): boolean {
  return hasHeader(headers, 'authorization') || (!allowCookies && hasHeader(headers, 'cookie'))
}

/** Whether a response to this request, by its status, is about who asked. */
export function isRefusal(request: RequestHead, status: number, options: PolicyOptions): boolean {
  return (status === 401 || status === 403) && isKnown(request, options)
}

/** Whether what is stored may not answer this request, being asked for by somebody. */
export function isForOthers(request: RequestHead, { status, headers }: ResponseMeta, options: PolicyOptions): boolean {
  if (!options.shared || request.headers.length === 0) return false
  if (isRefusal(request, status, options)) return true
  return hasHeader(request.headers, 'authorization') && !isForAll(directivesOf(headers, options).directives)
}
