/** Answers from the store, counted and told (feature I3). */
import type { Events } from './events.ts'
import type { StoredReply } from './reply.ts'
import type { Counters } from './stats.ts'

export class Served {
  readonly #counters: Counters
  readonly #events: Events

  constructor(counters: Counters, events: Events) {
    this.#counters = counters
    this.#events = events
  }

  /** A plain hit (plain-hit.ts): its body is not looked at. */
  plain(reply: StoredReply): void {
    this.#counters.hits += 1
    this.#add(reply, reply.entry.body.size)
    if (this.#events.wants('hit')) this.#emit(reply, 'hit', 'GET')
  }

  any(reply: StoredReply, method: string): void {
    const counters = this.#counters
    const { collapsed, outcome } = reply.facts
    const type = collapsed ? 'collapsed' : outcome === 'stale' ? 'stale' : 'hit'
    if (type === 'hit') counters.hits += 1
    else counters[type] += 1
    this.#add(reply, reply.body?.size ?? 0)
    if (this.#events.wants(type)) this.#emit(reply, type, method)
  }

  #add({ entry }: StoredReply, bytes: number): void {
    this.#counters.bytesServed += bytes
    this.#counters.timeSaved += entry.meta.responseTime - entry.meta.requestTime
  }

  #emit({ entry, facts, now }: StoredReply, type: 'hit' | 'stale' | 'collapsed', method: string): void {
    const base = { key: entry.key, url: entry.meta.url, method }
    if (type === 'collapsed') this.#events.emit({ type, ...base })
    else this.#events.emit({ type, ...base, reason: facts.reason, age: (now - entry.meta.responseTime) / 1000 })
  }
}
