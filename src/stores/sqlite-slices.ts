/** Long work in slices: each holds the event loop for a few milliseconds, then everyone else has a turn. */
import { setImmediate } from 'node:timers/promises'

const SHORT = 1.5
const LONG = 3

/**
 * Calls `step(n)` until it says that nothing is left. `n` is how much to do: doubled while a step takes under 1.5 ms, halved over 3.
 * @param rest called between two steps
 * @param step does up to n units of work; false: that was all
 */
export async function inSlices(
  step: (n: number) => boolean,
  first: number,
  rest: () => Promise<void> = async () => {},
): Promise<void> {
  let n = first
  for (;;) {
    const start = performance.now()
    if (!step(n)) return
    const took = performance.now() - start
    if (took < SHORT) n = Math.min(n * 2, 1024)
    else if (took > LONG) n = Math.max(1, Math.floor(n / 2))
    await setImmediate()
    await rest()
  }
}
