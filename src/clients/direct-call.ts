/**
 * One exchange with an origin, by a dispatcher of undici's.
 *
 * Rule 1: what is not plain in an answer (a content coding to undo, a status that fetch itself acts on, a failure) is fetch's: it is handed the
 *   exchange as it stands, and the origin is not asked again.
 * Rule 2: a coded body that comes whole with its head, as short ones do, is decoded here (direct-decode.ts). Nobody waits for that: what has not
 *   come by the end of this turn is fetch's.
 */
import { getHeader } from '../http/headers.ts'
import type { OriginResponse } from '../engine/ports.ts'
import { DirectBody } from './direct-body.ts'
import { CodedBody } from './direct-decode.ts'
import { headerLines } from './direct-lines.ts'
import { Relay } from './direct-relay.ts'
import { Timing } from './direct-timing.ts'
import { isDecoded, isUndelimited } from './origin-response.ts'
import type { Dispatcher, Handler, RawHeaders } from './dispatcher.ts'

/** Fetch gives nobody an answer of such a status: it asks again, or fails. */
const FOR_FETCH: ReadonlySet<number> = new Set([407, 421])

/** The Fetch standard's null body statuses, those of final answers. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304])

export interface CallOptions {
  readonly method: string
  readonly url: string
  readonly signal: AbortSignal | null
  readonly dispatcher: Dispatcher
  /** Has fetch give the answer, by way of another dispatcher. */
  byFetch(dispatcher: Dispatcher): Promise<OriginResponse>
}

/** An answer whose body may yet be decoded here. */
interface Coded {
  readonly body: CodedBody
  readonly head: Omit<OriginResponse, 'body'>
  giveBack(): boolean
}

export class Call implements Handler {
  readonly answer: Promise<OriginResponse>
  readonly #options: CallOptions
  readonly #timing: Timing
  readonly #settle: PromiseWithResolvers<OriginResponse> = Promise.withResolvers()
  #leave: ((reason: unknown) => void) | null = null
  #body: DirectBody | null = null
  #coded: Coded | null = null
  #relay: Relay | null = null
  #isAnswered = false
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
    this.#coded = null
    this.#options.signal?.removeEventListener('abort', this)
  }

  onConnect(leave: (reason: unknown) => void): void {
    this.#leave = leave
    this.#timing.requested()
    if (this.#isOver) this.#left(this.#options.signal?.reason)
  }

  onResponseStarted(): void {
    this.#timing.answered()
  }

  onHeaders(status: number, raw: RawHeaders, resume: () => void, statusText: string): boolean {
    // Before the last answer come those that only say that it will (RFC 9110 section 15.2): nobody would resume them.
    if (status < 200) return true
    this.#timing.status = status
    const headers = headerLines(raw)
    const hasBody = this.#options.method !== 'HEAD' && !BODILESS.has(status)
    const coding = getHeader(headers, 'content-encoding')
    const undelimited = hasBody && isUndelimited(headers)
    const head = { status, statusText, headers, decoded: isDecoded(coding), undelimited }
    const giveBack = (): boolean =>
      this.#handOver((handler) => handler.onHeaders(status, raw, resume, statusText), resume)
    if (FOR_FETCH.has(status)) return giveBack()
    if (hasBody && coding !== null) return this.#beginCoded(coding, head, giveBack)
    if (hasBody) this.#body = new DirectBody(resume, (reason) => this.#left(reason))
    this.#answer(head)
    return true
  }

  #answer(head: Omit<OriginResponse, 'body'>): void {
    this.#isAnswered = true
    this.#settle.resolve({ ...head, body: this.#body })
  }

  /** Rule 2. */
  #beginCoded(coding: string, head: Coded['head'], giveBack: () => boolean): boolean {
    const body = CodedBody.of(coding)
    if (body === null) return giveBack()
    this.#coded = { body, head, giveBack }
    queueMicrotask(() => this.#giveBack())
    return true
  }

  #decode({ body, head }: Coded): void {
    const bytes = body.decoded()
    if (bytes === null) return void this.#giveBack()
    this.#coded = null
    this.#timing.decoded(bytes.length)
    this.#body = new DirectBody(
      () => undefined,
      () => undefined,
    )
    this.#body.push(bytes)
    this.#answer(head)
  }

  /** Whether the connection is to be read on. */
  #giveBack(): boolean {
    const coded = this.#coded
    if (coded === null) return true
    this.#coded = null
    let goesOn = coded.giveBack()
    for (const chunk of coded.body.chunks) goesOn = this.onData(chunk)
    return goesOn
  }

  /** Rule 1. From here on the signal is fetch's to obey. Whether the connection is to be read on. */
  #handOver(event: (handler: Handler) => unknown, resume: () => void = () => undefined): boolean {
    const { signal, dispatcher, byFetch } = this.#options
    signal?.removeEventListener('abort', this)
    const relay = new Relay(event, resume, (reason) => this.#leave?.(reason), dispatcher)
    this.#relay = relay
    const answer = byFetch(relay).finally(() => {
      if (!relay.isTaken) this.#left(undefined)
    })
    this.#settle.resolve(answer)
    return relay.goesOn
  }

  onData(chunk: Uint8Array): boolean {
    if (this.#relay !== null) return this.#relay.pass((handler) => handler.onData(chunk)) !== false
    this.#timing.arrived(chunk.length)
    if (this.#coded !== null) return this.#coded.body.push(chunk) || this.#giveBack()
    return this.#body === null || this.#body.push(chunk)
  }

  onComplete(trailers: unknown): void {
    if (this.#coded !== null) this.#decode(this.#coded)
    if (this.#relay !== null) this.#relay.pass((handler) => handler.onComplete(trailers))
    else if (this.#isOver) return
    // As fetch does: whoever told of an end without a beginning must see to it.
    else if (!this.#isAnswered) throw new TypeError('an answer without a head')
    else this.#timing.mark()
    this.#body?.end()
    this.#over()
  }

  onError(error: unknown): void {
    this.#giveBack()
    if (this.#relay !== null) this.#relay.pass((handler) => handler.onError(error))
    else if (this.#isOver) return
    else if (!this.#isAnswered) this.#handOver((handler) => handler.onError(error))
    else this.#body?.fail(new TypeError('terminated', { cause: error }), false)
    this.#over()
  }
}
