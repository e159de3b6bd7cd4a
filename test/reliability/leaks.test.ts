/** RELIABILITY group E: nothing of one user reaches another. Each user's answers carry the user's own mark. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CachedSession, cacheInfo, createCachedFetch, MemoryStore, type CacheOptions } from '../../src/index.ts'
import { answering, bench, fresh, FRESH, settled, STORES, useOrigin } from './support.ts'

const origin = useOrigin()

type Headers_ = Record<string, string>

/** Asks as A, twice, then as B, of an origin that marks what is whose; whether B got A's. */
async function leaks(
  response: Headers_,
  as: { a: Headers_; b: Headers_ },
  options: CacheOptions = {},
  status = 200,
): Promise<{ readonly leaked: boolean; readonly hits: number; readonly refused: string | undefined }> {
  const path = fresh('whose')
  origin().route(path, ({ request }) => ({
    status,
    headers: response,
    body: `secret of ${request.header('authorization') ?? request.header('cookie') ?? request.header('x-api-key') ?? 'nobody'}`,
  }))
  const { fetch } = bench({ shared: true, ...options })
  const get = async (headers: Headers_): Promise<{ text: string; hit: boolean; refused: string | undefined }> => {
    const got = await fetch(origin().url + path, { headers, redirect: 'manual' })
    const text = await got.text()
    await settled()
    return { text, hit: got.fromCache, refused: cacheInfo(got)?.refused }
  }
  const first = await get(as.a)
  const again = await get(as.a)
  const other = await get(as.b)
  const mark = (headers: Headers_): string =>
    `secret of ${headers['authorization'] ?? headers['cookie'] ?? headers['x-api-key'] ?? 'nobody'}`
  expect([first.text, again.text]).toEqual([mark(as.a), mark(as.a)])
  await fetch.close()
  return {
    leaked: other.text !== mark(as.b),
    hits: Number(again.hit) + Number(other.hit),
    refused: first.refused,
  }
}

const AUTH = { a: { authorization: 'Bearer A' }, b: { authorization: 'Bearer B' } }
const AUTH_ANON = { a: { authorization: 'Bearer A' }, b: {} }
const ANON_AUTH = { a: {}, b: { authorization: 'Bearer B' } }
const COOKIES = { a: { cookie: 'sid=A' }, b: { cookie: 'sid=B' } }
const KEYS = { a: { 'x-api-key': 'A' }, b: { 'x-api-key': 'B' } }

