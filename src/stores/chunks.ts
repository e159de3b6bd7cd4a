/**
 * Long stored bodies as they are read: streamed from chunks of one length, each under its own checksum.
 */
import { crc32 } from '../engine/crc32.ts'
import type { MaybePromise, StoredBody } from '../engine/ports.ts'

/** Bytes of one chunk of a stored body, checked; throws StoreError, or rejects with it, where it is gone or corrupt. */
export type ReadChunk = (n: number) => MaybePromise<Uint8Array>

/** The checksum of a chunk; its number is part of it, so that no chunk can stand for another. */
export function chunkSum(data: Uint8Array, n: number): number {
  return crc32(data, n)
}

/** Bytes of the checksum behind a chunk, where it is kept in one value with it. */
export const CHECKSUM = 4

/** A chunk with its checksum behind it. */
export function summed(data: Uint8Array, n: number): Uint8Array {
  const value = new Uint8Array(data.length + CHECKSUM)
  value.set(data)
  new DataView(value.buffer).setUint32(data.length, chunkSum(data, n), true)
  return value
}

/** Chunk `n`, which must have so many bytes, without its checksum; null where it is not what was written. */
export function unsummed(value: Uint8Array | undefined, n: number, length: number): Uint8Array | null {
  if (value?.length !== length + CHECKSUM) return null
  const data = value.subarray(0, length)
  const sum = new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(length, true)
  return sum === chunkSum(data, n) ? data : null
}

/**
 * A body in chunks of `length` bytes; the stream reads one at a time, when asked. `hold` is given each stream that is opened, which it
 * must not keep alive; what it returns is called when the stream has ended, failed or was cancelled.
 */
export function chunkedBody(
  size: number,
  length: number,
  read: ReadChunk,
  hold: (stream: object) => () => void = () => () => undefined,
): StoredBody {
  return { size, bytes: null, open: (start, end) => chunkStream(start, Math.min(end, size), length, read, hold) }
}

function chunkStream(
  start: number,
  last: number,
  length: number,
  read: ReadChunk,
  hold: (stream: object) => () => void,
): ReadableStream<Uint8Array> {
  let position = start
  let release = (): void => undefined
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
  const stream = new ReadableStream<Uint8Array>(
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
      cancel: () => release(),
    },
    { highWaterMark: 0 },
  )
  release = hold(stream)
  return stream
}
