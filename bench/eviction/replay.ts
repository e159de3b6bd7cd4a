/** Runs a trace through a policy, or through lru-cache, or by foresight, and counts the hits. */
import { makePolicy } from '../../src/stores/eviction/by-name.ts'
import type { EvictionName, EvictionNode } from '../../src/stores/eviction/policy.ts'
import { generator } from '../traces/random.ts'
import type { Requests } from '../traces/trace.ts'
import { LruCache } from './lru-cache.ts'

/** The share of requests that were hits. */
export function replay(name: EvictionName, { ids, footprint }: Requests, size: number): number {
  const policy = makePolicy(name, generator(3))
  const nodes: (EvictionNode | undefined)[] = Array.from({ length: footprint })
  let hits = 0
  let held = 0
  for (const id of ids) {
    const node = nodes[id]
    if (node !== undefined) {
      hits += 1
      policy.hit(node)
      continue
    }
    const victim = held < size ? undefined : policy.victim()
    if (victim === undefined) held += 1
    else {
      policy.remove(victim)
      nodes[idOf(victim.key)] = undefined
    }
    nodes[id] = policy.insert(keyOf(id))
  }
  return hits / ids.length
}

/** The same through the cache of another library; null where it is not installed. */
export function replayLruCache({ ids }: Requests, size: number): number | null {
  if (LruCache === null) return null
  const cache = new LruCache<number, true>({ max: size })
  let hits = 0
  for (const id of ids) {
    if (cache.get(id)) hits += 1
    else cache.set(id, true)
  }
  return hits / ids.length
}

/**
 * Belady's optimum: what is asked for again last goes first. No policy that takes in every key it is asked for can have more hits. The heap
 * keeps outdated instants until they come up: an entry counts only if it is still the next use of its key.
 */
export function replayOptimal({ ids, footprint }: Requests, size: number): number {
  const next = nextUses(ids, footprint)
  const held = new Float64Array(footprint).fill(-1)
  const heap = new FarthestFirst()
  let hits = 0
  let count = 0
  ids.forEach((id, at) => {
    if (held[id] !== -1) hits += 1
    else if (count < size) count += 1
    else {
      for (;;) {
        const [key, use] = heap.pop()
        if (held[key] !== use) continue
        held[key] = -1
        break
      }
    }
    // What is never asked for again is told apart by the key, so that no two entries are alike.
    const use = next[at] === Infinity ? ids.length + id : (next[at] ?? Infinity)
    held[id] = use
    heap.push(id, use)
  })
  return hits / ids.length
}

function nextUses(ids: Uint32Array, footprint: number): Float64Array {
  const next = new Float64Array(ids.length)
  const seen = new Float64Array(footprint).fill(Infinity)
  for (let at = ids.length - 1; at >= 0; at--) {
    const id = ids[at] ?? 0
    next[at] = seen[id] ?? Infinity
    seen[id] = at
  }
  return next
}

class FarthestFirst {
  readonly #heap: (readonly [key: number, use: number])[] = []

  push(key: number, use: number): void {
    const heap = this.#heap
    let at = heap.length
    heap.push([key, use])
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#use(parent) >= use) break
      this.#swap(at, parent)
      at = parent
    }
  }

  pop(): readonly [key: number, use: number] {
    const heap = this.#heap
    this.#swap(0, heap.length - 1)
    const top = heap.pop()
    if (top === undefined) throw new Error('the heap is empty: an entry is held that was never put in')
    for (let at = 0; ;) {
      const left = 2 * at + 1
      const child = this.#use(left + 1) > this.#use(left) ? left + 1 : left
      if (this.#use(child) <= this.#use(at)) break
      this.#swap(at, child)
      at = child
    }
    return top
  }

  #use(at: number): number {
    return this.#heap[at]?.[1] ?? -1
  }

  #swap(a: number, b: number): void {
    const [first, second] = [this.#heap[a], this.#heap[b]]
    if (first === undefined || second === undefined) return
    this.#heap[a] = second
    this.#heap[b] = first
  }
}

const PREFIX = 'https://api.example.com/items/'

export function keyOf(id: number): string {
  return PREFIX + id
}

function idOf(key: string): number {
  return Number(key.slice(PREFIX.length))
}
