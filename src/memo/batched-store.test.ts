/** Many values of a store that reads many keys at once: one step for all, and nothing else about them changes. */
import { describe, expect, test, vi } from 'vitest'
import type { BatchReadingStore, MaybePromise, ReadOutcome, StoredEntry } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { AsyncCache } from './index.ts'

class Batching extends MemoryStore implements BatchReadingStore {
  batches: number[] = []
  singles = 0
  spoiled: string | null = null

  override read(key: string): StoredEntry | undefined {
    this.singles++
    return super.read(key)
  }

  readMany(keys: readonly string[]): MaybePromise<readonly ReadOutcome[]> {
    this.batches.push(keys.length)
    const { spoiled } = this
    const outcomeOf = (key: string): ReadOutcome =>
      spoiled !== null && key.endsWith(spoiled) ? new StoreError('ERR_STORE_CORRUPT', 'damaged') : super.read(key)
    return Promise.resolve(keys.map(outcomeOf))
  }
}

const LONG = 'x'.repeat(500)

describe('row 265: many keys in a store', () => {
  test('getMany and getOrSetMany ask it once, in order, long keys and repeated ones, too', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, string>({ store, name: 'n' })
    await cache.setMany([
      ['a', 'A'],
      [LONG, 'L'],
    ])
    expect(await cache.getMany(['a', 'x', LONG, 'a'])).toEqual(['A', undefined, 'L', 'A'])
    const fn = vi.fn(async (keys: readonly string[]) => keys.map((key) => key.toUpperCase()))
    expect(await cache.getOrSetMany(['b', 'a', LONG], fn)).toEqual(['B', 'A', 'L'])
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['b']])
    expect([store.batches, store.singles]).toEqual([[3, 3], 0])
  })

  test('with refresh it is not asked at all', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, number>({ store, name: 'n' })
    await cache.setMany([
      ['a', 1],
      ['b', 2],
    ])
    expect(await cache.getOrSetMany(['a', 'b'], async () => [3, 4], { refresh: true })).toEqual([3, 4])
    expect([store.batches, store.singles]).toEqual([[], 0])
  })

  test('a value that is damaged in the store is fetched, told of and replaced; the others are hits', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, number>({ store, name: 'n' })
    const errors: unknown[] = []
    cache.on('error', ({ error }) => errors.push(error))
    await cache.setMany([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ])
    store.spoiled = 'b'
    const fn = vi.fn(async (keys: readonly string[]) => keys.map(() => 20))
    expect(await cache.getOrSetMany(['a', 'b', 'c'], fn)).toEqual([1, 20, 3])
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['b']])
    expect(errors).toMatchObject([{ code: 'ERR_STORE_CORRUPT' }])
    store.spoiled = null
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, 20, 3])
  })

  test('rule 2: what is being written or deleted is as it will be, and is not asked for', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, number>({ store, name: 'n' })
    await cache.setMany([
      ['a', 1],
      ['b', 2],
      ['c', 3],
    ])
    const gate = Promise.withResolvers<void>()
    const [write, remove] = [store.write.bind(store), store.delete.bind(store)]
    store.write = async (...args) => gate.promise.then(() => write(...args))
    store.delete = ((keys: readonly string[]) => gate.promise.then(() => remove(keys))) as never
    const changes = [cache.set('a', 10), cache.delete('b')]
    expect(await cache.getMany(['a', 'b', 'c', 'x'])).toEqual([10, undefined, 3, undefined])
    expect(store.batches).toEqual([2])
    gate.resolve()
    await Promise.all(changes)
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([10, undefined, 3])
  })

  test('who aborts while the store is asked does not wait for it', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, number>({ store, name: 'n', storeTimeout: 3600 })
    const gate = Promise.withResolvers<readonly ReadOutcome[]>()
    store.readMany = () => gate.promise
    const controller = new AbortController()
    const fn = vi.fn(async () => [1, 2])
    const waiting = cache.getOrSetMany(['a', 'b'], fn, { signal: controller.signal })
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    gate.resolve([undefined, undefined])
    expect(fn).not.toHaveBeenCalled()
  })

  test('a store that fails costs the values, never the call', async () => {
    const store = new Batching()
    await using cache = new AsyncCache<string, number>({ store, name: 'n' })
    store.readMany = () => Promise.reject(new Error('down'))
    expect(await cache.getMany(['a', 'b'])).toEqual([undefined, undefined])
    expect(await cache.getOrSetMany(['a', 'b'], async () => [1, 2])).toEqual([1, 2])
  })
})
