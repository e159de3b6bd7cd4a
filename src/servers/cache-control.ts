/** Saying how long an answer may be kept, in one call, on any framework's response. */
import { parseSeconds, type Duration } from '../clients/durations.ts'
import { OptionError } from '../errors.ts'

/** Directives of Cache-Control, durations as seconds or '5m'. */
export interface CacheDirectives {
  public?: boolean
  private?: boolean
  noStore?: boolean
  noCache?: boolean
  mustRevalidate?: boolean
  immutable?: boolean
  maxAge?: Duration
  /** For shared caches: this one, and those in front of it. */
  sMaxage?: Duration
  staleWhileRevalidate?: Duration
  staleIfError?: Duration
}

/** Something with fields: a node:http response, an Express response, Headers, a Response, a Koa context, a Fastify reply, a Hono context. */
export type FieldTarget =
  | { setHeader(name: string, value: string): unknown }
  | { readonly headers: Headers }
  | { set(name: string, value: string): unknown }
  | { header(name: string, value: string): unknown }

const FLAGS = {
  public: 'public',
  private: 'private',
  noStore: 'no-store',
  noCache: 'no-cache',
  mustRevalidate: 'must-revalidate',
  immutable: 'immutable',
} as const
/** Whoever reads more takes it for this (RFC 9111 section 1.2.2), or reads it wrong. */
const MOST_SECONDS = 2_147_483_648

const TIMES = {
  maxAge: 'max-age',
  sMaxage: 's-maxage',
  staleWhileRevalidate: 'stale-while-revalidate',
  staleIfError: 'stale-if-error',
} as const

/**
 * Sets Cache-Control on a response that is being made.
 * @throws OptionError for unknown directives and wrong durations
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { cacheControl, responseCache } from 'keepfresh/node'
 *
 * const cache = responseCache()
 * createServer(cache.wrap((req, res) => {
 *   cacheControl(res, { public: true, maxAge: '1m', sMaxage: '1h', staleWhileRevalidate: '1d' })
 *   res.end('hello')
 * }))
 * ```
 */
export function cacheControl(target: FieldTarget, directives: CacheDirectives): void {
  const parts: string[] = []
  for (const [name, value] of Object.entries(directives)) {
    if (Object.hasOwn(FLAGS, name)) {
      if (value === true) parts.push(FLAGS[name as keyof typeof FLAGS])
      else if (value !== undefined && value !== false)
        throw new OptionError('ERR_OPTION_VALUE', name, `cacheControl: ${name} must be true or false`)
    } else if (Object.hasOwn(TIMES, name)) {
      if (value === undefined) continue
      const seconds = Math.min(MOST_SECONDS, Math.floor(parseSeconds(value as Duration, name)))
      parts.push(`${TIMES[name as keyof typeof TIMES]}=${seconds}`)
    } else throw new OptionError('ERR_OPTION_UNKNOWN', name, `cacheControl has no directive ${name}`)
  }
  setField(target, 'Cache-Control', parts.join(', '))
}

/**
 * Puts tags on a response that is being made, in Cache-Tag: `purge({ tag })` and `invalidateTags` find it by them.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { cacheTags, responseCache } from 'keepfresh/node'
 *
 * const cache = responseCache({ ttl: '1h' })
 * createServer(
 *   cache.wrap((req, res) => {
 *     cacheTags(res, 'products', 'product-7')
 *     res.end('hello')
 *   }),
 * ).listen(3000)
 * await cache.purge({ tag: 'product-7' })
 * ```
 */
export function cacheTags(target: FieldTarget, ...tags: readonly string[]): void {
  for (const tag of tags) {
    if (!/^[!-+\--~]+$/.test(tag))
      throw new OptionError('ERR_OPTION_VALUE', 'tags', `'${tag}' is no tag: visible ASCII without commas and spaces`)
  }
  setField(target, 'Cache-Tag', tags.join(', '))
}

function setField(target: FieldTarget, name: string, value: string): void {
  if ('setHeader' in target) target.setHeader(name, value)
  else if (target instanceof Headers) target.set(name, value)
  else if ('headers' in target && target.headers instanceof Headers) target.headers.set(name, value)
  else if ('header' in target && typeof target.header === 'function') target.header(name, value)
  else if ('set' in target) target.set(name, value)
}
