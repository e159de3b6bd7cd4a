/** Keyv and unstorage as stores: the same cases for both. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Keyv } from 'keyv'
import { createStorage } from 'unstorage'
import fsDriver from 'unstorage/drivers/fs'
import { afterAll, describe, expect, it, test } from 'vitest'
import { isListable, type BatchReadingStore, type ListableStore, type Store } from '../engine/ports.ts'
import { OptionError } from '../errors.ts'
import { sampleHead, sampleMeta } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { fromKeyv, isKeyvLike, KeyvStore, ListableKeyvStore } from './keyv.ts'
import { isUnstorageLike, UnstorageStore } from './unstorage.ts'

const dir = mkdtempSync(join(tmpdir(), 'keepfresh-unstorage-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let folders = 0

storeConformance({ name: 'Keyv over a Map', make: () => fromKeyv(new Keyv()), describe, test })
storeConformance({
  name: 'Keyv over a Map, without a serializer, in a namespace, not listing',
  make: () => {
    const keyv = new Keyv({ namespace: 'theirs' })
    keyv.serialize = undefined
    keyv.deserialize = undefined
    return new KeyvStore(keyv, { inlineSize: 0, chunkSize: 10_000 })
  },
  describe,
  test,
})
storeConformance({ name: 'unstorage in memory', make: () => new UnstorageStore(createStorage()), describe, test })
storeConformance({
  name: 'unstorage in files, under a mount',
  make: () => {
    const storage = createStorage()
    storage.mount('keepfresh', fsDriver({ base: join(dir, String(folders++)) }))
    return new UnstorageStore(storage)
  },
  describe,
  test,
})

interface Adapter {
  readonly name: string
  readonly make: () => { store: ListableStore; names: () => string[]; poke: (name: string, value: unknown) => void }
}

const ADAPTERS: readonly Adapter[] = [
  {
    name: 'Keyv',
    make: () => {
      const map = new Map<string, unknown>()
      const store = new ListableKeyvStore(new Keyv({ store: map }), { chunkSize: 10_000 })
      return { store, names: () => [...map.keys()], poke: (name, value) => map.set(name, value) }
    },
  },
  {
    name: 'unstorage',
    make: () => {
      const storage = createStorage()
      const map: unknown = storage.getMount('').driver.getInstance?.()
      if (!(map instanceof Map)) throw new Error('the memory driver is not what it was')
      const store = new UnstorageStore(storage, { chunkSize: 10_000 })
      return { store, names: () => [...map.keys()].map(String), poke: (name, value) => map.set(name, value) }
    },
  },
]

for (const { name, make } of ADAPTERS) {
  describe(`${name} as a store`, () => {
    it('B9, row 199: chunks are values of their own, and go with their entry', async () => {
      const { store, names } = make()
      await store.write(sampleHead('k'), new Blob([new Uint8Array(95_000)]).stream())
      expect(names().length).toBe(11)
      expect((await store.size()).entries).toBe(1)
      expect((await store.size()).bytes).toBeGreaterThan(95_000)
      await store.write(sampleHead('k'), new Uint8Array(5))
      expect(names().length).toBe(1)
      await store.write(sampleHead('k'), new Blob([new Uint8Array(95_000)]).stream())
      expect(await store.delete(['k'])).toBe(1)
      expect(names()).toEqual([])
    })

    it('what is not ours is neither listed nor cleared', async () => {
      const { store, names, poke } = make()
      poke('theirs', '"value"')
      await store.write(sampleHead('k'), new Blob([new Uint8Array(95_000)]).stream())
      expect(await Array.fromAsync(store.keys())).toEqual(['k'])
      await store.clear()
      expect(names()).toEqual(['theirs'])
    })

    it('row 225: a value that is no record is corrupt, and can be replaced', async () => {
      const { store, names, poke } = make()
      await store.write(sampleHead('k'), new Uint8Array(5))
      const [only = ''] = names()
      for (const value of ['', '{"value":"AAAA"}', '{"value":{"a":1}}']) {
        poke(only, value)
        await expect(Promise.resolve(store.read('k'))).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      }
      expect(await Array.fromAsync(store.entries())).toEqual([])
      await store.write(sampleHead('k'), new Uint8Array(6))
      expect((await store.read('k'))?.body.size).toBe(6)
    })

    it('146: two prefixes never see each other', async () => {
      const [keyv, storage] = [new Keyv(), createStorage()]
      const made = (prefix: string): ListableStore =>
        name === 'Keyv' ? new ListableKeyvStore(keyv, { prefix }) : new UnstorageStore(storage, { prefix })
      const [a, b] = [made('a'), made('b')]
      await a.write(sampleHead('k'), new Uint8Array(1))
      await b.write(sampleHead('k'), new Uint8Array(2))
      expect([(await a.read('k'))?.body.size, (await b.read('k'))?.body.size]).toEqual([1, 2])
      await a.clear()
      expect([await a.read('k'), (await b.read('k'))?.body.size]).toEqual([undefined, 2])
    })

    it('of updates at once with one version, one is made; an update never brings back what is deleted', async () => {
      const { store } = make()
      await store.write(sampleHead('k'), new Uint8Array(5))
      const version = (await store.read('k'))?.version ?? ''
      const change = (status: number): Promise<boolean> =>
        Promise.resolve(
          store.update('k', { meta: sampleMeta('k', { status }), expiresAt: 1, keepUntil: 2e15 }, version),
        )
      const done = await Promise.all([201, 202, 203, 204].map(change))
      expect(done.filter(Boolean).length).toBe(1)
      const again = (await store.read('k'))?.version ?? ''
      await Promise.all([
        store.update('k', { meta: sampleMeta('k'), expiresAt: 1, keepUntil: 2e15 }, again),
        store.delete(['k']),
      ])
      expect(await store.read('k')).toBe(undefined)
    })
  })
}

describe('lifetimes', () => {
  it('row 46: Keyv is given milliseconds, unstorage seconds, chunks no less than their entry', async () => {
    const clock = { now: () => 1_000_000 }
    const given: [string, number | undefined][] = []
    const keyv = new Keyv({ ttl: 5 })
    const set = keyv.set.bind(keyv)
    keyv.set = (key: string, value: unknown, ttl?: number) => (given.push(['keyv', ttl]), set(key, value, ttl))
    const storage = createStorage()
    const setItemRaw = storage.setItemRaw.bind(storage)
    storage.setItemRaw = (key, value, options) => (
      given.push(['unstorage', options?.['ttl']]),
      setItemRaw(key, value, options)
    )
    for (const store of [new KeyvStore(keyv, { clock }), new UnstorageStore(storage, { clock })]) {
      await store.write(sampleHead('k', { keepUntil: 1_090_500 }), new Uint8Array(1))
      await store.write(sampleHead('k'), new Uint8Array(1))
    }
    expect(given).toEqual([
      ['keyv', 90_500],
      ['keyv', 0],
      ['unstorage', 91],
      ['unstorage', undefined],
    ])
  })
})

describe('who is what', () => {
  it('instances are known by what they can', () => {
    const values = [new Keyv(), createStorage(), new Map(), null, 'sqlite:x', {}]
    expect(values.map(isKeyvLike)).toEqual([true, false, false, false, false, false])
    expect(values.map(isUnstorageLike)).toEqual([false, true, false, false, false, false])
  })

  it('a Keyv without an iterator makes a store that does not list', () => {
    const adapter = { opts: {}, get: () => undefined, set: () => true, delete: () => true, clear: () => undefined }
    const stores: readonly Store[] = [
      fromKeyv(new Keyv()),
      fromKeyv(new Keyv(Object.assign(adapter, { opts: { url: '' }, on: () => undefined }) as never)),
    ]
    expect(stores.map(isListable)).toEqual([true, false])
    expect(stores.map(({ limits: { persistent, shared } }) => [persistent, shared])).toEqual([
      [false, false],
      [true, true],
    ])
  })

  it('wrong instances and options are refused', () => {
    expect(() => new KeyvStore(JSON.parse('{}'))).toThrow(/must be an instance of Keyv/)
    expect(() => new UnstorageStore(JSON.parse('{}'))).toThrow(/createStorage/)
    expect(() => new KeyvStore(new Keyv(), JSON.parse('{"prefx":"a"}'))).toThrow(/Did you mean `prefix`/)
    expect(() => new UnstorageStore(createStorage(), { chunkSize: 1 })).toThrow(OptionError)
  })

  it('row 225: of many values, one that Keyv cannot deserialize costs its own key only', async () => {
    class Backend extends Map<string, unknown> {
      getMany(names: readonly string[]): unknown[] {
        return names.map((name) => this.get(name))
      }
    }
    const map = new Backend()
    const store = new KeyvStore(new Keyv({ store: map }))
    await store.write(sampleHead('k'), new Uint8Array(5))
    const [first = ''] = [...map.keys()]
    await store.write(sampleHead('l'), new Uint8Array(6))
    for (const value of ['{', '{"value":{"a":1}}']) {
      map.set(first, value)
      const [broken, found] = await store.readMany(['k', 'l'])
      expect(broken).toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      expect(found).toMatchObject({ key: 'l', body: { size: 6 } })
    }
  })

  /** Keyv and unstorage over one Map, one of whose values, once it is spoilt, cannot be read. */
  const spoilable = (): { store: ListableStore & BatchReadingStore; map: Map<string, unknown>; spoil(): void }[] => {
    const known = new Map<string, unknown>()
    const deserialize = <T>(text: string): T => {
      if (text === 'spoilt') throw new RangeError('spoilt')
      return JSON.parse(text)
    }
    const getMany = (names: readonly string[]): unknown[] => names.map((name) => known.get(name))
    const keyv = new ListableKeyvStore(new Keyv({ store: Object.assign(known, { getMany }), deserialize }))
    const held = new Map<string, unknown>()
    const read = (name: string): unknown => {
      if (held.get(name) === 'spoilt') throw new RangeError('spoilt')
      return held.get(name) ?? null
    }
    const driver = {
      name: 'held',
      hasItem: (name: string) => held.has(name),
      getItem: read,
      getItemRaw: read,
      getKeys: () => [...held.keys()],
    }
    const changes = {
      setItemRaw: (name: string, value: unknown) => void held.set(name, value),
      setItem: () => undefined,
      removeItem: (name: string) => void held.delete(name),
    }
    const unstorage = new UnstorageStore(createStorage({ driver: { ...driver, ...changes } as never }))
    const spoil = (map: Map<string, unknown>) => () => void map.set([...map.keys()][0] ?? '', 'spoilt')
    return [
      { store: keyv, map: known, spoil: spoil(known) },
      { store: unstorage, map: held, spoil: spoil(held) },
    ]
  }

  it('row 225: one value that cannot be had costs its own key only, and can be replaced and removed', async () => {
    for (const { store, map, spoil } of spoilable()) {
      await store.write(sampleHead('k'), new Uint8Array(5))
      spoil()
      await store.write(sampleHead('l'), new Uint8Array(6))
      await expect(Promise.resolve(store.read('k'))).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
      const [broken, found] = await store.readMany(['k', 'l'])
      expect(broken).toMatchObject({ code: 'ERR_STORE_FAILED' })
      expect(found).toMatchObject({ key: 'l', body: { size: 6 } })
      if (store.name === 'unstorage') expect(await Array.fromAsync(store.keys())).toEqual(['l'])
      await store.write(sampleHead('k'), new Uint8Array(7))
      expect((await store.read('k'))?.body.size).toBe(7)
      spoil()
      await store.delete(['k', 'l'])
      expect([...map.keys()]).toEqual([])
    }
  })

  it('row 225: where none of what is there can be read, there is nothing to list; where nothing can be asked, that is told', async () => {
    for (const { store, map, spoil } of spoilable()) {
      if (store.name !== 'unstorage') continue
      await store.write(sampleHead('k'), new Uint8Array(5))
      spoil()
      expect(await Array.fromAsync(store.keys())).toEqual([])
      expect((await store.size()).entries).toBe(0)
      await store.clear()
      expect([...map.keys()]).toEqual([])
      await store.write(sampleHead('k'), new Uint8Array(5))
      map.get = () => {
        throw new RangeError('down')
      }
      await expect(Array.fromAsync(store.keys())).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    }
  })

  it('a write that Keyv only reports is an error; who was given stays open, unless asked', async () => {
    const keyv = new Keyv()
    keyv.on('error', () => undefined)
    let ended = 0
    keyv.disconnect = async () => void ended++
    const store = new KeyvStore(keyv)
    keyv.set = async () => false
    await expect(store.write(sampleHead('k'), new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    await store.close()
    expect(ended).toBe(0)
    await new KeyvStore(keyv, { disconnect: true }).close()
    expect(ended).toBe(1)
  })
})
