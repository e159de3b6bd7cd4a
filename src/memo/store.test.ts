import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { isValidMeta } from '../engine/meta.ts'
import { NEVER, type LockingStore, type MaybePromise, type Store } from '../engine/ports.ts'
import { decodeRecord, encodeRecord } from '../engine/record.ts'
import { OptionError, StateError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { SqliteStore } from '../stores/sqlite.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { FaultyStore, type Fault, type FaultyMethod } from '../testing/faulty-store.ts'
import { AsyncCache, memoize, type AsyncCacheOptions, type MemoEvent } from './index.ts'

const folder = mkdtempSync(join(tmpdir(), 'keepfresh-memo-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A memory store whose every answer comes later, as a server's does; leases included. */
class Remote extends MemoryStore implements LockingStore {
  override readonly limits = { ...new MemoryStore().limits, shared: true }
  readonly leases = new Map<string, string>()
  reads = 0

  override read(key: string): never {
    this.reads += 1
    return this.#later(() => super.read(key)) as never
  }

  override write(...args: Parameters<MemoryStore['write']>): Promise<void> {
    return this.#later(() => super.write(...args))
  }

  override delete(keys: readonly string[]): never {
    return this.#later(() => super.delete(keys)) as never
  }

  async #later<T>(act: () => MaybePromise<T>): Promise<T> {
    await setImmediate()
    return act()
  }

  async lock(name: string, owner: string): Promise<boolean> {
    await setImmediate()
    if (this.leases.has(name)) return false
    this.leases.set(name, owner)
    return true
  }

  async renew(name: string, owner: string): Promise<boolean> {
    return this.leases.get(name) === owner
  }

  async unlock(name: string, owner: string): Promise<boolean> {
    return this.leases.get(name) === owner && this.leases.delete(name)
  }
}

describe('F3: values in stores', () => {
  test('keep their types, in SQLite after the process that wrote them is gone', async () => {
    const path = join(folder, 'types.db')
    const value = {
      date: new Date(5),
      map: new Map([[1n, new Set(['a'])]]),
      bytes: new Uint8Array([1, 2]),
      nothing: undefined,
      minus: -0,
      error: new RangeError('r'),
    }
    {
      await using cache = new AsyncCache<unknown, unknown>({
        name: 'types',
        store: new SqliteStore(path),
        autoClose: true,
      })
      await cache.set({ id: 1n, at: new Date(7) }, value)
      await cache.set('undefined', undefined)
    }
    await using cache = new AsyncCache<unknown, unknown>({
      name: 'types',
      store: new SqliteStore(path),
      autoClose: true,
    })
    expect(await cache.get({ at: new Date(7), id: 1n })).toEqual(value)
    expect([await cache.has('undefined'), await cache.get('undefined'), await cache.has('absent')]).toEqual([
      true,
      undefined,
      false,
    ])
    const keys: unknown[] = []
    for await (const { key } of cache.entries()) keys.push(key)
    expect(keys).toContainEqual({ id: 1n, at: new Date(7) })
  })

  test('a value of many megabytes goes as a stream, and one over the store’s limit is refused', async () => {
    const store = new MemoryStore({ maxEntrySize: 2_000_000, maxBytes: 10_000_000 })
    const cache = new AsyncCache<string, Uint8Array>({ name: 'large', store })
    const refused: string[] = []
    cache.on('refused', ({ reason }) => refused.push(reason))
    const large = new Uint8Array(1_000_000).map((_, index) => index)
    expect(await cache.getOrSet('a', () => large)).toEqual(large)
    expect(await cache.get('a')).toEqual(large)
    await cache.getOrSet('b', () => new Uint8Array(3_000_000))
    expect([await cache.has('b'), refused]).toEqual([false, ['too-large']])
  })

  test('what a store cannot give back is refused with its path, the caller has it all the same; set says so', async () => {
    const cache = new AsyncCache<string, object>({ name: 'functions', store: new MemoryStore() })
    const refused: MemoEvent[] = []
    cache.on('refused', (event) => refused.push(event))
    const value = { deep: [() => 1] }
    expect(await cache.getOrSet('a', () => value)).toBe(value)
    expect(refused).toMatchObject([
      { reason: 'not-storable', detail: 'the value.deep[0] is a function, which cannot be stored' },
    ])
    await expect(cache.set('a', value)).rejects.toBeInstanceOf(OptionError)
  })

  test('each caller has a copy of its own (row 176)', async () => {
    const cache = new AsyncCache<string, number[]>({ name: 'copies', store: new Remote() })
    await cache.set('a', [1])
    const [first, second] = await Promise.all([cache.get('a'), cache.get('a')])
    first?.push(2)
    expect([second, await cache.get('a')]).toEqual([[1], [1]])
  })

  test('caches in one store do not see each other, nor the HTTP cache there; clear leaves the others alone', async () => {
    const store = new MemoryStore()
    const [a, b] = [
      new AsyncCache<string, number>({ name: 'a', store }),
      new AsyncCache<string, number>({ name: 'b', store }),
    ]
    await a.set('k', 1)
    await b.set('k', 2)
    await a.clear()
    expect([await a.get('k'), await b.get('k')]).toEqual([undefined, 2])
    const twin = new AsyncCache<string, number>({ name: 'b', store })
    expect(await twin.get('k')).toBe(2)
  })

  test('the metadata goes through the codec of records, and is checked', () => {
    const meta: unknown = { kind: 'value', key: 'k', valueSize: 2, failed: false, askedAt: 1.5, took: 3, tags: ['t'] }
    if (!isValidMeta(meta)) throw new Error('it is valid')
    const head = { key: 'k', meta, createdAt: 1, expiresAt: 2, keepUntil: 3 }
    expect(decodeRecord(encodeRecord(head, new Uint8Array(2))).head).toEqual(head)
    for (const wrong of [
      { valueSize: -1 },
      { valueSize: 'x' },
      { failed: 0 },
      { askedAt: Number.NaN },
      { took: null },
      { tags: [1] },
      { key: 1 },
    ])
      expect(isValidMeta({ ...(meta as object), ...wrong })).toBe(false)
  })

  test('concurrent hits on one key are one read of the store', async () => {
    const store = new Remote()
    const cache = new AsyncCache<string, number>({ name: 'reads', store })
    await cache.set('k', 1)
    store.reads = 0
    expect(new Set(await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('k', () => 2))))).toEqual(
      new Set([1]),
    )
    expect(store.reads).toBe(1)
  })

  test('what is being written is there for this process, and what is being deleted is not', async () => {
    const store = new Remote()
    const write = vi.spyOn(store, 'write')
    const cache = new AsyncCache<string, number>({ name: 'own', store, lease: false })
    await cache.getOrSet('k', () => 1)
    expect(write.mock.results[0]?.type).toBe('return')
    expect(await cache.peek('k')).toBe(1)
    const deleting = cache.delete('k')
    expect(await cache.has('k')).toBe(false)
    const setting = cache.set('k', 2)
    await Promise.all([deleting, setting])
    expect(await cache.get('k')).toBe(2)
  })

  test('keys that are no text in UTF-8 are told apart', async () => {
    const cache = new AsyncCache<string, string>({ name: 'keys', store: new SqliteStore({ memory: true }) })
    const keys = ['\ud800', '\ud801', '\ufffd', 'a\udfff', `${'long '.repeat(50)}\ud800`, `${'long '.repeat(50)}\ud801`]
    for (const key of keys) await cache.set(key, `value ${keys.indexOf(key)}`)
    expect(await cache.getMany(keys)).toEqual(keys.map((_, index) => `value ${index}`))
    expect(cache.stats().errors).toBe(0)
  })

  test('S4: close, however often it is called, ends when what was being written is there', async () => {
    const store = new Remote()
    const cache = new AsyncCache<string, string>({ name: 'closing', store })
    void cache.set('k', 'v')
    void cache.close()
    await cache.close()
    expect(await new AsyncCache<string, string>({ name: 'closing', store }).get('k')).toBe('v')
  })

  test('a store that cannot list says so, and nothing else is lost', async () => {
    const { name, limits, read, write, update, delete: remove, close } = bound(new MemoryStore())
    const cache = new AsyncCache<string, number>({
      name: 'plain',
      store: { name, limits, read, write, update, delete: remove, close },
    })
    await cache.set('k', 1)
    expect(await cache.get('k')).toBe(1)
    await expect(cache.clear()).rejects.toBeInstanceOf(StateError)
    await expect(cache.deleteExpired()).rejects.toMatchObject({ code: 'ERR_NOT_LISTABLE' })
  })
})

