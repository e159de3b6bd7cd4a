/**
 * Finding what is stored for a request: the entry itself, the variant of it, the parts of it (RFC 9111 sections 4, 4.1, 3.3).
 */
import { answer } from '../policy/answer.ts'
import { freshUntil } from '../policy/freshness.ts'
import { matches, selectVariant } from '../policy/select.ts'
import type { ResponseMeta, Variant, VariantIndex } from '../policy/decision.ts'
import type { Exchange } from './exchange.ts'
import { headKey } from './key.ts'
import { trust } from './meta.ts'
import { chain } from './maybe.ts'
import type { MaybePromise, StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'
import { selectingView } from './selecting.ts'
import type { StoreGuard } from './store-guard.ts'
import type { Tags } from './tags.ts'

export interface Found {
  /** The entry selected for the request; null: none. */
  readonly entry: ResponseEntry | null
  /** What is under the primary key itself: the entry, an index of variants, or nothing. */
  readonly primary: StoredEntry | undefined
  /** The variants that were not selected. */
  readonly others: readonly Variant[]
  readonly invalidated: boolean
}

const NO_VARIANTS: readonly Variant[] = Object.freeze([])

export const NOTHING: Found = Object.freeze({
  entry: null,
  primary: undefined,
  others: NO_VARIANTS,
  invalidated: false,
})

/** The keys of entries, and those of indexes of variants. */
export interface KeysUnder {
  readonly entries: readonly string[]
  readonly indexes: readonly string[]
}

interface Selected {
  readonly entry: ResponseEntry | null
  readonly others: readonly Variant[]
}

const NONE: Selected = Object.freeze({ entry: null, others: NO_VARIANTS })

export class Lookup {
  readonly #guard: StoreGuard
  readonly #tags: Tags

  constructor(guard: StoreGuard, tags: Tags) {
    this.#guard = guard
    this.#tags = tags
  }

  /** `primary` is what was read under the primary key: exactly one read a plain lookup (row 197). */
  find(x: Exchange, key: string, primary: StoredEntry | undefined): MaybePromise<Found> {
    return chain(this.#select(x, primary), ({ entry, others }) =>
      chain(forMethod(x, entry) ?? this.#secondary(x, key), (found) => {
        if (found === null || found.meta.tags.length === 0) return { entry: found, primary, others, invalidated: false }
        return this.#marked(found, primary, others)
      }),
    )
  }

  async #marked(entry: ResponseEntry, primary: StoredEntry | undefined, others: readonly Variant[]): Promise<Found> {
    const mark = await this.#tags.markFor(entry.meta.tags, entry.meta.requestTime)
    if (mark === null) return { entry, primary, others, invalidated: false }
    if (mark.mode === 'delete') return { entry: null, primary, others, invalidated: false }
    if (mark.mode === 'revalidate') return { entry, primary, others, invalidated: true }
    return { entry: endedAt(entry, mark.at), primary, others, invalidated: false }
  }

  #select(x: Exchange, primary: StoredEntry | undefined): MaybePromise<Selected> {
    if (primary?.meta.kind === 'response') return { entry: primary as ResponseEntry, others: NO_VARIANTS }
    // A mark, a function's value, what a wrapper wrote: nothing that could answer a request.
    if (primary?.meta.kind !== 'variants') return NONE
    return this.#variant(x, primary.meta)
  }

  async #variant(x: Exchange, index: VariantIndex): Promise<Selected> {
    const chosen = selectVariant(
      index,
      await selectingView(x.request, namesOf(index), x.effective.key.ignoredParams),
      x.effective.policy,
    )
    if (chosen === null) return { entry: null, others: index.variants }
    const entry = await this.#guard.read(chosen.key)
    const others = index.variants.filter((variant) => variant !== chosen)
    return { entry: entry?.meta.kind === 'response' ? (entry as ResponseEntry) : null, others }
  }

  /** A stored HEAD for a HEAD. */
  #secondary(x: Exchange, key: string): MaybePromise<ResponseEntry | null> {
    return x.request.method === 'HEAD' ? this.#readSecond(x, headKey(key)) : null
  }

  async #readSecond(x: Exchange, second: string): Promise<ResponseEntry | null> {
    const entry = await this.#guard.read(second)
    if (entry?.meta.kind !== 'response') return null
    return (await isSelected(x, entry.meta)) ? (entry as ResponseEntry) : null
  }

  /** The entry a request would be answered from, fresh or not. */
  async stored(x: Exchange): Promise<ResponseEntry | undefined> {
    if (x.key === null) return undefined
    const { entry } = await this.find(x, x.key, await this.#guard.read(x.key))
    // Parts that do not hold what is asked for answer nothing.
    if (entry === null || entry.meta.parts === null) return entry ?? undefined
    return answer(x.request, entry.meta, entry.body.size).kind === 'whole' ? undefined : entry
  }

  /** Every key under which something of this primary key may be stored. */
  async keysUnder(key: string): Promise<KeysUnder> {
    const primary = await this.#guard.read(key)
    const head = headKey(key)
    if (primary?.meta.kind !== 'variants') return { entries: [key, head], indexes: [] }
    return {
      entries: [...new Set([head, ...primary.meta.variants.map((variant) => variant.key)])],
      indexes: [key],
    }
  }
}

/** Parts of a GET say nothing to a HEAD: neither how it would be answered, nor whether it changed. */
function forMethod({ request }: Exchange, entry: ResponseEntry | null): ResponseEntry | null {
  return entry !== null && entry.meta.parts !== null && request.method === 'HEAD' ? null : entry
}

/** The entry as one whose freshness ended at an instant: what may be done with stale ones may be done with it (row 242). */
function endedAt(entry: ResponseEntry, at: number): ResponseEntry {
  const { meta } = entry
  if (freshUntil(meta) <= at) return entry
  const lifetime = Math.max(0, meta.terms.initialAge + (at - meta.responseTime) / 1000)
  const ended = trust({ ...meta, terms: { ...meta.terms, lifetime } })
  return { ...entry, meta: ended, expiresAt: Math.min(entry.expiresAt, at) }
}

/** Whether a response was stored for the selecting headers of this request (RFC 9111 section 4.1). */
export function isSelected({ request, effective }: Exchange, { selecting }: ResponseMeta): MaybePromise<boolean> {
  if (selecting.length === 0) return true
  const names = selecting.map(([name]) => name)
  return chain(selectingView(request, names, effective.key.ignoredParams), (view) =>
    matches(selecting, view, effective.policy),
  )
}

function namesOf(index: VariantIndex): string[] {
  return [...new Set(index.variants.flatMap((variant) => variant.selecting.map(([name]) => name)))]
}
