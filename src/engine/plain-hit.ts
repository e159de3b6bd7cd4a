/**
 * The fast lane: a request that asks for nothing special, and an entry that needs no thought. Everything else goes through policy.
 * It may only say yes where plan() says hit with the whole entry (test/properties/engine.test.ts holds the two together).
 */
import type { Effective } from './exchange.ts'
import type { StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'

/**
 * Fresh (RFC 9111 section 4.2: `expiresAt` is when its lifetime ends), the only variant, whole, untagged, reusable without validation,
 * its body at hand: one that has to be opened is probed first (RELIABILITY 41).
 */
export function isPlainHit(entry: StoredEntry, now: number): entry is ResponseEntry {
  const { meta } = entry
  return (
    meta.kind === 'response' &&
    now < entry.expiresAt &&
    now >= meta.responseTime &&
    !meta.terms.noCache &&
    meta.selecting.length === 0 &&
    meta.tags.length === 0 &&
    meta.parts === null &&
    entry.body.bytes !== null &&
    meta.method !== 'HEAD'
  )
}

const plain = new WeakMap<Effective, boolean>()

/** Whether these settings leave a plain hit alone. Settings are immutable objects, so that the answer is kept. */
export function isPlainEffective(effective: Effective): boolean {
  let known = plain.get(effective)
  if (known === undefined) plain.set(effective, (known = decide(effective)))
  return known
}

function decide({ enabled, demand, policy, filter, cacheStatus }: Effective): boolean {
  const { mode, refresh, forceRefresh } = demand
  return (
    enabled &&
    mode === 'default' &&
    !refresh &&
    !forceRefresh &&
    !policy.alwaysRevalidate &&
    policy.sliding === null &&
    policy.refreshAhead === null &&
    policy.methods.has('GET') &&
    !(policy.expireAfter?.kind === 'seconds' && policy.expireAfter.seconds === 0) &&
    filter === null &&
    cacheStatus === null
  )
}
