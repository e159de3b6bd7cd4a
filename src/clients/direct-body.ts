/**
 * A body as it comes from a connection: read once, chunk by chunk.
 *
 * Rule 1: a chunk that is handed out has a buffer of its own: those of the connection are views of what was read for many.
 * Rule 2: what has arrived before a failure is handed out first; what is aborted hands out nothing more.
 * Rule 3: at most `AHEAD` bytes and one chunk wait for a reader; then the connection is not read on.
 */
import type { OriginChunk, OriginReader, PlainBody } from '../engine/ports.ts'

/** As Node's own streams. */
const AHEAD = 65_536

const DONE: OriginChunk = Object.freeze({ done: true, value: undefined })

interface Waiting {
  resolve(result: OriginChunk): void
  reject(error: unknown): void
}

export class DirectBody implements PlainBody, OriginReader {
  readonly #resume: () => void
  readonly #abort: (reason: unknown) => void
  readonly #chunks: Uint8Array[] = []
  #queued = 0
  #paused = false
  #ended = false
  #failure: { readonly error: unknown } | null = null
  #waiting: Waiting | null = null

  /** `resume`: reads on; `abort`: leaves the connection. */
  constructor(resume: () => void, abort: (reason: unknown) => void) {
    this.#resume = resume
    this.#abort = abort
  }

  getReader(): OriginReader {
    return this
  }

  read(): Promise<OriginChunk> {
    const chunk = this.#chunks.shift()
    if (chunk !== undefined) {
      this.#queued -= chunk.length
      this.#goOn()
      return Promise.resolve({ done: false, value: chunk })
    }
    if (this.#failure !== null) return Promise.reject(this.#failure.error)
    if (this.#ended) return Promise.resolve(DONE)
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  #goOn(): void {
    if (!this.#paused || this.#queued > 0) return
    this.#paused = false
    this.#resume()
  }

  async cancel(reason?: unknown): Promise<void> {
    if (this.#isOver()) return
    this.#ended = true
    this.#chunks.length = 0
    this.#waiting?.resolve(DONE)
    this.#abort(reason)
  }

  #isOver(): boolean {
    return this.#ended || this.#failure !== null
  }

  /** Whether the connection is to be read on. */
  push(chunk: Uint8Array): boolean {
    if (this.#isOver()) return true
    // Not slice(): that of a Buffer copies nothing.
    const value = new Uint8Array(chunk)
    if (this.#waiting !== null) {
      const { resolve } = this.#waiting
      this.#waiting = null
      resolve({ done: false, value })
      return true
    }
    this.#chunks.push(value)
    this.#queued += value.length
    this.#paused = this.#queued >= AHEAD
    return !this.#paused
  }

  end(): void {
    this.#ended = true
    this.#waiting?.resolve(DONE)
  }

  /** `atOnce`: what has arrived is not handed out any more. */
  fail(error: unknown, atOnce: boolean): void {
    if (this.#isOver()) return
    if (atOnce) this.#chunks.length = 0
    this.#failure = { error }
    this.#waiting?.reject(error)
  }
}
