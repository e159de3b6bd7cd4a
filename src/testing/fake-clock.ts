import type { Clock } from '../engine/ports.ts'
import { OptionError } from '../errors.ts'

/**
 * A clock that stands still until it is told.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { FakeClock } from 'keepfresh/testing'
 *
 * const clock = new FakeClock()
 * const fetch = createCachedFetch({ clock })
 * await (await fetch('https://api.example.com/users')).json() // fresh for a minute
 * clock.advance(61_000)
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.revalidated) // true
 * ```
 */
export class FakeClock implements Clock {
  #now: number

  /** `now`: ms since the epoch; the real time by default, so that Date headers of real servers make sense. */
  constructor(now: number = Date.now()) {
    this.#now = ms(now, 'now')
  }

  /** ms since the epoch. */
  now(): number {
    return this.#now
  }

  /** Moves on by so many ms; back by negative ones. */
  advance(by: number): void {
    this.#now += ms(by, 'by')
  }

  /** Sets it: ms since the epoch. */
  set(now: number): void {
    this.#now = ms(now, 'now')
  }
}

/** @throws OptionError */
function ms(given: number, option: string): number {
  if (Number.isFinite(given)) return given
  throw new OptionError(
    'ERR_OPTION_VALUE',
    option,
    `FakeClock: give milliseconds, a number, not ${typeof given === 'object' ? 'an object' : `'${String(given)}'`}`,
  )
}
