/** RELIABILITY group G, as far as it is about a client: keys, poisoning, variants, floods. See also test/properties/engine.test.ts. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cacheInfo, createCachedFetch, MemoryStore, type CacheOptions } from '../../src/index.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { answering, bench, fresh, FRESH, settled, STORES, until, useOrigin } from './support.ts'

const origin = useOrigin()

interface Asked {
  readonly url: string
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** Whether the second request is answered from what the first one stored. */
async function shares(a: Asked, b: Asked, options: CacheOptions = {}): Promise<boolean> {
  const answer = answering(() => new Response('x', { headers: FRESH }))
  const fetch = createCachedFetch({ fetch: answer, ...options })
  for (const { url, ...init } of [a, b]) await (await fetch(url, init)).text()
  await fetch.close()
  return answer.count() === 1
}

const O = 'http://o.test'

test('G100, G101: through the door: two requests share an entry only if method, URL, credentials and body are the same', async () => {
  const text = fc.oneof(
    fc.string({ maxLength: 6 }),
    fc
      .array(
        fc.constantFrom(
          '|',
          '\\',
          '\n',
          ' ',
          '%0a',
          '%00',
          'GET',
          'body',
          '\u00e9',
          'e\u0301',
          '%2f',
          '/',
          '&',
          '=',
          '#',
          '?',
        ),
        { maxLength: 4 },
      )
      .map((parts) => parts.join('')),
  )
  const request = fc.record({
    method: fc.constantFrom('GET', 'QUERY'),
    path: text.map((part) => encodeURIComponent(part)),
    query: text.map((part) => encodeURIComponent(part)),
    key: fc.option(fc.stringMatching(/^[a-z|]{1,3}$/), { nil: undefined }),
    body: fc.option(text, { nil: undefined }),
  })
  await fc.assert(
    fc.asyncProperty(request, request, async (a, b) => {
      const asked = ({ method, path, query, key, body }: typeof a): Asked => ({
        method,
        url: `${O}/${path}?q=${query}`,
        headers: { 'content-type': 'text/plain', ...(key === undefined ? {} : { 'x-api-key': key }) },
        ...(method === 'QUERY' && body !== undefined ? { body } : {}),
      })
      const [one, two] = [asked(a), asked(b)]
      const same = JSON.stringify(one) === JSON.stringify(two)
      const noBody = (x: Asked): Asked => ({ ...x, body: x.body ?? '' })
      if (same) expect(await shares(one, two)).toBe(true)
      else if (JSON.stringify(noBody(one)) !== JSON.stringify(noBody(two))) expect(await shares(one, two)).toBe(false)
    }),
    { numRuns: 1500 },
  )
})

describe('G101, G102: nothing is normalised but what the URL parser does', () => {
  test.each([
    ['/a%2fb', '/a/b'],
    ['/A', '/a'],
    ['/a%2Fb', '/a%2fb'],
    ['/a?x=1&y=2', '/a?y=2&x=1'],
    ['/a?x=a%20b', '/a?x=a+b'],
    ['/a?', '/a?x'],
    ['/a?x', '/a?x='],
    ['/a//b', '/a/b'],
    ['/a/', '/a'],
    ['/\u00e9', '/e\u0301'],
    ['/a;b', '/a%3Bb'],
    ['/a?x=1;y=2', '/a?x=1&y=2'],
    ['/a?x=1', '/a?x=1&x=1'],
    ['/a|b', '/a%7Cb'],
    ['/a%00', '/a'],
  ])('%s is not %s', async (a, b) => {
    expect(await shares({ url: O + a }, { url: O + b })).toBe(false)
  })

  test.each([
    ['http://o.test/', 'https://o.test/'],
    ['http://o.test/', 'http://o.test:8080/'],
    ['http://o.test/', 'http://p.test/'],
    ['http://o.test/', 'http://o.test./'],
    ['http://user.o.test/', 'http://o.test/user'],
  ])('%s is not %s', async (a, b) => {
    expect(await shares({ url: a }, { url: b })).toBe(false)
  })

  test.each([
    ['http://o.test', 'http://o.test/'],
    ['http://o.test:80/', 'http://o.test/'],
    ['http://O.TEST/', 'http://o.test/'],
    ['http://o.test/a/../b', 'http://o.test/b'],
    ['http://o.test/a#x', 'http://o.test/a#y'],
  ])('%s is %s: they are sent to the origin as one and the same', async (a, b) => {
    expect(await shares({ url: a }, { url: b })).toBe(true)
  })

  test('G102: the key is the URL that was asked for: the origin sees the very bytes', async () => {
    const { fetch } = bench()
    for (const path of ['/a%2fb', '/a//b?x=%zz', '/%C3%A9?q=%20+', "/a'(b)?<>=1"]) {
      const route = new URL(origin().url + path)
      await (await fetch(route.href)).text()
      expect(origin().requests.at(-1)?.url).toBe(route.pathname + route.search)
    }
  })
})

