/**
 * A body on its way from the origin, read once and handed to two sides: the caller and the store (RELIABILITY A1-A17).
 *
 * Rule 1: the caller's bytes never wait for the store, except for back-pressure, and for that only `stallTimeout`. A store that is done
 *   with the body before its end is not waited for at all.
 * Rule 2: memory is bounded: at most `readAhead` bytes wait for the caller, `WINDOW` for the store, `inlineSize` for a small entry.
 *   Where others wait for the entry, up to `WANTED_AHEAD` wait for a caller who is slow; then the others are let go (RELIABILITY 14).
 * Rule 3: the store gets a whole body or a failing stream: a length that differs from Content-Length is a failure. A short one it gets only
 *   where the sink keeps what has arrived, as what it is: incomplete (fill.ts, cut.ts). The caller's failure is the same.
 * Rule 4: a caller who leaves does not stop what others wait for, nor a rest of at most `backgroundFill` bytes. When the others have
 *   left, too, the origin is left.
 * Rule 5: the caller and the store never hold the same bytes: what one side does to a chunk, the other cannot see.
 */
import { assertBytes, closeBytes, concat, copyOf, overBy, ownOf } from './bytes.ts'
import { whenDropped, type Watch } from './dropped.ts'
import type { ReplyBody } from './exchange.ts'
import { isPromise } from './maybe.ts'
import type { MaybePromise, OriginBody, OriginReader } from './ports.ts'
import type { Watcher } from './single-flight.ts'
import { after, quietlyAfter, type Timer } from './timer.ts'

const WINDOW = 1024 * 1024

/** Bytes held for a caller who does not read, while others wait for the entry. */
const WANTED_AHEAD = 16 * 1024 * 1024

export interface LiveBodyOptions {
  /** Content-Length where it counts these very bytes; null: unknown. */
  readonly expected: number | null
  readonly readAhead: number
  readonly backgroundFill: number
  /** Milliseconds the store may keep the body waiting. */
  readonly stallTimeout: number
  readonly signal: AbortSignal | null
  /** Whether anybody but this caller waits for the entry. */
  readonly wanted: () => boolean
  /** Lets those who wait go their own way: the caller is too slow for them. */
  readonly release: () => void
}

/** Where the body goes besides the caller. */
export interface Sink {
  readonly inlineSize: number
  readonly maxSize: number
  /** The whole body of at most `inlineSize` bytes. */
  whole(bytes: Uint8Array): void
  /** A longer one, as a stream that fails where the body does. Resolves when the store is done with it, whether it read it all or not. */
  stream(body: ReadableStream<Uint8Array>): Promise<void>
  /** The origin's part is done: the stream will end as soon as it is read. `received`: its bytes. */
  ended(received: number): void
  /**
   * Whether what has arrived of a body that was cut is kept, as what it is. `received`: bytes; `taken`: those of them that somebody had wanted.
   */
  keeps(received: number, taken: number): boolean
  /** The body was cut, and is kept. `bytes`: all that has arrived; null: the stream ends with it. */
  cut(bytes: Uint8Array | null, received: number): void
  /** Whether the stream may end now that all of it was read; else it fails. */
  mayEnd(): MaybePromise<boolean>
  /** Nothing will be stored. */
  abandon(reason: SinkAbandoned): void
}

/** Too long; broken off; the store did not read on; the store would not have it. */
export type SinkAbandoned = 'too-large' | 'interrupted' | 'stalled' | 'store-failed'

type CallerState = 'absent' | 'streaming' | 'reading' | 'gone'

/** The failure of a body as the store sees it: its own errors are told from it by identity. */
export class BodyInterrupted extends Error {
  override readonly name: 'BodyInterrupted' = 'BodyInterrupted'
}

export class LiveBody implements ReplyBody, Watcher {
  readonly bytes: null = null
  readonly size: number | null
  readonly repeatable: false = false
  readonly #reader: OriginReader
  readonly #options: LiveBodyOptions
  readonly #sink: Sink
  /** Chunks not yet taken by both sides; `#base` is the index of the first. */
  #chunks: Uint8Array[] = []
  #base = 0
  #received = 0
  #caller: CallerState = 'absent'
  #callerAt = 0
  #callerLag = 0
  #sinkMode: 'inline' | 'streaming' | 'none' = 'inline'
  #sinkAt = 0
  #sinkLag = 0
  #ended = false
  /** It was cut, and the store is given what has arrived. */
  #cut = false
  #failure: { readonly error: unknown } | null = null
  #callerFailure: { readonly error: unknown } | null = null
  /** Weak: who gives up the stream is noticed by its being collected, while this is held on to (clients/response.ts). */
  #controller: WeakRef<ReadableByteStreamController> | null = null
  #watch: Watch | null = null
  #wakePump: (() => void) | null = null
  #wakeCaller: (() => void) | null = null
  #wakeSink: (() => void) | null = null
  #patience: Timer | undefined

