/** Incomplete responses (RFC 9111 sections 3.3, 3.4). */
import { isStrong } from '../http/etag.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import type { Part, ResponseMeta } from './decision.ts'
import { hasStrongDate } from './strong-date.ts'

/** Whether stored parts and a new one belong to one representation: they share a strong validator (RFC 9110 section 15.3.7.3). */
export function mayCombine(stored: ResponseMeta, response: { readonly headers: HeaderList }): boolean {
  const etag = getHeader(response.headers, 'etag')
  const storedTag = getHeader(stored.headers, 'etag')
  if (etag !== null || storedTag !== null) return etag !== null && isStrong(etag) && etag === storedTag
  const modified = getHeader(response.headers, 'last-modified')
  if (modified === null || modified !== getHeader(stored.headers, 'last-modified')) return false
  return hasStrongDate(stored.headers, stored.responseTime)
}

/** The parts in ascending order, what touches or overlaps joined. */
export function mergeParts(parts: readonly Part[], part: Part): Part[] {
  const merged: { first: number; last: number }[] = []
  for (const { first, last } of [...parts, part].toSorted((a, b) => a.first - b.first)) {
    const previous = merged.at(-1)
    if (previous !== undefined && first <= previous.last + 1) previous.last = Math.max(previous.last, last)
    else merged.push({ first, last })
  }
  return merged
}
