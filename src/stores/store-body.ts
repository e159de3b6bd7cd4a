/**
 * Taking in a body that is to be stored: whole where it is short, in pieces of one length where it is long.
 *
 * 1. No more is ever held than what is stored whole, and one piece.
 * 2. When the store fails, the stream is told that nobody reads on. It is not waited for: it may take its time, or never answer.
 */
import { assertBytes, concat } from '../engine/bytes.ts'
import type { MaybePromise, StoreLimits } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'

export interface BodyReader {
  read(): Promise<{ readonly value?: Uint8Array | undefined }>
}

/** After a body that was at hand. */
const NOTHING_MORE: BodyReader = { read: async () => ({}) }

/** Where a body goes. */
export interface BodySink {
  /** Of the entry, for messages. */
  readonly key: string
  /** A body of up to `inlineSize` bytes is stored whole, one of more than `maxEntrySize` not at all. */
  readonly limits: Pick<StoreLimits, 'inlineSize' | 'maxEntrySize'>
  whole(bytes: Uint8Array): MaybePromise<void>
  /** `ahead` was read already; what the reader gives follows it, and is counted by `checkSize`. */
  long(reader: BodyReader, ahead: readonly Uint8Array[]): Promise<void>
}

/**
 * Hands a body to its sink.
 * @throws StoreError ERR_STORE_FULL where it is too large; rejects with the stream's own error where that fails
 */
export async function storeBody(body: Uint8Array | ReadableStream<Uint8Array>, sink: BodySink): Promise<void> {
  const { key, limits } = sink
  if (!(body instanceof Uint8Array)) return storeStream(body, sink)
  checkSize(key, body.length, limits)
  return body.length > limits.inlineSize ? sink.long(NOTHING_MORE, [body]) : sink.whole(body)
}

function storeStream(stream: ReadableStream<Uint8Array>, sink: BodySink): Promise<void> {
  const { key, limits } = sink
  return taking(stream, async (reader) => {
    const { ahead, size, isAll } = await readAhead(reader, key, limits)
    return isAll ? sink.whole(concat(ahead, size)) : sink.long(reader, ahead)
  })
}

/**
 * All of a body, for a store that has nowhere to put a part of it.
 * @throws StoreError ERR_STORE_FULL where it is too large; rejects with the stream's own error where that fails
 */
export function collectBody(
  stream: ReadableStream<Uint8Array>,
  key: string,
  { maxEntrySize }: Pick<StoreLimits, 'maxEntrySize'>,
): Promise<Uint8Array> {
  return taking(stream, async (reader) => {
    const { ahead, size } = await readAhead(reader, key, { inlineSize: Infinity, maxEntrySize })
    return concat(ahead, size)
  })
}

/** Reads until there is more than is stored whole, or all of it. */
async function readAhead(
  reader: BodyReader,
  key: string,
  limits: BodySink['limits'],
): Promise<{ ahead: Uint8Array[]; size: number; isAll: boolean }> {
  const ahead: Uint8Array[] = []
  let size = 0
  while (size <= limits.inlineSize) {
    const { value } = await reader.read()
    if (value === undefined) return { ahead, size, isAll: true }
    assertBytes(value)
    // A copy (slice() of a Buffer would be none): the giver may use its buffer again.
    ahead.push(new Uint8Array(value))
    size += value.length
    checkSize(key, size, limits)
  }
  return { ahead, size, isAll: false }
}

/** Rule 2. */
async function taking<T>(
  stream: ReadableStream<Uint8Array>,
  take: (reader: BodyReader) => MaybePromise<T>,
): Promise<T> {
  const reader = stream.getReader()
  try {
    return await take(reader)
  } catch (error) {
    // A stream that failed itself has nothing to cancel.
    reader.cancel(error).catch(() => undefined)
    throw error
  } finally {
    reader.releaseLock()
  }
}

/** @throws StoreError ERR_STORE_FULL */
export function checkSize(key: string, size: number, { maxEntrySize }: Pick<StoreLimits, 'maxEntrySize'>): void {
  if (size <= maxEntrySize) return
  throw new StoreError('ERR_STORE_FULL', `The body of ${key} is larger than maxEntrySize (${maxEntrySize} bytes).`)
}

/**
 * Cuts what a reader gives into pieces of exactly `length` bytes; the last may be shorter. A piece is valid until the next one is
 * asked for. What was already read is given as `ahead`.
 */
export async function* pieces(
  reader: BodyReader,
  ahead: readonly Uint8Array[],
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(length)
  let filled = 0
  const queue = [...ahead]
  for (;;) {
    const next = queue.shift() ?? (await reader.read()).value
    if (next === undefined) break
    assertBytes(next)
    for (let from = 0; from < next.length;) {
      const part = next.subarray(from, from + length - filled)
      buffer.set(part, filled)
      filled += part.length
      from += part.length
      if (filled < length) continue
      yield buffer
      filled = 0
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled)
}
