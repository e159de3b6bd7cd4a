/** Counters of one cache (feature I3): plain numbers, cheap to tick. */

export interface CacheStats {
  readonly hits: number
  readonly stale: number
  readonly misses: number
  readonly revalidated: number
  readonly collapsed: number
  readonly bypassed: number
  readonly stored: number
  readonly refused: number
  /** Entries deleted, and tags marked, by hand, by unsafe requests or at the word of others. */
  readonly invalidated: number
  readonly evicted: number
  readonly errors: number
  /** Body bytes answered from the store. */
  readonly bytesServed: number
  /** Body bytes written to the store. */
  readonly bytesStored: number
  /** Milliseconds the origin took when the entries answered from were fetched: what their hits saved. */
  readonly timeSaved: number
  /** Answers from the store (hits, stale, revalidated, collapsed) among all that could have been; 0 before the first. */
  readonly hitRatio: number
}

export class Counters {
  hits = 0
  stale = 0
  misses = 0
  revalidated = 0
  collapsed = 0
  bypassed = 0
  stored = 0
  refused = 0
  invalidated = 0
  evicted = 0
  errors = 0
  bytesServed = 0
  bytesStored = 0
  timeSaved = 0

  snapshot(): CacheStats {
    const answered = this.hits + this.stale + this.revalidated + this.collapsed
    const asked = answered + this.misses
    return { ...this, hitRatio: asked === 0 ? 0 : answered / asked }
  }
}
