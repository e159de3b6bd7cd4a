import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { StateError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { AsyncCache, callSignal, memoize, type AsyncCacheOptions, type LoadContext } from './index.ts'

/** A function whose calls end when the test says so. */
function controlled<V>(): {
  fn: (context: LoadContext<string>) => Promise<V>
  calls: PromiseWithResolvers<V>[]
  contexts: LoadContext<string>[]
} {
  const calls: PromiseWithResolvers<V>[] = []
  const contexts: LoadContext<string>[] = []
  const fn = (context: LoadContext<string>): Promise<V> => {
    const call = Promise.withResolvers<V>()
    calls.push(call)
    contexts.push(context)
    return call.promise
  }
  return { fn, calls, contexts }
}

const PLACES: readonly (readonly [string, () => Pick<AsyncCacheOptions<never, never>, 'name' | 'store'>])[] = [
  ['by reference', () => ({})],
  ['in a store', () => ({ name: 'test', store: new MemoryStore() })],
]

describe.each(PLACES)('%s', (_, place) => {
  const make = <V>(options: AsyncCacheOptions<string, V> = {}): AsyncCache<string, V> =>
    new AsyncCache<string, V>({ ...place(), ...options })

  test('D59: a herd of 1,000 calls the function once, and all get its value', async () => {
    const cache = make<object>()
    const { fn, calls } = controlled<object>()
    const herd = Array.from({ length: 1000 }, () => cache.getOrSet('k', fn))
    await vi.waitFor(() => expect(calls).toHaveLength(1))
    calls[0]?.resolve({ a: 1 })
    expect(new Set((await Promise.all(herd)).map((value) => JSON.stringify(value)))).toEqual(new Set(['{"a":1}']))
    expect(calls).toHaveLength(1)
    expect(cache.stats()).toMatchObject({ misses: 1, collapsed: 999 })
  })

  test('D60: a value that is not to be kept is shared by those who waited, and by nobody after them', async () => {
    const cache = make<number>({ filter: () => false })
    const { fn, calls } = controlled<number>()
    const waiting = [cache.getOrSet('k', fn), cache.getOrSet('k', fn)]
    calls[0]?.resolve(1)
    expect(await Promise.all(waiting)).toEqual([1, 1])
    void cache.getOrSet('k', fn)
    expect(calls).toHaveLength(2)
  })

  test('D61: hardTimeout ends the wait of all, the next call starts anew, and what comes late is dropped', async () => {
    const cache = make<number>({ hardTimeout: 0.02 })
    const { fn, calls, contexts } = controlled<number>()
    const waiting = [cache.getOrSet('k', fn), cache.getOrSet('k', fn)]
    const { signal } = contexts[0] as LoadContext<string>
    const ends = await Promise.allSettled(waiting)
    for (const end of ends) {
      expect(end).toMatchObject({
        status: 'rejected',
        reason: { name: 'TimeoutError', message: expect.stringContaining('hardTimeout (0.02 s) for k') },
      })
    }
    expect(calls).toHaveLength(1)
    expect(signal.aborted).toBe(true)
    const second = cache.getOrSet('k', async () => 2)
    calls[0]?.resolve(1)
    expect(await second).toBe(2)
    await setImmediate()
    expect(await cache.get('k')).toBe(2)
  })

  test('D62: a failure is not everybody’s: of those who waited one tries again, and the others wait for that', async () => {
    const cache = make<string>()
    const leader = controlled<string>()
    const first = cache.getOrSet('k', leader.fn)
    const followers = Array.from({ length: 100 }, () => vi.fn(async () => 'again'))
    const rest = followers.map((fn) => cache.getOrSet('k', fn))
    leader.calls[0]?.reject(new Error('leader'))
    await expect(first).rejects.toThrow('leader')
    expect(new Set(await Promise.all(rest))).toEqual(new Set(['again']))
    expect(followers.reduce((sum, fn) => sum + fn.mock.calls.length, 0)).toBe(1)
  })

  test('D62: where that fails as well, all are told: two calls, whatever the number of callers', async () => {
    const cache = make<string>()
    const fn = vi.fn(async () => {
      await setImmediate()
      throw new Error(`call ${fn.mock.calls.length}`)
    })
    const ends = await Promise.allSettled(Array.from({ length: 100 }, () => cache.getOrSet('k', fn)))
    expect(fn).toHaveBeenCalledTimes(2)
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as Error).message)).toEqual([
      'call 1',
      ...Array(99).fill('call 2'),
    ])
  })

  test('D62: of a batch, what waited for calls that fail is fetched again, all at once, and once', async () => {
    const cache = make<string>()
    const [one, many] = [controlled<string>(), Promise.withResolvers<string[]>()]
    const first = cache.getOrSet('a', one.fn)
    const second = cache.getOrSetMany(['b', 'c'], () => many.promise)
    const fn = vi.fn(async (keys: readonly string[]) => keys.map((key) => `again ${key}`))
    const third = cache.getOrSetMany(['a', 'b', 'c', 'd'], fn)
    await vi.waitFor(() => expect(fn).toHaveBeenCalledTimes(1))
    many.reject(new Error('down'))
    await expect(second).rejects.toThrow('down')
    await vi.waitFor(() => expect(fn).toHaveBeenCalledTimes(2))
    one.calls[0]?.reject(new Error('down'))
    await expect(first).rejects.toThrow('down')
    expect(await third).toEqual(['again a', 'again b', 'again c', 'again d'])
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['d'], ['b', 'c'], ['a']])
  })

  test('D62: of a batch, where that fails as well, it is told so', async () => {
    const cache = make<string>()
    const { fn, calls } = controlled<string>()
    const first = cache.getOrSet('a', fn)
    const many = vi.fn(() => Promise.reject<string[]>(new Error('still down')))
    const second = cache.getOrSetMany(['a'], many)
    await setImmediate()
    calls[0]?.reject(new Error('down'))
    await expect(first).rejects.toThrow('down')
    await expect(second).rejects.toThrow('still down')
    expect(many).toHaveBeenCalledTimes(1)
  })

  test('D65: delete, set, clear and tags during a call: its value reaches those who wait, and is not kept', async () => {
    for (const invalidate of [
      (cache: AsyncCache<string, string>) => cache.delete('k'),
      (cache: AsyncCache<string, string>) => cache.deleteMany(['x', 'k']),
      (cache: AsyncCache<string, string>) => cache.clear(),
      (cache: AsyncCache<string, string>) => cache.invalidateTags('t'),
      (cache: AsyncCache<string, string>) => cache.invalidateTags('t', 'stale'),
    ]) {
      const cache = make<string>({ clock: new FakeClock(), tags: ['t'] })
      const { fn, calls } = controlled<string>()
      const waiting = cache.getOrSet('k', fn)
      await invalidate(cache)
      calls[0]?.resolve('old')
      expect(await waiting).toBe('old')
      expect(await cache.has('k')).toBe(false)
      expect(await cache.getOrSet('k', () => 'new')).toBe('new')
      expect(await cache.get('k')).toBe('new')
    }
    const cache = make<string>()
    const { fn, calls } = controlled<string>()
    const waiting = cache.getOrSet('k', fn)
    await cache.set('k', 'set')
    calls[0]?.resolve('old')
    expect(await waiting).toBe('old')
    expect(await cache.get('k')).toBe('set')
  })

  test('D65: where tags depend on the value, an invalidation of others keeps nothing of what follows it away', async () => {
    const after: Record<string, (cache: AsyncCache<string, string>) => Promise<unknown>> = {
      'its own tag': (cache) => cache.invalidateTags('old'),
      delete: (cache) => cache.delete('k'),
      clear: (cache) => cache.clear(),
      set: (cache) => cache.set('k', 'newer'),
      'a call that came later': (cache) => cache.getOrSet('k', async () => 'newer'),
      refresh: (cache) => cache.refresh('k', async () => 'newer'),
    }
    for (const [name, change] of Object.entries(after)) {
      const cache = make<string>({ clock: new FakeClock(), tags: (value) => [value] })
      const { fn, calls } = controlled<string>()
      const waiting = cache.getOrSet('k', fn)
      await vi.waitFor(() => expect(calls).toHaveLength(1))
      await cache.invalidateTags('another')
      await change(cache)
      calls[0]?.resolve('old')
      expect(await waiting).toBe('old')
      expect([name, (await cache.get('k')) ?? 'newer']).toEqual([name, 'newer'])
    }
    const cache = make<string>({ tags: (value) => [value] })
    const { fn, calls } = controlled<string>()
    const waiting = cache.getOrSet('k', fn)
    await vi.waitFor(() => expect(calls).toHaveLength(1))
    await cache.invalidateTags('another')
    calls[0]?.resolve('old')
    await waiting
    expect(await cache.get('k')).toBe('old')
  })

  test('D65: refresh is answered by a call that began after it, and the older one does not overwrite it', async () => {
    const cache = make<string>()
    const { fn, calls } = controlled<string>()
    const before = cache.getOrSet('k', fn)
    const refreshed = cache.refresh('k', fn)
    const after = cache.getOrSet('k', fn)
    await vi.waitFor(() => expect(calls).toHaveLength(2))
    calls[1]?.resolve('new')
    expect(await Promise.all([refreshed, after])).toEqual(['new', 'new'])
    calls[0]?.resolve('old')
    expect(await before).toBe('old')
    expect(await cache.get('k')).toBe('new')
  })

  test('D72: a function that rejects with undefined', async () => {
    const cache = make<string>()
    await expect(cache.getOrSet('k', () => Promise.reject(undefined))).rejects.toBe(undefined)
    expect(await cache.getOrSet('k', () => 'v')).toBe('v')
  })

  test('D72: a function that never ends keeps nobody: who aborts leaves, and the next call starts anew', async () => {
    const cache = make<string>()
    const never = controlled<string>()
    const controller = new AbortController()
    const waiting = cache.getOrSet('k', never.fn, { signal: controller.signal })
    const { signal } = never.contexts[0] as LoadContext<string>
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    expect(signal.aborted).toBe(true)
    expect((signal.reason as Error).message).toBe('enough')
    expect(await cache.getOrSet('k', () => 'v')).toBe('v')
    never.calls[0]?.resolve('late')
    await setImmediate()
    expect(await cache.get('k')).toBe('v')
  })

  test('D72: a function that asks for its own value is told so, and not deadlocked', async () => {
    const cache = make<number>()
    const fn = (): Promise<number> => cache.getOrSet('k', fn)
    const error = await cache.getOrSet('k', fn).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StateError)
    expect((error as Error).message).toContain('computes the value of k asks for this very value')
    expect(await cache.getOrSet('k', () => 1)).toBe(1)
  })

  test('D72: so are functions that ask for each other, in one chain, from both ends, through batches, and in two caches', async () => {
    const [a, b] = [make<number>(), make<number>()]
    const later = async (next: () => Promise<number>): Promise<number> => {
      await setImmediate()
      return next()
    }
    const fnA = (): Promise<number> => later(() => b.getOrSet('k', fnB))
    const fnB = (): Promise<number> => later(() => a.getOrSet('k', fnA))
    await expect(a.getOrSet('k', fnA)).rejects.toThrow('wait for itself')
    const ends = await Promise.allSettled([a.getOrSet('k', fnA), b.getOrSet('k', fnB)])
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const batch = (): Promise<number> =>
      later(async () => (await a.getOrSetMany(['x', 'k'], async () => [await b.getOrSet('y', batch), 2]))[0] ?? 0)
    await expect(b.getOrSet('y', batch)).rejects.toThrow('wait for itself')
  })

  test('D72: asking for its own value after deleting it, or anew, goes on no longer than once', async () => {
    const cache = make<number>()
    const deleting = async (): Promise<number> => {
      await cache.delete('k')
      return cache.getOrSet('k', deleting)
    }
    await expect(cache.getOrSet('k', deleting)).rejects.toThrow('wait for itself')
    const refreshing = (): Promise<number> => cache.refresh('k', refreshing)
    await expect(cache.getOrSet('k', refreshing)).rejects.toThrow('wait for itself')
  })

  test('D72: who left is no part of a circle', async () => {
    const cache = make<string>()
    const gate = Promise.withResolvers<void>()
    const held = cache.getOrSet('b', async () => {
      await gate.promise
      return `b of ${await cache.getOrSet('a', async () => 'another a')}`
    })
    const leaver = new AbortController()
    const a = cache.getOrSet('a', async () => {
      const gaveUp = cache.getOrSet('b', async () => 'x', { signal: leaver.signal }).catch(() => 'nobody')
      await setImmediate()
      leaver.abort()
      const got = await gaveUp
      gate.resolve()
      await setImmediate()
      return `a without ${got}`
    })
    expect(await a).toBe('a without nobody')
    expect(await held).toBe('b of a without nobody')
  })

  test('recursion over other keys is no circle', async () => {
    const fibonacci = memoize(
      async (n: number): Promise<number> => (n < 2 ? n : (await fibonacci(n - 1)) + (await fibonacci(n - 2))),
      { ...place(), name: 'fibonacci' },
    )
    expect(await fibonacci(60)).toBe(1_548_008_755_920)
    const cache = make<number>()
    const shared = (key: string): Promise<number> =>
      cache.getOrSet(key, async () => (key === 'c' ? 1 : (await shared('c')) + 1))
    expect(await cache.getOrSet('sum', async () => (await shared('a')) + (await shared('b')))).toBe(4)
  })

  test('F4: one caller’s abort never fails another, and the function goes on while anybody waits', async () => {
    const cache = make<string>()
    const { fn, calls, contexts } = controlled<string>()
    const [one, two] = [new AbortController(), new AbortController()]
    const first = cache.getOrSet('k', fn, { signal: one.signal })
    const second = cache.getOrSet('k', fn, { signal: two.signal })
    const patient = cache.getOrSet('k', fn)
    const signal = contexts[0]?.signal
    one.abort()
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    two.abort()
    await expect(second).rejects.toMatchObject({ name: 'AbortError' })
    expect(signal?.aborted).toBe(false)
    calls[0]?.resolve('v')
    expect(await patient).toBe('v')
    expect(await cache.get('k')).toBe('v')
    await expect(cache.getOrSet('k', fn, { signal: one.signal })).rejects.toMatchObject({ name: 'AbortError' })
    expect(calls).toHaveLength(1)
  })

  test('F4: of a batch the signal is aborted when nobody waits for any of it', async () => {
    const cache = make<string>()
    const controller = new AbortController()
    let signal: AbortSignal | undefined
    const batch = cache.getOrSetMany(
      ['a', 'b'],
      (__, context) => ((signal = context.signal), new Promise(() => undefined)),
      { signal: controller.signal },
    )
    await vi.waitFor(() => expect(signal).toBeDefined())
    const other = new AbortController()
    const single = cache.getOrSet('b', () => 'b', { signal: other.signal })
    await setImmediate()
    controller.abort()
    await expect(batch).rejects.toMatchObject({ name: 'AbortError' })
    expect(signal?.aborted).toBe(false)
    other.abort()
    await expect(single).rejects.toMatchObject({ name: 'AbortError' })
    expect(signal?.aborted).toBe(true)
  })

  test('F4: the function runs in the async context of the call that started it; whoever waits keeps its own', async () => {
    const context = new AsyncLocalStorage<string>()
    const cache = make<string | undefined>()
    const fn = async (): Promise<string | undefined> => {
      await setImmediate()
      return context.getStore()
    }
    const call = (name: string): Promise<unknown> =>
      context.run(name, async () => {
        const value = await cache.getOrSet('k', fn)
        return [value, context.getStore(), callSignal()]
      })
    expect(await Promise.all(['first', 'second'].map(call))).toEqual([
      ['first', 'first', undefined],
      ['first', 'second', undefined],
    ])
  })

  test('F4: so does who gets a hit, though all of them get it by one promise', async () => {
    const context = new AsyncLocalStorage<string>()
    const cache = make<string>()
    await cache.set('k', 'value')
    const call = (name: string): Promise<unknown> =>
      context.run(name, async () => {
        const then = cache.get('k').then(() => context.getStore())
        await cache.getOrSet('k', () => expect.unreachable())
        return [context.getStore(), await then]
      })
    expect(await Promise.all(['first', 'second'].map(call))).toEqual([
      ['first', 'first'],
      ['second', 'second'],
    ])
  })

  test('callSignal is the signal of the function that runs', async () => {
    const controller = new AbortController()
    let seen: AbortSignal | undefined
    const fn = memoize(
      async (id: number) => {
        await setImmediate()
        seen = callSignal()
        return new Promise<number>((__, reject) => seen?.addEventListener('abort', () => reject(id)))
      },
      { ...place(), name: 'signalled' },
    )
    const waiting = fn.with({ signal: controller.signal })(1)
    await vi.waitFor(() => expect(seen).toBeInstanceOf(AbortSignal))
    controller.abort(new Error('left'))
    await expect(waiting).rejects.toThrow('left')
    expect(seen?.reason).toEqual(new Error('left'))
    expect(callSignal()).toBe(undefined)
  })

  test('I1: nothing that fails is left without one who knows', async () => {
    const cache = make<number>({ staleWhileRevalidate: 60, staleIfError: 60, ttl: 0.001, hardTimeout: 0.01 })
    const controller = new AbortController()
    const failing = (): Promise<number> => Promise.reject(new Error('down'))
    const ends = [
      cache.getOrSet('a', failing),
      cache.getOrSet('a', failing, { signal: controller.signal }),
      cache.getOrSet('b', () => new Promise<number>(() => undefined), { signal: controller.signal }),
      cache.getOrSet('c', () => new Promise<number>(() => undefined)),
      cache.getOrSetMany(['d', 'e'], () => Promise.reject(new Error('down'))),
      cache.getOrSetMany(['f', 'a'], () => new Promise<number[]>(() => undefined), { signal: controller.signal }),
    ]
    controller.abort()
    const settled = await Promise.allSettled(ends)
    expect(settled.map(({ status }) => status)).toEqual(Array(6).fill('rejected'))
  })
})

