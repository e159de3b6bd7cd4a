/** Lifetimes that a function of the user makes of the request and the response (row 72): when it is asked, and what its word counts for. */
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { Expiry, PolicyOptions } from './options.ts'

/** What the function makes of a response; null: nothing, or there is none, or its status has a lifetime of its own. */
export function madeExpiry(
  request: RequestHead,
  response: ResponseHead,
  options: PolicyOptions,
): Expiry | null | 'failed' {
  if (options.expireAfterBy === null || options.expireAfterByStatus.has(response.status)) return null
  return options.expireAfterBy(request, response)
}

export function withExpiry(options: PolicyOptions, expireAfter: Expiry | null): PolicyOptions {
  return expireAfter === null ? options : { ...options, expireAfter }
}

/** For what is stored already and was confirmed: where the function fails, or would not have it stored, it is stale from now on. */
export function forStored(request: RequestHead, response: ResponseHead, options: PolicyOptions): PolicyOptions {
  const own = madeExpiry(request, response, options)
  return withExpiry(options, own === 'failed' ? { kind: 'seconds', seconds: 0 } : own)
}
