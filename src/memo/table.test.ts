import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NEVER } from '../engine/ports.ts'
import { EVICTION_NAMES } from '../stores/eviction/by-name.ts'
import type { Draft, Windows } from './entry.ts'
import { SoonestFirst, TimeAwareLru } from './expiry-order.ts'
import type { Eviction } from './options.ts'
import { Table, type TableOptions } from './table.ts'
import { TagStates } from './tag-states.ts'

const NAMES = ['ttl', 'tlru', ...EVICTION_NAMES] as readonly Eviction[]
const WINDOWS: Windows = { whileRevalidate: 0, ifError: 0, refreshAhead: 1, beta: 0 }

function seeded(seed = 1): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

function table<V>(more: Partial<TableOptions<string, V>> = {}): Table<string, V> {
  return new Table<string, V>({
    eviction: 'lru',
    maxSize: 3,
    sizeOf: null,
    windows: WINDOWS,
    now: () => 0,
    random: seeded(),
    onEvict: () => undefined,
    ...more,
  })
}

function draft<V>(value: V, more: Partial<Draft<string, V>> = {}): Draft<string, V> {
  return {
    key: 'k',
    failed: false,
    value,
    error: undefined,
    askedAt: 0,
    createdAt: 0,
    freshUntil: NEVER,
    took: 0,
    tags: [],
    ...more,
  }
}

