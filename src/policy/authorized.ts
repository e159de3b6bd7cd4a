/**
 * Authorization in a shared cache (RFC 9111 section 3.5; RELIABILITY 73): in the words that let a response to such a request be stored, the
 * origin says that it is for all. Without them it is not stored; nor does what an anonymous user was told answer somebody known.
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

/** Whether what is stored may not answer this request, being asked for by somebody. */
export function isForOthers(request: RequestHead, { headers }: ResponseMeta, options: PolicyOptions): boolean {
  if (!options.shared || !hasHeader(request.headers, 'authorization')) return false
  return !isForAll(directivesOf(headers, options).directives)
}
