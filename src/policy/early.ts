/** Refreshing ahead (row 143): what is fresh may be revalidated before its end, so that nobody has to wait for it (RFC 9111 section 4.3). */
import type { ResponseMeta } from './decision.ts'
import { freshUntil } from './freshness.ts'
import { FOREVER, type PolicyOptions } from './options.ts'

/** Whether the entry is in the last part of its lifetime, as `refreshAhead` divides it. */
export function isEarly(meta: ResponseMeta, now: number, options: PolicyOptions): boolean {
  const after = options.refreshAhead?.after ?? null
  if (after === null || meta.terms.lifetime >= FOREVER || !mayRefresh(meta)) return false
  return now >= meta.responseTime + (freshUntil(meta) - meta.responseTime) * after
}

/** Whether so many hits are enough. */
export function isWorn(meta: ResponseMeta, hits: number, options: PolicyOptions): boolean {
  const limit = options.refreshAhead?.hits ?? null
  return limit !== null && hits >= limit && mayRefresh(meta)
}

/** RFC 8246 section 2: an immutable response has nothing to revalidate while it is fresh. */
function mayRefresh(meta: ResponseMeta): boolean {
  return !meta.terms.immutable
}
