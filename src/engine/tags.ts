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

export class Tags {
  readonly #guard: StoreGuard
  readonly #clock: Clock

  constructor(guard: StoreGuard, clock: Clock) {
    this.#guard = guard
    this.#clock = clock
  }

  async invalidate(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    const at = this.#clock.now()
    await Promise.all(
      tags.map((tag) => {
        const meta = trust<TagMark>({ kind: 'mark', key: tagKey(tag), at, mode })
        const head = { key: meta.key, meta, createdAt: at, expiresAt: NEVER, keepUntil: NEVER }
        return this.#guard.write(head, new Uint8Array())
      }),
    )
  }

  /** The strictest mark that applies to an entry of these tags stored at `storedAt`; null: none. */
  markFor(tags: readonly string[], storedAt: number): MaybePromise<TagMark['mode'] | null> {
    const marks = tags.map((tag) => this.#guard.read(tagKey(tag)))
    if (marks.some(isPromise)) return Promise.all(marks).then((read) => strictest(read, storedAt))
    return strictest(marks as (StoredEntry | undefined)[], storedAt)
  }
}

function strictest(marks: readonly (StoredEntry | undefined)[], storedAt: number): TagMark['mode'] | null {
  let mode: TagMark['mode'] | null = null
  for (const mark of marks) {
    if (mark?.meta.kind !== 'mark' || mark.meta.at < storedAt) continue
    if (mark.meta.mode === 'delete') return 'delete'
    mode = 'stale'
  }
  return mode
}
