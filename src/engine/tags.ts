/**
 * Tags (feature I2, RFC 9875 cache groups): invalidating one is writing one mark, however many entries carry it.
 *
 * Rule 1: an entry that carries a tag is checked against the tag's mark when it is looked up; untagged entries never are.
 * Rule 2: a mark outlives the entries it is about: it never expires.
 */
import { cacheGroups } from '../policy/groups.ts'
import { getHeader } from '../http/headers.ts'
import type { ResponseHead } from '../http/message.ts'
import type { TagMark } from '../policy/decision.ts'
import type { Effective } from './exchange.ts'
import { isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { NEVER, type Clock, type MaybePromise, type StoredEntry } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'

export const tagKey = (tag: string): string => `\ntag ${tag}`

/** The tag of a cache group: groups are scoped to an origin (RFC 9875 section 2). */
export const groupTag = (origin: string, group: string): string => `group ${origin} ${group}`

/** The tag all entries of a URL carry whose key has more parts than the URL: what invalidates the URL reaches them by it. */
export const urlTag = (url: string): string => `url ${url}`

/** The tags of a response: the user's, those in its tag header fields (members separated by spaces or commas), and its groups. */
export function tagsOf(effective: Effective, response: ResponseHead, origin: string): readonly string[] {
  const tags = new Set(effective.tags)
  for (const name of effective.tagHeaders) {
    for (const tag of (getHeader(response.headers, name) ?? '').split(/[\s,]+/)) if (tag !== '') tags.add(tag)
  }
  for (const group of cacheGroups(response.headers)) tags.add(groupTag(origin, group))
  return tags.size === 0 ? NO_TAGS : [...tags]
}

export const NO_TAGS: readonly string[] = Object.freeze([])

/** Invalidated tags remembered for fills under way; when there are more, all fills under way count as invalidated. */
const MAX_REMEMBERED = 10_000

export class Tags {
  readonly #guard: StoreGuard
  readonly #clock: Clock
  #epoch = 0
  #forgotten = 0
  readonly #last = new Map<string, number>()

  constructor(guard: StoreGuard, clock: Clock) {
    this.#guard = guard
    this.#clock = clock
  }

  /** Grows with each invalidation: what was asked for before one is told from what was asked for after it. */
  get epoch(): number {
    return this.#epoch
  }

  /** Whether a tag was invalidated by this process since `epoch`: then what was fetched meanwhile must not be stored (RELIABILITY 65). */
  invalidatedSince(tags: readonly string[], epoch: number): boolean {
    return this.#epoch !== epoch && tags.some((tag) => (this.#last.get(tag) ?? this.#forgotten) > epoch)
  }

  #remember(tags: readonly string[]): void {
    this.#epoch += 1
    if (this.#last.size + tags.length > MAX_REMEMBERED) {
      this.#last.clear()
      this.#forgotten = this.#epoch
    }
    for (const tag of tags) this.#last.set(tag, this.#epoch)
  }

  async invalidate(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    this.#remember(tags)
    const at = this.#clock.now()
    await Promise.all(
      tags.map((tag) => {
        const meta = trust<TagMark>({ kind: 'mark', key: tagKey(tag), at, mode })
        const head = { key: meta.key, meta, createdAt: at, expiresAt: NEVER, keepUntil: NEVER }
        return this.#guard.write(head, new Uint8Array())
      }),
    )
  }

  /** The strictest mark that applies to an entry of these tags that was asked for at `askedAt`; null: none. */
  markFor(tags: readonly string[], askedAt: number): MaybePromise<TagMark['mode'] | null> {
    const marks = tags.map((tag) => this.#guard.read(tagKey(tag)))
    if (marks.some(isPromise)) return Promise.all(marks).then((read) => strictest(read, askedAt))
    return strictest(marks as (StoredEntry | undefined)[], askedAt)
  }
}

function strictest(marks: readonly (StoredEntry | undefined)[], askedAt: number): TagMark['mode'] | null {
  let mode: TagMark['mode'] | null = null
  for (const mark of marks) {
    if (mark?.meta.kind !== 'mark' || mark.meta.at <= askedAt) continue
    if (mark.meta.mode === 'delete') return 'delete'
    mode = 'stale'
  }
  return mode
}
