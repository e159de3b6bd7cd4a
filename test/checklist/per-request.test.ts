/** Checklist section 1.5: options of one request, and what its headers ask for. */
import { describe, expect, test } from 'vitest'
import { cacheInfo, type CachedResponse, type SessionRequest } from '../../src/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

/** The conditional headers of each request for a path, in order. */
function conditions(path: string): (string | null)[] {
  return at.origin.requests.filter((request) => request.path === path).map((request) => request.header('if-none-match'))
}

function control(value: string): SessionRequest {
  return { headers: { 'cache-control': value } }
}

describe('options', () => {
  test('row 92: expireAfter of a call beats URL and session, and never reaches the origin', async () => {
    await using s = at.session({ expireAfter: 1000, urlsExpireAfter: { '*': 500 } })
    const response = await s.get('/get', { httpCache: { expireAfter: 10 } })
    await response.text()
    expect(response.expiresAt?.getTime()).toBe(at.clock.now() + 10_000)
    const [sent] = at.origin.requests
    expect([
      sent?.header('cache-control'),
      sent?.headers.some(([name, value]) => name !== 'host' && /max-age|10/.test(value)),
    ]).toEqual([null, false])
  })

  test('row 93: refresh: a condition where there is a validator; 304 is a hit, 200 replaces, no validator fetches', async () => {
    at.origin.script('/row93', [
      { headers: { etag: '"1"' }, body: 'one' },
      { status: 304, headers: { etag: '"1"' } },
      { headers: { etag: '"2"' }, body: 'two' },
      { headers: { etag: '"3"', 'cache-control': 'no-store' }, body: 'three' },
      { headers: { etag: '"4"' }, body: 'four' },
    ])
    at.answer('/row93-plain', { body: 'plain' })
    await using s = at.session()
    const refresh = { httpCache: { refresh: true } }
    await text(s.get('/row93'))
    const confirmed = await s.get('/row93', refresh)
    expect([confirmed.fromCache, confirmed.revalidated, await confirmed.text()]).toEqual([true, true, 'one'])
    expect(await text(s.get('/row93', refresh))).toBe('two')
    expect(await text(s.get('/row93'))).toBe('two')
    expect(await text(s.get('/row93', refresh))).toBe('three')
    expect(await s.cache.has('/row93')).toBe(false)
    expect(conditions('/row93')).toEqual([null, '"1"', '"1"', '"2"'])
    await text(s.get('/row93-plain'))
    expect((await got(s.get('/row93-plain', refresh)))[1]).toBe(false)
    expect(at.origin.count('/row93-plain')).toBe(2)
  })

  test('row 94: forceRefresh fetches whole, overwrites, and starts a new lifetime', async () => {
    await using s = at.session({ expireAfter: 100 })
    await text(s.get('/etag/row94'))
    at.seconds(90)
    await text(s.get('/etag/row94', { httpCache: { forceRefresh: true } }))
    at.seconds(90)
    expect((await s.get('/etag/row94')).fromCache).toBe(true)
    expect(conditions('/etag/row94')).toEqual([null, null])
  })

  test('row 95: onlyIfCached never asks the origin, and wins over whatever would', async () => {
    await using s = at.session({ expireAfter: 10, allowedMethods: ['GET'] })
    const only = (httpCache: SessionRequest['httpCache'] = {}, init: SessionRequest = {}): Promise<CachedResponse> =>
      s.get('/etag/row95', { httpCache: { onlyIfCached: true, ...httpCache }, ...init })
    const absent = await only()
    expect([absent.status, await absent.text(), cacheInfo(absent)?.outcome]).toEqual([
      504,
      'Not Cached\n',
      'unsatisfiable',
    ])
    await text(s.get('/etag/row95'))
    for (const httpCache of [{}, { refresh: true }, { forceRefresh: true }])
      expect((await only(httpCache)).status).toBe(200)
    for (const httpCache of [{ expireAfter: 0 }]) expect((await only(httpCache)).status).toBe(504)
    for (const cache of ['no-store', 'reload'] as const) expect((await only({}, { cache })).status).toBe(504)
    for (const headers of [{ 'cache-control': 'no-store' }, { 'cache-control': 'no-cache' }, { 'if-match': '"x"' }])
      expect((await only({}, { headers })).status).toBe(504)
    expect((await s.post('/etag/row95', { httpCache: { onlyIfCached: true } })).status).toBe(504)
    expect((await only({}, { headers: { range: 'bytes=0-1, 3-4' } })).status).toBe(504)
    at.seconds(20)
    expect((await only()).status).toBe(504)
    const stale = await only({ staleIfError: true })
    expect([stale.status, stale.isExpired]).toEqual([200, true])
    expect((await only({ staleIfError: 5 })).status).toBe(504)
    expect((await only({ staleWhileRevalidate: true })).status).toBe(200)
    await text(s.get('/get', { headers: { 'cache-control': 'only-if-cached' } }))
    expect(at.origin.requests).toHaveLength(1)
  })

  test('row 96: expireAfter 0 or enabled: false for one call neither reads nor writes, and is not sent', async () => {
    await using s = at.session()
    for (const httpCache of [{ expireAfter: 0 }, { enabled: false }]) {
      await text(s.get('/get', { httpCache }))
      expect(await s.cache.has('/get')).toBe(false)
    }
    await text(s.get('/get'))
    for (const httpCache of [{ expireAfter: 0 }, { enabled: false }])
      expect((await got(s.get('/get', { httpCache })))[1]).toBe(false)
    expect((await s.get('/get')).fromCache).toBe(true)
    expect(at.origin.requests).toHaveLength(5)
    const sent = new Set(at.origin.requests.map(({ headers }) => JSON.stringify(headers)))
    expect(sent.size).toBe(1)
  })

  test('row 104: staleIfError and staleWhileRevalidate for one call', async () => {
    at.origin.script('/row104', [{ body: 'one' }, { status: 500 }, { status: 500 }, { status: 500 }], 'last')
    await using s = at.session({ expireAfter: 10 })
    await text(s.get('/row104'))
    at.seconds(60)
    expect((await got(s.get('/row104')))[0]).toBe(500)
    expect(await text(s.get('/row104', { httpCache: { staleIfError: '1m' } }))).toBe('one')
    expect((await got(s.get('/row104', { httpCache: { staleIfError: 49 } })))[0]).toBe(500)
    expect(await text(s.get('/row104', { httpCache: { staleWhileRevalidate: 50 } }))).toBe('one')
    await until(() => at.origin.count('/row104') === 5)
  })

  test('row 105: alwaysRevalidate asks for every hit that has a validator, and a 304 starts a new lifetime', async () => {
    await using s = at.session({ alwaysRevalidate: true, expireAfter: 10 })
    at.answer('/row105', { body: 'x' })
    for (let n = 0; n < 2; n++) {
      await text(s.get('/etag/row105'))
      await text(s.get('/row105'))
      at.seconds(8)
    }
    const entry = await s.cache.get('/etag/row105')
    expect(entry?.expiresAt?.getTime()).toBe(at.clock.now() + 2000)
    expect([conditions('/etag/row105'), at.origin.count('/row105')]).toEqual([[null, '"row105"'], 1])
  })
})

