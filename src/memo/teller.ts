/** Counts what happens, and tells whoever wants to know: an event nobody listens for is never made. */
import { diagnosticsChannel, Events } from '../engine/events.ts'
import type { Clock } from '../engine/ports.ts'
import { textOf } from './argument-key.ts'
import type { Draft, Id, Refusal } from './entry.ts'
import { MemoCounters, type MemoEvent, type MemoEventOf } from './events.ts'

export class Teller {
  readonly events: Events<MemoEvent> = new Events()
  readonly counters: MemoCounters = new MemoCounters()
  readonly #cache: string
  readonly #clock: Clock

  constructor(cache: string, clock: Clock) {
    this.#cache = cache
    this.#clock = clock
    this.events.channel = diagnosticsChannel()
  }

  hit(id: Id, draft: Draft<unknown, unknown>, reason: MemoEventOf<'hit'>['reason']): void {
    this.counters.hits += 1
    this.counters.timeSaved += draft.took
    if (this.events.wants('hit'))
      this.events.emit({ type: 'hit', cache: this.#cache, key: textOf(id), reason, age: this.#age(draft) })
  }

  stale(id: Id, draft: Draft<unknown, unknown>, reason: MemoEventOf<'stale'>['reason']): void {
    this.counters.stale += 1
    this.counters.timeSaved += draft.took
    if (this.events.wants('stale'))
      this.events.emit({ type: 'stale', cache: this.#cache, key: textOf(id), reason, age: this.#age(draft) })
  }

  #age(draft: Draft<unknown, unknown>): number {
    return Math.max(0, this.#clock.now() - draft.createdAt) / 1000
  }

  miss(id: Id, reason: MemoEventOf<'miss'>['reason']): void {
    this.counters.misses += 1
    if (this.events.wants('miss')) this.events.emit({ type: 'miss', cache: this.#cache, key: textOf(id), reason })
  }

  collapsed(id: Id, reason: MemoEventOf<'collapsed'>['reason']): void {
    this.counters.collapsed += 1
    if (this.events.wants('collapsed'))
      this.events.emit({ type: 'collapsed', cache: this.#cache, key: textOf(id), reason })
  }

  stored(id: Id, reason: MemoEventOf<'stored'>['reason'], ttl: number, took: number): void {
    this.counters.stored += 1
    if (this.events.wants('stored'))
      this.events.emit({ type: 'stored', cache: this.#cache, key: textOf(id), reason, ttl, took })
  }

  refused(id: Id, reason: Refusal, detail = ''): void {
    this.counters.refused += 1
    if (this.events.wants('refused'))
      this.events.emit({ type: 'refused', cache: this.#cache, key: textOf(id), reason, detail })
  }

  failed(id: Id, type: 'failed' | 'refresh-failed', error: unknown, took: number): void {
    this.counters.failures += 1
    if (this.events.wants(type)) this.events.emit({ type, cache: this.#cache, key: textOf(id), error, took })
  }

  evicted(key: string, reason: MemoEventOf<'evicted'>['reason']): void {
    this.counters.evicted += 1
    if (this.events.wants('evicted')) this.events.emit({ type: 'evicted', cache: this.#cache, key, reason })
  }

  invalidated(reason: MemoEventOf<'invalidated'>['reason'], keys: readonly string[]): void {
    if (this.events.wants('invalidated')) this.events.emit({ type: 'invalidated', cache: this.#cache, reason, keys })
  }

  error(operation: MemoEventOf<'error'>['operation'], key: string | null, error: unknown): void {
    this.counters.errors += 1
    this.events.emit({ type: 'error', cache: this.#cache, operation, key, error })
  }
}
