/**
 * How long items live.
 *
 * 1. An entry may be dropped by DynamoDB when it is of no more use. It does so late, by days, or not at all where the table has no
 *    TTL: whether an entry is of use is decided by its reader (RELIABILITY 46).
 * 2. A chunk lives at least as long as the entry that names it, and longer: to prolong it costs as much as to write it, so most
 *    changes of an entry's lifetime must not.
 * 3. A chunk that no entry names, not yet or no more, ends in any case. `until` says so, with or without the table's TTL.
 */
import { NEVER, type Clock } from '../engine/ports.ts'
import type { Attribute, Item } from './dynamodb-client.ts'
import type { DynamoSettings } from './dynamodb-options.ts'

/** Chunks that no entry names yet live this long, in ms. */
const ORPHAN_LIFE = 3_600_000
/** Chunks that no entry names any more live this long, in ms: who reads them reads on (RELIABILITY 68). */
const READ_ON = 60_000
/** Chunks live at least this much longer than their entry, in ms. */
const MARGIN = 86_400_000
/** What is of no more use is still given a moment, in ms. */
const MOMENT = 1000

export class DynamoLifetimes {
  readonly clock: Clock
  readonly #ttl: boolean

  constructor({ ttl }: DynamoSettings, clock: Clock) {
    this.#ttl = ttl
    this.clock = clock
  }

  /** The `#ttl` of an entry that is of use until `keepUntil`. */
  ofEntry(keepUntil: number): Attribute | undefined {
    return this.ttl(Math.max(keepUntil, this.clock.now() + MOMENT))
  }

  /** How long chunks live whose entry is of use until then. */
  ofChunks(keepUntil: number): number {
    if (keepUntil >= NEVER) return NEVER
    const now = this.clock.now()
    return Math.max(keepUntil + Math.max(MARGIN, keepUntil - now), now + ORPHAN_LIFE)
  }

  /** How long they live while their entry is not there yet. */
  ofNewChunks(keepUntil: number): number {
    return keepUntil >= NEVER ? this.clock.now() + ORPHAN_LIFE : this.ofChunks(keepUntil)
  }

  /** How long they live when it is not there any more. */
  ofRetired(): number {
    return this.clock.now() + READ_ON
  }

  /** What to set and what to remove, so that a chunk lives until then. */
  change(until: number): { readonly set: Item; readonly remove: readonly string[] } {
    if (until >= NEVER) return { set: {}, remove: ['until', 'ttl'] }
    const ttl = this.ttl(until)
    const set = { until: { N: String(until) } }
    return ttl === undefined ? { set, remove: ['ttl'] } : { set: { ...set, ttl }, remove: [] }
  }

  /** An instant as DynamoDB takes it, in seconds; undefined: there is none. */
  ttl(until: number): Attribute | undefined {
    return this.#ttl && until < NEVER ? { N: String(Math.ceil(until / 1000)) } : undefined
  }
}
