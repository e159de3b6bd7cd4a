/** Incomplete responses (RFC 9111 sections 3.3, 3.4). */
import { isStrong } from '../http/etag.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList, ResponseHead } from '../http/message.ts'
import { sameValidators } from './conditional.ts'
import type { Part, ResponseMeta } from './decision.ts'
import { isFresh } from './freshness.ts'
import type { PolicyOptions } from './options.ts'
import { hasStrongDate } from './strong-date.ts'

/**
 * Whether stored parts and a new one belong to one representation: they share a strong validator (RFC 9110 section 15.3.7.3), and nothing
 * says otherwise: they were selected by the same request headers, and their lengths do not contradict each other.
 */
export function mayCombine(
  stored: ResponseMeta,
  part: Pick<ResponseMeta, 'headers' | 'selecting' | 'parts' | 'total'>,
): boolean {
  if (JSON.stringify(stored.selecting) !== JSON.stringify(part.selecting)) return false
  const total = stored.total ?? part.total
  if (total !== (part.total ?? total)) return false
  if (total !== null && [stored, part].some(({ parts }) => parts?.some(({ last }) => last >= total))) return false
  return shareStrongValidator(stored, part)
}

function shareStrongValidator(stored: ResponseMeta, response: { readonly headers: HeaderList }): boolean {
  const etag = getHeader(response.headers, 'etag')
  const storedTag = getHeader(stored.headers, 'etag')
  if (etag !== null || storedTag !== null) return etag !== null && isStrong(etag) && etag === storedTag
  const modified = getHeader(response.headers, 'last-modified')
  if (modified === null || modified !== getHeader(stored.headers, 'last-modified')) return false
  return hasStrongDate(stored.headers, stored.responseTime)
}

/** Section 4.3.3: whether a part that the origin sent shows that a stored whole is no longer what it has. */
export function isOutdatedBy(stored: ResponseMeta, part: ResponseHead): boolean {
  return stored.parts === null && !sameValidators(part, stored)
}

/** How many bytes a part is. */
export function lengthOf({ first, last }: Part): number {
  return last - first + 1
}

/** How many bytes parts are together. */
export function lengthOfAll(parts: readonly Part[]): number {
  return parts.reduce((sum, part) => sum + lengthOf(part), 0)
}

/** Where a position is in the body that these parts make, and the last that its part holds; null: it is not there. */
export function placeOf(
  parts: readonly Part[],
  position: number,
): { readonly offset: number; readonly last: number } | null {
  let before = 0
  for (const part of parts) {
    if (part.first <= position && position <= part.last)
      return { offset: before + position - part.first, last: part.last }
    before += lengthOf(part)
  }
  return null
}

/**
 * Whether a stored whole may give way to the beginning of what the origin has in its place: it answers nobody any more, fresh or stale, and
 * could not be confirmed, either.
 */
export function givesWayTo(response: ResponseHead, stored: ResponseMeta, now: number, options: PolicyOptions): boolean {
  const { staleWhileRevalidate, staleIfError, keep = 0 } = stored.terms
  const windows = [staleWhileRevalidate, staleIfError, keep, options.staleWhileRevalidate, options.staleIfError]
  if (isFresh(stored, now) || options.serveStaleWhenDisconnected || windows.some((window) => window > 0)) return false
  return isOutdatedBy(stored, response)
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
