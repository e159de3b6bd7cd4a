/** Checklist rows 72, 88 and 143: lifetimes made by a function, lifetimes that hits prolong, and refreshing ahead of their end. */
import { join } from 'node:path'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  cacheInfo,
  MemoryStore,
  OptionError,
  type CacheEvent,
  type CachedSession,
  type ExpireAfter,
  type Store,
} from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FaultyStore } from '../../src/testing/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

afterEach(() => vi.restoreAllMocks())

const STORES: readonly (readonly [name: string, make: () => Store])[] = [
  ['memory', () => new MemoryStore()],
  ['sqlite', () => new SqliteStore(join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db'))],
]

async function left(s: CachedSession, path: string): Promise<number | undefined> {
  const entry = await s.cache.get(path)
  return entry?.expiresAt && (entry.expiresAt.getTime() - at.clock.now()) / 1000
}

describe('row 72: a function of the request and the response', () => {
  test('is told both, and makes the lifetime of what says nothing itself', async () => {
    const seen: unknown[] = []
    const expireAfter: ExpireAfter = (request, response) => {
      seen.push([request.method, request.url, request.headers.get('X-Who'), response.status, response.statusText])
      return response.headers.get('x-ttl') ?? undefined
    }
    at.origin.route('/said/{ttl}', ({ params }) => ({ headers: { 'X-TTL': String(params['ttl']) }, body: 'x' }))
    await using s = at.session({ expireAfter })
    for (const [ttl, seconds] of [
      ['5m', 300],
      ['90s', 90],
      ['never', undefined],
    ] as const) {
      await text(s.get(`/said/${ttl}`, { headers: { 'x-who': 'me' } }))
      expect(await left(s, `/said/${ttl}`)).toBe(seconds)
    }
    expect(seen[0]).toEqual(['GET', `${at.origin.url}/said/5m`, 'me', 200, 'OK'])
    // Cache-Control of the response goes before it, unless `override` or `cacheControl: false` says otherwise.
    await text(s.get('/cache/60'))
    expect(await left(s, '/cache/60')).toBe(60)
    await text(s.get('/cache/61', { httpCache: { expireAfter: () => 5, override: true } }))
    expect(await left(s, '/cache/61')).toBe(5)
  })

  test('undefined leaves it to what is in force without it: another function, then a duration', async () => {
    const nothing: ExpireAfter = () => undefined
    const images: ExpireAfter = (_, { headers }) => (headers.get('content-type') === 'image/png' ? '1d' : undefined)
    await using s = at.session({
      expireAfter: '1h',
      urlsExpireAfter: { '*/image': images, '*/json': { expireAfter: nothing } },
    })
    const lifetime = async (path: string, expireAfter?: ExpireAfter): Promise<number | undefined> => {
      await text(s.get(path, expireAfter === undefined ? {} : { httpCache: { expireAfter } }))
      return left(s, path)
    }
    expect(await lifetime('/image/png')).toBe(86_400)
    expect(await lifetime('/image/jpeg')).toBe(3600)
    expect(await lifetime('/json')).toBe(3600)
    expect(await lifetime('/image/png?a', nothing)).toBe(86_400)
    expect(await lifetime('/image/png?b', 60)).toBe(60)
  })

  test('0 keeps it out; what is stored is still answered', async () => {
    at.origin.route('/kept', () => ({ headers: { ETag: '"1"' }, body: 'x' }))
    const store = new MemoryStore()
    await using s = at.session({ store, expireAfter: () => 0 })
    await text(s.get('/kept'))
    const response = await s.get('/kept')
    expect([response.fromCache, cacheInfo(response)?.refused]).toEqual([false, 'expire-after-zero'])
    await using other = at.session({ store })
    await text(other.get('/kept'))
    expect((await s.get('/kept')).fromCache).toBe(true)
    expect(at.origin.count('/kept')).toBe(3)
  })

  test('a duration of 0 beneath it does not keep it from being asked; what it leaves open is kept out', async () => {
    const asked: string[] = []
    const sayings: ExpireAfter = ({ url }) => {
      asked.push(url)
      return url.endsWith('open') ? undefined : '1h'
    }
    at.origin.route('/zero/{name}', () => ({ body: 'x' }))
    await using s = at.session({ expireAfter: 0, urlsExpireAfter: { '*/zero/*': sayings } })
    for (const [name, kept] of [
      ['said', true],
      ['open', false],
    ] as const) {
      await text(s.get(`/zero/${name}`))
      expect(asked.at(-1)).toBe(`${at.origin.url}/zero/${name}`)
      const again = await s.get(`/zero/${name}`)
      expect([name, again.fromCache, cacheInfo(again)?.refused]).toEqual([
        name,
        kept,
        kept ? undefined : 'expire-after-zero',
      ])
    }
    expect(await left(s, '/zero/said')).toBe(3600)
  })

  test('a 304 is asked about with the stored status and the new headers; 0 then is stale at once', async () => {
    let ttl = '60'
    at.origin.route('/etag-ttl', ({ request }) => ({
      status: request.header('if-none-match') ? 304 : 200,
      headers: { ETag: '"1"', 'X-TTL': ttl },
      body: 'x',
    }))
    const statuses: number[] = []
    await using s = at.session({
      expireAfter: (_, { status, headers }) => {
        statuses.push(status)
        return Number(headers.get('x-ttl'))
      },
    })
    await text(s.get('/etag-ttl'))
    at.seconds(60)
    ttl = '30'
    expect((await s.get('/etag-ttl')).revalidated).toBe(true)
    expect(await left(s, '/etag-ttl')).toBe(30)
    at.seconds(30)
    ttl = '0'
    await s.get('/etag-ttl')
    expect((await s.get('/etag-ttl')).revalidated).toBe(true)
    expect(statuses).toEqual([200, 200, 200, 200])
  })

  test('one that throws, or gives no duration, costs the entry, not the response; a warning says why', async () => {
    const warnings: string[] = []
    vi.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(String(warning)))
    const events: CacheEvent[] = []
    await using s = at.session()
    await s.on('refused', (event) => events.push(event))
    const broken: ExpireAfter = () => {
      throw new Error('boom')
    }
    for (const expireAfter of [broken, () => 'soon', () => Number.NaN])
      expect(await got(s.get('/get', { httpCache: { expireAfter } }))).toEqual([200, false])
    expect(events.map((event) => 'reason' in event && event.reason)).toEqual(Array(3).fill('expire-after-failed'))
    expect(warnings.map((warning) => /boom|'soon'|NaN/.exec(warning)?.[0])).toEqual(['boom', "'soon'", 'NaN'])
    expect(await s.cache.has('/get')).toBe(false)
  })

  test('expireAfterByStatus goes before it', async () => {
    await using s = at.session({ expireAfter: () => 60, expireAfterByStatus: { 404: 5 } })
    await text(s.get('/status/404'))
    expect(await left(s, '/status/404')).toBe(5)
  })
})

describe.each(STORES)('row 88: sliding expiration on %s', (_, make) => {
  test('a hit begins the lifetime anew; without hits it ends', async () => {
    await using s = at.session({ store: make(), autoClose: true, expireAfter: 60, slidingExpiration: true })
    await text(s.get('/get'))
    for (let n = 0; n < 5; n++) {
      at.seconds(50)
      const response = await s.get('/get')
      expect(response.fromCache).toBe(true)
      expect(response.expiresAt?.getTime()).toBe(at.clock.now() + 60_000)
      // The age is what it is: the origin was asked once.
      expect(response.headers.get('age')).toBe(String(50 * (n + 1)))
      await response.text()
    }
    await until(async () => (await left(s, '/get')) === 60)
    at.seconds(60)
    expect((await s.get('/get')).fromCache).toBe(false)
    expect(at.origin.count('/get')).toBe(2)
  })

  test('what the origin said about freshness does not slide, nor an instant, nor for ever', async () => {
    const day = new Date(at.clock.now() + 100_000)
    await using s = at.session({
      store: make(),
      autoClose: true,
      slidingExpiration: true,
      expireAfter: 100,
      urlsExpireAfter: { '*/uuid': day, '*/headers': 'never' },
    })
    at.answer('/uuid', { body: 'x' })
    for (const path of ['/cache/100', '/uuid', '/headers']) await text(s.get(path))
    at.seconds(90)
    for (const path of ['/cache/100', '/uuid', '/headers']) expect((await s.get(path)).fromCache).toBe(true)
    expect(await left(s, '/cache/100')).toBe(10)
    expect(await left(s, '/uuid')).toBe(10)
    expect(await left(s, '/headers')).toBe(undefined)
  })

  test('maxAge is the end of it; a 304 begins anew', async () => {
    await using s = at.session({
      store: make(),
      autoClose: true,
      expireAfter: 60,
      slidingExpiration: { maxAge: 100 },
    })
    await text(s.get('/etag/slides'))
    at.seconds(50)
    expect((await s.get('/etag/slides')).expiresAt?.getTime()).toBe(at.clock.now() + 50_000)
    at.seconds(49)
    expect((await s.get('/etag/slides')).fromCache).toBe(true)
    at.seconds(1)
    expect((await s.get('/etag/slides')).revalidated).toBe(true)
    expect(await left(s, '/etag/slides')).toBe(60)
  })
})

test('row 88: a busy entry is written a hundred times in its lifetime, not at each hit; a store that fails costs nothing', async () => {
  const store = new FaultyStore(new MemoryStore())
  await using s = at.session({ store, expireAfter: 100, slidingExpiration: true })
  await text(s.get('/get'))
  for (let n = 0; n < 50; n++) await text(s.get('/get'))
  expect(store.calls.update).toBe(0)
  for (let n = 0; n < 50; n++) {
    at.clock.advance(100)
    await text(s.get('/get'))
  }
  expect(store.calls.update).toBeLessThan(6)
  store.fail('update', 'reject')
  at.seconds(50)
  expect(await got(s.get('/get'))).toEqual([200, true])
  store.fail('update', 'hang')
  at.seconds(10)
  expect(await got(s.get('/get'))).toEqual([200, true])
})

test('row 88: only sessions that ask for it prolong, readOnly never; the entry keeps its own lifetime; resetExpiration gives another', async () => {
  const store = new MemoryStore()
  await using s = at.session({ store, expireAfter: 60, slidingExpiration: true })
  await text(s.get('/get', { httpCache: { expireAfter: 20 } }))
  at.seconds(10)
  await using plain = at.session({ store, expireAfter: 60 })
  await using reading = at.session({ store, expireAfter: 60, slidingExpiration: true, readOnly: true })
  for (const other of [plain, reading]) expect((await other.get('/get')).fromCache).toBe(true)
  expect(await left(s, '/get')).toBe(10)
  await text(s.get('/get'))
  expect(await left(s, '/get')).toBe(20)
  await s.cache.resetExpiration(40)
  at.seconds(30)
  await text(s.get('/get'))
  expect(await left(s, '/get')).toBe(40)
})

test('row 88: what was invalidated by a tag is not brought back by hits', async () => {
  await using s = at.session({ expireAfter: 60, slidingExpiration: true, tags: ['t'] })
  await text(s.get('/get'))
  at.seconds(30)
  await text(s.get('/get'))
  await s.cache.invalidateTags('t')
  at.seconds(1)
  expect((await s.get('/get')).fromCache).toBe(false)
})

describe.each(STORES)('row 143: refreshing ahead on %s', (_, make) => {
  test('late in its lifetime a hit is answered at once, and one refresh brings the next answer', async () => {
    let version = 1
    at.origin.route('/ahead', async () => ({ headers: { 'Cache-Control': 'max-age=100' }, body: `v${version}` }))
    const events: CacheEvent[] = []
    await using s = at.session({ store: make(), autoClose: true, refreshAhead: 0.8 })
    await s.on('*', (event) => events.push(event))
    await text(s.get('/ahead'))
    version = 2
    at.seconds(79)
    expect(await text(s.get('/ahead'))).toBe('v1')
    at.seconds(1)
    expect(await Promise.all(Array.from({ length: 20 }, () => text(s.get('/ahead'))))).toEqual(Array(20).fill('v1'))
    await until(async () => (await text(s.get('/ahead'))) === 'v2')
    expect(at.origin.count('/ahead')).toBe(2)
    expect(await left(s, '/ahead')).toBe(100)
    expect(events.some((event) => event.type === 'stale')).toBe(false)
  })

  test('a validator is used: a 304 renews the entry, and nobody waits for it', async () => {
    await using s = at.session({ store: make(), autoClose: true, expireAfter: 100, refreshAhead: 0.5 })
    const reasons: string[] = []
    await s.on('revalidated', ({ reason }) => reasons.push(reason))
    await text(s.get('/etag/ahead'))
    at.seconds(50)
    expect((await s.get('/etag/ahead')).fromCache).toBe(true)
    await until(async () => (await left(s, '/etag/ahead')) === 100)
    expect(at.origin.requests[1]?.header('if-none-match')).toBe('"ahead"')
    expect(reasons).toEqual(['refresh-ahead'])
  })

  test('after so many hits since it was fetched, whatever its lifetime', async () => {
    let version = 0
    at.origin.route('/hits', () => ({ body: `v${++version}` }))
    await using s = at.session({ store: make(), autoClose: true, refreshAhead: { hits: 3 } })
    await text(s.get('/hits'))
    for (let n = 0; n < 2; n++) await text(s.get('/hits'))
    expect(at.origin.count('/hits')).toBe(1)
    at.seconds(1)
    expect(await text(s.get('/hits'))).toBe('v1')
    await until(async () => (await s.cache.get('/hits'))?.createdAt.getTime() === at.clock.now())
    expect(await text(s.get('/hits'))).toBe('v2')
    await text(s.get('/hits'))
    expect(at.origin.count('/hits')).toBe(2)
  })
})

test('row 143: one refresh among all that share a store with locks', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db')
  let version = 1
  let open = (): void => undefined
  at.origin.route('/shared', async () => {
    if (version > 1) await new Promise<void>((resolve) => (open = resolve))
    return { headers: { 'Cache-Control': 'max-age=100' }, body: `v${version}` }
  })
  const sessions = Array.from({ length: 3 }, () =>
    at.session({ store: new SqliteStore(path), autoClose: true, singleFlight: 'store', refreshAhead: 0.5 }),
  )
  const all = (): Promise<string[]> => Promise.all(sessions.map((s) => text(s.get('/shared'))))
  for (const s of sessions) await text(s.get('/shared'))
  version = 2
  at.seconds(60)
  for (let n = 0; n < 3; n++) expect(await all()).toEqual(['v1', 'v1', 'v1'])
  await until(() => at.origin.count('/shared') === 2)
  open()
  await until(async () => (await all()).every((body) => body === 'v2'))
  expect(at.origin.count('/shared')).toBe(2)
  await Promise.all(sessions.map((s) => s.close()))
})

