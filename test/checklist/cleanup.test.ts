/** Checklist rows 203 and 238: what is of no more use goes by itself, in the background. */
import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { isListable, MemoryStore, OptionError, StoreError, type CacheEvent, type Store } from '../../src/index.ts'
import { AsyncCache } from '../../src/memo/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FaultyStore } from '../../src/testing/index.ts'
import { text, until, useBench } from './support.ts'

const at = useBench()

const folder = (): string => mkdtempSync(join(tmpdir(), 'keepfresh-test-'))

const STORES: readonly (readonly [name: string, make: () => Store])[] = [
  ['memory', () => new MemoryStore()],
  ['sqlite', () => new SqliteStore(join(folder(), 'http.db'))],
  ['file', () => new FileStore(folder())],
]

/** Every so many seconds, so that tests need not wait. */
const SOON = 0.01

async function paths(store: Store): Promise<string[]> {
  if (!isListable(store)) throw new Error('the store cannot list')
  const keys = await Array.fromAsync(store.keys())
  return keys.map((key) => key.slice(key.lastIndexOf('/'))).toSorted()
}

describe.each(STORES)('rows 203, 238: background cleanup of %s', (_, make) => {
  test('deletes what will neither be revalidated nor served stale, and nothing else', async () => {
    const store = make()
    const events: CacheEvent[] = []
    await using filling = at.session({ store, autoClose: true })
    const keep = (name: string, headers: Record<string, string>): void =>
      at.answer(`/${name}`, { headers: { 'Cache-Control': 'max-age=60', ...headers }, body: 'x' })
    keep('useless', {})
    keep('fresh', { 'Cache-Control': 'max-age=1000000' })
    keep('validator', { ETag: '"1"' })
    keep('stale', { 'Cache-Control': 'max-age=60, stale-if-error=1000000' })
    for (const name of ['useless', 'fresh', 'validator', 'stale']) await text(filling.get(`/${name}`))
    await until(async () => (await paths(store)).length === 4)
    at.seconds(60 + 86_400)
    await using s = at.session({ store, cleanup: SOON })
    await s.on('cleaned', (event) => events.push(event))
    await until(async () => (await paths(store)).length === 3)
    expect(await paths(store)).toEqual(['/fresh', '/stale', '/validator'])
    at.seconds(30 * 86_400)
    await until(async () => (await paths(store)).length === 0)
    expect(events.reduce((sum, event) => sum + ('deleted' in event ? event.deleted : 0), 0)).toBe(4)
    expect(at.origin.requests).toHaveLength(4)
  })

  test('expiredFor: deletes what expired so long ago, of use or not', async () => {
    const store = make()
    await using s = at.session({ store, autoClose: true, cleanup: { every: SOON, expiredFor: '1h' }, expireAfter: 60 })
    await text(s.get('/etag/a'))
    at.seconds(60 + 3599)
    await text(s.get('/etag/b'))
    await until(async () => (await paths(store)).length === 2)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(await paths(store)).toHaveLength(2)
    at.seconds(1)
    await until(async () => (await paths(store)).length === 1)
    expect((await s.get('/etag/b')).fromCache).toBe(true)
  })
})

test('row 238: expiredFor counts from the last use that a cache of functions permits', async () => {
  const store = new MemoryStore()
  const values = { store, clock: at.clock, ttl: 60 }
  await using plain = new AsyncCache<string, number>({ ...values, name: 'plain' })
  await using spare = new AsyncCache<string, number>({ ...values, name: 'spare', staleIfError: '1d' })
  await using soon = new AsyncCache<string, number>({ ...values, name: 'soon', staleWhileRevalidate: '2h' })
  for (const cache of [plain, spare, soon]) await cache.set('k', 1)
  await using s = at.session({ store, cleanup: { every: SOON, expiredFor: '1h' } })
  const events: CacheEvent[] = []
  await s.on('cleaned', (event) => events.push(event))
  const left = async (): Promise<string> => {
    const keys = await Array.fromAsync(store.keys())
    return keys
      .map((key) => key.split(/\s/)[2])
      .toSorted()
      .join(' ')
  }
  at.seconds(60 + 3600)
  await until(async () => (await left()) === 'soon spare')
  at.seconds(7199)
  expect(await spare.getOrSet('k', () => Promise.reject(new Error('down')))).toBe(1)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(await left()).toBe('soon spare')
  at.seconds(1)
  await until(async () => (await left()) === 'spare')
  at.seconds(86_400 - 7200)
  await until(async () => (await left()) === '')
})

