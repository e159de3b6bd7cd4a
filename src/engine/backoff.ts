/** Background refreshes that failed wait before the next attempt: a second, then twice as long each time, at most a minute. */
import type { Clock } from './ports.ts'

const FIRST = 1000
const LONGEST = 60_000
const MAX_KEYS = 1000

export class Backoff {
  readonly #clock: Clock
  readonly #pauses = new Map<string, { readonly until: number; readonly pause: number }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  mayTry(key: string): boolean {
    const known = this.#pauses.get(key)
    return known === undefined || this.#clock.now() >= known.until
  }

  failed(key: string): void {
    const pause = Math.min((this.#pauses.get(key)?.pause ?? FIRST / 2) * 2, LONGEST)
    this.#pauses.delete(key)
    const [oldest] = this.#pauses.keys()
    if (this.#pauses.size >= MAX_KEYS && oldest !== undefined) this.#pauses.delete(oldest)
    this.#pauses.set(key, { until: this.#clock.now() + pause, pause })
  }

  succeeded(key: string): void {
    if (this.#pauses.size > 0) this.#pauses.delete(key)
  }
}
