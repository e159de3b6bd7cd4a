/** Checklist rows 159-166: redirects. Each hop is an entry of its own, cached by its own rules; there are no aliases to prune. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  CachedSession,
  createCachedFetch,
  type SessionOptions,
  type SessionRequest,
  type SessionResponse,
} from '../../src/index.ts'
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

/** The body is read to its end, so that it is stored when the promise resolves. */
async function get(s: CachedSession, path: string, request?: SessionRequest): Promise<SessionResponse> {
  const response = await s.get(path, request)
  await response.text()
  return response
}

const CHAINS = ['redirect', 'relative-redirect', 'absolute-redirect'].flatMap((kind) =>
  [1, 2, 3, 4].map((n): [string, number] => [kind, n]),
)

test.each(CHAINS)(
  'rows 159, 160, 161: /%s/%i stores its hops and one response; every spelling hits',
  async (kind, n) => {
    await using s = session()
    const first = await get(s, `/${kind}/${n}`)
    const entries = await Array.fromAsync(s.cache.entries())
    expect(entries.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: n }, () => 302)])
    expect(origin.count()).toBe(n + 1)
    for (let left = n; left > 0; left--) {
      const hit = await get(s, `/${kind}/${left}`)
      expect([hit.fromCache, hit.history.length, hit.redirected, hit.url]).toEqual([true, left, true, first.url])
      expect(hit.history.map(({ url }) => url)).toEqual(
        Array.from({ length: left }, (_, at) => `${origin.url}/${kind}/${left - at}`),
      )
    }
    expect((await get(s, '/get')).fromCache).toBe(true)
    expect(origin.count()).toBe(n + 1)
  },
)

test('row 162: with the final response deleted, its redirects lead to a new one, and nothing else is touched', async () => {
  await using s = session()
  await get(s, '/redirect/2')
  await get(s, '/json')
  expect(await s.cache.delete({ url: '/get' })).toBe(1)
  origin.reset()
  expect((await get(s, '/redirect/2')).fromCache).toBe(false)
  expect(origin.requests.map(({ url }) => url)).toEqual(['/get'])
  expect([(await get(s, '/redirect/1')).fromCache, (await get(s, '/json')).fromCache]).toEqual([true, true])
})

test('row 163: deleting what has expired leaves no redirect to nowhere', async () => {
  const clock = new FakeClock()
  const host = new URL(origin.url).host
  await using s = session({ clock, urlsExpireAfter: { [`${host}/get`]: 10, [`${host}/redirect/1`]: 10 } })
  await get(s, '/redirect/3')
  clock.advance(20_000)
  expect(await s.cache.deleteExpired()).toBe(2)
  origin.reset()
  const again = await get(s, '/redirect/3')
  expect([again.status, again.history.length]).toEqual([200, 3])
  expect(origin.requests.map(({ url }) => url)).toEqual(['/redirect/1', '/get'])
})

test('row 164: a redirect that is not followed is stored itself, and says where it leads', async () => {
  await using s = session({ allowedStatusCodes: [200, 302] })
  for (const fromCache of [false, true]) {
    const response = await get(s, '/redirect/1', { redirect: 'manual' })
    expect([response.status, response.fromCache, response.redirected, response.history.length]).toEqual([
      302,
      fromCache,
      false,
      0,
    ])
    expect(new URL(response.headers.get('location') ?? '', response.url).pathname).toBe('/get')
  }
  expect(origin.count()).toBe(1)
  expect(await s.cache.urls()).toEqual([`${origin.url}/redirect/1`])
  // Not listed among the statuses, it is not stored when it is what the caller gets.
  await using plain = session()
  await get(plain, '/redirect/1', { redirect: 'manual' })
  expect((await get(plain, '/redirect/1', { redirect: 'manual' })).fromCache).toBe(false)
})

test('row 165: a redirect is stored under the headers and parameters of its request', async () => {
  await using s = session({ matchHeaders: ['x-tenant'] })
  const ask = (tenant: string, page: number): Promise<{ fromCache: boolean }> =>
    get(s, '/redirect/1', { headers: { 'x-tenant': tenant }, params: { page } })
  await ask('a', 1)
  expect((await ask('a', 1)).fromCache).toBe(true)
  expect(origin.count()).toBe(2)
  expect((await ask('b', 1)).fromCache).toBe(false)
  expect(origin.count()).toBe(4)
  // Another page is another redirect; where it leads is the same URL.
  expect((await ask('a', 2)).fromCache).toBe(true)
  expect(origin.count()).toBe(5)
})

test('row 166: Authorization and Cookie stay with their origin, on replay, too', async () => {
  await using other = await startOrigin()
  await using s = session()
  const headers = { authorization: 'Bearer secret', cookie: 'sid=1' }
  const url = `/redirect-to?url=${encodeURIComponent(`${other.url}/get`)}`
  await get(s, url, { headers })
  expect(origin.requests[0]?.header('authorization')).toBe('Bearer secret')
  await s.cache.delete({ url: `${other.url}/get` })
  const replayed = await get(s, url, { headers })
  expect([replayed.history[0]?.fromCache, replayed.fromCache]).toEqual([true, false])
  expect([origin.count(), other.count()]).toEqual([1, 2])
  for (const request of other.requests)
    expect([request.header('authorization'), request.header('cookie')]).toEqual([null, null])
})

test('feature I3: each hop from the store is counted once, and told once', async () => {
  const fetch = createCachedFetch()
  origin.route('/from', () => ({ status: 301, headers: { location: '/to', 'cache-control': 'max-age=60' } }))
  origin.route('/to', () => ({ headers: { 'cache-control': 'max-age=60' }, body: 'there' }))
  const hits: string[] = []
  fetch.on('hit', ({ url }) => hits.push(url))
  for (let n = 0; n < 2; n++) expect(await (await fetch(`${origin.url}/from`)).text()).toBe('there')
  expect([hits, fetch.stats().hits]).toEqual([[`${origin.url}/from`, `${origin.url}/to`], 2])
})