  constructor(source: OriginBody, sink: Sink, options: LiveBodyOptions) {
    this.#reader = source.getReader()
    this.#sink = sink
    this.#options = options
    this.size = options.expected
    options.signal?.addEventListener('abort', this.#aborted, { once: true })
    if (options.expected !== null && options.expected > sink.maxSize) this.#abandonSink('too-large')
    if (!this.#readAtHand()) void this.#pump()
  }

  stream(): ReadableStream<Uint8Array> {
    this.#caller = 'streaming'
    this.#wakePump?.()
    const stream: ReadableStream<Uint8Array> = new ReadableStream({
      type: 'bytes',
      start: (controller) => {
        if (this.#options.signal !== null) this.#controller = new WeakRef(controller)
      },
      pull: (controller) => this.#pullCaller(controller),
      cancel: (reason) => this.leave(reason),
    })
    // Collected before its end: nobody reads it.
    this.#watch = whenDropped(stream, () => this.leave(undefined))
    return stream
  }

  /** Nothing that is kept here must keep its stream any longer: what it failed with may lead back to that. */
  #callerLeft(): void {
    this.#caller = 'gone'
    this.#watch?.end()
  }

  read(): Promise<Uint8Array> {
    this.#lookAtSignal()
    this.#caller = 'reading'
    return new Promise((resolve, reject) => {
      // Called with each chunk: only the end is of interest.
      this.#wakeCaller = () => {
        const failure = this.#callerFailure ?? this.#failure
        if (failure) reject(failure.error)
        else if (this.#ended) resolve(this.#whole())
      }
      this.#wake()
    })
  }

  #whole(): Uint8Array {
    this.#wakeCaller = null
    const chunks = this.#chunks.slice(this.#callerAt - this.#base)
    this.#callerLeft()
    return concat(chunks, this.#received)
  }

  /** The caller wants no more of it: rule 4 decides whether the body is still read for the store. */
  leave(reason: unknown): void {
    if (this.#caller === 'gone') return
    const taken = this.#taken()
    this.#callerLeft()
    this.#callerLag = 0
    this.#trim()
    if (!this.#ended && this.#failure === null && !this.#worthFinishing()) this.#stop(reason, taken)
    this.#wake()
  }

  /** What was read ahead of the caller says nothing of how much it wanted. */
  #taken(): number {
    return this.#caller === 'reading' ? this.#received : this.#received - this.#callerLag
  }

  /** Somebody waits for the entry: the body flows on, even where the caller does not read it. */
  wanted(): void {
    this.#wakePump?.()
  }

  /** Nobody waits for it any more. */
  deserted(): void {
    const over = this.#ended || this.#failure !== null
    if (this.#caller === 'gone' && !over && !this.#worthFinishing()) this.#stop(undefined)
  }

  readonly #aborted = (): void => {
    const reason: unknown = this.#options.signal?.reason
    if (this.#ended || this.#caller === 'gone') return
    // As fetch: what has come and was not read yet is not handed out any more, and a reader who waits for nothing is told, too.
    this.#controller?.deref()?.error(reason)
    this.#failCaller(reason)
    if (this.#worthFinishing()) this.leave(reason)
    else this.#stop(reason, this.#taken())
  }

  /** All of it is here: the signal is not listened to any more, but looked at before the caller gets any of it. */
  #lookAtSignal(): void {
    if (this.#ended) this.#callerFailure ??= overBy(this.#options.signal)
  }

  #failCaller(error: unknown): void {
    this.#callerFailure = { error }
    this.#watch?.end()
    this.#wakeCaller?.()
  }

  #worthFinishing(): boolean {
    if (this.#sinkMode === 'none') return false
    if (this.#options.wanted()) return true
    const { expected, backgroundFill } = this.#options
    return expected !== null ? expected - this.#received <= backgroundFill : backgroundFill === Infinity
  }

  /** What has arrived already; true: that was all. */
  #readAtHand(): boolean {
    while (this.#failure === null && this.#hasRoom()) {
      const next = this.#reader.atHand?.() ?? null
      if (next === null) return false
      if (next.done) {
        this.#finish()
        return true
      }
      this.#took(next.value)
    }
    return false
  }

  async #pump(): Promise<void> {
    try {
      while (this.#failure === null) {
        if (!this.#hasRoom()) {
          await this.#room()
          continue
        }
        const { done, value } = await this.#reader.read()
        if (this.#failure !== null) return
        if (done) return this.#finish()
        this.#took(value)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  /** What is no bytes fails the body, as it fails who reads it of a fetch. */
  #took(chunk: Uint8Array): void {
    try {
      assertBytes(chunk)
    } catch (error) {
      return this.#stop(error)
    }
    // A byte stream refuses empty chunks.
    if (chunk.length > 0) this.#arrived(chunk)
  }

  #hasRoom(): boolean {
    return this.#callerHasRoom() && this.#sinkHasRoom()
  }

  #callerHasRoom(): boolean {
    if (this.#caller === 'gone' || this.#caller === 'reading') return true
    if (this.#callerLag < this.#options.readAhead) return true
    return this.#callerLag < WANTED_AHEAD && this.#awaited()
  }

  /** Whether an entry that others wait for may still come of it. */
  #awaited(): boolean {
    return this.#sinkMode !== 'none' && this.#options.wanted()
  }

  #sinkHasRoom(): boolean {
    return this.#sinkMode !== 'streaming' || this.#sinkLag < WINDOW
  }

  /** Waits for either side; a store that keeps the caller waiting is given up after `stallTimeout` (B34). */
  async #room(): Promise<void> {
    const stalled = this.#callerHasRoom()
    if (!stalled && this.#awaited()) this.#options.release()
    const timer = stalled ? this.#stallTimer() : undefined
    await new Promise<void>((resolve) => (this.#wakePump = resolve))
    clearTimeout(timer)
  }

  #stallTimer(): ReturnType<typeof after> {
    const waits = this.#caller === 'streaming' || this.#caller === 'reading' || this.#options.wanted()
    return (waits ? after : quietlyAfter)(this.#options.stallTimeout, () => this.#abandonSink('stalled'))
  }

  #arrived(chunk: Uint8Array): void {
    this.#received += chunk.length
    if (this.#caller !== 'gone') this.#callerLag += chunk.length
    if (this.#sinkMode === 'streaming') this.#sinkLag += chunk.length
    this.#chunks.push(chunk)
    if (this.#sinkMode !== 'none' && this.#received > this.#sink.maxSize) this.#abandonSink('too-large')
    else if (this.#sinkMode === 'inline' && this.#received > this.#sink.inlineSize) this.#spill()
    else this.#trim()
    this.#wakeCaller?.()
    this.#wakeSink?.()
  }

  /** The body is longer than an inline entry: from here on the store reads a stream. */
  #spill(): void {
    this.#sinkMode = 'streaming'
    this.#sinkLag = this.#received
    const body = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pullSink(controller), cancel: () => this.#abandonSink('store-failed') },
      { highWaterMark: 0 },
    )
    // A store that has read to the end has set the mode to 'none' by then.
    void this.#sink.stream(body).then(() => this.#abandonSink('store-failed'))
  }

  #finish(): void {
    const { expected } = this.#options
    this.#ended = true
    this.#options.signal?.removeEventListener('abort', this.#aborted)
    if (expected !== null && expected !== this.#received) this.#cutSink(this.#received)
    if (this.#cut) return this.#wake()
    if (this.#sinkMode === 'inline') {
      this.#sinkMode = 'none'
      const whole = this.#all()
      // Put together once for both: what `read` gives is copied before anything writable is handed out (exchange.ts).
      if (this.#caller !== 'streaming' && this.#base === 0 && whole.length > 0) this.#chunks = [whole]
      this.#sink.whole(whole)
    } else if (this.#sinkMode === 'streaming') this.#sink.ended(this.#received)
    this.#wake()
  }

  /** What has arrived, for who keeps it. */
  #all(): Uint8Array {
    return ownOf(concat(this.#chunks, this.#received))
  }

  #fail(error: unknown, taken: number = this.#received): void {
    if (this.#failure !== null || this.#ended) return
    this.#failure = { error }
    this.#options.signal?.removeEventListener('abort', this.#aborted)
    this.#cutSink(taken)
    this.#wake()
  }

  /** No more will come: the store keeps what has arrived, or nothing. */
  #cutSink(taken: number): void {
    if (this.#sinkMode === 'none') return
    if (!this.#sink.keeps(this.#received, taken)) return this.#abandonSink('interrupted')
    this.#cut = true
    if (this.#sinkMode === 'streaming') {
      // What it has not read by then it will not read.
      this.#patience = quietlyAfter(this.#options.stallTimeout, () => this.#abandonSink('stalled'))
      return this.#sink.cut(null, this.#received)
    }
    this.#sinkMode = 'none'
    this.#sink.cut(this.#all(), this.#received)
    this.#trim()
  }

  /** Leaves the origin: nobody wants the rest. `taken`: how much of it somebody had wanted. */
  #stop(reason: unknown, taken?: number): void {
    this.#fail(reason ?? new BodyInterrupted('the body was cancelled'), taken)
    // The connection may be gone already: there is nobody left to tell.
    this.#reader.cancel(reason).catch(() => undefined)
  }

  #abandonSink(reason: SinkAbandoned): void {
    if (this.#sinkMode === 'none') return
    this.#closeSink()
    this.#sinkLag = 0
    this.#trim()
    this.#sink.abandon(reason)
    if (this.#caller === 'gone' && !this.#ended && this.#failure === null) this.#stop(undefined)
    this.#wake()
  }

  #wake(): void {
    this.#wakePump?.()
    this.#wakeCaller?.()
    this.#wakeSink?.()
  }

  async #pullCaller(controller: ReadableByteStreamController): Promise<void> {
    this.#lookAtSignal()
    while (
      this.#callerAt >= this.#base + this.#chunks.length &&
      !this.#ended &&
      !this.#failure &&
      !this.#callerFailure
    ) {
      await new Promise<void>((resolve) => (this.#wakeCaller = resolve))
    }
    if (this.#callerFailure) throw this.#callerFailure.error
    const chunk = this.#chunks[this.#callerAt - this.#base]
    if (chunk === undefined) {
      this.#callerLeft()
      if (this.#failure) throw this.#failure.error
      return closeBytes(controller)
    }
    this.#callerAt += 1
    this.#callerLag -= chunk.length
    // Enqueuing transfers the buffer, which may be the origin's own, or have others' bytes in it.
    controller.enqueue(copyOf(chunk))
    this.#trim()
    this.#wakePump?.()
    if (this.#ended && this.#callerAt >= this.#base + this.#chunks.length) {
      this.#callerLeft()
      closeBytes(controller)
    }
  }

  async #pullSink(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    while (this.#sinkAt >= this.#base + this.#chunks.length && !this.#isOver() && this.#sinkMode === 'streaming') {
      await new Promise<void>((resolve) => (this.#wakeSink = resolve))
    }
    if (this.#isSinkClosed()) return this.#failSink()
    const chunk = this.#chunks[this.#sinkAt - this.#base]
    if (chunk === undefined) {
      const may = this.#sink.mayEnd()
      if (!(isPromise(may) ? await may : may) || this.#isSinkClosed()) return this.#failSink()
      this.#closeSink()
      return controller.close()
    }
    // Rule 5: a store may do with it what it likes; one that the caller has had its copy of is not copied once more.
    const isWanted = this.#caller !== 'gone' && this.#callerAt <= this.#sinkAt
    this.#sinkAt += 1
    this.#sinkLag -= chunk.length
    controller.enqueue(isWanted ? copyOf(chunk) : ownOf(chunk))
    this.#trim()
    this.#wakePump?.()
  }

  #isSinkClosed(): boolean {
    return this.#sinkMode !== 'streaming'
  }

  #closeSink(): void {
    this.#sinkMode = 'none'
    clearTimeout(this.#patience)
  }

  #failSink(): never {
    this.#closeSink()
    throw new BodyInterrupted('the body did not arrive whole')
  }

  /** Whether the store has no more to wait for. */
  #isOver(): boolean {
    return this.#ended || this.#cut
  }

  /** Lets go of chunks that both sides have taken. */
  #trim(): void {
    const callerNeeds = this.#caller === 'gone' ? Infinity : this.#callerAt
    const sinkNeeds = this.#sinkMode === 'none' ? Infinity : this.#sinkMode === 'inline' ? 0 : this.#sinkAt
    const drop = Math.min(callerNeeds, sinkNeeds, this.#base + this.#chunks.length) - this.#base
    if (drop <= 0) return
    this.#chunks.splice(0, drop)
    this.#base += drop
  }
}
