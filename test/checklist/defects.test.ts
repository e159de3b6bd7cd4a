/**
 * Defects of other caches (checklist section 3), by number: each is a thing that this one must not do.
 * Here is what no other suite pins; docs/checklist.md names the suites that pin the rest.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  CachedSession,
  MemoryStore,
  OptionError,
  type SessionOptions,
  type SessionRequest,
  type SessionResponse,
} from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

let origin: LocalOrigin
let path: string
let serial = 0

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => {
  origin.reset()
  path = `/defect-${++serial}`
})

function session(options: SessionOptions = {}): CachedSession {
  return new CachedSession({ baseUrl: origin.url, ...options })
}

async function get(s: CachedSession, url: string, request?: SessionRequest): Promise<SessionResponse> {
  const response = await s.get(url, request)
  await response.clone().text()
  return response
}

/** Whether the second of two equal requests was answered without the origin. */
async function hitsTwice(s: CachedSession, request?: SessionRequest): Promise<boolean> {
  const before = origin.count(path)
  await get(s, path, request)
  const { fromCache } = await get(s, path, request)
  expect(origin.count(path) - before).toBe(fromCache ? 1 : 2)
  return fromCache
}

describe('3.1 correctness and safety', () => {
  test('3.1.1: Vary is obeyed', async () => {
    await using s = session()
    for (const lang of ['de', 'en', 'de', 'en']) {
      const response = await get(s, '/vary?by=accept-language', { headers: { 'accept-language': lang } })
      expect(await response.json()).toEqual({ 'accept-language': lang })
    }
    expect(origin.count()).toBe(2)
  })

  const REFUSED = [
    'no-cache',
    'No-Store',
    'NO-CACHE',
    'MAX-AGE=0',
    'max-age="0"',
    'max-age=0, must-revalidate',
    'private, no-store',
  ]
  test.each(REFUSED)('3.1.2: Cache-Control: %s is understood', async (value) => {
    origin.route(path, () => ({ headers: { 'cache-control': value }, body: 'x' }))
    await using s = session()
    expect(await hitsTwice(s)).toBe(false)
  })

  test('3.1.2: in a shared cache, private and s-maxage count', async () => {
    let value = 'private, max-age=60'
    origin.route(path, () => ({ headers: { 'cache-control': value }, body: 'x' }))
    await using s = session({ shared: true })
    expect(await hitsTwice(s)).toBe(false)
    value = 'max-age=60, s-maxage=0'
    expect(await hitsTwice(s)).toBe(false)
    value = 'max-age=0, S-MaxAge=60'
    expect(await hitsTwice(s)).toBe(true)
  })

  test("3.1.3: the reply's max-age beats every lifetime of ours, unless that overrides", async () => {
    const clock = new FakeClock()
    origin.route(path, () => ({ headers: { 'cache-control': 'max-age=10' }, body: 'x' }))
    await using s = session({ clock, expireAfter: 3600, urlsExpireAfter: { '*': 3600 } })
    await get(s, path, { httpCache: { expireAfter: 3600 } })
    clock.advance(11_000)
    expect((await get(s, path)).fromCache).toBe(false)
  })

  test.each([
    { 'cache-control': 'no-cache' },
    { expires: 'Thu, 01 Jan 2099 00:00:00 GMT' },
    { 'cache-control': 'max-age=5' },
  ])('3.1.4: a request with %o forgets no setting', async (headers) => {
    const clock = new FakeClock()
    origin.route(path, () => ({ body: 'x' }))
    await using s = session({ clock, expireAfter: 60 })
    const first = await get(s, path, { headers })
    expect((first.expiresAt?.getTime() ?? 0) - clock.now()).toBe(60_000)
    clock.advance(61_000)
    expect((await get(s, path)).fromCache).toBe(false)
  })

  test('3.1.5: patterns and look-ups see the absolute URL of a relative one', async () => {
    const host = new URL(origin.url).host
    await using s = session({ urlsExpireAfter: { [`${host}/get`]: 0 } })
    await get(s, '/json')
    expect([await s.cache.has(`${origin.url}/json`), await s.cache.has('json')]).toEqual([true, true])
    await get(s, '/get')
    expect((await get(s, '/get')).fromCache).toBe(false)
  })

  test('3.1.6: different bodies never share an entry: forms, files, JSON and its like', async () => {
    const bodies: SessionRequest[] = []
    for (let n = 0; n < 50; n++) {
      const form = new FormData()
      form.set('n', String(n))
      bodies.push({ body: form })
      const file = new FormData()
      file.set('file', new File([`content ${n}`], 'same.txt'))
      bodies.push({ body: file })
    }
    for (const json of [1, '1', null, 'null', 'None', [], {}, 0, false, '', [1, 2], [2, 1], { a: 1 }, { a: '1' }])
      bodies.push({ json })
    bodies.push({ form: { a: '1&b=2' } }, { form: { a: '1', b: '2' } }, { form: {} }, { body: 'a=1' }, { body: '' }, {})
    origin.route(`POST ${path}`, ({ request }) => ({ json: { serial: request.serial } }))
    await using s = session({ allowedMethods: ['GET', 'POST'] })
    const ask = async (request: SessionRequest): Promise<{ answer: unknown; fromCache: boolean }> => {
      const response = await s.post(path, request)
      return { answer: await response.json(), fromCache: response.fromCache }
    }
    const first = []
    for (const body of bodies) first.push(await ask(body))
    const distinct = new Set(first.map(({ answer }) => JSON.stringify(answer)))
    expect([first.some(({ fromCache }) => fromCache), distinct.size]).toEqual([false, bodies.length])
    const asked = origin.count()
    for (const [at, body] of bodies.entries())
      expect(await ask(body)).toEqual({ answer: first[at]?.answer, fromCache: true })
    expect(origin.count()).toBe(asked)
  })

  test('3.1.8: DELETE takes the stored GET; a range gets its range; a part is never served as the whole', async () => {
    await using s = session()
    origin.route(path, () => ({ body: 'x' }))
    await get(s, path)
    await s.delete(path)
    expect((await get(s, path)).fromCache).toBe(false)
    const part = await get(s, '/range/26?max-age=60', { headers: { range: 'bytes=0-4' } })
    expect([part.status, await part.text()]).toEqual([206, 'abcde'])
    const whole = await get(s, '/range/26?max-age=60')
    expect([whole.status, (await whole.text()).length]).toEqual([200, 26])
    const asked = origin.count()
    const again = await get(s, '/range/26?max-age=60', { headers: { range: 'bytes=5-9' } })
    expect([again.status, await again.text(), origin.count()]).toEqual([206, 'fghij', asked])
  })

  test('3.1.9: redirect: manual gets the redirect, even after it has been followed', async () => {
    await using s = session()
    await get(s, '/redirect/1')
    const manual = await s.get('/redirect/1', { redirect: 'manual' })
    expect([manual.status, manual.headers.get('location')]).toEqual([302, '/get'])
    expect((await get(s, '/redirect/1')).status).toBe(200)
  })

  test('3.1.11: a 304 renews headers and lifetime; refresh works with a Cache-Control header, and without validators', async () => {
    const clock = new FakeClock()
    origin.route(path, ({ request }) => {
      const date = new Date(clock.now()).toUTCString()
      const headers = { date, etag: '"1"', 'cache-control': 'max-age=60', 'x-serial': request.serial }
      return request.header('if-none-match') === '"1"' ? { status: 304, headers } : { headers, body: 'kept' }
    })
    await using s = session({ clock })
    await get(s, path)
    clock.advance(70_000)
    const renewed = await get(s, path)
    expect([renewed.revalidated, renewed.headers.get('x-serial'), await renewed.text()]).toEqual([true, '2', 'kept'])
    clock.advance(50_000)
    expect([(await get(s, path)).fromCache, origin.count()]).toEqual([true, 2])
    const refreshed = await get(s, path, { headers: { 'cache-control': 'max-stale' }, httpCache: { refresh: true } })
    expect([refreshed.revalidated, origin.count()]).toEqual([true, 3])
    await get(s, '/get')
    expect((await get(s, '/get', { httpCache: { refresh: true } })).fromCache).toBe(false)
    expect(origin.count('/get')).toBe(2)
  })

  test('3.1.12: an origin that fails after expiry deletes nothing', async () => {
    const clock = new FakeClock()
    let fails = false
    origin.route(path, ({ request }) => {
      if (fails) return { status: 500, body: 'down' }
      const known = request.header('if-none-match') === '"1"'
      return {
        status: known ? 304 : 200,
        headers: { etag: '"1"', 'cache-control': 'max-age=60' },
        body: known ? '' : 'kept',
      }
    })
    await using s = session({ clock })
    await get(s, path)
    clock.advance(70_000)
    fails = true
    expect((await get(s, path)).status).toBe(500)
    const stale = await get(s, path, { httpCache: { staleIfError: true } })
    expect([stale.status, await stale.text(), stale.isExpired]).toEqual([200, 'kept', true])
    fails = false
    expect((await get(s, path)).revalidated).toBe(true)
  })

  test('3.1.13: dates with offsets, nothing, and nonsense', async () => {
    expect(() => session({ expireAfter: 'tomorrow' })).toThrow(OptionError)
    expect(() => session({ expireAfter: '2099-01-01T12:00:00+05:00' })).toThrow(OptionError)
    const clock = new FakeClock(Date.UTC(2026, 2, 29, 0, 30))
    origin.route(path, () => ({ body: 'x' }))
    await using s = session({ clock })
    const at = new Date('2026-03-29T12:00:00+05:00')
    expect((await get(s, path, { httpCache: { expireAfter: at } })).expiresAt).toEqual(at)
    expect((await get(s, path, { httpCache: { expireAfter: 0 } })).fromCache).toBe(false)
    origin.route(path, () => ({ headers: { expires: 'tomorrow' }, body: 'x' }))
    await using fresh = session({ clock })
    expect(await hitsTwice(fresh)).toBe(false)
  })

  test('3.1.17: a closed session answers nothing, hits neither', async () => {
    const store = new MemoryStore()
    const s = session({ store })
    await get(s, path)
    await s.close()
    await expect(s.get(path)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    await expect(s.cache.has(path)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    expect(origin.count()).toBe(1)
  })

  test('3.1.18: misspelt options are errors, in a session, a rule and a call', async () => {
    expect(() => new CachedSession({ expire_after: 60 } as SessionOptions)).toThrow(/expireAfter/)
    expect(() => new CachedSession({ ignoredParameters: ['a'] } as SessionOptions)).toThrow(/ignoredParams/)
    expect(() => new CachedSession({ urlsExpireAfter: [['*', { expireafter: 1 } as object]] })).toThrow(/expireAfter/)
    await using s = session()
    await expect(s.get('/get', { httpCache: { refesh: true } as object })).rejects.toThrow(/refresh/)
    expect(origin.count()).toBe(0)
  })

  test('3.1.19: what is too big for the cache is not stored, rather than thrown away on the next read', async () => {
    await using s = session({ maxEntrySize: 1000 })
    expect((await (await s.get('/bytes/5000')).bytes()).length).toBe(5000)
    expect((await s.cache.size()).entries).toBe(0)
  })

  test('3.1.20: hits are events; an asynchronous filter is asked on write and on read', async () => {
    const asked: boolean[] = []
    const filter = async ({ fromCache }: { fromCache: boolean }): Promise<boolean> => {
      await Promise.resolve()
      asked.push(fromCache)
      return asked.length < 3
    }
    await using s = session({ filter })
    const seen: string[] = []
    await s.on('*', ({ type }) => seen.push(type))
    for (let n = 0; n < 3; n++) await get(s, '/get')
    expect([asked, origin.count()]).toEqual([[false, true, true, false], 2])
    expect(seen).toEqual(['miss', 'stored', 'hit', 'miss', 'refused'])
  })
})

describe('3.2 what it does not have', () => {
  test('3.2: key function, read-only, only-if-cached, force refresh, per call', async () => {
    await using s = session({ keyFn: ({ url }) => `mine ${new URL(url).pathname}` })
    await get(s, `${path}?a=1`)
    origin.route(path, () => ({ body: 'x' }))
    await get(s, `${path}?a=1`)
    expect((await get(s, `${path}?a=2`)).fromCache).toBe(true)
    expect((await get(s, path, { httpCache: { forceRefresh: true } })).fromCache).toBe(false)
    const only = await s.get('/json', { httpCache: { onlyIfCached: true } })
    expect([only.status, origin.count('/json')]).toEqual([504, 0])
    await get(s, '/html', { httpCache: { readOnly: true } })
    expect(await s.cache.has('/html')).toBe(false)
  })
})

describe('3.3 the siblings', () => {
  test('3.3 requests-cache: options of a call never travel to the origin', async () => {
    await using s = session()
    const httpCache = { expireAfter: 5, refresh: true, staleIfError: true, onlyIfCached: false, tags: ['t'], key: 'k' }
    await get(s, '/headers', { httpCache })
    const names = origin.requests[0]?.headers.map(([name]) => name) ?? []
    expect(names.filter((name) => /cache|expire|stale|tag|refresh|pragma/.test(name))).toEqual([])
  })

  test('3.3 requests-cache: arrays at the root keep their order, header values their commas and case', async () => {
    origin.route(path, ({ request }) => ({ json: request.serial }))
    await using s = session({ allowedMethods: ['GET', 'POST'], matchHeaders: ['x-list'] })
    for (const json of [
      [1, 2],
      [2, 1],
      [{ a: 1, b: 2 }, 3],
    ])
      expect((await s.post(path, { json })).fromCache).toBe(false)
    for (const value of ['A, B', 'a, b', 'B, A', 'A,B'])
      expect((await get(s, path, { headers: { 'x-list': value } })).fromCache).toBe(false)
    expect((await get(s, path, { headers: { 'x-list': 'A, B' } })).fromCache).toBe(true)
  })

  test('3.3 requests-cache: stale-if-error serves for errors of the origin, never for those of the caller', async () => {
    const clock = new FakeClock()
    origin.route(path, () => ({ body: 'x' }))
    await using s = session({ clock, expireAfter: 10, staleIfError: true })
    await get(s, path)
    clock.advance(20_000)
    await expect(s.get(path, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    await expect(s.get(path, { httpCache: { expireAfter: 'x' } })).rejects.toThrow(OptionError)
    await expect(s.get(path, { headers: { 'bad name': 'x' } })).rejects.toThrow(TypeError)
    const own = session({
      clock,
      keyFn: () => {
        throw new RangeError('mine')
      },
      staleIfError: true,
    })
    await expect(own.get(path)).rejects.toThrow('mine')
    origin.route(path, () => ({ empty: true, cut: 'reset' }))
    expect((await get(s, path)).fromCache).toBe(true)
  })

  test('3.3 requests-cache, hishel: Age counts, and request directives are obeyed', async () => {
    const clock = new FakeClock()
    origin.route(path, () => ({ headers: { 'cache-control': 'max-age=100', age: '40' }, body: 'x' }))
    await using s = session({ clock })
    await get(s, path)
    clock.advance(30_000)
    const ask = async (value: string): Promise<[number, boolean]> => {
      const { status, fromCache } = await get(s, path, {
        headers: { 'cache-control': value },
        httpCache: { readOnly: true },
      })
      return [status, fromCache]
    }
    expect(await ask('max-age=60')).toEqual([200, false])
    expect(await ask('max-age=80')).toEqual([200, true])
    expect(await ask('min-fresh=40')).toEqual([200, false])
    expect(await ask('min-fresh=20')).toEqual([200, true])
    clock.advance(40_000)
    expect(await ask('only-if-cached')).toEqual([504, false])
    expect(await ask('max-stale=5')).toEqual([200, false])
    expect(await ask('max-stale=20')).toEqual([200, true])
    expect(await ask('no-store')).toEqual([200, false])
  })

  test('3.3 CacheControl: no Date needed; several variants of a URL; POST invalidates', async () => {
    origin.route(path, () => ({ raw: 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1\r\n\r\nx' }))
    await using s = session()
    expect(await hitsTwice(s)).toBe(true)
    origin.route(`POST ${path}`, () => ({ body: 'ok' }))
    await s.post(path, { body: 'x' })
    expect((await get(s, path)).fromCache).toBe(false)
  })

  test('3.3 aiocache: an empty body is a value', async () => {
    origin.route(path, () => ({ body: '' }))
    await using s = session()
    expect(await hitsTwice(s)).toBe(true)
  })

  test('3.3 fastapi-cache: Cache-Control is parsed, not compared', async () => {
    origin.route(path, () => ({ body: 'x' }))
    await using s = session()
    await get(s, path)
    for (const value of ['No-Cache', 'max-age=9, no-cache', ' no-cache ,x', 'no-cache="a"'])
      expect((await get(s, path, { headers: { 'cache-control': value } })).fromCache).toBe(false)
    expect((await get(s, path, { headers: { 'cache-control': 'x="no-cache"' } })).fromCache).toBe(true)
  })
})

describe('3.4 caches of blog posts', () => {
  test('3.4: method, host, query, Vary and user are told apart; status, type, bytes and emptiness are kept', async () => {
    const binary = Uint8Array.from({ length: 256 }, (_, at) => at)
    origin.route(path, ({ request }) => ({
      status: 200,
      headers: { 'content-type': 'image/png' },
      body: request.query.has('page') ? 'two' : binary,
    }))
    origin.route(`POST ${path}`, () => ({ status: 201, body: 'posted' }))
    await using s = session({ allowedMethods: ['GET', 'POST'], allowedStatusCodes: [200, 201, 404] })
    for (let n = 0; n < 2; n++) {
      // First: one that reaches the origin has the GET of its URL gone (RFC 9111 section 4.4).
      expect((await s.post(path)).status).toBe(201)
      const image = await get(s, path)
      expect([image.headers.get('content-type'), Buffer.compare(await image.bytes(), binary)]).toEqual(['image/png', 0])
      expect(await (await get(s, path, { params: { page: 2 } })).text()).toBe('two')
      expect((await get(s, '/status/404')).status).toBe(404)
      expect((await get(s, `http://localhost:${origin.port}${path}`)).url).toContain('localhost')
    }
    expect(origin.count((request) => request.method === 'GET' && request.path === path)).toBe(3)
    await using plain = session()
    await get(plain, '/status/500')
    expect((await get(plain, '/status/500')).fromCache).toBe(false)
  })
})