describe('shared', () => {
  test.each([
    ['max-age=60', AUTH],
    ['max-age=60', AUTH_ANON],
    ['max-age=60, s-maxage=abc', AUTH],
    ['max-age=60, public=x', AUTH],
    ['max-age=60, "public"', AUTH],
    ['max-age=60, x="public"', AUTH],
    ['max-age=60, xpublic', AUTH],
    ['max-age=60, must-revalidate=', AUTH],
    ['max-age=60, must-revalidate="x"', AUTH_ANON],
    ['', AUTH],
  ])('E73, E74: Authorization and `%s`: not stored', async (control, as) => {
    const { leaked, hits, refused } = await leaks(control === '' ? {} : { 'cache-control': control }, as)
    expect([leaked, hits]).toEqual([false, 0])
    if (control !== '') expect(refused).toBe('authorization')
  })

  test.each(['public, max-age=60', 's-maxage=60', 'must-revalidate, max-age=60'])(
    'E73: Authorization and `%s`: shared because the origin says so',
    async (control) => {
      expect((await leaks({ 'cache-control': control }, AUTH)).hits).toBe(2)
    },
  )

  test('E73: what was stored for nobody in particular answers somebody only where it says that it is for all', async () => {
    expect((await leaks({ 'cache-control': 'max-age=60' }, ANON_AUTH)).hits).toBe(1)
    expect((await leaks({ 'cache-control': 'public, max-age=60' }, ANON_AUTH)).hits).toBe(2)
  })

  test.each([
    'private, max-age=60',
    'Private,max-age=60',
    'max-age=60 ,PRIVATE',
    'max-age=60,\tprivate',
    'max-age=60, private=""',
    'max-age=60, private=" authorization"',
    'max-age=60, private, private="x"',
    'max-age=60, private="x', // never closed
    'max-age=60, public, private',
    'No-Store, max-age=60',
    'max-age=60, NO-STORE=1',
  ])('E75, E76: `%s` is one user\u2019s alone', async (control) => {
    for (const as of [COOKIES, AUTH, { a: {}, b: {} }]) {
      const { leaked, hits } = await leaks({ 'cache-control': control }, as)
      expect([leaked, hits]).toEqual([false, 0])
    }
  })

  test.each(['no-cache="\tx"', 'no-cache', 'no-cache=""'])(
    'E76: `%s` is never reused without asking, and is no exception',
    async (control) => {
      expect((await leaks({ 'cache-control': `max-age=60, ${control}` }, { a: {}, b: {} })).hits).toBe(0)
    },
  )

  test('E77: Set-Cookie is not stored; `strip` stores without it, `store` as it is', async () => {
    const path = fresh('cookie')
    origin().route(path, ({ request }) => ({
      headers: { ...FRESH, 'set-cookie': `sid=${request.serial}` },
      body: String(request.serial),
    }))
    for (const [setCookie, hit, cookie] of [
      ['refuse', false, 'sid=2'],
      ['strip', true, null],
      ['store', true, 'sid=1'],
    ] as const) {
      origin().reset()
      const { fetch } = bench({ shared: true, setCookie })
      await (await fetch(origin().url + path)).text()
      const second = await fetch(origin().url + path)
      expect([setCookie, second.fromCache, second.headers.get('set-cookie')]).toEqual([setCookie, hit, cookie])
    }
  })

  test.each(['authorization', 'cookie', 'Cookie, accept', 'proxy-authorization'])(
    'E78: Vary: %s is not stored',
    async (vary) => {
      for (const as of [COOKIES, AUTH]) {
        const { leaked, hits } = await leaks({ 'cache-control': 'public, max-age=60', vary }, as)
        expect([leaked, hits]).toEqual([false, 0])
      }
    },
  )

  test('E79: a request with a cookie and an answer that says nothing of freshness: not stored', async () => {
    const lastModified = { 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }
    expect((await leaks(lastModified, COOKIES)).hits).toBe(0)
    expect((await leaks({}, COOKIES, { expireAfter: 60 })).hits).toBe(0)
    expect((await leaks(lastModified, { a: {}, b: {} })).hits).toBe(2)
  })

  test('E85: who differs in an API key shares nothing', async () => {
    expect((await leaks({ 'cache-control': 'public, max-age=60' }, KEYS)).leaked).toBe(false)
    const own = { identityHeaders: ['x-tenant'] }
    const tenants = { a: { 'x-tenant': 'A', cookie: 'A' }, b: { 'x-tenant': 'B', cookie: 'B' } }
    expect((await leaks({ 'cache-control': 'public, max-age=60' }, tenants, own)).leaked).toBe(false)
  })

  test.each([401, 403])('E86: a %i of one is not given to another', async (status) => {
    for (const control of ['max-age=60', 'public, max-age=60'])
      for (const as of [AUTH, AUTH_ANON, ANON_AUTH, COOKIES, KEYS, { a: {}, b: { cookie: 'sid=B' } }])
        expect([as, (await leaks({ 'cache-control': control }, as, {}, status)).leaked]).toEqual([as, false])
    expect((await leaks({ 'cache-control': 'max-age=60' }, { a: {}, b: {} }, {}, status)).hits).toBe(2)
  })

  test.each([401, 403])('E86: who is refused by a %i takes nothing away from the others', async (status) => {
    let down = false
    const answer = answering(({ headers }) => {
      if (down) throw new TypeError('down')
      if (headers.has('authorization') || headers.has('cookie')) return new Response('refused', { status })
      return new Response('page', { headers: { 'cache-control': 'public, max-age=0', etag: '"1"' } })
    })
    const { fetch } = bench({ shared: true, staleIfError: 600, fetch: answer })
    await (await fetch('http://o.test/')).text()
    for (const headers of [{ authorization: 'Bearer bad' }, { cookie: 'sid=bad' }] as Record<string, string>[])
      expect((await fetch('http://o.test/', { headers })).status).toBe(status)
    down = true
    expect(await (await fetch('http://o.test/')).text()).toBe('page')
  })

  test('E86: 407 is stored by nobody', async () => {
    for (const shared of [true, false]) {
      const answer = answering(
        () => new Response('proxy', { status: 407, headers: { 'cache-control': 'public, max-age=60' } }),
      )
      const { fetch } = bench({ shared, fetch: answer })
      for (let n = 0; n < 2; n++) await (await fetch('http://o.test/')).text()
      expect(answer.count()).toBe(2)
    }
  })

  test('E87: a redirect stored for one who is known is not replayed to one who is not', async () => {
    const headers = { 'cache-control': 'max-age=60', location: '/elsewhere' }
    for (const status of [301, 302, 307, 308]) {
      const { leaked, hits } = await leaks(headers, AUTH_ANON, {}, status)
      expect([status, leaked, hits]).toEqual([status, false, 0])
    }
  })
})

