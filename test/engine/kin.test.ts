/** The kin of RFC 9111 (feature R3): No-Vary-Search, cache groups, Cache-Status, targeted fields, disconnection. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { cacheInfo } from '../../src/index.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, STORES, until } from './support.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const FRESH = { 'Cache-Control': 'max-age=60' }
const page = (headers: Record<string, string>, body = 'x') => ({ headers: { ...FRESH, ...headers }, body })

describe.each(STORES)('No-Vary-Search on %s', (_, make) => {
  it('a query that differs in what makes no difference is a hit; any other is not', async () => {
    const path = `/search-${_}`
    origin.route(path, ({ request }) => page({ 'No-Vary-Search': 'params=("utm"), key-order' }, request.path))
    const { fetch } = bench({ store: make() })
    const get = async (query: string): Promise<boolean> => {
      const response = await fetch(`${origin.url}${path}${query}`)
      await response.text()
      return response.fromCache
    }
    expect(await get('?a=1&b=2')).toBe(false)
    expect([await get('?b=2&a=1'), await get('?utm=x&a=1&b=2'), await get('?a=1&b=2')]).toEqual([true, true, true])
    expect([await get('?a=2&b=2'), await get('')]).toEqual([false, false])
    expect(origin.count(path)).toBe(3)
    await fetch.close()
  })

  it('once stale it is revalidated, and what comes instead is stored for its own query', async () => {
    const path = `/search-stale-${_}`
    const { fetch, clock } = bench({ store: make() })
    const date = (): string => new Date(clock.now()).toUTCString()
    origin.route(path, () => page({ 'No-Vary-Search': 'params', ETag: '"1"', Date: date() }))
    await (await fetch(`${origin.url}${path}?a`)).text()
    clock.advance(61_000)
    await (await fetch(`${origin.url}${path}?b`)).text()
    await until(() => fetch.stats().stored === 2)
    expect(origin.requests.at(-1)?.header('if-none-match')).toBe('"1"')
    expect((await fetch(`${origin.url}${path}?c`)).fromCache).toBe(true)
    await fetch.close()
  })

  it('says nothing where it does not parse, and never crosses identities', async () => {
    const path = `/search-private-${_}`
    origin.route(path, ({ request }) =>
      page({ 'No-Vary-Search': request.query.has('bad') ? 'params=nonsense' : 'params' }),
    )
    const { fetch } = bench({ store: make() })
    const get = async (query: string, user: string): Promise<boolean> => {
      const response = await fetch(`${origin.url}${path}${query}`, { headers: { authorization: user } })
      await response.text()
      return response.fromCache
    }
    await get('?bad=1', 'a')
    expect(await get('?bad=2', 'a')).toBe(false)
    await get('?x=1', 'a')
    expect([await get('?x=2', 'b'), await get('?x=3', 'a')]).toEqual([false, true])
    await fetch.close()
  })
})

it('No-Vary-Search outlives the process that stored it', async () => {
  const [, make] = STORES[1] ?? []
  const store = make?.()
  if (store === undefined) throw new Error('no persistent store')
  origin.route('/search-again', () => page({ 'No-Vary-Search': 'params' }))
  const first = bench({ store })
  await (await first.fetch(`${origin.url}/search-again?a`)).text()
  const second = bench({ store })
  expect((await second.fetch(`${origin.url}/search-again?b`)).fromCache).toBe(true)
  await store.close()
})

describe.each(STORES)('cache groups (RFC 9875) on %s', (_, make) => {
  it('an unsafe request invalidates the groups its response names, of its own origin only', async () => {
    const other = await startOrigin()
    for (const at of [origin, other]) {
      at.route('/g', () => page({ 'Cache-Groups': '"scripts", "x";p=1' }))
      at.route('/h', () => page({ 'Cache-Groups': '"styles"' }))
      at.route('POST /edit', () => ({ status: 204, headers: { 'Cache-Group-Invalidation': '"scripts"' } }))
      at.route('POST /fails', () => ({ status: 500, headers: { 'Cache-Group-Invalidation': '"styles"' } }))
    }
    const { fetch, clock } = bench({ store: make() })
    const urls = [`${origin.url}/g`, `${origin.url}/h`, `${other.url}/g`]
    for (const url of urls) await (await fetch(url)).text()
    clock.advance(1000)
    await fetch(`${origin.url}/edit`, { method: 'POST' })
    await fetch(`${origin.url}/fails`, { method: 'POST' })
    const hits = []
    for (const url of urls) hits.push((await fetch(url)).fromCache)
    expect(hits).toEqual([false, true, true])
    await other.close()
    await fetch.close()
  })
})

describe('Cache-Status (RFC 9211)', () => {
  it('says what happened, one member for this cache, after those of others', async () => {
    origin.route('/s', ({ request }) => ({
      ...page({ ETag: '"1"', 'Cache-Status': 'Front; hit' }),
      status: request.header('if-none-match') === '"1"' ? 304 : 200,
    }))
    const { fetch, clock } = bench({ cacheStatus: 'mine' })
    const ask = async (init?: Parameters<typeof fetch>[1]): Promise<string> => {
      const response = await fetch(`${origin.url}/s`, init)
      await response.text()
      return (response.headers.get('cache-status') ?? '').replace(/; key="[^"]*"/, '')
    }
    expect(await ask()).toBe('Front; hit, mine; fwd=uri-miss; stored; detail=uri-miss')
    expect(await ask()).toMatch(/^Front; hit, mine; hit; ttl=60; detail=/)
    clock.advance(90_000)
    expect(await ask()).toMatch(/^Front; hit, mine; fwd=stale; fwd-status=304;/)
    expect(await ask({ cache: 'no-store' })).toMatch(/mine; fwd=(bypass|request);/)
    expect(await ask({ method: 'POST' })).toMatch(/mine; fwd=method;/)
  })

  it('a collapsed request is no hit (section 2.7)', async () => {
    origin.route('/slow', () => ({ ...page({}), delay: 30 }))
    const { fetch } = bench({ cacheStatus: true })
    const all = await Promise.all([fetch(`${origin.url}/slow`), fetch(`${origin.url}/slow`)])
    expect(all[1]?.headers.get('cache-status')).toMatch(/^keepfresh; fwd=miss; collapsed/)
  })

  it('is not there unless it is asked for', async () => {
    const { fetch } = bench()
    expect((await fetch(`${origin.url}/cache/60`)).headers.has('cache-status')).toBe(false)
  })
})

describe('targeted fields (RFC 9213)', () => {
  const count = async (headers: Record<string, string>, options: object): Promise<number> => {
    origin.reset()
    origin.route('/t', () => ({ headers, body: 'x' }))
    const { fetch } = bench(options)
    for (let n = 0; n < 2; n++) await (await fetch(`${origin.url}/t`)).text()
    return origin.count('/t')
  }
  it.each([
    [
      'takes the place of Cache-Control',
      { 'CDN-Cache-Control': 'max-age=60', 'Cache-Control': 'no-store' },
      { shared: true },
      1,
    ],
    ['forbids where Cache-Control allows', { 'CDN-Cache-Control': 'no-store', ...FRESH }, { shared: true }, 2],
    ['is passed over where it does not parse', { 'CDN-Cache-Control': 'no-store, =', ...FRESH }, { shared: true }, 1],
    ['is passed over where it is empty', { 'CDN-Cache-Control': '', ...FRESH }, { shared: true }, 1],
    ['has typed values: a string is no number', { 'CDN-Cache-Control': 'max-age="60"', ...FRESH }, { shared: true }, 1],
    ['means nothing to a private cache', { 'CDN-Cache-Control': 'no-store', ...FRESH }, {}, 1],
    [
      'of another name counts by option, first in the list',
      { 'A-CC': 'max-age=60', 'B-CC': 'no-store' },
      { targets: ['a-cc', 'b-cc'] },
      1,
    ],
  ] as const)('%s', async (_, headers, options, expected) => {
    expect(await count(headers, options)).toBe(expected)
  })
})

describe('serveStaleWhenDisconnected (RFC 9111 section 4.2.4)', () => {
  it.each([
    ['max-age=1', 200],
    ['max-age=1, must-revalidate', 504],
    ['max-age=1, no-cache', 504],
    ['max-age=1, proxy-revalidate', 504],
    ['s-maxage=1', 504],
  ] as const)('%s: %i', async (cacheControl, expected) => {
    origin.script(
      '/gone',
      [
        { headers: { 'Cache-Control': cacheControl }, body: 'old' },
        { empty: true, cut: 'reset' },
      ],
      'last',
    )
    const { fetch, clock } = bench({ shared: true, serveStaleWhenDisconnected: true })
    await (await fetch(`${origin.url}/gone`)).text()
    clock.advance(5000)
    const response = await fetch(`${origin.url}/gone`)
    expect(response.status).toBe(expected)
    if (expected === 200) expect([await response.text(), cacheInfo(response)?.outcome]).toEqual(['old', 'stale'])
  })
})
