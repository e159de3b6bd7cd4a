/**
 * Invalidating by hand, by unsafe methods and at the word of other caches: what is stored goes, and what is under way is not stored (fences.ts).
 *
 * Rule 1: others are told once of each invalidation, before anything is deleted: what they have under way by then is older.
 * Rule 2: what is invalidated is counted (entries that were deleted, tags that were marked) and told as an event. The tags of URLs are our own
 *   affair: who deletes a URL, or writes to it, is told of that.
 */
import type { TagMark } from '../policy/decision.ts'
import type { Events } from './events.ts'
import type { Fences } from './fences.ts'
import type { KeysUnder } from './lookup.ts'
import type { Counters } from './stats.ts'
import type { StoreGuard } from './store-guard.ts'
import { isUrlTag, originFence, tagKey, type Tags } from './tags.ts'
import type { Upkeep } from './upkeep.ts'

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

/** What an unsafe request changed. */
interface Changed {
  readonly keys: readonly KeysUnder[]
  /** Tags to mark here, and those that other caches may have entries of. */
  readonly tags: readonly string[]
  readonly elsewhere: readonly string[]
}

/** Whose invalidations they are. */
interface Owner {
  readonly events: Events
  readonly counters: Counters
  readonly upkeep: Upkeep
}

export class Invalidations {
  readonly #owner: Owner
  readonly #guard: StoreGuard
  readonly #fences: Fences
  readonly #tags: Tags
  /** Whether anything may carry the tag of its URL (keeper.ts). */
  readonly #sawParts: () => boolean
  /** Told of all that is invalidated here, so that other caches may be (clients/broadcast.ts). */
  tell: ((what: Told) => void) | null = null

  constructor(owner: Owner, guard: StoreGuard, fences: Fences, tags: Tags, sawParts: () => boolean) {
    this.#owner = owner
    this.#guard = guard
    this.#fences = fences
    this.#tags = tags
    this.#sawParts = sawParts
  }

  /** Fences keys and tags, and tells others of them. For a caller that is about to delete what is stored. */
  announce(what: Told): void {
    this.fence(what.keys ?? [], what.tags ?? [])
    this.tell?.(what)
  }

  /** Invalidates what carries a tag, and fences what is under way for it (tags.ts). */
  async tags(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    if (tags.length === 0) return
    this.announce({ tags, mode })
    await this.mark(tags, mode)
  }

  /** Marks tags that others were told of. */
  async mark(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    await this.#mark(tags, mode)
    const { events } = this.#owner
    const named = tags.filter((tag) => !isUrlTag(tag))
    if (named.length > 0 && events.wants('invalidated'))
      events.emit({ type: 'invalidated', reason: 'tags', key: null, keys: [], tags: named, mode })
  }

  async #mark(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    await this.#tags.invalidate(tags, mode)
    for (const tag of tags) if (!isUrlTag(tag)) this.#owner.counters.invalidated += 1
  }

  /** Deletes entries that others were told of, and indexes of variants; how many entries there were. */
  async drop(entries: readonly string[], indexes: readonly string[] = []): Promise<number> {
    const count = await this.#drop(entries, indexes)
    const { events } = this.#owner
    if (count > 0 && events.wants('invalidated'))
      events.emit({ type: 'invalidated', reason: 'delete', key: null, keys: entries, tags: [], mode: 'delete' })
    return count
  }

  async #drop(entries: readonly string[], indexes: readonly string[]): Promise<number> {
    const { counters, upkeep } = this.#owner
    const count = await this.#guard.delete(entries)
    counters.invalidated += count
    await this.#guard.delete(indexes)
    await upkeep.forget([...indexes, ...entries])
    return count
  }

  /** What an unsafe request changed. It tells of that itself. */
  async changed({ keys, tags, elsewhere }: Changed): Promise<void> {
    const entries = keys.flatMap((under) => under.entries)
    const indexes = keys.flatMap((under) => under.indexes)
    this.announce({ keys: [...entries, ...indexes], tags: elsewhere, mode: 'revalidate' })
    await this.#drop(entries, indexes)
    if (tags.length > 0) await this.#mark(tags, 'revalidate')
  }

  /** Fences what is under way for keys and tags: it is not stored. */
  fence(keys: readonly string[], tags: readonly string[]): void {
    if (keys.length + tags.length > 0) this.#fences.raise([...keys, ...tags.map(tagKey)])
  }

  /** Fences everything under way: for a caller that is about to empty the store. */
  fenceAll(): void {
    this.#fences.raiseAll()
  }

  /** Empties the store. */
  async all(empty: () => void | Promise<void>): Promise<void> {
    this.tell?.({ urls: ['*'] })
    this.fenceAll()
    const { events } = this.#owner
    await this.#guard.emptied(empty)
    if (events.wants('invalidated'))
      events.emit({ type: 'invalidated', reason: 'clear', key: null, keys: [], tags: [], mode: 'delete' })
  }

  /** Fences everything of an origin that is under way. */
  fenceOrigin(origin: string): void {
    this.#fences.raise([originFence(origin)])
  }

  /** Does what another cache has done. A store that outlives the process was changed by that one already. */
  async heard({ keys, tags, mode }: Invalidated): Promise<void> {
    this.fence(keys, tags)
    if (this.#guard.store.limits.persistent) return
    await this.drop(keys)
    // No mark for each URL that is written to elsewhere, where no entry would ever look for it.
    const carried = this.#sawParts() ? tags : tags.filter((tag) => !isUrlTag(tag))
    if (carried.length > 0) await this.mark(carried, mode)
  }
}
