import { setImmediate } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { MemoryStore } from '../stores/memory.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { AsyncCache, type AsyncCacheOptions } from './index.ts'

const PLACES: readonly (readonly [string, () => Pick<AsyncCacheOptions<never, never>, 'name' | 'store'>])[] = [
  ['by reference', () => ({})],
  ['in a store', () => ({ name: 'test', store: new MemoryStore() })],
]

function reasons(cache: Pick<AsyncCache<string, number>, 'on'>): string[] {
  const seen: string[] = []
  cache.on('*', (event) => {
    if (event.type === 'stale' || event.type === 'hit') seen.push(`${event.type} ${event.reason}`)
    if (event.type === 'refresh-failed' || event.type === 'failed') seen.push(event.type)
  })
  return seen
}

describe.each(PLACES)('F4, %s', (_, place) => {
  const clock = new FakeClock()
  const make = <V>(options: AsyncCacheOptions<string, V> = {}): AsyncCache<string, V> =>
    new AsyncCache<string, V>({ ...place(), clock, ttl: 10, ...options })
  const settled = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await setImmediate()
  }

  test('D63: stale-while-revalidate: all get the stale value at once, and one call renews it', async () => {
    const cache = make<number>({ staleWhileRevalidate: 60 })
    await cache.set('k', 1)
    clock.advance(10_000)
    const { promise, resolve } = Promise.withResolvers<number>()
    const fn = vi.fn(() => promise)
    expect(new Set(await Promise.all(Array.from({ length: 100 }, () => cache.getOrSet('k', fn))))).toEqual(new Set([1]))
    expect(fn).toHaveBeenCalledTimes(1)
    resolve(2)
    await settled()
    expect(await cache.getOrSet('k', fn)).toBe(2)
    expect(cache.stats()).toMatchObject({ stale: 100, refreshes: 1, misses: 0 })
    clock.advance(70_000)
    expect(await cache.getOrSet('k', () => 3)).toBe(3)
  })

  test('D64: a renewal that fails leaves the stale value to its limit, and is tried again later and later', async () => {
    const cache = make<number>({ staleWhileRevalidate: 60 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    const fn = vi.fn(() => Promise.reject(new Error('down')))
    const ask = async (): Promise<number> => {
      const value = await cache.getOrSet('k', fn)
      await settled()
      return value
    }
    const callsAfter: number[] = []
    for (const ms of [0, 500, 500, 1000, 1000, 4000]) {
      clock.advance(ms)
      expect(await ask()).toBe(1)
      callsAfter.push(fn.mock.calls.length)
    }
    // A second after the first failure, then two, then four.
    expect(callsAfter).toEqual([1, 1, 2, 2, 3, 4])
    expect(seen.filter((event) => event === 'refresh-failed')).toHaveLength(4)
    clock.advance(53_000)
    await expect(cache.getOrSet('k', fn)).rejects.toThrow('down')
  })

  test('stale-if-error: a failure is answered with the stale value, with back-off, up to its limit', async () => {
    const cache = make<number>({ staleIfError: 60 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    const fn = vi.fn(() => Promise.reject(new Error('down')))
    expect(await cache.getOrSet('k', fn)).toBe(1)
    expect(await cache.getOrSet('k', fn)).toBe(1)
    expect(fn).toHaveBeenCalledTimes(1)
    clock.advance(1000)
    expect(await cache.getOrSet('k', async () => 2)).toBe(2)
    expect(seen).toEqual(['failed', 'stale error', 'stale back-off'])
    clock.advance(70_000)
    await expect(cache.getOrSet('k', fn)).rejects.toThrow('down')
  })

  test('getOrSetMany: stale values at once with one renewal for all; stale values where the call fails', async () => {
    const cache = make<number>({ staleWhileRevalidate: 10, staleIfError: 60 })
    await cache.setMany([
      ['a', 1],
      ['b', 2],
    ])
    clock.advance(10_000)
    const fn = vi.fn(async (keys: readonly string[]) => keys.map(() => 9))
    expect(await cache.getOrSetMany(['a', 'b', 'c'], fn)).toEqual([1, 2, 9])
    await settled()
    expect(fn.mock.calls.map(([keys]) => keys)).toEqual([['c'], ['a', 'b']])
    clock.advance(20_000)
    expect(await cache.getOrSetMany(['a', 'b'], () => Promise.reject(new Error('down')))).toEqual([9, 9])
  })

  test('write: false renews nothing: what it would bring is not kept', async () => {
    const cache = make<number>({ staleWhileRevalidate: 60 })
    await cache.set('k', 1)
    clock.advance(10_000)
    const fn = vi.fn(async () => 2)
    expect(await cache.getOrSet('k', fn, { write: false })).toBe(1)
    expect(await cache.getOrSetMany(['k'], async () => [await fn()], { write: false })).toEqual([1])
    await settled()
    expect(fn).not.toHaveBeenCalled()
    expect(await cache.getOrSet('k', fn)).toBe(1)
    await settled()
    expect(await cache.get('k')).toBe(2)
  })

  test('stats: a call is one call, whatever it waited for before it was answered', async () => {
    const cache = make<number>({ staleIfError: 60, softTimeout: 0.005 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    const slow = Promise.withResolvers<number>()
    expect(await Promise.all([cache.getOrSet('k', () => slow.promise), cache.getOrSet('k', async () => 2)])).toEqual([
      1, 1,
    ])
    expect(cache.stats()).toMatchObject({ misses: 1, collapsed: 1, stale: 2, hitRatio: 1 })
    slow.reject(new Error('down'))
    await settled()
    expect(seen.filter((event) => event.startsWith('stale'))).toEqual(['stale timeout', 'stale timeout'])
    const fresh = make<number>()
    const failing = Promise.withResolvers<number>()
    const both = [fresh.getOrSet('k', () => failing.promise), fresh.getOrSet('k', async () => 3)]
    await settled()
    failing.reject(new Error('down'))
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
    expect(fresh.stats()).toMatchObject({ misses: 2, collapsed: 1, hitRatio: 0 })
  })

  test('D62, D65: what is brought by who tried again, and refused, takes the stale value with it', async () => {
    const cache = make<number>({ staleIfError: 60, filter: (value) => value !== 13 })
    const missed: string[] = []
    cache.on('miss', ({ reason }) => missed.push(reason))
    await cache.set('k', 1)
    clock.advance(10_000)
    const failing = Promise.withResolvers<number>()
    const both = [cache.getOrSet('k', () => failing.promise), cache.getOrSet('k', async () => 13)]
    await settled()
    failing.reject(new Error('down'))
    expect(await Promise.all(both)).toEqual([1, 13])
    expect(missed).toEqual(['stale', 'stale'])
    await settled()
    await expect(cache.getOrSet('k', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
  })

  test('getOrSetMany: an early renewal says so, and a value that is over is a stale miss', async () => {
    const cache = make<number>({ refreshAhead: 0.5 })
    const seen: string[] = []
    cache.on('*', (event) => {
      if (event.type === 'hit' || event.type === 'miss') seen.push(`${event.type} ${event.reason}`)
    })
    await cache.getOrSetMany(['k'], async () => [1])
    clock.advance(6000)
    expect(await cache.getOrSetMany(['k'], async () => [2])).toEqual([1])
    await settled()
    clock.advance(20_000)
    const over = make<number>()
    over.on('miss', ({ reason }) => seen.push(`miss ${reason}`))
    await over.set('k', 1)
    clock.advance(10_000)
    expect(await over.getOrSetMany(['k'], async () => [3])).toEqual([3])
    expect(seen).toEqual(['miss absent', 'hit early', 'miss stale'])
  })

  test('softTimeout: the stale value rather than a long wait, and the call goes on', async () => {
    const cache = make<number>({ staleIfError: 60, softTimeout: 0.005 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    const { promise, resolve } = Promise.withResolvers<number>()
    expect(await cache.getOrSet('k', () => promise, { signal: new AbortController().signal })).toBe(1)
    expect(seen).toEqual(['stale timeout'])
    resolve(2)
    await settled()
    expect(await cache.get('k')).toBe(2)
    expect(await cache.getOrSet('absent', async () => 3)).toBe(3)
  })

  test('D64: a call that is over its hardTimeout is a failure, with its pause; one that everybody left is none', async () => {
    const cache = make<number>({ staleIfError: 60, hardTimeout: 0.005 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    const never = vi.fn(() => new Promise<number>(() => undefined))
    expect(await cache.getOrSet('k', never)).toBe(1)
    expect(await cache.getOrSet('k', never)).toBe(1)
    expect([never.mock.calls.length, seen]).toEqual([1, ['failed', 'stale error', 'stale back-off']])
    await cache.set('l', 1)
    clock.advance(10_000)
    const controller = new AbortController()
    const left = cache.getOrSet(
      'l',
      ({ signal }) =>
        new Promise<number>((_done, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      { signal: controller.signal },
    )
    controller.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    await settled()
    expect(await cache.getOrSet('l', async () => 2)).toBe(2)
  })

  test('hardTimeout: the stale value where there is one', async () => {
    const cache = make<number>({ staleIfError: 60, hardTimeout: 0.005 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    clock.advance(10_000)
    expect(await cache.getOrSet('k', () => new Promise<number>(() => undefined))).toBe(1)
    expect(seen).toEqual(['failed', 'stale error'])
  })

  test('a caller that aborts is told so, and not given the stale value', async () => {
    const cache = make<number>({ staleIfError: 60 })
    await cache.set('k', 1)
    clock.advance(10_000)
    const controller = new AbortController()
    const waiting = cache.getOrSet('k', () => new Promise<number>(() => undefined), { signal: controller.signal })
    await settled()
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  })

  test('refreshAhead: a hit late in the life of a value renews it in the background', async () => {
    const cache = make<number>({ refreshAhead: 0.8 })
    const seen = reasons(cache)
    await cache.set('k', 1)
    const fn = vi.fn(async () => 2)
    clock.advance(7999)
    expect(await cache.getOrSet('k', fn)).toBe(1)
    expect(fn).not.toHaveBeenCalled()
    clock.advance(1)
    expect(await cache.getOrSet('k', fn)).toBe(1)
    await settled()
    expect(await cache.getOrSet('k', fn)).toBe(2)
    expect(seen).toEqual(['hit fresh', 'hit early', 'hit fresh'])
    expect(fn).toHaveBeenCalledTimes(1)
  })

  test('XFetch: the slower the function and the nearer the end, the likelier a renewal; chance is an argument', async () => {
    let chance = 0
    const cache = make<number>({ refreshAhead: { beta: 1 }, random: () => chance })
    const slow = vi.fn(() => {
      clock.advance(1000)
      return slow.mock.calls.length
    })
    await cache.getOrSet('k', slow)
    const renewedAt = async (left: number, odds: number): Promise<boolean> => {
      await cache.refresh('k', slow)
      const before = slow.mock.calls.length
      clock.advance(10_000 - left)
      chance = odds
      await cache.getOrSet('k', slow)
      await settled()
      return slow.mock.calls.length > before
    }
    // now + took * -ln(1 - chance) >= end: with a second's call, 1 - e^-1 of all draws renew within the last second.
    expect(await renewedAt(1000, 0.6)).toBe(false)
    expect(await renewedAt(1000, 0.64)).toBe(true)
    expect(await renewedAt(3000, 0.94)).toBe(false)
    expect(await renewedAt(3000, 0.96)).toBe(true)
    expect(await renewedAt(9000, 0)).toBe(false)
  })

  test('negativeTtl is for undefined and null alone', async () => {
    const cache = make<unknown>({ negativeTtl: 1 })
    const fn = vi.fn(async () => null)
    await cache.getOrSet('null', fn)
    await cache.getOrSet('zero', () => 0)
    clock.advance(999)
    expect([await cache.has('null'), await cache.has('zero')]).toEqual([true, true])
    clock.advance(1)
    expect([await cache.has('null'), await cache.has('zero')]).toEqual([false, true])
    const never = make<unknown>({ negativeTtl: 0 })
    await never.getOrSet('null', () => undefined)
    expect(await never.has('null')).toBe(false)
  })

  test('errorTtl: an error is thrown again without a call, for as long as it says, and shared by those who waited', async () => {
    const cache = make<number>({ errorTtl: (error) => ((error as Error).message === 'not found' ? 5 : 0) })
    const seen = reasons(cache)
    const fn = vi.fn(async () => {
      await setImmediate()
      throw Object.assign(new RangeError('not found'), { code: 'E_MISSING' })
    })
    const ends = await Promise.allSettled([cache.getOrSet('k', fn), cache.getOrSet('k', fn), cache.getOrSet('k', fn)])
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    await expect(cache.getOrSet('k', fn)).rejects.toMatchObject({
      name: 'RangeError',
      message: 'not found',
      code: 'E_MISSING',
    })
    expect(fn).toHaveBeenCalledTimes(1)
    expect(seen).toEqual(['failed', 'hit error'])
    expect([await cache.get('k'), await cache.has('k'), await cache.peek('k')]).toEqual([undefined, false, undefined])
    clock.advance(5000)
    expect(await cache.getOrSet('k', async () => 1)).toBe(1)
    await expect(cache.getOrSet('other', () => Promise.reject(new Error('down')))).rejects.toThrow('down')
    expect(await cache.getOrSet('other', () => 1)).toBe(1)
  })

  test('errorTtl does not take the place of a stale value that may stand in', async () => {
    const cache = make<number>({ errorTtl: 60, staleIfError: 30 })
    await cache.set('k', 1)
    clock.advance(10_000)
    const down = (): Promise<number> => Promise.reject(new Error('down'))
    expect(await cache.getOrSet('k', down)).toBe(1)
    clock.advance(2000)
    expect(await cache.getOrSet('k', down)).toBe(1)
    clock.advance(30_000)
    await expect(cache.getOrSet('k', down)).rejects.toThrow('down')
    await expect(cache.getOrSet('k', () => 1)).rejects.toThrow('down')
  })

  test('jitter takes up to its share off each lifetime', async () => {
    let chance = 0
    const cache = make<number>({ jitter: 0.5, random: () => chance })
    await cache.set('long', 1)
    chance = 0.999_999
    await cache.set('short', 1)
    clock.advance(5001)
    expect([await cache.has('long'), await cache.has('short')]).toEqual([true, false])
    clock.advance(4998)
    expect(await cache.has('long')).toBe(true)
    clock.advance(1)
    expect(await cache.has('long')).toBe(false)
  })

  test("a ttl of 'never', of a date, and one that is over already", async () => {
    const cache = make<number>()
    await cache.set('never', 1, { ttl: 'never' })
    await cache.set('past', 1, { ttl: new Date(clock.now() - 1) })
    clock.advance(1e13)
    expect([await cache.has('never'), await cache.has('past')]).toEqual([true, false])
  })
})
