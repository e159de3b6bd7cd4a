/**
 * Long bodies in chunks: cutting a stream into pieces of one length, and streaming them back, each under its own checksum.
 */
import { crc32 } from '../engine/crc32.ts'
import type { MaybePromise, StoredBody } from '../engine/ports.ts'

/** Bytes of one chunk of a stored body, checked; throws StoreError, or rejects with it, where it is gone or corrupt. */
export type ReadChunk = (n: number) => MaybePromise<Uint8Array>

/** The checksum of a chunk; its number is part of it, so that no chunk can stand for another. */
export function chunkSum(data: Uint8Array, n: number): number {
  return crc32(data, n)
}

/** A body in its row. */
export function inlineBody(bytes: Uint8Array): StoredBody {
  return {
    size: bytes.length,
    bytes,
    open: (start, end) =>
      new ReadableStream<Uint8Array>({
        start(controller) {
          if (end > start) controller.enqueue(bytes.subarray(start, end))
          controller.close()
        },
      }),
  }
}

/**
 * A body in chunks of `length` bytes; the stream reads one at a time, when asked. `hold` is called when a stream is opened; what
 * it returns, when the stream has ended, failed or was cancelled.
 */
export function chunkedBody(
  size: number,
  length: number,
  read: ReadChunk,
  hold: () => () => void = () => () => undefined,
): StoredBody {
  return { size, bytes: null, open: (start, end) => chunkStream(start, Math.min(end, size), length, read, hold()) }
}

function chunkStream(
  start: number,
  last: number,
  length: number,
  read: ReadChunk,
  release: () => void,
): ReadableStream<Uint8Array> {
  let position = start
  const deliver = (controller: ReadableStreamDefaultController<Uint8Array>, chunk: Uint8Array | null): void => {
    if (chunk !== null) {
      const n = Math.floor(position / length)
      const piece = chunk.subarray(position - n * length, Math.min(length, last - n * length))
      controller.enqueue(piece)
      position += piece.length
    }
    if (position < last) return
    controller.close()
    release()
  }
  const next = (): MaybePromise<Uint8Array | null> => (position < last ? read(Math.floor(position / length)) : null)
  const later = async (
    controller: ReadableStreamDefaultController<Uint8Array>,
    chunk: Promise<Uint8Array | null>,
  ): Promise<void> => {
    try {
      deliver(controller, await chunk)
    } catch (error) {
      release()
      throw error
    }
  }
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        try {
          const chunk = next()
          return chunk instanceof Promise ? later(controller, chunk) : deliver(controller, chunk)
        } catch (error) {
          release()
          throw error
        }
      },
      cancel: release,
    },
    { highWaterMark: 0 },
  )
}

/**
 * Cuts what a reader gives into pieces of exactly `length` bytes; the last may be shorter. A piece is valid until the next one is
 * asked for. What was already read is given as `ahead`.
 */
export async function* pieces(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  ahead: readonly Uint8Array[],
  length: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const buffer = new Uint8Array(length)
  let filled = 0
  const queue = [...ahead]
  for (;;) {
    const next = queue.shift() ?? (await reader.read()).value
    if (next === undefined) break
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

/** All of several pieces as one. */
export function joined(parts: readonly Uint8Array[], size: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