function bound(store: Store): Store {
  const { name, limits } = store
  return {
    name,
    limits,
    read: (key) => store.read(key),
    write: (head, body) => store.write(head, body),
    update: (key, change, version) => store.update(key, change, version),
    delete: (keys) => store.delete(keys),
    close: () => store.close(),
  }
}

describe('row 266, 279, I7: a store that fails costs nothing but the hit', () => {
  const options = (store: Store, more: AsyncCacheOptions<string, number> = {}): AsyncCacheOptions<string, number> => ({
    name: 'faulty',
    store,
    storeTimeout: 0.01,
    ...more,
  })

  test.each<[FaultyMethod, Fault]>([
    ['read', 'throw'],
    ['read', 'reject'],
    ['read', 'hang'],
    ['read', 'garbage'],
    ['read', 'break-stream'],
    ['write', 'throw'],
    ['write', 'reject'],
    ['delete', 'throw'],
    ['delete', 'reject'],
  ])('B27-B35: %s: %s', async (method, fault) => {
    const store = new FaultyStore(new MemoryStore())
    const cache = new AsyncCache(options(store))
    const errors: MemoEvent[] = []
    cache.on('error', (event) => errors.push(event))
    await cache.set('k', 1)
    store.fail(method, fault)
    expect(await cache.getOrSet('k', () => 2)).toBe(method === 'read' ? 2 : 1)
    expect(await cache.getOrSet('other', () => 3)).toBe(3)
    await cache.set('k', 4)
    expect(typeof (await cache.delete('k'))).toBe('boolean')
    expect(await cache.getMany(['k'])).toEqual([undefined])
    expect(await cache.getOrSetMany(['k', 'l'], () => [5, 6])).toEqual([5, 6])
    await cache.invalidateTags('t')
    expect(errors.length).toBeGreaterThan(0)
    expect(cache.stats().errors).toBe(errors.length)
  })

  test('B32: a write that hangs keeps nobody waiting; what it writes is there meanwhile', async () => {
    const store = new FaultyStore(new MemoryStore()).fail('write', 'hang')
    const cache = new AsyncCache(options(store))
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
    expect(await cache.getOrSet('k', () => 2)).toBe(1)
  })

  test('B35: what could not be deleted is not answered with again', async () => {
    const clock = new FakeClock()
    const store = new FaultyStore(new MemoryStore())
    const cache = new AsyncCache(options(store, { clock }))
    await cache.set('k', 1)
    store.fail('delete', 'reject')
    await cache.delete('k')
    expect(await cache.has('k')).toBe(false)
    clock.advance(1)
    expect(await cache.getOrSet('k', () => 2)).toBe(2)
    expect(await cache.get('k')).toBe(2)
  })

  test('B35: where a newer value could not be written, the older one is not answered with again', async () => {
    for (const also of ['write', 'delete'] as const) {
      const store = new FaultyStore(new MemoryStore())
      const cache = new AsyncCache(options(store))
      await cache.set('k', 1)
      store.fail('write', 'reject')
      store.fail(also, 'reject')
      await cache.set('k', 2)
      expect([await cache.get('k'), await cache.getOrSet('k', () => 3)]).toEqual([undefined, 3])
      await cache.set('l', 1)
      store.heal()
      await cache.set('l', 1)
      store.fail('write', 'throw')
      expect(await cache.refresh('l', () => 2)).toBe(2)
      await vi.waitFor(async () => expect(await cache.has('l')).toBe(false))
    }
  })

  test('B35: nor one that is written while a newer one is on its way', async () => {
    const store = new FaultyStore(new MemoryStore())
    const cache = new AsyncCache(options(store))
    store.fail('write', 'reject', 1)
    await Promise.all([cache.set('k', 1), cache.set('k', 2)])
    expect(await cache.get('k')).toBe(2)
  })

  test('B28, B35, D71: whatever of the store fails, and whenever: no value older than the last change is answered with', async () => {
    const step = fc.record({
      change: fc.constantFrom('set', 'refresh', 'delete', 'get', 'getOrSet'),
      fault: fc.constantFrom<[FaultyMethod, Fault] | null>(
        null,
        ['write', 'reject'],
        ['write', 'throw'],
        ['delete', 'reject'],
        ['read', 'reject'],
      ),
      also: fc.boolean(),
      wait: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, remote) => {
        const clock = new FakeClock()
        const store = new FaultyStore(remote ? new Remote() : new MemoryStore())
        const cache = new AsyncCache(options(store, { clock, lease: false, storeTimeout: 10 }))
        let oldest = 0
        for (const [index, { change, fault, also, wait }] of steps.entries()) {
          const value = index + 1
          store.heal()
          if (fault !== null) store.fail(...fault)
          if (fault !== null && also) store.fail('delete', 'reject')
          let seen: number | undefined
          if (change === 'set') await cache.set('k', (oldest = value))
          else if (change === 'refresh') await cache.refresh('k', () => (oldest = value))
          else if (change === 'delete') await cache.delete('k').then(() => (oldest = value))
          else if (change === 'get') seen = await cache.get('k')
          else seen = await cache.getOrSet('k', () => value)
          expect(seen ?? Infinity).toBeGreaterThanOrEqual(oldest)
          if (wait) await setImmediate()
          clock.advance(10)
        }
        store.heal()
        expect((await cache.get('k')) ?? Infinity).toBeGreaterThanOrEqual(oldest)
      }),
      { numRuns: 300 },
    )
  })

  test('D65: a renewal whose value is refused takes the older value with it, whatever the reason', async () => {
    const value: { now: unknown } = { now: 'kept' }
    const reasons: string[] = []
    for (const place of [
      { name: 'renewed', store: new MemoryStore({ maxEntrySize: 10_000 }) },
      { maxSize: 10_000, sizeOf: (given: unknown) => (typeof given === 'string' ? given.length : 1) },
    ]) {
      const cache = new AsyncCache<string, unknown>({
        ...place,
        filter: (given) => given !== 'filtered',
        ttl: (given) => (given === 'momentary' ? 0 : 60),
        tags: (given) => (given === 'no tags' ? (undefined as never) : []),
      })
      cache.on('refused', ({ reason }) => reasons.push(reason))
      const refused = ['filtered', 'momentary', 'no tags', 'x'.repeat(20_000)]
      if ('store' in place) refused.push((() => 1) as never)
      for (const now of refused) {
        value.now = 'kept'
        await cache.getOrSet('k', () => value.now)
        value.now = now
        expect(await cache.refresh('k', () => value.now)).toBe(now)
        await vi.waitFor(async () => expect(await cache.has('k')).toBe(false))
      }
      await cache.set('k', 'kept')
      await cache.refresh('k', () => 'unwritten', { write: false })
      expect(await cache.get('k')).toBe('kept')
    }
    expect(reasons.filter((reason) => reason !== 'write-off')).toEqual([
      'filter',
      'ttl',
      'option-failed',
      'too-large',
      'not-storable',
      'filter',
      'ttl',
      'option-failed',
      'too-large',
    ])
  })

  test('a long value is given up, too, where the store does not take it', async () => {
    const inner = new MemoryStore({ maxBytes: 50_000_000 })
    const store = new FaultyStore(inner)
    const cache = new AsyncCache<string, Uint8Array>({ name: 'long', store, storeTimeout: 0.001 })
    store.fail('write', 'never-drain')
    await cache.getOrSet('k', () => new Uint8Array(3_000_000))
    const errors: MemoEvent[] = []
    cache.on('error', (event) => errors.push(event))
    await cache.close()
    expect(errors).toMatchObject([{ operation: 'write', error: { code: 'ERR_STORE_TIMEOUT' } }])
  })

  test('tags whose marks cannot be read, or were set by the HTTP cache, make a miss', async () => {
    const store = new MemoryStore()
    const cache = new AsyncCache<string, number>({ name: 'n', store, tags: ['t'] })
    await cache.set('k', 1)
    const key = '\ntag t'
    const at = Date.now() + 1000
    store.write(
      { key, meta: { kind: 'mark', key, at, mode: 'revalidate' }, createdAt: at, expiresAt: NEVER, keepUntil: NEVER },
      new Uint8Array(),
    )
    expect(await cache.get('k')).toBe(undefined)
    const fails = bound(store)
    const blind = new AsyncCache<string, number>({
      name: 'm',
      store: {
        ...fails,
        limits: { ...store.limits, persistent: true },
        read: (asked) => (asked.startsWith('\ntag') ? Promise.reject(new Error('away')) : store.read(asked)),
      },
      tags: ['u'],
    })
    await blind.set('k', 1)
    expect(await blind.getOrSet('k', () => 2)).toBe(2)
  })

  test('B37: after a row of failures the store is left alone, then probed, and then used again', async () => {
    const clock = new FakeClock()
    const store = new FaultyStore(new MemoryStore()).fail('read', 'reject').fail('write', 'reject')
    const cache = new AsyncCache(options(store, { clock }))
    for (let i = 0; i < 10; i++) await cache.getOrSet(`k${i}`, () => i)
    const calls = store.calls.read
    expect(calls).toBeLessThan(10)
    await cache.getOrSet('k', () => 1)
    expect(store.calls.read).toBe(calls)
    store.heal()
    clock.advance(60_000)
    await cache.getOrSet('k', () => 1)
    expect(store.calls.read).toBe(calls + 1)
    await cache.set('k', 2)
    expect(await cache.get('k')).toBe(2)
  })

  test('B40: the value of another key, and an entry that is no value, are misses', async () => {
    const store = new MemoryStore()
    const cache = new AsyncCache<string, number>({ name: 'n', store })
    await cache.set('k', 1)
    const entry = store.read('\nmemo n\nk')
    if (entry === undefined) throw new Error('it is there')
    const key = '\nmemo n\nother'
    store.write({ ...entry, key }, new Uint8Array([1, 2, 3]))
    expect(await cache.has('other')).toBe(false)
    store.write({ ...entry, key, meta: { kind: 'mark', key, at: 0, mode: 'stale' } }, new Uint8Array())
    expect(await cache.has('other')).toBe(false)
    store.write(entry, new TextEncoder().encode('J{"cut'))
    expect(await cache.getOrSet('k', () => 7)).toBe(7)
  })
})

