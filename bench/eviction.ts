/** Hit ratios of the eviction policies on seeded traces, and what a hit costs: node bench/eviction.ts */
import { makePolicy, EVICTION_NAMES } from '../src/stores/eviction/by-name.ts'
import type { EvictionName, EvictionNode } from '../src/stores/eviction/policy.ts'

const REQUESTS = 200_000
const KEYS = 20_000

function generator(seed: number): () => number {
  let state = seed
  return () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
}

function zipf(alpha: number, random: () => number): () => number {
  const sums = new Float64Array(KEYS)
  let sum = 0
  for (let rank = 0; rank < KEYS; rank++) sums[rank] = sum += 1 / (rank + 1) ** alpha
  return () => {
    const wanted = random() * sum
    let low = 0
    let high = KEYS - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sums[middle] ?? 0) < wanted) low = middle + 1
      else high = middle
    }
    return low
  }
}

const TRACES: Record<string, () => Iterable<number>> = {
  'Zipf 0.7': () => draw(zipf(0.7, generator(7))),
  'Zipf 0.9': () => draw(zipf(0.9, generator(7))),
  'Zipf 1.1': () => draw(zipf(1.1, generator(7))),
  'Zipf 0.9 + scans': () => scans(zipf(0.9, generator(7))),
  'loop of 1.5 x size': () => loop(),
  'Zipf 0.9, shifting': () => shifting(zipf(0.9, generator(7))),
}

const SIZE = 1000

function* draw(next: () => number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield next()
}

function* scans(next: () => number): Iterable<number> {
  let scan = KEYS
  for (let n = 0; n < REQUESTS; n++) yield n % 10_000 < 3000 ? scan++ : next()
}

function* loop(): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield n % (SIZE * 1.5)
}

function* shifting(next: () => number): Iterable<number> {
  for (let n = 0; n < REQUESTS; n++) yield (next() + Math.floor(n / 20_000) * 1500) % KEYS
}

function hitRatio(name: EvictionName, trace: Iterable<number>, size: number): number {
  const policy = makePolicy(name, size, generator(3))
  const nodes = new Map<string, EvictionNode>()
  let hits = 0
  for (const id of trace) {
    const key = `https://api.example.com/items/${id}`
    const node = nodes.get(key)
    if (node) {
      hits += 1
      policy.hit(node)
      continue
    }
    if (nodes.size >= size) {
      const victim = policy.victim()
      if (victim) {
        policy.remove(victim)
        nodes.delete(victim.key)
      }
    }
    nodes.set(key, policy.insert(key))
  }
  return hits / REQUESTS
}

function hitCost(name: EvictionName): number {
  const policy = makePolicy(name, SIZE, generator(3))
  const nodes = Array.from({ length: SIZE }, (_, n) => policy.insert(`https://api.example.com/items/${n}`))
  const costs: number[] = []
  for (let round = 0; round < 7; round++) {
    const start = performance.now()
    for (let n = 0; n < 1_000_000; n++) policy.hit(nodes[(n * 7919) % SIZE] as EvictionNode)
    costs.push(performance.now() - start)
  }
  return costs.toSorted((a, b) => a - b)[3] ?? 0
}

const names = EVICTION_NAMES as readonly EvictionName[]
console.log(`| trace, cache of ${SIZE} | ${names.join(' | ')} |\n| --- |${' ---: |'.repeat(names.length)}`)
for (const [trace, make] of Object.entries(TRACES)) {
  console.log(
    `| ${trace} | ${names.map((name) => `${(hitRatio(name, make(), SIZE) * 100).toFixed(1)} %`).join(' | ')} |`,
  )
}
console.log(`| one hit, ns (median of 7) | ${names.map((name) => hitCost(name).toFixed(0)).join(' | ')} |`)
