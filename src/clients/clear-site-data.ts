/**
 * `Clear-Site-Data: "cache"` (W3C Clear Site Data; row 248): an origin may have what is stored of it deleted.
 *
 * Rule 1: of that origin only, by a private cache only: the word is for the user agent, and a shared cache is nobody's.
 * Rule 2: only where nobody on the way can have put it there: https, or this machine (Secure Contexts section 3.1).
 * Rule 3: it is done before the response is handed out; the response itself is not stored.
 */
import { asStoreError } from '../errors.ts'
import type { Engine } from '../engine/engine.ts'
import { atMost } from '../engine/timer.ts'
import { clearsCache } from '../http/clear-site-data.ts'
import { originOf } from '../http/uri.ts'
import { deleteMatching } from './delete-matching.ts'

const LOCAL = /^http:\/\/(?:(?:[^/]+\.)?localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/

/** The origin that has its part of the cache cleared by a response of this URL; null: none. */
export function originToClear(url: string, value: string | null): string | null {
  if (value === null || !clearsCache(value)) return null
  const origin = originOf(url)
  return origin.startsWith('https://') || LOCAL.test(origin) ? origin : null
}

/** Deletes what is stored of an origin. It never fails, and takes no longer than `limit` ms of the caller's time. */
export async function clearOrigin(engine: Engine, origin: string, limit: number): Promise<void> {
  engine.invalidations.fenceOrigin(origin)
  engine.invalidations.tell?.({ urls: [{ source: `^${origin.replaceAll(/[.[\]]/g, '\\$&')}/`, flags: '' }] })
  const cleared = deleteMatching(engine, (url) => originOf(url) === origin).catch((error: unknown) =>
    engine.events.emit({
      type: 'error',
      operation: 'delete',
      key: null,
      error: asStoreError(error, 'delete', engine.store.name),
    }),
  )
  await atMost(limit, cleared)
}