test('row 238: in slices, between which requests have their turn; close ends it', async () => {
  const store = new MemoryStore({ maxEntries: 40_000 })
  const head = { createdAt: 0, expiresAt: 1, keepUntil: 1 }
  for (let n = 0; n < 30_000; n++) {
    const key = `old ${n}`
    store.write({ key, meta: { kind: 'mark', key, at: 0, mode: 'stale' }, ...head }, new Uint8Array())
  }
  const s = at.session({ store, cleanup: SOON })
  await until(async () => (await store.size()).entries < 30_000)
  await text(s.get('/get'))
  const { entries } = await store.size()
  expect(entries).toBeGreaterThan(200)
  await s.close()
  const left = (await store.size()).entries
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect((await store.size()).entries).toBe(left)
  expect(left).toBeGreaterThan(0)
})

test('row 238: a store that fails is an event, and the next round comes; requests go on', async () => {
  const inner = new MemoryStore()
  const faulty = new FaultyStore(inner).fail('delete', 'reject', 1)
  const store: Store = Object.assign(faulty, {
    keys: () => inner.keys(),
    entries: (query?: object) => inner.entries(query),
    size: () => inner.size(),
    clear: () => inner.clear(),
    deleteWhere: (query: object) => inner.deleteWhere(query),
  })
  const errors: StoreError[] = []
  await using s = at.session({ store, cleanup: { every: SOON, expiredFor: 0 }, expireAfter: 60 })
  await s.on('error', ({ error }) => errors.push(error))
  await text(s.get('/get'))
  at.seconds(61)
  await until(async () => (await inner.size()).entries === 0)
  expect(errors).toHaveLength(1)
  expect(errors[0]).toBeInstanceOf(StoreError)
  await text(s.get('/get'))
})

test('row 238: one process at a time, where the store can lock', async () => {
  const path = join(folder(), 'http.db')
  const [holder, store] = [new SqliteStore(path), new SqliteStore(path)]
  await using s = at.session({ store, cleanup: { every: SOON, expiredFor: 0 }, expireAfter: 60 })
  await text(s.get('/get'))
  // A round may be under way.
  let isOurs = false
  await until(async () => (isOurs ||= await holder.lock('cleanup', 'another', 60_000)))
  at.seconds(61)
  await new Promise((resolve) => setTimeout(resolve, 60))
  expect(await paths(store)).toHaveLength(1)
  await holder.unlock('cleanup', 'another')
  await until(async () => (await paths(store)).length === 0)
  await Promise.all([holder.close(), s.close()])
  await store.close()
})

test('row 238: its timer keeps no process alive; a store that cannot list has no cleanup', async () => {
  const code = `
    import { CachedSession, MemoryStore } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
    new CachedSession({ cleanup: '1h' })
    const inner = new MemoryStore()
    const store = { name: 'own', limits: inner.limits, read: (key) => inner.read(key), write: () => {}, update: () => false, delete: () => 0, close: () => {} }
    const s = new CachedSession({ store, cleanup: 0.001 })
    await s.stats()
    console.log('done')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
    timeout: 20_000,
  })
  expect(stdout).toBe('done\n')
})

test('row 238: wrong values are errors at once', () => {
  for (const cleanup of [0, -5, 'soon', true, {}, { expiredFor: 5 }, { every: 0 }, { every: 5, olderThan: 5 }])
    expect(() => at.session({ cleanup } as object), JSON.stringify(cleanup)).toThrow(OptionError)
})
