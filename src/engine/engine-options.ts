/** What an engine is made of. */
import type { Clock, Store } from './ports.ts'
import type { GuardOptions } from './store-guard.ts'

export interface EngineOptions extends GuardOptions {
  readonly store: Store
  readonly clock: Clock
  /** Uniform in [0, 1): jitter only. */
  readonly random: () => number
  /** Milliseconds a request waits for another's flight before it goes its own way. */
  readonly collapseTimeout: number
  /** Single-flight between processes: how long a lease runs, in ms (lease.ts). Null: within this process only. */
  readonly lease: number | null
  /** Bytes read ahead of a caller who is slow or has not begun. */
  readonly readAhead: number
  /** Bytes still read for the store after the caller has left. */
  readonly backgroundFill: number
}
