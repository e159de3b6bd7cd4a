/** Checklist section 1.4, and the precedence table after 1.21: how long an entry is fresh, and who decides. */
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  CachedSession,
  MemoryStore,
  OptionError,
  type CacheOptions,
  type SessionOptions,
  type UrlRules,
} from '../../src/index.ts'
import { got, text, useBench } from './support.ts'

const at = useBench()

afterEach(() => vi.restoreAllMocks())

/** Seconds until the response's entry is stale; null: it is not stored; Infinity: never. */
async function lifetime(
  options: SessionOptions,
  headers: Record<string, string> = {},
  request: Parameters<CachedSession['get']>[1] = {},
): Promise<number | null> {
  at.answer('/lifetime', { headers, body: 'x' })
  await using s = at.session(options)
  const response = await s.get('/lifetime', request)
  await response.text()
  if (!(await s.cache.has('/lifetime', { headers: request.headers ?? {} }))) return null
  return response.expiresAt ? (response.expiresAt.getTime() - at.clock.now()) / 1000 : Infinity
}

const http = (ms: number): string => new Date(ms).toUTCString()

const regexp = (pattern: RegExp): SessionOptions => ({ urlsExpireAfter: [[pattern, 5]], expireAfter: 10 })

describe('values', () => {
  test('row 71, row 72, row 77: numbers, texts, dates, never; never where nothing is said', async () => {
    const values: [NonNullable<CacheOptions['expireAfter']>, number][] = [
      [-1, Infinity],
      ['never', Infinity],
      [90, 90],
      [1.5, 1.5],
      ['90s', 90],
      ['5m', 300],
      ['2h5m', 7500],
      ['1d2h3m50s', 93_830],
      [new Date(at.clock.now() + 60_000), 60],
      [new Date(at.clock.now() + 60_000).toUTCString(), 60],
    ]
    for (const [expireAfter, expected] of values) expect(await lifetime({ expireAfter })).toBe(expected)
    expect(await lifetime({})).toBe(Infinity)
  })

  test('row 73: 0, in whatever form, neither reads nor stores; alwaysRevalidate stores and asks each time', async () => {
    const store = new MemoryStore()
    at.answer('/row73', { body: 'x' })
    await using filled = at.session({ store })
    await text(filled.get('/row73'))
    for (const expireAfter of [0, '0s', '0h0m']) {
      await using s = at.session({ store, expireAfter })
      expect((await got(s.get('/row73')))[1]).toBe(false)
    }
    expect(at.origin.count('/row73')).toBe(4)
    await using asking = at.session({ alwaysRevalidate: true })
    for (let n = 0; n < 3; n++) await text(asking.get('/etag/row73'))
    expect(at.origin.requests.slice(4).map((request) => request.header('if-none-match'))).toEqual([
      null,
      '"row73"',
      '"row73"',
    ])
  })

  test('row 74: what is no duration is an error at once', async () => {
    for (const expireAfter of ['tomorrow', '', '5 minutes', '-5m', -2, Number.NaN, Infinity, new Date('x')])
      expect(() => at.session({ expireAfter })).toThrow(OptionError)
    expect(() => at.session({ urlsExpireAfter: { '*': 'soon' } })).toThrow(OptionError)
    await using s = at.session()
    await expect(s.get('/get', { httpCache: { expireAfter: 'soon' } })).rejects.toThrow(OptionError)
    expect(at.origin.requests).toHaveLength(0)
  })

  test('row 75: a Date is an instant, whatever zone it was written in; texts must be HTTP dates', async () => {
    expect(await lifetime({ expireAfter: new Date('2030-01-01T05:01:00+05:00') })).toBe(60)
    expect(() => at.session({ expireAfter: '2030-01-01T12:00:00+05:00' })).toThrow(OptionError)
  })

  test('row 76: a past date is expired on arrival: kept only with a validator, then revalidated', async () => {
    const expireAfter = new Date(at.clock.now() - 60_000)
    expect(await lifetime({ expireAfter })).toBe(null)
    await using s = at.session({ expireAfter })
    await text(s.get('/etag/row76'))
    expect((await s.get('/etag/row76')).revalidated).toBe(true)
  })
})

