/**
 * How long an index of variants lives: as long as any of its variants may be of use.
 *
 * Rule 1: an index expires with the last of its variants, so that what deletes the expired takes it along. Its end only ever moves on: who
 *   prolongs a variant prolongs the index.
 * Rule 2: the rows of deleted variants are taken out of the version that named them: one that is added meanwhile is not lost.
 * Rule 3: an index that nothing is left in is marked as long expired, and deleted as such: not if a variant came meanwhile.
 * Rule 4: an index is no older than what it names: it has no time of creation (NEVER), and is never deleted for its age.
 */
import type { VariantIndex } from '../policy/decision.ts'
import { primaryOfVariant } from './key.ts'
import { chain, isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { NEVER, type EntryChange, type MaybePromise, type StoredEntry } from './ports.ts'
import { IN_BACKGROUND, type StoreGuard } from './store-guard.ts'

export type Lifetime = Pick<EntryChange, 'expiresAt' | 'keepUntil'>

/** When an index with nothing in it expired (ms): nothing else is that old. */
export const EMPTIED = 1

const NOTHING_LEFT: Lifetime = { expiresAt: EMPTIED, keepUntil: EMPTIED }
const ATTEMPTS = 5

/** Until both have ended. */
export function longer(a: Lifetime, b: Lifetime): Lifetime {
  return { expiresAt: Math.max(a.expiresAt, b.expiresAt), keepUntil: Math.max(a.keepUntil, b.keepUntil) }
}

/** An index of variants as it was read. */
type IndexEntry = StoredEntry & { readonly meta: VariantIndex }

function isIndex(entry: StoredEntry | undefined): entry is IndexEntry {
  return entry?.meta.kind === 'variants'
}

/** What becomes of an index; undefined: there is none. Null: it stays as it is. */
type Change = (index: IndexEntry | undefined) => EntryChange | null

/**
 * Changes an index, or makes one: from what was read, and anew from what is there by then where another was faster. False: nothing was to be
 * changed, or others were faster each time.
 */
export function changeIndex(
  guard: StoreGuard,
  key: string,
  read: StoredEntry | undefined,
  change: Change,
  attempts: number = ATTEMPTS,
): MaybePromise<boolean> {
  const index = isIndex(read) ? read : undefined
  const changed = change(index)
  if (changed === null) return false
  const written =
    index === undefined
      ? guard.write({ key, createdAt: NEVER, ...changed }, new Uint8Array(), IN_BACKGROUND)
      : guard.update(key, changed, index.version)
  return chain(written, (done) => {
    if (done || attempts === 1) return done
    return chain(guard.readAnew(key), (again) => changeIndex(guard, key, again, change, attempts - 1))
  })
}

/** Has an index live as long as a variant of it that was renewed; anything else is left as it is. */
export function prolong(guard: StoreGuard, index: StoredEntry | undefined, life: Lifetime): MaybePromise<unknown> {
  if (!isIndex(index)) return
  return changeIndex(guard, index.key, index, (now) => {
    if (now === undefined || (now.expiresAt >= life.expiresAt && now.keepUntil >= life.keepUntil)) return null
    return { meta: now.meta, ...longer(now, life) }
  })
}

/** Takes deleted variants out of their indexes; true: some were left empty, for upkeep.ts. */
export async function forgetVariants(guard: StoreGuard, keys: readonly string[]): Promise<boolean> {
  const gone = new Set(keys)
  const primaries = new Set<string>()
  for (const key of keys) {
    const primary = primaryOfVariant(key)
    if (primary !== null && !gone.has(primary)) primaries.add(primary)
  }
  let left = false
  for (const primary of primaries) if (await forgetIn(guard, primary, gone)) left = true
  return left
}

/** At once where the store answers at once: then nobody has had a turn since an index was left empty, and it goes. */
function forgetIn(guard: StoreGuard, primary: string, gone: ReadonlySet<string>): MaybePromise<boolean> {
  let isEmpty = false
  const change: Change = (index) => {
    const variants = index?.meta.variants.filter((variant) => !gone.has(variant.key)) ?? []
    isEmpty = variants.length === 0
    if (index === undefined || variants.length === index.meta.variants.length) return null
    const meta = trust<VariantIndex>({ kind: 'variants', key: primary, variants })
    return { meta, ...(isEmpty ? NOTHING_LEFT : longer(index, index)) }
  }
  const changed = chain(guard.readAnew(primary), (read) => changeIndex(guard, primary, read, change))
  if (isPromise(changed)) return changed.then((done) => done && isEmpty)
  if (!changed || !isEmpty || guard.store.limits.persistent) return changed && isEmpty
  void guard.delete([primary])
  return false
}
