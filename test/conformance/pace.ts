/**
 * Not all tests at once: the suite works with lifetimes of 1 and 2 s, so that a test whose next request waits behind those of 300 others
 * finds stale what was to be fresh. Here a test starts only while few requests are under way, and then goes on at once, whatever the
 * machine and the store can do.
 */
import type { SuiteFetch } from './suite.ts'

/** @param most how many requests may be under way when a test starts */
export function paced(fetch: SuiteFetch, most: number): SuiteFetch {
  const waiting: (() => void)[] = []
  let underWay = 0
  const admit = (): void => {
    if (underWay < most) waiting.shift()?.()
  }
  const send: SuiteFetch = async (url, init) => {
    underWay += 1
    try {
      return await fetch(url, init)
    } finally {
      underWay -= 1
      // Not before this test had its chance to go on.
      setImmediate(admit)
    }
  }
  return (url, init) => {
    if (!isStart(url) || (underWay < most && waiting.length === 0)) return send(url, init)
    return new Promise((resolve, reject) => {
      waiting.push(() => void send(url, init).then(resolve, reject))
    })
  }
}

/** The suite's client begins every test by telling its server what to answer. */
function isStart(url: string): boolean {
  return new URL(url).pathname.startsWith('/config/')
}
