/** Checklist section 1.2: what may be cached. */
import { describe, expect, test } from 'vitest'
import { cacheInfo, MemoryStore, OptionError, type CacheOptions } from '../../src/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

const FRESH = { 'cache-control': 'max-age=60' }

/** How many requests of two reach the origin. */
async function asked(path: string, options: CacheOptions, init: RequestInit = {}): Promise<number> {
  const before = at.origin.count(path)
  await using cached = at.cached(options)
  for (let n = 0; n < 2; n++) await text(cached(at.origin.url + path, init))
  return at.origin.count(path) - before
}

test('row 27: the listed statuses are stored, others are returned and not stored', async () => {
  for (const status of [200, 203, 404, 500]) at.answer(`/row27-${status}`, { status, headers: FRESH, body: 'x' })
  await using s = at.session({ allowedStatusCodes: [203, 404] })
  for (const [status, requests] of [
    [200, 2],
    [203, 1],
    [404, 1],
    [500, 2],
  ] as const) {
    for (let n = 0; n < 2; n++) expect((await got(s.get(`/row27-${status}`)))[0]).toBe(status)
    expect(at.origin.count(`/row27-${status}`)).toBe(requests)
  }
})

test('row 28: a method that is not allowed neither reads nor writes', async () => {
  const store = new MemoryStore()
  at.answer('/row28', { body: 'x' })
  await using s = at.session({ store, allowedMethods: ['POST'] })
  for (let n = 0; n < 2; n++) await text(s.post('/row28', { body: 'b' }))
  await using other = at.session({ store })
  await text(other.post('/row28', { body: 'b' }))
  await text(s.get('/row28'))
  expect(await s.cache.has('/row28')).toBe(false)
  expect(at.origin.requests.map(({ method }) => method)).toEqual(['POST', 'POST', 'GET'])
})

test('row 29: a POST that stands for a GET is cached where POST is allowed, its header in the key', async () => {
  at.answer('/row29', { body: 'x' })
  await using s = at.session({ allowedMethods: ['GET', 'POST'], matchHeaders: ['x-http-method-override'] })
  for (const override of ['GET', 'GET', 'DELETE'])
    await text(s.post('/row29', { body: 'q=1', headers: { 'X-HTTP-Method-Override': override } }))
  expect(at.origin.count('/row29')).toBe(2)
})

describe('filters', () => {
  test('row 30: the filter runs on write and on read, sync or async, with the body; what fails is fetched anew', async () => {
    at.answer('/row30', { headers: FRESH, body: 'good' })
    const store = new MemoryStore()
    const seen: unknown[] = []
    let allowed = ['good']
    await using s = at.session({
      store,
      filter: async ({ body, fromCache }) => {
        const read = new TextDecoder().decode((await body()) ?? new Uint8Array())
        seen.push([read, fromCache])
        return allowed.includes(read)
      },
    })
    await text(s.get('/row30'))
    await until(() => store.size().entries === 1)
    expect((await got(s.get('/row30')))[1]).toBe(true)
    allowed = []
    expect((await got(s.get('/row30')))[1]).toBe(false)
    await until(() => seen.length === 4)
    expect(seen).toEqual([
      ['good', false],
      ['good', true],
      ['good', true],
      ['good', false],
    ])
    expect([await s.cache.has('/row30'), at.origin.count('/row30')]).toEqual([false, 2])
  })

  test('row 31: the filter comes on top of the other rules', async () => {
    at.answer('/row31', { status: 404, headers: FRESH, body: 'x' })
    await using s = at.session({ filter: () => true })
    for (let n = 0; n < 2; n++) await text(s.get('/row31'))
    expect(at.origin.count('/row31')).toBe(2)
  })

  test('row 32: requests are filtered by rules, responses by the filter, which reads the body only if it asks', async () => {
    at.answer('/row32', { headers: FRESH, body: 'x' })
    await using s = at.session({
      urlsExpireAfter: [[(url) => url.searchParams.has('live'), { enabled: false }]],
      filter: ({ status }) => status === 200,
    })
    for (const query of ['?live', '?live', '', '']) await text(s.get(`/row32${query}`))
    expect(at.origin.count('/row32')).toBe(3)
  })

  test('row 33: only the listed URLs', async () => {
    at.answer('/row33/yes', { body: 'x' })
    at.answer('/row33/no', { body: 'x' })
    await using s = at.session({ urlsExpireAfter: { '*/row33/yes': '1h', '*': 0 } })
    for (const path of ['/row33/yes', '/row33/no']) for (let n = 0; n < 2; n++) await text(s.get(path))
    expect(['/row33/yes', '/row33/no'].map((path) => at.origin.count(path))).toEqual([1, 2])
  })
})

test('row 34: readOnly serves hits and writes nothing: no miss, no 304, no filter, no unsafe method', async () => {
  const store = new MemoryStore()
  at.answer('PUT /etag/row34', { body: 'x' })
  await using writer = at.session({ store })
  await text(writer.get('/etag/row34?max-age=10'))
  await using reader = at.session({ store, readOnly: true })
  expect((await reader.get('/etag/row34?max-age=10')).fromCache).toBe(true)
  const before = JSON.stringify(await Array.fromAsync(store.entries()))
  at.seconds(20)
  expect((await reader.get('/etag/row34?max-age=10')).revalidated).toBe(true)
  expect((await reader.get('/etag/row34?max-age=10')).revalidated).toBe(true)
  await text(reader.get('/get'))
  await text(reader.put('/etag/row34?max-age=10', { body: 'new' }))
  await text(reader.get('/etag/row34?max-age=10', { httpCache: { filter: () => false } }))
  expect(JSON.stringify(await Array.fromAsync(store.entries()))).toBe(before)
})

