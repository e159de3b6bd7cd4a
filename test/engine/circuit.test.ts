/** RELIABILITY 37: the pauses of a store that fails, by themselves. */
import { expect, test } from 'vitest'
import { Circuit } from '../../src/engine/circuit.ts'
import { FakeClock } from '../../src/testing/index.ts'

function failing(times: number): { circuit: Circuit; clock: FakeClock } {
  const clock = new FakeClock(0)
  const circuit = new Circuit(clock)
  for (let n = 0; n < times; n++) circuit.failed()
  return { circuit, clock }
}

test.each([5, 10, 1000])('B37: %i calls in flight that fail at once cost one pause of a second', (calls) => {
  const { circuit, clock } = failing(calls)
  clock.set(999)
  expect(circuit.mayCall()).toBe(false)
  clock.set(1000)
  expect([circuit.mayCall(), circuit.mayCall()]).toEqual([true, false])
})

test('B37: only a probe that fails makes the next pause longer, whatever fails after it', () => {
  const { circuit, clock } = failing(20)
  for (const [due, next] of [
    [1000, 3000],
    [3000, 7000],
    [7000, 15_000],
    [15_000, 31_000],
    [31_000, 61_000],
    [61_000, 91_000],
  ] as const) {
    clock.set(due)
    expect(circuit.mayCall()).toBe(true)
    for (let n = 0; n < 5; n++) circuit.failed()
    clock.set(next - 1)
    expect([due, circuit.mayCall()]).toEqual([due, false])
  }
})

test('B37: a probe that succeeds ends it: the next pause is the first again', () => {
  const { circuit, clock } = failing(20)
  clock.set(1000)
  expect(circuit.mayCall()).toBe(true)
  circuit.succeeded()
  for (let n = 0; n < 4; n++) circuit.failed()
  expect(circuit.mayCall()).toBe(true)
  for (let n = 0; n < 6; n++) circuit.failed()
  clock.set(1999)
  expect(circuit.mayCall()).toBe(false)
  clock.set(2000)
  expect(circuit.mayCall()).toBe(true)
})
