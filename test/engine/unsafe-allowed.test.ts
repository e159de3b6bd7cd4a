/** RFC 9111 section 4.4, where the user has answers to an unsafe method stored: its URL's GET is invalidated all the same. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCachedFetch, type CachedFetch } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { STORES } from './support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const KEPT = { 'cache-control': 'max-age=60' }

describe.each(STORES)('allowedMethods with POST, on %s', (name, make) => {
  const path = `/allowed-${name}`

  /** Whether a GET, and a POST with a body, are answered from the store. */
  async function hits(fetch: CachedFetch, ...bodies: string[]): Promise<boolean[]> {
    const seen: boolean[] = []
    const got = await fetch(origin.url + path)
    await got.text()
    seen.push(got.fromCache)
    for (const body of bodies) {
      const posted = await fetch(origin.url + path, { method: 'POST', body })
      await posted.text()
      seen.push(posted.fromCache)
    }
    return seen
  }

  test('a POST that reaches the origin has the GET of its URL gone, and leaves other POSTs', async () => {
    origin.route(path, () => ({ headers: KEPT, body: 'got' }))
    origin.route(`POST ${path}`, () => ({ headers: KEPT, body: 'posted' }))
    const fetch = createCachedFetch({ store: make(), allowedMethods: ['GET', 'POST'] })
    expect(await hits(fetch, 'a')).toEqual([false, false])
    // The POST is a hit now: nothing has reached the origin that could have changed anything.
    expect(await hits(fetch, 'a')).toEqual([false, true])
    expect(await hits(fetch, 'a', 'b')).toEqual([true, true, false])
    expect(await hits(fetch, 'a', 'b')).toEqual([false, true, true])
    await fetch.close()
  })

  test('one that fails, or is not stored, does so by its status alone', async () => {
    let status = 500
    origin.route(path, () => ({ headers: KEPT, body: 'got' }))
    origin.route(`POST ${path}`, () => ({ status, headers: { 'cache-control': 'no-store' }, body: 'posted' }))
    const fetch = createCachedFetch({ store: make(), allowedMethods: ['GET', 'POST'] })
    await hits(fetch, 'a')
    expect(await hits(fetch, 'a')).toEqual([true, false])
    status = 201
    expect(await hits(fetch, 'a')).toEqual([true, false])
    expect(await hits(fetch)).toEqual([false])
    await fetch.close()
  })

  test('what its Location names goes with it', async () => {
    origin.route(path, () => ({ headers: KEPT, body: 'got' }))
    origin.route('POST /make', () => ({ status: 201, headers: { ...KEPT, location: path }, body: 'made' }))
    const fetch = createCachedFetch({ store: make(), allowedMethods: ['GET', 'POST'] })
    await hits(fetch)
    await (await fetch(`${origin.url}/make`, { method: 'POST', body: 'x', redirect: 'manual' })).text()
    expect(await hits(fetch)).toEqual([false])
    await fetch.close()
  })

  test('with readOnly nothing is changed', async () => {
    origin.route(path, () => ({ headers: KEPT, body: 'got' }))
    origin.route(`POST ${path}`, () => ({ headers: KEPT, body: 'posted' }))
    const store = make()
    const fetch = createCachedFetch({ store, allowedMethods: ['GET', 'POST'] })
    await hits(fetch)
    const reading = createCachedFetch({ store, allowedMethods: ['GET', 'POST'], readOnly: true, autoClose: false })
    await hits(reading, 'a')
    expect(await hits(fetch)).toEqual([true])
    await fetch.close()
  })
})

test('cache.delete({ url }) takes along what answers for it by No-Vary-Search', async () => {
  origin.route('/list', () => ({ headers: { ...KEPT, 'no-vary-search': 'params=("utm")' }, body: 'list' }))
  const fetch = createCachedFetch()
  const get = async (query: string): Promise<boolean> => {
    const response = await fetch(`${origin.url}/list${query}`)
    await response.text()
    return response.fromCache
  }
  expect([await get('?a=1&utm=x'), await get('?a=1&utm=y'), await get('?a=2')]).toEqual([false, true, false])
  expect(await fetch.cache.delete({ url: `${origin.url}/list?a=1` })).toBe(1)
  expect([await get('?a=2&utm=z'), await get('?a=1&utm=y')]).toEqual([true, false])
})

test('feature E5: a stale answer to a POST takes the place of a server error', async () => {
  const clock = new FakeClock()
  let status = 200
  origin.route('POST /stale', () => ({ status, headers: { 'cache-control': 'max-age=10' }, body: 'posted' }))
  const fetch = createCachedFetch({ clock, staleIfError: true, allowedMethods: ['GET', 'POST'] })
  const post = (): Promise<Response> => fetch(`${origin.url}/stale`, { method: 'POST', body: 'a' })
  expect(await (await post()).text()).toBe('posted')
  clock.advance(20_000)
  status = 503
  const stale = await post()
  expect([stale.status, await stale.text()]).toEqual([200, 'posted'])
})

test('feature K4: under a key that a keyFn gives to the POST and the GET, the answer to the POST stays', async () => {
  origin.route('/same', () => ({ headers: KEPT, body: 'got' }))
  origin.route('POST /same', () => ({ headers: KEPT, body: 'posted' }))
  const fetch = createCachedFetch({ keyFn: ({ url }) => url, allowedMethods: ['GET', 'POST'] })
  const post = (): Promise<Response> => fetch(`${origin.url}/same`, { method: 'POST', body: 'a' })
  expect(await (await post()).text()).toBe('posted')
  expect(await (await post()).text()).toBe('posted')
  expect(origin.count()).toBe(1)
})
