/** Checklist section 1.6: RFC 9111 and its kin, on responses. The outside suite (test/conformance) has the same rules in far more cases. */
import { describe, expect, test } from 'vitest'
import { cacheInfo, MemoryStore, type CachedFetch, type CacheOptions } from '../../src/index.ts'
import { got, text, useBench } from './support.ts'

const at = useBench()

/** Whether the second of two requests is answered without the origin. */
async function hits(path: string, options: CacheOptions = {}, init: RequestInit = {}): Promise<boolean> {
  const before = at.origin.count(path)
  await using cached = at.cached(options)
  for (let n = 0; n < 2; n++) await text(cached(at.origin.url + path, init))
  return at.origin.count(path) === before + 1
}

/** Whether a response with these headers is a hit right away. */
async function kept(
  headers: Record<string, string | string[]>,
  options: CacheOptions = {},
  status = 200,
): Promise<boolean> {
  at.answer('/kept', { status, headers, body: 'x' })
  return hits('/kept', options)
}

/** Whether a request with these headers is a hit. */
async function isHit(cached: CachedFetch, path: string, headers: Record<string, string>): Promise<boolean> {
  return (await got(cached(at.origin.url + path, { headers })))[1]
}

describe('storing', () => {
  test('row 108: no-store is not stored, and takes an older entry with it', async () => {
    expect(await kept({ 'cache-control': 'max-age=60, No-Store' })).toBe(false)
    at.origin.script('/row108', [
      { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'one' },
      { headers: { 'cache-control': 'no-store' }, body: 'two' },
    ])
    await using cached = at.cached()
    await text(cached(`${at.origin.url}/row108`))
    at.seconds(20)
    await text(cached(`${at.origin.url}/row108`))
    expect(await cached.cache.has(`${at.origin.url}/row108`)).toBe(false)
  })

  test('row 109: no-cache is stored and revalidated before every use; with field names only those are left out', async () => {
    at.origin.route('/row109', ({ request }) =>
      request.header('if-none-match') === null
        ? { headers: { 'cache-control': 'max-age=60, no-cache', etag: '"1"' }, body: 'x' }
        : { status: 304, headers: { etag: '"1"' } },
    )
    await using cached = at.cached()
    for (let n = 0; n < 3; n++) expect(await text(cached(`${at.origin.url}/row109`))).toBe('x')
    expect(at.origin.requests.map((request) => request.header('if-none-match'))).toEqual([null, '"1"', '"1"'])
    at.answer('/row109-f', { headers: { 'cache-control': 'max-age=60, no-cache="X-One"', 'x-one': '1', 'x-two': '2' } })
    await text(cached(`${at.origin.url}/row109-f`))
    const { headers } = await cached(`${at.origin.url}/row109-f`)
    expect([headers.get('x-one'), headers.get('x-two'), at.origin.count('/row109-f')]).toEqual([null, '2', 1])
  })

  test('row 110: private is for a private cache; with field names a shared one leaves those out', async () => {
    expect(await kept({ 'cache-control': 'private, max-age=60' })).toBe(true)
    expect(await kept({ 'cache-control': 'private, max-age=60' }, { shared: true })).toBe(false)
    at.answer('/row110', { headers: { 'cache-control': 'max-age=60, private="x-one"', 'x-one': '1' }, body: 'x' })
    for (const [shared, expected] of [
      [false, '1'],
      [true, null],
    ] as const) {
      await using cached = at.cached({ shared })
      await text(cached(`${at.origin.url}/row110`))
      expect((await cached(`${at.origin.url}/row110`)).headers.get('x-one')).toBe(expected)
    }
  })

  test('row 111: s-maxage is for a shared cache, and beats max-age there', async () => {
    at.answer('/row111', { headers: { 'cache-control': 's-maxage=100, max-age=10' }, body: 'x' })
    for (const [shared, ttl] of [
      [false, 10],
      [true, 100],
    ] as const) {
      await using cached = at.cached({ shared })
      await text(cached(`${at.origin.url}/row111`))
      expect(cacheInfo(await cached(`${at.origin.url}/row111`))?.ttl).toBe(ttl)
    }
  })

  test('row 112: must-revalidate (shared: proxy-revalidate, s-maxage) forbids any stale answer', async () => {
    const rows: [control: string, shared: boolean, status: number][] = [
      ['max-age=1', false, 200],
      ['max-age=1, must-revalidate', false, 500],
      ['max-age=1, proxy-revalidate', false, 200],
      ['max-age=1, proxy-revalidate', true, 500],
      ['s-maxage=1', true, 500],
    ]
    for (const [n, [control, shared, status]] of rows.entries()) {
      const url = `${at.origin.url}/row112-${n}`
      at.origin.script(`/row112-${n}`, [{ headers: { 'cache-control': control }, body: 'x' }, { status: 500 }], 'last')
      await using cached = at.cached({ shared, staleIfError: true, staleWhileRevalidate: 1 })
      await text(cached(url))
      at.seconds(10)
      expect((await got(cached(url)))[0]).toBe(status)
      expect((await got(cached(url, { headers: { 'cache-control': 'max-stale' } })))[0]).toBe(status)
    }
  })

  test('row 113: immutable is not revalidated while fresh, and as any other after', async () => {
    await using cached = at.cached({ alwaysRevalidate: true })
    for (const [path, control, expected] of [
      ['/row113-a', 'max-age=60', 2],
      ['/row113-b', 'max-age=60, immutable', 1],
    ] as const) {
      at.answer(path, { headers: { 'cache-control': control, etag: '"1"' }, body: 'x' })
      for (let n = 0; n < 2; n++) await text(cached(at.origin.url + path))
      expect(at.origin.count(path)).toBe(expected)
      at.seconds(60)
      await text(cached(at.origin.url + path))
      expect(at.origin.count(path)).toBe(expected + 1)
    }
  })

  test('row 114: Authorization in a shared cache needs public, s-maxage or must-revalidate', async () => {
    const init = { headers: { authorization: 'Bearer a' } }
    for (const [n, [control, expected]] of (
      [
        ['max-age=60', false],
        ['max-age=60, public', true],
        ['s-maxage=60', true],
        ['max-age=60, must-revalidate', true],
      ] as const
    ).entries()) {
      at.answer(`/row114-${n}`, { headers: { 'cache-control': control }, body: 'x' })
      expect(await hits(`/row114-${n}`, { shared: true }, init)).toBe(expected)
    }
  })
})

