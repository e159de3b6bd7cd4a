/** How long an entry is of any use: to answer fresh, stale, or as the base of a revalidation (row 137). */
import type { ResponseMeta } from './decision.ts'
import { freshUntil, hasValidator, NEVER } from './freshness.ts'

const DAY = 86_400_000
const WITH_VALIDATOR = 30 * DAY

/** The instant (ms) from which on nobody can use the entry. */
export function keepUntil(meta: ResponseMeta): number {
  const { staleIfError, staleWhileRevalidate, keep = 0 } = meta.terms
  const stale = Math.max(staleIfError, staleWhileRevalidate, keep) * 1000
  const after = Math.max(stale, hasValidator(meta.headers) ? WITH_VALIDATOR : DAY)
  return Math.min(NEVER, Math.max(freshUntil(meta), meta.responseTime) + after)
}
