/**
 * Refreshing in the background what a request was answered with: because it is stale (RFC 5861 section 3), or ahead of its end (row 143).
 *
 * Rule 1: one at a time: in this process by a flight, among processes by a lease where the store has them.
 * Rule 2: under the lease it is looked again: another may have done it since this answer was looked up.
 */
import type { HitReason } from '../policy/decision.ts'
import { isWorn } from '../policy/early.ts'
import { isSafe } from '../policy/invalidate.ts'
import type { Background } from './background.ts'
import type { Exchange } from './exchange.ts'
import type { Fences } from './fences.ts'
import type { Catch } from './fill.ts'
import { HitCounts } from './hit-counts.ts'
import type { Lease, Leases } from './lease.ts'
import type { Lookup, Found } from './lookup.ts'
import type { Pending } from './pending.ts'
import type { ResponseEntry } from './reply.ts'
import type { Flight, SingleFlight } from './single-flight.ts'
import type { StoreGuard } from './store-guard.ts'

export interface RefreshTools {
  readonly guard: StoreGuard
  readonly lookup: Lookup
  readonly flights: SingleFlight<Catch>
  readonly fences: Fences
  readonly leases: Leases | null
  readonly background: Background
  readonly pending: Pending
  /** Whether what was found answers the request as a hit. */
  readonly isHit: (x: Exchange, found: Found) => Promise<boolean>
}

/** Why: it is stale, or it is due ahead of its end. */
export type RefreshReason = 'stale' | 'refresh-ahead'

export class Refreshes {
  readonly #tools: RefreshTools
  readonly #hits = new HitCounts()

  constructor(tools: RefreshTools) {
    this.#tools = tools
  }

  /** Row 143: whether this hit has a fresh entry refreshed. `late`: the hit comes late in its lifetime. */
  isDue({ effective, request }: Exchange, reason: HitReason, late: boolean, { meta }: ResponseEntry): boolean {
    const { policy, demand, readOnly } = effective
    if (policy.refreshAhead === null || readOnly || reason !== 'fresh') return false
    // It is sent again for nobody, and its answer takes the entry's place.
    if (request.method !== meta.method || !isSafe(request.method)) return false
    const hits = policy.refreshAhead.hits === null ? 0 : this.#hits.count(meta)
    return late || (!demand.onlyIfCached && isWorn(meta, hits, policy))
  }

  /** Begins, unless this process or another is at it, or has been since this answer was looked up, or the last attempt failed just now. */
  begin(x: Exchange, key: string, found: Found, reason: RefreshReason): void {
    const { background, flights, fences } = this.#tools
    const flight = background.start(key, flights, fences.epoch)
    if (flight === null) return x.refreshSkipped?.()
    x.refreshExpected?.(reason)
    this.#once(x, key, found, flight, reason).catch((error: unknown) => {
      flight.fail(error)
      background.failed(x, key, error)
      x.refreshSkipped?.()
    })
  }

  async #once(x: Exchange, key: string, found: Found, flight: Flight<Catch>, reason: RefreshReason): Promise<void> {
    const { leases, background } = this.#tools
    const lease = (await leases?.tryTake(key)) ?? 'failed'
    // Before anything can fail: a lease that is not given back is renewed for ever.
    if (typeof lease === 'object') holdFor(flight, lease, this.#tools.pending)
    if (lease === 'taken' || (await this.#isDone(x, key, found, reason))) {
      flight.land({ kind: 'stored' })
      return x.refreshSkipped?.()
    }
    background.refresh(x, key, found, flight, reason)
  }

  /** Whether another has done it: a stale entry is a hit now, a fresh one is of a later answer. */
  async #isDone(x: Exchange, key: string, { entry }: Found, reason: RefreshReason): Promise<boolean> {
    const { guard, lookup, isHit } = this.#tools
    const now = await lookup.find(x, key, await guard.readAnew(key))
    if (reason === 'stale') return isHit(x, now)
    return now.entry !== null && entry !== null && now.entry.meta.responseTime > entry.meta.responseTime
  }
}

/** The flight has the lease until it lands. */
export function holdFor(flight: Flight<Catch>, lease: Lease, pending: Pending): void {
  flight.mayStore = () => lease.confirm()
  // Given back before a store is closed: others would wait for its end.
  flight.onLanding = (landing) =>
    pending.add(lease.release(!(landing.kind === 'landed' && landing.value.kind === 'nothing')))
}
