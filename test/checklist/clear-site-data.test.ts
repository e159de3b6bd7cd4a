/** Checklist row 248: `Clear-Site-Data: "cache"`, for a user agent's own cache. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cacheInfo, createCachedFetch, MemoryStore, type CacheOptions, type Store } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FaultyStore } from '../../src/testing/index.ts'
import { text, useBench } from './support.ts'

const at = useBench()

/** A fetch to any origin: `/logout` answers with the field. */
function web(field: string): typeof fetch {
  return async (input) => {
    const { pathname } = new URL(String(input))
    const headers = { 'Cache-Control': 'max-age=60', ...(pathname === '/logout' ? { 'Clear-Site-Data': field } : {}) }
    return new Response(pathname, { headers })
  }
}

async function stored(options: CacheOptions, logout: string, init?: RequestInit): Promise<string[]> {
  const cached = createCachedFetch(options)
  for (const url of URLS) await text(cached(url))
  const response = await cached(logout, init)
  await response.text()
  const urls = await cached.cache.urls()
  await cached.close()
  return urls
}

const URLS = [
  'https://a.test/1',
  'https://a.test/2?x',
  'https://a.test:8443/1',
  'https://sub.a.test/1',
  'http://a.test/1',
  'https://b.test/1',
]

const others = URLS.slice(2).toSorted()
const all = [...URLS].toSorted()

describe('row 248: Clear-Site-Data', () => {
  test('over https, all of the origin and nothing else; the response itself is not stored', async () => {
    expect(await stored({ fetch: web('"cache"') }, 'https://a.test/logout')).toEqual(others)
    expect(await stored({ fetch: web('"cookies", "cache"') }, 'https://a.test/logout', { method: 'POST' })).toEqual(
      others,
    )
    expect(await stored({ fetch: web('"*"') }, 'https://a.test/logout')).toEqual(others)
  })

  test.each(['cache', '"Cache"', '"cookies"', '"cache', '"cache"x', "'cache'", ''])(
    '%s is not the word',
    async (field) => {
      expect(await stored({ fetch: web(field) }, 'https://a.test/logout')).toEqual(
        [...all, 'https://a.test/logout'].toSorted(),
      )
    },
  )

  test('not over http, where anybody on the way may have put it there', async () => {
    expect(await stored({ fetch: web('"cache"') }, 'http://a.test/logout')).toEqual(
      [...all, 'http://a.test/logout'].toSorted(),
    )
  })

  test('on this machine http will do (Secure Contexts section 3.1)', async () => {
    at.answer('/logout', { headers: { 'Clear-Site-Data': '"cache"' }, body: 'x' })
    await using s = at.session()
    await text(s.get('/cache/60'))
    const response = await s.post('/logout')
    expect(await response.text()).toBe('x')
    expect(await s.cache.urls()).toEqual([])
    expect((await s.get('/cache/60')).fromCache).toBe(false)
  })

  test('not by a shared cache, nor where the option, cacheControl, readOnly or enabled says so', async () => {
    const fetch = web('"cache"')
    for (const options of [
      { shared: true },
      { clearSiteData: false },
      { cacheControl: false, expireAfter: 60 },
    ] as const)
      expect(await stored({ fetch, ...options }, 'https://a.test/logout')).toEqual(
        [...all, 'https://a.test/logout'].toSorted(),
      )
    const store = new MemoryStore()
    const cached = createCachedFetch({ fetch, store })
    await text(cached('https://a.test/1'))
    await text(cached('https://a.test/logout', { httpCache: { enabled: false } }))
    await text(cached('https://a.test/logout?2', { httpCache: { readOnly: true } }))
    expect(await cached.cache.urls()).toEqual(['https://a.test/1'])
  })

  test('what is under way for the origin is not stored, what is for another is', async () => {
    const gates: (() => void)[] = []
    const slow: typeof fetch = async (input) => {
      if (!String(input).endsWith('/logout')) await new Promise<void>((resolve) => gates.push(resolve))
      return web('"cache"')(input)
    }
    const cached = createCachedFetch({ fetch: slow })
    const under = [text(cached('https://a.test/slow')), text(cached('https://b.test/slow'))]
    while (gates.length < 2) await new Promise((resolve) => setImmediate(resolve))
    await text(cached('https://a.test/logout'))
    for (const open of gates) open()
    await Promise.all(under)
    expect(await cached.cache.urls()).toEqual(['https://b.test/slow'])
  })

  test('variants, other users’ entries and stored ranges go along; on disk as well', async () => {
    const store: Store = new SqliteStore(join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db'))
    const fetch: typeof globalThis.fetch = async (input) => {
      if (String(input).endsWith('/logout')) return web('"cache"')(input)
      return new Response('x', { headers: { 'Cache-Control': 'max-age=60', Vary: 'Accept' } })
    }
    const cached = createCachedFetch({ fetch, store })
    for (const headers of [{ accept: 'a' }, { accept: 'b' }, { authorization: 'Bearer c' }])
      await text(cached('https://a.test/1', { headers }))
    const loggedOut = await cached('https://a.test/logout')
    await loggedOut.text()
    expect(cacheInfo(loggedOut)?.refused).toBe('invalidated')
    expect(await cached.cache.urls()).toEqual([])
    await store.close()
  })

  test('a store that fails, or cannot list, is an event at most: the response comes', async () => {
    const errors: unknown[] = []
    const faulty = new FaultyStore(new MemoryStore())
    const cached = createCachedFetch({ fetch: web('"cache"'), store: faulty })
    cached.on('error', ({ error }) => errors.push(error))
    await text(cached('https://a.test/1'))
    expect(await text(cached('https://a.test/logout'))).toBe('/logout')
    expect(errors).toEqual([])
  })
})
