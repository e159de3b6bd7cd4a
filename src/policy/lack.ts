/**
 * What an incomplete entry lacks of what is asked for, and how to ask for that alone (RFC 9111 sections 3.3 and 3.4, RFC 9110 section 13.1.5).
 *
 * Rule 1: one range a request, from the first byte that is missing to the last: stored bytes in between come again. Several requests could
 *   fail one after the other when the caller has the first bytes already.
 * Rule 2: only by a strong validator, sent as If-Range: an answer with a part under it proves that what is stored is a part of the same.
 */
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import { parseRange, resolveRange } from '../http/range.ts'
import type { Lack, Part, ResponseMeta } from './decision.ts'
import { lengthOf, mayCombine } from './partial.ts'
import { partOf } from './storable.ts'
import { hasStrongDate } from './strong-date.ts'

/** A tag that If-Range can carry: strong, and in quotes. */
const SENDABLE = /^"[^"]*"$/

/** The strong validator to ask for the rest with; null: there is none. A date is one only where there is no tag (RFC 9110 section 13.1.5). */
export function strongValidator(headers: HeaderList, responseTime: number): string | null {
  const etag = getHeader(headers, 'etag')
  if (etag !== null) return SENDABLE.test(etag) ? etag : null
  return hasStrongDate(headers, responseTime) ? getHeader(headers, 'last-modified') : null
}

/** What an incomplete entry lacks for a request; null: all of it, or there is no asking for the rest alone. */
export function lackOf(request: RequestHead, meta: ResponseMeta): Lack | null {
  const { parts, total } = meta
  if (request.method !== 'GET' || parts === null || total === null || total === 0 || meta.decoded) return null
  // The caller's own conditions are for the origin to evaluate.
  if (request.headers.some(([name]) => name.startsWith('if-'))) return null
  const validator = strongValidator(meta.headers, meta.responseTime)
  const wanted = wantedOf(request, total)
  if (validator === null || wanted === null) return null
  const missing = missingOf(wanted, parts)
  return missing === null ? null : { wanted, missing, validator }
}

/** The whole, or the one range that is asked for. */
function wantedOf(request: RequestHead, total: number): Part | null {
  const range = getHeader(request.headers, 'range')
  if (range === null) return { first: 0, last: total - 1 }
  const ranges = parseRange(range)?.ranges
  return ranges?.[0] === undefined || ranges.length > 1 ? null : resolveRange(ranges[0], total)
}

/** From the first missing byte to the last; null: nothing is missing, or nothing at either end is there. */
function missingOf(wanted: Part, parts: readonly Part[]): Part | null {
  let { first, last } = wanted
  for (const part of parts) if (part.first <= first && first <= part.last) first = part.last + 1
  for (const part of parts.toReversed()) if (part.first <= last && last <= part.last) last = part.first - 1
  return first > last || (first === wanted.first && last === wanted.last) ? null : { first, last }
}

/** The fields that ask for what is missing, in place of the caller's own. `total`: the complete length. */
export function fieldsFor({ missing: { first, last }, validator }: Lack, total: number | null): HeaderList {
  return [
    ['range', `bytes=${first}-${total !== null && last === total - 1 ? '' : last}`],
    ['if-range', validator],
  ]
}

/** Whether a response carries exactly the part that was asked for, of the very representation that the stored parts are of. */
export function brings(response: ResponseHead, missing: Part, stored: ResponseMeta): boolean {
  const part = partOf(response)
  if (part === null || part.first !== missing.first || part.last !== missing.last) return false
  const length = getHeader(response.headers, 'content-length')
  if (length !== null && length !== String(lengthOf(missing))) return false
  const { selecting } = stored
  const parts = [{ first: part.first, last: part.last }]
  if (!mayCombine(stored, { headers: response.headers, selecting, parts, total: part.total })) return false
  // Section 8.4 of RFC 9110: a coding is part of what the positions are of.
  return (
    !hasHeader(response.headers, 'content-encoding') ||
    getHeader(response.headers, 'content-encoding') === getHeader(stored.headers, 'content-encoding')
  )
}
