/** RELIABILITY group B: a store that fails costs a miss and an event, never the caller's request. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CacheEvent } from '../../src/index.ts'
import { FaultyStore, startOrigin, type Fault, type LocalOrigin } from '../../src/testing/index.ts'
import { until } from './support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

function faulty(): { store: FaultyStore; fetch: ReturnType<typeof createCachedFetch>; errors: CacheEvent[] } {
  const store = new FaultyStore(new MemoryStore())
  const fetch = createCachedFetch({ store, storeTimeout: 0.05 })
  const errors: CacheEvent[] = []
  fetch.on('error', (event) => errors.push(event))
  return { store, fetch, errors }
}

const url = (): string => `${origin.url}/cache/60`

test.each(['throw', 'reject', 'hang', 'garbage'] as Fault[])(
  'B27-B30: a read that fails by %s is a miss and an event',
  async (fault) => {
    const { store, fetch, errors } = faulty()
    await (await fetch(url())).text()
    store.fail('read', fault, store.calls.read + 1)
    const response = await fetch(url())
    expect([response.status, response.fromCache, (await response.text()) !== '']).toEqual([200, false, true])
    expect(errors.map((event) => event.type === 'error' && event.operation)).toContain('read')
    expect(origin.requests).toHaveLength(2)
    expect((await fetch(url())).fromCache).toBe(true)
  },
)

test.each(['throw', 'reject', 'hang'] as Fault[])(
  'B31, B32: a write that fails by %s leaves the response intact',
  async (fault) => {
    const { store, fetch, errors } = faulty()
    store.fail('write', fault, 1)
    expect(await (await fetch(url())).text()).not.toBe('')
    if (fault !== 'hang') await until(() => errors.length > 0)
    expect(origin.requests).toHaveLength(1)
  },
)

test('B33: a write that fails mid-body leaves the body intact', async () => {
  const { store, fetch } = faulty()
  store.fail('write', 'reject')
  const response = await fetch(`${origin.url}/large/2000000`, { httpCache: { expireAfter: 60 } })
  expect((await response.bytes()).length).toBe(2_000_000)
})

test('B35: what could not be deleted after an unsafe request is not served again by this process', async () => {
  const { store, fetch } = faulty()
  origin.route('/thing', () => ({ headers: { 'cache-control': 'max-age=60' }, body: 'thing' }))
  await (await fetch(`${origin.url}/thing`)).text()
  store.fail('delete', 'reject')
  await fetch(`${origin.url}/thing`, { method: 'POST', body: 'x' })
  const after = await fetch(`${origin.url}/thing`)
  expect(after.fromCache).toBe(false)
})

test('B37: after several failures the store is left alone, and taken up again when it has recovered', async () => {
  const { store, fetch } = faulty()
  store.fail('read', 'reject')
  store.fail('write', 'reject')
  for (let n = 0; n < 10; n++) await (await fetch(`${url()}?${n}`)).text()
  expect(store.calls.read).toBeLessThan(10)
  expect(origin.requests).toHaveLength(10)
})

test('B37: a filter that throws says nothing of the store, and costs nobody else', async () => {
  const filter = (subject: { url: string }): boolean => {
    if (subject.url.includes('bad')) throw new Error('boom')
    return true
  }
  const fetch = createCachedFetch({ store: new MemoryStore(), filter })
  const errors: CacheEvent[] = []
  fetch.on('error', (event) => errors.push(event))
  for (let n = 0; n < 8; n++) await (await fetch(`${url()}?bad=${n}`)).text()
  await until(() => errors.length === 8)
  await (await fetch(url())).text()
  await until(async () => (await fetch(url())).fromCache)
})

test('B40: the entry of another key is a miss', async () => {
  const inner = new MemoryStore()
  const store = new FaultyStore(inner)
  const fetch = createCachedFetch({ store })
  await (await fetch(url())).text()
  const read = store.read.bind(store)
  store.read = (key) => read(key.replace('/cache/61', '/cache/60'))
  expect((await fetch(`${origin.url}/cache/61`)).fromCache).toBe(false)
})

test('B41: a body that cannot be opened is a miss before any byte is sent', async () => {
  const { store, fetch } = faulty()
  await (await fetch(url())).text()
  store.fail('read', 'break-stream', store.calls.read + 1)
  const response = await fetch(url())
  expect([response.status, response.fromCache, (await response.text()) !== '']).toEqual([200, false, true])
})

test('A166: only-if-cached under a failing store is a 504, not the network', async () => {
  const { store, fetch } = faulty()
  store.fail('read', 'reject')
  const response = await fetch(url(), { headers: { 'cache-control': 'only-if-cached' } })
  expect(response.status).toBe(504)
  expect(origin.requests).toHaveLength(0)
})

test('165: a listener that throws hurts nobody', async () => {
  const { fetch } = faulty()
  fetch.on('*', () => {
    throw new Error('listener')
  })
  expect(await (await fetch(url())).text()).not.toBe('')
})

test('an error of a store counts once: twenty calls failing, n-th call for every n', async () => {
  for (const method of ['read', 'write', 'update', 'delete'] as const) {
    for (let n = 1; n <= 3; n++) {
      const { store, fetch } = faulty()
      store.fail(method, 'throw', n)
      origin.route('/nth', () => ({ headers: { 'cache-control': 'max-age=0', etag: '"x"' }, body: 'nth' }))
      for (let request = 0; request < 4; request++) expect(await (await fetch(`${origin.url}/nth`)).text()).toBe('nth')
      await fetch(`${origin.url}/nth`, { method: 'DELETE' })
    }
  }
})