test('G101: a key function\u2019s answer is told from other keys by nothing but itself: it replaces the key', async () => {
  const keyFn = (_: unknown, made: string): string => made.replace(/\?.*/, '')
  expect(await shares({ url: `${O}/a?x=1` }, { url: `${O}/a?x=2` }, { keyFn })).toBe(true)
  expect(await shares({ url: `${O}/a` }, { url: `${O}/b` }, { keyFn })).toBe(false)
})

test('G106: a body on GET is for fetch to refuse: nothing is stored for it', async () => {
  const answer = answering(() => new Response('x', { headers: FRESH }))
  const { fetch } = bench({ fetch: answer })
  const fat: RequestInit = { body: 'evil' }
  await expect(fetch(`${O}/fat`, fat)).rejects.toThrow(TypeError)
  expect(await fetch.cache.has(`${O}/fat`)).toBe(false)
})

test('G107: an ignored parameter counts for nothing in the key and still reaches the origin, as the guide says', async () => {
  const path = fresh('ignored')
  origin().route(path, () => ({ headers: FRESH, body: 'x' }))
  const { fetch } = bench({ ignoredParams: ['utm_source'] })
  await (await fetch(`${origin().url}${path}?a=1&utm_source=x`)).text()
  expect((await fetch(`${origin().url}${path}?a=1&utm_source=y`)).fromCache).toBe(true)
  expect((await fetch(`${origin().url}${path}?a=1;utm_source=y`)).fromCache).toBe(false)
  expect((await fetch(`${origin().url}${path}?a=1&UTM%5Fsource=z`)).fromCache).toBe(true)
})

test('G108: a GET is never answered by what another method brought, nor a method override heeded', async () => {
  const a = { url: `${O}/m`, headers: { 'x-http-method-override': 'POST' } }
  expect(await shares(a, { url: `${O}/m` })).toBe(true)
  for (const method of ['POST', 'PUT', 'OPTIONS', 'PROPFIND', 'QUERY', 'get2']) {
    const answer = answering((request) => new Response(request.method, { headers: FRESH }))
    const fetch = createCachedFetch({ fetch: answer, allowedMethods: ['GET', 'HEAD', 'POST', 'QUERY'] })
    await (await fetch(`${O}/m`, { method })).text()
    expect([method, await (await fetch(`${O}/m`)).text()]).toEqual([method, 'GET'])
  }
})

test.each([400, 401, 403, 406, 408, 413, 415, 421, 429, 431, 500, 502, 503, 504])(
  'G111: a %i that says nothing of freshness is not stored, by either cache',
  async (status) => {
    for (const shared of [true, false]) {
      const answer = answering(
        () => new Response('x', { status, headers: { 'last-modified': 'Mon, 01 Jan 2001 00:00:00 GMT' } }),
      )
      const { fetch } = bench({ fetch: answer, shared })
      for (let n = 0; n < 2; n++) await (await fetch(`${O}/error`)).text()
      expect(answer.count()).toBe(2)
    }
  },
)

