/**
 * A body that passes through unstored, untouched.
 *
 * Rule 1: until it is read it holds on to the response it belongs to (ports.ts, `owner`).
 * Rule 2: the caller's abort ends it, whether it is being read or not: its reader is told the reason, and the connection is freed.
 */
import { assertBytes, closeBytes, concat, copyOf } from './bytes.ts'
import { whenDropped, type Watch } from './dropped.ts'
import type { ReplyBody } from './exchange.ts'
import type { OriginBody, OriginChunk, OriginReader, OriginResponse } from './ports.ts'

export class PassingBody implements ReplyBody {
  readonly bytes: null = null
  readonly size: number | null
  readonly repeatable: false = false
  readonly #stream: OriginBody
  readonly #response: OriginResponse
  readonly #signal: AbortSignal | null
  #reader: OriginReader | null = null
  /** Weak: who gives up the stream is noticed by its being collected, while this is held on to (clients/response.ts). */
  #controller: WeakRef<ReadableByteStreamController> | null = null
  #aborted: { readonly error: unknown } | null = null
  #onAbort: (() => void) | null = null
  #watched: Watch | null = null

  constructor(response: OriginResponse, stream: OriginBody, size: number | null, signal: AbortSignal | null) {
    this.#response = response
    this.#stream = stream
    this.size = size
    this.#signal = signal
    if (signal !== null) this.#watch(signal)
  }

  #watch(signal: AbortSignal): void {
    this.#onAbort = () => {
      this.#aborted = { error: signal.reason }
      this.#controller?.deref()?.error(signal.reason)
      this.leave(signal.reason)
    }
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  /** It has come to its end, one way or the other. */
  #over(): void {
    if (this.#onAbort !== null) this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#watched?.end()
  }

  /** What was left ends like what has come to its end: it is told from that. @throws the reason of the caller's abort */
  #assertWanted(): void {
    if (this.#aborted !== null) throw this.#aborted.error
  }

  /** Locked at once: what is locked is not emptied behind its reader's back. */
  stream(): ReadableStream<Uint8Array> {
    const reader = (this.#reader = this.#stream.getReader())
    const stream: ReadableStream<Uint8Array> = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        if (this.#signal !== null) this.#controller = new WeakRef(controller)
      },
      pull: (controller) => this.#pull(controller, reader),
      cancel: (reason) => {
        this.#over()
        return reader.cancel(reason)
      },
    })
    // Collected before its end: nobody reads it.
    this.#watched = whenDropped(stream, () => this.leave(undefined))
    return stream
  }

  /** What comes next: a byte stream refuses empty chunks. @throws TypeError, having left, where it is no bytes */
  async #next(reader: OriginReader): Promise<OriginChunk> {
    for (;;) {
      const next = await reader.read()
      this.#assertWanted()
      if (next.done) return next
      try {
        assertBytes(next.value)
      } catch (error) {
        this.leave(error)
        throw error
      }
      if (next.value.length > 0) return next
    }
  }

  async #pull(controller: ReadableByteStreamController, reader: OriginReader): Promise<void> {
    try {
      const next = await this.#next(reader)
      // Enqueuing transfers the buffer, which may be the origin's own, or have others' bytes in it.
      if (!next.done) return controller.enqueue(copyOf(next.value))
      closeBytes(controller)
    } catch (error) {
      this.#over()
      throw error
    }
    this.#over()
  }

  /** Frees the connection of a body that nobody will read. */
  leave(reason: unknown): void {
    this.#over()
    // The connection may break while it is freed: nobody is left to tell.
    ;(this.#reader ?? this.#response.body)?.cancel(reason).catch(() => undefined)
  }

  async read(): Promise<Uint8Array> {
    this.#assertWanted()
    const reader = (this.#reader = this.#stream.getReader())
    const chunks: Uint8Array[] = []
    let size = 0
    try {
      for (;;) {
        const { done, value } = await this.#next(reader)
        if (done) return concat(chunks, size)
        chunks.push(value)
        size += value.length
      }
    } finally {
      this.#over()
    }
  }
}