test('row 143: a refresh that fails is an event, is not tried at each hit, and takes nothing away', async () => {
  let broken = false
  at.origin.route('/fails', () =>
    broken ? { status: 503 } : { headers: { 'Cache-Control': 'max-age=100' }, body: 'x' },
  )
  const failures: string[] = []
  await using s = at.session({ refreshAhead: 0.5 })
  await s.on('refresh-failed', ({ url }) => failures.push(url))
  await text(s.get('/fails'))
  broken = true
  at.seconds(60)
  expect(await text(s.get('/fails'))).toBe('x')
  await until(() => failures.length === 1)
  for (let n = 0; n < 5; n++) expect(await text(s.get('/fails'))).toBe('x')
  expect(at.origin.count('/fails')).toBe(2)
})

test('row 143: never where it must not be: immutable, onlyIfCached, readOnly, unsafe methods; other hits are not counted', async () => {
  at.answer('/immutable', { headers: { 'Cache-Control': 'max-age=100, immutable' }, body: 'x' })
  at.answer('/plain', { headers: { 'Cache-Control': 'max-age=100' }, body: 'x' })
  at.origin.route('POST /post', () => ({ headers: { 'Cache-Control': 'max-age=100' }, body: 'x' }))
  await using s = at.session({ refreshAhead: { after: 0.1, hits: 1 }, allowedMethods: ['GET', 'HEAD', 'POST'] })
  for (const path of ['/immutable', '/plain']) await text(s.get(path, { httpCache: { refreshAhead: false } }))
  await text(s.post('/post', { json: 1 }))
  at.seconds(50)
  for (let n = 0; n < 3; n++) {
    await text(s.get('/immutable'))
    await text(s.post('/post', { json: 1 }))
    await text(s.get('/plain', { httpCache: { onlyIfCached: true } }))
    await text(s.get('/plain', { httpCache: { readOnly: true } }))
    await text(s.get('/plain', { httpCache: { refreshAhead: false } }))
    await text(s.head('/plain'))
  }
  expect(at.origin.requests).toHaveLength(3)
})

test('rows 72, 88, 143: wrong values are errors at once', () => {
  for (const options of [
    { slidingExpiration: 60 },
    { slidingExpiration: {} },
    { slidingExpiration: { maxAge: 'soon' } },
    { slidingExpiration: { maximum: 60 } },
    { refreshAhead: true },
    { refreshAhead: 33 },
    { refreshAhead: {} },
    { refreshAhead: { hits: 0 } },
    { refreshAhead: { after: 0.5, beta: 1 } },
    { expireAfter: {} },
  ])
    expect(() => at.session(options as object)).toThrow(OptionError)
})
