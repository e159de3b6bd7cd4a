/** Rows 191, 231, 234, 240-243, 247, feature I3: what invalidation tells, counts and leaves behind; B27-B42 for what is done by hand. */
import { describe, expect, test } from 'vitest'
import {
  isListable,
  MemoryStore,
  OptionError,
  type CacheEvent,
  type CachedFetch,
  type EntryChange,
  type Invalidation,
  type Store,
  type Version,
} from '../../src/index.ts'
import { STORES } from '../engine/support.ts'
import { text, useBench } from './support.ts'

const at = useBench()
const url = (path: string): string => at.origin.url + path

type Invalidated = Extract<CacheEvent, { type: 'invalidated' }>

function listening(fetch: CachedFetch): Invalidated[] {
  const heard: Invalidated[] = []
  fetch.on('invalidated', (event) => heard.push(event))
  return heard
}

/** How much is in a store, whatever it is. */
async function left(store: Store): Promise<number> {
  return isListable(store) ? (await store.size()).entries : NaN
}

/** Asks for a document in some languages. */
async function load(fetch: CachedFetch, ...languages: string[]): Promise<boolean[]> {
  const hits: boolean[] = []
  for (const language of languages) {
    const response = await fetch(url('/varied'), { headers: { 'accept-language': language } })
    await response.text()
    hits.push(response.fromCache)
  }
  return hits
}

function vary(lifetime: number): void {
  at.answer('/varied', {
    headers: { vary: 'accept-language', 'cache-control': `max-age=${lifetime}`, etag: '"v"' },
    body: 'x',
  })
}

describe('feature I3: what is invalidated is told and counted', () => {
  test('tags, keys, everything, an unsafe request: one event each', async () => {
    const fetch = at.cached({ expireAfter: 60, tags: ['t'] })
    const heard = listening(fetch)
    await text(fetch(url('/get')))
    await fetch.cache.invalidateTags(['t', 'u'], 'stale')
    await fetch.cache.delete({ tag: 't' })
    expect(heard.splice(0)).toEqual([
      { type: 'invalidated', reason: 'tags', key: null, keys: [], tags: ['t', 'u'], mode: 'stale' },
      { type: 'invalidated', reason: 'tags', key: null, keys: [], tags: ['t'], mode: 'delete' },
    ])
    expect(fetch.stats().invalidated).toBe(3)
    at.seconds(1)
    await text(fetch(url('/get')))
    await fetch.cache.delete({ url: url('/get') })
    await fetch.cache.delete({ url: url('/get') })
    expect(heard.splice(0)).toMatchObject([{ reason: 'delete', keys: expect.arrayContaining([`GET ${url('/get')}`]) }])
    expect(fetch.stats().invalidated).toBe(4)
    await fetch.cache.clear()
    expect(heard.splice(0)).toMatchObject([{ reason: 'clear' }])
    await text(fetch(url('/anything')))
    await text(fetch(url('/anything'), { method: 'DELETE' }))
    expect(heard).toMatchObject([{ reason: 'method', url: url('/anything') }])
    expect(fetch.stats().invalidated).toBe(5)
  })

  test('row 247: others hear of each invalidation once', async () => {
    for (const store of [new MemoryStore(), 'sqlite::memory:']) {
      const told: Invalidation[] = []
      const channel = { publish: (what: Invalidation) => void told.push(what), subscribe: () => () => undefined }
      const fetch = at.cached({ store, expireAfter: 60, broadcast: channel, allowedMethods: ['GET', 'POST'] })
      await text(fetch(url('/anything'), { method: 'POST', body: 'a' }))
      // The GET of its URL, and no other POST.
      expect(told.splice(0)).toMatchObject([{ keys: expect.arrayContaining([`GET ${url('/anything')}`]), tags: [] }])
      await text(fetch(url('/anything'), { method: 'PUT' }))
      expect(told.splice(0)).toMatchObject([{ mode: 'revalidate', tags: [`url ${url('/anything')}`] }])
      await text(fetch(url('/anything')))
      await fetch.cache.delete({ url: url('/anything'), tag: 't', pattern: '*/x' })
      expect(told.splice(0)).toMatchObject([{ mode: 'delete', tags: [`url ${url('/anything')}`, 't'], urls: ['*/x'] }])
      await fetch.cache.delete({ key: `GET ${url('/anything')}` })
      await fetch.cache.invalidateTags('t')
      await fetch.cache.clear()
      expect(told).toHaveLength(3)
      await fetch.close()
    }
  })
})

