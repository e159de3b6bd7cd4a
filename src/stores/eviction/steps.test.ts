/**
 * Rule 1 of policy.ts, counted instead of timed: how often the engine ran each block of the policies' code, loops included (V8's precise
 * coverage), and what built-ins walked over on their behalf.
 */
import { Session } from 'node:inspector'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EVICTION_NAMES, makePolicy } from './by-name.ts'
import type { EvictionName, EvictionNode, EvictionPolicy } from './policy.ts'

const NAMES = EVICTION_NAMES as readonly EvictionName[]

const session = new Session()
const walks = { steps: 0 }
const originals: (() => void)[] = []

beforeAll(() => {
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  countWalks(
    Map.prototype,
    ['keys', 'values', 'entries', 'forEach', Symbol.iterator],
    (map: Map<unknown, unknown>) => map.size,
  )
  countWalks(Set.prototype, ['keys', 'values', 'entries', 'forEach', Symbol.iterator], (set: Set<unknown>) => set.size)
  countWalks(
    Array.prototype,
    [
      'indexOf',
      'includes',
      'find',
      'findIndex',
      'splice',
      'shift',
      'unshift',
      'slice',
      'filter',
      'map',
      'forEach',
      'sort',
    ],
    (array: unknown[]) => array.length,
  )
  countWalks(Object.getPrototypeOf(Uint8Array.prototype), ['set', 'fill', 'slice'], (bytes: Uint8Array) => bytes.length)
})

afterAll(() => {
  for (const restore of originals) restore()
  session.post('Profiler.stopPreciseCoverage')
  session.disconnect()
})

function countWalks<T extends object>(
  prototype: T,
  names: readonly PropertyKey[],
  lengthOf: (receiver: never) => number,
): void {
  for (const name of names) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name)
    const original: unknown = descriptor?.value
    if (descriptor === undefined || typeof original !== 'function') throw new Error(`no method ${String(name)}`)
    const counting = function (this: never, ...args: unknown[]): unknown {
      walks.steps += lengthOf(this)
      return Reflect.apply(original, this, args)
    }
    Object.defineProperty(prototype, name, { ...descriptor, value: counting })
    originals.push(() => Object.defineProperty(prototype, name, descriptor))
  }
}

/** Runs of blocks in this folder's code, and elements that built-ins were asked to walk over. */
function steps(run: () => void): number {
  blocksRun()
  walks.steps = 0
  run()
  const walked = walks.steps
  return blocksRun() + walked
}

/** Since it was last asked. */
function blocksRun(): number {
  let total = 0
  session.post('Profiler.takePreciseCoverage', (error, { result }) => {
    if (error) throw error
    for (const { url, functions } of result) {
      if (!url.includes('/stores/eviction/') || url.includes('.test.')) continue
      for (const { ranges } of functions) for (const { count } of ranges) total += count
    }
  })
  return total
}

/** A cache that is full of entries, some of them asked for often; the driver's own work is not counted. */
class Cache {
  readonly policy: EvictionPolicy
  readonly nodes: EvictionNode[] = []
  readonly #random = generator()
  #next = 0

  constructor(name: EvictionName, entries: number) {
    this.policy = makePolicy(name, this.#random)
    for (let n = 0; n < entries; n++) this.insert()
  }

  insert(): void {
    const node = this.policy.insert(`key ${this.#next++}`)
    // The driver's own place for it: the policies do not look at keys.
    this.#places.set(node, this.nodes.length)
    this.nodes.push(node)
  }

  any(): EvictionNode {
    const node = this.nodes[Math.floor(this.#random() * this.nodes.length)]
    if (node === undefined) throw new Error('the cache is empty')
    return node
  }

  remove(node: EvictionNode): void {
    const last = this.nodes.pop()
    const place = this.#places.get(node)
    if (last !== undefined && last !== node && place !== undefined) {
      this.nodes[place] = last
      this.#places.set(last, place)
    }
    this.#places.delete(node)
    this.policy.remove(node)
  }

  evict(): void {
    const node = this.policy.victim()
    if (node === undefined) throw new Error('a full cache has a victim')
    this.remove(node)
  }

  readonly #places = new Map<EvictionNode, number>()
}

function generator(): () => number {
  let seed = 1
  return () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
}

/** Hits, deletions that leave holes, and evictions, four operations a round. */
function work(cache: Cache, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    cache.policy.hit(cache.any())
    cache.policy.hit(cache.any())
    cache.remove(cache.any())
    cache.insert()
    cache.evict()
    cache.insert()
  }
}

describe.each(NAMES)('%s', (name) => {
  test('evicting never scans: an operation takes as many steps with 16,000 entries as with 500', () => {
    const [few = 0, many = 0] = [500, 16_000].map((entries) => {
      const cache = new Cache(name, entries)
      work(cache, entries)
      return steps(() => work(cache, 4 * entries)) / (6 * 4 * entries)
    })
    expect(many).toBeLessThan(few * 1.25)
    expect(many).toBeLessThan(40)
  })

  test('evicting never scans after deletions either: half of the entries go, then the rest one by one', () => {
    const [few = 0, many = 0] = [500, 16_000].map((entries) => {
      const cache = new Cache(name, entries)
      // Each entry is asked for another number of times, up to 60.
      cache.nodes.forEach((node, n) => {
        for (let hit = 0; hit < n % 60; hit++) cache.policy.hit(node)
      })
      return (
        steps(() => {
          for (let n = 0; n < entries / 2; n++) cache.remove(cache.any())
          while (cache.nodes.length > 0) cache.evict()
        }) / entries
      )
    })
    expect(many).toBeLessThan(few * 1.25 + 1)
  })
})

// SIEVE's hand may pass over as many entries as there were hits since; every other operation of every policy is short by itself.
test.each(NAMES.filter((name) => name !== 'sieve'))(
  '%s: no single operation takes long once the cache has been full',
  (name) => {
    const cache = new Cache(name, 2000)
    work(cache, 2000)
    const longest = Math.max(...Array.from({ length: 200 }, () => steps(() => work(cache, 1))))
    expect(longest).toBeLessThan(500)
  },
)

test('lfu: the lowest frequency is found though deletions have emptied every list below it', () => {
  const cache = new Cache('lfu', 2000)
  cache.nodes.forEach((node, n) => {
    for (let hit = 0; hit < n; hit += 20) cache.policy.hit(node)
  })
  for (const [n, node] of cache.nodes.slice(0, 1900).entries()) {
    cache.remove(node)
    if (n % 20 === 19) expect(steps(() => cache.policy.victim())).toBeLessThan(5)
  }
})

test('tinylfu: halving all counters is spread over the requests that follow', () => {
  const cache = new Cache('tinylfu', 4000)
  const node = cache.any()
  // Forty thousand requests and more: the counters are halved once at least, a walk over 65,536 of them.
  const longest = Math.max(
    ...Array.from({ length: 60 }, () =>
      steps(() => {
        for (let n = 0; n < 1000; n++) cache.policy.hit(node)
      }),
    ),
  )
  expect(longest).toBeLessThan(1000 * 40)
})
