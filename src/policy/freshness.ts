/** Freshness (RFC 9111 section 4.2), and where a lifetime comes from (feature E3). */
import type { CacheControl } from '../http/cache-control.ts'
import { parseDate } from '../http/date.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderList, ResponseHead } from '../http/message.ts'
import type { LifetimeSource, ResponseMeta } from './decision.ts'
import { FOREVER, type Expiry, type PolicyOptions } from './options.ts'

/** An instant (ms) that never comes; the latest a Date can hold. */
export const NEVER = 8_640_000_000_000_000

/** Statuses with heuristic freshness (RFC 9110 section 15.1, RFC 7725 section 3); 206 has its own entries. */
const HEURISTIC: ReadonlySet<number> = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501])

export interface Lifetime {
  /** Seconds. */
  readonly lifetime: number
  readonly source: LifetimeSource
}

export interface LifetimeInput {
  readonly response: ResponseHead
  /** The directives in force: those of a targeted field, or of Cache-Control (RFC 9213 section 2.2). */
  readonly directives: CacheControl
  readonly targeted: boolean
  readonly initialAge: number
  readonly responseTime: number
  readonly options: PolicyOptions
  readonly random: number
}

/** The freshness lifetime: the user's override, the origin's word, the user's expireAfter, a heuristic, in this order. */
export function lifetime(input: LifetimeInput): Lifetime {
  const { options } = input
  const own = ownExpiry(options, input.response.status)
  if (options.override && own !== null) return { lifetime: expiry(own, input), source: 'override' }
  const explicit = explicitLifetime(input)
  if (explicit !== null) return clamp(explicit, options)
  if (own !== null) return { lifetime: expiry(own, input), source: 'expire-after' }
  return heuristic(input)
}

/** The user's lifetime for a response of this status; null: none was set. */
export function ownExpiry(options: PolicyOptions, status: number): Expiry | null {
  return options.expireAfterByStatus.get(status) ?? options.expireAfter
}

/** What the origin said (section 4.2.1); null: nothing. */
export function explicitLifetime({
  response,
  directives,
  targeted,
  responseTime,
  options,
}: LifetimeInput): Lifetime | null {
  if (!options.cacheControl) return null
  if (options.shared && directives.sMaxage !== null)
    return { lifetime: directives.sMaxage, source: targeted ? 'targeted' : 's-maxage' }
  if (directives.maxAge !== null)
    return { lifetime: directives.maxAge, source: targeted ? 'targeted' : directives.invalid ? 'invalid' : 'max-age' }
  if (targeted) return null
  const expires = getHeader(response.headers, 'expires')
  if (expires === null) return null
  const at = parseDate(expires, responseTime)
  if (at === null) return { lifetime: 0, source: 'invalid' }
  return { lifetime: Math.max(0, (at - dateOf(response.headers, responseTime)) / 1000), source: 'expires' }
}

/** Feature E4: clamps on what the origin gave. */
function clamp({ lifetime: seconds, source }: Lifetime, { minTtl, maxTtl }: PolicyOptions): Lifetime {
  return { lifetime: Math.max(minTtl ?? 0, Math.min(maxTtl ?? FOREVER, seconds)), source }
}

/** The user's expiry counts from when the response arrived, however old it was then. */
function expiry(value: Expiry, { initialAge, responseTime, options, random }: LifetimeInput): number {
  switch (value.kind) {
    case 'never':
      return FOREVER
    case 'at':
      return Math.max(0, (value.at - responseTime) / 1000) + initialAge
    case 'seconds':
      return Math.max(0, value.seconds) * (1 - options.jitter * random) + initialAge
    default:
      throw value satisfies never
  }
}

function heuristic({ response, directives, responseTime, options }: LifetimeInput): Lifetime {
  const modified = getHeader(response.headers, 'last-modified')
  const allowed = HEURISTIC.has(response.status) || (options.cacheControl && directives.public)
  if (options.heuristic === null || !allowed || modified === null) return { lifetime: 0, source: 'none' }
  const at = parseDate(modified, responseTime)
  const date = dateOf(response.headers, responseTime)
  if (at === null || at >= date) return { lifetime: 0, source: 'none' }
  return {
    lifetime: Math.min(((date - at) / 1000) * options.heuristic.fraction, options.heuristic.maximum),
    source: 'heuristic',
  }
}

/** Date, or when the response was received, where it has none that is usable (RFC 9110 section 6.6.1). */
export function dateOf(headers: HeaderList, responseTime: number): number {
  const date = getHeader(headers, 'date')
  return (date === null ? null : parseDate(date, responseTime)) ?? responseTime
}

export function isHeuristicallyCacheable(status: number): boolean {
  return HEURISTIC.has(status)
}

/** The instant (ms) from which on the entry is stale. */
export function freshUntil(meta: ResponseMeta): number {
  const { lifetime: seconds, initialAge } = meta.terms
  return seconds >= FOREVER ? NEVER : meta.responseTime + (seconds - initialAge) * 1000
}

export function isFresh(meta: ResponseMeta, now: number): boolean {
  return now < freshUntil(meta)
}

export function hasValidator(headers: HeaderList): boolean {
  return hasHeader(headers, 'etag') || hasHeader(headers, 'last-modified')
}
