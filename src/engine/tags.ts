/**
 * Tags (feature I2, RFC 9875 cache groups): invalidating one is writing one mark, however many entries carry it.
 *
 * Rule 1: an entry that carries a tag is checked against the tag's mark when it is looked up; untagged entries never are.
 * Rule 2: a mark outlives the entries it is about: it never expires.
 */
import { cacheGroups } from '../policy/groups.ts'
import { getHeader } from '../http/headers.ts'
import { originOf } from '../http/uri.ts'
import type { ResponseHead } from '../http/message.ts'
import type { ResponseMeta, TagMark } from '../policy/decision.ts'
import type { Effective } from './exchange.ts'
import type { Fences } from './fences.ts'
import { chain, isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { NEVER, type Clock, type MaybePromise, type StoredEntry } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'

export const tagKey = (tag: string): string => `\ntag ${tag}`

/** The tag of a cache group: groups are scoped to an origin (RFC 9875 section 2). */
export const groupTag = (origin: string, group: string): string => `group ${origin} ${group}`

/** The tag all entries of a URL carry whose key has more parts than the URL: what invalidates the URL reaches them by it. */
export const urlTag = (url: string): string => `url ${url}`

export const isUrlTag = (tag: string): boolean => tag.startsWith('url ')

/** The tags of a response: the user's, those in its tag header fields (members separated by spaces or commas), and its groups. */
export function tagsOf(effective: Effective, response: ResponseHead, origin: string): readonly string[] {
  const groups = cacheGroups(response.headers)
  if (effective.tags.length + effective.tagHeaders.length + groups.length === 0) return NO_TAGS
  const tags = new Set(effective.tags)
  for (const name of effective.tagHeaders) {
    for (const tag of (getHeader(response.headers, name) ?? '').split(/[\s,]+/)) if (tag !== '') tags.add(tag)
  }
  for (const group of groups) tags.add(groupTag(origin, group))
  return tags.size === 0 ? NO_TAGS : [...tags]
}

/** The name by which everything of an origin that is under way is fenced. */
export const originFence = (url: string): string => `\norigin ${originOf(url)}`

/** The names by which an invalidation reaches an entry that is under way (fences.ts). */
function fenceNames(primary: string, { key, url, tags }: Pick<ResponseMeta, 'key' | 'url' | 'tags'>): string[] {
  return [primary, key, originFence(url), tagKey(urlTag(url)), ...tags.map(tagKey)]
}

/** RELIABILITY 65: whether an invalidation overtook what was asked for in this epoch and is, or is to be, stored as this. */
export function isOvertaken(
  fences: Fences,
  epoch: number,
  primary: string,
  meta: Pick<ResponseMeta, 'key' | 'url' | 'tags'>,
): boolean {
  return epoch !== fences.epoch && fences.overtook(epoch, fenceNames(primary, meta))
}

export const NO_TAGS: readonly string[] = Object.freeze([])

/** Marks remembered of a store that may evict them. */
const MAX_REMEMBERED = 10_000

export class Tags {
  readonly #guard: StoreGuard
  readonly #clock: Clock
  readonly #fences: Fences
  /** The marks of a store that dies with the process, which may evict them before their entries. */
  readonly #known = new Map<string, Mark>()

  constructor(guard: StoreGuard, clock: Clock, fences: Fences) {
    this.#guard = guard
    this.#clock = clock
    this.#fences = fences
  }

  #note(tags: readonly string[], mark: Mark): void {
    for (const tag of tags) {
      this.#known.delete(tag)
      this.#known.set(tag, mark)
    }
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_REMEMBERED) break
      this.#known.delete(oldest)
    }
  }

  async invalidate(tags: readonly string[], mode: TagMark['mode']): Promise<void> {
    this.#fences.raise(tags.map(tagKey))
    const at = this.#clock.now()
    if (!this.#guard.store.limits.persistent) this.#note(tags, { at, mode })
    await Promise.all(
      tags.map((tag) => {
        const meta = trust<TagMark>({ kind: 'mark', key: tagKey(tag), at, mode })
        const head = { key: meta.key, meta, createdAt: at, expiresAt: NEVER, keepUntil: NEVER }
        // B35: what could not be marked is remembered here.
        return chain(this.#guard.write(head, new Uint8Array()), (written) => {
          if (!written) this.#note([tag], { at, mode })
        })
      }),
    )
  }

  /** What this process knows of a tag, and what others may have left in a store that outlives it. */
  #marksOf(tag: string): MaybePromise<Found>[] {
    const known = this.#known.get(tag)
    if (known === undefined) return [this.#guard.readKnown(tagKey(tag))]
    return this.#guard.store.limits.persistent ? [known, this.#guard.readKnown(tagKey(tag))] : [known]
  }

  /** The strictest mark that applies to an entry of these tags that was asked for at `askedAt`; null: none. */
  markFor(tags: readonly string[], askedAt: number): MaybePromise<Mark | null> {
    const marks = tags.flatMap((tag) => this.#marksOf(tag))
    if (marks.some(isPromise)) return Promise.all(marks).then((read) => strictest(read.map(markOf), askedAt))
    return strictest((marks as Found[]).map(markOf), askedAt)
  }
}

/** When a tag was invalidated, and how. */
export type Mark = Pick<TagMark, 'at' | 'mode'>

/** Null: it could not be read. */
type Found = Mark | StoredEntry | undefined | null

/** Whether a tag was invalidated is not known: what carries it is revalidated. */
const UNKNOWN: Mark = { at: Infinity, mode: 'revalidate' }

function markOf(found: Found): Mark | null {
  if (found === null) return UNKNOWN
  if (found === undefined || 'at' in found) return found ?? null
  return found.meta.kind === 'mark' ? found.meta : null
}

const SEVERITY = { stale: 0, revalidate: 1, delete: 2 } as const

/** Of several, the severest; of equals, the earliest: an entry went stale when the first of its tags did. */
function strictest(marks: readonly (Mark | null)[], askedAt: number): Mark | null {
  let chosen: Mark | null = null
  for (const mark of marks) {
    // What was asked for in the very millisecond of an invalidation may be from before it.
    if (mark === null || mark.at < askedAt) continue
    const [more, equal] = chosen === null ? [true, false] : severer(mark, chosen)
    if (more || (equal && mark.at < (chosen?.at ?? 0))) chosen = mark
  }
  return chosen
}

function severer(a: Mark, b: Mark): [more: boolean, equal: boolean] {
  return [SEVERITY[a.mode] > SEVERITY[b.mode], a.mode === b.mode]
}