describe('row 264, F4: one call in all processes, on a store that holds leases', () => {
  const pair = <V>(
    more: AsyncCacheOptions<string, V> = {},
  ): { store: Remote; a: AsyncCache<string, V>; b: AsyncCache<string, V> } => {
    const store = new Remote()
    const make = (): AsyncCache<string, V> => new AsyncCache<string, V>({ name: 'shared', store, ...more })
    return { store, a: make(), b: make() }
  }

  test('the second waits for what the first stores', async () => {
    const { store, a, b } = pair<string>()
    const { promise, resolve } = Promise.withResolvers<string>()
    const fn = vi.fn(() => promise)
    const other = vi.fn(() => 'other')
    const first = a.getOrSet('k', fn)
    await vi.waitFor(() => expect(fn).toHaveBeenCalled())
    const second = b.getOrSet('k', other)
    await vi.waitFor(() => expect(store.reads).toBeGreaterThan(3))
    resolve('v')
    expect(await Promise.all([first, second])).toEqual(['v', 'v'])
    expect(other).not.toHaveBeenCalled()
    await vi.waitFor(() => expect(store.leases.size).toBe(0))
  })

  test('where the first fails the second tries; what is not kept is fetched by each', async () => {
    const { store, a, b } = pair<string>({ filter: (value) => value !== 'unkept' })
    const first = Promise.withResolvers<string>()
    const failing = a.getOrSet('k', () => first.promise)
    await vi.waitFor(() => expect(store.leases.size).toBe(1))
    const second = b.getOrSet('k', () => 'second')
    first.reject(new Error('first'))
    await expect(failing).rejects.toThrow('first')
    expect(await second).toBe('second')
    expect(await Promise.all([a.getOrSet('u', () => 'unkept'), b.getOrSet('u', () => 'unkept')])).toEqual([
      'unkept',
      'unkept',
    ])
    await vi.waitFor(() => expect(store.leases.size).toBe(0))
  })

  test('an error that is kept is there before the lease is given back: the others do not call the function', async () => {
    const { a, b } = pair<string>({ errorTtl: 60 })
    const fn = vi.fn(() => Promise.reject(new Error('down')))
    const ends = await Promise.allSettled([a.getOrSet('k', fn), b.getOrSet('k', fn)])
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(fn).toHaveBeenCalledTimes(1)
  })

  test('stats: who waited for another process is one call, and a renewal none', async () => {
    const clock = new FakeClock()
    const { a, b } = pair<string>({ clock, ttl: 10, staleWhileRevalidate: 60 })
    const fn = async (): Promise<string> => {
      for (let i = 0; i < 10; i++) await setImmediate()
      return 'v'
    }
    await Promise.all([a.getOrSet('k', fn), b.getOrSet('k', fn)])
    const collapsed = (): number => a.stats().collapsed + b.stats().collapsed
    expect([collapsed(), a.stats().hitRatio + b.stats().hitRatio]).toEqual([1, 1])
    clock.advance(10_000)
    await Promise.all([a.getOrSet('k', fn), b.getOrSet('k', fn)])
    await vi.waitFor(async () => expect(await a.has('k')).toBe(true))
    for (let i = 0; i < 50; i++) await setImmediate()
    expect(collapsed()).toBe(1)
  })

  test('stats: who had the stale value while it waited for another process is one call, too', async () => {
    const clock = new FakeClock()
    const { a, b } = pair<string>({ clock, ttl: 10, staleIfError: 60, softTimeout: 0.005 })
    await a.set('k', 'old')
    clock.advance(11_000)
    const slow = Promise.withResolvers<string>()
    expect(await a.getOrSet('k', () => slow.promise)).toBe('old')
    expect(await b.getOrSet('k', () => 'other')).toBe('old')
    slow.resolve('new')
    await vi.waitFor(() => expect(b.stats().collapsed).toBe(1))
    expect(b.stats()).toMatchObject({ misses: 1, stale: 1, hitRatio: 1 })
  })

  test('D69: who lost its lease stores nothing', async () => {
    const clock = new FakeClock()
    const { store, a, b } = pair<string>({ clock, lease: 10 })
    const refused: string[] = []
    a.on('refused', ({ reason }) => refused.push(reason))
    const slow = Promise.withResolvers<string>()
    const first = a.getOrSet('k', () => slow.promise)
    await vi.waitFor(() => expect(store.leases.size).toBe(1))
    // It is paused for longer than its lease; another takes it and stores.
    clock.advance(20_000)
    store.leases.clear()
    expect(await b.getOrSet('k', () => 'newer')).toBe('newer')
    slow.resolve('older')
    expect(await first).toBe('older')
    await vi.waitFor(() => expect(refused).toEqual(['lease-lost']))
    expect(await b.get('k')).toBe('newer')
  })

  test('D72: a function that never ends keeps its lease no longer than hardTimeout, or than somebody waits', async () => {
    const never = (): Promise<string> => new Promise(() => undefined)
    const timed = pair<string>({ hardTimeout: 0.02 })
    await expect(timed.a.getOrSet('k', never)).rejects.toMatchObject({ name: 'TimeoutError' })
    expect(await timed.b.getOrSet('k', async () => 'v')).toBe('v')
    const left = pair<string>()
    const controller = new AbortController()
    const waiting = left.a.getOrSet('k', never, { signal: controller.signal })
    await vi.waitFor(() => expect(left.store.leases.size).toBe(1))
    controller.abort(new Error('left'))
    await expect(waiting).rejects.toThrow('left')
    expect(await left.b.getOrSet('k', async () => 'v')).toBe('v')
  })

  test('who leaves while the lease is waited for calls nothing', async () => {
    const { store, a } = pair<string>()
    const fn = vi.fn(async () => 'v')
    const controller = new AbortController()
    const lock = store.lock.bind(store)
    store.lock = async (...args) => {
      const taken = await lock(...args)
      controller.abort(new Error('left'))
      return taken
    }
    await expect(a.getOrSet('k', fn, { signal: controller.signal })).rejects.toThrow('left')
    await vi.waitFor(() => expect(store.leases.size).toBe(0))
    for (let i = 0; i < 20; i++) await setImmediate()
    expect(fn).not.toHaveBeenCalled()
  })

  test('leases that fail, or hang, cost nothing but the single flight', async () => {
    const { store, a } = pair<string>({ storeTimeout: 0.01 })
    store.lock = () => Promise.reject(new Error('down'))
    expect(await a.getOrSet('k', () => 'v')).toBe('v')
    store.lock = () => new Promise(() => undefined)
    expect(await a.getOrSet('l', () => 'v')).toBe('v')
  })

  test('a renewal in the background is made by one process, and refresh by whoever asks', async () => {
    const clock = new FakeClock()
    const { a, b } = pair<string>({ clock, ttl: 10, staleWhileRevalidate: 60 })
    await a.set('k', 'old')
    clock.advance(10_000)
    const fn = vi.fn(async () => 'new')
    expect(await Promise.all([a.getOrSet('k', fn), b.getOrSet('k', fn)])).toEqual(['old', 'old'])
    await vi.waitFor(async () => expect(await Promise.all([a.get('k'), b.get('k')])).toEqual(['new', 'new']))
    for (let i = 0; i < 50; i++) await setImmediate()
    expect(fn).toHaveBeenCalledTimes(1)
    expect(await Promise.all([a.refresh('k', fn), b.refresh('k', fn)])).toEqual(['new', 'new'])
    expect(fn).toHaveBeenCalledTimes(3)
  })

  test('tags invalidated in one process are invalid in the other', async () => {
    const { a, b } = pair<string>({ tags: ['t'] })
    await a.set('k', 'v')
    expect(await b.get('k')).toBe('v')
    await b.invalidateTags('t')
    expect([await a.get('k'), await b.get('k')]).toEqual([undefined, undefined])
    await vi.waitFor(async () => {
      // What was set within the millisecond of the invalidation may be from before it, for all that another process knows.
      await a.set('k', 'w')
      expect(await b.get('k')).toBe('w')
    })
  })
})

