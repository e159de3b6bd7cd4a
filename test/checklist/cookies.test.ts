/** Checklist rows 167-169: cookies of a session (row 169 also in test/session, 3.1.7). */
import { CookieJar } from 'tough-cookie'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { CachedSession, MemoryStore, type SessionOptions } from '../../src/index.ts'
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

test('row 167: a hit puts its cookies, and those of the redirects that led to it, into the jar', async () => {
  const store = new MemoryStore()
  await using first = session({ store, cookies: new CookieJar() })
  await (await first.get('/cookies/set?flavour=oat')).text()
  const asked = origin.count()
  const jar = new CookieJar()
  await using second = session({ store, cookies: jar })
  const hit = await second.get('/cookies/set?flavour=oat')
  expect([hit.fromCache, hit.history[0]?.fromCache, origin.count()]).toEqual([true, true, asked])
  expect(await jar.getCookieString(origin.url)).toBe('flavour=oat')
  expect(await hit.json()).toEqual({ cookies: { flavour: 'oat' } })
})

test('row 168: an entry without cookies hits with a jar, and takes nothing out of it', async () => {
  const store = new MemoryStore()
  const jar = new CookieJar()
  await using s = session({ store, cookies: jar })
  await (await s.get('/get')).text()
  expect((await s.get('/get')).fromCache).toBe(true)
  await jar.setCookie('kept=1', origin.url)
  await (await s.get('/get')).text()
  expect((await s.get('/get')).fromCache).toBe(true)
  expect(await jar.getCookieString(origin.url)).toBe('kept=1')
  expect(origin.count()).toBe(2)
})

test.each(['refuse', 'strip'] as const)(
  'row 169: a shared cache (setCookie: %s) gives no session the cookie of another',
  async (setCookie) => {
    const store = new MemoryStore()
    origin.route('/login', () => ({
      headers: { 'set-cookie': 'sid=alice', 'cache-control': 'max-age=60' },
      body: 'welcome',
    }))
    const jars = [new CookieJar(), new CookieJar()] as const
    await using alice = session({ store, shared: true, setCookie, cookies: jars[0] })
    await using bob = session({ store, shared: true, setCookie, cookies: jars[1] })
    const live = await alice.get('/login')
    await live.text()
    // What came live is Alice's own, stored or not.
    expect(await jars[0].getCookieString(origin.url)).toBe('sid=alice')
    origin.route('/login', () => ({ headers: { 'cache-control': 'max-age=60' }, body: 'welcome' }))
    const second = await bob.get('/login')
    await second.text()
    expect([second.fromCache, second.headers.get('set-cookie')]).toEqual([setCookie === 'strip', null])
    expect(await jars[1].getCookieString(origin.url)).toBe('')
  },
)

test('row 169: Max-Age counts from when the cookie was received', async () => {
  const clock = new FakeClock()
  const store = new MemoryStore()
  origin.route('/set', () => ({ headers: { 'set-cookie': 'a=1; Max-Age=100' }, body: 'x' }))
  await using first = session({ store, clock })
  await (await first.get('/set')).text()
  clock.advance(60_000)
  const jar = new CookieJar()
  await using second = session({ store, clock, cookies: jar })
  expect((await second.get('/set')).fromCache).toBe(true)
  expect((await jar.getCookies(origin.url)).map(({ maxAge }) => maxAge)).toEqual([40])
})

test('a jar counts as credentials: two users with cookies of their own share nothing', async () => {
  const store = new MemoryStore()
  origin.route('/me', ({ request }) => ({ body: request.header('cookie') ?? 'nobody' }))
  for (const user of ['alice', 'bob', 'alice', 'bob']) {
    const jar = new CookieJar()
    await jar.setCookie(`user=${user}`, origin.url)
    await using s = session({ store, cookies: jar })
    const response = await s.get('/me')
    expect(await response.text()).toBe(`user=${user}`)
    expect(await s.cache.has('/me')).toBe(true)
  }
  expect(origin.count('/me')).toBe(2)
})
