/** Policies by name. */
import { Fifo } from './fifo.ts'
import { Lfu } from './lfu.ts'
import { Lru } from './lru.ts'
import type { EvictionName, EvictionPolicy } from './policy.ts'
import { Random } from './random.ts'
import { Sieve } from './sieve.ts'
import { TinyLfu } from './tinylfu.ts'

const POLICIES: Readonly<Record<EvictionName, (random: () => number) => EvictionPolicy>> = {
  lru: () => new Lru(),
  lfu: () => new Lfu(),
  fifo: () => new Fifo(),
  random: (random) => new Random(random),
  sieve: () => new Sieve(),
  tinylfu: (random) => new TinyLfu(random),
}

/** What caches use unless told otherwise: docs/decisions/0003-default-eviction.md. */
export const DEFAULT_EVICTION: EvictionName = 'tinylfu'

export const EVICTION_NAMES: readonly string[] = Object.keys(POLICIES)

export function makePolicy(name: EvictionName, random: () => number): EvictionPolicy {
  return POLICIES[name](random)
}
