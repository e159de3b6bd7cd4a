/** Cache-Status (RFC 9211): one member for this cache. */
import { serializeName, serializeString } from '../http/structured-fields.ts'

export interface CacheStatusFacts {
  readonly outcome: string
  readonly fromCache: boolean
  readonly revalidated: boolean
  readonly collapsed: boolean
  readonly stored: boolean
  readonly key: string | null
  readonly reason: string
  /** What the origin answered where a stored response took its place; null: it could not be reached. Absent: it was not asked in vain. */
  readonly failure?: number | null | undefined
}

/** Our outcomes as values of `fwd` (section 2.2); a hit has none. */
const FORWARDED: Readonly<Record<string, string>> = {
  'uri-miss': 'uri-miss',
  'vary-miss': 'vary-miss',
  'partial-miss': 'partial',
  expired: 'stale',
  request: 'request',
  bypass: 'bypass',
  method: 'method',
}

/** Of stored responses that were validated, or should have been: it was not the request that did not allow their use. */
const NOT_BY_REQUEST: ReadonlySet<string> = new Set(['stale', 'no-cache', 'invalidated', 'clock', 'refresh-ahead'])

/** Section 2.2: why the request went forward; undefined: it did not. */
function forwardedFor({ outcome, reason, revalidated, collapsed, failure }: CacheStatusFacts): string | undefined {
  // Section 2.6: one that was collapsed went forward with another's request.
  if (collapsed) return 'miss'
  if (failure !== undefined) return 'stale'
  if (reason === 'only-if-cached') return undefined
  if (revalidated || outcome === 'request' || outcome === 'unsatisfiable')
    return NOT_BY_REQUEST.has(reason) ? 'stale' : 'request'
  return FORWARDED[outcome]
}

/** `ttl`: seconds of freshness left, negative once stale; null: unknown. `origin`: its status, where the answer has another. */
export function cacheStatus(name: string, facts: CacheStatusFacts, ttl: number | null, origin?: number): string {
  const parts = [serializeName(name)]
  const forwarded = forwardedFor(facts)
  if (forwarded !== undefined) parts.push(`fwd=${forwarded}`)
  // Section 2.1: what came from nowhere was no hit, either.
  else if (facts.fromCache) parts.push('hit')
  const status = facts.revalidated ? 304 : (facts.failure ?? origin)
  if (typeof status === 'number') parts.push(`fwd-status=${status}`)
  if (forwarded !== undefined && facts.stored && !facts.fromCache) parts.push('stored')
  if (facts.collapsed) parts.push('collapsed')
  if (ttl !== null && facts.fromCache) parts.push(`ttl=${Math.max(-999_999_999_999, Math.min(999_999_999_999, ttl))}`)
  // The parts of a key are lines, which a String cannot hold (section 2.7).
  if (facts.key !== null) parts.push(`key=${serializeString(facts.key.replaceAll('\n', ' '))}`)
  parts.push(`detail=${serializeName(facts.reason)}`)
  return parts.join('; ')
}
