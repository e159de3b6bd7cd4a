/** How memcached is told when an item ends: in whole seconds, by a clock that ticks once a second. */

/** Beyond this, memcached takes a number of seconds for an instant (row 218, RELIABILITY B46). */
const LONGEST_RELATIVE = 30 * 24 * 60 * 60
/** The number is a signed one of 32 bits: past 2038 there is only "never". */
const LAST_INSTANT = 2_147_483_647
/** Never, until the server needs the memory. */
const NEVER = 0

/**
 * `exptime` for an item that must not end before `ttl` ms have passed, nor more than two seconds after; null: no end.
 * @param now ms since 1970
 */
export function exptimeOf(ttl: number | null, now: number): number {
  if (ttl === null) return NEVER
  // One more, since the server's current second may be almost over.
  const seconds = Math.ceil(Math.max(0, ttl) / 1000) + 1
  if (seconds <= LONGEST_RELATIVE) return seconds
  const instant = Math.floor(now / 1000) + seconds
  return instant <= LAST_INSTANT ? instant : NEVER
}
