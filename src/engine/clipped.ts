/**
 * An entry whose stored body is shorter than what its metadata speaks of is incomplete (RFC 9111 section 3.3): a long body that was cut on
 * its way was being written under the head of the whole, and its end is what is missing. Looked at once for all, where entries come in
 * (store-guard.ts).
 */
import type { Part, ResponseMeta } from '../policy/decision.ts'
import { lengthOf, lengthOfAll } from '../policy/partial.ts'
import { trust } from './meta.ts'
import type { StoredEntry } from './ports.ts'

/** The entry as one of parts, where less of it is there than its metadata speaks of; else as it is. */
export function clipped(entry: StoredEntry): StoredEntry {
  const { meta, body } = entry
  if (meta.kind !== 'response' || meta.total === null) return entry
  const parts = partsOf(meta, meta.total)
  if (body.size >= lengthOfAll(parts)) return entry
  return { ...entry, meta: trust<ResponseMeta>({ ...meta, parts: upTo(body.size, parts) }) }
}

function partsOf({ parts }: ResponseMeta, total: number): readonly Part[] {
  return parts ?? [{ first: 0, last: total - 1 }]
}

/** The parts that the first `size` bytes of a body are. */
function upTo(size: number, parts: readonly Part[]): Part[] {
  const there: Part[] = []
  let left = size
  for (const part of parts) {
    if (left <= 0) break
    there.push({ first: part.first, last: Math.min(part.last, part.first + left - 1) })
    left -= lengthOf(part)
  }
  return there
}
