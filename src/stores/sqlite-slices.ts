/** Long work in slices: each holds the event loop for a few milliseconds, then everyone else has a turn. */
import { setImmediate } from 'node:timers/promises'

const SHORT = 2
const LONG = 6

/**
 * Calls `step(n)` until it says that nothing is left. `n` is how much to do: doubled while a step takes under 2 ms, halved over 6.
 * @param step does up to n units of work; false: that was all
 */
export async function inSlices(step: (n: number) => boolean, first: number): Promise<void> {
  let n = first
  for (;;) {
    const start = performance.now()
    if (!step(n)) return
    const took = performance.now() - start
    if (took < SHORT) n = Math.min(n * 2, 4096)
    else if (took > LONG) n = Math.max(1, Math.floor(n / 2))
    await setImmediate()
  }
}