test.each([404, 405, 410, 414, 501])(
  'G111: a %i that says nothing of freshness has that of RFC 9110 section 15.1, in either cache, unless heuristics are off',
  async (status) => {
    for (const shared of [true, false]) {
      for (const [heuristic, requests] of [
        [true, 1],
        [false, 2],
      ] as const) {
        const modified = { 'last-modified': 'Mon, 01 Jan 2001 00:00:00 GMT' }
        const answer = answering(() => new Response('x', { status, headers: modified }))
        const { fetch } = bench({ shared, heuristic, fetch: answer })
        for (let n = 0; n < 2; n++) await (await fetch(`${O}/error`)).text()
        expect([shared, heuristic, answer.count()]).toEqual([shared, heuristic, requests])
      }
    }
  },
)

test('G112: a 204 that says nothing, or that came of a race, never takes the place of a stored 200', async () => {
  const path = fresh('no-content')
  const answers = [{ headers: { 'cache-control': 'max-age=60', etag: '"a"' }, body: 'body' }, { status: 204 }]
  origin().script(path, answers, 'last')
  const { fetch } = bench({ store: new MemoryStore() })
  const url = origin().url + path
  await (await fetch(url)).text()
  await Promise.all([1, 2, 3].map(async () => (await fetch(url, { headers: { 'cache-control': 'no-store' } })).text()))
  expect(await (await fetch(url)).text()).toBe('body')
})

test('G113: what differs by a header without Vary is told apart by matchHeaders', async () => {
  const a = { url: `${O}/rsc`, headers: { rsc: '1' } }
  expect(await shares(a, { url: `${O}/rsc` }, { matchHeaders: ['rsc'] })).toBe(false)
  expect(await shares({ url: `${O}/rsc`, headers: { rsc: '' } }, { url: `${O}/rsc` }, { matchHeaders: ['rsc'] })).toBe(
    false,
  )
  expect(await shares(a, a, { matchHeaders: ['rsc'] })).toBe(true)
})

test.each([
  '/account/x.css',
  '/account;x.css',
  '/account%2fx.css',
  '/static/..%2faccount',
  '/robots.txt/..%2faccount',
  '/account?.js',
])('G114: %s: no extension makes a response storable', async (path) => {
  for (const shared of [true, false]) {
    const answer = answering(
      () => new Response('mine', { headers: { 'cache-control': 'no-store', 'content-type': 'text/html' } }),
    )
    const { fetch } = bench({ fetch: answer, shared, heuristic: true })
    for (let n = 0; n < 2; n++) await (await fetch(O + path)).text()
    expect(answer.count()).toBe(2)
  }
})

test.each(STORES)(
  'G115: ten thousand values of a selecting header leave 32 variants, and the newest hit, on %s',
  async (name, make) => {
    const store = make()
    const answer = answering(
      (request) => new Response(request.headers.get('x-v'), { headers: { ...FRESH, vary: 'x-v' } }),
    )
    const { fetch } = bench({ store, fetch: answer })
    const values = name === 'memory' ? 10_000 : 500
    for (let n = 0; n < values; n++)
      expect(await (await fetch(`${O}/v`, { headers: { 'x-v': String(n) } })).text()).toBe(String(n))
    await settled()
    expect((await fetch.cache.size()).entries).toBeLessThanOrEqual(33)
    for (const [n, hit] of [
      [values - 1, true],
      [values - 32, true],
      [values - 40, false],
    ] as const)
      expect((await fetch(`${O}/v`, { headers: { 'x-v': String(n) } })).fromCache).toBe(hit)
    await store.close()
  },
)