describe('request directives', () => {
  test('row 97: no-cache revalidates first; row 98: no-store neither reads nor writes', async () => {
    await using s = at.session()
    await text(s.get('/etag/row97', control('no-store')))
    expect(await s.cache.has('/etag/row97')).toBe(false)
    await text(s.get('/etag/row97'))
    expect((await s.get('/etag/row97', control('no-cache'))).revalidated).toBe(true)
    expect((await got(s.get('/etag/row97', control('no-store'))))[1]).toBe(false)
    expect((await s.get('/etag/row97')).fromCache).toBe(true)
    expect(conditions('/etag/row97')).toEqual([null, null, '"row97"', null])
  })

  test('row 99: max-age is the greatest age accepted; what is stored keeps its own lifetime', async () => {
    await using s = at.session({ expireAfter: 1000 })
    await text(s.get('/etag/row99'))
    at.seconds(10)
    expect((await s.get('/etag/row99', control('max-age=10'))).revalidated).toBe(false)
    expect((await s.get('/etag/row99', control('max-age=9'))).revalidated).toBe(true)
    at.seconds(1)
    expect((await s.get('/etag/row99', control('max-age=0'))).revalidated).toBe(true)
    at.seconds(999)
    expect((await s.get('/etag/row99')).revalidated).toBe(false)
    expect(conditions('/etag/row99')).toHaveLength(3)
  })

  test('row 100: max-stale, with and without a limit, and min-fresh', async () => {
    await using s = at.session({ expireAfter: 100 })
    await text(s.get('/etag/row100'))
    at.seconds(50)
    expect((await s.get('/etag/row100', control('min-fresh=50'))).revalidated).toBe(false)
    expect((await s.get('/etag/row100', control('min-fresh=51'))).revalidated).toBe(true)
    at.seconds(120)
    for (const directive of ['max-stale', 'max-stale=20']) {
      const stale = await s.get('/etag/row100', control(directive))
      expect([stale.fromCache, stale.isExpired, stale.revalidated]).toEqual([true, true, false])
    }
    expect((await s.get('/etag/row100', control('max-stale=19'))).revalidated).toBe(true)
    expect(conditions('/etag/row100')).toHaveLength(3)
  })

  test('row 101: stale-if-error and only-if-cached of a request; stale-while-revalidate is the response’s to allow', async () => {
    at.origin.script('/row101', [{ body: 'one' }, { status: 500 }], 'last')
    await using s = at.session({ expireAfter: 10 })
    await text(s.get('/row101'))
    at.seconds(20)
    expect(await text(s.get('/row101', control('stale-if-error=10')))).toBe('one')
    expect((await got(s.get('/row101', control('stale-if-error=9'))))[0]).toBe(500)
    expect((await got(s.get('/row101', control('stale-while-revalidate=60'))))[0]).toBe(500)
    expect((await got(s.get('/row101', control('only-if-cached'))))[0]).toBe(504)
    expect(at.origin.count('/row101')).toBe(4)
  })

  test('row 102: refresh with a Cache-Control of its own', async () => {
    await using s = at.session()
    await text(s.get('/etag/row102'))
    const init = { ...control('max-age=1000'), httpCache: { refresh: true } }
    expect((await s.get('/etag/row102', init)).revalidated).toBe(true)
  })

  test('row 103: the caller’s own condition: the 304 reaches the caller, from the origin or from the store', async () => {
    await using cached = at.cached()
    const url = `${at.origin.url}/etag/row103`
    const own = { headers: { 'if-none-match': '"row103"' } }
    expect((await got(cached(url, own)))[0]).toBe(304)
    expect(await cached.cache.has(url)).toBe(false)
    await text(cached(url))
    expect((await got(cached(url, own)))[0]).toBe(304)
    expect((await got(cached(url, { headers: { 'if-none-match': '"other"' } })))[0]).toBe(200)
    expect(conditions('/etag/row103').slice(0, 2)).toEqual(['"row103"', null])
    const since = { headers: { 'if-modified-since': new Date(at.clock.now()).toUTCString() } }
    expect((await got(cached(`${at.origin.url}/cache`, since)))[0]).toBe(304)
  })

  test('row 106: lines and lists of directives are one, in any case, quoted or not', async () => {
    const controls = [
      { 'cache-control': ['max-age=10', 'must-revalidate'] },
      { 'Cache-Control': 'MAX-AGE="10", Must-Revalidate' },
      { 'cache-control': ' , must-revalidate ,max-age=10,' },
    ]
    await using s = at.session({ staleIfError: true })
    for (const [n, headers] of controls.entries()) {
      at.origin.script(`/row106-${n}`, [{ headers, body: 'x' }, { status: 503 }])
      const response = await s.get(`/row106-${n}`)
      await response.text()
      expect(response.expiresAt?.getTime()).toBe(at.clock.now() + 10_000)
    }
    await text(s.get('/etag/row106'))
    const request = new Headers([
      ['cache-control', 'max-age=1000'],
      ['cache-control', 'NO-CACHE'],
    ])
    expect((await s.get('/etag/row106', { headers: request })).revalidated).toBe(true)
    at.seconds(20)
    for (const n of controls.keys()) expect((await got(s.get(`/row106-${n}`)))[0]).toBe(503)
  })

  test('row 107: Pragma: no-cache counts only where there is no Cache-Control', async () => {
    await using s = at.session()
    await text(s.get('/etag/row107'))
    expect((await s.get('/etag/row107', { headers: { pragma: 'no-cache' } })).revalidated).toBe(true)
    const both = { headers: { pragma: 'no-cache', 'cache-control': 'max-age=100' } }
    expect((await s.get('/etag/row107', both)).revalidated).toBe(false)
    expect(conditions('/etag/row107')).toEqual([null, '"row107"'])
  })
})
