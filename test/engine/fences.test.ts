/** RELIABILITY 65: fences, by themselves: what they remember, and for how long. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fences } from '../../src/engine/fences.ts'

test('D65: what entered before a fence was raised is overtaken, for these names and no others', () => {
  const fences = new Fences()
  const early = fences.enter()
  fences.raise(['a', 'b'])
  const late = fences.enter()
  expect([fences.overtook(early, ['b']), fences.overtook(early, ['x', 'a']), fences.overtook(early, ['c'])]).toEqual([
    true,
    true,
    false,
  ])
  expect(fences.overtook(late, ['a', 'b'])).toBe(false)
  fences.raiseAll()
  expect([fences.overtook(early, []), fences.overtook(late, ['c'])]).toEqual([true, true])
})

test('D65: names are remembered only while something is under way', () => {
  const fences = new Fences()
  fences.raise(['a'])
  expect(fences.size).toBe(0)
  const first = fences.enter()
  fences.enter()
  fences.raise(['a'])
  fences.leave()
  expect([fences.size, fences.overtook(first, ['b'])]).toEqual([1, false])
  fences.leave()
  expect(fences.size).toBe(0)
  // Whoever did not say that it is under way loses an entry at worst.
  expect(fences.overtook(first, ['b'])).toBe(true)
})

test('D65: a flood of invalidations is remembered within bounds, and forgets nothing to the wrong side', () => {
  const fences = new Fences()
  const early = fences.enter()
  for (let n = 0; n < 50_000; n++) {
    fences.raise([`key ${n}`])
    expect(fences.size).toBeLessThanOrEqual(10_000)
  }
  expect([fences.overtook(early, ['key 0']), fences.overtook(early, ['key 49999'])]).toEqual([true, true])
  expect(fences.overtook(fences.enter(), ['key 0', 'key 49999'])).toBe(false)
})

test('D65: any order of entering, leaving and raising: who was overtaken is told so', () => {
  const step = fc.oneof(
    fc.constant({ kind: 'enter' } as const),
    fc.record({ kind: fc.constant('leave'), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('raise'), names: fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 2 }) }),
    fc.constant({ kind: 'all' } as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const fences = new Fences()
      let under: { epoch: number; overtaken: Set<string> }[] = []
      for (const one of steps) {
        if (one.kind === 'enter') under.push({ epoch: fences.enter(), overtaken: new Set() })
        else if (one.kind === 'leave' && 'which' in one) {
          const gone = under[one.which]
          if (gone !== undefined) fences.leave()
          under = under.filter((each) => each !== gone)
        } else {
          const names = 'names' in one ? one.names : ['a', 'b', 'c', 'd']
          if ('names' in one) fences.raise(names)
          else fences.raiseAll()
          for (const each of under) for (const name of names) each.overtaken.add(name)
        }
        for (const { epoch, overtaken } of under)
          for (const name of ['a', 'b', 'c', 'd']) expect(fences.overtook(epoch, [name])).toBe(overtaken.has(name))
      }
    }),
  )
})