describe.each(STORES)('on %s, indexes of variants', (_, make) => {
  test('row 234: go with the last variant that expires, and are not counted', async () => {
    const store = make()
    const fetch = at.cached({ store })
    vary(60)
    await load(fetch, 'de', 'en')
    at.seconds(30)
    vary(100)
    await load(fetch, 'fr')
    at.seconds(31)
    expect(await fetch.cache.deleteExpired()).toBe(2)
    expect(await load(fetch, 'fr')).toEqual([true])
    at.seconds(100)
    expect(await fetch.cache.deleteExpired({ olderThan: '1h' })).toBe(0)
    expect(await fetch.cache.deleteExpired()).toBe(1)
    expect(await left(store)).toBe(0)
    await fetch.close()
    await store.close()
  })

  test('live as long as a variant that was revalidated, given another lifetime, or slides', async () => {
    const store = make()
    const fetch = at.cached({ store })
    vary(10)
    await load(fetch, 'de', 'en')
    at.seconds(20)
    at.origin.route('/varied', () => ({ status: 304, headers: { 'cache-control': 'max-age=100', etag: '"v"' } }))
    expect((await fetch(url('/varied'), { headers: { 'accept-language': 'de' } })).revalidated).toBe(true)
    at.seconds(50)
    expect(await fetch.cache.deleteExpired()).toBe(1)
    expect(await load(fetch, 'de')).toEqual([true])
    expect(await fetch.cache.resetExpiration('1h')).toBe(1)
    at.seconds(1000)
    expect(await fetch.cache.deleteExpired()).toBe(0)
    expect(await load(fetch, 'de')).toEqual([true])
    const sliding = at.cached({ store, expireAfter: 10, override: true, slidingExpiration: true })
    vary(10)
    await sliding.cache.clear()
    await load(sliding, 'de')
    // Once it is stored.
    expect(await Array.fromAsync(sliding.cache.keys())).toHaveLength(1)
    for (let n = 0; n < 5; n++) {
      at.seconds(8)
      expect(await load(sliding, 'de')).toEqual([true])
      expect(await sliding.cache.deleteExpired()).toBe(0)
    }
    await Promise.all([fetch.close(), sliding.close()])
    await store.close()
  })

  test('row 231: go with the last variant that is deleted, and stay for those that are left', async () => {
    const store = make()
    const fetch = at.cached({ store })
    vary(60)
    await load(fetch, 'de', 'en')
    const [first = '', second = ''] = await Array.fromAsync(fetch.cache.keys())
    expect(await fetch.cache.delete({ key: first })).toBe(1)
    expect((await load(fetch, 'de', 'en')).filter(Boolean)).toHaveLength(1)
    expect(await fetch.cache.delete({ key: [first, second] })).toBe(2)
    // One that comes after all were gone is found.
    expect(await load(fetch, 'de', 'de')).toEqual([false, true])
    expect(await fetch.cache.delete({ pattern: '*/varied' })).toBe(1)
    expect(await left(store)).toBe(0)
    await load(fetch, 'de', 'en')
    expect(await fetch.cache.delete({ url: url('/varied') })).toBe(2)
    await load(fetch, 'de')
    at.seconds(30)
    await load(fetch, 'en')
    at.seconds(10)
    // Being old is no reason for an index to go.
    expect(await fetch.cache.delete({ olderThan: 20 })).toBe(1)
    expect(await load(fetch, 'en')).toEqual([true])
    expect(await fetch.cache.delete({ olderThan: 5 })).toBe(1)
    await fetch.cache.deleteExpired()
    const kinds = isListable(store) ? (await Array.fromAsync(store.entries())).map(({ meta }) => meta.kind) : ['?']
    expect(kinds.filter((kind) => kind !== 'mark')).toEqual([])
    await fetch.close()
    await store.close()
  })
})