test('D71: any interleaving of calls, deletions and new values, against a model: nothing from before a deletion comes after it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.constantFrom('load', 'delete', 'set', 'refresh', 'clear', 'tag', 'other tag'), {
        minLength: 3,
        maxLength: 12,
      }),
      fc.boolean(),
      async (scheduler, actions, computed) => {
        for (const options of [{}, { name: 'test', store: new MemoryStore() }]) {
          let truth = 0
          const cache = new AsyncCache<string, number>({
            ...options,
            clock: new FakeClock(),
            tags: computed ? () => ['t'] : ['t'],
          })
          const load = scheduler.scheduleFunction(async () => undefined)
          // Reads the truth when it starts, and ends when the scheduler says so: the race every cache has.
          const fn = async (): Promise<number> => {
            const read = truth
            await load()
            return read
          }
          const act: Record<string, () => Promise<unknown>> = {
            load: async () => {
              const oldest = truth
              const value = await cache.getOrSet('k', fn)
              // What was true before the last invalidation before the call must not be answered with.
              expect(value).toBeGreaterThanOrEqual(oldest)
            },
            refresh: async () => {
              const oldest = truth
              expect(await cache.refresh('k', fn)).toBeGreaterThanOrEqual(oldest)
            },
            delete: () => (truth++, cache.delete('k')),
            clear: () => (truth++, cache.clear()),
            tag: () => (truth++, cache.invalidateTags('t')),
            // Where tags depend on the value, what is under way may carry it.
            'other tag': () => cache.invalidateTags('another'),
            set: () => cache.set('k', ++truth),
          }
          await Promise.all([...actions.map((action) => act[action]?.()), scheduler.waitIdle()])
          expect(await cache.getOrSet('k', async () => truth)).toBe(truth)
        }
      },
    ),
    { numRuns: 150 },
  )
})

test('162: flights, waits and runs leave nothing behind', async () => {
  const cache = new AsyncCache<number, number>({ maxSize: 10 })
  const outer = cache.getOrSet(-1, async () => {
    // A call that lives long and makes many: what it waited for must not be held for as long.
    for (let i = 0; i < 2000; i++) await cache.getOrSet(i, async () => i)
    return 1
  })
  await outer
  expect(cache.stats()).toMatchObject({ size: 10, misses: 2001 })
})
