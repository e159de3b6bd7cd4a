/** What somebody who comes from requests-cache or aiohttp-client-cache takes for granted, where no other row says it. */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  CachedSession,
  createCachedFetch,
  MemoryStore,
  OptionError,
  type SessionOptions,
  type SessionRequest,
} from '../../src/index.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { text, useBench } from '../checklist/support.ts'

const at = useBench()

describe('row 95: a session that is off the network', () => {
  test('answers what is stored, and 504 for the rest, whatever the method', async () => {
    await using s = at.session()
    await text(s.get('/get'))
    const asked = at.origin.count()
    s.configure({ onlyIfCached: true })
    expect((await s.get('/get')).fromCache).toBe(true)
    expect((await s.fetch('/get')).fromCache).toBe(true)
    for (const response of [await s.get('/json'), await s.post('/post', { json: 1 }), await s.head('/html')])
      expect(response.status).toBe(504)
    expect(at.origin.count()).toBe(asked)
    await text(s.get('/json', { httpCache: { onlyIfCached: false } }))
    expect(at.origin.count()).toBe(asked + 1)
  })

  test('what has expired counts with staleIfError, and nothing is refreshed', async () => {
    const clock = new FakeClock()
    await using s = at.session({ expireAfter: 1, clock })
    await text(s.get('/get'))
    clock.advance(2000)
    s.configure({ onlyIfCached: true })
    expect((await s.get('/get')).status).toBe(504)
    s.configure({ staleIfError: true })
    const stale = await s.get('/get', { httpCache: { refresh: true } })
    expect([stale.status, stale.fromCache, stale.isExpired]).toEqual([200, true, true])
    expect(at.origin.count()).toBe(1)
  })

  test('a rule by URL, and a cached fetch', async () => {
    await using s = at.session({ urlsExpireAfter: { '*/json': { onlyIfCached: true } } })
    expect([(await s.get('/json')).status, (await s.get('/get')).status]).toEqual([504, 200])
    const fetch = createCachedFetch({ onlyIfCached: true })
    expect((await fetch(`${at.origin.url}/get`)).status).toBe(504)
    await fetch.close()
  })
})

test('row 73: what expires at once is kept only where it can be revalidated, and is, at each use', async () => {
  await using s = at.session({ expireAfter: new Date(0) })
  await text(s.get('/get'))
  expect([await s.cache.has('/get'), (await s.get('/get')).fromCache]).toEqual([false, false])
  await text(s.get('/etag/row73'))
  for (let n = 0; n < 2; n++) {
    const response = await s.get('/etag/row73')
    expect([response.fromCache, response.revalidated, await response.text()].slice(0, 2)).toEqual([true, true])
  }
})

describe('S5: names of the other clients', () => {
  test.each([
    ['expire_after', 'httpCache: { expireAfter }'],
    ['force_refresh', 'httpCache: { forceRefresh }'],
    ['only_if_cached', 'httpCache: { onlyIfCached }'],
    ['stale_if_error', 'httpCache: { staleIfError }'],
    ['hooks', 'an option of the session'],
    ['verify', 'dispatcher'],
    ['proxies', 'dispatcher'],
    ['files', 'FormData'],
    ['stream', 'bodies always stream'],
    ['ttl', 'httpCache: { expireAfter }'],
  ])('%s of a request would be lost', async (name, hint) => {
    await using s = at.session()
    await expect(s.get('/get', { [name]: 1 } as SessionRequest)).rejects.toThrow(hint)
    expect(at.origin.count()).toBe(0)
  })

  test('a fetch of the user’s own may know them', async () => {
    const seen: unknown[] = []
    const own = (async (_input: unknown, init: unknown) => {
      seen.push(init)
      return new Response('x')
    }) as typeof fetch
    await using s = at.session({ fetch: own })
    await text(s.get('/get', { hooks: {}, verify: false } as SessionRequest))
    expect(seen[0]).toMatchObject({ hooks: {}, verify: false })
  })

  test.each([
    ['old_data_on_error', 'did you mean staleIfError?'],
    ['include_get_headers', 'did you mean matchHeaders?'],
    ['connection', 'to the store you make, as client'],
    ['verify', 'give a dispatcher of undici'],
    ['db_path', 'an option of a store'],
  ])('%s of a session', (name, hint) => {
    expect(() => new CachedSession({ [name]: 1 } as SessionOptions)).toThrow(OptionError)
    expect(() => new CachedSession({ [name]: 1 } as SessionOptions)).toThrow(hint)
  })

  test.each<[unknown, string]>([
    ['http_cache', "a store is given as { store: 'sqlite:http.db' }, a base as { baseUrl }"],
    [new MemoryStore(), 'a store is given as { store }'],
    [globalThis.fetch, 'a fetch is given as { fetch }'],
  ])('the first argument of other clients: %o', (given, hint) => {
    expect(() => new CachedSession(given as SessionOptions)).toThrow(hint)
    expect(() => createCachedFetch(given as SessionOptions)).toThrow(hint)
  })

  test('a body that fetch would send as [object Object]', async () => {
    await using s = at.session()
    for (const body of [{ a: 1 }, [1, 2]] as unknown[])
      await expect(s.post('/post', { body } as SessionRequest)).rejects.toThrow('given as json or form')
    const gave = async function* (): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode('streamed')
    }
    const sent = await s.post('/post', { body: gave() as never, duplex: 'half' } as SessionRequest)
    expect(await sent.json()).toMatchObject({ data: 'streamed' })
  })
})

test('I4: what cannot be asked for is refused before anything is; what fails is counted', async () => {
  await using s = at.session()
  const wrong: readonly unknown[] = [5, null, undefined, '/get', {}, [undefined], ['/get', 5], [{}]]
  for (const urls of wrong)
    await expect(Reflect.apply(s.cache.warm, s.cache, [urls])).rejects.toThrow(/warm takes an array/)
  expect(at.origin.count()).toBe(0)
  const urls = new Set(['/get', new URL(`${at.origin.url}/json`), new Request(`${at.origin.url}/html`), 'http://['])
  expect(await s.cache.warm(urls)).toEqual({ done: 4, failed: 1, total: 4 })
})

test('S6: a response that is printed says what the cache knows of it, and can be read afterwards', async () => {
  await using s = at.session({ expireAfter: '1h' })
  const live = await s.get('/get')
  expect(inspect(live)).toMatch(/^Response \{\n {2}status: 200,[\s\S]+fromCache: false,[\s\S]+expiresAt: 2/)
  await live.text()
  const hit = await s.get('/get')
  expect(inspect(hit)).toContain('fromCache: true')
  expect(hit.bodyUsed).toBe(false)
  expect(await hit.json()).toMatchObject({ method: 'GET' })
  expect(inspect([hit])).toContain('bodyUsed: true')
})
