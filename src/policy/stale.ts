/** Serving stale (RFC 9111 section 4.2.4, RFC 5861). */
import { parseCacheControl, type CacheControl } from '../http/cache-control.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import type { ResponseMeta } from './decision.ts'
import { freshUntil } from './freshness.ts'
import type { PolicyOptions } from './options.ts'

/** Seconds since the entry went stale; negative while it is fresh. */
export function staleness(meta: ResponseMeta, now: number): number {
  return (now - freshUntil(meta)) / 1000
}

/** Whether some directive forbids any stale answer. */
export function forbidsStale(meta: ResponseMeta): boolean {
  return meta.terms.mustRevalidate || meta.terms.noCache
}

/** stale-if-error of the response, of the request or of the user who asks; must-revalidate beats them (RFC 5861 section 4). */
export function mayServeStale(meta: ResponseMeta, request: CacheControl, now: number, options: PolicyOptions): boolean {
  if (forbidsStale(meta)) return false
  const allowed = Math.max(meta.terms.staleIfError, request.staleIfError ?? 0, options.staleIfError)
  return staleness(meta, now) <= allowed && allowed > 0
}

/** What counts as an error to the directive (RFC 5861 section 4). */
const ERRORS: ReadonlySet<number> = new Set([500, 502, 503, 504])

/** Whether an answer may be hidden by a stale one where those are allowed: a user who allows them means any server error. */
export function isError(status: number, { staleIfError }: PolicyOptions): boolean {
  return ERRORS.has(status) || (status >= 500 && staleIfError > 0)
}

/** What may be done when the origin cannot answer. Section 4.4: what was invalidated is not sent before it is validated. */
export function onError(
  meta: ResponseMeta,
  request: CacheControl,
  invalidated: boolean,
  now: number,
  options: PolicyOptions,
): 'stale' | 'gateway-timeout' | 'fail' {
  if (!invalidated && mayServeStale(meta, request, now, options)) return 'stale'
  if (!options.serveStaleWhenDisconnected) return 'fail'
  return invalidated || forbidsStale(meta) ? 'gateway-timeout' : 'stale'
}

/**
 * Whether what was planned may still be done when the origin has failed: on a server, a route further in, known only since its handler
 * ran, may allow less than was in force before.
 * @param asked when the origin was asked, by which it was planned; undefined: not by this request
 */
export function mayHide(
  meta: ResponseMeta,
  request: HeaderList,
  options: PolicyOptions,
  asked: number | undefined,
): boolean {
  if (options.serveStaleWhenDisconnected) return true
  return mayServeStale(meta, parseCacheControl(getHeader(request, 'cache-control')), asked ?? -Infinity, options)
}
