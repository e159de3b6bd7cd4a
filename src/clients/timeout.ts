/**
 * Timeouts of a session (feature S2): a request is given up in all, or until its headers.
 *
 * Rule 1: a timeout is a failure of the origin: what `staleIfError` allows makes it good (feature E5, RFC 5861 section 4).
 * Rule 2: the caller's own abort is the caller's wish: nothing makes that good.
 */
import { after, LONGEST_WAIT } from '../engine/timer.ts'
import type { CacheClient } from './client.ts'
import type { CachedRequestInit } from './incoming.ts'
import { cacheInfo, type CachedResponse } from './response.ts'
import { timeoutParts, type Timeout } from './session-options.ts'

/** Fetches; rejects with a TimeoutError where that takes too long and nothing stored may take its place. */
export async function fetchInTime(
  client: CacheClient,
  target: URL | Request,
  init: CachedRequestInit,
  timeout: Timeout,
): Promise<CachedResponse> {
  const { total, headers } = timeoutParts(timeout)
  const own = init.signal ?? (target instanceof Request ? target.signal : null)
  const late = new AbortController()
  const timer =
    headers === undefined
      ? undefined
      : after(headers * 1000, () => late.abort(new DOMException('The headers took too long', 'TimeoutError')))
  const clock = total === undefined ? late.signal : AbortSignal.any([late.signal, AbortSignal.timeout(inTimers(total))])
  try {
    return await client.answer(target, { ...init, signal: own === null ? clock : AbortSignal.any([own, clock]) })
  } catch (error) {
    const stale = clock.aborted && !own?.aborted ? await staleInstead(client, target, init) : null
    if (stale === null) throw error
    return stale
  } finally {
    clearTimeout(timer)
  }
}

/** Seconds as milliseconds that a timer knows. */
function inTimers(seconds: number): number {
  return Math.min(seconds * 1000, LONGEST_WAIT)
}

/** The stored response where it may be served on error; null: none may. */
async function staleInstead(
  client: CacheClient,
  target: URL | Request,
  init: CachedRequestInit,
): Promise<CachedResponse | null> {
  // A body that was a stream is spent: its request cannot be looked up again.
  if (init.body instanceof ReadableStream || (target instanceof Request && target.body !== null)) return null
  const response = await client.answer(target, { ...init, httpCache: { ...init.httpCache, onlyIfCached: true } })
  return cacheInfo(response)?.reason === 'stale-if-error' ? response : null
}
