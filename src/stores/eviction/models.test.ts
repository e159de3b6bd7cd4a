/** Every policy against the plainest program that does the same: arrays, searched from end to end. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { makePolicy } from './by-name.ts'
import { hashOf, placeOf, Sketch } from './sketch.ts'
import type { EvictionName, EvictionNode } from './policy.ts'

/** Keys in, keys out; all that can be seen of a policy. */
interface Model {
  insert(key: string): void
  hit(key: string): void
  remove(key: string): void
  victim(): string | undefined
}

/** Newest first; `used`: a hit makes new. */
class ListModel implements Model {
  #keys: string[] = []
  readonly #used: boolean
  constructor(used: boolean) {
    this.#used = used
  }
  insert(key: string): void {
    this.#keys.unshift(key)
  }
  hit(key: string): void {
    if (this.#used) this.#keys = [key, ...this.#keys.filter((other) => other !== key)]
  }
  remove(key: string): void {
    this.#keys = this.#keys.filter((other) => other !== key)
  }
  victim(): string | undefined {
    return this.#keys.at(-1)
  }
}

/** The least uses; of those the one whose last use is longest ago. */
class LfuModel implements Model {
  #time = 0
  readonly #entries = new Map<string, { uses: number; last: number }>()
  insert(key: string): void {
    this.#entries.set(key, { uses: 1, last: ++this.#time })
  }
  hit(key: string): void {
    const { uses } = this.#entries.get(key) ?? { uses: 0 }
    this.#entries.set(key, { uses: uses + 1, last: ++this.#time })
  }
  remove(key: string): void {
    this.#entries.delete(key)
  }
  victim(): string | undefined {
    return [...this.#entries].toSorted(([, a], [, b]) => a.uses - b.uses || a.last - b.last)[0]?.[0]
  }
}

/** The paper's: oldest first here, the hand goes up, past the end it begins again. */
class SieveModel implements Model {
  readonly #queue: { key: string; visited: boolean }[] = []
  #hand = 0
  insert(key: string): void {
    this.#queue.push({ key, visited: false })
  }
  hit(key: string): void {
    const entry = this.#queue.find((other) => other.key === key)
    if (entry) entry.visited = true
  }
  remove(key: string): void {
    const at = this.#queue.findIndex((other) => other.key === key)
    this.#queue.splice(at, 1)
    if (at < this.#hand) this.#hand -= 1
    // The hand has gone past the newest: what comes in from now on is not what it looks at next.
    if (this.#hand >= this.#queue.length) this.#hand = 0
  }
  victim(): string | undefined {
    if (this.#queue.length === 0) return undefined
    while (this.#queue[this.#hand]?.visited) {
      const entry = this.#queue[this.#hand]
      if (entry) entry.visited = false
      this.#hand = (this.#hand + 1) % this.#queue.length
    }
    return this.#queue[this.#hand]?.key
  }
}

/** Its cache never covers more entries than the sketch does at first, and does not live long enough for the window to adapt. */
class TinyLfuModel implements Model {
  #window: string[] = []
  #probation: string[] = []
  #protected: string[] = []
  /** Null until something had to go: then one list is all there is, and uses are counted beside the entries. */
  #sketch: SketchModel | null = null
  #requests = 0
  readonly #uses = new Map<string, number>()
  insert(key: string): void {
    this.#requests += 1
    this.#sketch?.add(hashOf(key, 0))
    if (this.#sketch === null) this.#probation.unshift(key)
    else this.#window.unshift(key)
    if (this.#sketch === null) this.#uses.set(key, 1)
    else this.#shrink()
  }
  hit(key: string): void {
    this.#requests += 1
    if (this.#sketch === null) {
      this.#probation = [key, ...without(this.#probation, key)]
      this.#uses.set(key, Math.min(8, (this.#uses.get(key) ?? 0) + 1))
      return
    }
    this.#sketch.add(hashOf(key, 0))
    if (this.#window.includes(key)) this.#window = [key, ...without(this.#window, key)]
    else if (this.#protected.includes(key)) this.#protected = [key, ...without(this.#protected, key)]
    else {
      this.#probation = without(this.#probation, key)
      this.#protected.unshift(key)
      if (this.#protected.length > (this.#protected.length + this.#probation.length) * 0.8)
        this.#probation.unshift(...this.#protected.splice(-1))
    }
  }
  remove(key: string): void {
    this.#window = without(this.#window, key)
    this.#probation = without(this.#probation, key)
    this.#protected = without(this.#protected, key)
    for (let uses = this.#beside(key); this.#sketch !== null && uses > 0; uses--) this.#sketch.add(hashOf(key, 0))
    this.#uses.delete(key)
  }
  /** A hundredth of so few entries is one. Whatever is over that by more than one is in the main part, oldest first. */
  #shrink(): void {
    while (this.#window.length > 2) this.#probation.unshift(...this.#window.splice(-1))
  }
  #beside(key: string): number {
    return Math.floor((this.#uses.get(key) ?? 0) / 2 ** (this.#sketch?.halvings ?? 0))
  }
  victim(): string | undefined {
    const size = this.#window.length + this.#probation.length + this.#protected.length
    this.#sketch ??= new SketchModel(Math.min(this.#requests, size * 8))
    // The newest are the window, as soon as there are two.
    while (this.#opening && this.#window.length < 2 && this.#probation.length > 0)
      this.#window.push(...this.#probation.splice(0, 1))
    if (this.#window.length >= 2) this.#opening = false
    this.#shrink()
    const victim = this.#probation.at(-1) ?? this.#protected.at(-1)
    const candidate = this.#window.at(-1)
    if (victim === undefined || this.#window.length <= 1) return victim ?? candidate
    if (this.#frequency(candidate ?? '') <= this.#frequency(victim)) return candidate
    this.#probation.unshift(...this.#window.splice(-1))
    return victim
  }
  #opening = true
  #frequency(key: string): number {
    return Math.min(15, (this.#sketch?.frequency(hashOf(key, 0)) ?? 0) + this.#beside(key))
  }
}

function without(keys: readonly string[], key: string): string[] {
  return keys.filter((other) => other !== key)
}

/** Counters of a fixed width that are halved all at once. */
class SketchModel {
  #counters: number[] = Array.from({ length: 1024 }, () => 0)
  #additions: number
  halvings = 0
  constructor(additions = 0) {
    this.#additions = additions
  }
  add(hash: number): void {
    for (let row = 0; row < 4; row++) {
      const at = placeOf(hash, row) & 1023
      this.#counters[at] = Math.min(15, (this.#counters[at] ?? 0) + 1)
    }
    this.#additions += 1
    if (this.#additions < 640) return
    this.#additions = 320
    this.halvings += 1
    this.#counters = this.#counters.map((count) => Math.floor(count / 2))
  }
  frequency(hash: number): number {
    return Math.min(...[0, 1, 2, 3].map((row) => this.#counters[placeOf(hash, row) & 1023] ?? 0))
  }
}

const MODELS: readonly [EvictionName, () => Model][] = [
  ['lru', () => new ListModel(true)],
  ['fifo', () => new ListModel(false)],
  ['lfu', () => new LfuModel()],
  ['sieve', () => new SieveModel()],
  ['tinylfu', () => new TinyLfuModel()],
]

/** A request: a hit where the key is there, else an insertion into a cache of so many entries. */
const operation = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('request' as const), key: fc.integer({ min: 0, max: 24 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), key: fc.integer({ min: 0, max: 24 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('evict' as const), key: fc.constant(0) }) },
)

describe.each(MODELS)('%s', (name, makeModel) => {
  test('chooses the victims that its definition says', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.array(operation, { minLength: 20, maxLength: 300, size: 'max' }),
        (size, operations) => {
          const policy = makePolicy(name, () => 0)
          const model = makeModel()
          const nodes = new Map<string, EvictionNode>()
          const evict = (): void => {
            const victim = policy.victim()
            expect(victim?.key).toBe(model.victim())
            if (victim) remove(victim)
          }
          const remove = (node: EvictionNode): void => {
            policy.remove(node)
            model.remove(node.key)
            nodes.delete(node.key)
          }
          for (const { kind, key: id } of operations) {
            const key = `key ${id}`
            const node = nodes.get(key)
            if (kind === 'evict') evict()
            else if (kind === 'remove') {
              if (node) remove(node)
            } else if (node) {
              policy.hit(node)
              model.hit(key)
            } else {
              if (nodes.size >= size) evict()
              nodes.set(key, policy.insert(key))
              model.insert(key)
            }
          }
          while (nodes.size > 0) evict()
        },
      ),
      { numRuns: 300 },
    )
  })
})

test('random: each entry is the victim for an equal share of the numbers, whatever was inserted and removed', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 60 }), (steps) => {
      let chance = 0
      const policy = makePolicy('random', () => chance)
      const nodes: EvictionNode[] = []
      steps.forEach(([insert, n], step) => {
        if (insert || nodes.length === 0) nodes.push(policy.insert(`key ${step}`))
        else for (const node of nodes.splice(n % nodes.length, 1)) policy.remove(node)
      })
      const victims = nodes.map((_, n) => {
        chance = (n + 0.5) / nodes.length
        return policy.victim()?.key
      })
      expect(victims.toSorted()).toEqual(nodes.map(({ key }) => key).toSorted())
    }),
  )
})

test('sketch: halving bit by bit counts as halving at once does', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 1, max: 400 }), (seed, keys) => {
      const [sketch, model] = [new Sketch(), new SketchModel()]
      for (let n = 0; n < 1500; n++) {
        const hash = hashOf(`key ${Math.imul(n, n + seed) % keys}`, seed)
        sketch.add(hash)
        model.add(hash)
        expect(sketch.frequency(hash)).toBe(model.frequency(hash))
        if (n % 50 > 0) continue
        for (let key = 0; key < 20; key++) {
          const other = hashOf(`key ${key}`, seed)
          expect(sketch.frequency(other)).toBe(model.frequency(other))
        }
      }
    }),
    { numRuns: 60 },
  )
})

test('sketch: growing forgets nothing, and halves what was still to be halved', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 660 }), fc.integer({ min: 65, max: 5000 }), (additions, entries) => {
      const sketch = new Sketch()
      const hashes = Array.from({ length: 30 }, (_, n) => hashOf(`key ${n}`, 1))
      for (let n = 0; n < additions; n++) sketch.add(hashes[n % 30] ?? 0)
      const before = hashes.map((hash) => sketch.frequency(hash))
      sketch.cover(entries)
      expect(hashes.map((hash) => sketch.frequency(hash))).toEqual(before)
    }),
    { numRuns: 50 },
  )
})

test('sketch: a grown table tells apart what a small one counts together', () => {
  const frequencies = (covered: number): number[] => {
    const sketch = new Sketch()
    sketch.cover(covered)
    for (let n = 0; n < 600; n++) sketch.add(hashOf(`once ${n}`, 1))
    return Array.from({ length: 500 }, (_, n) => sketch.frequency(hashOf(`never ${n}`, 1)))
  }
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0)
  expect(sum(frequencies(64))).toBeGreaterThan(300)
  expect(sum(frequencies(4096))).toBeLessThan(5)
})

test('tinylfu: keys that share counters under one secret do not under another', () => {
  const keys = Array.from({ length: 2000 }, (_, n) => `key ${n}`)
  const sharing = (seed: number): string[] => {
    const popular = placeOf(hashOf('popular', seed), 0) & 63
    return keys.filter((key) => (placeOf(hashOf(key, seed), 0) & 63) === popular)
  }
  const [known, unknown] = [sharing(1), new Set(sharing(2))]
  expect(known.length).toBeGreaterThan(10)
  expect(known.filter((key) => unknown.has(key)).length).toBeLessThan(known.length / 4)
})
