/** What reading the whole against the checklist and the list of faults found, each with its test. */
import { setTimeout as sleep } from 'node:timers/promises'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CachedSession, MemoryStore, type Store } from '../../src/index.ts'
import { FakeClock, FaultyStore, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, STORES, until } from './support.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const FRESH = { 'Cache-Control': 'max-age=60' }

async function stored(store: Store): Promise<string> {
  let all = ''
  if (!('keys' in store)) throw new Error('the store cannot list')
  for await (const key of (store as MemoryStore).keys()) all += JSON.stringify(await store.read(key))
  return all
}

describe.each(STORES)('on %s', (_, make) => {
  it('row 242: a soft tag makes stale: served at once where staleWhileRevalidate allows, and refreshed', async () => {
    let version = 1
    const path = `/soft-${_}`
    origin.route(path, () => ({ headers: FRESH, body: `v${version}` }))
    const { fetch, clock } = bench({ store: make(), staleWhileRevalidate: '1m', tags: ['t'] })
    const text = async (): Promise<string> => (await fetch(origin.url + path)).text()
    await text()
    version = 2
    clock.advance(1000)
    await fetch.cache.invalidateTags('t')
    clock.advance(1000)
    expect(await text()).toBe('v1')
    await until(async () => (await text()) === 'v2')
    expect(origin.count(path)).toBe(2)
    await fetch.close()
  })

  it('an invalidation in the very millisecond of the answer counts', async () => {
    const path = `/same-${_}`
    origin.route(path, () => ({ headers: FRESH, body: 'x' }))
    const { fetch } = bench({ store: make(), tags: ['t'] })
    await (await fetch(origin.url + path)).text()
    await until(() => fetch.stats().stored === 1)
    await fetch.cache.invalidateTags('t', 'delete')
    await (await fetch(origin.url + path)).text()
    expect(origin.count(path)).toBe(2)
    await fetch.close()
  })

  it('row 4: close waits for what is still being written', async () => {
    const store = make()
    const { fetch } = bench({ store })
    await (await fetch(`${origin.url}/bytes/300000`, { httpCache: { expireAfter: '1h' } })).arrayBuffer()
    await fetch.close()
    const again = bench({ store })
    expect((await again.fetch(`${origin.url}/bytes/300000`, { httpCache: { expireAfter: '1h' } })).fromCache).toBe(true)
    await store.close()
  })

  it('a newer response that may not be stored takes the place of the older one', async () => {
    const path = `/newer-${_}`
    origin.script(path, [
      { headers: FRESH, body: 'old' },
      { headers: { 'Cache-Control': 'no-store' }, body: 'secret' },
      { headers: FRESH, body: 'new' },
    ])
    const { fetch } = bench({ store: make() })
    const text = async (init?: Parameters<typeof fetch>[1]): Promise<string> =>
      (await fetch(origin.url + path, init)).text()
    expect([await text(), await text({ cache: 'reload' }), await text()]).toEqual(['old', 'secret', 'new'])
    await fetch.close()
  })

  it('K3: an ignored header that Vary names, and a Location with an ignored value, are stored nowhere in clear', async () => {
    const store = make()
    origin.route('/vary-secret', () => ({ headers: { ...FRESH, Vary: 'X-Secret' }, body: 'x' }))
    origin.route('/to-secret', () => ({ status: 301, headers: { ...FRESH, Location: '/vary-secret?token=hush' } }))
    const { fetch } = bench({ store, ignoredParams: ['token', 'x-secret'] })
    const ask = async (secret: string): Promise<boolean> => {
      const response = await fetch(`${origin.url}/vary-secret`, { headers: { 'x-secret': secret } })
      await response.text()
      return response.fromCache
    }
    await ask('hush')
    await until(() => fetch.stats().stored === 1)
    expect([await ask('hush'), await ask('other')]).toEqual([true, false])
    await (await fetch(`${origin.url}/to-secret`)).text()
    expect(await stored(store)).not.toContain('hush')
    await fetch.close()
  })
})

