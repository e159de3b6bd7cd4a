/**
 * How large TinyLFU's window is: found out by hill climbing (Einziger et al., Adaptive Software Cache Management, 2018). After each sample of
 * requests the window changes a little; where the hit ratio has grown since, it goes on that way, where it has fallen, it turns round.
 */

const LEAST = 0.01
const MOST = 0.8
/** The first step, as a share of the cache; each later one is a little smaller, until the hit ratio changes so much that it starts anew. */
const STEP = 0.0625
const SMALLER = 0.98
const MUCH = 0.05
/** Requests of a sample for each entry, and at least: of fewer, the hit ratio says more about chance than about the window. */
const PER_ENTRY = 10
const SAMPLE = 3000

export class WindowClimber {
  /** The window's share of the cache. */
  share: number = LEAST
  #step = STEP
  #before = 0
  #hits = 0
  #requests = 0

  /** Of the sample so far. */
  get requests(): number {
    return this.#requests
  }

  hit(): void {
    this.#hits += 1
    this.#requests += 1
  }

  miss(): void {
    this.#requests += 1
  }

  /** Call it when something has to go: without that, no window is too small. */
  climb(entries: number): void {
    if (this.#requests < Math.max(SAMPLE, entries * PER_ENTRY)) return
    const ratio = this.#hits / this.#requests
    const change = ratio - this.#before
    const onward = change < 0 ? -this.#step : this.#step
    this.#step = Math.abs(change) >= MUCH ? Math.sign(onward) * STEP : onward * SMALLER
    this.share = Math.min(MOST, Math.max(LEAST, this.share + this.#step))
    this.#before = ratio
    this.#hits = 0
    this.#requests = 0
  }
}
