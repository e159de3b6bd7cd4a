/**
 * Sliding expiration (row 88): a hit begins the entry's lifetime anew.
 *
 * Rule 1: only lifetimes that the user set slide. What the origin said (max-age, Expires) ends when the origin said it would.
 * Rule 2: the age of the entry is what it is: Age, and max-age and min-fresh of requests, count from the origin's answer.
 */
import { currentAge } from './age.ts'
import type { ResponseMeta, Terms } from './decision.ts'
import { freshUntil, type Lifetime } from './freshness.ts'
import { FOREVER, type Expiry, type PolicyOptions } from './options.ts'

/** Of a lifetime, what a hit may leave away: a busy entry is written a hundred times in its lifetime, not at each hit. */
const SLACK = 0.01

/** The seconds that hits give an entry of this lifetime; undefined: it does not slide. */
export function slidingSeconds(
  { lifetime, source }: Lifetime,
  initialAge: number,
  own: Expiry | null,
  options: PolicyOptions,
): number | undefined {
  const users = source === 'expire-after' || source === 'override'
  if (options.sliding === null || !users || own?.kind !== 'seconds' || lifetime >= FOREVER) return undefined
  return lifetime - initialAge
}

/** The terms of an entry that has just been hit; null: as they are. */
export function slide(meta: ResponseMeta, now: number, options: PolicyOptions): Terms | null {
  const { sliding: seconds, lifetime } = meta.terms
  if (options.sliding === null || seconds === undefined) return null
  const longest = Math.min(currentAge(meta, now) + seconds, options.sliding)
  const gained = longest - lifetime
  if (gained <= seconds * SLACK || freshUntil(meta) <= now) return null
  return { ...meta.terms, lifetime: longest }
}
