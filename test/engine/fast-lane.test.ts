/** A hit of a store that takes a while goes as one that is at hand: what it answers and tells must be the same (rows 12, 197). */
import { expect, test } from 'vitest'
import { MemoryStore, type Store, type StoredEntry } from '../../src/index.ts'
import { bench } from './support.ts'

/** Memory, or memory behind a network. */
class Far implements Store {
  readonly #memory: MemoryStore = new MemoryStore()
  readonly name = 'far'
  readonly limits: Store['limits'] = this.#memory.limits
  reads = 0
  /** What reads wait for; null: nothing. */
  ahead: PromiseWithResolvers<void> | null = null
  readonly #isFar: boolean

  constructor(isFar: boolean) {
    this.#isFar = isFar
  }

  read(key: string): ReturnType<Store['read']> {
    this.reads += 1
    return this.#isFar ? this.#later(key) : this.#memory.read(key)
  }

  async #later(key: string): Promise<StoredEntry | undefined> {
    await this.ahead?.promise
    return this.#memory.read(key)
  }

  write(...given: Parameters<Store['write']>): ReturnType<Store['write']> {
    return this.#memory.write(...given)
  }

  update(...given: Parameters<Store['update']>): ReturnType<Store['update']> {
    return this.#memory.update(...given)
  }

  delete(keys: readonly string[]): ReturnType<Store['delete']> {
    return this.#memory.delete(keys)
  }

  close(): ReturnType<Store['close']> {
    return this.#memory.close()
  }
}

const FRESH = { 'cache-control': 'max-age=60' }
const ANSWERS: Readonly<Record<string, () => Response>> = {
  '/plain': () => new Response('plain', { headers: FRESH }),
  '/stale': () => new Response('stale', { headers: { 'cache-control': 'max-age=1', etag: '"1"' } }),
  '/vary': () => new Response('vary', { headers: { ...FRESH, vary: 'accept' } }),
  '/moved': () => new Response(null, { status: 301, headers: { ...FRESH, location: '/plain' } }),
  '/kept': () => new Response('kept', { headers: { 'cache-control': 'no-cache', etag: '"1"' } }),
  '/none': () => new Response(null, { status: 204, headers: FRESH }),
}

/** What a client does and tells, asked for each of these three times. */
async function course(isFar: boolean): Promise<unknown> {
  const store = new Far(isFar)
  const asked: string[] = []
  const { fetch, clock, events } = bench({
    store,
    fetch: async (url) => {
      const { pathname } = new URL(String(url))
      asked.push(pathname)
      return ANSWERS[pathname]?.() ?? new Response(null, { status: 404 })
    },
  })
  const seen: unknown[] = []
  for (let round = 0; round < 3; round++) {
    for (const path of Object.keys(ANSWERS)) {
      const response = await fetch(`http://a.test${path}`)
      const { status, url, redirected, fromCache, revalidated } = response
      seen.push([status, url, redirected, fromCache, revalidated, await response.text()])
    }
    clock.advance(2000)
  }
  await fetch.close()
  const told = events.map(({ type }) => type)
  return { seen, asked, told, reads: store.reads }
}

test('row 197: a store far away is asked as often, and answers and tells the same, as one at hand', async () => {
  expect(await course(true)).toEqual(await course(false))
})

test('row 12: who closes while a hit is being read waits for it, and it is a hit', async () => {
  const store = new Far(true)
  const { fetch } = bench({ store, fetch: async () => new Response('plain', { headers: FRESH }) })
  await (await fetch('http://a.test/plain')).text()
  store.ahead = Promise.withResolvers()
  const hit = fetch('http://a.test/plain')
  const closed = fetch.close()
  store.ahead.resolve()
  expect([(await hit).fromCache, await (await hit).text()]).toEqual([true, 'plain'])
  await closed
})

test("29: a read that is late is a miss, and its late answer nobody's", async () => {
  const store = new Far(true)
  let count = 0
  const { fetch, events } = bench({
    store,
    storeTimeout: 0.02,
    fetch: async () => new Response(`v${++count}`, { headers: FRESH }),
  })
  await (await fetch('http://a.test/plain')).text()
  const ahead = Promise.withResolvers<void>()
  store.ahead = ahead
  const late = await fetch('http://a.test/plain')
  store.ahead = null
  ahead.resolve()
  expect([late.fromCache, await late.text()]).toEqual([false, 'v2'])
  expect(events.filter(({ type }) => type === 'error')).toHaveLength(1)
  await fetch.close()
})