describe('freshness', () => {
  test('row 115: 10 % of the time since Last-Modified, at most a week, for the statuses that allow it', async () => {
    const modified = (days: number): string => new Date(at.clock.now() - days * 86_400_000).toUTCString()
    const ttl = async (headers: Record<string, string>, status = 200): Promise<number | undefined> => {
      at.answer('/row115', { status, headers, body: status === 204 ? '' : 'x' })
      await using cached = at.cached()
      await text(cached(`${at.origin.url}/row115`))
      return cacheInfo(await cached(`${at.origin.url}/row115`, { cache: 'force-cache' }))?.ttl
    }
    expect(await ttl({ 'last-modified': modified(10) })).toBe(86_400)
    expect(await ttl({ 'last-modified': modified(1000) })).toBe(604_800)
    for (const status of [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
      expect(await kept({ 'last-modified': modified(10) }, {}, status)).toBe(true)
    for (const status of [201, 302, 400, 403, 500, 503])
      expect(await kept({ 'last-modified': modified(10) }, {}, status)).toBe(false)
  })

  test('row 116: the heuristic is an option, by session and by URL', async () => {
    const headers = { 'last-modified': new Date(at.clock.now() - 1000_000).toUTCString() }
    at.answer('/row116/a', { headers, body: 'x' })
    at.answer('/row116/b', { headers, body: 'x' })
    await using cached = at.cached({
      heuristic: { fraction: 0.5, maximum: '1d' },
      urlsExpireAfter: [['*/row116/b', { heuristic: { fraction: 1, maximum: 300 } }]],
    })
    const ttl = async (path: string): Promise<number | undefined> => {
      await text(cached(at.origin.url + path))
      return cacheInfo(await cached(at.origin.url + path))?.ttl
    }
    expect([await ttl('/row116/a'), await ttl('/row116/b')]).toEqual([500, 300])
    expect(await kept(headers, { heuristic: false })).toBe(false)
  })

  test('row 117: age is counted from Date and Age and the time the exchange took; hits have an Age', async () => {
    const date = new Date(at.clock.now() - 30_000).toUTCString()
    const age = async (headers: Record<string, string>): Promise<number | undefined> => {
      at.answer('/row117', { headers: { 'cache-control': 'max-age=1000', ...headers }, body: 'x' })
      await using cached = at.cached()
      await text(cached(`${at.origin.url}/row117`))
      at.seconds(5)
      const hit = await cached(`${at.origin.url}/row117`)
      expect([hit.fromCache, hit.headers.get('age')]).toEqual([true, String(cacheInfo(hit)?.age)])
      at.seconds(-5)
      return cacheInfo(hit)?.age
    }
    expect([await age({}), await age({ date }), await age({ age: '50' }), await age({ date, age: '20' })]).toEqual([
      5, 35, 55, 35,
    ])
    at.origin.route('/row117-slow', () => {
      at.seconds(7)
      return { headers: { 'cache-control': 'max-age=1000', age: '10' }, body: 'x' }
    })
    await using cached = at.cached()
    await text(cached(`${at.origin.url}/row117-slow`))
    expect(cacheInfo(await cached(`${at.origin.url}/row117-slow`))?.age).toBe(17)
    expect(await kept({ 'cache-control': 'max-age=60', age: '60' })).toBe(false)
  })
})

describe('Vary', () => {
  test('row 118: each variant is an entry, alternating requests hit; Cookie, too; * never', async () => {
    await using cached = at.cached()
    for (const [path, one, two] of [
      ['/vary?by=accept-language', { 'accept-language': 'de' }, { 'accept-language': 'en' }],
      ['/vary?by=Cookie', { cookie: 'a=1' }, { cookie: 'a=2' }],
      ['/vary?by=x-a,x-b', { 'x-a': '1', 'x-b': '1' }, { 'x-a': '1' }],
    ] as const) {
      const seen = []
      for (const headers of [one, two, one, two])
        seen.push(await isHit(cached, path, headers as Record<string, string>))
      expect([seen, at.origin.count(path)]).toEqual([[false, false, true, true], 2])
    }
    for (let n = 0; n < 2; n++) expect(await isHit(cached, '/vary?by=*', {})).toBe(false)
    expect(await cached.cache.has(`${at.origin.url}/vary?by=*`)).toBe(false)
  })

  test('row 118: after a redirect the last hop’s Vary counts', async () => {
    const target = '/vary?by=x-a'
    at.answer('/row118', { status: 301, headers: { location: target, 'cache-control': 'max-age=60' } })
    await using cached = at.cached()
    const seen: unknown[] = []
    for (const value of ['1', '2', '1', '2'])
      seen.push((await (await cached(`${at.origin.url}/row118`, { headers: { 'x-a': value } })).json()) as unknown)
    expect(seen).toEqual(['1', '2', '1', '2'].map((value) => ({ 'x-a': value })))
    expect([at.origin.count('/row118'), at.origin.count('/vary')]).toEqual([1, 2])
  })

  test('row 119: Vary on an ignored header: the header still tells the variants apart', async () => {
    await using cached = at.cached({ ignoredParams: ['x-who'] })
    const seen = []
    for (const who of ['alice', 'bob', 'alice']) seen.push(await isHit(cached, '/vary?by=x-who', { 'x-who': who }))
    expect(seen).toEqual([false, false, true])
  })
})

describe('headers and invalidation', () => {
  test('row 121: repeated lines survive storing and a 304', async () => {
    const headers = {
      'cache-control': 'max-age=10',
      etag: '"1"',
      'set-cookie': ['a=1; Path=/', 'b=2; Path=/'],
      link: ['</a>; rel=x', '</b>; rel=y'],
      via: ['1.1 a', '1.1 b'],
    }
    at.origin.script('/row121', [
      { headers, body: 'x' },
      { status: 304, headers: { etag: '"1"', 'set-cookie': ['c=3', 'd=4'] } },
    ])
    await using cached = at.cached()
    await text(cached(`${at.origin.url}/row121`))
    const hit = await cached(`${at.origin.url}/row121`)
    expect(hit.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Path=/'])
    expect([hit.headers.get('link'), hit.headers.get('via')]).toEqual(['</a>; rel=x, </b>; rel=y', '1.1 a, 1.1 b'])
    at.seconds(20)
    const renewed = await cached(`${at.origin.url}/row121`)
    expect([renewed.revalidated, renewed.headers.getSetCookie(), renewed.headers.get('via')]).toEqual([
      true,
      ['c=3', 'd=4'],
      '1.1 a, 1.1 b',
    ])
  })

  test('row 122: a successful unsafe request invalidates its URL, Location and Content-Location of the same origin', async () => {
    const fresh = { headers: { 'cache-control': 'max-age=600' }, body: 'x' }
    for (const path of ['/row122', '/row122-a', '/row122-b']) at.answer(path, fresh)
    await using cached = at.cached()
    const url = (path: string): string => at.origin.url + path
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PURGE'])
      for (const [status, gone] of [
        [200, true],
        [303, true],
        [404, false],
        [500, false],
      ] as const) {
        await text(cached(url('/row122')))
        at.answer(`${method} /row122`, { status, body: 'done' })
        await text(cached(url('/row122'), { method, redirect: 'manual' }))
        expect([method, status, await cached.cache.has(url('/row122'))]).toEqual([method, status, !gone])
      }
    for (const path of ['/row122-a', '/row122-b']) await text(cached(url(path)))
    at.answer('POST /row122', { status: 201, headers: { location: '/row122-a', 'content-location': url('/row122-b') } })
    await text(cached(url('/row122'), { method: 'POST' }))
    for (const path of ['/row122-a', '/row122-b']) expect(await cached.cache.has(url(path))).toBe(false)
    await text(cached(url('/row122-a')))
    at.answer('POST /row122', { status: 201, headers: { location: `http://localhost:${at.origin.port}/row122-a` } })
    await text(cached(url('/row122'), { method: 'POST' }))
    expect(await cached.cache.has(url('/row122-a'))).toBe(true)
  })

  test('row 123: permanent redirects are stored as such, temporary ones only if they say so', async () => {
    for (const [status, headers, requests] of [
      [301, { 'last-modified': 'Tue, 01 Jan 2019 00:00:00 GMT' }, 1],
      [308, { 'last-modified': 'Tue, 01 Jan 2019 00:00:00 GMT' }, 1],
      [302, { 'last-modified': 'Tue, 01 Jan 2019 00:00:00 GMT' }, 2],
      [302, { 'cache-control': 'max-age=60' }, 1],
    ] as const) {
      at.answer('/row123', { status, headers: { ...headers, location: '/cache/60' } })
      const before = at.origin.count('/row123')
      await using cached = at.cached()
      for (let n = 0; n < 2; n++) expect((await got(cached(`${at.origin.url}/row123`)))[0]).toBe(200)
      expect(at.origin.count('/row123') - before).toBe(requests)
    }
  })

  test('row 125: stale-if-error and stale-while-revalidate of the response', async () => {
    at.origin.script(
      '/row125',
      [{ headers: { 'cache-control': 'max-age=10, stale-if-error=20' }, body: 'one' }, { status: 500 }],
      'last',
    )
    await using cached = at.cached()
    await text(cached(`${at.origin.url}/row125`))
    at.seconds(30)
    expect(await text(cached(`${at.origin.url}/row125`))).toBe('one')
    at.seconds(1)
    expect((await got(cached(`${at.origin.url}/row125`)))[0]).toBe(500)
  })

  test('row 126: a targeted field takes the place of Cache-Control, where it is ours', async () => {
    const headers = { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=60' }
    expect(await kept(headers)).toBe(false)
    expect(await kept(headers, { shared: true })).toBe(true)
    expect(
      await kept(
        { 'cache-control': 'max-age=60', 'mine-cache-control': 'no-store' },
        { targets: ['mine-cache-control'] },
      ),
    ).toBe(false)
  })
})

test('row 119, row 62: what a Vary names is in the store by digest where it is a credential', async () => {
  const store = new MemoryStore()
  await using cached = at.cached({ store, identityHeaders: false })
  await text(
    cached(`${at.origin.url}/vary?by=authorization,cookie`, {
      headers: { authorization: 'secret-a', cookie: 'secret-b' },
    }),
  )
  const metas = (await Array.fromAsync(store.entries())).map(({ key, meta }) => JSON.stringify([key, meta]))
  expect([metas.length, metas.filter((meta) => meta.includes('secret')).length]).toEqual([2, 0])
})
