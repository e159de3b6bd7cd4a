import { expect, it } from 'vitest'
import { Generations } from './generations.ts'

it('keeps what is asked for again, and no more than two generations', () => {
  const kept = new Generations<string, number>()
  kept.set('often', 1)
  for (let n = 0; n < 5000; n++) {
    kept.set(`once${n}`, n)
    if (n % 500 === 0) kept.get('often')
  }
  expect([kept.get('often'), kept.get('once4999'), kept.get('once0')]).toEqual([1, 4999, undefined])
  const left = Array.from({ length: 5000 }, (_, n) => kept.get(`once${n}`)).filter((value) => value !== undefined)
  expect(left.length).toBeLessThanOrEqual(2000)
})
