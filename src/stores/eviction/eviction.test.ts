import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { EntryHead } from '../../engine/ports.ts'
import { MemoryStore } from '../memory.ts'
import { EVICTION_NAMES, makePolicy } from './by-name.ts'
import type { EvictionName, EvictionNode } from './policy.ts'

const NAMES = EVICTION_NAMES as readonly EvictionName[]

function head(key: string): EntryHead {
  return { key, meta: { kind: 'variants', key, variants: [] }, createdAt: 0, expiresAt: 1, keepUntil: 1 }
}

describe.each(NAMES)('%s', (name) => {
  test('whatever is done, a victim is one of the entries, and every entry can be evicted', () => {
    const step = fc.tuple(fc.constantFrom('insert', 'hit', 'remove', 'evict'), fc.integer({ min: 0, max: 20 }))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        let seed = 1
        const policy = makePolicy(name, () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647)
        const nodes = new Map<string, EvictionNode>()
        const take = (node: EvictionNode | undefined): void => {
          expect(node === undefined ? nodes.size === 0 : nodes.get(node.key) === node).toBe(true)
          if (node === undefined) return
          policy.remove(node)
          nodes.delete(node.key)
        }
        for (const [action, n] of steps) {
          const node = nodes.get(String(n))
          if (action === 'insert' && node === undefined) nodes.set(String(n), policy.insert(String(n)))
          else if (action === 'hit' && node) policy.hit(node)
          else if (action === 'remove' && node) take(node)
          else if (action === 'evict') take(policy.victim())
        }
        while (nodes.size > 0) take(policy.victim())
        expect(policy.victim()).toBe(undefined)
      }),
    )
  })

  test('163: the bounds of the store hold, and its accounting is exact, after any operations', () => {
    const step = fc.tuple(
      fc.constantFrom('write', 'read', 'delete'),
      fc.integer({ min: 0, max: 30 }),
      fc.constantFrom(0, 1, 100, 4000),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const evicted: string[] = []
        const store = new MemoryStore({
          maxEntries: 10,
          maxBytes: 20_000,
          eviction: name,
          onEvict: (key) => evicted.push(key),
        })
        for (const [action, n, size] of steps) {
          if (action === 'write') store.write(head(String(n)), new Uint8Array(size))
          else if (action === 'read') store.read(String(n))
          else store.delete([String(n)])
          const { entries, bytes } = store.size()
          expect(entries).toBeLessThanOrEqual(10)
          expect(bytes).toBeLessThanOrEqual(20_000)
        }
        store.delete(Array.from({ length: 31 }, (_, n) => String(n)))
        expect(store.size()).toEqual({ entries: 0, bytes: 0 })
      }),
    )
  })
})

test('lru keeps what was used, lfu what was used often, fifo neither, sieve what was visited', () => {
  const survivors = (eviction: EvictionName): string[] => {
    const store = new MemoryStore({ maxEntries: 3, eviction })
    for (const key of ['a', 'b', 'c']) store.write(head(key), new Uint8Array())
    for (const key of ['b', 'b', 'a']) store.read(key)
    store.write(head('d'), new Uint8Array())
    return ['a', 'b', 'c', 'd'].filter((key) => store.read(key) !== undefined)
  }
  expect(survivors('lru')).toEqual(['a', 'b', 'd'])
  expect(survivors('lfu')).toEqual(['a', 'b', 'd'])
  expect(survivors('fifo')).toEqual(['b', 'c', 'd'])
  expect(survivors('sieve')).toEqual(['a', 'b', 'd'])
})

test('163: a source of chance that gives 1, or no number, does not lift the bound', () => {
  for (const chance of [1, Number.NaN, -1]) {
    const policy = makePolicy('random', () => chance)
    const nodes = ['a', 'b', 'c'].map((key) => policy.insert(key))
    expect(nodes).toContain(policy.victim())
  }
})

test('a deletion of all that has expired, over many turns, leaves what came anew meanwhile', async () => {
  const store = new MemoryStore({ maxEntries: 25_000 })
  for (let n = 1; n <= 25_000; n++) store.write(head(String(n)), new Uint8Array())
  const deleting = store.deleteWhere({ expiredAt: 1 })
  // Its turn is over with the ten thousandth.
  for (const key of ['10000', '10001']) store.write({ ...head(key), expiresAt: 2 }, new Uint8Array())
  expect(await deleting).toBe(24_999)
  expect(store.size().entries).toBe(2)
})

test.each(NAMES)(
  '%s: who is told of an eviction may write and delete, even what is being written',
  async (eviction) => {
    const store: MemoryStore = new MemoryStore({
      maxBytes: 4000,
      maxEntrySize: 4000,
      eviction,
      onEvict: (key) => {
        if (key !== 'log') store.write(head('log'), new Uint8Array(10))
        store.delete(['x1'])
      },
    })
    for (let round = 0; round < 20; round++) {
      for (let n = 0; n < 7; n++) store.write(head(`x${n}`), new Uint8Array(10))
      store.write(head('log'), new Uint8Array(2000))
      expect(store.size().bytes).toBeLessThanOrEqual(4000)
    }
    store.delete(await Array.fromAsync(store.keys()))
    expect(store.size()).toEqual({ entries: 0, bytes: 0 })
  },
)
