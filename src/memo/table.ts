/**
 * Values in memory, by reference, bounded by their number or by their sizes; what goes first is up to an eviction policy.
 *
 * Rule 1: a hit allocates nothing but, the first of an entry, its promise; evicting never scans.
 * Rule 2: no timers; what has expired goes when its turn comes, when it is asked for, or by deleteExpired.
 * Rule 3: room is made before an entry is put in, so that no entry has to go for itself.
 * Rule 4: who listens to evictions is told once the table is in order again: a listener may use the cache.
 */
import type { MaybePromise } from '../engine/ports.ts'
import { makePolicy } from '../stores/eviction/by-name.ts'
import type { EvictionNode } from '../stores/eviction/policy.ts'
import { idOf, textOf } from './argument-key.ts'
import {
  plainUntil,
  type Draft,
  type Id,
  type InvalidateMode,
  type Keeper,
  type Refusal,
  type Windows,
} from './entry.ts'
import { SoonestFirst, TimeAwareLru, type TimedPolicy } from './expiry-order.ts'
import type { Eviction } from './options.ts'
import { TagStates, type TagState } from './tag-states.ts'

/** An entry in memory. Its fields change when a new value comes under the same key. */
export interface Slot<K, V> {
  readonly id: Id
  draft: Draft<K, V>
  /** Until this instant a hit needs no thought (ms); -Infinity where it always does. */
  plainUntil: number
  keepUntil: number
  /** Null: no tags. */
  tags: readonly TagState[] | null
  size: number
  node: EvictionNode
  /** What a hit is answered with, once there was one: a promise that is settled is as good for many. Null where there was none. */
  answer: Promise<V> | null
}

export interface TableOptions<K, V> {
  readonly eviction: Eviction
  readonly maxSize: number
  /** Null: every entry counts one. */
  readonly sizeOf: ((value: V, key: K) => number) | null
  readonly windows: Windows
  readonly now: () => number
  readonly random: () => number
  readonly onEvict: (key: string, reason: 'count' | 'size') => void
}

/** How many entries deleteExpired looks at before others have a turn. */
const SLICE = 10_000

/** So many errors are kept at most, where `maxSize` is no number of entries. */
const MOST_ERRORS = 10_000

export class Table<K, V> implements Keeper<K, V> {
  readonly #options: TableOptions<K, V>
  readonly #policy: TimedPolicy
  readonly #slots = new Map<Id, Slot<K, V>>()
  readonly #tags = new TagStates()
  #size = 0

  constructor(options: TableOptions<K, V>) {
    this.#options = options
    this.#policy = policyFor(options)
  }

  get count(): number {
    return this.#slots.size
  }

  /** The sum of the sizes. */
  get size(): number {
    return this.#size
  }

  /** The entry as it is: nothing is checked, counted or moved. */
  slot(id: Id): Slot<K, V> | undefined {
    return this.#slots.get(id)
  }

  /** Tells the policy that the entry was used. */
  hit(slot: Slot<K, V>): void {
    this.#policy.hit(slot.node)
  }

  find(id: Id): Draft<K, V> | undefined {
    const slot = this.#slots.get(id)
    if (slot === undefined) return undefined
    const draft = slot.tags === null ? slot.draft : afterTags(slot.draft, slot.tags)
    if (draft === undefined) this.#remove(slot)
    else this.#policy.hit(slot.node)
    return draft
  }

  findMany(ids: readonly Id[]): readonly (Draft<K, V> | undefined)[] {
    return ids.map((id) => this.find(id))
  }

  peek(id: Id): Draft<K, V> | undefined {
    const slot = this.#slots.get(id)
    return slot && afterTags(slot.draft, slot.tags)
  }

  put(id: Id, draft: Draft<K, V>, keepUntil: number): Refusal | null {
    const size = this.#sizeOf(draft)
    const old = this.#slots.get(id)
    if (size > this.#options.maxSize || size === Infinity) {
      if (old !== undefined) this.#remove(old)
      return 'too-large'
    }
    const evicted: Id[] | null = this.#hasRoom(size - (old?.size ?? 0)) ? null : []
    if (old === undefined || !this.#replace(old, draft, keepUntil, size, evicted))
      this.#insert(id, draft, keepUntil, size, old, evicted)
    if (evicted !== null) this.#tell(evicted)
    return null
  }

  #sizeOf(draft: Draft<K, V>): number {
    const { sizeOf, maxSize } = this.#options
    if (sizeOf === null) return 1
    // An error has no size that sizeOf could tell. Many of them are bounded all the same, where anything is.
    const sizeOfError = maxSize === Infinity ? 1 : Math.max(1, maxSize / MOST_ERRORS)
    const size = draft.failed ? sizeOfError : sizeOf(draft.value as V, draft.key)
    if (!(size >= 0)) throw new RangeError(`sizeOf must return a number of 0 or more, not ${size}`)
    return size
  }