describe.each(NAMES)('F2: eviction %s', (eviction) => {
  test('163: the bound holds and the sizes add up, after any operations; what is evicted was there', () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'find', 'drop'),
      fc.integer({ min: 0, max: 30 }),
      fc.constantFrom(0, 0.1, 1, 5, 40, 200),
      fc.integer({ min: 0, max: 100 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.boolean(), (steps, bySize) => {
        const there = new Map<string, number>()
        const t = table<number>({
          eviction,
          maxSize: bySize ? 100 : 10,
          sizeOf: bySize ? (size) => size : null,
          now: () => 50,
          onEvict: (key) => expect(there.delete(key)).toBe(true),
        })
        for (const [action, n, size, until] of steps) {
          const key = `k${n}`
          if (action === 'put') {
            there.delete(key)
            const evicting = new Map(there)
            there.set(key, bySize ? size : 1)
            if (t.put(key, draft(size), until) !== null) there.delete(key)
            expect(evicting.size).toBeGreaterThanOrEqual(there.size - 1)
          } else if (action === 'drop') expect(t.drop([key])).toBe(there.delete(key) ? 1 : 0)
          else expect(t.find(key) !== undefined).toBe(there.has(key))
          const sum = [...there.values()].reduce((a, b) => a + b, 0)
          expect(t.count).toBe(there.size)
          expect(t.size).toBeCloseTo(sum)
          expect(t.size).toBeLessThanOrEqual(bySize ? 100 + 1e-9 : 10)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('a number and its text are two keys, evicted as what they are', () => {
    const evicted: string[] = []
    const t = table<string>({ eviction, maxSize: 2, onEvict: (key) => evicted.push(key) })
    t.put(1, draft('number'), 1)
    t.put('1', draft('text'), 1)
    expect([t.peek(1)?.value, t.peek('1')?.value]).toEqual(['number', 'text'])
    t.put('x', draft(''), 1)
    t.put('y', draft(''), 1)
    expect(t.count).toBe(2)
    expect(evicted).toHaveLength(2)
  })
})

test('row 202: what goes first', () => {
  const left = (eviction: Eviction): string => {
    const t = table<string>({ eviction, now: () => 50 })
    // b expires first, c has expired; then b is used twice and a once.
    for (const [key, until] of [
      ['a', 300],
      ['b', 100],
      ['c', 40],
    ] as const)
      t.put(key, draft(key), until)
    for (const key of ['b', 'b', 'a']) t.find(key)
    t.put('d', draft('d'), 400)
    t.put('e', draft('e'), 400)
    return ['a', 'b', 'c', 'd', 'e'].filter((key) => t.peek(key) !== undefined).join('')
  }
  expect(left('lru')).toBe('ade')
  expect(left('lfu')).toBe('abe')
  expect(left('fifo')).toBe('cde')
  expect(left('sieve')).toBe('bde')
  expect(left('ttl')).toBe('ade')
  // First c, which has expired, then the least recently used: b.
  expect(left('tlru')).toBe('ade')
})

test('tlru: while nothing has expired it is lru, however soon something will', () => {
  const t = table<string>({ eviction: 'tlru', now: () => 0 })
  for (const [key, until] of [
    ['soon', 10],
    ['a', 100],
    ['b', 100],
  ] as const)
    t.put(key, draft(key), until)
  t.find('soon')
  t.put('c', draft('c'), 100)
  expect(['soon', 'a', 'b', 'c'].filter((key) => t.peek(key))).toEqual(['soon', 'b', 'c'])
})

test('a new value keeps how often its entry was used', () => {
  const t = table<string>({ eviction: 'lfu', maxSize: 2 })
  t.put('often', draft('1'), NEVER)
  for (let i = 0; i < 5; i++) t.find('often')
  t.put('often', draft('2'), NEVER)
  t.put('once', draft('1'), NEVER)
  t.find('once')
  t.put('new', draft('1'), NEVER)
  expect(t.peek('often')?.value).toBe('2')
  expect(t.peek('once')).toBe(undefined)
})

test('so does one of another size, where others can make room for it', () => {
  const t = table<number>({ eviction: 'lfu', maxSize: 10, sizeOf: (size) => size })
  t.put('often', draft(3), NEVER)
  for (let i = 0; i < 5; i++) t.find('often')
  t.put('twice', draft(3), NEVER)
  t.find('twice')
  t.put('once', draft(3), NEVER)
  t.put('often', draft(5), NEVER)
  expect([t.size, t.peek('once')]).toEqual([8, undefined])
  t.put('new', draft(4), NEVER)
  expect(['often', 'twice', 'new'].map((key) => t.peek(key)?.value)).toEqual([5, undefined, 4])
  t.put('often', draft(10), NEVER)
  expect([t.size, t.count, t.peek('often')?.value]).toEqual([10, 1, 10])
})

test('163: who is told of an eviction may use the table: the bound holds, and nothing is there twice', () => {
  const evicted: string[] = []
  const t = table<number>({
    maxSize: 2,
    onEvict(key) {
      evicted.push(key)
      if (evicted.length === 1) t.put('c', draft(33), NEVER)
    },
  })
  for (const [index, key] of ['a', 'b', 'c'].entries()) t.put(key, draft(index), NEVER)
  expect([t.size, t.count, t.peek('c')?.value]).toEqual([2, 2, 33])
  for (let i = 0; i < 10; i++) t.put(`more ${i}`, draft(i), NEVER)
  expect([t.size, t.count, evicted.length]).toEqual([2, 2, 11])
})

test('163: errors are bounded, too, where sizes are: sizeOf knows none of them', () => {
  const t = table<string>({ maxSize: 1e9, sizeOf: (text) => text.length })
  const error = { failed: true, value: undefined, error: new Error('down') }
  for (let i = 0; i < 11_000; i++) t.put(String(i), { ...draft('x'), ...error }, NEVER)
  expect(t.count).toBe(10_000)
  const unbounded = table<string>({ maxSize: Infinity, sizeOf: (text) => text.length })
  expect(unbounded.put('a', { ...draft('x'), ...error }, NEVER)).toBe(null)
})

test('163: a size that is none is refused, and an endless one is too large', () => {
  const t = table<number>({ maxSize: Infinity, sizeOf: (size) => size })
  for (const size of [Number.NaN, -1]) expect(() => t.put('a', draft(size), NEVER)).toThrow(RangeError)
  t.put('a', draft(0.5), NEVER)
  expect(t.put('a', draft(Infinity), NEVER)).toBe('too-large')
  expect([t.size, t.count]).toEqual([0, 0])
})

test('an entry larger than the bound is refused, and what was there is gone', () => {
  const t = table<number>({ maxSize: 10, sizeOf: (size) => size })
  t.put('a', draft(3), NEVER)
  expect(t.put('a', draft(11), NEVER)).toBe('too-large')
  expect([t.count, t.size]).toEqual([0, 0])
})

test.each([Number.NaN, -1])('sizeOf that returns %s is an error', (size) => {
  expect(() => table<number>({ maxSize: 10, sizeOf: () => size }).put('a', draft(1), NEVER)).toThrow(RangeError)
})

test('the heap gives nodes in the order of their instants, whatever was inserted and removed', () => {
  const step = fc.tuple(fc.constantFrom('insert', 'remove', 'take'), fc.integer({ min: 0, max: 50 }))
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      for (const policy of [new SoonestFirst(), new TimeAwareLru()]) {
        const nodes = new Set<ReturnType<SoonestFirst['insert']>>()
        const soonest = (): number => Math.min(...[...nodes].map(({ mark }) => mark))
        for (const [action, n] of steps) {
          const node =
            action === 'insert'
              ? policy.insert('k', n)
              : action === 'take'
                ? policy.victim(1000)
                : [...nodes][n % Math.max(1, nodes.size)]
          if (action === 'insert' && node) nodes.add(node)
          else if (node) {
            if (action === 'take') expect(node.mark).toBe(soonest())
            policy.remove(node)
            nodes.delete(node)
          }
        }
        while (nodes.size > 0) {
          const node = policy.victim(1000)
          expect(node?.mark).toBe(soonest())
          if (node) policy.remove(node)
          if (node) nodes.delete(node)
        }
        expect(policy.victim(1000)).toBe(undefined)
      }
    }),
    { numRuns: 100 },
  )
})

test('I2: a tag nothing carries any more takes no room', () => {
  const tags = new TagStates()
  const a = tags.attach(['x', 'y', 'x'])
  const b = tags.attach(['y'])
  expect(tags.size).toBe(2)
  tags.detach(a)
  expect(tags.size).toBe(1)
  tags.detach(b)
  expect(tags.size).toBe(0)
  tags.invalidate('never there', 'delete', 1)
  expect(tags.size).toBe(0)
})

test('deleting the expired of a large table lets others have a turn', async () => {
  const large = table<number>({ maxSize: 25_000, now: () => 10 })
  for (let n = 0; n < 25_000; n++) large.put(`k${n}`, draft(n), n % 2 === 0 ? 10 : NEVER)
  const order: unknown[] = []
  setTimeout(() => order.push('others'))
  order.push(await large.deleteExpired())
  expect(order).toEqual(['others', 12_500])
  expect(large.count).toBe(12_500)
})

test('163: what is deleted, or put anew, while the expired of a large table are deleted, is deleted once', async () => {
  const now = { value: 10 }
  const large = table<number>({ maxSize: 25_000, now: () => now.value })
  for (let n = 1; n <= 25_000; n++) large.put(`k${n}`, draft(n), n % 2 === 0 ? 10 : NEVER)
  const deleting = large.deleteExpired()
  // Its turn is over with the ten thousandth.
  large.drop(['k10000', 'k10002'])
  large.put('k10000', draft(-1), NEVER)
  large.put('k10004', draft(-2), NEVER)
  expect(await deleting).toBe(12_500 - 2)
  expect([large.count, large.size, large.find('k10000')?.value]).toEqual([12_502, 12_502, -1])
  // The order they go in has all of them yet.
  for (let n = 0; n < 25_000; n++) large.put(`new ${n}`, draft(n), NEVER)
  expect([large.count, large.find('k10000'), large.find('k1')]).toEqual([25_000, undefined, undefined])
})
