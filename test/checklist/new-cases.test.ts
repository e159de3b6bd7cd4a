/** Checklist section 5.3: cases that come from defects of other caches and that no other suite pins. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  cacheInfo,
  CachedSession,
  createCachedFetch,
  MemoryStore,
  OptionError,
  type CachedRequestInit,
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

describe('5.3 cases nobody has', () => {
  const VARY: readonly (readonly [name: string, headers: Record<string, string>, options: SessionOptions])[] = [
    ['nothing', {}, {}],
    ['nothing, shared', {}, { shared: true }],
    ['Vary: authorization', { vary: 'Authorization' }, {}],
    ['Vary: authorization, shared', { vary: 'Authorization' }, { shared: true }],
    ['public, shared', { 'cache-control': 'public, max-age=60', vary: 'Authorization' }, { shared: true }],
    ['Vary: x-user', { vary: 'X-User' }, {}],
    ['matchHeaders', {}, { matchHeaders: ['x-user'] }],
    ['cookies', {}, {}],
  ]
  test.each(VARY)('5.3.2: two users never share an entry: %s', async (name, headers, options) => {
    const field = name === 'cookies' ? 'cookie' : /x-user|match/.test(name) ? 'x-user' : 'authorization'
    origin.route(path, ({ request }) => ({ headers, body: request.header(field) ?? 'nobody' }))
    await using s = session(options)
    for (const user of ['alice', 'bob', 'alice', 'bob', null]) {
      const response = await get(s, path, user === null ? {} : { headers: { [field]: user } })
      expect(await response.text()).toBe(user ?? 'nobody')
    }
  })

  test('5.3.2: where the user says that a header means nothing, users share', async () => {
    origin.route(path, () => ({ body: 'same' }))
    await using s = session({ identityHeaders: false })
    await get(s, path, { headers: { authorization: 'alice' } })
    expect((await get(s, path, { headers: { authorization: 'bob' } })).fromCache).toBe(true)
  })

  test('5.3.4: 1,000 different bodies are 1,000 entries, and each finds its own', async () => {
    origin.route(path, ({ request }) => ({ body: request.body }))
    await using s = session({ allowedMethods: ['POST'], store: new MemoryStore({ maxEntries: 5000 }) })
    const bodies = Array.from({ length: 1000 }, (_, n) => `${n % 7}-${n * 7919}-${'x'.repeat(n % 13)}`)
    const ask = (body: string): Promise<string> => s.post(path, { body }).then((response) => response.text())
    for (const round of [1, 2]) {
      for (let at = 0; at < 1000; at += 50)
        expect(await Promise.all(bodies.slice(at, at + 50).map(ask))).toEqual(bodies.slice(at, at + 50))
      expect([round, origin.count()]).toEqual([round, 1000])
    }
    expect(new Set(await Array.fromAsync(s.cache.keys())).size).toBe(1000)
  })

  test('5.3.10: a clock that jumps back makes nothing older than it is, nor fresh for ever', async () => {
    const clock = new FakeClock()
    await using s = session({ clock, expireAfter: 3600 })
    origin.route(path, () => ({ body: 'x' }))
    await get(s, path)
    clock.advance(-30_000)
    expect((await get(s, path)).fromCache).toBe(true)
    clock.advance(-86_400_000)
    // The entry comes from the future: its age is unknown, so the origin is asked.
    expect((await get(s, path)).fromCache).toBe(false)
    clock.advance(365 * 86_400_000)
    expect((await get(s, path)).fromCache).toBe(false)
    expect(origin.count()).toBe(3)
  })

  const OPTIONS: Required<Record<keyof SessionOptions, unknown>> = {
    expireAfter: 1,
    expireAfterByStatus: { 404: 1 },
    slidingExpiration: true,
    refreshAhead: 0.5,
    override: true,
    minTtl: 1,
    maxTtl: 1,
    jitter: 0,
    cacheControl: true,
    heuristic: false,
    staleWhileRevalidate: 1,
    staleIfError: 1,
    alwaysRevalidate: true,
    allowedStatusCodes: [200],
    tags: ['t'],
    ignoredParams: ['p'],
    contentRootKey: 'root',
    matchHeaders: true,
    filter: () => true,
    readOnly: true,
    onlyIfCached: true,
    enabled: true,
    maxEntrySize: 1,
    resume: 1000,
    store: 'memory:',
    fetch: globalThis.fetch,
    shared: true,
    urlsExpireAfter: {},
    allowedMethods: ['GET'],
    serveStaleWhenDisconnected: true,
    targets: ['x'],
    setCookie: 'strip',
    allowCookies: true,
    normalizeVary: true,
    sortParams: true,
    keyFn: () => 'k',
    identityHeaders: false,
    tagHeaders: ['x'],
    cacheStatus: true,
    storeTimeout: 1,
    cleanup: 1,
    broadcast: false,
    clearSiteData: true,
    collapseTimeout: 1,
    backgroundFill: 1,
    readAhead: 1,
    autoClose: true,
    clock: new FakeClock(),
    baseUrl: 'http://example.test',
    headers: {},
    params: {},
    auth: { username: 'u', password: 'p' },
    timeout: 1,
    raiseForStatus: true,
    hooks: {},
    cookies: false,
    restoreCookies: true,
    singleFlight: 'process',
    lockLease: 1,
  }
  test.each(Object.entries(OPTIONS))('5.3.12: %s is taken, and its misspelling is not', async (name, value) => {
    const taken = new CachedSession({ [name]: value } as SessionOptions)
    await taken.close()
    const misspelt = [`${name}s`, name.slice(0, -1), name.toUpperCase()].filter((other) => !(other in OPTIONS))
    for (const wrong of misspelt) {
      expect(() => new CachedSession({ [wrong]: value } as SessionOptions)).toThrow(OptionError)
      expect(() => new CachedSession({ [wrong]: value } as SessionOptions)).toThrow(wrong)
    }
    // Neither is a value of no sense.
    if (!['headers', 'params', 'timeout'].includes(name))
      expect(() => new CachedSession({ [name]: Symbol('x') } as SessionOptions)).toThrow(TypeError)
  })

  test('5.3.12: the type checker refuses them, too', () => {
    // @ts-expect-error: misspelt
    expect(() => session({ expireafter: 1 })).toThrow(OptionError)
    // @ts-expect-error: misspelt
    expect(() => createCachedFetch({ ignoredParameters: [] })).toThrow(OptionError)
    // @ts-expect-error: misspelt
    const init: CachedRequestInit = { httpCache: { refesh: true } }
    expect(init).toBeDefined()
  })

  test('5.3.1: what fromCache says is what the origin saw', async () => {
    await using s = session({ expireAfter: 60 })
    let misses = 0
    for (const url of [
      '/get',
      '/json',
      '/get',
      '/cache/60',
      '/json',
      '/status/404',
      '/status/404',
      '/redirect/1',
      '/redirect/1',
    ]) {
      const response = await get(s, url)
      misses += [response, ...response.history].filter((one) => !one.fromCache).length
      expect(cacheInfo(response)?.fromCache).toBe(response.fromCache)
    }
    expect(origin.count()).toBe(misses)
  })
})
