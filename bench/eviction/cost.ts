/**
 * What the policies cost: each behind the same Map, in turns with lru-cache. Every operation has caches of its own, which stay from round to
 * round; the ratio to lru-cache is taken within a round, then the median over the rounds.
 */
import { makePolicy } from '../../src/stores/eviction/by-name.ts'
import type { EvictionName, EvictionNode } from '../../src/stores/eviction/policy.ts'
import { median } from '../lib/stats.ts'
import { generator } from '../traces/random.ts'
import type { Requests } from '../traces/trace.ts'
import { LruCache } from './lru-cache.ts'
import { keyOf } from './replay.ts'

interface Cache {
  get(key: string): unknown
  set(key: string, value: number): unknown
}

/** The least that a cache with this policy can be. */
class Bounded implements Cache {
  readonly #slots = new Map<string, { value: number; node: EvictionNode }>()
  readonly #size: number
  readonly #policy

  constructor(name: EvictionName, size: number) {
    this.#size = size
    this.#policy = makePolicy(name, generator(3))
  }

  get(key: string): number | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    this.#policy.hit(slot.node)
    return slot.value
  }

  /** Of a key that is not there. */
  set(key: string, value: number): void {
    if (this.#slots.size >= this.#size) {
      const victim = this.#policy.victim()
      if (victim !== undefined) {
        this.#policy.remove(victim)
        this.#slots.delete(victim.key)
      }
    }
    this.#slots.set(key, { value, node: this.#policy.insert(key) })
  }
}

export interface Operation {
  readonly title: string
  /** Nanoseconds by subject and round. */
  readonly times: ReadonlyMap<string, readonly number[]>
}

/** A turn of one subject: nanoseconds an operation. */
type Turn = () => number

export const PEER = 'lru-cache'

export function costs(names: readonly EvictionName[], trace: Requests, size: number, rounds: number): Operation[] {
  const makers = new Map<string, () => Cache>(names.map((name) => [name, () => new Bounded(name, size)]))
  if (LruCache !== null) {
    const Peer = LruCache
    makers.set(PEER, () => new Peer<string, number>({ max: size }))
  }
  const makeTurns: Readonly<Record<string, (cache: Cache) => Turn>> = {
    hit: hits(size),
    'insertion with eviction': insertions(size),
    'request of Zipf 0.9': requests(trace),
  }
  return Object.entries(makeTurns).map(([title, turnOf]) => {
    const turns = [...makers].map(([name, make]): [string, Turn] => [name, turnOf(make())])
    return { title, times: race(turns, rounds) }
  })
}

/** How many times what the peer takes: the median over the rounds of the ratio within a round. */
export function ratioOf({ times }: Operation, name: string): number {
  const peer = times.get(PEER)
  return median((times.get(name) ?? []).map((time, round) => time / (peer?.[round] ?? Number.NaN)))
}

/** Each round starts with another one. */
function race(turns: readonly [string, Turn][], rounds: number): Map<string, number[]> {
  const times = new Map(turns.map(([name]): [string, number[]] => [name, []]))
  // Two rounds are for the compiler.
  for (let round = -2; round < rounds; round++) {
    for (let n = 0; n < turns.length; n++) {
      const [name, turn] = turns[(n + round + 2) % turns.length] ?? []
      if (name === undefined || turn === undefined) continue
      const time = turn()
      if (round >= 0) times.get(name)?.push(time)
    }
  }
  return times
}

/** Every entry is asked for, in an order that is not that of insertion. */
function hits(size: number): (cache: Cache) => Turn {
  const random = generator(5)
  const keys = Array.from({ length: size }, (_, n) => ({ key: keyOf(n), by: random() }))
  const order = keys.toSorted((a, b) => a.by - b.by).map(({ key }) => key)
  return (cache) => {
    for (const { key } of keys) cache.set(key, 1)
    return () => timed(2_000_000, (n) => cache.get(order[n % size] ?? ''))
  }
}

/** Keys that were never seen before, into a full cache. */
function insertions(size: number): (cache: Cache) => Turn {
  return (cache) => {
    let next = 0
    for (; next < size; next++) cache.set(keyOf(next), 1)
    return () => {
      const keys = Array.from({ length: 400_000 }, () => keyOf(next++))
      return timed(keys.length, (n) => cache.set(keys[n] ?? '', 1))
    }
  }
}

/** Get, and where it is a miss, set: what a program does. */
function requests({ ids, footprint }: Requests): (cache: Cache) => Turn {
  const keys = Array.from({ length: footprint }, (_, id) => keyOf(id))
  const asked = Array.from(ids, (id) => keys[id] ?? '')
  return (cache) => () =>
    timed(3 * asked.length, (n) => {
      const key = asked[n % asked.length] ?? ''
      if (cache.get(key) === undefined) cache.set(key, 1)
    })
}

/** Nanoseconds a call, of this thread: what else the machine does is not counted. The clock ticks every few milliseconds: turns are long. */
function timed(calls: number, call: (n: number) => unknown): number {
  const start = process.threadCpuUsage()
  for (let n = 0; n < calls; n++) call(n)
  const { user, system } = process.threadCpuUsage(start)
  return ((user + system) * 1000) / calls
}