test('G116: with normalizeVary, wild Accept-Encoding and Accept-Language values of one meaning share an entry', async () => {
  const answer = answering(() => new Response('x', { headers: { ...FRESH, vary: 'accept-language' } }))
  const { fetch } = bench({ fetch: answer, normalizeVary: true })
  for (const value of ['de, en;q=0.5', 'DE,en;q=0.50', 'en;q=0.5 , de', 'de;q=1.0,en;q=0.5'])
    await (await fetch(`${O}/l`, { headers: { 'accept-language': value } })).text()
  expect(answer.count()).toBe(1)
  await (await fetch(`${O}/l`, { headers: { 'accept-language': 'en, de;q=0.5' } })).text()
  expect(answer.count()).toBe(2)
})

test('G117: a flood of random queries stays within the bounds of the store, and what is in use survives it', async () => {
  const store = new MemoryStore({ maxEntries: 500, maxBytes: 4_000_000 })
  const answer = answering(() => new Response('x'.repeat(1000), { headers: FRESH }))
  const { fetch } = bench({ store, fetch: answer })
  const hot = Array.from({ length: 20 }, (_, n) => `${O}/hot/${n}`)
  let hits = 0
  for (let n = 0; n < 20_000; n++) {
    await (await fetch(`${O}/flood?${n}`)).text()
    if (n % 10 === 0) {
      const response = await fetch(hot[(n / 10) % hot.length] ?? O)
      await response.text()
      hits += Number(response.fromCache)
    }
  }
  const { entries, bytes } = store.size()
  expect(entries).toBeLessThanOrEqual(500)
  expect(bytes).toBeLessThanOrEqual(4_000_000)
  expect(hits / 2000).toBeGreaterThan(0.9)
})

test('G118: an unsafe method invalidates its URL, Location and Content-Location of the same origin, and nothing elsewhere', async () => {
  const other = 'http://other.test'
  const answer = answering((request) =>
    request.method === 'POST'
      ? new Response(null, { status: 201, headers: { location: '/new', 'content-location': `${other}/x` } })
      : new Response('x', { headers: FRESH }),
  )
  const { fetch } = bench({ fetch: answer })
  const urls = [`${O}/target`, `${O}/new`, `${O}/other`, `${other}/x`, `${other}/new`]
  for (const url of urls) await (await fetch(url)).text()
  await fetch(`${O}/target`, { method: 'POST' })
  const left = []
  for (const url of urls) if (await fetch.cache.has(url)) left.push(url)
  expect(left).toEqual([`${O}/other`, `${other}/x`, `${other}/new`])
  for (const status of [400, 404, 500]) {
    const failing = bench({
      fetch: answering((request) => new Response('x', request.method === 'POST' ? { status } : { headers: FRESH })),
    }).fetch
    await (await failing(`${O}/kept`)).text()
    await failing(`${O}/kept`, { method: 'POST' })
    expect(await failing.cache.has(`${O}/kept`)).toBe(true)
  }
})

test('G119: nothing about the cache is in a response\u2019s headers unless it is asked for', async () => {
  const answer = answering(() => new Response('x', { headers: FRESH }))
  for (const [cacheStatus, shown] of [
    [false, false],
    [true, true],
  ] as const) {
    const { fetch } = bench({ fetch: answer, cacheStatus })
    for (let n = 0; n < 2; n++) {
      const response = await fetch(`${O}/status`)
      await response.text()
      expect(response.headers.has('cache-status')).toBe(shown)
      expect([...response.headers.keys()].filter((name) => /key|keepfresh/.test(name))).toEqual([])
      expect(cacheInfo(response)?.key).toBe(`GET ${O}/status`)
    }
  }
})

test('G100: entries of a shared and a private cache on one store never meet', async () => {
  const store = new MemoryStore()
  const clock = new FakeClock()
  const answer = answering((_, n) => new Response(String(n), { headers: { 'cache-control': 'private, max-age=60' } }))
  const mine = createCachedFetch({ store, fetch: answer, clock })
  const shared = createCachedFetch({ store, fetch: answer, clock, shared: true })
  await (await mine(`${O}/`)).text()
  expect(await (await shared(`${O}/`)).text()).toBe('2')
  expect(await (await mine(`${O}/`)).text()).toBe('1')
  await until(() => mine.stats().hits === 1)
})
