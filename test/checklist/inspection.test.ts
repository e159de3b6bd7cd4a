/** Checklist rows 230-239: looking into the cache and taking things out of it (also test/session `I1`, `I4`, `E6`). */
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CachedSession, createCachedFetch, type SessionOptions } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { STORES } from '../engine/support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

function session(options: SessionOptions = {}): CachedSession {
  return new CachedSession({ baseUrl: origin.url, ...options })
}

async function load(s: CachedSession, ...paths: string[]): Promise<void> {
  for (const path of paths) await (await s.get(path)).text()
}

describe.each(STORES)('on %s', (_name, make) => {
  test('row 230: has by path, URL and Request, with the headers, credentials and cookies of the session', async () => {
    const store = make()
    const jar = new CookieJar()
    await jar.setCookie('sid=1', origin.url)
    await using s = session({
      store,
      auth: { username: 'u', password: 'p' },
      headers: { 'x-api-key': 'k' },
      cookies: jar,
    })
    await load(s, '/get?q=1')
    for (const input of [
      '/get?q=1',
      `${origin.url}/get?q=1`,
      new URL(`${origin.url}/get?q=1`),
      new Request(`${origin.url}/get?q=1`),
    ])
      expect(await s.cache.has(input)).toBe(true)
    expect(await s.cache.has('/get?q=2')).toBe(false)
    expect(await s.cache.has('/get?q=1', { headers: { 'x-api-key': 'other' } })).toBe(false)
    expect((await s.cache.get('/get?q=1'))?.url).toBe(`${origin.url}/get?q=1`)
    expect(origin.count()).toBe(1)
    await store.close()
  })

  test('rows 231, 245: delete by URL takes what any user stored for it, and only that', async () => {
    const store = make()
    const clock = new FakeClock()
    await using s = session({ store, clock, auth: { username: 'u', password: 'p' } })
    await load(s, '/get', '/json')
    for (const user of ['a', 'b']) await (await s.get('/get', { headers: { authorization: user } })).text()
    clock.advance(10)
    expect(await s.cache.delete({ url: '/get' })).toBeGreaterThanOrEqual(1)
    clock.advance(10)
    expect(await s.cache.has('/get')).toBe(false)
    origin.reset()
    for (const user of ['a', 'b'])
      expect((await s.get('/get', { headers: { authorization: user } })).fromCache).toBe(false)
    expect((await s.get('/json')).fromCache).toBe(true)
    expect(origin.count()).toBe(2)
    await store.close()
  })

  test('row 231: conditions of delete are put together: what meets any of them goes', async () => {
    const store = make()
    const clock = new FakeClock()
    const host = new URL(origin.url).host
    await using s = session({ store, clock, expireAfter: '1h', urlsExpireAfter: { [`${host}/robots.txt`]: 5 } })
    await load(s, '/xml')
    clock.advance(600_000)
    await load(s, '/get', '/json', '/html', '/robots.txt', '/deny')
    clock.advance(10_000)
    const count = await s.cache.delete({
      url: ['/get', '/not-there'],
      pattern: /\/html$/,
      expired: true,
      olderThan: '5m',
    })
    expect(count).toBe(4)
    expect(await s.cache.urls()).toEqual([`${origin.url}/deny`, `${origin.url}/json`])
    await store.close()
  })

  test('rows 232, 233, 237: entries by freshness, filter, order and limit; urls once and sorted; counts', async () => {
    const store = make()
    const clock = new FakeClock()
    await using s = session({ store, clock, expireAfter: '1h' })
    for (const [path, expireAfter] of [
      ['/json', 10],
      ['/get', 100],
      ['/bytes/5000', 1000],
    ] as const) {
      await (await s.get(path, { httpCache: { expireAfter } })).bytes()
      clock.advance(1000)
    }
    for (const lang of ['de', 'en'])
      await (await s.get('/vary?by=accept-language', { headers: { 'accept-language': lang } })).text()
    clock.advance(20_000)
    const paths = async (query: Parameters<typeof s.cache.entries>[0]): Promise<string[]> =>
      (await Array.fromAsync(s.cache.entries(query))).map(({ url }) => new URL(url).pathname)
    expect(await paths({ expired: true })).toEqual(['/json'])
    expect((await paths({ expired: false })).toSorted()).toEqual(['/bytes/5000', '/get', '/vary', '/vary'])
    expect(await paths({ order: 'size', descending: true, limit: 1 })).toEqual(['/bytes/5000'])
    expect(await paths({ order: 'expires', limit: 2 })).toEqual(['/json', '/vary'])
    expect(await paths({ order: 'created', filter: ({ size }) => size > 100 && size < 4000 })).toContain('/get')
    expect((await s.cache.urls()).map((url) => new URL(url).pathname)).toEqual([
      '/bytes/5000',
      '/get',
      '/json',
      '/vary',
    ])
    // Listing yields as it goes: who stops early has not waited for the rest.
    for await (const { key } of s.cache.entries()) {
      expect(key).toContain('GET ')
      break
    }
    await store.close()
  })

  test('row 235: a response by hand: its expiry, its key, its user', async () => {
    const store = make()
    const clock = new FakeClock()
    await using s = session({ store, clock, auth: { username: 'u', password: 'p' } })
    const put = (path: string, init?: Parameters<typeof s.cache.put>[2]): Promise<boolean> =>
      s.cache.put(path, new Response('mine'), init)
    expect(await put('/one', { httpCache: { expireAfter: 60 } })).toBe(true)
    expect(await put('/two', { httpCache: { key: 'by hand' } })).toBe(true)
    expect(await s.cache.put('/no', new Response('mine', { headers: { 'cache-control': 'no-store' } }))).toBe(false)
    const one = await s.get('/one')
    expect([await one.text(), one.fromCache, (one.expiresAt?.getTime() ?? 0) - clock.now()]).toEqual([
      'mine',
      true,
      60_000,
    ])
    expect(await (await s.get('/elsewhere', { httpCache: { key: 'by hand' } })).text()).toBe('mine')
    expect(origin.count()).toBe(0)
    await store.close()
  })

  test('row 239: everything, or one host, goes', async () => {
    const store = make()
    await using other = await startOrigin()
    await using s = session({ store })
    await load(s, '/get', '/json')
    await load(s, `${other.url}/get`)
    expect(await s.cache.delete({ pattern: `${new URL(other.url).host}/*` })).toBe(1)
    expect(await s.cache.urls()).toHaveLength(2)
    await s.cache.clear()
    expect((await s.cache.size()).entries).toBe(0)
    await store.close()
  })
})

test('warm asks as the session asks: its base, its headers, its credentials', async () => {
  await using s = session({ auth: { username: 'u', password: 'p' }, headers: { 'x-tenant': 't' } })
  expect(await s.cache.warm(['/get', '/json'])).toEqual({ done: 2, failed: 0, total: 2 })
  expect(origin.requests.map((request) => [request.header('authorization'), request.header('x-tenant')])).toEqual([
    [`Basic ${btoa('u:p')}`, 't'],
    [`Basic ${btoa('u:p')}`, 't'],
  ])
  expect((await s.get('/get')).fromCache).toBe(true)
})

test('row 230: a cached fetch looks up what it is given', async () => {
  await using fetch = createCachedFetch()
  const headers = { authorization: 'me' }
  await (await fetch(`${origin.url}/cache/60`, { headers })).text()
  expect([
    await fetch.cache.has(`${origin.url}/cache/60`),
    await fetch.cache.has(`${origin.url}/cache/60`, { headers }),
  ]).toEqual([false, true])
  expect(await fetch.cache.delete({ url: `${origin.url}/cache/60` })).toBe(1)
  expect(await fetch.cache.has(`${origin.url}/cache/60`, { headers })).toBe(false)
})
