/** How a stored response answers one request: the caller's conditions first, then its range (RFC 9110 sections 13.2.2, 14.2; RFC 9111 section 4.3.2). */
import { parseDate } from '../http/date.ts'
import { parseETagList, strongMatch, weakMatch } from '../http/etag.ts'
import { getHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { parseRange, resolveRange } from '../http/range.ts'
import type { Answer, ResponseMeta } from './decision.ts'
import { dateOf } from './freshness.ts'
import { placeOf } from './partial.ts'
import { hasStrongDate } from './strong-date.ts'

const WHOLE: Answer = Object.freeze({ kind: 'whole' })
const NOT_MODIFIED: Answer = Object.freeze({ kind: 'not-modified' })

/** Methods that a 304 answers (RFC 9110 sections 13.1.2, 13.1.3; RFC 10008); to any other a failed condition would be a 412. */
const CONDITIONAL: ReadonlySet<string> = new Set(['GET', 'HEAD', 'QUERY'])

/** `size`: bytes of the stored body. 'whole' of an incomplete entry means that it cannot answer. */
export function answer(request: RequestHead, meta: ResponseMeta, size: number): Answer {
  if (request.headers.length === 0) return WHOLE
  const success = meta.status >= 200 && meta.status <= 299
  if (success && CONDITIONAL.has(request.method) && isNotModified(request, meta)) return NOT_MODIFIED
  const range = getHeader(request.headers, 'range')
  if (range === null || request.method !== 'GET' || (meta.status !== 200 && meta.parts === null)) return WHOLE
  if (meta.decoded || !ifRangeHolds(request, meta)) return WHOLE
  return meta.parts === null ? rangeOfWhole(range, size) : rangeOfParts(range, meta)
}

/** If-None-Match, or in its absence If-Modified-Since, evaluated against what is stored. */
function isNotModified(request: RequestHead, meta: ResponseMeta): boolean {
  const wanted = getHeader(request.headers, 'if-none-match')
  if (wanted !== null) {
    const tags = parseETagList(wanted)
    const etag = getHeader(meta.headers, 'etag')
    return tags === '*' || (etag !== null && tags.some((tag) => weakMatch(tag, etag)))
  }
  const since = getHeader(request.headers, 'if-modified-since')
  const at = since === null ? null : parseDate(since, meta.responseTime)
  if (at === null) return false
  const modified = getHeader(meta.headers, 'last-modified')
  const changed =
    (modified === null ? null : parseDate(modified, meta.responseTime)) ?? dateOf(meta.headers, meta.responseTime)
  return changed <= at
}

/** RFC 9110 section 13.1.5: only a strong validator keeps the range: an entity tag, or a date that is one and equals Last-Modified exactly. */
function ifRangeHolds(request: RequestHead, meta: ResponseMeta): boolean {
  const condition = getHeader(request.headers, 'if-range')
  if (condition === null) return true
  if (/^(?:W\/)?"/.test(condition)) return strongMatch(condition, getHeader(meta.headers, 'etag') ?? '')
  return condition === getHeader(meta.headers, 'last-modified') && hasStrongDate(meta.headers, meta.responseTime)
}

function rangeOfWhole(value: string, size: number): Answer {
  const range = parseRange(value)?.ranges
  if (range?.[0] === undefined || range.length > 1) return WHOLE
  const resolved = resolveRange(range[0], size)
  // RFC 9110 section 14.1.2: the last bytes of nothing can be had; but no Content-Range could say which they are.
  if (size === 0 && 'suffix' in range[0] && range[0].suffix > 0) return WHOLE
  if (resolved === null) return { kind: 'range-not-satisfiable', total: size }
  return { kind: 'range', ...resolved, total: size, offset: resolved.first }
}

function rangeOfParts(value: string, meta: ResponseMeta): Answer {
  const ranges = parseRange(value)?.ranges
  const [range] = ranges ?? []
  if (range === undefined || (ranges?.length ?? 0) > 1) return WHOLE
  const { total } = meta
  if (total === null && ('suffix' in range || range.last === null)) return WHOLE
  const wanted = total === null ? range : resolveRange(range, total)
  if (wanted === null) return { kind: 'range-not-satisfiable', total: total ?? 0 }
  if ('suffix' in wanted || wanted.last === null) return WHOLE
  const place = placeOf(meta.parts ?? [], wanted.first)
  if (place === null || wanted.last > place.last) return WHOLE
  return { kind: 'range', first: wanted.first, last: wanted.last, total, offset: place.offset }
}
