/**
 * Invalidating by hand, by unsafe methods and at the word of other caches: what is stored goes, and what is under way is not stored (fences.ts).
 */
import type { TagMark } from '../policy/decision.ts'
import type { Fences } from './fences.ts'
import type { Counters } from './stats.ts'
import type { StoreGuard } from './store-guard.ts'
import { isUrlTag, originFence, tagKey, type Tags } from './tags.ts'

/** Keys that were deleted, and tags that were invalidated. */
export interface Invalidated {
  readonly keys: readonly string[]
  readonly tags: readonly string[]
  readonly mode: TagMark['mode']
}

/** What others are told: any part of it (mode: 'delete'), and patterns of URLs whose entries go: globs on host and path, or regular expressions. */
export interface Told extends Partial<Invalidated> {
  readonly urls?: readonly (string | { readonly source: string; readonly flags: string })[]
}

export class Invalidations {
  readonly #guard: StoreGuard
  readonly #fences: Fences
  readonly #tags: Tags
  readonly #counters: Counters
  /** Whether anything may carry the tag of its URL (keeper.ts). */
  readonly #sawParts: () => boolean
  /** Told of all that is invalidated here, so that other caches may be (clients/broadcast.ts). */
  tell: ((what: Told) => void) | null = null

  constructor(guard: StoreGuard, fences: Fences, tags: Tags, counters: Counters, sawParts: () => boolean) {
    this.#guard = guard
    this.#fences = fences
    this.#tags = tags
    this.#counters = counters
    this.#sawParts = sawParts
  }

  /** Deletes keys and fences what is under way for them; how many there were. */
  async keys(keys: readonly string[]): Promise<number> {
    this.fence(keys, [])
    return this.drop(keys)
  }

  /** Invalidates what carries a tag, and fences what is under way for it (tags.ts). */
  async tags(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    this.tell?.({ tags, mode })
    await this.#tags.invalidate(tags, mode)
  }

  /** Deletes keys that are fenced already; how many there were. */
  async drop(keys: readonly string[]): Promise<number> {
    const count = await this.#guard.delete(keys)
    this.#counters.invalidated += count
    return count
  }

  /** Fences what is under way for keys and tags: it is not stored. For a caller that is about to delete what is stored. */
  fence(keys: readonly string[], tags: readonly string[]): void {
    if (keys.length + tags.length === 0) return
    this.#fences.raise([...keys, ...tags.map(tagKey)])
    this.tell?.({ keys, tags })
  }

  /** Fences everything under way: for a caller that is about to empty the store. */
  fenceAll(): void {
    this.#fences.raiseAll()
  }

  /** Empties the store. */
  async all(empty: () => void | Promise<void>): Promise<void> {
    this.fenceAll()
    await this.#guard.emptied(empty)
  }

  /** Fences everything of an origin that is under way. */
  fenceOrigin(origin: string): void {
    this.#fences.raise([originFence(origin)])
  }

  /** Does what another cache has done. A store that outlives the process was changed by that one already. */
  async heard({ keys, tags, mode }: Invalidated): Promise<void> {
    this.#fences.raise([...keys, ...tags.map(tagKey)])
    if (this.#guard.store.limits.persistent) return
    await this.drop(keys)
    // No mark for each URL that is written to elsewhere, where no entry would ever look for it.
    const carried = this.#sawParts() ? tags : tags.filter((tag) => !isUrlTag(tag))
    if (carried.length > 0) await this.#tags.invalidate(carried, mode)
  }
}