it('a tag stays deleted though a full memory store evicts its mark before its entries', async () => {
  const { fetch } = bench({ store: new MemoryStore({ maxEntries: 50, eviction: 'lfu' }) })
  const ask = async (n: number, tags: string[]): Promise<boolean> => {
    const response = await fetch(`${origin.url}/cache/60?${n}`, { httpCache: { tags } })
    await response.text()
    return response.fromCache
  }
  for (let n = 0; n < 5; n++) await ask(1, ['t'])
  await fetch.cache.invalidateTags('t', 'delete')
  for (let n = 100; n < 200; n++) await ask(n, [])
  expect(await ask(1, ['t'])).toBe(false)
})

it('I3: what a memory store gives up is an event and a count, until the client is closed', async () => {
  const store = new MemoryStore({ maxEntries: 2 })
  const { fetch, events } = bench({ store })
  for (let n = 0; n < 5; n++) await (await fetch(`${origin.url}/cache/60?${n}`)).text()
  expect(events.filter(({ type }) => type === 'evicted')).toHaveLength(3)
  expect(fetch.stats().evicted).toBe(3)
  await fetch.close()
  const other = bench({ store })
  for (let n = 5; n < 8; n++) await (await other.fetch(`${origin.url}/cache/60?${n}`)).text()
  expect(fetch.stats().evicted).toBe(3)
})

it('B37: reads that hang open the circuit although writes work', async () => {
  const store = new FaultyStore(new MemoryStore()).fail('read', 'hang')
  const { fetch, events } = bench({ store, storeTimeout: 0.02 })
  for (let n = 0; n < 8; n++) await (await fetch(`${origin.url}/cache/60?${n}`)).text()
  expect(events.filter((event) => event.type === 'error' && event.operation === 'read').length).toBeLessThanOrEqual(6)
})

it('B32: a small body whose write hangs is shared with who waits, not after the write but after storeTimeout', async () => {
  const store = new FaultyStore(new MemoryStore()).fail('write', 'hang')
  origin.route('/hang', () => ({ headers: FRESH, body: 'x', delay: 20 }))
  const { fetch } = bench({ store, storeTimeout: 0.02 })
  const first = fetch(`${origin.url}/hang`)
  const second = fetch(`${origin.url}/hang`)
  const late = sleep(3000, 'late', { ref: false })
  expect(await Promise.race([second.then((response) => response.text()), late])).toBe('x')
  await (await first).text()
  expect(origin.count('/hang')).toBe(1)
})

it('row 95: only-if-cached asks nobody, even where the cache is switched off', async () => {
  const { fetch } = bench({ enabled: false })
  expect((await fetch(`${origin.url}/cache/60`, { httpCache: { onlyIfCached: true } })).status).toBe(504)
  expect(origin.requests).toHaveLength(0)
})

describe('row 169: cookies of stored responses', () => {
  const jarAfterHit = async (options: object): Promise<string> => {
    const store = new MemoryStore()
    const clock = new FakeClock()
    origin.route('/c', () => ({ headers: { ...FRESH, 'Set-Cookie': 'user=alice' }, body: 'x' }))
    const alice = new CachedSession({ store, clock, ...options, cookies: new CookieJar() })
    await (await alice.get(`${origin.url}/c`)).text()
    const jar = new CookieJar()
    const bob = new CachedSession({ store, clock, ...options, cookies: jar })
    expect((await bob.get(`${origin.url}/c`)).fromCache).toBe(true)
    return jar.getCookieString(origin.url)
  }
  it.each([
    [{}, 'user=alice'],
    [{ restoreCookies: false }, ''],
    [{ shared: true, setCookie: 'store' }, ''],
  ])('%o', async (options, expected) => {
    expect(await jarAfterHit(options)).toBe(expected)
  })
})

it.each([true, {}, { header: 1 }, { total: 0 }, 0])('a timeout of %o is refused', (timeout) => {
  expect(() => new CachedSession({ timeout: timeout as number })).toThrow(
    expect.objectContaining({ code: 'ERR_OPTION_VALUE', option: 'timeout' }),
  )
})
