/** How often entries were hit since they were fetched, as far as this process knows: for `refreshAhead` by hits (row 143). */
import type { ResponseMeta } from '../policy/decision.ts'

const MAX_KEYS = 10_000

export class HitCounts {
  readonly #counts = new Map<string, { readonly since: number; hits: number }>()

  /** Counts a hit; how many there were, this one included. */
  count({ key, responseTime }: ResponseMeta): number {
    const known = this.#counts.get(key)
    if (known?.since === responseTime) return (known.hits += 1)
    // A number of its own for each fetch. Of too many, what was fetched longest ago is forgotten.
    this.#counts.delete(key)
    const [oldest] = this.#counts.keys()
    if (this.#counts.size >= MAX_KEYS && oldest !== undefined) this.#counts.delete(oldest)
    this.#counts.set(key, { since: responseTime, hits: 1 })
    return 1
  }
}
