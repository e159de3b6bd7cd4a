/**
 * Background cleanup (rows 203, 238): from time to time, what is of no more use is deleted from stores that do not do so by themselves.
 *
 * Rule 1: no read fails or waits for it: it goes through the listing in slices and gives way after each.
 * Rule 2: one process at a time, where the store can lock; processes do not begin at the same moment.
 * Rule 3: it keeps neither the process alive nor a cache that nobody holds any more; closing ends it between two slices.
 * Rule 4: a failure is an event, and the end of this round.
 */
import { asStoreError } from '../errors.ts'
import type { Events } from './events.ts'
import { Leases } from './lease.ts'
import { isLocking, type Clock, type ListableStore } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'
import { atMost, quietlyAfter, type Timer } from './timer.ts'

const LOCK = 'cleanup'
const LEASE = 30_000
/** Entries looked at before others have their turn, and how long that is (ms). */
const SLICE = 200
const PAUSE = 5
/** The first round of a process comes no later than this (ms): many do not live for a whole interval. */
const FIRST = 300_000

/** When to clean up, and what. */
export interface Cleanup {
  /** Milliseconds between two rounds, give or take a tenth. */
  readonly every: number
  /**
   * Deletes what expired so many milliseconds ago, and of the values of functions (memo/) what has been of no use for so long; null: what is of
   * no more use to anyone (policy/keep.ts).
   */
  readonly expiredFor: number | null
}

export interface CleanerTools {
  readonly store: ListableStore
  readonly guard: StoreGuard
  readonly events: Events
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
}

export class Cleaner {
  readonly #tools: CleanerTools
  readonly #cleanup: Cleanup
  readonly #leases: Leases | null
  #timer: Timer | undefined
  #round: Promise<void> | null = null
  #stopped = false

  constructor(tools: CleanerTools, cleanup: Cleanup) {
    this.#tools = tools
    this.#cleanup = cleanup
    const { guard, clock } = tools
    this.#leases = isLocking(tools.store) ? new Leases(guard, clock, { lease: LEASE, patience: 0 }) : null
    this.#next(Math.min(cleanup.every, FIRST) * (0.5 + tools.random() / 2))
  }

  #next(ms: number): void {
    if (this.#stopped) return
    const self = new WeakRef(this)
    this.#timer = quietlyAfter(ms, () => self.deref()?.begin())
  }

  /** A round; the timer calls it. */
  begin(): void {
    this.#round = this.#clean()
      .catch((error: unknown) => this.#failed(error))
      .then(() => {
        this.#round = null
        this.#next(this.#cleanup.every * (0.9 + this.#tools.random() / 5))
      })
  }

  async #clean(): Promise<void> {
    const lease = (await this.#leases?.tryTake(LOCK)) ?? 'failed'
    if (lease === 'taken' || this.#stopped) return
    try {
      const deleted = await this.#sweep()
      if (deleted > 0) this.#tools.events.emit({ type: 'cleaned', key: null, deleted })
    } finally {
      if (typeof lease === 'object') await lease.release(true)
    }
  }

  async #sweep(): Promise<number> {
    const { store, clock } = this.#tools
    const { expiredFor } = this.#cleanup
    const now = clock.now()
    const before = now - (expiredFor ?? 0)
    let useless: string[] = []
    let seen = 0
    let deleted = 0
    for await (const { key, keepUntil, meta } of store.entries({ expiredAt: before })) {
      // How long a value may be answered with while stale is up to the cache that stored it.
      if (keepUntil <= before || (expiredFor !== null && meta.kind !== 'value')) useless.push(key)
      if (++seen % SLICE !== 0) continue
      // One that was stored anew since it was listed goes along: a miss, once in a blue moon.
      if (useless.length > 0) deleted += await store.delete(useless)
      useless = []
      await new Promise<void>((resolve) => quietlyAfter(PAUSE, resolve))
      if (this.#stopped) return deleted
    }
    return useless.length === 0 || this.#stopped ? deleted : deleted + (await store.delete(useless))
  }

  #failed(error: unknown): void {
    if (this.#stopped) return
    const { events, store } = this.#tools
    events.emit({ type: 'error', operation: 'delete', key: null, error: asStoreError(error, 'delete', store.name) })
  }

  /** Ends it, and waits for the slice under way, but no longer than `limit` ms. */
  async stop(limit: number): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (this.#round !== null) await atMost(limit, this.#round)
  }
}
