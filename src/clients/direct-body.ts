/**
 * A body as it comes from a connection: read once, chunk by chunk.
 *
 * Rule 1: a chunk is handed out as it came, a view of what was read from the connection: whoever keeps it, or gives it away, copies it.
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
    const next = this.atHand()
    if (next !== null) return Promise.resolve(next)
    if (this.#failure !== null) return Promise.reject(this.#failure.error)
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }))
  }

  atHand(): OriginChunk | null {
    const value = this.#chunks.shift()
    if (value === undefined) return this.#ended ? DONE : null
    this.#queued -= value.length
    this.#goOn()
    return { done: false, value }
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
    if (this.#waiting !== null) {
      const { resolve } = this.#waiting
      this.#waiting = null
      resolve({ done: false, value: chunk })
      return true
    }
    this.#chunks.push(chunk)
    this.#queued += chunk.length
    this.#paused = this.#queued >= AHEAD
    return !this.#paused
  }

  end(): void {
    if (this.#isOver()) return
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
