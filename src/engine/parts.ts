/**
 * Byte ranges put together (RFC 9111 section 3.4): a new part joins the stored ones when both share a strong validator,
 * and becomes a whole entry when nothing is missing.
 */
import type { HeaderList } from '../http/message.ts'
import type { Part, ResponseMeta } from '../policy/decision.ts'
import { mergeParts } from '../policy/partial.ts'
import type { StoredBody } from './ports.ts'

/** A stretch of the combined body, and where its bytes are. */
interface Segment extends Part {
  readonly source: 'stored' | 'new'
  /** Where `first` is in that source. */
  readonly offset: number
}

export interface Combined {
  readonly parts: readonly Part[]
  readonly total: number | null
  readonly complete: boolean
  readonly size: number
  open(): ReadableStream<Uint8Array>
}

/** The stored parts and the new one together; where they overlap, the new bytes count. */
export function combine(
  stored: ResponseMeta,
  body: StoredBody,
  part: Part & { total: number | null },
  bytes: Uint8Array,
): Combined {
  const parts = mergeParts(stored.parts ?? [], part)
  const total = part.total ?? stored.total
  const segments = layOut(stored.parts ?? [], part)
  const [only] = parts
  return {
    parts,
    total,
    complete: parts.length === 1 && only !== undefined && total !== null && only.first === 0 && only.last === total - 1,
    size: parts.reduce((sum, { first, last }) => sum + last - first + 1, 0),
    open: () => openSegments(segments, body, bytes),
  }
}

function layOut(stored: readonly Part[], part: Part): Segment[] {
  const segments: Segment[] = [{ ...part, source: 'new', offset: 0 }]
  let offset = 0
  for (const { first, last } of stored) {
    const before = Math.min(last, part.first - 1)
    if (first <= before) segments.push({ first, last: before, source: 'stored', offset })
    const after = Math.max(first, part.last + 1)
    if (after <= last) segments.push({ first: after, last, source: 'stored', offset: offset + after - first })
    offset += last - first + 1
  }
  return segments.toSorted((a, b) => a.first - b.first)
}

function openSegments(segments: readonly Segment[], body: StoredBody, bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const segment = segments[at]
          if (segment === undefined) return controller.close()
          const length = segment.last - segment.first + 1
          if (segment.source === 'new') {
            at += 1
            return controller.enqueue(bytes.subarray(segment.offset, segment.offset + length))
          }
          reader ??= body.open(segment.offset, segment.offset + length).getReader()
          const { done, value } = await reader.read()
          if (!done) return controller.enqueue(value)
          reader = null
          at += 1
        }
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** The head of the whole entry that combined parts make: that of a 200 with its full length. */
export function wholeHeaders(headers: HeaderList, total: number): HeaderList {
  const kept = headers.filter(([name]) => name !== 'content-range' && name !== 'content-length')
  return [...kept, ['content-length', String(total)]]
}
