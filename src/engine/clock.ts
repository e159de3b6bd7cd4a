/**
 * The system's clock for caching: wall time that never runs backwards in this process (RELIABILITY 157).
 * A wall clock set back would make old entries young; here time goes on by the monotonic clock until the wall has caught up.
 */
import type { Clock } from './ports.ts'

export function systemClock(): Clock {
  let lastWall = 0
  let lastMonotonic = 0
  return {
    now() {
      const wall = Date.now()
      // Within one millisecond the other clock has nothing to add.
      if (wall === lastWall) return wall
      const monotonic = performance.now()
      const least = lastWall + (monotonic - lastMonotonic)
      // A millisecond of slack: the two clocks tick at different moments.
      lastWall = wall >= least - 1 ? Math.max(wall, lastWall) : Math.floor(least)
      lastMonotonic = monotonic
      return lastWall
    },
  }
}