test('row 231: deleting what is old leaves what younger answers to other queries are found by', async () => {
  const make = STORES.find(([name]) => name === 'sqlite')?.[1]
  const store = make?.()
  if (store === undefined) throw new Error('no persistent store')
  const headers = { 'no-vary-search': 'params', 'cache-control': 'max-age=1000' }
  for (const path of ['/old', '/young']) at.answer(path, { headers, body: 'x' })
  const before = at.cached({ store })
  await text(before(url('/old?1')))
  at.seconds(100)
  await text(before(url('/young?1')))
  expect(await before.cache.delete({ olderThan: 50 })).toBe(1)
  const after = at.cached({ store })
  expect((await after(url('/young?2'))).fromCache).toBe(true)
  await Promise.all([before.close(), after.close()])
  await store.close()
})

test('row 231: a variant that comes while the index is being emptied is not lost', async () => {
  let meanwhile = async (): Promise<void> => undefined
  class Slow extends MemoryStore {
    override readonly limits = { ...new MemoryStore().limits, persistent: true }
    override update(key: string, change: EntryChange, version: Version): boolean {
      return super.update(key, change, version)
    }
    override async deleteWhere(query: { expiredAt?: number; createdBefore?: number }): Promise<number> {
      await meanwhile()
      return super.deleteWhere(query)
    }
  }
  const fetch = at.cached({ store: new Slow() })
  vary(60)
  await load(fetch, 'de')
  meanwhile = async () => {
    meanwhile = async () => undefined
    await load(fetch, 'en')
  }
  expect(await fetch.cache.delete({ pattern: '*/varied' })).toBe(1)
  expect(await load(fetch, 'en')).toEqual([true])
})

describe('B42: what is done by hand while the store fails', () => {
  class Failing extends MemoryStore {
    override deleteWhere(): Promise<number> {
      throw new Error('locked')
    }
    override entries(): never {
      throw new Error('locked')
    }
  }

  test('deleteExpired costs an event: nothing depends on it', async () => {
    const fetch = at.cached({ store: new Failing() })
    const errors: string[] = []
    fetch.on('error', ({ operation, error }) => errors.push(`${operation} ${error.code}`))
    expect(await fetch.cache.deleteExpired()).toBe(0)
    expect(await fetch.cache.delete({ expired: true })).toBe(0)
    expect(errors).toEqual(['delete ERR_STORE_FAILED', 'delete ERR_STORE_FAILED'])
  })

  test('what had to be looked for and could not be is an error: it is still there', async () => {
    const fetch = at.cached({ store: new Failing() })
    await expect(fetch.cache.delete({ pattern: '*' })).rejects.toThrow('locked')
    await expect(fetch.cache.delete({ olderThan: '1d' })).rejects.toThrow('locked')
    await expect(fetch.cache.resetExpiration('1d')).rejects.toThrow('locked')
  })

  test('wrong conditions are refused before anything is deleted', async () => {
    const fetch = at.cached({ expireAfter: 60 })
    await text(fetch(url('/get')))
    const wrong: object[] = [
      { olderThan: 'x' },
      { pattern: 5 },
      { pattern: '' },
      { tag: [5] },
      { key: 5 },
      { keys: 'a' },
    ]
    for (const query of wrong)
      await expect(fetch.cache.delete({ url: url('/get'), ...query })).rejects.toThrow(OptionError)
    await expect(Reflect.apply(fetch.cache.invalidateTags, fetch.cache, [5])).rejects.toThrow(/a tag is a string/)
    expect(await fetch.cache.has(url('/get'))).toBe(true)
  })
})
