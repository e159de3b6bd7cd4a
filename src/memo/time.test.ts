import { afterEach, describe, expect, test, vi } from 'vitest'
import { memoize } from './memoize.ts'
import { steadyClock } from './time.ts'

afterEach(() => void vi.restoreAllMocks())

/** The two clocks of the system, each set by hand. */
function clocks(): { wall: (ms: number) => void; monotonic: (ms: number) => void } {
  const [wall, monotonic] = [vi.spyOn(Date, 'now'), vi.spyOn(performance, 'now')]
  return { wall: (ms) => void wall.mockReturnValue(ms), monotonic: (ms) => void monotonic.mockReturnValue(ms) }
}

/** The time of a steady clock where the clocks of the system say this. */
function timeAt(): (wallTime: number, monotonicTime: number) => number {
  const { wall, monotonic } = clocks()
  const clock = steadyClock()
  return (wallTime, monotonicTime) => (wall(wallTime), monotonic(monotonicTime), clock.now())
}

describe('157: time in memory', () => {
  test('is that of the wall clock, which may jump forward', () => {
    const at = timeAt()
    expect([at(1_000_000, 0), at(1_000_001, 1), at(4_600_000, 2), at(4_601_500, 1502)]).toEqual([
      1_000_000, 1_000_001, 4_600_000, 4_601_500,
    ])
  })

  test('never runs backwards: where the wall clock was set back it goes on by the monotonic one, until the wall has caught up', () => {
    const at = timeAt()
    expect(at(5_000_000, 0)).toBe(5_000_000)
    expect(at(1_400_000, 0)).toBe(5_000_000)
    expect(at(1_400_500, 500)).toBe(5_000_500)
    expect(at(1_410_000, 10_000)).toBe(5_010_000)
    expect(at(5_000_000, 20_000)).toBe(5_020_000)
    expect(at(5_040_000, 30_000)).toBe(5_040_000)
  })

  test('nor does it lag behind while it goes by that: an hour is an hour', () => {
    const { wall, monotonic } = clocks()
    const clock = steadyClock()
    const at = (w: number, m: number): number => (wall(Math.floor(w)), monotonic(m), clock.now())
    const start = at(9_000_000, 0)
    for (let m = 0; m < 3_600_000; m += 150.37) at(4_000_000 + m, m)
    expect(Math.abs(at(7_600_000, 3_600_000) - start - 3_600_000)).toBeLessThanOrEqual(2)
  })

  test('a clock set back by less than has passed since it was last read is noticed, too', () => {
    const at = timeAt()
    expect(at(1_000_000, 0)).toBe(1_000_000)
    expect(at(1_005_000, 10_000)).toBe(1_010_000)
  })

  test('two clocks that tick at different moments do not drive it ahead', () => {
    const { wall, monotonic } = clocks()
    const clock = steadyClock()
    let real = 0
    for (let n = 0; n < 10_000; n++) {
      real += 1000 + (n % 7) * 0.37
      wall(Math.floor(1_000_000 + real))
      monotonic(real)
      expect(clock.now()).toBe(Math.floor(1_000_000 + real))
    }
  })

  test('a monotonic clock that is put in place by a test, and taken away again, does not turn it back', () => {
    const at = timeAt()
    expect([at(1_000_000, 50_000), at(1_000_000, 0), at(1_060_001, 60_001), at(1_000_100, 50_100)]).toEqual([
      1_000_000, 1_000_000, 1_060_001, 1_060_001,
    ])
  })
})

describe('280: values expire with the clocks that test runners put in place', () => {
  test('all timers faked, before or after the cache was made', async () => {
    for (const early of [true, false]) {
      let calls = 0
      const count = async (): Promise<number> => ++calls
      const before = memoize(count, { ttl: 60 })
      if (!early) await before()
      vi.useFakeTimers()
      try {
        const called = (await before(), calls)
        vi.advanceTimersByTime(59_000)
        expect((await before(), calls)).toBe(called)
        vi.advanceTimersByTime(1001)
        expect((await before(), calls)).toBe(called + 1)
      } finally {
        vi.useRealTimers()
      }
    }
  })

  test('the date alone', async () => {
    const start = Date.now()
    const now = vi.spyOn(Date, 'now').mockReturnValue(start)
    let calls = 0
    const count = memoize(async () => ++calls, { ttl: '1h' })
    await count()
    now.mockReturnValue(start + 3_599_999)
    expect(await count()).toBe(1)
    now.mockReturnValue(start + 3_600_000)
    expect(await count()).toBe(2)
  })
})
