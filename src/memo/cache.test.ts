import { channel } from 'node:diagnostics_channel'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { OptionError, StateError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { SqliteStore } from '../stores/sqlite.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { AsyncCache, type AsyncCacheOptions, type MemoEvent } from './index.ts'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Every test of the interface, on values in memory, on a synchronous and on an asynchronous store. */
const PLACES: readonly (readonly [
  string,
  () => Pick<AsyncCacheOptions<never, never>, 'name' | 'store' | 'autoClose'>,
])[] = [
  ['by reference', () => ({})],
  ['the memory store', () => ({ name: 'test', store: new MemoryStore(), autoClose: true })],
  ['SQLite', () => ({ name: 'test', store: new SqliteStore({ memory: true }), autoClose: true })],
]

describe.each(PLACES)('AsyncCache, %s', (_, place) => {
  const make = <V>(options: AsyncCacheOptions<string, V> = {}): AsyncCache<string, V> =>
    new AsyncCache<string, V>({ ...place(), ...options })

  test('row 261: getOrSet calls the function once; null, 0, "", false, NaN and undefined are hits like any other', async () => {
    await using cache = make<unknown>()
    for (const value of [null, 0, '', false, Number.NaN, undefined, -0, { a: 1 }]) {
      const fn = vi.fn(async () => value)
      const key = `k ${JSON.stringify(value)} ${String(value)} ${Object.is(value, -0)}`
      expect(await cache.getOrSet(key, fn)).toEqual(value)
      const again = await cache.getOrSet(key, fn)
      expect(again).toEqual(value)
      expect(Object.is(again, value) || typeof value === 'object').toBe(true)
      expect(fn).toHaveBeenCalledTimes(1)
      expect(await cache.has(key)).toBe(true)
    }
  })

  test('row 262: a failure is never kept', async () => {
    await using cache = make<number>()
    const fn = vi.fn<() => Promise<number>>().mockRejectedValueOnce(new Error('first')).mockResolvedValue(2)
    await expect(cache.getOrSet('k', fn)).rejects.toThrow('first')
    expect(await cache.getOrSet('k', fn)).toBe(2)
    await vi.waitFor(() => expect(cache.stats()).toMatchObject({ failures: 1, stored: 1 }))
  })

  test('a function that throws at once, or returns no promise, is as good', async () => {
    await using cache = make<number>()
    const thrown = new Error('at once')
    await expect(
      cache.getOrSet('k', () => {
        throw thrown
      }),
    ).rejects.toBe(thrown)
    expect(await cache.getOrSet('k', () => 5)).toBe(5)
  })

  test('get, set, has, peek, delete', async () => {
    await using cache = make<number>()
    expect([await cache.get('k'), await cache.has('k'), await cache.delete('k')]).toEqual([undefined, false, false])
    await cache.set('k', 1)
    expect([await cache.get('k'), await cache.has('k'), await cache.peek('k')]).toEqual([1, true, 1])
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 1 })
    expect(await cache.delete('k')).toBe(true)
    expect(await cache.has('k')).toBe(false)
  })

  test('values end with their ttl: the cache’s, the call’s, and one computed from the value', async () => {
    const clock = new FakeClock()
    await using cache = make<number>({ clock, ttl: (value) => (value > 10 ? '1m' : 10) })
    await cache.set('short', 1)
    await cache.set('long', 11)
    await cache.set('own', 1, { ttl: '2h' })
    await cache.set('day', 1, { ttl: new Date(clock.now() + 30_000) })
    const there = async (): Promise<string> => {
      const keys = ['short', 'long', 'own', 'day']
      const found = await Promise.all(keys.map((key) => cache.has(key)))
      return keys.filter((__, index) => found[index]).join(' ')
    }
    clock.advance(9999)
    expect(await there()).toBe('short long own day')
    clock.advance(1)
    expect(await there()).toBe('long own day')
    clock.advance(20_000)
    expect(await there()).toBe('long own')
    clock.advance(30_000)
    expect(await there()).toBe('own')
    expect(await cache.deleteExpired()).toBe(3)
    expect((await collect(cache.entries())).map(({ key }) => key)).toEqual(['own'])
  })

  test('ttl 0 keeps nothing, and set with ttl 0 removes what was there', async () => {
    await using cache = make<number>({ ttl: 0 })
    const fn = vi.fn(async () => 1)
    await cache.getOrSet('k', fn)
    await cache.getOrSet('k', fn)
    expect(fn).toHaveBeenCalledTimes(2)
    await cache.set('k', 1, { ttl: 60 })
    expect(await cache.has('k')).toBe(true)
    await cache.set('k', 2, { ttl: 0 })
    expect(await cache.has('k')).toBe(false)
  })

  test('row 265: getOrSetMany calls the function once, for what is missing, and answers in order; double keys count once', async () => {
    await using cache = make<number>()
    await cache.set('b', 20)
    const fn = vi.fn(async (keys: readonly string[]) => keys.map((key) => key.charCodeAt(0)))
    expect(await cache.getOrSetMany(['a', 'b', 'c', 'a'], fn)).toEqual([97, 20, 99, 97])
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['a', 'c']])
    expect(await cache.getOrSetMany(['a', 'b', 'c'], fn)).toEqual([97, 20, 99])
    expect(await cache.getOrSetMany([], fn)).toEqual([])
    expect(fn).toHaveBeenCalledTimes(1)
    expect(await cache.getMany(['a', 'x', 'c'])).toEqual([97, undefined, 99])
  })

  test('row 265: calls for one of the keys, and other batches, wait for the batch under way', async () => {
    await using cache = make<string>()
    const { promise, resolve } = Promise.withResolvers<void>()
    const fn = vi.fn(async (keys: readonly string[]) => {
      await promise
      return keys.map((key) => key.toUpperCase())
    })
    const single = vi.fn(async () => 'single')
    const first = cache.getOrSetMany(['a', 'b'], fn)
    await vi.waitFor(() => expect(fn).toHaveBeenCalledTimes(1))
    const second = cache.getOrSetMany(['b', 'c'], fn)
    const one = cache.getOrSet('a', single)
    await vi.waitFor(() => expect(fn).toHaveBeenCalledTimes(2))
    resolve()
    expect(await Promise.all([first, second, one])).toEqual([['A', 'B'], ['B', 'C'], 'A'])
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['a', 'b'], ['c']])
    expect(single).not.toHaveBeenCalled()
  })

  test('getOrSetMany: a wrong number of values, and a failure, are told of and not kept', async () => {
    await using cache = make<number>()
    await expect(cache.getOrSetMany(['a', 'b'], async () => [1])).rejects.toThrow('must bring an array of 2 values')
    await expect(cache.getOrSetMany(['a', 'b'], () => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(await cache.getOrSetMany(['a', 'b'], () => [1, 2])).toEqual([1, 2])
  })

  test('setMany takes pairs and Maps; deleteMany counts', async () => {
    await using cache = make<number>()
    await cache.setMany(
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
    )
    await cache.setMany([['c', 3]], { ttl: 60 })
    expect(await cache.getMany(['a', 'b', 'c'])).toEqual([1, 2, 3])
    expect(await cache.deleteMany(['a', 'b', 'x'])).toBe(2)
  })

  test('entries lists keys, values and terms; clear empties', async () => {
    const clock = new FakeClock(1_000_000)
    await using cache = make<object>({ clock, ttl: 60, staleIfError: 60, tags: ['t'] })
    await cache.set('a', { n: 1 })
    await cache.set('b', { n: 2 }, { ttl: 'never' })
    clock.advance(70_000)
    const items = (await collect(cache.entries())).toSorted((x, y) => x.key.localeCompare(y.key))
    expect(items).toEqual([
      {
        key: 'a',
        value: { n: 1 },
        createdAt: new Date(1_000_000),
        expiresAt: new Date(1_060_000),
        stale: true,
        tags: ['t'],
      },
      { key: 'b', value: { n: 2 }, createdAt: new Date(1_000_000), expiresAt: null, stale: false, tags: ['t'] },
    ])
    await cache.clear()
    expect(await collect(cache.entries())).toEqual([])
    await cache.set('c', {})
    expect(await cache.has('c')).toBe(true)
  })

  test('I2: tags of the cache, of the value and of the call; invalidation deletes, or leaves stale', async () => {
    const clock = new FakeClock()
    await using cache = make<string>({ clock, ttl: 60, staleIfError: 60, tags: (value) => [`value ${value}`] })
    await cache.set('a', 'x', { tags: ['call'] })
    await cache.set('b', 'y')
    await cache.invalidateTags(['value y', 'nobody has this'])
    expect(await cache.getMany(['a', 'b'])).toEqual(['x', undefined])
    await cache.invalidateTags('call', 'stale')
    expect(await cache.has('a')).toBe(false)
    expect(await cache.getOrSet('a', () => Promise.reject(new Error('down')))).toBe('x')
    await cache.set('a', 'x', { tags: ['call'] })
    expect(await cache.get('a')).toBe('x')
  })

  test('row 263: refresh and write per call; filter and minDuration (row 274) decide what is kept', async () => {
    const clock = new FakeClock()
    await using cache = make<number>({ clock, filter: (value) => value !== 13, minDuration: '0.1s' })
    const slow = (value: number) => () => {
      clock.advance(200)
      return value
    }
    const kept = async (key: string): Promise<number | undefined> => cache.peek(key)
    await cache.getOrSet('quick', () => 1)
    await cache.getOrSet('13', slow(13))
    await cache.getOrSet('unwritten', slow(1), { write: false })
    await cache.getOrSet('kept', slow(1))
    expect(await Promise.all(['quick', '13', 'unwritten', 'kept'].map(kept))).toEqual([
      undefined,
      undefined,
      undefined,
      1,
    ])
    expect(await cache.getOrSet('kept', slow(2))).toBe(1)
    expect(await cache.getOrSet('kept', slow(2), { refresh: true })).toBe(2)
    expect(await cache.refresh('kept', slow(3))).toBe(3)
    expect(await cache.get('kept')).toBe(3)
  })

  test('row 263: a call for one who keeps nothing is kept once another joins who does', async () => {
    await using cache = make<number>()
    const first = Promise.withResolvers<number>()
    const fn = vi.fn(() => first.promise)
    const unkept = cache.getOrSet('k', fn, { write: false })
    const many = cache.getOrSetMany(['m'], async () => [await first.promise], { write: false })
    await vi.waitFor(() => expect(cache.stats().misses).toBe(2))
    const kept = [cache.getOrSet('k', fn), cache.getOrSet('m', fn), cache.getOrSet('k', fn, { write: false })]
    await vi.waitFor(() => expect(cache.stats().collapsed).toBe(3))
    first.resolve(1)
    expect(await Promise.all([unkept, ...kept])).toEqual([1, 1, 1, 1])
    expect(await many).toEqual([1])
    expect(fn).toHaveBeenCalledTimes(1)
    await vi.waitFor(async () => expect(await cache.getMany(['k', 'm'])).toEqual([1, 1]))
  })

  test('row 263: a refresh that is not to be kept does not keep a call under way from being kept', async () => {
    await using cache = make<number>()
    const first = Promise.withResolvers<number>()
    const under = cache.getOrSet('k', () => first.promise)
    await vi.waitFor(() => expect(cache.stats().misses).toBe(1))
    expect(await cache.refresh('k', () => 8, { write: false })).toBe(8)
    expect(await cache.getOrSetMany(['k'], () => [9], { write: false, refresh: true })).toEqual([9])
    const joined = cache.getOrSet('k', () => 7)
    first.resolve(1)
    expect(await Promise.all([under, joined])).toEqual([1, 1])
    await vi.waitFor(async () => expect(await cache.get('k')).toBe(1))
  })

  test('row 263: one that was joined to be kept is as any other: an older one in its key\u2019s shadow is not kept after it', async () => {
    await using cache = make<number>({ tags: (value) => [`t${value}`] })
    const [older, newer] = [Promise.withResolvers<number>(), Promise.withResolvers<number>()]
    const calls = [cache.getOrSet('k', () => older.promise)]
    await vi.waitFor(() => expect(cache.stats().misses).toBe(1))
    // It may be about the call under way, which can be joined no more.
    await cache.invalidateTags('other')
    calls.push(cache.getOrSet('k', () => newer.promise, { write: false }))
    await vi.waitFor(() => expect(cache.stats().misses).toBe(2))
    calls.push(cache.getOrSet('k', () => 0))
    await vi.waitFor(() => expect(cache.stats().collapsed).toBe(1))
    newer.resolve(2)
    expect(await calls[1]).toBe(2)
    await vi.waitFor(async () => expect(await cache.get('k')).toBe(2))
    older.resolve(1)
    expect(await Promise.all(calls)).toEqual([1, 2, 2])
    expect(await cache.get('k')).toBe(2)
  })

  test('S4: close is idempotent, and use after it is a clear error', async () => {
    const cache = make<number>({ name: 'users' })
    await cache.set('a', 1)
    await cache.close()
    await cache.close()
    const error = expect.objectContaining({
      name: 'StateError',
      message: expect.stringContaining('The cache users is closed'),
    })
    for (const use of [
      () => cache.get('a'),
      () => cache.set('a', 1),
      () => cache.has('a'),
      () => cache.peek('a'),
      () => cache.delete('a'),
      () => cache.clear(),
      () => cache.getOrSet('a', () => 1),
      () => cache.getOrSetMany(['a'], () => [1]),
      () => cache.getMany(['a']),
      () => cache.setMany([['a', 1]]),
      () => cache.invalidateTags('t'),
      () => collect(cache.entries()),
      () => cache.deleteExpired(),
    ])
      await expect(use()).rejects.toEqual(error)
    expect(new StateError('ERR_SESSION_CLOSED', '')).toBeInstanceOf(Error)
  })

  test('keys are compared by value, or by what the option key makes of them', async () => {
    const options = place()
    await using cache = new AsyncCache<unknown, number>(options)
    const fn = vi.fn(() => fn.mock.calls.length)
    for (const key of [1, '1', { a: 1, b: 2 }, [1], new Date(1), -0, 0]) await cache.getOrSet(key, fn)
    expect(fn).toHaveBeenCalledTimes(7)
    expect(await cache.getOrSet({ b: 2, a: 1 }, fn)).toBe(3)
    await expect(cache.getOrSet(() => 1, fn)).rejects.toBeInstanceOf(OptionError)
    await using byId = new AsyncCache<{ id: number; socket: unknown }, string>({ ...place(), key: ({ id }) => id })
    await byId.getOrSet({ id: 1, socket: () => 1 }, () => 'one')
    expect(await byId.get({ id: 1, socket: Symbol('s') })).toBe('one')
  })

  test('a key of any length', async () => {
    await using cache = make<number>()
    const key = 'x'.repeat(100_000)
    await cache.set(key, 1)
    await cache.set(`${key}y`, 2)
    expect(await cache.getMany([key, `${key}y`])).toEqual([1, 2])
    expect((await collect(cache.entries())).map((item) => item.key.length).toSorted((a, b) => a - b)).toEqual([
      100_000, 100_001,
    ])
  })
})