describe.each(STORES)('private, on %s', (_, make) => {
  test('E82: two clients with different credentials on one store: each gets its own', async () => {
    const store = make()
    for (const headers of [AUTH, KEYS]) {
      const path = fresh('mine')
      origin().route(path, ({ request }) => ({
        headers: FRESH,
        body: request.header('authorization') ?? request.header('x-api-key') ?? 'nobody',
      }))
      const a = bench({ store }).fetch
      const b = bench({ store }).fetch
      const url = origin().url + path
      for (let n = 0; n < 2; n++) {
        expect(await (await a(url, { headers: headers.a })).text()).toMatch(/A$/)
        expect(await (await b(url, { headers: headers.b })).text()).toMatch(/B$/)
        expect(await (await b(url)).text()).toBe('nobody')
      }
      expect(origin().count(path)).toBe(3)
    }
    await store.close()
  })

  test('E82: sessions that differ in cookies or basic authentication share nothing', async () => {
    const store = make()
    const path = fresh('session')
    origin().route(path, ({ request }) => ({
      body: request.header('authorization') ?? request.header('cookie') ?? 'nobody',
    }))
    const url = origin().url + path
    const sessions = [
      new CachedSession({ store, auth: { username: 'a', password: '1' } }),
      new CachedSession({ store, auth: { username: 'b', password: '2' } }),
      new CachedSession({ store, headers: { cookie: 'sid=1' } }),
      new CachedSession({ store, headers: { cookie: 'sid=2' } }),
      new CachedSession({ store }),
    ]
    const seen = new Set<string>()
    for (const session of [...sessions, ...sessions]) seen.add(await (await session.get(url)).text())
    expect([seen.size, origin().count(path)]).toEqual([5, 5])
    await store.close()
  })

  test('E81: the values of credentials in a URL, a header or a cookie are nowhere in the store, and tell requests apart', async () => {
    const store = make()
    const { fetch } = bench({ store, expireAfter: 60 })
    const path = fresh('redacted')
    origin().route(path, ({ request }) => ({ headers: { 'x-y': '1' }, body: `${request.url.length}` }))
    const secrets = ['hunter2secretA', 'hunter2secretBB']
    const lengths = []
    for (const secret of secrets) {
      for (const name of ['access_token', 'api_key', 'ApiKey', 'api%5Fkey']) {
        const headers = { authorization: `Bearer ${secret}`, 'x-api-key': secret, cookie: `sid=${secret}` }
        lengths.push(await (await fetch(`${origin().url}${path}?${name}=${secret}&x=1`, { headers })).text())
      }
    }
    expect(origin().count(path)).toBe(8)
    for await (const entry of fetch.cache.entries()) {
      for (const secret of secrets) expect(JSON.stringify(entry)).not.toContain(secret)
      const stored = await store.read(entry.key)
      for (const secret of secrets) expect(JSON.stringify(stored?.meta)).not.toContain(secret)
    }
    expect(new Set(lengths).size).toBeGreaterThan(1)
    await store.close()
  })

  test('E83: user and password in a URL never show in keys, listings or events; a fragment is dropped', async () => {
    const store = make()
    const session = new CachedSession({ store })
    const events: unknown[] = []
    await session.on('*', (event) => events.push(event))
    const path = fresh('userinfo')
    origin().route(path, ({ request }) => ({ body: request.header('authorization') ?? 'nobody' }))
    const { host } = new URL(origin().url)
    const mine = await session.get(`http://alice:hunter2secret@${host}${path}#part`)
    expect(await mine.text()).toContain('Basic ')
    expect(await (await session.get(`http://bob:other@${host}${path}`)).text()).not.toBe(
      await (await session.get(`http://${host}${path}`)).text(),
    )
    expect((await session.get(`http://alice:hunter2secret@${host}${path}#other`)).fromCache).toBe(true)
    const shown = [JSON.stringify(events)]
    for await (const entry of session.cache.entries()) shown.push(JSON.stringify(entry))
    for (const text of shown) {
      expect(text).not.toContain('hunter2secret')
      expect(text).not.toContain('alice')
      expect(text).not.toContain('#part')
    }
    await store.close()
  })
})

test('I3: for any response headers a shared cache gives nobody what was made for another, unless the origin says public', async () => {
  const control = fc.constantFrom(
    'max-age=60',
    'private',
    'no-cache',
    'x=1',
    'Max-Age=9',
    'immutable',
    'stale-if-error=9',
    's-maxage=x',
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(control, { maxLength: 4 }),
      fc.constantFrom(
        {},
        { vary: 'accept' },
        { vary: 'authorization' },
        { etag: '"a"' },
        { expires: 'Fri, 01 Jan 2100 00:00:00 GMT' },
      ),
      fc.boolean(),
      async (controls, more, override) => {
        const fetch = createCachedFetch({
          shared: true,
          store: new MemoryStore(),
          expireAfter: 60,
          override,
          staleWhileRevalidate: true,
          staleIfError: true,
          fetch: answering((request) => {
            const headers = { 'cache-control': controls.join(', '), ...more }
            return new Response(request.headers.get('authorization'), { headers })
          }),
        })
        for (const user of ['A', 'B', 'A', 'C'])
          expect(await (await fetch('http://o.test/', { headers: { authorization: user } })).text()).toBe(user)
      },
    ),
    { numRuns: 300 },
  )
})
