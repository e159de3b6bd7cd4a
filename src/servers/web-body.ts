/** Bodies of Fetch responses: whether all of one is there already, and when one has ended. */
import { concat } from '../engine/bytes.ts'

type Body = ReadableStream<Uint8Array>

/** A body of which the beginning was looked at. */
export interface Peeked {
  /** All of it, where the handler gave it at once. */
  readonly whole: Uint8Array<ArrayBuffer> | null
  /** All of it, from the first byte. */
  readonly stream: Body
}

/** Bytes in several chunks that are taken for a body given at once. */
const MAX_PIECES = 1024 * 1024

const encoder = new TextEncoder()

/** Reads what is there without waiting: a string or an array is there in full, what is still being made is not. */
export async function peek(body: Body): Promise<Peeked> {
  const reader = body.getReader()
  const chunks: Uint8Array<ArrayBuffer>[] = []
  let size = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  const later = new Promise<null>((resolve) => (timer = setTimeout(() => resolve(null), 0)))
  try {
    for (;;) {
      const reading = reader.read()
      const read = chunks.length > 1 && size > MAX_PIECES ? null : await Promise.race([reading, later])
      if (read === null) return { whole: null, stream: streamFrom(reader, chunks, reading) }
      if (read.done) {
        const whole = concat(chunks, size) as Uint8Array<ArrayBuffer>
        return { whole, stream: atHand(whole) }
      }
      size += read.value.length
      chunks.push(read.value as Uint8Array<ArrayBuffer>)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** The bytes as a stream, in one piece: for the store, which never changes them. */
function atHand(bytes: Uint8Array): Body {
  return new ReadableStream({
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}

/** What a handler may put into a stream, as bytes of our own: it may use its buffer again. */
function bytesOf(value: unknown): Uint8Array<ArrayBuffer> {
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (typeof value === 'string') return encoder.encode(value)
  if (value instanceof ArrayBuffer) return new Uint8Array(value.slice(0))
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  }
  throw new TypeError(`a response body is made of bytes, not of ${typeof value}`)
}

type Reader = ReadableStreamDefaultReader<Uint8Array>

function streamFrom(reader: Reader, chunks: readonly Uint8Array[], reading: ReturnType<Reader['read']>): Body {
  const ahead = [...chunks]
  let pending: typeof reading | null = reading
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = ahead.shift()
        if (next !== undefined) return controller.enqueue(next)
        const { done, value } = await (pending ?? reader.read())
        pending = null
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** The body as bytes of our own, chunk by chunk; untouched until the first is wanted. */
export function bytesFrom(body: ReadableStream<unknown>): Body {
  let reader: ReadableStreamDefaultReader<unknown> | null = null
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await (reader ??= body.getReader()).read()
        if (done) controller.close()
        else controller.enqueue(bytesOf(value))
      },
      cancel: (reason) => (reader ?? body).cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/** The same stream; `over` is called when it has ended, failed or was cancelled. */
export function noted(body: Body, over: () => void): Body {
  const reader = body.getReader()
  void reader.closed.then(over, over)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/**
 * One body for two readers, as fast as the first of them reads: nothing piles up but what is on its way. When the first leaves, the
 * second gets the rest at its own pace.
 */
export function shared(body: Body): readonly [first: Body, second: Body] {
  const reader = body.getReader()
  const sides: { first: Controller | null; second: Controller | null } = { first: null, second: null }
  const step = async (): Promise<void> => {
    try {
      const { done, value } = await reader.read()
      for (const side of [sides.second, sides.first]) {
        if (done) side?.close()
        else side?.enqueue(new Uint8Array(value))
      }
    } catch (error) {
      sides.second?.error(error)
      sides.first?.error(error)
    }
  }
  const side = (name: 'first' | 'second', other: 'first' | 'second'): Body =>
    new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (sides[name] = controller),
        pull: () => (name === 'first' || sides.first === null ? step() : undefined),
        cancel: (reason) => {
          sides[name] = null
          if (sides[other] === null) return reader.cancel(reason)
          // The second may have been waiting for the first to go on.
          return name === 'first' ? step() : undefined
        },
      },
      { highWaterMark: 0 },
    )
  return [side('first', 'second'), side('second', 'first')]
}

type Controller = ReadableStreamDefaultController<Uint8Array>
