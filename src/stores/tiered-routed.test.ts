import { describe, expect, it, test } from 'vitest'
import { isListable, isLocking, type ListableStore, type LockingStore } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { sampleHead } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import { routed, RoutedStore, type RoutedKey } from './tiered-routed.ts'

const byLength = ({ key }: RoutedKey): string => (key.length % 2 === 0 ? 'even' : 'odd')

storeConformance({
  name: 'routed to two SQLite stores',
  make: () =>
    new RoutedStore({
      stores: { even: new SqliteStore(':memory:'), odd: new SqliteStore(':memory:') },
      route: byLength,
    }),
  describe,
  test,
})

const sqlite = (): SqliteStore => new SqliteStore(':memory:')

describe('row 220: a store by key or URL', () => {
  it('each key goes to its store, variants and parts to that of their URL', async () => {
    const [images, rest] = [new MemoryStore(), new MemoryStore()]
    const store: RoutedStore & ListableStore = routed({
      stores: { images, rest },
      route: ({ url }) => (url?.endsWith('.png') ? 'images' : 'rest'),
    })
    for (const key of ['GET http://h.test/a.png', 'GET http://h.test/a.png\npart', 'GET http://h.test/a', 'no url'])
      await store.write(sampleHead(key), new Uint8Array(1))
    expect([images.size().entries, rest.size().entries, (await store.size()).entries]).toEqual([2, 2, 4])
    expect(await store.delete(['GET http://h.test/a.png', 'no url', 'missing'])).toBe(2)
    expect([images.size().entries, rest.size().entries]).toEqual([1, 1])
  })

  it('it can what all of its stores can', async () => {
    const both: RoutedStore & ListableStore & LockingStore = routed({
      stores: { even: sqlite(), odd: sqlite() },
      route: byLength,
    })
    const mixed = new RoutedStore({ stores: { even: sqlite(), odd: new MemoryStore() }, route: byLength })
    expect([isListable(both), isLocking(both), isListable(mixed), isLocking(mixed)]).toEqual([true, true, true, false])
    await both.close()
    await mixed.close()
  })

  it('a route to nowhere and no stores are errors that say so', () => {
    const store = new RoutedStore({ stores: { a: new MemoryStore() }, route: () => 'b' })
    expect(() => store.read('k')).toThrow(/leads to the store b, which there is not: there are a/)
    expect(() => new RoutedStore({ stores: {}, route: byLength })).toThrow(/at least one store/)
  })

  it('a store under two names is listed, counted and closed once; one that cannot be closed leaves none open', async () => {
    const [one, other] = [new MemoryStore(), new MemoryStore()]
    const store = routed({ stores: { even: one, odd: one, other }, route: byLength })
    for (const key of ['a', 'bb']) await store.write(sampleHead(key), new Uint8Array(1))
    expect(await Array.fromAsync(store.keys())).toHaveLength(2)
    expect((await store.size()).entries).toBe(2)
    one.close = () => {
      throw new Error('boom')
    }
    await expect(store.close()).rejects.toThrow('boom')
    expect(() => other.read('a')).toThrow(/closed/)
  })

  it('close waits for all of them, whatever the first says; several failures are told together', async () => {
    const [one, two, slow] = [new MemoryStore(), new MemoryStore(), new MemoryStore()]
    const store = routed({ stores: { one, two, slow }, route: () => 'slow' })
    let isClosed = false
    const failing = async (): Promise<never> => Promise.reject(new Error('boom'))
    Object.assign(one, { close: failing })
    Object.assign(two, { close: failing })
    Object.assign(slow, {
      close: async () => {
        for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
        isClosed = true
      },
    })
    await expect(store.close()).rejects.toMatchObject({ errors: [new Error('boom'), new Error('boom')] })
    expect(isClosed).toBe(true)
  })

  it('many keys are asked for at each store, and one that fails costs its own', async () => {
    const far = new FaultyStore(new MemoryStore())
    const store = new RoutedStore({
      stores: { far, db: sqlite() },
      route: ({ key }) => (key === 'lost' ? 'nowhere' : key.startsWith('far') ? 'far' : 'db'),
    })
    for (const key of ['far 1', 'db 1', 'far 2']) await store.write(sampleHead(key), new Uint8Array(1))
    const seen = async (...keys: string[]): Promise<unknown[]> =>
      (await store.readMany(keys)).map((outcome) =>
        outcome instanceof StoreError ? 'failed' : (outcome?.key ?? 'missing'),
      )
    expect(await seen('far 1', 'db 2', 'db 1', 'lost', 'far 2')).toEqual([
      'far 1',
      'missing',
      'db 1',
      'failed',
      'far 2',
    ])
    far.fail('read', 'reject')
    expect(await seen('far 1', 'db 1')).toEqual(['failed', 'db 1'])
    await expect(store.readMany(['far 1', 'far 2'])).rejects.toThrow('boom')
    await store.close()
  })
})
