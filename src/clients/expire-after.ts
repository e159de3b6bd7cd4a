/** `expireAfter` as a function of the request and the response (row 72). */
import { warn } from '../engine/warning.ts'
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import type { Expiry, ExpiryFunction } from '../policy/options.ts'
import { parseExpiry, type Duration } from './durations.ts'

/** What a function given as `expireAfter` is told of the request, as it was sent. */
export type ExpireAfterRequest = Pick<Request, 'method' | 'url' | 'headers'>

/** What a function given as `expireAfter` is told of the response; after a 304 it is the stored one with its new headers. */
export type ExpireAfterResponse = Pick<Response, 'status' | 'statusText' | 'headers'>

/**
 * A lifetime, or a function that makes one of the request and the response: 0 keeps the response out, undefined leaves it to what
 * would be in force without the function.
 *
 * @example
 * ```ts
 * import { CachedSession, type ExpireAfter } from 'keepfresh'
 *
 * const byType: ExpireAfter = (_request, { headers }) =>
 *   headers.get('content-type')?.startsWith('image/') ? '30d' : undefined
 * const session = new CachedSession({ expireAfter: '1h', urlsExpireAfter: { 'cdn.example.com': byType } })
 * ```
 */
export type ExpireAfter =
  | Duration
  | ((request: ExpireAfterRequest, response: ExpireAfterResponse) => Duration | undefined)

/**
 * The function as policy asks it.
 * @param otherwise asked where it answers undefined
 */
export function compileExpireAfter(
  expireAfter: Exclude<ExpireAfter, Duration>,
  otherwise: ExpiryFunction | null,
): ExpiryFunction {
  return (request, response) => {
    let made: Expiry
    try {
      const value = expireAfter(requestOf(request), responseOf(response))
      if (value === undefined) return otherwise === null ? null : otherwise(request, response)
      made = parseExpiry(value, 'expireAfter')
    } catch (error) {
      // The response is the caller's all the same: it is not stored, `refused` says so, and here is why.
      warn('KEEPFRESH_EXPIRE_AFTER', `expireAfter failed for ${new URL(request.url).origin}: ${String(error)}`)
      return 'failed'
    }
    return made
  }
}

function requestOf({ method, url, headers }: RequestHead): ExpireAfterRequest {
  return { method, url, headers: headersOf(headers) }
}

function responseOf({ status, statusText, headers }: ResponseHead): ExpireAfterResponse {
  return { status, statusText, headers: headersOf(headers) }
}

function headersOf(list: HeaderList): Headers {
  return new Headers(list as [string, string][])
}
