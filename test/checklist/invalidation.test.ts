/** Checklist rows 240-245 (also test/session `I2`, test/engine `D65`, `variants`). */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CachedSession, type SessionOptions } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { STORES, until } from '../engine/support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

function session(options: SessionOptions = {}): CachedSession {
  return new CachedSession({ baseUrl: origin.url, ...options })
}

/** What a ban is about: the first version of a document. */
const banned = (headers: readonly (readonly [string, string])[]): boolean =>
  headers.some(([field, value]) => field === 'x-version' && value === '1')

async function load(s: CachedSession, ...paths: string[]): Promise<boolean[]> {
  const hits: boolean[] = []
  for (const path of paths) {
    const response = await s.get(path)
    await response.text()
    hits.push(response.fromCache)
  }
  return hits
}

describe.each(STORES)('on %s', (name, make) => {
  test('row 240: tags by option, by URL and from headers; a response without the header has none', async () => {
    const store = make()
    const clock = new FakeClock()
    const host = new URL(origin.url).host
    origin.route('/tagged', () => ({
      headers: { 'surrogate-key': 'shoes  red', 'cache-tag': 'sale, shoes' },
      body: 'x',
    }))
    origin.route('/empty-tag', () => ({ headers: { 'cache-tag': ' , ' }, body: 'x' }))
    await using s = session({
      store,
      clock,
      tags: ['all'],
      tagHeaders: ['Surrogate-Key', 'Cache-Tag'],
      urlsExpireAfter: [[`${host}/json`, { tags: ['json'] }]],
    })
    await load(s, '/tagged', '/empty-tag', '/json', '/get')
    const tagsOf = async (path: string): Promise<readonly string[] | undefined> =>
      (await s.cache.get(path))?.tags.toSorted()
    expect(await tagsOf('/tagged')).toEqual(['all', 'red', 'sale', 'shoes'])
    expect(await tagsOf('/empty-tag')).toEqual(['all'])
    expect(await tagsOf('/json')).toEqual(['all', 'json'])
    clock.advance(10)
    await s.cache.invalidateTags(['', 'not a tag of anything'], 'delete')
    expect(await load(s, '/tagged', '/empty-tag', '/json', '/get')).toEqual([true, true, true, true])
    await s.cache.invalidateTags('shoes', 'delete')
    clock.advance(10)
    expect(await load(s, '/tagged', '/empty-tag', '/json', '/get')).toEqual([false, true, true, true])
    clock.advance(10)
    await s.cache.delete({ tag: ['json', 'shoes'] })
    clock.advance(10)
    expect(await load(s, '/tagged', '/empty-tag', '/json', '/get')).toEqual([false, true, false, true])
    await store.close()
  })

  test('row 241: by glob, by RegExp, by function', async () => {
    const store = make()
    await using s = session({ store })
    const host = new URL(origin.url).host
    await load(s, '/anything/a/1', '/anything/a/2', '/anything/b/1', '/get')
    expect(await s.cache.delete({ pattern: `${host}/anything/a` })).toBe(2)
    expect(await s.cache.delete({ pattern: /\/b\/\d$/g })).toBe(1)
    expect(await s.cache.delete({ pattern: ({ pathname }) => pathname === '/nothing' })).toBe(0)
    expect(await s.cache.urls()).toEqual([`${origin.url}/get`])
    await store.close()
  })

  test('rows 242, 243: hard is gone, soft is revalidated and served where the origin fails; both without a scan', async () => {
    const store = make()
    const clock = new FakeClock()
    await using s = session({ store, clock, tags: ['v1'], staleIfError: true })
    const path = `/soft-${name}`
    origin.route(path, () => ({ headers: { etag: '"a"' }, body: 'x' }))
    await load(s, path)
    clock.advance(10)
    await s.cache.invalidateTags('v1', 'stale')
    clock.advance(10)
    origin.route(path, () => ({ status: 503 }))
    expect(await load(s, path)).toEqual([true])
    expect(origin.requests.at(-1)?.header('if-none-match')).toBe('"a"')
    await s.cache.invalidateTags('v1', 'delete')
    clock.advance(10)
    expect((await s.get(path)).status).toBe(503)
    expect(origin.requests.at(-1)?.header('if-none-match')).toBe(null)
    await store.close()
  })

  test('row 244: a filter is a ban: it is asked when an entry is met, and what it refuses is fetched anew', async () => {
    const store = make()
    await using before = session({ store })
    origin.route(`/doc-${name}`, ({ request }) => ({ headers: { 'x-version': request.serial }, body: 'doc' }))
    await load(before, `/doc-${name}`)
    await using s = session({ store, filter: ({ headers }) => !banned(headers) })
    expect(await load(s, `/doc-${name}`, `/doc-${name}`)).toEqual([false, true])
    expect(origin.count()).toBe(2)
    await store.close()
  })

  test('row 245: deleting a URL takes its variants, its HEAD and its parts', async () => {
    const store = make()
    await using s = session({ store })
    for (const lang of ['de', 'en', 'fr'])
      await (await s.get('/vary?by=accept-language', { headers: { 'accept-language': lang } })).text()
    await s.head('/range/1000?max-age=60')
    await (await s.get('/range/1000?max-age=60', { headers: { range: 'bytes=0-99' } })).text()
    await until(async () => (await Array.fromAsync(s.cache.entries())).length === 5)
    await s.cache.delete({ url: ['/vary?by=accept-language', '/range/1000?max-age=60'] })
    expect(await Array.fromAsync(s.cache.entries())).toEqual([])
    origin.reset()
    for (const lang of ['de', 'en', 'fr'])
      await (await s.get('/vary?by=accept-language', { headers: { 'accept-language': lang } })).text()
    expect(origin.count()).toBe(3)
    await store.close()
  })
})
