/** Endpoints about caching, validators, ranges and encodings: /cache, /etag, /etag-every, /range, /large, /gzip, /image, ... */
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { bodyBytes } from './body.ts'
import { HTML, IMAGES, ROBOTS, UTF8, XML, imageType } from './content.ts'
import { bad } from './endpoints-echo.ts'
import { fixed, sendRepresentation } from './representation.ts'
import type { Router } from './router.ts'
import type { OriginAnswer, OriginExchange } from './types.ts'

/** What /cache says it was last modified. */
const MODIFIED = Date.UTC(2024, 0, 1)
const JSON_TYPE = 'application/json'

export function addCacheEndpoints(router: Router): void {
  router.add('/cache', (exchange) => cached(exchange, {}))
  router.add('/cache/{seconds}', cacheFor)
  router.add('/etag/{tag}', etag)
  router.add('/etag-every/{seconds}', etagEvery)
  router.add('/bytes/{n}', ({ params, request }) => sized(params['n'], Number(request.query.get('seed') ?? 0)))
  router.add('/range/{n}', range)
  router.add('/large/{bytes}', large)
  router.add('/json', (exchange) => text(exchange, JSON.stringify({ slideshow: { title: 'Sample' } }), JSON_TYPE))
  router.add('/html', (exchange) => text(exchange, HTML, 'text/html; charset=utf-8'))
  router.add('/xml', (exchange) => text(exchange, XML, 'application/xml'))
  router.add('/encoding/utf8', (exchange) => text(exchange, UTF8, 'text/html; charset=utf-8'))
  router.add('/robots.txt', (exchange) => text(exchange, ROBOTS, 'text/plain'))
  router.add('/deny', (exchange) => text(exchange, 'You should not be here.\n', 'text/plain'))
  router.add('/gzip', (exchange) => encoded(exchange, 'gzip', gzipSync))
  router.add('/deflate', (exchange) => encoded(exchange, 'deflate', deflateSync))
  router.add('/brotli', (exchange) => encoded(exchange, 'br', brotliCompressSync))
  router.add('/image', (exchange) => image(exchange, imageType(exchange.request.header('accept') ?? '*/*')))
  router.add('/image/{type}', (exchange) => image(exchange, exchange.params['type'] ?? ''))
}

/** ETag and Last-Modified, 304 for whoever has it. */
function cached(exchange: OriginExchange, headers: Record<string, string>): Promise<void> {
  const body = JSON.stringify({ url: exchange.origin + exchange.request.url })
  const rest = { type: JSON_TYPE, etag: `"${hash(body)}"`, modified: MODIFIED, headers }
  return sendRepresentation(exchange, fixed(body, rest))
}

function cacheFor(exchange: OriginExchange): Promise<void> | OriginAnswer {
  const seconds = Number(exchange.params['seconds'])
  if (!Number.isInteger(seconds) || seconds < 0) return bad('seconds must be a whole number')
  return cached(exchange, { 'Cache-Control': `public, max-age=${seconds}` })
}

/** The given entity tag (quotes are added; `W/x` is weak), without freshness unless `?max-age=`. */
function etag(exchange: OriginExchange): Promise<void> {
  const tag = exchange.params['tag'] ?? ''
  const field = tag.startsWith('W/') ? `W/"${tag.slice(2)}"` : `"${tag}"`
  const rest = { type: JSON_TYPE, etag: field, modified: null, headers: maxAge(exchange) }
  return sendRepresentation(exchange, fixed(JSON.stringify({ etag: field }), rest))
}

/** Body and ETag change every so many seconds of the origin's clock. */
function etagEvery(exchange: OriginExchange): Promise<void> | OriginAnswer {
  const seconds = Number(exchange.params['seconds'])
  if (!(seconds > 0)) return bad('seconds must be a positive number')
  const period = Math.floor(exchange.now() / (seconds * 1000))
  const rest = { type: JSON_TYPE, etag: `"period-${period}"`, modified: null, headers: maxAge(exchange) }
  return sendRepresentation(exchange, fixed(JSON.stringify({ period }), rest))
}

function sized(n: string | undefined, seed: number): OriginAnswer {
  const size = Number(n)
  if (!Number.isInteger(size) || size < 0) return bad('n must be a whole number')
  return {
    headers: { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) },
    body: asyncBytes(size, seed),
  }
}

/** The letters a to z over and over, with ranges: a body whose bytes a person can check. */
function range(exchange: OriginExchange): Promise<void> | OriginAnswer {
  const size = Number(exchange.params['n'])
  if (!Number.isInteger(size) || size < 0 || size > 1 << 24) return bad('n must be a whole number up to 16 Mi')
  const body = Buffer.alloc(size, 'abcdefghijklmnopqrstuvwxyz')
  const rest = {
    type: 'application/octet-stream',
    etag: `"range-${size}"`,
    modified: MODIFIED,
    headers: maxAge(exchange),
  }
  return sendRepresentation(exchange, fixed(body, rest))
}

/** A self-verifying body (see body.ts) of any size, `?seed=`, with ranges, in constant memory. */
function large(exchange: OriginExchange): Promise<void> | OriginAnswer {
  const size = Number(exchange.params['bytes'])
  const seed = Number(exchange.request.query.get('seed') ?? 0)
  if (!Number.isSafeInteger(size) || size < 0 || !Number.isInteger(seed)) return bad('bytes and seed are whole numbers')
  return sendRepresentation(exchange, {
    size,
    type: 'application/octet-stream',
    etag: `"large-${size}-${seed}"`,
    modified: MODIFIED,
    headers: maxAge(exchange),
    bytes: (start, end) => bodyBytes(size, seed, start, end),
  })
}

function text(exchange: OriginExchange, body: string, type: string): Promise<void> {
  return sendRepresentation(exchange, fixed(body, { type, etag: null, modified: null, headers: maxAge(exchange) }))
}

/** Encoded whatever Accept-Encoding says, as httpbin does; the ETag is the encoded form's own. */
function encoded(exchange: OriginExchange, coding: string, encode: (body: string) => Uint8Array): Promise<void> {
  const body = encode(JSON.stringify({ encoding: coding, method: exchange.request.method, text: UTF8 }))
  const headers = { 'Content-Encoding': coding, Vary: 'Accept-Encoding', ...maxAge(exchange) }
  return sendRepresentation(exchange, fixed(body, { type: JSON_TYPE, etag: `"${coding}-1"`, modified: null, headers }))
}

function image(exchange: OriginExchange, name: string): Promise<void> | OriginAnswer {
  const found = IMAGES[name]
  if (found === undefined) return { status: 406, body: `images: ${Object.keys(IMAGES).join(', ')}\n` }
  const rest = { type: found.type, etag: `"${name}-1"`, modified: MODIFIED, headers: maxAge(exchange) }
  return sendRepresentation(exchange, fixed(found.bytes, rest))
}

function maxAge({ request }: OriginExchange): Record<string, string> {
  const seconds = request.query.get('max-age')
  return seconds === null ? {} : { 'Cache-Control': `max-age=${seconds}` }
}

/** FNV-1a, in hex: a tag that is the same for the same body. */
function hash(body: string): string {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(body)) state = Math.imul(state ^ byte, 0x01000193) >>> 0
  return state.toString(16).padStart(8, '0')
}

async function* asyncBytes(size: number, seed: number): AsyncGenerator<Uint8Array> {
  yield* bodyBytes(size, seed)
}