describe('row 275, I3: events and counters', () => {
  test('one event a call, with key and reason; every refusal has its reason (row 276)', async () => {
    const clock = new FakeClock()
    const cache = new AsyncCache<string, number>({
      name: 'n',
      clock,
      ttl: 10,
      maxSize: 2,
      eviction: 'lru',
      filter: (value) => value < 100,
    })
    const events: string[] = []
    cache.on('*', (event) =>
      events.push([event.type, 'key' in event ? event.key : '', 'reason' in event ? event.reason : ''].join(' ')),
    )
    const hits: number[] = []
    const stop = cache.on('hit', (event) => {
      expectTypeOf(event).toEqualTypeOf<Extract<MemoEvent, { type: 'hit' }>>()
      hits.push(event.age)
    })
    await cache.getOrSet('a', () => 1)
    clock.advance(2500)
    await cache.getOrSet('a', () => 1)
    stop()
    await cache.getOrSet('a', () => 1)
    await cache.getOrSet('big', () => 100)
    await cache.set('b', 1)
    await cache.set('c', 1)
    await cache.delete('c')
    clock.advance(10_000)
    await Promise.all([cache.getOrSet('b', () => 2), cache.getOrSet('b', () => 3)])
    await cache.getOrSet('x', () => Promise.reject(new Error('down'))).catch(() => undefined)
    expect(events).toEqual([
      'miss a absent',
      'stored a value',
      'hit a fresh',
      'hit a fresh',
      'miss big absent',
      'refused big filter',
      'stored b set',
      'evicted a count',
      'stored c set',
      'invalidated  delete',
      'miss b stale',
      'collapsed b flight',
      'stored b value',
      'miss x absent',
      'failed x ',
    ])
    expect(hits).toEqual([2.5])
    expect(cache.stats()).toEqual({
      hits: 2,
      stale: 0,
      misses: 4,
      collapsed: 1,
      refreshes: 0,
      stored: 4,
      refused: 1,
      evicted: 1,
      failures: 1,
      errors: 0,
      timeSaved: 0,
      size: 1,
      hitRatio: 3 / 7,
    })
  })

  test('diagnostics_channel: keepfresh', async () => {
    const cache = new AsyncCache<string, number>({ name: 'diagnosed' })
    const seen: unknown[] = []
    const subscriber = (message: unknown): void => void seen.push(message)
    channel('keepfresh').subscribe(subscriber)
    await cache.getOrSet('a', () => 1)
    await cache.getOrSet('a', () => 1)
    channel('keepfresh').unsubscribe(subscriber)
    await cache.getOrSet('a', () => 1)
    expect(seen).toMatchObject([
      { type: 'miss', cache: 'diagnosed', key: 'a' },
      { type: 'stored', cache: 'diagnosed', ttl: Infinity },
      { type: 'hit', cache: 'diagnosed', reason: 'fresh' },
    ])
  })

  test('165: a listener that throws hurts nobody', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const cache = new AsyncCache<string, number>()
    cache.on('miss', () => {
      throw new Error('listener')
    })
    expect(await cache.getOrSet('a', () => 1)).toBe(1)
    expect(warned).toHaveBeenCalledWith(
      expect.stringContaining('listener'),
      expect.objectContaining({ code: 'KEEPFRESH_LISTENER' }),
    )
    warned.mockRestore()
  })

  test('timeSaved is what the function took, for each hit', async () => {
    const clock = new FakeClock()
    const cache = new AsyncCache<string, number>({ clock })
    const slow = (): number => {
      clock.advance(250)
      return 1
    }
    for (let i = 0; i < 4; i++) await cache.getOrSet('a', slow)
    expect(cache.stats().timeSaved).toBe(750)
  })
})

