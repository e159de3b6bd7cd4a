/**
 * Sends one representation the way RFC 9110 sections 13 and 14 say: conditions first, then ranges.
 * Written apart from the library's own parsers on purpose (see types.ts).
 */
import { sendAnswer } from './answer.ts'
import type { OriginAnswer, OriginExchange } from './types.ts'

/** Something to send: known size, any part of it on demand. */
export interface Representation {
  readonly size: number
  readonly type: string
  /** With quotes; null: none. */
  readonly etag: string | null
  /** ms since the epoch; null: none. */
  readonly modified: number | null
  /** More header lines, sent with 200, 206 and 304. */
  readonly headers?: Readonly<Record<string, string>>
  bytes(start: number, end: number): Iterable<Uint8Array>
}

/** A representation that is at hand. */
export function fixed(body: string | Uint8Array, rest: Omit<Representation, 'size' | 'bytes'>): Representation {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return { ...rest, size: bytes.length, bytes: (start, end) => [bytes.subarray(start, end)] }
}

interface Range {
  readonly first: number
  readonly last: number
}

/** Most parts a multi-range request gets; more than this is answered whole. */
const MOST_RANGES = 16
const BOUNDARY = 'keepfresh-origin-part'

/** Sends `what` as the request's conditions and ranges ask: 200, 206, 304, 412 or 416. */
export async function sendRepresentation(exchange: OriginExchange, what: Representation): Promise<void> {
  await sendAnswer(exchange, represent(exchange, what))
}

function represent(exchange: OriginExchange, what: Representation): OriginAnswer {
  const headers: Record<string, string> = { ...what.headers }
  if (what.etag !== null) headers['ETag'] = what.etag
  if (what.modified !== null) headers['Last-Modified'] = new Date(what.modified).toUTCString()
  const status = condition(exchange, what)
  if (status !== 200) return { status, headers }
  headers['Accept-Ranges'] = 'bytes'
  const ranges = wanted(exchange, what)
  if (ranges === null) {
    const whole = { ...headers, 'Content-Type': what.type, 'Content-Length': String(what.size) }
    return { headers: whole, body: stream(what.bytes(0, what.size)) }
  }
  const [only, second] = ranges
  if (only === undefined) {
    return { status: 416, headers: { ...headers, 'Content-Range': `bytes */${what.size}` } }
  }
  if (second !== undefined) return parts(what, ranges, headers)
  return {
    status: 206,
    headers: {
      ...headers,
      'Content-Type': what.type,
      'Content-Range': `bytes ${only.first}-${only.last}/${what.size}`,
      'Content-Length': String(only.last - only.first + 1),
    },
    body: stream(what.bytes(only.first, only.last + 1)),
  }
}

/** RFC 9110 section 13.2.2: 200 go on, 304 or 412. */
function condition({ request }: OriginExchange, what: Representation): 200 | 304 | 412 {
  const safe = request.method === 'GET' || request.method === 'HEAD'
  const ifMatch = request.header('if-match')
  const unmodifiedSince = date(request.header('if-unmodified-since'))
  if (ifMatch !== null) {
    if (!listed(ifMatch, what.etag, true)) return 412
  } else if (unmodifiedSince !== null && what.modified !== null && seconds(what.modified) > seconds(unmodifiedSince)) {
    return 412
  }
  const ifNoneMatch = request.header('if-none-match')
  const modifiedSince = date(request.header('if-modified-since'))
  if (ifNoneMatch !== null) {
    if (listed(ifNoneMatch, what.etag, false)) return safe ? 304 : 412
  } else if (safe && modifiedSince !== null && what.modified !== null) {
    if (seconds(what.modified) <= seconds(modifiedSince)) return 304
  }
  return 200
}

function listed(field: string, etag: string | null, strong: boolean): boolean {
  if (field.trim() === '*') return true
  if (etag === null || (strong && etag.startsWith('W/'))) return false
  const tags = field.match(/(?:W\/)?"[^"]*"/g) ?? []
  const opaque = etag.replace(/^W\//, '')
  return tags.some((tag) => (strong ? tag === etag : tag.replace(/^W\//, '') === opaque))
}

/** The ranges to send; null: the whole; empty: none can be satisfied. */
function wanted({ request }: OriginExchange, what: Representation): Range[] | null {
  const field = request.header('range')
  if (request.method !== 'GET' || field === null || !ifRangeHolds(request.header('if-range'), what)) return null
  const match = /^bytes=\s*(\d+-\d*|-\d+)(\s*,\s*(\d+-\d*|-\d+))*\s*$/i.exec(field)
  if (match === null) return null
  const specs = field.slice(field.indexOf('=') + 1).split(',')
  if (specs.length > MOST_RANGES || specs.some(backwards)) return null
  return specs.map((spec) => resolve(spec.trim(), what.size)).filter((range) => range !== null)
}

function ifRangeHolds(field: string | null, what: Representation): boolean {
  if (field === null) return true
  if (field.includes('"')) return field === what.etag && !field.startsWith('W/')
  const at = date(field)
  return at !== null && what.modified !== null && seconds(at) === seconds(what.modified)
}

/** RFC 9110 section 14.1.1: invalid, so that the whole field is ignored. */
function backwards(spec: string): boolean {
  const [first = '', last = ''] = spec.trim().split('-')
  return first !== '' && last !== '' && Number(last) < Number(first)
}

function resolve(spec: string, size: number): Range | null {
  const dash = spec.indexOf('-')
  const from = spec.slice(0, dash)
  const to = spec.slice(dash + 1)
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1)
  if (from === '' && Number(to) === 0) return null
  return first <= last ? { first, last } : null
}

function parts(what: Representation, ranges: readonly Range[], headers: Record<string, string>): OriginAnswer {
  const text = new TextEncoder()
  function* all(): Generator<Uint8Array> {
    for (const { first, last } of ranges) {
      const place = `Content-Range: bytes ${first}-${last}/${what.size}`
      yield text.encode(`\r\n--${BOUNDARY}\r\nContent-Type: ${what.type}\r\n${place}\r\n\r\n`)
      yield* what.bytes(first, last + 1)
    }
    yield text.encode(`\r\n--${BOUNDARY}--\r\n`)
  }
  const type = `multipart/byteranges; boundary=${BOUNDARY}`
  return { status: 206, headers: { ...headers, 'Content-Type': type }, body: stream(all()) }
}

async function* stream(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* chunks
}

function date(field: string | null): number | null {
  const at = field === null ? Number.NaN : Date.parse(field)
  return Number.isNaN(at) ? null : at
}

/** HTTP dates have whole seconds. */
function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
