/** Validation (RFC 9111 section 4.3): the conditions to send, the 304 that fits, and what it changes. */
import { parseDate } from '../http/date.ts'
import { isStrong, strongMatch, weakMatch } from '../http/etag.ts'
import { connectionHeaders, getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import type { ResponseMeta, Variant } from './decision.ts'
import { dateOf, hasValidator } from './freshness.ts'
import { hasStrongDate } from './strong-date.ts'

/** Section 4.3.1: both validators where both exist. */
export function conditionsFor(meta: ResponseMeta): HeaderList {
  const conditions: HeaderLine[] = []
  const etag = getHeader(meta.headers, 'etag')
  const modified = getHeader(meta.headers, 'last-modified')
  if (etag !== null) conditions.push(['if-none-match', etag])
  if (modified !== null) conditions.push(['if-modified-since', modified])
  return conditions
}

/**
 * Section 4.3.1: the tags of other variants, one of which the origin may select. Strong ones only: codings, formats and languages of one
 * thing may share a weak one (RFC 9110 section 8.8.1), and a 304 to it would not say which of them. Unquoted ones cannot be listed.
 */
export function conditionsForVariants(variants: readonly Variant[]): HeaderList {
  const tags = variants.map(({ etag }) => etag).filter((etag) => etag !== null && /^"[^"]*"$/.test(etag))
  return tags.length === 0 ? [] : [['if-none-match', [...new Set(tags)].join(', ')]]
}

/**
 * Section 4.3.4: whether a 304 is about this stored response. A strong validator in it must be the stored one; a weak one must
 * correspond. A 304 with no validator at all can only be about the one response whose validators were sent.
 */
export function validates(response: ResponseHead, meta: ResponseMeta): boolean {
  const etag = getHeader(response.headers, 'etag')
  const stored = getHeader(meta.headers, 'etag')
  const modified = getHeader(response.headers, 'last-modified')
  const sameDate = modified !== null && modified === getHeader(meta.headers, 'last-modified')
  if (etag === null) return modified === null || sameDate
  if (stored !== null && !weakMatch(etag, stored)) return false
  if (stored !== null && strongMatch(etag, stored)) return true
  if (isStrong(etag)) return sameDate && hasStrongDate(meta.headers, meta.responseTime)
  return stored !== null || sameDate
}

/**
 * Whether a 304 can only be the answer to the caller's own condition, and tells nothing of what is stored: with no validator on either side
 * there is none of ours. Section 4.3.4 has what is stored updated by it; but tags of the caller's, and what did not change since a later
 * date, leave open whether it changed since it was stored.
 */
export function answersCaller(request: RequestHead, response: ResponseHead, meta: ResponseMeta): boolean {
  if (hasValidator(response.headers) || hasValidator(meta.headers)) return false
  if (hasHeader(request.headers, 'if-none-match')) return true
  const since = getHeader(request.headers, 'if-modified-since')
  const at = since === null ? null : parseDate(since, meta.responseTime)
  return at !== null && at > dateOf(meta.headers, meta.responseTime)
}

/** Section 4.3.5: whether the validators a HEAD carries are those of the stored response. */
export function sameValidators(response: ResponseHead, meta: ResponseMeta): boolean {
  const etag = getHeader(response.headers, 'etag')
  const modified = getHeader(response.headers, 'last-modified')
  return (
    (etag === null || weakMatch(etag, getHeader(meta.headers, 'etag') ?? '')) &&
    (modified === null || modified === getHeader(meta.headers, 'last-modified'))
  )
}

/** Fields about the stored body itself, which a 304 does not change (section 3.2). */
const OF_THE_BODY: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'content-range',
  // RFC 9530: of the content of the 304 or the HEAD, which is empty.
  'content-digest',
  'content-md5',
  'etag',
])

/** The stored headers after a 304 or a HEAD: each field it carries replaces all lines of that name (section 3.2). */
export function merged(stored: HeaderList, response: HeaderList): HeaderList {
  const hop = connectionHeaders(response)
  const update = response.filter(([name]) => !OF_THE_BODY.has(name) && !hop.has(name))
  const names = new Set(update.map(([name]) => name))
  // An Age of the old response says nothing about the new one.
  names.add('age')
  return [...stored.filter(([name]) => !names.has(name)), ...update]
}