describe('bodies', () => {
  test('row 35: a part is never the whole, a 304 never an entry; ranges of a whole come from the store', async () => {
    await using cached = at.cached({ expireAfter: 60 })
    const url = `${at.origin.url}/range/26`
    expect(await text(cached(url, { headers: { range: 'bytes=0-3' } }))).toBe('abcd')
    expect(await text(cached(url))).toHaveLength(26)
    expect(await text(cached(url, { headers: { range: 'bytes=4-5' } }))).toBe('ef')
    expect(at.origin.count('/range/26')).toBe(2)
    const not = await cached(`${at.origin.url}/etag/row35`, { headers: { 'if-none-match': '"row35"' } })
    expect([not.status, cacheInfo(not)?.stored]).toEqual([304, false])
  })

  test('row 37: over maxEntrySize a body passes through whole; a declared length says so at once; HEAD is exempt', async () => {
    const path = '/large/5000?max-age=60'
    await using cached = at.cached({ maxEntrySize: 1000 })
    const response = await cached(at.origin.url + path)
    expect(cacheInfo(response)?.refused).toBe('too-large')
    expect((await response.bytes()).length).toBe(5000)
    await text(cached(at.origin.url + path))
    for (let n = 0; n < 2; n++) await text(cached(at.origin.url + path, { method: 'HEAD' }))
    expect(at.origin.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'HEAD'])
  })
})

test('row 38: a lifetime for each status, by session, URL and request; the origin’s word comes first', async () => {
  at.answer('/row38', { status: 404, body: 'x' })
  at.answer('/row38-said', { status: 404, headers: { 'cache-control': 'max-age=5' }, body: 'x' })
  at.answer('/row38-503', { status: 503, body: 'x' })
  await using s = at.session({
    expireAfterByStatus: { 404: '1m' },
    urlsExpireAfter: [[/503/, { expireAfterByStatus: { 503: 2 } }]],
  })
  const ttl = async (path: string, httpCache = {}): Promise<number | undefined> => {
    const response = await s.get(path, { httpCache })
    await response.text()
    const info = cacheInfo(response)
    return info?.stored ? info.ttl : undefined
  }
  expect([await ttl('/row38'), await ttl('/row38-said'), await ttl('/row38-503')]).toEqual([60, 5, 2])
  expect(await ttl('/get')).toBe(Infinity)
  at.seconds(59)
  expect((await got(s.get('/row38')))[1]).toBe(true)
  at.seconds(1)
  expect(await ttl('/row38', { expireAfterByStatus: { 404: 0 } })).toBe(undefined)
  expect(at.origin.count('/row38')).toBe(2)
  expect(() => at.session({ expireAfterByStatus: { 99: 1 } })).toThrow(OptionError)
  expect(() => at.session({ expireAfterByStatus: { 404: 'soon' } })).toThrow(/expireAfterByStatus.404/)
})

describe('a shared cache', () => {
  const shared = { shared: true }

  test('row 39: what was asked with credentials is stored only where the response allows it', async () => {
    at.answer('/row39', { headers: FRESH, body: 'x' })
    at.answer('/row39-public', { headers: { 'cache-control': 'public, max-age=60' }, body: 'x' })
    at.answer('/row39-implicit', { headers: { 'last-modified': 'Tue, 01 Jan 2019 00:00:00 GMT' }, body: 'x' })
    const auth = { headers: { authorization: 'Bearer a' } }
    const cookie = { headers: { cookie: 'sid=1' } }
    expect(await asked('/row39', shared, auth)).toBe(2)
    expect(await asked('/row39-public', shared, auth)).toBe(1)
    expect(await asked('/row39-implicit', shared, cookie)).toBe(2)
    expect(await asked('/row39-implicit', shared)).toBe(1)
    expect(await asked('/row39', shared, cookie)).toBe(1)
  })

  test('row 40: a response that sets a cookie is not stored, unless that is allowed, or the cookie left out', async () => {
    at.answer('/row40', { headers: { ...FRESH, 'set-cookie': 'sid=1' }, body: 'x' })
    expect(await asked('/row40', shared)).toBe(2)
    expect(await asked('/row40', { ...shared, setCookie: 'store' })).toBe(1)
    expect(await asked('/row40', { ...shared, setCookie: 'strip' })).toBe(1)
    await using stripping = at.cached({ ...shared, setCookie: 'strip' })
    await text(stripping(`${at.origin.url}/row40`))
    expect((await stripping(`${at.origin.url}/row40`)).headers.getSetCookie()).toEqual([])
  })
})

test('row 41: without any freshness: not stored; with a validator: stored, and revalidated on every use', async () => {
  at.answer('/row41', { body: 'x' })
  expect(await asked('/row41', {})).toBe(2)
  await using cached = at.cached()
  for (let n = 0; n < 3; n++) await text(cached(`${at.origin.url}/etag/row41`))
  const conditions = at.origin.requests.filter(({ path }) => path === '/etag/row41')
  expect(conditions.map((request) => request.header('if-none-match'))).toEqual([null, '"row41"', '"row41"'])
})