describe('D59, D67: four processes on one file', () => {
  const start = (database: string, log: string, ...args: (string | number)[]): ChildProcess =>
    spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', HERD, database, log, ...args.map(String)],
      {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      },
    )

  test('a herd of 1,000 calls, 250 in each of four processes, calls the function once', async () => {
    const [database, log] = [join(folder, 'herd.db'), join(folder, 'herd.log')]
    const children = Array.from({ length: 4 }, () => start(database, log, 250, 50))
    await Promise.all(children.map((child) => once(child, 'message')))
    const answers = await Promise.all(
      children.map(async (child) => {
        const answer = once(child, 'message')
        child.send('go')
        return (await answer)[0] as unknown
      }),
    )
    expect(answers).toEqual(Array.from({ length: 4 }, () => ['k 5']))
    expect(readFileSync(log, 'utf8').trim().split('\n')).toHaveLength(1)
    await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))
  })

  test('a process that is killed while it calls the function keeps the others waiting no longer than its lease', async () => {
    const [database, log] = [join(folder, 'killed.db'), join(folder, 'killed.log')]
    const victim = start(database, log, 1, 60_000, 1)
    await once(victim, 'message')
    victim.send('go')
    await vi.waitFor(() => expect(existsSync(log)).toBe(true), 10_000)
    victim.kill('SIGKILL')
    await once(victim, 'exit')
    await using store = disposable(new SqliteStore(database))
    const slow = memoize(async (key: string) => ({ key }), {
      name: 'herd',
      store: store.store,
      lease: 1,
      storeTimeout: 5,
    })
    expect(await slow('k')).toEqual({ key: 'k' })
  })
})

