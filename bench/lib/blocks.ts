/** How long the event loop is held while something runs. */
import { setImmediate } from 'node:timers/promises'

export interface Watched<T> {
  readonly value: T
  readonly ms: number
  /** The longest time, ms, in which the event loop did nothing else. */
  readonly block: number
  /** The most processor time, ms, of this thread in such a stretch: what a busy machine adds to `block` is not in it, nor is waiting for a disk. */
  readonly cpu: number
}

/** Processor time of this thread in ms. */
function threadCpu(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Runs it while a ticker counts the time between turns of the event loop. */
export async function watched<T>(run: () => Promise<T>): Promise<Watched<T>> {
  const state = { running: true }
  let [block, cpu] = [0, 0]
  const ticker = (async () => {
    let [last, used] = [performance.now(), threadCpu()]
    while (state.running) {
      await setImmediate()
      const [now, usedNow] = [performance.now(), threadCpu()]
      block = Math.max(block, now - last)
      cpu = Math.max(cpu, usedNow - used)
      last = now
      used = usedNow
    }
  })()
  await setImmediate()
  const started = performance.now()
  try {
    const value = await run()
    const ms = performance.now() - started
    state.running = false
    await ticker
    return { value, ms, block, cpu }
  } finally {
    state.running = false
  }
}
