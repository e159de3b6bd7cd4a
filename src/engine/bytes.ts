/** Byte arrays and streams of them: the few operations several files need. */
import type { StoredBody } from './ports.ts'

/** A copy in a buffer of its own: `slice()` of a Buffer would share its memory, and that of others with it. */
export function copyOf(bytes: Uint8Array, start: number = 0, end: number = bytes.length): Uint8Array<ArrayBuffer> {
  return new Uint8Array(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
}

/** To be kept or given away: what has its buffer to itself, or else a copy. Nobody then holds on to more, or loses what is his. */
export function ownOf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const isAlone = bytes.constructor === Uint8Array && bytes.byteLength === bytes.buffer.byteLength
  return isAlone ? (bytes as Uint8Array<ArrayBuffer>) : copyOf(bytes)
}

/**
 * What is no bytes has no length, or another one: a body would be another one without a word.
 * @throws TypeError, as whoever reads a Response with such a body is told
 */
export function assertBytes(chunk: unknown): asserts chunk is Uint8Array {
  if (chunk instanceof Uint8Array) return
  // By its name: bytes of another realm (a test runner's) are bytes, too.
  if (ArrayBuffer.isView(chunk) && Reflect.get(chunk, Symbol.toStringTag) === 'Uint8Array') return
  throw new TypeError('A body must be a stream of Uint8Array.')
}

/** One array of all chunks; the chunk itself where there is only one. */
export function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1 && chunks[0]) return chunks[0]
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** A stream read to its end, or null when it holds more than `limit` bytes (it is cancelled then). */
export async function collect(stream: ReadableStream<Uint8Array>, limit: number): Promise<Uint8Array | null> {
  const reader = stream.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return concat(chunks, size)
    size += value.length
    if (size > limit) {
      await reader.cancel()
      return null
    }
    chunks.push(value)
  }
}

/**
 * A stream of bytes at hand. Each chunk is a copy: what a reader does to it never reaches the store (RELIABILITY 70). Once `signal` is
 * aborted, nothing more is read of it.
 */
export function streamOf(bytes: Uint8Array, signal: AbortSignal | null = null): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const over = overBy(signal)
      if (over !== null) throw over.error
      if (at < bytes.length) {
        const chunk = copyOf(bytes, at, at + 65_536)
        at += chunk.length
        controller.enqueue(chunk)
      }
      if (at >= bytes.length) closeBytes(controller)
    },
  })
}

/** A stored body at hand. What is opened of it are copies, too. */
export function inlineBody(bytes: Uint8Array): StoredBody {
  return { size: bytes.length, bytes, open: (start, end) => streamOf(bytes.subarray(start, end)) }
}

/** Closes a byte stream, answering a pending BYOB read as the Streams standard asks. */
export function closeBytes(controller: ReadableByteStreamController): void {
  controller.close()
  controller.byobRequest?.respond(0)
}

/**
 * Why a body that is at hand is not read any more: its caller has aborted, and that of a fetch would not be, either. Null: it may be read. A
 * time limit is about waiting: what came in time may be read after it.
 */
export function overBy(signal: AbortSignal | null): { readonly error: unknown } | null {
  if (!signal?.aborted) return null
  const error: unknown = signal.reason
  return (error as { name?: unknown } | null)?.name === 'TimeoutError' ? null : { error }
}
