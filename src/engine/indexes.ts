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
import { isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import type { EntryChange, MaybePromise, StoredEntry } from './ports.ts'
import type { StoreGuard } from './store-guard.ts'

export type Lifetime = Pick<EntryChange, 'expiresAt' | 'keepUntil'>

/** When an index with nothing in it expired (ms): nothing else is that old. */
export const EMPTIED = 1

const NOTHING_LEFT: Lifetime = { expiresAt: EMPTIED, keepUntil: EMPTIED }
const ATTEMPTS = 5

/** Until both have ended. */
export function longer(a: Lifetime, b: Lifetime): Lifetime {
  return { expiresAt: Math.max(a.expiresAt, b.expiresAt), keepUntil: Math.max(a.keepUntil, b.keepUntil) }
}

/** Has an index live as long as a variant of it that was renewed; anything else is left as it is. */
export function prolong(guard: StoreGuard, index: StoredEntry | undefined, life: Lifetime): MaybePromise<unknown> {
  if (index?.meta.kind !== 'variants') return
  if (index.expiresAt >= life.expiresAt && index.keepUntil >= life.keepUntil) return
  const { key, meta } = index
  const updated = guard.update(key, { meta, ...longer(index, life) }, index.version)
  if (!isPromise(updated) && updated) return
  return prolongAnew(guard, key, life, updated)
}

/** The index was changed since it was read. */
async function prolongAnew(
  guard: StoreGuard,
  key: string,
  life: Lifetime,
  updated: MaybePromise<boolean>,
): Promise<void> {
  let done = await updated
  for (let attempt = 1; !done && attempt < ATTEMPTS; attempt++) {
    const index = await guard.readAnew(key)
    if (index?.meta.kind !== 'variants') return
    done = await guard.update(key, { meta: index.meta, ...longer(index, life) }, index.version)
  }
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

async function forgetIn(guard: StoreGuard, primary: string, gone: ReadonlySet<string>): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const read = guard.readAnew(primary)
    const index = isPromise(read) ? await read : read
    if (index?.meta.kind !== 'variants') return false
    const variants = index.meta.variants.filter((variant) => !gone.has(variant.key))
    if (variants.length === index.meta.variants.length) return false
    const life = variants.length === 0 ? NOTHING_LEFT : index
    const meta = trust<VariantIndex>({ kind: 'variants', key: primary, variants })
    const change = { meta, expiresAt: life.expiresAt, keepUntil: life.keepUntil }
    const updated = guard.update(primary, change, index.version)
    if (!isPromise(updated) && updated && variants.length === 0 && !guard.store.limits.persistent) {
      // Nobody else has it, and nobody had a turn since.
      void guard.delete([primary])
      return false
    }
    if (isPromise(updated) ? await updated : updated) return variants.length === 0
  }
  return false
}
