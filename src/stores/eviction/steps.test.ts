/**
 * Rule 1 of policy.ts, counted instead of timed: how often the engine ran each block of the policies' code, loops included (V8's precise
 * coverage), and what built-ins walked over on their behalf.
 */
import { Session } from 'node:inspector'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { EVICTION_NAMES, makePolicy } from './by-name.ts'
import { NodeList, type EvictionName, type EvictionNode, type EvictionPolicy } from './policy.ts'
import { WindowClimber } from './window-climber.ts'

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
    expect(many).toBeLessThan(few * 1.25 + 1)
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

/** Of each call by itself. */
function longest(times: number, run: (n: number) => void): number {
  return Math.max(...Array.from({ length: times }, (_, n) => steps(() => run(n))))
}

/** Everything was asked for ten times: nothing is old news, every bit is set, every count is high. */
function useAll(cache: Cache): void {
  for (let round = 0; round < 10; round++) for (const node of cache.nodes) cache.policy.hit(node)
}

describe.each(NAMES)('%s: no single operation takes long', (name) => {
  // A step of SIEVE's hand is a few blocks; it passes over five hundred entries at most.
  const LIMIT = 1600

  test('once the cache has been full', () => {
    const cache = new Cache(name, 2000)
    work(cache, 2000)
    expect(longest(200, () => work(cache, 1))).toBeLessThan(LIMIT)
  })

  test('not the first eviction of all, from a large cache much used, nor those that follow', () => {
    const cache = new Cache(name, 20_000)
    useAll(cache)
    const replace = (): void => {
      cache.evict()
      cache.insert()
    }
    expect(longest(200, replace)).toBeLessThan(LIMIT)
    useAll(cache)
    expect(longest(200, replace)).toBeLessThan(LIMIT)
  })

  test('not the first eviction after a cache was emptied by hand and filled again', () => {
    const cache = new Cache(name, 500)
    work(cache, 500)
    while (cache.nodes.length > 0) cache.remove(cache.any())
    for (let n = 0; n < 20_000; n++) cache.insert()
    expect(longest(100, () => cache.evict())).toBeLessThan(LIMIT)
  })

  test('not an insertion with which a cache that has been full outgrows what it counts in', () => {
    const cache = new Cache(name, 64)
    work(cache, 64)
    while (cache.nodes.length < 16_000) {
      const power = 2 ** Math.round(Math.log2(cache.nodes.length))
      if (Math.abs(power - cache.nodes.length) > 3) cache.insert()
      else expect(steps(() => cache.insert())).toBeLessThan(LIMIT)
    }
  })
})

test('tinylfu: a window that shrinks by a twentieth of a large cache gives its entries away a few at a time', () => {
  const entries = 3000
  const cache = new Cache('tinylfu', entries)
  // It sees what the one within sees, and says when the window changes.
  const climber = new WindowClimber()
  for (let n = 0; n < entries; n++) climber.miss()
  const replace = (): void => {
    cache.evict()
    cache.insert()
  }
  const pushed = vi.spyOn(NodeList.prototype, 'push')
  let [most, shrunk] = [0, 0]
  for (let round = 0; round < 80_000; round++) {
    // Half of the requests are hits, and the window grows; then none is, and it turns round.
    if (round < 45_000) {
      cache.policy.hit(cache.any())
      climber.hit()
    }
    const before = climber.share
    climber.climb(entries)
    climber.miss()
    if (climber.share < before) shrunk += 1
    pushed.mockClear()
    replace()
    most = Math.max(most, pushed.mock.calls.length)
  }
  pushed.mockRestore()
  expect(shrunk).toBeGreaterThan(0)
  // The new entry is one of them, and one may be let in after it has contended.
  expect(most).toBeLessThanOrEqual(2 * 32 + 2)
})

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
  const most = Math.max(
    ...Array.from({ length: 60 }, () =>
      steps(() => {
        for (let n = 0; n < 1000; n++) cache.policy.hit(node)
      }),
    ),
  )
  expect(most).toBeLessThan(1000 * 40)
})
