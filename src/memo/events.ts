/** What a cache of values tells (engine/events.ts takes it to listeners and to node:diagnostics_channel `keepfresh`), and what it counts. */
import type { StoreOperation } from '../engine/events.ts'
import type { Refusal } from './entry.ts'

interface Base {
  /** The `name` of the cache; '' where it has none. */
  readonly cache: string
}

interface Keyed extends Base {
  readonly key: string
}

/** Ages and lifetimes are in seconds, `took` in ms. */
export type MemoEvent =
  | (Keyed & { readonly type: 'hit'; readonly reason: 'fresh' | 'early' | 'error'; readonly age: number })
  /** A stale value was answered with, and why that was right. */
  | (Keyed & {
      readonly type: 'stale'
      readonly reason: 'revalidating' | 'error' | 'timeout' | 'back-off'
      readonly age: number
    })
  | (Keyed & { readonly type: 'miss'; readonly reason: 'absent' | 'stale' | 'refresh' })
  /** The call waits for one that is under way; 'lease': in another process. */
  | (Keyed & { readonly type: 'collapsed'; readonly reason: 'flight' | 'lease' })
  | (Keyed & {
      readonly type: 'stored'
      readonly reason: 'value' | 'error' | 'set'
      readonly ttl: number
      readonly took: number
    })
  | (Keyed & { readonly type: 'refused'; readonly reason: Refusal; readonly detail: string })
  /** The function failed, and a caller was told so. */
  | (Keyed & { readonly type: 'failed'; readonly error: unknown; readonly took: number })
  /** A renewal in the background failed: nobody else would hear of it. */
  | (Keyed & { readonly type: 'refresh-failed'; readonly error: unknown; readonly took: number })
  | (Keyed & { readonly type: 'evicted'; readonly reason: 'count' | 'size' })
  | (Base & {
      readonly type: 'invalidated'
      readonly reason: 'delete' | 'tags' | 'clear'
      readonly keys: readonly string[]
    })
  /** The store, or a function given as an option, failed, and the call went on without it. */
  | (Base & {
      readonly type: 'error'
      readonly operation: StoreOperation | 'lock' | 'option'
      readonly key: string | null
      readonly error: unknown
    })

export type MemoEventType = MemoEvent['type']

const TYPES: Readonly<Record<MemoEventType, true>> = {
  hit: true,
  stale: true,
  miss: true,
  collapsed: true,
  stored: true,
  refused: true,
  failed: true,
  'refresh-failed': true,
  evicted: true,
  invalidated: true,
  error: true,
}

export const EVENT_TYPES: ReadonlySet<string> = new Set(Object.keys(TYPES))

/** The event of one type. */
export type MemoEventOf<T extends MemoEventType> = Extract<MemoEvent, { readonly type: T }>

/** Counters of one cache. */
export interface MemoStats {
  /** Answers from what was fresh. */
  readonly hits: number
  /** Answers from what was stale, as the options allow. */
  readonly stale: number
  /** Calls that had to wait for the function, or found nothing. */
  readonly misses: number
  /** Calls that waited for one under way. */
  readonly collapsed: number
  /** Renewals in the background. */
  readonly refreshes: number
  readonly stored: number
  readonly refused: number
  readonly evicted: number
  /** Times the function failed. */
  readonly failures: number
  /** Failures of the store, and of functions given as options. */
  readonly errors: number
  /** Milliseconds the function took for what was answered from the cache: what the hits saved. */
  readonly timeSaved: number
  /** Entries held in memory; null where they are in a store. */
  readonly size: number | null
  /** Answers from the cache (hits, stale, collapsed) among all calls; 0 before the first. */
  readonly hitRatio: number
}

export class MemoCounters {
  hits = 0
  stale = 0
  misses = 0
  collapsed = 0
  refreshes = 0
  stored = 0
  refused = 0
  evicted = 0
  failures = 0
  errors = 0
  timeSaved = 0
  /** How often a call was counted once more: one that waits, and is then answered with a stale value, is one call. */
  #again = 0
  /** Misses that were answered from the cache after all. */
  #redeemed = 0

  /** A call is counted once more; `missed`: it was counted as a miss before. */
  again(missed: boolean): void {
    this.#again += 1
    if (missed) this.#redeemed += 1
  }

  snapshot(size: number | null): MemoStats {
    const asked = this.hits + this.stale + this.collapsed + this.misses - this.#again
    const answered = asked - this.misses + this.#redeemed
    return { ...this, size, hitRatio: asked === 0 ? 0 : answered / asked }
  }
}
