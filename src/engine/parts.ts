/**
 * Byte ranges put together (RFC 9111 section 3.4): a new part joins the stored ones when both share a strong validator,
 * and becomes a whole entry when nothing is missing.
 */
import type { HeaderList } from '../http/message.ts'
import type { Part, ResponseMeta } from '../policy/decision.ts'
import { lengthOf, lengthOfAll, mergeParts } from '../policy/partial.ts'
import { joined, type Piece } from './joined.ts'
import type { StoredBody } from './ports.ts'

export interface Combined {
  readonly parts: readonly Part[]
  readonly total: number | null
  readonly complete: boolean
  readonly size: number
  open(): ReadableStream<Uint8Array>
}

/** The stored parts and the new one together; where they overlap, the new bytes count. `fresh`: those of the new part. */
export function combine(
  stored: ResponseMeta,
  body: StoredBody,
  part: Part & { readonly total: number | null },
  fresh: Omit<Piece, 'length'>,
): Combined {
  const parts = mergeParts(stored.parts ?? [], part)
  const total = part.total ?? stored.total
  const [only] = parts
  return {
    parts,
    total,
    complete: parts.length === 1 && only !== undefined && total !== null && only.first === 0 && only.last === total - 1,
    size: lengthOfAll(parts),
    open: () => joined(layOut(stored.parts ?? [], body, part, { ...fresh, length: lengthOf(part) })),
  }
}

/** What is stored before the new part, the new part, and what is stored after it. */
function layOut(stored: readonly Part[], body: StoredBody, part: Part, fresh: Piece): Piece[] {
  const [before, after]: [Piece[], Piece[]] = [[], []]
  let offset = 0
  for (const held of stored) {
    const { first, last } = held
    const end = Math.min(last, part.first - 1)
    if (first <= end) before.push(stretch(body, offset, end - first + 1))
    const start = Math.max(first, part.last + 1)
    if (start <= last) after.push(stretch(body, offset + start - first, last - start + 1))
    offset += lengthOf(held)
  }
  return [...before, fresh, ...after]
}

function stretch(body: StoredBody, offset: number, length: number): Piece {
  return { length, open: () => body.open(offset, offset + length) }
}

/** The head of the whole entry that combined parts make: that of a 200 with its full length. */
export function wholeHeaders(headers: HeaderList, total: number): HeaderList {
  return [...unmeasured(headers), ['content-length', String(total)]]
}

/** Without what says how long another body is, and how it was sent. */
export function unmeasured(headers: HeaderList): HeaderList {
  return headers.filter(([name]) => !OF_ANOTHER.has(name))
}

const OF_ANOTHER: ReadonlySet<string> = new Set(['content-length', 'content-range', 'transfer-encoding'])
