/**
 * Entries whose No-Vary-Search lets them answer other queries than their own.
 *
 * An index under the URL without its query names them, each with its query and its rule. Whether there is one to read is known
 * of every origin: learnt by storing, and, where others write to the store, by one read a minute.
 */
import { getHeader } from '../http/headers.ts'
import { parseNoVarySearch, sameSearch } from '../http/no-vary-search.ts'
import type { ResponseMeta, TagMark, Variant } from '../policy/decision.ts'
import type { Lifetime } from './indexes.ts'
import { trust } from './meta.ts'
import { NEVER, type MaybePromise } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'
import { atMost } from './timer.ts'

/** Entries that it names are renewed without it. */
const FOREVER = { expiresAt: NEVER, keepUntil: NEVER }

const ASK_AGAIN = 60_000
const MAX_ORIGINS = 1000

interface Known {
  readonly indexed: boolean
  readonly until: number
}

/** Who keeps the indexes: the keeper (keeper.ts). */
interface Indexer {
  addVariant(primary: string, variant: Variant, life: Lifetime): Promise<void>
}

/** The parts of a default key: its origin, the key of its index and its query; null where a keyFn made another. */
interface SearchKey {
  readonly origin: string
  readonly index: string
  readonly query: string
}

export class Searches {
  readonly #guard: StoreGuard
  readonly #readTimeout: number
  readonly #origins = new Map<string, Known>()
  /** What is being made known, by index. */
  readonly #adding = new Map<string, Promise<void>>()

  constructor(guard: StoreGuard, readTimeout: number) {
    this.#guard = guard
    this.#readTimeout = readTimeout
  }

  /** The key of an entry that may answer in place of one under `key`; null: none. */
  find(key: string): MaybePromise<string | null> {
    const none = this.#origins.size === 0 && this.#adding.size === 0 && !this.#guard.store.limits.persistent
    return none ? null : this.all(key).then(([first]) => first ?? null)
  }

  /** The keys of all such entries: what invalidates the URL invalidates them, too (RFC 9111 section 4.4). */
  async all(key: string): Promise<string[]> {
    const parts = takeApart(key)
    const adding = parts === null ? undefined : this.#adding.get(parts.index)
    // Who has read a body to its end may count on its being known.
    if (adding !== undefined) await atMost(this.#readTimeout, adding)
    if (parts === null || !(await this.#isIndexed(parts.origin))) return []
    const index = await this.#guard.read(parts.index)
    if (index?.meta.kind !== 'variants') return []
    return index.meta.variants.filter((row) => row.key !== key && answers(row, parts.query)).map((row) => row.key)
  }

  /** Makes an entry known that was stored under its primary key. */
  async add(keeper: Indexer, primary: string, meta: ResponseMeta): Promise<void> {
    const parts = takeApart(primary)
    const rule = searchRule(meta)
    if (parts === null || rule === null) return
    const added = this.#add(keeper, primary, meta, parts, rule)
    const settled = added.catch(() => undefined)
    this.#adding.set(parts.index, settled)
    try {
      await added
    } finally {
      if (this.#adding.get(parts.index) === settled) this.#adding.delete(parts.index)
    }
  }

  async #add(keeper: Indexer, primary: string, meta: ResponseMeta, parts: SearchKey, rule: string): Promise<void> {
    const now = meta.responseTime
    if (!this.#origins.get(parts.origin)?.indexed) {
      const mark = trust<TagMark>({ kind: 'mark', key: originKey(parts.origin), at: now, mode: 'stale' })
      const head = { key: mark.key, meta: mark, createdAt: now, expiresAt: NEVER, keepUntil: NEVER }
      await this.#guard.write(head, new Uint8Array())
      this.#learn(parts.origin, { indexed: true, until: NEVER })
    }
    const selecting = [
      ['search', parts.query],
      ['no-vary-search', rule],
    ] as const
    await keeper.addVariant(parts.index, { key: primary, selecting, date: now, etag: null }, FOREVER)
  }

  async #isIndexed(origin: string): Promise<boolean> {
    const known = this.#origins.get(origin)
    const now = this.#guard.clock.now()
    if (known !== undefined && now < known.until) return known.indexed
    // What is in a store that dies with the process is what this process put there.
    if (!this.#guard.store.limits.persistent) return false
    const mark = await this.#guard.read(originKey(origin))
    const indexed = mark?.meta.kind === 'mark'
    this.#learn(origin, { indexed, until: indexed ? NEVER : now + ASK_AGAIN })
    return indexed
  }

  #learn(origin: string, known: Known): void {
    if (this.#origins.size >= MAX_ORIGINS) this.#origins.clear()
    this.#origins.set(origin, known)
  }
}

/** The field of a response that has a rule; null: it has none. */
export function searchRule(meta: Pick<ResponseMeta, 'headers'>): string | null {
  const value = getHeader(meta.headers, 'no-vary-search')
  return value !== null && parseNoVarySearch(value) !== null ? value : null
}

function answers(row: Variant, query: string): boolean {
  const [search, rule] = row.selecting
  const variance = parseNoVarySearch(rule?.[1] ?? null)
  return variance !== null && sameSearch(search?.[1] ?? '', query, variance)
}

const KEY = /^[A-Z]+ (https?:\/\/[^/?#\n]+)([^?#\n]*)(?:\?([^#\n]*))?((?:\n[\s\S]*)?)$/

function takeApart(key: string): SearchKey | null {
  const match = KEY.exec(key)
  if (match === null) return null
  const [, origin = '', path = '', query = '', rest = ''] = match
  const method = key.slice(0, key.indexOf(' '))
  return { origin, index: `search\n${method} ${origin}${path}${rest}`, query }
}

/** The key of the mark that an origin has such entries. */
function originKey(origin: string): string {
  return `search\n${origin}`
}

/** Whether it is a key of this file's: as long as there are entries that answer other queries, they are found by what is there. */
export function isSearchKey(key: string): boolean {
  return key.startsWith('search\n')
}
