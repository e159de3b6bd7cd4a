/**
 * Long bodies in chunks: cutting a stream into pieces of one length, and streaming them back, each under its own checksum.
 */
import { crc32 } from '../engine/crc32.ts'
import type { StoredBody } from '../engine/ports.ts'

/** Bytes of one chunk of a stored body, checked; throws StoreError where it is gone or corrupt. */
export type ReadChunk = (n: number) => Uint8Array

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
export function chunkedBody(size: number, length: number, read: ReadChunk, hold: () => () => void): StoredBody {
  return {
    size,
    bytes: null,
    open(start, end) {
      let position = start
      const last = Math.min(end, size)
      const release = hold()
      const piece = (): Uint8Array => {
        const n = Math.floor(position / length)
        const from = position - n * length
        return read(n).subarray(from, Math.min(length, last - n * length))
      }
      return new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            try {
              const next = position < last ? piece() : null
              if (next !== null) controller.enqueue(next)
              position += next?.length ?? 0
            } catch (error) {
              release()
              throw error
            }
            if (position < last) return
            controller.close()
            release()
          },
          cancel: release,
        },
        { highWaterMark: 0 },
      )
    },
  }
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
