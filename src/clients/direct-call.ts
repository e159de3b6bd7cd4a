/**
 * One exchange with an origin, by a dispatcher of undici's.
 *
 * Rule 1: what is not plain in an answer (a content coding to undo, a status that fetch itself acts on) is fetch's: it is handed the exchange as it
 *   stands, and the origin is not asked again.
 */
import { getHeader } from '../http/headers.ts'
import type { OriginResponse } from '../engine/ports.ts'
import { DirectBody } from './direct-body.ts'
import { headerLines } from './direct-lines.ts'
import { Relay } from './direct-relay.ts'
import { Timing } from './direct-timing.ts'
import { isUndelimited } from './origin-response.ts'
import type { Dispatcher, Handler, RawHeaders } from './dispatcher.ts'

/** Fetch gives nobody an answer of such a status: it asks again, or fails. */
const FOR_FETCH: ReadonlySet<number> = new Set([407, 421])

/** The Fetch standard's null body statuses. */
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

export interface CallOptions {
  readonly method: string
  readonly url: string
  readonly signal: AbortSignal | null
  readonly dispatcher: Dispatcher
  /** Has fetch give the answer, by way of another dispatcher. */
  byFetch(dispatcher: Dispatcher): Promise<OriginResponse>
}

export class Call implements Handler {
  readonly answer: Promise<OriginResponse>
  readonly #options: CallOptions
  readonly #timing: Timing
  readonly #settle: PromiseWithResolvers<OriginResponse> = Promise.withResolvers()
  #leave: ((reason: unknown) => void) | null = null
  #body: DirectBody | null = null
  #relay: Relay | null = null
  #isOver = false

  constructor(options: CallOptions) {
    this.#options = options
    this.#timing = new Timing(options.url)
    this.answer = this.#settle.promise
    options.signal?.addEventListener('abort', this, { once: true })
  }

  /** The signal was aborted. */
  handleEvent(): void {
    const reason: unknown = this.#options.signal?.reason
    this.#settle.reject(reason)
    this.#body?.fail(reason, true)
    this.#left(reason)
  }

  /** Nobody wants what may still come. */
  #left(reason: unknown): void {
    this.#over()
    this.#leave?.(reason ?? new DOMException('The operation was aborted.', 'AbortError'))
  }

  #over(): void {
    this.#isOver = true
    this.#options.signal?.removeEventListener('abort', this)
  }

  onConnect(leave: (reason: unknown) => void): void {
    this.#leave = leave
    this.#timing.requested()
    if (this.#isOver) this.#left(this.#options.signal?.reason)
  }

  onHeaders(status: number, raw: RawHeaders, resume: () => void, statusText: string): boolean {
    if (status < 200) return false
    this.#timing.answered(status)
    const headers = headerLines(raw)
    const hasBody = this.#options.method !== 'HEAD' && !BODILESS.has(status)
    if (FOR_FETCH.has(status) || (hasBody && getHeader(headers, 'content-encoding') !== null)) {
      this.#settle.resolve(this.#handOver((handler) => handler.onHeaders(status, raw, resume, statusText), resume))
      return false
    }
    if (hasBody) this.#body = new DirectBody(resume, (reason) => this.#left(reason))
    const undelimited = hasBody && isUndelimited(headers)
    this.#settle.resolve({ status, statusText, headers, body: this.#body, decoded: false, undelimited })
    return true
  }

  /** Rule 1. From here on the signal is fetch's to obey. */
  async #handOver(head: (handler: Handler) => boolean, resume: () => void): Promise<OriginResponse> {
    const { signal, dispatcher, byFetch } = this.#options
    signal?.removeEventListener('abort', this)
    const relay = new Relay(head, resume, (reason) => this.#leave?.(reason), dispatcher)
    this.#relay = relay
    try {
      return await byFetch(relay)
    } finally {
      if (!relay.isTaken) this.#left(undefined)
    }
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#relay !== null) return this.#relay.pass((handler) => handler.onData(chunk)) !== false
    this.#timing.arrived(chunk.length)
    return this.#body === null || this.#body.push(chunk)
  }

  onComplete(trailers: unknown): void {
    if (this.#relay === null) this.#timing.mark()
    else this.#relay.pass((handler) => handler.onComplete(trailers))
    this.#body?.end()
    this.#over()
  }

  onError(error: unknown): void {
    this.#relay?.pass((handler) => handler.onError(error))
    if (this.#isOver) return
    this.#over()
    this.#body?.fail(new TypeError('terminated', { cause: error }), false)
    this.#settle.reject(new TypeError('fetch failed', { cause: error }))
  }
}
