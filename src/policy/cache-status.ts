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
}

/** Our outcomes as values of `fwd` (section 2.2); a hit has none. */
const FORWARDED: Readonly<Record<string, string>> = {
  'uri-miss': 'uri-miss',
  'vary-miss': 'vary-miss',
  'partial-miss': 'partial',
  expired: 'stale',
  revalidated: 'stale',
  request: 'request',
  bypass: 'bypass',
  method: 'method',
  unsatisfiable: 'request',
}

/** `ttl`: seconds of freshness left, negative once stale; null: unknown. */
export function cacheStatus(name: string, facts: CacheStatusFacts, ttl: number | null): string {
  const parts = [serializeName(name)]
  // Section 2.7: one that was collapsed went forward with another's request; it was no hit.
  const forwarded = facts.collapsed ? 'miss' : FORWARDED[facts.outcome]
  if (forwarded === undefined) parts.push('hit')
  else parts.push(`fwd=${forwarded}`)
  if (facts.revalidated) parts.push('fwd-status=304')
  if (forwarded !== undefined && facts.stored && !facts.fromCache) parts.push('stored')
  if (facts.collapsed) parts.push('collapsed')
  if (ttl !== null && facts.fromCache) parts.push(`ttl=${Math.max(-999_999_999_999, Math.min(999_999_999_999, ttl))}`)
  if (facts.key !== null) parts.push(`key=${serializeString(facts.key)}`)
  parts.push(`detail=${serializeName(facts.reason)}`)
  return parts.join('; ')
}