describe('rules by URL', () => {
  test('row 78: the first match wins, none leaves the session’s; any expiry may be given', async () => {
    const urlsExpireAfter: UrlRules = {
      '*/lifetime/none': 1,
      '*/lifetime': '2m',
      '*': 3,
    }
    expect(await lifetime({ expireAfter: 10, urlsExpireAfter })).toBe(120)
    expect(await lifetime({ expireAfter: 10, urlsExpireAfter: { 'other.test': 1 } })).toBe(10)
    expect(await lifetime({ urlsExpireAfter: { '*': 0 } })).toBe(null)
    expect(await lifetime({ urlsExpireAfter: { '*': 'never' } })).toBe(Infinity)
    expect(await lifetime({ urlsExpireAfter: { '*': new Date(at.clock.now() + 5000) } })).toBe(5)
  })

  const globs: [pattern: string, url: string, expected: boolean][] = [
    ['site.test/a', 'http://site.test/a', true],
    ['site.test/a', 'https://site.test/a/b?c', true],
    ['http*://site.test/a/**', 'https://site.test/a/b', true],
    ['http://site.test/a', 'https://site.test/a', true],
    ['*.site.test', 'http://img.site.test/x', true],
    ['*.site.test', 'http://site.test/x', false],
    ['site.test/*/c', 'http://site.test/a/b/c', true],
    ['site.test/*/c', 'http://site.test/a/b/d', false],
    ['*/a', 'http://any.test/a', true],
    ['*', 'http://any.test/', true],
    // Row 81: boundaries and case.
    ['site.test', 'http://site.test.evil.org/', false],
    ['site.test', 'http://evil.org/?u=https://site.test', false],
    ['site.test', 'http://evil.org/site.test', false],
    ['site.test/resource', 'http://site.test/resources', false],
    ['site.test', 'http://notsite.test/', false],
    ['SITE.test', 'http://Site.TEST:8080/x', true],
    ['site.test:80', 'http://site.test:8080/', false],
    ['site.test', 'http://site.test@evil.org/', false],
    ['site.test/A', 'http://site.test/a', false],
  ]

  test.each(globs)('row 79, row 81: %s and %s: %s', async (pattern, url, expected) => {
    const calls: string[] = []
    const fake = async (input: string | URL | Request): Promise<Response> => {
      calls.push(String(input))
      return new Response('x')
    }
    await using s = at.session({ fetch: fake as typeof fetch, urlsExpireAfter: { [pattern]: 0 } })
    for (let n = 0; n < 2; n++) await text(s.get(url))
    expect(calls).toHaveLength(expected ? 2 : 1)
  })

  test('row 80: a RegExp sees the whole URL, the scheme and the query, too', async () => {
    expect(await lifetime(regexp(/^http:\/\/127\.0\.0\.1:\d+\/lifetime$/))).toBe(5)
    expect(await lifetime(regexp(/^127/))).toBe(10)
    expect(await lifetime(regexp(/\?a=1$/g), {}, { params: { a: 1 } })).toBe(null)
  })
})

