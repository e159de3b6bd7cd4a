/** Looking after what is stored, by hand: deleting what expired, and giving entries another lifetime; the indexes of variants keep up (indexes.ts). */
import { EMPTIED, forgetVariants, prolong } from './indexes.ts'
import { primaryOfVariant } from './key.ts'
import type { KeysUnder, Lookup } from './lookup.ts'
import type { Pending } from './pending.ts'
import { NEVER, type EntryChange, type ListedEntry } from './ports.ts'
import type { Searches } from './searches.ts'
import type { StoreGuard } from './store-guard.ts'

/** Milliseconds that a look at what is stored, or an invalidation, waits for writes. */
const PATIENCE = 250

export class Upkeep {
  readonly #guard: StoreGuard
  readonly #lookup: Lookup
  readonly #searches: Searches
  readonly #pending: Pending
  readonly #patience: number
  /** Some index was left with nothing in it. */
  #emptied = false

  /** @param readTimeout milliseconds a read may take: `landed` waits no longer */
  constructor(guard: StoreGuard, lookup: Lookup, searches: Searches, pending: Pending, readTimeout: number) {
    this.#guard = guard
    this.#lookup = lookup
    this.#searches = searches
    this.#pending = pending
    this.#patience = Math.min(readTimeout, PATIENCE)
  }

  /** Resolves when what was read to its end is stored, or cannot be soon: who has read a body may count on its being there. */
  landed(): Promise<void> {
    return this.#pending.settled(this.#patience)
  }

  /**
   * Every key under which something of a primary key may be stored (itself, its variants, its HEAD), and the same of each other query
   * whose entry answers in its place (searches.ts).
   */
  async keysUnder(key: string): Promise<KeysUnder> {
    const keys = [key, ...(await this.#searches.all(key))]
    const under = await Promise.all(keys.map((each) => this.#lookup.keysUnder(each)))
    return { entries: under.flatMap(({ entries }) => entries), indexes: under.flatMap(({ indexes }) => indexes) }
  }

  /** Deletes what had expired at an instant, and was created before another; how many entries there were, indexes not counted. */
  async deleteExpired(query: { readonly expiredAt: number; readonly createdBefore?: number }): Promise<number> {
    const deleted = await this.#guard.deleteWhere({ createdBefore: NEVER, ...query })
    if (query.createdBefore !== undefined || (deleted === 0 && !this.#emptied)) return deleted
    // Indexes have no time of creation: they are what is left of it.
    this.#emptied = false
    await this.#guard.deleteWhere(query)
    return deleted
  }

  /** Takes variants that were deleted out of their indexes. */
  async forget(keys: readonly string[]): Promise<void> {
    if (await forgetVariants(this.#guard, keys)) this.#emptied = true
  }

  /** Deletes the indexes that nothing is left in, if there are any. For who has gone through the whole store anyway. */
  async sweep(): Promise<void> {
    if (!this.#emptied) return
    this.#emptied = false
    await this.#guard.deleteWhere({ expiredAt: EMPTIED })
  }

  /** Changes the metadata of an entry; false: it is gone, or was replaced. */
  async renew({ key, version }: ListedEntry, change: EntryChange): Promise<boolean> {
    if (!(await this.#guard.update(key, change, version))) return false
    const primary = primaryOfVariant(key)
    if (primary !== null) await prolong(this.#guard, await this.#guard.readAnew(primary), change)
    return true
  }
}
