/**
 * Bodies that are cut on their way (RFC 9111 section 3.3): what may be kept of them, recorded as incomplete, and whether that is worth it.
 *
 * Rule 1: a beginning of which the rest cannot be asked for alone, by a strong validator and its position, is of no use, and not kept.
 * Rule 2: nothing that answers anybody gives way to it, nor a longer beginning of the same.
 */
import { getHeader } from '../http/headers.ts'
import type { Part, ResponseMeta } from '../policy/decision.ts'
import { strongValidator } from '../policy/lack.ts'
import { givesWayTo, isOutdatedBy, lengthOfAll, mayCombine } from '../policy/partial.ts'
import type { Exchange } from './exchange.ts'
import { entryHead, type Draft } from './keeper.ts'
import { trust } from './meta.ts'
import { contentLength } from './passing.ts'
import type { OriginResponse, StoredEntry } from './ports.ts'

/** What is known of a body, should it be cut. */
export interface Cuttable {
  /** Bytes it has whole. */
  readonly length: number
  /** Bytes from which on it is worth keeping. */
  readonly least: number
}

/** Null: nothing of it may be kept unless it is whole. */
export function cuttable(x: Exchange, response: OriginResponse, draft: Draft): Cuttable | null {
  const { resume, filter } = x.effective
  const length = contentLength(response)
  if (resume === null || filter !== null || x.once || x.request.method !== 'GET' || length === null) return null
  const { status, parts, total, headers, responseTime } = draft.head.meta
  // The length of a part is that of its body; where the whole ends must be known, too.
  if (parts === null ? status !== 200 : total === null) return null
  if (getHeader(headers, 'accept-ranges')?.trim().toLowerCase() === 'none') return null
  if (strongValidator(headers, responseTime) === null) return null
  return { length, least: resume }
}

/** Rule 2. `received`: how many bytes of it have arrived; `there`: what is under its key. */
export function mayTakeItsPlace(
  meta: ResponseMeta,
  received: number,
  there: StoredEntry | undefined,
  x: Exchange,
  now: number,
): boolean {
  if (there === undefined || there.meta.kind !== 'response') return there?.meta.kind !== 'variants'
  const stored = there.meta
  // A part joins the stored ones.
  if (meta.parts !== null) return stored.parts !== null || isOutdatedBy(stored, meta)
  if (stored.parts === null) return givesWayTo(meta, stored, now, x.effective.policy)
  return !mayCombine(stored, meta) || received > lengthOfAll(stored.parts)
}

/** The draft of an entry that holds these parts alone. */
export function incomplete(draft: Draft, parts: readonly Part[], total: number | null): Draft {
  return { ...draft, searches: false, head: entryHead(trust<ResponseMeta>({ ...draft.head.meta, parts, total })) }
}

/** The draft of a body that is written as it comes: should it be cut, its end is missed (clipped.ts). */
export function measured(draft: Draft, total: number): Draft {
  return { ...draft, head: entryHead(trust<ResponseMeta>({ ...draft.head.meta, total })) }
}