describe('who decides', () => {
  const never = Infinity
  /** Request Cache-Control, response max-age, per request, per URL, per session: what counts. */
  const rows: [string | null, number | null, number | null, number | null, number | null, number | null][] = [
    [null, null, null, null, null, never],
    [null, null, null, null, 5, 5],
    [null, null, null, 4, 5, 4],
    [null, null, 3, 4, 5, 3],
    [null, 2, 3, 4, 5, 2],
    [null, 2, null, null, -1, 2],
    [null, 2, 3, null, null, 2],
    [null, null, -1, 4, 5, never],
    // Row 82: the request only narrows: what is stored keeps its own lifetime, and no setting is forgotten.
    ['max-age=1', 2, 3, 4, 5, 2],
    ['max-age=1', null, null, null, 5, 5],
    ['max-age=1000', null, null, null, 5, 5],
    ['no-cache', null, null, null, 5, 5],
    ['no-cache', 2, 3, 4, 5, 2],
    ['no-store', 2, 3, 4, 5, null],
    ['max-stale', null, 3, 4, 5, 3],
  ]
  test.each(rows)(
    'row 82, row 83, precedence: request %s, response %s, per request %s, URL %s, session %s: %s',
    async (control, response, request, url, session, expected) => {
      const options: SessionOptions = {
        ...(session === null ? {} : { expireAfter: session }),
        ...(url === null ? {} : { urlsExpireAfter: { '*': url } }),
      }
      const headers: Record<string, string> = response === null ? {} : { 'cache-control': `max-age=${response}` }
      const init = {
        ...(control === null ? {} : { headers: { 'cache-control': control } }),
        ...(request === null ? {} : { httpCache: { expireAfter: request } }),
      }
      expect(await lifetime(options, headers, init)).toBe(expected)
    },
  )

  test('row 84: headers count unless cacheControl is false, of responses and of requests', async () => {
    const headers = { 'cache-control': 'max-age=2', expires: 'Thu, 01 Jan 1970 00:00:00 GMT' }
    expect(await lifetime({ expireAfter: 10 }, headers)).toBe(2)
    expect(await lifetime({ expireAfter: 10, cacheControl: false }, headers)).toBe(10)
    await using s = at.session({ cacheControl: false })
    for (const control of ['no-cache', 'no-store', 'max-age=0'])
      await text(s.get('/get', { headers: { 'cache-control': control } }))
    expect(at.origin.count('/get')).toBe(1)
  })

  test('row 85: max-age beats Expires; junk in Expires is expired; Expires counts from Date', async () => {
    const now = at.clock.now()
    expect(await lifetime({}, { 'cache-control': 'max-age=7', expires: http(now + 99_000) })).toBe(7)
    for (const expires of ['0', '-1', 'junk', http(now)])
      expect(await lifetime({ expireAfter: 9 }, { expires })).toBe(null)
    expect(await lifetime({ expireAfter: 9 }, { expires: '' })).toBe(null)
    expect(await lifetime({}, { expires: http(now + 60_000), date: http(now) })).toBe(60)
    expect(await lifetime({}, { expires: http(now + 60_000), date: http(now + 20_000) })).toBe(40)
  })

  test('row 86: at the very instant it expires an entry is expired', async () => {
    at.answer('/row86', { headers: { 'cache-control': 'max-age=10' }, body: 'x' })
    await using s = at.session()
    await text(s.get('/row86'))
    at.clock.advance(9999)
    const last = await s.get('/row86')
    expect([last.fromCache, last.isExpired]).toEqual([true, false])
    at.clock.advance(1)
    expect(last.isExpired).toBe(true)
    await text(s.get('/row86'))
    expect(at.origin.count('/row86')).toBe(2)
  })

  test('row 87: the lifetime given with a request stays with the entry', async () => {
    await using s = at.session({ expireAfter: 1000 })
    at.answer('/row87', { body: 'x' })
    await text(s.get('/row87', { httpCache: { expireAfter: 10 } }))
    at.seconds(9)
    await text(s.get('/row87', { httpCache: { expireAfter: 500 } }))
    at.seconds(1)
    await text(s.get('/row87'))
    expect(at.origin.count('/row87')).toBe(2)
  })

  test('row 89: jitter shortens lifetimes of ours by a random part, never those of the origin', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5)
    expect(await lifetime({ expireAfter: 100, jitter: 0.2 })).toBe(90)
    expect(await lifetime({ jitter: 0.2 }, { 'cache-control': 'max-age=100' })).toBe(100)
  })

  test('row 90: resetExpiration gives all entries a new lifetime from now, longer or shorter', async () => {
    await using s = at.session()
    for (const path of ['/get?1', '/get?2'])
      await text(s.get(path, { httpCache: { expireAfter: path.endsWith('1') ? 5 : 500 } }))
    at.seconds(50)
    expect(await s.cache.resetExpiration(100)).toBe(2)
    at.seconds(99)
    for (const path of ['/get?1', '/get?2']) expect((await s.get(path)).fromCache).toBe(true)
    at.seconds(1)
    for (const path of ['/get?1', '/get?2']) expect((await got(s.get(path)))[1]).toBe(false)
    expect(at.origin.requests).toHaveLength(4)
  })

  test('row 91: an expired entry stays until it is replaced or removed', async () => {
    await using s = at.session({ expireAfter: 10 })
    await text(s.get('/etag/row91'))
    at.seconds(100)
    expect([await s.cache.has('/etag/row91'), (await s.cache.urls({ expired: true })).length]).toEqual([true, 1])
    expect((await s.get('/etag/row91')).revalidated).toBe(true)
    expect(at.origin.requests).toHaveLength(2)
  })
})
