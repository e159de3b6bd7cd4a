/** What somebody who comes from plain fetch, or mistypes, meets (features S1, S2, S5, I1). */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { CachedSession, createCachedFetch, MemoryStore, OptionError, type CachedFetch } from '../../src/index.ts'
import { cached } from '../../src/servers/handler.ts'
import { FileStore } from '../../src/stores/file.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

let origin: LocalOrigin
beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

describe('signals', () => {
  it('a signal that has aborted is obeyed on a hit, too', async () => {
    const fetch = createCachedFetch()
    const url = `${origin.url}/cache/60`
    await (await fetch(url)).text()
    await expect(fetch(url, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    await fetch.close()
  })

  it('one that aborts while the store is read asks no origin', async () => {
    const read = Promise.withResolvers<undefined>()
    const store = Object.assign(new MemoryStore(), { read: () => read.promise as never })
    let asked = 0
    const fetch = createCachedFetch({ store, fetch: async () => new Response(String((asked += 1))) })
    const aborter = new AbortController()
    const answer = fetch(`${origin.url}/cache/60`, { signal: aborter.signal })
    aborter.abort(new Error('enough'))
    read.resolve(undefined)
    await expect(answer).rejects.toThrow('enough')
    expect(asked).toBe(0)
    await fetch.close()
  })

  it.each([
    ['text()', (response: Response) => response.text()],
    ['body', (response: Response) => new Response(response.body).text()],
  ])('one that aborts ends a stored body that is being read: %s', async (_how, read) => {
    const store = new FileStore({ dir: mkdtempSync(join(tmpdir(), 'keepfresh-abort-')) })
    const fetch = createCachedFetch({ store, expireAfter: 60, autoClose: true })
    const url = `${origin.url}/large/${8 * 1024 * 1024}`
    await (await fetch(url)).bytes()
    const aborter = new AbortController()
    const hit = await fetch(url, { signal: aborter.signal })
    const reading = read(hit)
    aborter.abort(new Error('enough'))
    expect(hit.fromCache).toBe(true)
    await expect(reading).rejects.toThrow('enough')
    // And one that does not abort changes nothing.
    expect(await (await fetch(url, { signal: new AbortController().signal })).bytes()).toHaveLength(8 * 1024 * 1024)
    await fetch.close()
  })
})

it('S2: the params of a session are not added to a URL that has them: a response\u2019s own URL finds its entry', async () => {
  await using session = new CachedSession({ baseUrl: origin.url, params: { k: '1', l: 'a b' }, expireAfter: 60 })
  const response = await session.get('/anything/x')
  await response.text()
  expect(await session.cache.has(response.url)).toBe(true)
  expect(await session.cache.delete({ url: response.url })).toBe(1)
  expect(new URL((await session.get('/anything/x?k=2')).url).searchParams.getAll('k')).toEqual(['2', '1'])
})

it('S2: the fetch of a session is one by itself', async () => {
  await using session = new CachedSession({ baseUrl: origin.url, expireAfter: 60 })
  const { fetch } = session
  await (await fetch('/cache/60')).text()
  expect((await fetch('/cache/60')).fromCache).toBe(true)
})

it('S1, S5: what is no object of options, and a fetch that gives no Response, are told so', async () => {
  const wrong = (value: unknown): never => value as never
  expect(() => createCachedFetch(wrong(null))).toThrow(OptionError)
  expect(() => createCachedFetch(wrong('sqlite:x.db'))).toThrow('takes an object of options')
  expect(() => new CachedSession(wrong(null))).toThrow(OptionError)
  const nothing = createCachedFetch({ fetch: wrong(async () => undefined) })
  await expect(nothing('http://a.test/')).rejects.toThrow('did not resolve to a Response')
  const same = new Response('x', { headers: { 'cache-control': 'max-age=60' } })
  const again = createCachedFetch({ fetch: async () => same })
  expect(await (await again('http://a.test/1')).text()).toBe('x')
  await expect(again('http://a.test/2')).rejects.toThrow('it must give a new one each time')
  const bare = createCachedFetch({ fetch: wrong(async () => ({ status: 200, headers: new Headers() })) })
  await expect(bare('http://a.test/')).rejects.toThrow('no ReadableStream')
})

describe('S5: a name that is not known is refused wherever it is given', () => {
  const fetch: CachedFetch = createCachedFetch()
  const given = (wrong: unknown): never => wrong as never
  it.each<[string, () => Promise<unknown>]>([
    ['delete', () => fetch.cache.delete(given({ ulr: 'http://a.test/' }))],
    ['delete, a string', () => fetch.cache.delete(given('http://a.test/'))],
    ['deleteExpired', () => fetch.cache.deleteExpired(given({ olderThen: '1d' }))],
    ['entries', () => fetch.cache.entries(given({ ordr: 'size' })).next()],
    ['entries, order', () => fetch.cache.entries({ order: given('sise') }).next()],
    ['invalidateTags', () => fetch.cache.invalidateTags('t', given('gone'))],
    ['warm, a string', () => fetch.cache.warm('http://a.test/')],
    ['purge', () => cached(() => new Response()).purge(given({ tga: 't' }))],
    ['purge, a path without baseUrl', () => cached(() => new Response()).purge({ url: '/x' })],
  ])('%s', async (_where, call) => {
    await expect(call()).rejects.toThrow(OptionError)
  })
})

it('M2: a HEAD that a HEAD was kept for tells the length that was told', async () => {
  const handler = cached(
    () => new Response(null, { headers: { 'content-length': '6', 'cache-control': 'max-age=60' } }),
  )
  const head = async (): Promise<(string | null)[]> => {
    const { headers } = await handler(new Request('https://a.test/', { method: 'HEAD' }))
    return [headers.get('content-length'), headers.get('age')]
  }
  expect([await head(), await head()]).toEqual([
    ['6', null],
    ['6', '0'],
  ])
  await handler.close()
})