describe('S5: options are checked when they are given', () => {
  test.each<[object, string, string]>([
    [{ tll: 1 }, 'ERR_OPTION_UNKNOWN', 'unknown option tll; did you mean ttl?'],
    [{ maxsize: 1 }, 'ERR_OPTION_UNKNOWN', 'did you mean maxSize?'],
    [{ ttl: '5 minutes' }, 'ERR_DURATION', "ttl: '5 minutes' is not a duration"],
    [{ ttl: Number.NaN }, 'ERR_DURATION', 'ttl'],
    [{ jitter: 2 }, 'ERR_OPTION_VALUE', 'jitter must be a number from 0 to 1, not 2'],
    [{ eviction: 'mru' }, 'ERR_OPTION_VALUE', 'one of ttl, tlru, lru, lfu, fifo, random, sieve, tinylfu'],
    [{ eviction: 'ttl' }, 'ERR_OPTION_VALUE', "eviction 'ttl' goes by when entries expire: give ttl"],
    [{ maxSize: 0 }, 'ERR_OPTION_VALUE', 'maxSize must be a number of at least 1, not 0'],
    [{ sizeOf: () => 1 }, 'ERR_OPTION_VALUE', 'give maxSize'],
    [{ refreshAhead: 0 }, 'ERR_OPTION_VALUE', 'refreshAhead must be a number above 0'],
    [{ refreshAhead: { beta: 0 } }, 'ERR_OPTION_VALUE', 'refreshAhead'],
    [{ softTimeout: 1 }, 'ERR_OPTION_VALUE', 'staleIfError'],
    [{ hardTimeout: 0 }, 'ERR_OPTION_VALUE', 'hardTimeout must be longer than 0'],
    [{ clone: true }, 'ERR_OPTION_VALUE', "clone must be 'structured', 'freeze' or false"],
    [{ store: {} }, 'ERR_OPTION_VALUE', 'store must be a store'],
    [{ store: new MemoryStore() }, 'ERR_OPTION_VALUE', 'with a store a name is required'],
    [{ store: new MemoryStore(), name: 'a', maxSize: 1 }, 'ERR_OPTION_VALUE', 'maxSize is for values in memory'],
    [{ lease: 10 }, 'ERR_OPTION_VALUE', 'lease needs a store that can hold leases'],
    [{ name: 'two\nlines' }, 'ERR_OPTION_VALUE', 'name must be a string of one line'],
    [{ tags: 'a' }, 'ERR_OPTION_VALUE', 'tags must be an array of non-empty strings'],
    [{ clock: {} }, 'ERR_OPTION_VALUE', 'clock must be an object with now()'],
  ])('%o', (options, code, message) => {
    expect(() => new AsyncCache(options)).toThrow(
      expect.objectContaining({ name: 'OptionError', code, message: expect.stringContaining(message) }),
    )
  })

  test('so are those of a call', async () => {
    const cache = new AsyncCache<string, number>()
    await expect(cache.getOrSet('a', () => 1, { singal: 1 } as object)).rejects.toThrow(
      'getOrSet: unknown option singal; did you mean signal?',
    )
    await expect(cache.getOrSet('a', () => 1, { ttl: 'soon' })).rejects.toThrow('is not a duration')
    await expect(cache.set('a', 1, { refresh: true } as object)).rejects.toThrow(
      'set: unknown option refresh; known are ttl, tags',
    )
    await expect(cache.invalidateTags('')).rejects.toThrow('tags must be')
    await expect(cache.invalidateTags('a', 'remove' as 'delete')).rejects.toThrow("mode must be 'delete' or 'stale'")
  })

  test('arguments of the wrong kind are told of by name', async () => {
    const cache = new AsyncCache<unknown, unknown>()
    await cache.set('there', 1)
    const loose = cache as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
    const load = async (): Promise<number> => 1
    const wrong: [string, unknown[], string][] = [
      ['getOrSet', [1, 2], 'getOrSet: the second argument must be a function, not 2'],
      ['getOrSet', ['there', 2], 'getOrSet: the second argument must be a function, not 2'],
      ['getOrSet', [1, load, null], 'getOrSet: options must be an object, not null'],
      ['getOrSet', [1, load, 60], 'getOrSet: options must be an object, not 60; a duration is given as { ttl: ... }'],
      ['getOrSet', [1, load, '5m'], "not '5m'; a duration is given as { ttl: ... }"],
      ['getOrSet', [1, load, new Date(0)], 'a duration is given as { ttl: ... }'],
      ['refresh', [1], 'the second argument must be a function, not undefined'],
      ['set', [1, 2, 60], 'set: options must be an object'],
      ['getMany', ['user:1'], "getMany: keys must be an array or another iterable, not 'user:1'"],
      ['getMany', [], 'getMany: keys must be an array or another iterable, not undefined'],
      ['deleteMany', [5], 'deleteMany: keys must be'],
      ['getOrSetMany', [5, load], 'getOrSetMany: keys must be'],
      ['getOrSetMany', [[5]], 'getOrSetMany: the second argument must be a function'],
      ['setMany', [{ a: 1 }], 'setMany: entries must be an array or another iterable'],
      ['setMany', [[1]], 'setMany: each entry must be an array'],
      ['invalidateTags', [], 'invalidateTags: tags must be a non-empty string, or an array of such, not undefined'],
      ['invalidateTags', [['a', '']], "not ['a', '']"],
    ]
    for (const [method, args, message] of wrong) {
      const error: unknown = await loose[method]?.apply(cache, args).then(
        () => `${method} takes ${String(args)}`,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(OptionError)
      expect(error).toHaveProperty('message', expect.stringContaining(message))
    }
    expect(() => cache.on('hits' as 'hit', () => undefined)).toThrow("on: there is no event 'hits'; did you mean hit?")
    expect(() => cache.on('hit', 5 as never)).toThrow('on: the listener must be a function, not 5')
    for (const options of [null, 5, '1h', []])
      expect(() => new AsyncCache(options as object)).toThrow('AsyncCache: options must be an object')
    await cache.invalidateTags([])
  })

  test('row 262: a promise is no value: it may yet fail', async () => {
    const cache = new AsyncCache<string, unknown>()
    await expect(cache.set('a', Promise.reject(new Error('later')))).rejects.toThrow(
      'set: the value must not be a promise',
    )
    expect(await cache.has('a')).toBe(false)
  })

  test('tags that are not a list of texts cost the value, and are told of', async () => {
    const cache = new AsyncCache<string, string>({ tags: (() => 'user') as never })
    const errors: MemoEvent[] = []
    cache.on('error', (event) => errors.push(event))
    expect(await cache.getOrSet('a', () => 'v')).toBe('v')
    expect(await cache.has('a')).toBe(false)
    expect(errors).toMatchObject([{ operation: 'option', error: { message: expect.stringContaining("not 'user'") } }])
  })

  test('a function given as an option that throws costs the value, not the call, and is told of', async () => {
    const bad = (): never => {
      throw new Error('option')
    }
    for (const option of ['ttl', 'tags', 'filter', 'sizeOf'] as const) {
      const cache = new AsyncCache<string, number>({ [option]: bad, maxSize: 10 })
      const errors: MemoEvent[] = []
      cache.on('error', (event) => errors.push(event))
      expect(await cache.getOrSet('a', () => 1)).toBe(1)
      expect(await cache.has('a')).toBe(false)
      expect(errors).toMatchObject([{ type: 'error', operation: 'option', key: 'a' }])
    }
  })
})

describe('70: a value changed by a caller', () => {
  const original = (): { list: number[]; at: Date } => ({ list: [1], at: new Date(0) })

  test("clone 'structured': each caller has a copy, those who waited for one call as well", async () => {
    const cache = new AsyncCache<string, ReturnType<typeof original>>({ clone: 'structured' })
    const [first, second] = await Promise.all([
      cache.getOrSet('a', async () => original()),
      cache.getOrSet('a', async () => original()),
    ])
    first.list.push(2)
    second.at.setTime(5)
    const third = await cache.getOrSet('a', original)
    expect(third).toEqual(original())
    third.list.push(3)
    expect(await cache.get('a')).toEqual(original())
    expect((await cache.peek('a'))?.list).toEqual([1])
  })

  test("clone 'structured': what the first changes at once, the others do not see", async () => {
    const cache = new AsyncCache<string, ReturnType<typeof original>>({ clone: 'structured' })
    const first = cache.getOrSet('a', async () => original()).then((value) => value.list.push(2))
    const second = cache.getOrSet('a', async () => original())
    const [many] = [cache.getOrSetMany(['a'], async () => [original()])]
    await first
    expect(await second).toEqual(original())
    expect(await many).toEqual([original()])
  })

  test("clone 'structured': what cannot be copied reaches those who waited, too", async () => {
    const cache = new AsyncCache<string, () => number>({ clone: 'structured' })
    const both = await Promise.all([cache.getOrSet('a', async () => () => 1), cache.getOrSet('a', async () => () => 2)])
    expect(both.map((fn) => fn())).toEqual([1, 1])
  })

  test("clone 'structured': what cannot be copied is refused, and the caller has it all the same", async () => {
    const cache = new AsyncCache<string, () => number>({ clone: 'structured' })
    const refused: unknown[] = []
    cache.on('refused', (event) => refused.push(event.reason))
    const fn = await cache.getOrSet('a', () => () => 1)
    expect(fn()).toBe(1)
    expect(refused).toEqual(['not-storable'])
    await expect(cache.set('a', () => 1)).rejects.toBeInstanceOf(OptionError)
  })

  test("clone 'freeze': nobody can change it", async () => {
    const cache = new AsyncCache<string, { list: number[] }>({ clone: 'freeze' })
    const value = await cache.getOrSet('a', () => ({ list: [1], self: new Uint8Array(2) }))
    expect(() => value.list.push(2)).toThrow(TypeError)
  })

  test('after hits, a new value is what the next ones get, however it came', async () => {
    const cache = new AsyncCache<string, number>({ ttl: '1h' })
    const hit = async (): Promise<unknown> => [
      await cache.get('a'),
      await cache.getOrSet('a', () => expect.unreachable()),
    ]
    await cache.set('a', 1)
    expect([await hit(), await hit()]).toEqual([
      [1, 1],
      [1, 1],
    ])
    await cache.set('a', 2)
    expect(await hit()).toEqual([2, 2])
    await cache.refresh('a', () => 3)
    expect(await hit()).toEqual([3, 3])
    await cache.delete('a')
    expect(await cache.get('a')).toBe(undefined)
    expect(await cache.getOrSet('a', () => 4)).toBe(4)
    expect(await hit()).toEqual([4, 4])
  })

  test('false, the default: the value itself', async () => {
    const cache = new AsyncCache<string, object>()
    const value = {}
    await cache.set('a', value)
    expect(await cache.get('a')).toBe(value)
  })
})

test('F2: a function of the value decides how long and how large', async () => {
  const clock = new FakeClock()
  const cache = new AsyncCache<string, string>({
    clock,
    eviction: 'tlru',
    ttl: (value) => value.length,
    sizeOf: (value) => value.length,
    maxSize: 10,
  })
  await cache.setMany([
    ['a', 'xxx'],
    ['b', 'xxxxxxx'],
  ])
  clock.advance(4000)
  await cache.set('c', 'xxx')
  // a has expired, so that it had to go, although b was used less recently than c.
  expect(await cache.getMany(['a', 'b', 'c'])).toEqual([undefined, 'xxxxxxx', 'xxx'])
  await cache.set('d', 'x'.repeat(11))
  expect(await cache.has('d')).toBe(false)
})
