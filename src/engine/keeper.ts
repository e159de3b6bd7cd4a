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
import type { Exchange } from './exchange.ts'
import { headKey, partKey, variantKey, isUrlKey } from './key.ts'
import { trust } from './meta.ts'
import { NEVER, type EntryHead, type StoredEntry } from './ports.ts'
import { selectingView } from './selecting.ts'
import { searchRule, type Searches } from './searches.ts'
import { IN_BACKGROUND, type StoreGuard } from './store-guard.ts'
import { NO_TAGS, tagsOf, urlTag } from './tags.ts'

/** Variants under one primary key; the oldest goes first (RELIABILITY 115). */
const MAX_VARIANTS = 32

const INDEX_ATTEMPTS = 5

type Store = Extract<Outcome, { kind: 'store' }>

/** An answer of the origin with the instants of its exchange (ms). */
export interface Received {
  readonly response: ResponseHead
  readonly decoded: boolean
  readonly requestTime: number
  readonly responseTime: number
  /** The epoch of fences.ts when the origin was asked. */
  readonly epoch: number
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
}

export function entryHead(meta: ResponseMeta): EntryHead & { readonly meta: ResponseMeta } {
  const expiresAt = Math.min(freshUntil(meta), NEVER)
  return { key: meta.key, meta, createdAt: meta.responseTime, expiresAt, keepUntil: Math.min(keepUntil(meta), NEVER) }
}

/** Metadata with another head and other terms, as after a 304 (section 4.3.4). */
export function renewed(
  meta: ResponseMeta,
  headers: ResponseMeta['headers'],
  terms: Terms,
  received: Received,
): ResponseMeta {
  const { requestTime, responseTime } = received
  return trust<ResponseMeta>({ ...meta, headers, terms, requestTime, responseTime })
}

export class Keeper {
  readonly #guard: StoreGuard
  readonly #searches: Searches

  constructor(guard: StoreGuard, searches: Searches) {
    this.#guard = guard
    this.#searches = searches
  }

  /** Drafts the entry for an outcome: its key by its selecting headers, its metadata redacted. */
  async draft(x: Exchange, primary: string, outcome: Store, received: Received): Promise<Draft> {
    const { request, effective } = x
    const varies = outcome.vary.length > 0
    const view = varies ? await selectingView(request, outcome.vary, effective.key.ignoredParams) : request
    const chosen = varies ? selecting(outcome.vary, view, effective.policy) : []
    const secondary = outcome.part !== null || request.method === 'HEAD'
    const key = secondary
      ? (outcome.part !== null ? partKey : headKey)(primary)
      : varies
        ? variantKey(primary, await sha256(JSON.stringify(chosen)))
        : primary
    const meta = trust<ResponseMeta>({
      kind: 'response',
      key,
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
      varies: varies && !secondary,
      searches: !secondary && searchRule(meta) !== null,
      epoch: received.epoch,
    }
  }

  #tags(x: Exchange, primary: string, response: ResponseHead): readonly string[] {
    const tags = tagsOf(x.effective, response, originOf(x.request.url))
    if (isUrlKey(primary)) return tags.length === 0 ? NO_TAGS : tags
    return [...tags, urlTag(x.redactUrl(x.request.url))]
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
      etag: getHeader(meta.headers, 'etag'),
    }
    await this.addVariant(draft.primary, variant, meta.responseTime)
  }

  /** Adds a row to the index under `primary`, in place of the one for the same selecting headers. */
  async addVariant(primary: string, variant: Variant, now: number): Promise<void> {
    for (let attempt = 0; attempt < INDEX_ATTEMPTS; attempt++) {
      const stored = await this.#guard.read(primary)
      const known = stored?.meta.kind === 'variants' ? stored.meta.variants : []
      const same = JSON.stringify(variant.selecting)
      const all = [variant, ...known.filter((row) => JSON.stringify(row.selecting) !== same)]
      const kept = all.slice(0, MAX_VARIANTS)
      if (await this.#writeIndex(primary, kept, stored, now)) {
        const gone = all.slice(MAX_VARIANTS).map((row) => row.key)
        await this.#guard.delete(gone.filter((key) => !kept.some((row) => row.key === key)))
        return
      }
    }
  }

  /** The request's selecting headers lead to a variant that is stored already: a 304 named it (section 4.3.4). */
  async alias(primary: string, variant: Variant, x: Exchange, now: number): Promise<void> {
    const names = variant.selecting.map(([name]) => name)
    const view = await selectingView(x.request, names, x.effective.key.ignoredParams)
    await this.addVariant(primary, { ...variant, selecting: selecting(names, view, x.effective.policy) }, now)
  }

  async #writeIndex(
    primary: string,
    variants: readonly Variant[],
    stored: StoredEntry | undefined,
    now: number,
  ): Promise<boolean> {
    const meta = trust<VariantIndex>({ kind: 'variants', key: primary, variants })
    const change = { meta, expiresAt: NEVER, keepUntil: NEVER }
    if (stored?.meta.kind === 'variants') return this.#guard.update(primary, change, stored.version)
    return this.#guard.write({ key: primary, createdAt: now, ...change }, new Uint8Array(), IN_BACKGROUND)
  }

  /** The keys of variants that a plain entry under their primary key makes unreachable. */
  orphans(primary: StoredEntry | undefined, draft: Draft): string[] {
    if (draft.varies || draft.head.key !== draft.primary || primary?.meta.kind !== 'variants') return []
    return primary.meta.variants.map((variant) => variant.key)
  }
}
