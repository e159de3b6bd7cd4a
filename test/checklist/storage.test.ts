/** Checklist rows 156-158, 195-203, 234 at the public door; the contract itself is held by storeConformance. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  CachedSession,
  createCachedFetch,
  MemoryStore,
  NEVER,
  type EntryHead,
  type ListableStore,
  type ListedEntry,
  type ListQuery,
  type SessionOptions,
  type Store,
} from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock, FaultyStore, sampleHead, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
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

describe.each(STORES)('on %s', (_name, make) => {
  test('row 156: 500 different requests at once: first all misses, then all hits', async () => {
    const store = make()
    await using s = session({ store })
    const round = (): Promise<boolean[]> =>
      Promise.all(
        Array.from({ length: 500 }, async (_, n) => {
          const response = await s.get('/get', { params: { n } })
          await response.text()
          return response.fromCache
        }),
      )
    expect(new Set(await round())).toEqual(new Set([false]))
    expect(origin.count()).toBe(500)
    expect(new Set(await round())).toEqual(new Set([true]))
    expect(origin.count()).toBe(500)
    await store.close()
  })

  test('row 157: a filter and a key function that use the same session for the same URL come to an end', async () => {
    const store = make()
    const inner = session({ store })
    await using s = session({
      store,
      filter: async ({ url, fromCache }) => {
        if (!fromCache) await (await inner.get(url)).text()
        return true
      },
      keyFn: async (_request, key) => {
        await inner.cache.has('/get')
        return key
      },
    })
    await (await s.get('/get')).text()
    await until(async () => (await s.get('/get')).fromCache)
    await inner.close()
    await store.close()
  })

  test('rows 195, 196: listing is lazy and survives changes; clear() on an empty store is fine; a deleted key is taken again', async () => {
    const store = make()
    await using s = session({ store })
    await s.cache.clear()
    expect(await Array.fromAsync(s.cache.keys())).toEqual([])
    for (let n = 0; n < 20; n++) await (await s.get('/get', { params: { n } })).text()
    let seen = 0
    for await (const { key } of s.cache.entries()) {
      seen += 1
      await s.cache.delete({ key })
      if (seen === 5) await (await s.get('/json')).text()
    }
    expect(seen).toBeGreaterThanOrEqual(20)
    await (await s.get('/get', { params: { n: 1 } })).text()
    expect((await s.get('/get', { params: { n: 1 } })).fromCache).toBe(true)
    await store.close()
  })

  test('row 197: one read of the store a look-up', async () => {
    const inner = make()
    const store = new FaultyStore(inner)
    await using s = session({ store })
    const reads = async (run: () => Promise<unknown>): Promise<number> => {
      const before = store.calls.read
      await run()
      return store.calls.read - before
    }
    const get = async (): Promise<string> => (await s.get('/get')).text()
    // The first request to an origin also learns, once a minute, whether No-Vary-Search is used there (persistent stores only).
    await (await s.get('/json')).text()
    expect(await reads(get)).toBe(1)
    expect(await reads(get)).toBe(1)
    await using plain = createCachedFetch({ store: inner })
    const spy = vi.spyOn(inner, 'read')
    await (await plain(`${origin.url}/html`)).text()
    spy.mockClear()
    await (await plain(`${origin.url}/cache/60`)).text()
    expect(spy).toHaveBeenCalledTimes(1)
    for (let n = 1; n < 4; n++) {
      await (await plain(`${origin.url}/cache/60`)).text()
      expect(spy).toHaveBeenCalledTimes(1 + n)
    }
    await inner.close()
  })

  test('row 198: two sessions on one store see the same data', async () => {
    const store = make()
    await using a = session({ store })
    await using b = session({ store })
    await (await a.get('/json')).text()
    expect((await b.get('/json')).fromCache).toBe(true)
    await b.cache.delete({ url: '/json' })
    expect((await a.get('/json')).fromCache).toBe(false)
    await store.close()
  })
})

test("row 199: a store of one's own is five methods over anything", async () => {
  const kept = new Map<string, NonNullable<Awaited<ReturnType<Store['read']>>>>()
  let version = 0
  const own: Store = {
    name: 'own',
    limits: { maxEntrySize: 1e6, inlineSize: 1e6, persistent: false, shared: false },
    read: async (key) => kept.get(key),
    write: async (head, body) => {
      const bytes = new Uint8Array(await new Response(body as Uint8Array<ArrayBuffer>).arrayBuffer())
      const open = (start: number, end: number): ReadableStream<Uint8Array> =>
        new Blob([bytes.subarray(start, end)]).stream()
      kept.set(head.key, { ...head, version: ++version, body: { size: bytes.length, bytes, open } })
    },
    update: async (key, change, of) => {
      const entry = kept.get(key)
      if (entry === undefined || entry.version !== of) return false
      kept.set(key, { ...entry, ...change, version: ++version })
      return true
    },
    delete: async (keys) => keys.filter((key) => kept.delete(key)).length,
    close: async () => kept.clear(),
  }
  await using s = session({ store: own })
  await (await s.get('/etag/a')).text()
  expect((await s.get('/etag/a')).fromCache).toBe(true)
  expect((await s.get('/etag/a', { httpCache: { refresh: true } })).revalidated).toBe(true)
  // It cannot list, so what needs a listing says so, and the rest works.
  await expect(s.cache.clear()).rejects.toMatchObject({ code: 'ERR_NOT_LISTABLE' })
  expect(await s.cache.delete({ url: '/etag/a' })).toBe(1)
  expect((await s.get('/etag/a')).fromCache).toBe(false)
})

test('row 200: two databases side by side, and names with glob characters, never meet', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keepfresh-test-'))
  const a = new SqliteStore(join(folder, 'a*.db'))
  const b = new SqliteStore(join(folder, 'a_[b]?.db'))
  await using first = session({ store: a })
  await using second = session({ store: b })
  await (await first.get('/json')).text()
  expect((await second.get('/json')).fromCache).toBe(false)
  await second.cache.clear()
  expect((await first.get('/json')).fromCache).toBe(true)
  await a.close()
  await b.close()
})

test('row 201: memory is bounded by default, and by entries and bytes where told; what goes is told', async () => {
  const evicted: string[] = []
  const store = new MemoryStore({ maxEntries: 10, onEvict: (key) => evicted.push(key) })
  await using s = session({ store })
  for (let n = 0; n < 50; n++) await (await s.get('/get', { params: { n } })).text()
  expect([(await s.cache.size()).entries, evicted.length]).toEqual([10, 40])
  const small = new MemoryStore({ maxBytes: 100_000 })
  await using t = session({ store: small })
  for (let seed = 0; seed < 30; seed++) await (await t.get('/bytes/10000', { params: { seed } })).bytes()
  expect((await t.cache.size()).bytes).toBeLessThanOrEqual(100_000)
  expect((await t.cache.size()).entries).toBeGreaterThan(5)
  // By default, too: 10,000 entries and 64 MiB.
  expect(new MemoryStore().limits.maxEntrySize).toBe(16 * 1024 * 1024)
})

test('row 203: expiry is checked on read, and no entry keeps a timer', async () => {
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const clock = new FakeClock()
  const s = session({ clock, expireAfter: 10 })
  for (let n = 0; n < 100; n++) await (await s.get('/get', { params: { n } })).text()
  expect(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length).toBeLessThanOrEqual(before + 5)
  clock.advance(11_000)
  const again = await s.get('/get', { params: { n: 0 } })
  await again.text()
  expect(again.fromCache).toBe(false)
  expect(await s.cache.deleteExpired()).toBe(99)
  await s.close()
})

test('row 220: another store for another part of the web is a store that chooses', async () => {
  const [memory, other] = [new MemoryStore(), new MemoryStore()]
  const pick = (key: string): MemoryStore => (key.includes('/json') ? other : memory)
  const routing: Store = {
    name: 'routing',
    limits: memory.limits,
    read: (key) => pick(key).read(key),
    write: (head, body) => pick(head.key).write(head, body),
    update: (key, change, version) => pick(key).update(key, change, version),
    delete: (keys) => keys.filter((key) => pick(key).delete([key]) === 1).length,
    close: () => undefined,
  }
  await using s = session({ store: routing })
  for (const path of ['/get', '/json']) await (await s.get(path)).text()
  expect([memory.size().entries, other.size().entries]).toEqual([1, 1])
  expect((await s.get('/json')).fromCache).toBe(true)
})

test('row 234, 3.2: expired entries are deleted in one go, no entry is read for it', async () => {
  const calls: string[] = []
  class Watched extends MemoryStore implements ListableStore {
    override read(key: string): ReturnType<MemoryStore['read']> {
      calls.push('read')
      return super.read(key)
    }
    override entries(query?: ListQuery): AsyncGenerator<ListedEntry> {
      calls.push('entries')
      return super.entries(query)
    }
    override deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
      calls.push('deleteWhere')
      return super.deleteWhere(query)
    }
  }
  const clock = new FakeClock()
  await using s = session({ store: new Watched(), clock, expireAfter: 10 })
  for (let n = 0; n < 20; n++) await (await s.get('/get', { params: { n } })).text()
  clock.advance(20_000)
  calls.length = 0
  expect(await s.cache.deleteExpired()).toBe(20)
  // Once for the entries, once for the indexes of their variants, which are not counted.
  expect(calls).toEqual(['deleteWhere', 'deleteWhere'])
})

describe('5.3.14', () => {
  const COUNT = 100_000
  const STALE = new Uint8Array(10)

  test.each([
    ['memory', () => new MemoryStore({ maxEntries: 200_000, maxBytes: 2 ** 30 })],
    [
      'sqlite',
      () => new SqliteStore({ path: join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'many.db'), fastSave: true }),
    ],
  ] as const)('5.3.14: 100,000 expired entries go from %s without a body read', async (_name, make) => {
    const store = make()
    const fill = (into: { write(head: EntryHead, body: Uint8Array): unknown }): void => {
      for (let n = 0; n < COUNT; n++) {
        const key = `GET http://example.test/${n}`
        into.write(sampleHead(key, { expiresAt: n % 100 === 0 ? NEVER : 5000 }), STALE)
      }
    }
    await ('bulk' in store ? store.bulk(fill) : fill(store))
    const read = vi.spyOn(store, 'read')
    let turns = 0
    let done = false
    const count = (): void => {
      turns += 1
      if (!done) setImmediate(count)
    }
    setImmediate(count)
    await using s = session({ store, clock: new FakeClock(10_000) })
    expect(await s.cache.deleteExpired()).toBe(COUNT - COUNT / 100)
    done = true
    expect([(await s.cache.size()).entries, read.mock.calls.length]).toEqual([COUNT / 100, 0])
    // A database is left to others between slices; memory is through in one.
    if ('bulk' in store) expect(turns).toBeGreaterThan(10)
    await store.close()
  })
})

test('3.2: two sessions on one store that can lock do not ask twice', async () => {
  const store = new SqliteStore(join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'shared.db'))
  origin.route('/held', () => ({ delay: 60, body: 'x' }))
  await using a = session({ store, singleFlight: 'store' })
  await using b = session({ store, singleFlight: 'store' })
  const texts = await Promise.all(
    [a, b, a, b].map(async (s) => {
      const response = await s.get('/held')
      return response.text()
    }),
  )
  expect([texts, origin.count()]).toEqual([['x', 'x', 'x', 'x'], 1])
  await store.close()
})
