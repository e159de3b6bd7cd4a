import type { Clock } from '../engine/ports.ts'

/**
 * A clock that stands still until it is told.
 *
 * @example
 * ```ts
 * const clock = new FakeClock()
 * const fetch = createCachedFetch({ clock })
 * clock.advance(60_000)
 * ```
 */
export class FakeClock implements Clock {
  #now: number

  /** `now`: ms since the epoch; the real time by default, so that Date headers of real servers make sense. */
  constructor(now: number = Date.now()) {
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  /** Moves on by so many ms; back by negative ones. */
  advance(ms: number): void {
    this.#now += ms
  }

  set(now: number): void {
    this.#now = now
  }
}
