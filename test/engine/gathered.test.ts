/** Writes that a store gathers and then fails to make (RELIABILITY 31): what was told as stored is taken back. */
import { expect, test } from 'vitest'
import { cacheInfo, createCachedFetch, MemoryStore, type CachedFetch, type CacheEvent } from '../../src/index.ts'
import type { EntryHead, GatheringStore } from '../../src/engine/ports.ts'
import { until } from './support.ts'

/** Takes writes, and makes them when it is flushed, unless it is down by then. */
class Gathering extends MemoryStore implements GatheringStore {
  down = false
  readonly #taken: (() => void)[] = []

  writeSoon(head: EntryHead, body: Uint8Array, failed: (error: unknown) => void): void {
    this.#taken.push(() => (this.down ? failed(new Error('down')) : void this.write(head, body)))
  }

  flush(): void {
    for (const write of this.#taken.splice(0)) write()
  }
}

function fetching(store: Gathering, headers = {}): { fetch: CachedFetch; seen: string[] } {
  const fetch = createCachedFetch({
    store,
    fetch: async () => new Response('body', { headers: { 'cache-control': 'max-age=60', ...headers } }),
  })
  const seen: string[] = []
  fetch.on('*', (event: CacheEvent) => seen.push('reason' in event ? `${event.type} ${event.reason}` : event.type))
  return { fetch, seen }
}

test('one that fails at its flush: an error, a refusal, and no entry in the counters', async () => {
  const store = new Gathering()
  const { fetch, seen } = fetching(store)
  const response = await fetch('http://gathered.test/')
  expect(await response.text()).toBe('body')
  expect([cacheInfo(response)?.stored, fetch.stats().stored, fetch.stats().bytesStored]).toEqual([true, 1, 4])
  store.down = true
  store.flush()
  expect(seen).toEqual(['miss uri-miss', 'stored max-age', 'error', 'refused store-failed'])
  expect(cacheInfo(response)).toMatchObject({ stored: false, refused: 'store-failed' })
  expect(fetch.stats()).toMatchObject({ stored: 0, bytesStored: 0, refused: 1, errors: 1 })
})

test('one that is made is told once', async () => {
  const store = new Gathering()
  const { fetch, seen } = fetching(store)
  await (await fetch('http://gathered.test/')).text()
  store.flush()
  expect(seen).toEqual(['miss uri-miss', 'stored max-age'])
  expect((await fetch('http://gathered.test/')).fromCache).toBe(true)
})

test('a write that fails at once is no entry in the making', async () => {
  const store = new MemoryStore()
  store.write = () => {
    throw new Error('down')
  }
  const fetch = createCachedFetch({
    store,
    fetch: async () => new Response('body', { headers: { 'cache-control': 'max-age=60' } }),
  })
  const response = await fetch('http://gathered.test/')
  expect(await response.text()).toBe('body')
  expect(cacheInfo(response)).toMatchObject({ stored: false, refused: 'store-failed' })
})

test('one that an invalidation overtook is taken back once, though its flush fails as well', async () => {
  const store = new Gathering()
  const { fetch, seen } = fetching(store, { vary: 'x-a' })
  const indexed = Promise.withResolvers<void>()
  const write = store.write.bind(store)
  store.write = async (...given) => {
    await indexed.promise
    await write(...given)
  }
  await (await fetch('http://gathered.test/')).text()
  await (await fetch('http://gathered.test/', { method: 'DELETE' })).text()
  indexed.resolve()
  await until(() => fetch.stats().refused === 1)
  store.down = true
  store.flush()
  expect(seen.filter((event) => event.startsWith('refused'))).toEqual(['refused invalidated'])
  expect(fetch.stats()).toMatchObject({ stored: 0, bytesStored: 0, refused: 1, errors: 1 })
})
