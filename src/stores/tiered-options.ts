/** The options of TieredStore: what there is, and what is checked. */
import type { Clock, Store } from '../engine/ports.ts'
import type { MemoryStore, MemoryStoreOptions } from './memory.ts'
import { checkOptions, checkStore, CLOCK_RULE, wrong, type OptionRule } from './options.ts'
import { isTracking, type Coherence } from './tiered-coherence.ts'

export interface TieredOptions<F extends Store = Store> {
  /** The memory in front: a store, or the options of one. Default: a MemoryStore with its defaults. */
  readonly near?: MemoryStore | MemoryStoreOptions
  /** The store behind it, which decides. It is closed with the tiered store. */
  readonly far: F
  /** How long memory answers without asking the far store: seconds, or Infinity. Default 5; with `coherence`, 60. */
  readonly nearTtl?: number
  /**
   * What tells of changes that others make. `'tracking'`: the server behind the far store itself, whoever changed what (RedisStore, wrapped
   * or not). `'none'`: nothing. Or a channel between the processes; it is closed with the store. Default: `'tracking'` where the far store
   * has it, and without an error where its server refuses; otherwise `'none'`.
   */
  readonly coherence?: Coherence | 'tracking' | 'none'
  /** Ms that only go forward, for tests. Default performance.now. */
  readonly clock?: Clock
}

/** Without a channel that tells of changes: seconds. */
export const BLIND_TTL: number = 5
/** With one. */
export const COHERENT_TTL: number = 60

const CHANNEL: OptionRule = { type: 'object', has: ['publish', 'subscribe', 'close'] }

/** @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE */
export function checkTiers(options: TieredOptions): void {
  const object = { type: 'object' } as const
  const isWord = typeof options?.coherence === 'string'
  checkOptions('TieredStore', options, {
    near: object,
    far: object,
    nearTtl: { type: 'number' },
    coherence: isWord ? { type: 'string', among: ['tracking', 'none'] } : CHANNEL,
    clock: CLOCK_RULE,
  })
  const { far, nearTtl = BLIND_TTL, coherence } = options
  checkStore('TieredStore', 'far', far)
  if (!(nearTtl > 0))
    throw wrong('TieredStore', 'nearTtl', 'must be more than 0 seconds: without it, use the far store itself')
  if (coherence === 'tracking' && !isTracking(far))
    throw wrong(
      'TieredStore',
      'coherence',
      `cannot be 'tracking' over the ${far.name} store: nothing there tells of changes`,
    )
}
