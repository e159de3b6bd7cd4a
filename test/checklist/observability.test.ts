/** Checklist rows 275-280: what a cache says of itself, and how it fares when its store does not (also test/engine/store-faults.test.ts). */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cacheInfo, CachedSession, MemoryStore, type CacheEvent, type SessionOptions } from '../../src/index.ts'
import { FakeClock, FaultyStore, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { until } from '../engine/support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

async function watched(
  options: SessionOptions = {},
): Promise<{ s: CachedSession; events: CacheEvent[]; said: () => string[] }> {
  const s = new CachedSession({ baseUrl: origin.url, ...options })
  const events: CacheEvent[] = []
  await s.on('*', (event) => events.push(event))
  const said = (): string[] =>
    events.splice(0).map((event) => ('reason' in event ? `${event.type} ${event.reason}` : event.type))
  return { s, events, said }
}

test('rows 275, 276: every request says what became of it, and why; events name key, URL, method and age', async () => {
  const clock = new FakeClock()
  const { s, events, said } = await watched({ clock, staleIfError: true })
  await (await s.get('/cache/60')).text()
  expect(events.map(({ type, key }) => [type, key])).toEqual([
    ['miss', `GET ${origin.url}/cache/60`],
    ['stored', `GET ${origin.url}/cache/60`],
  ])
  said()
  clock.advance(5000)
  await s.get('/cache/60')
  expect(events[0]).toMatchObject({ type: 'hit', url: `${origin.url}/cache/60`, method: 'GET', age: 5 })
  expect(said()).toEqual(['hit fresh'])
  clock.advance(100_000)
  await s.get('/cache/60')
  expect(said()).toEqual(['revalidated stale'])
  origin.route('/cache/60', () => ({ status: 500 }))
  clock.advance(100_000)
  await s.get('/cache/60')
  expect(said()).toEqual(['stale stale-if-error'])
  await s.get('/status/404')
  expect(said()).toEqual(['miss uri-miss', 'refused status'])
  await s.get('/get', { cache: 'no-store' })
  expect(said()).toEqual(['bypass mode-no-store'])
  await s.disabled(() => s.get('/get'))
  expect(said()).toEqual(['bypass disabled'])
  await s.head('/cache/30')
  expect(said()).toEqual(['miss uri-miss', 'stored max-age'])
  await s.put('/put', { body: 'x' })
  expect(said()).toEqual(['bypass method', 'invalidated method'])
  await s.close()
})

test('row 276: cacheInfo gives each decision as a sentence with its section', async () => {
  const { s } = await watched()
  origin.route('/private', () => ({ headers: { 'cache-control': 'no-store' }, body: 'x' }))
  const info = cacheInfo(await s.get('/private'))
  expect([info?.reason, info?.stored, info?.refused]).toEqual(['uri-miss', false, 'no-store'])
  expect(info?.explain.sentence.length).toBeGreaterThan(10)
  await (await s.get('/get')).text()
  expect(cacheInfo(await s.get('/get'))?.explain.rfc).toMatch(/4\.2|9111/)
  await s.close()
})

test('row 277: counters of hits, misses, bytes and time, without a request of their own', async () => {
  const { s } = await watched()
  await (await s.get('/bytes/1000')).bytes()
  for (let n = 0; n < 3; n++) await (await s.get('/bytes/1000')).bytes()
  await s.get('/status/404')
  expect(await s.stats()).toMatchObject({
    hits: 3,
    misses: 2,
    stored: 1,
    refused: 1,
    bytesServed: 3000,
    bytesStored: 1000,
    hitRatio: 0.6,
  })
  expect(origin.count()).toBe(2)
  await s.close()
})

test('row 278: a response names the key that served it', async () => {
  const { s } = await watched()
  await (await s.get('/get')).text()
  const keys = await Promise.all(['/get', '/get'].map(async (path) => cacheInfo(await s.get(path))?.key))
  expect(keys).toEqual([`GET ${origin.url}/get`, `GET ${origin.url}/get`])
  await s.close()
})

test.each(['throw', 'reject', 'hang', 'garbage'] as const)(
  'rows 279, 5.3.8: a store whose calls %s costs a request its hit and nothing else; healed, it serves again',
  async (fault) => {
    const clock = new FakeClock()
    const store = new FaultyStore(new MemoryStore())
    const { s, events } = await watched({ store, clock, storeTimeout: 0.02 })
    await (await s.get('/get')).text()
    for (const method of ['read', 'write', 'update', 'delete'] as const)
      if (fault === 'throw' || fault === 'reject' || method === 'read') store.fail(method, fault)
    origin.reset()
    for (let n = 0; n < 12; n++) {
      const response = await s.get('/get')
      expect([response.status, response.fromCache]).toEqual([200, false])
      expect((await response.json()) as { url: string }).toMatchObject({ url: `${origin.url}/get` })
    }
    expect(origin.count()).toBe(12)
    expect(events.some(({ type }) => type === 'error')).toBe(true)
    // Left alone after a few failures in a row, of any of its methods: it is not asked twelve times over.
    if (fault === 'throw' || fault === 'reject') expect(store.calls.read).toBeLessThan(12)
    store.heal()
    clock.advance(120_000)
    await until(async () => {
      const response = await s.get('/get')
      await response.text()
      return response.fromCache
    })
    await s.close()
  },
)

test('row 280: time is an argument: a day passes in no time', async () => {
  const clock = new FakeClock(Date.UTC(2026, 9, 24, 23, 0, 0))
  const { s } = await watched({ clock, expireAfter: '1d' })
  origin.route('/dated', () => ({ headers: { date: new Date(clock.now()).toUTCString() }, body: 'x' }))
  await (await s.get('/dated')).text()
  clock.advance(86_399_000)
  expect((await s.get('/dated')).fromCache).toBe(true)
  clock.advance(2000)
  expect((await s.get('/dated')).fromCache).toBe(false)
  await s.close()
})
