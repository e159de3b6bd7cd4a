/** Time for caches of values: cheap for the table in memory, and ordered for what must be told apart within a millisecond. */
import type { Clock } from '../engine/ports.ts'

/** How often the monotonic clock is consulted, in ms. */
const SYNC = 1000

/**
 * Wall time that never runs backwards (RELIABILITY 157), as the clock of the engine, but by one reading, since every hit makes one. The monotonic
 * clock is looked at where the wall clock was set back, and once a second, where it may have been: a second is the most that nobody notices.
 */
export function steadyClock(): Clock {
  let wall = -Infinity
  /** How far the time is ahead of the wall clock: it goes on by the monotonic one until the wall has caught up. */
  let ahead = 0
  let synced = { wall: -Infinity, time: -Infinity, monotonic: 0 }
  const sync = (now: number): void => {
    const monotonic = performance.now()
    const least = synced.time + (monotonic - synced.monotonic)
    // A millisecond of slack: the two clocks tick at different moments.
    const isBehind = now < least - 1
    ahead = Math.max(0, wall + ahead - now, isBehind ? Math.floor(least) - now : 0)
    // With its fraction: else each second that time goes by the monotonic clock would be short of one.
    synced = { wall: now, time: isBehind ? Math.max(least, now + ahead) : now + ahead, monotonic }
  }
  return {
    now() {
      const now = Date.now()
      if (now < wall || now - synced.wall > SYNC) sync(now)
      wall = now
      return now + ahead
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

  /** When something is asked, at this instant of the clock. */
  asked(now: number): number {
    return this.#next(true, now)
  }

  /** When something is invalidated. */
  invalidated(): number {
    return this.#next(false, this.#clock.now())
  }

  #next(question: boolean, now: number): number {
    const least = this.#lastWasQuestion === question ? this.#last : this.#last + STEP
    this.#lastWasQuestion = question
    return (this.#last = Math.max(least, now))
  }
}
