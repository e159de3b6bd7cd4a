/**
 * Keeping what the origin said: metadata, keys, the index of variants, parts of a whole (RFC 9111 sections 3, 3.3, 3.4, 4.1).
 *
 * Rule 1: nothing is written of what an invalidation overtook (fences.ts, RELIABILITY 65).
 * Rule 2: an entry that varies lives under a key of its own; the primary key then holds the index of its variants.
 * Rule 3: the index names a variant only once its entry is written.
 */
import { getHeader } from '../http/headers.ts'
import type { ResponseHead } from '../http/message.ts'
import { originOf } from '../http/uri.ts'
import type { Outcome, ResponseMeta, Terms, Variant, VariantIndex } from '../policy/decision.ts'
import { dateOf, freshUntil } from '../policy/freshness.ts'
import { keepUntil } from '../policy/keep.ts'
import { selecting } from '../policy/select.ts'
import { sha256 } from './digest.ts'
import type { Effective, Exchange } from './exchange.ts'
import { changeIndex, longer, prolong, type Lifetime } from './indexes.ts'
import { headKey, variantKey, isUrlKey } from './key.ts'
import { chain, isPromise } from './maybe.ts'
import { trust } from './meta.ts'
import { NEVER, type EntryHead, type MaybePromise, type StoredEntry } from './ports.ts'
import type { ResponseEntry } from './reply.ts'
import { selectingView } from './selecting.ts'
import { searchRule, type Searches } from './searches.ts'
import type { StoreGuard } from './store-guard.ts'
import { NO_TAGS, tagsOf, urlTag } from './tags.ts'

/** Variants under one primary key; the oldest goes first (RELIABILITY 115). */
const MAX_VARIANTS = 32

type Store = Extract<Outcome, { kind: 'store' }>

/** An answer of the origin with the instants of its exchange (ms). */
export interface Received {
  readonly response: ResponseHead
  readonly decoded: boolean
  readonly requestTime: number
  readonly responseTime: number
  /** The epoch of fences.ts when the origin was asked. */
  readonly epoch: number
  /** Its place among all exchanges (fences.ts, rule 4). */
  readonly order: number
}

/** What will be written, and where. */
export interface Draft {
  readonly primary: string
  readonly head: EntryHead & { readonly meta: ResponseMeta }
  readonly varies: boolean
  /** It may answer other queries, too (searches.ts). */
  readonly searches: boolean
  /** The epoch of fences.ts when the origin was asked. */
  readonly epoch: number
  readonly order: number
}

/** The key of an entry, and what selected it. */
interface Place {
  readonly key: string
  readonly chosen: ResponseMeta['selecting']
}

const NOT_CHOSEN: ResponseMeta['selecting'] = Object.freeze([])

export function entryHead(meta: ResponseMeta): EntryHead & { readonly meta: ResponseMeta } {
  const expiresAt = Math.min(freshUntil(meta), NEVER)
  return { key: meta.key, meta, createdAt: meta.responseTime, expiresAt, keepUntil: Math.min(keepUntil(meta), NEVER) }
}

/** Metadata with another head and other terms, as after a 304 (section 4.3.4), and with the tags that the new head names. */
export function renewed(
  meta: ResponseMeta,
  headers: ResponseMeta['headers'],
  terms: Terms,
  received: Received,
  effective: Effective,
): ResponseMeta {
  const { requestTime, responseTime } = received
  const named = tagsOf({ ...effective, tags: NO_TAGS }, { ...received.response, headers }, originOf(meta.url))
  const tags = named.every((tag) => meta.tags.includes(tag)) ? meta.tags : [...new Set([...meta.tags, ...named])]
  return trust<ResponseMeta>({ ...meta, headers, terms, requestTime, responseTime, tags })
}

export class Keeper {
  readonly #guard: StoreGuard
  readonly #searches: Searches

  constructor(guard: StoreGuard, searches: Searches) {
    this.#guard = guard
    this.#searches = searches
  }

  /** Drafts the entry for an outcome: its key by its selecting headers, its metadata redacted. */
  draft(x: Exchange, primary: string, outcome: Store, received: Received): MaybePromise<Draft> {
    return outcome.vary.length === 0
      ? this.#draft(x, primary, outcome, received, { key: primary, chosen: NOT_CHOSEN })
      : this.#variantDraft(x, primary, outcome, received)
  }