  #hasRoom(more: number): boolean {
    return this.#size + more <= this.#options.maxSize
  }

  /** A new value is a use of the entry: how often it was used before still counts. False: it has to be put in anew. */
  #replace(slot: Slot<K, V>, draft: Draft<K, V>, keepUntil: number, size: number, evicted: Id[] | null): boolean {
    if (isTimed(this.#policy)) return false
    this.#policy.hit(slot.node)
    if (evicted !== null && !this.#makeRoom(size - slot.size, evicted, slot)) return false
    const tags = this.#tags.attach(draft.tags)
    this.#tags.detach(slot.tags)
    slot.tags = tags
    slot.draft = draft
    slot.answer = null
    slot.keepUntil = keepUntil
    slot.plainUntil = plainUntil(draft, this.#options.windows)
    this.#size += size - slot.size
    slot.size = size
    return true
  }

  #insert(
    id: Id,
    draft: Draft<K, V>,
    keepUntil: number,
    size: number,
    old: Slot<K, V> | undefined,
    evicted: Id[] | null,
  ): void {
    if (old !== undefined) this.#remove(old)
    if (evicted !== null) this.#makeRoom(size, evicted)
    const node = this.#policy.insert(textOf(id), keepUntil)
    const tags = this.#tags.attach(draft.tags)
    this.#slots.set(id, {
      id,
      draft,
      plainUntil: plainUntil(draft, this.#options.windows),
      keepUntil,
      tags,
      size,
      node,
      answer: null,
    })
    this.#size += size
  }

  #makeRoom(more: number, evicted: Id[], stays?: Slot<K, V>): boolean {
    while (!this.#hasRoom(more)) if (!this.#evict(evicted, stays)) return false
    return true
  }

  /** False: there is nothing to evict, but perhaps the one that is to stay. */
  #evict(evicted: Id[], stays?: Slot<K, V>): boolean {
    const node = this.#policy.victim(this.#options.now())
    const slot = node && this.#slots.get(idOf(node.key))
    if (slot === undefined || slot === stays) return false
    this.#remove(slot)
    evicted.push(slot.id)
    return true
  }

  #tell(evicted: readonly Id[]): void {
    const reason = this.#options.sizeOf === null ? 'count' : 'size'
    for (const id of evicted) this.#options.onEvict(textOf(id), reason)
  }

  #remove(slot: Slot<K, V>): void {
    this.#slots.delete(slot.id)
    this.#policy.remove(slot.node)
    this.#tags.detach(slot.tags)
    this.#size -= slot.size
    // Sizes need not be whole numbers: sums of fractions drift, an empty table does not.
    if (this.#slots.size === 0) this.#size = 0
  }

  drop(ids: readonly Id[]): number {
    let count = 0
    for (const id of ids) {
      const slot = this.#slots.get(id)
      if (slot === undefined) continue
      this.#remove(slot)
      count += 1
    }
    return count
  }

  async deleteExpired(): Promise<number> {
    const now = this.#options.now()
    let count = 0
    let seen = 0
    for (const slot of this.#slots.values()) {
      if (slot.keepUntil <= now || afterTags(slot.draft, slot.tags) === undefined) {
        this.#remove(slot)
        count += 1
      }
      // Nothing is held over this: the slot may be gone afterwards.
      if (++seen % SLICE === 0) await turn()
    }
    return count
  }

  invalidateTags(tags: readonly string[], mode: InvalidateMode, at: number): void {
    for (const tag of tags) this.#tags.invalidate(tag, mode, at)
  }

  async *entries(): AsyncGenerator<Draft<K, V>> {
    for (const slot of Array.from(this.#slots.values())) {
      const draft = this.#slots.get(slot.id) === slot ? afterTags(slot.draft, slot.tags) : undefined
      if (draft !== undefined) yield draft
    }
  }

  clear(): void {
    this.#slots.clear()
    this.#tags.clear()
    this.#policy.clear()
    this.#size = 0
  }

  close(): MaybePromise<void> {
    this.clear()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

/** What tags leave of an entry: itself, itself stale, or nothing. */
function afterTags<K, V>(draft: Draft<K, V>, tags: readonly TagState[] | null): Draft<K, V> | undefined {
  if (tags === null) return draft
  let { freshUntil } = draft
  for (const { goneBefore, staleBefore } of tags) {
    if (goneBefore > draft.askedAt) return undefined
    // Whole milliseconds: the instant of an invalidation may be a fraction ahead of the clock (time.ts).
    if (staleBefore > draft.askedAt) freshUntil = Math.min(freshUntil, Math.floor(staleBefore))
  }
  return freshUntil === draft.freshUntil ? draft : { ...draft, freshUntil }
}

function isTimed(policy: TimedPolicy): boolean {
  return policy instanceof SoonestFirst || policy instanceof TimeAwareLru
}

function policyFor({ eviction, random }: Pick<TableOptions<never, never>, 'eviction' | 'random'>): TimedPolicy {
  if (eviction === 'ttl') return new SoonestFirst()
  if (eviction === 'tlru') return new TimeAwareLru()
  return makePolicy(eviction, random)
}
