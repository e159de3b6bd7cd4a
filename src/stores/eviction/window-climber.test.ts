import { expect, test } from 'vitest'
import { WindowClimber } from './window-climber.ts'

/** So many samples, each with the hit ratio that the window's share brings. */
function climb(climber: WindowClimber, samples: number, ratioOf: (share: number) => number): void {
  for (let sample = 0; sample < samples; sample++) {
    const hits = Math.round(3000 * ratioOf(climber.share))
    for (let n = 0; n < 3000; n++) {
      if (n < hits) climber.hit()
      else climber.miss()
    }
    climber.climb(100)
  }
}

test('the window grows while that brings hits, and shrinks again when it does not any more', () => {
  const climber = new WindowClimber()
  climb(climber, 20, (share) => 0.3 + 0.4 * share)
  expect(climber.share).toBeGreaterThan(0.6)
  climb(climber, 20, (share) => 0.7 - 0.4 * share)
  expect(climber.share).toBeLessThan(0.2)
})

test('the window settles near the best size', () => {
  const climber = new WindowClimber()
  climb(climber, 120, (share) => 0.6 - (share - 0.4) ** 2)
  expect(Math.abs(climber.share - 0.4)).toBeLessThan(0.1)
})

test('the window stays within a hundredth and four fifths of the cache', () => {
  const climber = new WindowClimber()
  for (const slope of [1, -1, 1]) {
    for (let n = 0; n < 30; n++) {
      climb(climber, 1, (share) => 0.5 + (slope * share) / 4)
      expect(climber.share).toBeGreaterThanOrEqual(0.01)
      expect(climber.share).toBeLessThanOrEqual(0.8)
    }
  }
})

test('nothing changes before a sample is complete: ten requests an entry', () => {
  const climber = new WindowClimber()
  for (let n = 0; n < 99_999; n++) climber.hit()
  climber.climb(10_000)
  expect(climber.share).toBe(0.01)
  climber.miss()
  climber.climb(10_000)
  expect(climber.share).toBeGreaterThan(0.01)
})
