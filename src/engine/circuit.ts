/** A store that fails again and again is left alone for a while, then probed with one call (RELIABILITY B37). */
import type { Clock } from './ports.ts'

const FAILURES = 5
const FIRST_PAUSE = 1000
const LONGEST_PAUSE = 30_000

export class Circuit {
  readonly #clock: Clock
  #failures = 0
  #pause = FIRST_PAUSE
  #pausedUntil = 0
  #probing = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Nothing has failed since the last success. */
  get isSound(): boolean {
    return this.#failures === 0
  }

  failed(): void {
    if (++this.#failures < FAILURES) return
    // Calls that were under way when the pause began say nothing new.
    if (this.#failures > FAILURES && !this.#probing) return
    this.#probing = false
    this.#pausedUntil = this.#clock.now() + this.#pause
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
  }

  succeeded(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#probing = false
    this.#pause = FIRST_PAUSE
  }

  /** One call may try the store again once its pause is over; the next ones wait for its result. */
  mayCall(): boolean {
    if (this.#failures < FAILURES) return true
    const now = this.#clock.now()
    if (now < this.#pausedUntil) return false
    this.#pausedUntil = now + this.#pause
    this.#probing = true
    return true
  }
}