  async #variantDraft(x: Exchange, primary: string, outcome: Store, received: Received): Promise<Draft> {
    const { request, effective } = x
    const view = await selectingView(request, outcome.vary, effective.key.ignoredParams)
    const chosen = selecting(outcome.vary, view, effective.policy)
    const key = variantKey(primary, await sha256(JSON.stringify(chosen)))
    return this.#draft(x, primary, outcome, received, { key, chosen })
  }

  #draft(x: Exchange, primary: string, outcome: Store, received: Received, { key, chosen }: Place): Draft {
    const { request } = x
    const isHead = request.method === 'HEAD'
    const meta = trust<ResponseMeta>({
      kind: 'response',
      key: isHead ? headKey(primary) : key,
      method: request.method,
      url: x.redactUrl(request.url),
      selecting: chosen,
      status: received.response.status,
      statusText: received.response.statusText,
      headers: outcome.headers,
      requestTime: received.requestTime,
      responseTime: received.responseTime,
      terms: outcome.terms,
      tags: this.#tags(x, primary, received.response),
      parts: outcome.part === null ? null : [{ first: outcome.part.first, last: outcome.part.last }],
      total: outcome.part?.total ?? null,
      decoded: received.decoded,
    })
    return {
      primary,
      head: entryHead(meta),
      varies: outcome.vary.length > 0 && !isHead,
      searches: !isHead && outcome.part === null && searchRule(meta) !== null,
      epoch: received.epoch,
      order: received.order,
    }
  }

  #tags(x: Exchange, primary: string, response: ResponseHead): readonly string[] {
    const tags = tagsOf(x.effective, response, originOf(x.request.url))
    if (isUrlKey(primary)) return tags.length === 0 ? NO_TAGS : tags
    return [...tags, urlTag(x.redactUrl(x.request.url))]
  }

  /** Other metadata for a stored entry, and as long a life for the index of its variants; false: it is gone, or was replaced. */
  renew(entry: ResponseEntry, meta: ResponseMeta, primary: StoredEntry | undefined): MaybePromise<boolean> {
    if (meta.terms.noStore) return this.#forget(entry)
    const life = entryHead(meta)
    const change = { meta, expiresAt: life.expiresAt, keepUntil: life.keepUntil }
    const updated = this.#guard.update(entry.key, change, entry.version)
    const prolonged = prolong(this.#guard, primary, life)
    return isPromise(prolonged) ? prolonged.then(() => updated) : updated
  }

  /** Section 5.2.2.5: nothing of what said no-store is stored. A body that is yet to be read stays where it is, for no other request. */
  #forget({ key, meta, version, body, ...life }: ResponseEntry): MaybePromise<boolean> {
    if (body.bytes !== null) return chain(this.#guard.delete([key]), () => false)
    const unusable = trust<ResponseMeta>({ ...meta, terms: { ...meta.terms, noCache: true } })
    return this.#guard.update(key, { meta: unusable, expiresAt: life.expiresAt, keepUntil: life.keepUntil }, version)
  }

  /** Makes a written variant known under the primary key, or cleans up the variants a plain entry replaced. */
  async index(draft: Draft): Promise<void> {
    if (draft.searches) await this.#searches.add(this, draft.primary, draft.head.meta)
    if (!draft.varies) return
    const { meta } = draft.head
    const variant: Variant = {
      key: meta.key,
      selecting: meta.selecting,
      date: dateOf(meta.headers, meta.responseTime),
      // What is incomplete is no answer that a 304 could name.
      etag: meta.parts === null ? getHeader(meta.headers, 'etag') : null,
    }
    await this.addVariant(draft.primary, variant, draft.head)
  }

  /** Adds a row to the index under `primary`, in place of the one for the same selecting headers; the entry it names lives for `life`. */
  async addVariant(primary: string, variant: Variant, life: Lifetime): Promise<void> {
    const same = JSON.stringify(variant.selecting)
    let gone: string[] = []
    const added = await changeIndex(this.#guard, primary, await this.#guard.read(primary), (index) => {
      const others = index?.meta.variants.filter((row) => JSON.stringify(row.selecting) !== same) ?? []
      const all = [variant, ...others]
      const kept = all.slice(0, MAX_VARIANTS)
      const surplus = all.slice(MAX_VARIANTS).map(({ key }) => key)
      gone = surplus.filter((key) => !kept.some((row) => row.key === key))
      const meta = trust<VariantIndex>({ kind: 'variants', key: primary, variants: kept })
      return { meta, ...longer(index ?? life, life) }
    })
    if (added) await this.#guard.delete(gone)
  }

  /** The request's selecting headers lead to a variant that is stored already: a 304 named it (section 4.3.4). */
  async alias(primary: string, variant: Variant, x: Exchange, life: Lifetime): Promise<void> {
    const names = variant.selecting.map(([name]) => name)
    const view = await selectingView(x.request, names, x.effective.key.ignoredParams)
    await this.addVariant(primary, { ...variant, selecting: selecting(names, view, x.effective.policy) }, life)
  }

  /** The keys of variants that a plain entry under their primary key makes unreachable. */
  orphans(primary: StoredEntry | undefined, draft: Draft): string[] {
    if (draft.varies || draft.head.key !== draft.primary || primary?.meta.kind !== 'variants') return []
    return primary.meta.variants.map((variant) => variant.key)
  }
}
