/** What a process of its own does with a store: it reads once, or fetches a URL three times; and is expected to end by itself. */
import { setTimeout } from 'node:timers/promises'
import { cacheInfo, createCachedFetch, type Store } from '../../src/index.ts'

/** Prints whether the store answered, or the error it failed with. Nothing but the store keeps the process alive meanwhile. */
export async function readOnce(store: Store): Promise<void> {
  try {
    await store.read('missing')
    console.log('answered')
  } catch (error) {
    console.log(error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : error)
  }
}

/** Prints, for each time, whether it was a hit. Nothing is closed: that must not keep the process alive (RELIABILITY 161). */
export async function fetchThrice(store: Store, url: string): Promise<void> {
  const fetch = createCachedFetch({ store, storeTimeout: 5 })
  const outcomes: boolean[] = []
  const failures: string[] = []
  fetch.on('error', ({ operation }) => failures.push(operation))
  for (let n = 0; n < 3; n++) {
    const response = await fetch(url)
    await response.bytes()
    // From the store, not from what is still being written to it.
    outcomes.push(response.fromCache && cacheInfo(response)?.collapsed === false)
    while (fetch.stats().stored === 0 && !failures.includes('write')) await setTimeout(5)
  }
  console.log(JSON.stringify(outcomes))
}
