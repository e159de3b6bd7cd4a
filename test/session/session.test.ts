/** CachedSession: FEATURES S, E and I, and the defects of CHECKLIST section 3.1 that it must not have. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CachedSession, HttpError, MemoryStore, OptionError, StateError, type SessionOptions } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

function session(options: SessionOptions = {}): CachedSession {
  return new CachedSession({ baseUrl: origin.url, ...options })
}

describe('requests', () => {
  test('row 1: with no options, what says nothing about freshness is kept for ever', async () => {
    await using s = session()
    expect((await s.get('/get')).fromCache).toBe(false)
    const hit = await s.get('/get')
    expect([hit.fromCache, hit.expiresAt, hit.isExpired, hit.status]).toEqual([true, undefined, false, 200])
    expect(origin.requests).toHaveLength(1)
  })

  test('row 27: only status 200 by default', async () => {
    await using s = session()
    await s.get('/status/404')
    expect((await s.get('/status/404')).fromCache).toBe(false)
  })

  test('S2: params, json, form, auth and headers reach the origin', async () => {
    await using s = session({ headers: { 'x-default': 'd' }, auth: { username: 'u', password: 'p' } })
    await s.post('/post', { params: { a: [1, 2], b: 'x' }, json: { k: 1 } })
    const [request] = origin.requests
    expect(request?.url).toBe('/post?a=1&a=2&b=x')
    expect(request?.header('x-default')).toBe('d')
    expect(request?.header('authorization')).toBe(`Basic ${btoa('u:p')}`)
    expect(request?.header('content-type')).toBe('application/json')
    await s.post('/post', { form: { a: '1&b=2' } })
    expect(Buffer.from(origin.requests[1]?.body ?? []).toString()).toBe('a=1%26b%3D2')
    await expect(s.post('/post', { json: 1, body: 'x' })).rejects.toThrow(OptionError)
  })

  test('S2: baseUrl is joined as a path under it, and absolute URLs pass', async () => {
    await using s = new CachedSession({ baseUrl: `${origin.url}/anything` })
    await s.get('/x')
    await s.get(`${origin.url}/get`)
    expect(origin.requests.map(({ url }) => url)).toEqual(['/anything/x', '/get'])
    expect(await s.cache.has('/x')).toBe(true)
  })

  test('S2: raiseForStatus throws HttpError, on hits, too', async () => {
    await using s = session({ allowedStatusCodes: [404], raiseForStatus: true })
    await expect(s.get('/status/404')).rejects.toThrow(HttpError)
    await expect(s.get('/status/404')).rejects.toMatchObject({
      code: 'ERR_HTTP_STATUS',
      status: 404,
      response: { fromCache: true },
    })
  })

  test('S2: a timeout rejects', async () => {
    await using s = session({ timeout: 0.05 })
    origin.route('/never', () => ({ delay: 2000, body: 'x' }))
    await expect(s.get('/never')).rejects.toThrow(/time/i)
  })

  test('S13: schema validates on a miss and on a hit', async () => {
    await using s = session()
    const schema = {
      '~standard': {
        validate: (value: unknown) =>
          typeof value === 'object' ? { value: { ok: true } } : { issues: [{ message: 'no' }] },
      },
    }
    for (let n = 0; n < 2; n++) expect(await (await s.get('/json', { schema })).json()).toEqual({ ok: true })
  })

  test('S8: redirects: history, redirected, and the final URL hit, too', async () => {
    await using s = session()
    const first = await s.get('/redirect/3')
    expect([first.history.length, first.redirected, first.url]).toEqual([3, true, `${origin.url}/get`])
    const asked = origin.requests.length
    const again = await s.get('/redirect/3')
    expect([again.history.length, again.fromCache, (await s.get('/get')).fromCache]).toEqual([3, true, true])
    expect(origin.requests).toHaveLength(asked)
    expect((await s.get('/redirect/1', { redirect: 'manual' })).status).toBe(302)
    await expect(s.get('/redirect/1', { redirect: 'error' })).rejects.toThrow('fetch failed')
  })

  test('S7: each hit is independent: bodies, headers, clones', async () => {
    await using s = session()
    await (await s.get('/bytes/64')).bytes()
    const a = await s.get('/bytes/64')
    const b = await s.get('/bytes/64')
    const copy = a.clone()
    const bytes = await a.bytes()
    bytes.fill(0)
    a.headers.set('x', 'y')
    expect(Buffer.compare(await b.bytes(), await copy.bytes())).toBe(0)
    expect([b.headers.has('x'), a.bodyUsed, a instanceof Response]).toEqual([false, true, true])
    await expect(a.text()).rejects.toThrow(TypeError)
    const c = await s.get('/bytes/64')
    const wrapped = new Response(c.body, c)
    expect([(await wrapped.bytes()).length, wrapped.status]).toEqual([64, 200])
  })
})

describe('lifetimes', () => {
  const rows: [string, Record<string, string>, SessionOptions, { expireAfter?: number }, number | undefined][] = [
    ['nothing: never', {}, {}, {}, undefined],
    ['session', {}, { expireAfter: 30 }, {}, 30],
    ['URL over session', {}, { expireAfter: 30, urlsExpireAfter: { '*': 20 } }, {}, 20],
    ['request over URL', {}, { expireAfter: 30, urlsExpireAfter: { '*': 20 } }, { expireAfter: 10 }, 10],
    ['response over request', { 'cache-control': 'max-age=5' }, { expireAfter: 30 }, { expireAfter: 10 }, 5],
    ['cacheControl: false', { 'cache-control': 'max-age=5' }, { expireAfter: 30, cacheControl: false }, {}, 30],
    [
      'override',
      { 'cache-control': 'max-age=5' },
      { urlsExpireAfter: [['*', { expireAfter: 40, override: true }]] },
      {},
      40,
    ],
    ['maxTtl clamps', { 'cache-control': 'max-age=500' }, { maxTtl: 50 }, {}, 50],
  ]
  test.each(rows)('E3: %s', async (name, headers, options, httpCache, expected) => {
    const clock = new FakeClock()
    const path = `/e3-${name.replaceAll(/\W/g, '')}`
    origin.route(path, () => ({ headers, body: name }))
    await using s = session({ ...options, clock })
    const response = await s.get(path, { httpCache })
    await response.text()
    const seconds = response.expiresAt && Math.round((response.expiresAt.getTime() - clock.now()) / 1000)
    expect(seconds).toBe(expected)
  })

  test('E1: 0 neither reads nor stores', async () => {
    await using s = session({ expireAfter: 0 })
    await (await s.get('/get')).text()
    expect((await s.get('/get')).fromCache).toBe(false)
    expect(await s.cache.has('/get')).toBe(false)
  })

  test('S11: refresh revalidates, forceRefresh fetches whole', async () => {
    await using s = session()
    await (await s.get('/etag/v1')).text()
    expect((await s.get('/etag/v1', { httpCache: { refresh: true } })).revalidated).toBe(true)
    expect((await s.get('/etag/v1', { httpCache: { forceRefresh: true } })).fromCache).toBe(false)
    expect(origin.requests).toHaveLength(3)
  })

  test('E6: deleteExpired and resetExpiration', async () => {
    const clock = new FakeClock()
    await using s = session({ expireAfter: 10, clock })
    for (const path of ['/get', '/json', '/html']) await (await s.get(path)).text()
    expect(await s.cache.resetExpiration('1h', ({ url }) => url.endsWith('/json'))).toBe(1)
    clock.advance(60_000)
    expect((await s.cache.urls({ expired: true })).length).toBe(2)
    expect(await s.cache.deleteExpired()).toBe(2)
    expect((await s.get('/json')).fromCache).toBe(true)
  })
})

describe('safety', () => {
  test('3.1.1, D82: Bob never gets what Alice got', async () => {
    const store = new MemoryStore()
    await using s = session({ store })
    origin.route('/me', ({ request }) => ({ body: request.header('authorization') ?? 'nobody' }))
    for (const user of ['alice', 'bob', 'alice', 'bob']) {
      expect(await (await s.get('/me', { headers: { authorization: user } })).text()).toBe(user)
    }
    expect(origin.count('/me')).toBe(2)
    const keys = await Array.fromAsync(s.cache.keys())
    expect(keys.join()).not.toMatch(/alice|bob/)
  })

  test('3.1.5: two base URLs on one store share nothing', async () => {
    const store = new MemoryStore()
    await using other = await startOrigin()
    await using a = session({ store })
    await using b = new CachedSession({ store, baseUrl: other.url })
    await (await a.get('/get')).text()
    expect((await b.get('/get')).fromCache).toBe(false)
  })

  test('3.1.7, row 169: cookies of one session never reach another, and expired ones are not revived', async () => {
    const store = new MemoryStore()
    const clock = new FakeClock()
    origin.route('/login', () => ({ headers: { 'set-cookie': 'sid=1; Max-Age=60' }, body: 'hi' }))
    const jar = new CookieJar()
    await using a = session({ store, clock, cookies: jar })
    await using b = session({ store, clock })
    await (await a.get('/login')).text()
    await (await b.get('/get')).text()
    expect(origin.requests.at(-1)?.header('cookie')).toBe(null)
    await (await a.get('/get')).text()
    expect(origin.requests.at(-1)?.header('cookie')).toBe('sid=1')
    const later = new CookieJar()
    await using c = session({ store, clock, cookies: later })
    clock.advance(120_000)
    expect((await c.get('/login')).fromCache).toBe(true)
    expect(await later.getCookieString(origin.url)).toBe('')
  })

  test('K3: ignored and sensitive parameters are in no key and no record', async () => {
    await using s = session({ ignoredParams: ['token'] })
    await (await s.get('/get', { params: { token: 'secret1', api_key: 'secret2', q: 1 } })).text()
    expect((await s.get('/get', { params: { q: 1, token: 'other', api_key: 'secret2' } })).fromCache).toBe(true)
    expect((await s.get('/get', { params: { q: 1, api_key: 'another' } })).fromCache).toBe(false)
    const entries = await Array.fromAsync(s.cache.entries())
    expect(JSON.stringify(entries)).not.toMatch(/secret1|secret2|another/)
  })

  test('row 122, 3.1.8: a successful PUT invalidates the stored GET', async () => {
    await using s = session()
    origin.route('/doc', () => ({ body: 'doc' }))
    await (await s.get('/doc')).text()
    await s.put('/doc', { body: 'new' })
    expect((await s.get('/doc')).fromCache).toBe(false)
  })

  test('row 14, 3.1.17: disabled() is for this context only, nests, and ends when the body throws', async () => {
    await using s = session()
    await (await s.get('/get')).text()
    await s.disabled(async () => {
      expect((await s.get('/get')).fromCache).toBe(false)
      await s.disabled(async () => expect((await s.get('/get')).fromCache).toBe(false))
    })
    await expect(s.disabled(() => Promise.reject(new Error('x')))).rejects.toThrow('x')
    expect((await s.get('/get')).fromCache).toBe(true)
  })

  test('S4: close is idempotent, use after close is a clear error, a shared store stays open', async () => {
    const store = new MemoryStore()
    const s = session({ store })
    await s.close()
    await s.close()
    await expect(s.get('/get')).rejects.toThrow(StateError)
    expect(store.read('x')).toBe(undefined)
  })

  test('S5: wrong options are errors at construction, with the nearest name', () => {
    expect(() => new CachedSession({ expireafter: 60 } as SessionOptions)).toThrow(/did you mean expireAfter/)
    expect(() => new CachedSession({ expireAfter: 'tomorrow' })).toThrow(OptionError)
    expect(() => new CachedSession({ baseUrl: '/relative' })).toThrow(/absolute URL/)
    expect(() => new CachedSession({ store: 'redsi://x' })).toThrow(/store URL/)
    expect(() => new CachedSession({ urlsExpireAfter: { '': 1 } })).toThrow(OptionError)
  })

  test('row 16: install and uninstall', async () => {
    const before = globalThis.fetch
    const s = session()
    s.install()
    await (await fetch(`${origin.url}/get`)).text()
    await (await fetch(`${origin.url}/get`)).text()
    expect(origin.requests).toHaveLength(1)
    await s.close()
    expect(globalThis.fetch).toBe(before)
  })
})

describe('inspection', () => {
  test('I1: has, get, delete by url, key and pattern, clear, size', async () => {
    await using s = session()
    for (const path of ['/get', '/json', '/html']) await (await s.get(path)).text()
    expect((await s.cache.get('/json'))?.url).toBe(`${origin.url}/json`)
    expect(await s.cache.delete({ pattern: `${new URL(origin.url).host}/html` })).toBe(1)
    const [key] = await Array.fromAsync(s.cache.keys())
    expect(await s.cache.delete({ key: key ?? '' })).toBe(1)
    expect((await s.cache.size()).entries).toBe(1)
    await s.cache.clear()
    expect(await s.cache.urls()).toEqual([])
  })

  test('I2: tags: stale revalidates, delete fetches anew', async () => {
    await using s = session({ tags: ['all'] })
    await (await s.get('/etag/a')).text()
    expect((await s.get('/etag/a')).fromCache).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await s.cache.invalidateTags('all')
    expect((await s.get('/etag/a')).revalidated).toBe(true)
    await new Promise((resolve) => setTimeout(resolve, 5))
    await s.cache.invalidateTags(['all'], 'delete')
    expect((await s.get('/etag/a')).fromCache).toBe(false)
  })

  test('I4: put and warm', async () => {
    await using s = session()
    expect(
      await s.cache.put(`${origin.url}/by-hand`, new Response('mine', { headers: { 'cache-control': 'max-age=60' } })),
    ).toBe(true)
    expect(await (await s.get('/by-hand')).text()).toBe('mine')
    expect(await s.cache.warm(['/get', '/json', '/status/500'])).toEqual({ done: 3, failed: 1, total: 3 })
    expect((await s.get('/json')).fromCache).toBe(true)
  })

  test('I3: events reach diagnostics_channel', async () => {
    const seen: unknown[] = []
    const listener = (message: unknown): void => void seen.push((message as { type: string }).type)
    subscribe('keepfresh', listener)
    await using s = session()
    await (await s.get('/get')).text()
    await s.get('/get')
    unsubscribe('keepfresh', listener)
    expect(seen).toEqual(['miss', 'stored', 'hit'])
  })

  test('S3: stores by URL, kept between sessions', async () => {
    const url = `sqlite:${join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'a.db')}`
    for (const expected of [false, true]) {
      await using s = session({ store: url })
      const response = await s.get('/json')
      await response.text()
      expect(response.fromCache).toBe(expected)
    }
  })
})