function disposable(store: SqliteStore): { store: SqliteStore } & AsyncDisposable {
  return { store, [Symbol.asyncDispose]: async () => store.close() }
}

/** One process of a herd: many calls for one key; each call of the function leaves a line in a file. */
const HERD = `
import { appendFileSync } from 'node:fs'
import { SqliteStore } from '${new URL('../stores/sqlite.ts', import.meta.url).href}'
import { memoize } from '${new URL('index.ts', import.meta.url).href}'
const [database, log, calls, ms, lease = 10] = process.argv.slice(1)
const slow = memoize(
  async (key) => {
    appendFileSync(log, process.pid + '\\n')
    await new Promise((resolve) => setTimeout(resolve, Number(ms)))
    return { key, at: new Date(5) }
  },
  { name: 'herd', store: new SqliteStore(database), autoClose: true, lease: Number(lease), storeTimeout: 5 },
)
process.once('message', async () => {
  const values = await Promise.all(Array.from({ length: Number(calls) }, () => slow('k')))
  process.send([...new Set(values.map(({ key, at }) => key + ' ' + at.getTime()))])
  await slow.cache.close()
  process.disconnect()
})
process.send('ready')
`

test('row 6: a store whose package is not installed is told to whoever asks, at the first use; the function is not called', async () => {
  const missing = new StateError('ERR_MISSING_PEER', 'RedisStore needs the package `redis`: npm install redis.')
  const fail = (): Promise<never> => Promise.reject(missing)
  const uses: readonly ((cache: AsyncCache<string, number>) => Promise<unknown>)[] = [
    (cache) => cache.get('a'),
    (cache) => cache.has('a'),
    (cache) => cache.getMany(['a', 'b']),
    (cache) => cache.set('a', 1),
    (cache) => cache.delete('a'),
    (cache) => cache.invalidateTags('t'),
    (cache) => cache.getOrSet('a', () => expect.unreachable()),
    (cache) => cache.getOrSetMany(['a', 'b'], () => expect.unreachable()),
  ]
  for (const use of uses) {
    const store = Object.assign(new MemoryStore(), { read: fail, write: fail, update: fail, delete: fail })
    const cache = new AsyncCache<string, number>({ store, name: 'c' })
    for (let times = 0; times < 2; times++) await expect(use(cache)).rejects.toBe(missing)
    await expect(cache.refresh('a', () => expect.unreachable())).rejects.toBe(missing)
  }
})
