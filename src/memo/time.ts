/** Time for caches of values: cheap for the table in memory, and ordered for what must be told apart within a millisecond. */
import type { Clock } from '../engine/ports.ts'

/** How often the wall clock is consulted, in ms. */
const SYNC = 1000

/**
 * Wall time that never runs backwards, by the monotonic clock: one call, since every hit makes one (RELIABILITY 157). The wall clock is looked
 * at once a second, because the monotonic one stands still while a machine sleeps: after that, entries are at most a second too old.
 */
export function steadyClock(): Clock {
  let lastSync = -Infinity
  let base = performance.timeOrigin
  return {
    now() {
      const monotonic = performance.now()
      if (monotonic - lastSync > SYNC) {
        lastSync = monotonic
        base = Math.max(base, Date.now() - monotonic)
      }
      return base + monotonic
    },
  }
}

/** So many changes between questions and invalidations fit in a millisecond before this runs ahead of the clock: a thousand. */
const STEP = 0.001

/** Instants of questions and of invalidations: no two of different kinds are equal, and what comes later is greater, within one tick of the clock, too. */
export class Order {
  readonly #clock: Clock
  #last = 0
  #lastWasQuestion = true

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** When something is asked. */
  asked(): number {
    return this.#next(true)
  }

  /** When something is invalidated. */
  invalidated(): number {
    return this.#next(false)
  }

  #next(question: boolean): number {
    const least = this.#lastWasQuestion === question ? this.#last : this.#last + STEP
    this.#lastWasQuestion = question
    return (this.#last = Math.max(least, this.#clock.now()))
  }
}
