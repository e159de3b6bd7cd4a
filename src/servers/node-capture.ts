/**
 * What a handler does to a node:http response, held back until the cache has decided what becomes of it.
 *
 * Rule 1: nothing is undone: our methods stay on the response and pass on to those that were there before, so that what others
 *   put on top of them, or had put underneath, goes on working (compression, logging).
 * Rule 2: what the handler gives is held for as long as the decision takes, a few microtasks; then it flows as if we were not there.
 * Rule 3: what node would refuse is refused when it is given, whether it is held or not.
 * Rule 4: a handler that goes on when its visitor has left, and does not mind that, ends an answer like any other: it is stored. One that
 *   minds (it listens for that, or is piped from a stream) or has stopped leaves nothing behind (RELIABILITY A11).
 */
import type { ServerResponse } from 'node:http'
import { LeaderLeft } from '../engine/single-flight.ts'
import { quietlyAfter, type Timer } from '../engine/timer.ts'
import type { HeaderList, ResponseHead } from '../http/message.ts'
import {
  besideOthers,
  bytesOf,
  checkLength,
  coded,
  endArguments,
  headOf,
  takeHead,
  writeArguments,
  type Callback,
  type Chunk,
  type Given,
} from './node-given.ts'
import { departureOf, hasLeft } from './node-minds.ts'
import { holdPartings } from './node-parting.ts'
import { pretend, type Pretence } from './node-pretence.ts'
import { Tap } from './node-tap.ts'

interface Held extends Given {
  readonly chunk: Chunk
}

/** The methods of a response that send. */
export interface Sender {
  writeHead(this: ServerResponse, ...args: unknown[]): ServerResponse
  write(this: ServerResponse, chunk: Chunk, encoding?: BufferEncoding, done?: Callback): boolean
  end(this: ServerResponse, ...args: unknown[]): ServerResponse
  flushHeaders(this: ServerResponse): void
}

const LEFT_BEFORE = 'the visitor left before the handler answered'
const LEFT = 'the visitor left before the response was whole'

const UNSENT = 'the answer could not be sent'

/** Bytes that are held before the handler is told to wait. */
const HOLD = 65_536

const late = (): Error => coded(new Error('write after end'), 'ERR_STREAM_WRITE_AFTER_END')

/** Milliseconds a handler whose visitor has left may take between two writes: others may wait for its answer. */
const STOPPED = 2000

export class Capture {
  /** What the handler answers with, once it does; rejects when the visitor leaves before that. */
  readonly head: Promise<ResponseHead>
  readonly #response: ServerResponse
  readonly #before: Sender
  readonly #own = ((...args: unknown[]) => this.#writeHead(args)) as ServerResponse['writeHead']
  /** Whether somebody is told, in the handler's turn, that the visitor leaves. */
  readonly #minds: () => boolean
  #state: 'holding' | 'passing' | 'swallowing' = 'holding'
  #direct = false
  #headArguments: readonly unknown[] | null = null
  #gotHead = false
  #held: Held[] = []
  #heldBytes = 0
  #ended = false
  /** Whether it ended with the last of what it gave. */
  #endedWithChunk = false
  /** Why what it gives is not whole; null: it is, or may be. */
  #broken: string | null = null
  #flushed = false
  #pretence: Pretence | null = null
  #onEnd: Callback | undefined
  /** What the handler does to an answer that it has ended and that is still held. */
  #afterwards: (() => void)[] = []
  /** The turn in which it ended it is over: node would have sent it. */
  #isLate = false
  #partAsEver: () => void = () => undefined
  #onOver: (() => void) | null = null
  #onUnwanted: (() => void) | null = null
  #isUnwanted = false
  #tap: Tap | null = null
  /** Runs while a handler goes on whose visitor has left. */
  #stopped: Timer | undefined
  #resolve: (head: ResponseHead) => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(response: ServerResponse) {
    this.#response = response
    const { writeHead, write, end, flushHeaders } = response
    // Typed by what is used of them: their overloads cannot be told apart when they are called with `this`.
    this.#before = { writeHead, write, end, flushHeaders } as Sender
    this.head = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.head.catch(() => undefined)
    response.writeHead = this.#own
    response.write = ((...args: unknown[]) => this.#write(args)) as ServerResponse['write']
    response.end = ((...args: unknown[]) => this.#end(args)) as ServerResponse['end']
    response.flushHeaders = () => this.#flushHeaders()
    response.once('close', () => this.#closed())
    this.#minds = departureOf(response)
  }

  /** Whether the handler has ended its answer. */
  get isOver(): boolean {
    return this.#ended
  }

  /** Calls back when it does. */
  whenOver(done: () => void): void {
    this.#onOver = done
  }

  /** Calls back when nothing will be stored of a body that is on its way; at once, where that is so already. */
  whenUnwanted(done: () => void): void {
    this.#onUnwanted = done
    if (this.#isUnwanted) done()
  }

  #giveUp(): void {
    this.#isUnwanted = true
    this.#onUnwanted?.()
  }

  /** The body, where the handler gave all of it at once; null: it comes in pieces. */
  get whole(): Uint8Array | null {
    if (!this.#ended) return null
    const [only, more] = this.#held
    if (more !== undefined) return null
    return only === undefined ? new Uint8Array() : bytesOf(only.chunk, only.encoding)
  }

  /** The body for the store, from its first byte. To be taken before `pass` or `swallow`. */
  tap(): ReadableStream<Uint8Array> {
    const tap = new Tap(() => {
      if (!this.#ended) this.#giveUp()
    })
    for (const { chunk, encoding } of this.#held) tap.feed(bytesOf(chunk, encoding))
    if (this.#broken !== null) tap.break(this.#broken)
    else if (this.#ended) tap.end()
    else this.#tap = tap
    return tap.stream
  }

  /** The visitor gets what the handler gives, with these fields beside its own. */
  pass(fields: HeaderList): void {
    this.#unpretend()
    this.#state = 'passing'
    const response = this.#response
    if (!response.headersSent) for (const [name, value] of fields) response.setHeader(name, value)
    if (this.#headArguments !== null) this.#before.writeHead.apply(response, besideOthers(this.#headArguments))
    const held = this.#held
    this.#held = []
    const last = this.#endedWithChunk ? held.pop() : undefined
    if (this.#flushed) this.#directly(() => this.#before.flushHeaders.call(response))
    for (const { chunk, encoding, done } of held) this.#passOn(chunk, encoding, done)
    if (this.#ended) this.#passEnd(last)
    else if (held.length > 0) this.#drain()
  }

  #passOn(chunk: Chunk, encoding: BufferEncoding | undefined, done: Callback | undefined): boolean {
    return this.#before.write.call(this.#response, chunk, encoding ?? 'utf8', done)
  }

  #passEnd(last: Given | undefined): void {
    this.#sendEnd({ chunk: last?.chunk, encoding: last?.encoding, done: this.#onEnd })
    for (const then of this.#afterwards.splice(0)) then()
  }

  #sendEnd({ chunk, encoding, done }: Given): void {
    this.#directly(() => {
      if (chunk === undefined) this.#before.end.call(this.#response, done)
      else this.#before.end.call(this.#response, chunk, encoding ?? 'utf8', done)
    })
  }

  /** The visitor gets nothing of it; what the handler still gives goes to the store, if there is a tap, or nowhere. */
  swallow(): void {
    this.#unpretend()
    this.#state = 'swallowing'
    this.#afterwards = []
    const held = this.#held
    this.#held = []
    // A handler that waits for its writes to be taken goes on, as it does with those that come later.
    for (const { done } of held) if (done !== undefined) queueMicrotask(done)
    if (this.#ended) this.#onEnd?.()
    else this.#drain()
  }

  /** Whoever waits may go on, when the store can take it where the answer is for nobody else. */
  #drain(): void {
    const go = (): void => void this.#response.emit('drain')
    if (this.#state === 'swallowing' && this.#tap !== null) this.#tap.whenRoom(go)
    else queueMicrotask(go)
  }

  /** The original methods, for sending something else. */
  get original(): Sender {
    const { writeHead, write, end, flushHeaders } = this.#before
    const direct =
      (method: (...args: never[]) => unknown) =>
      (...args: unknown[]): unknown =>
        this.#directly(() => Reflect.apply(method, this.#response, args))
    const all = {
      writeHead: direct(writeHead),
      write: direct(write),
      end: direct(end),
      flushHeaders: direct(flushHeaders),
    }
    return all as Sender
  }

  /** What an original method sends by way of another (those of HTTP/2 do) is not held, nor taken for the handler's. */
  #directly<T>(send: () => T): T {
    const outer = this.#direct
    this.#direct = true
    try {
      return send()
    } finally {
      this.#direct = outer
    }
  }

  #writeHead(args: unknown[]): ServerResponse {
    if (this.#state === 'passing' || this.#direct) return this.#before.writeHead.apply(this.#response, args)
    if (!this.#gotHead) this.#begin(args)
    else if (this.#pretence !== null)
      throw coded(new Error('Cannot write headers after they are sent to the client'), 'ERR_HTTP_HEADERS_SENT')
    return this.#response
  }

  #flushHeaders(): void {
    if (this.#state === 'passing' || this.#direct) return this.#before.flushHeaders.call(this.#response)
    this.#begin()
    this.#flushed = !this.#ended
  }

  #write(args: unknown[]): boolean {
    if (this.#direct) return Reflect.apply(this.#before.write, this.#response, args) as boolean
    if (this.#ended) return this.#writeLate(args)
    const held = writeArguments(args)
    // As node does: not of the first, with which the head is made.
    if (this.#gotHead) this.#checkLength(held, false)
    this.#begin()
    this.#feed(held)
    if (this.#state === 'passing') return this.#passOn(held.chunk, held.encoding, held.done)
    if (this.#state === 'swallowing') return this.#swallowed(held.done)
    this.#held.push(held)
    this.#heldBytes += held.chunk.length
    return this.#heldBytes < HOLD
  }

  /** Written for the store alone: as fast as that takes it. */
  #swallowed(done: Callback | undefined): boolean {
    const tap = this.#tap
    if (tap?.isFull !== true) {
      if (done !== undefined) queueMicrotask(done)
      return true
    }
    tap.whenRoom(() => {
      done?.()
      this.#response.emit('drain')
    })
    return false
  }

  #writeLate(args: unknown[]): boolean {
    const write = (): boolean => Reflect.apply(this.#before.write, this.#response, args) as boolean
    if (this.#state === 'passing') return write()
    const { done } = writeArguments(args)
    if (this.#state === 'holding' && !this.#isLate) this.#afterwards.push(write)
    else if (done !== undefined) queueMicrotask(() => done(late()))
    return false
  }

  #end(args: unknown[]): ServerResponse {
    if (this.#direct) return this.#before.end.apply(this.#response, args)
    if (this.#ended) return this.#endLate(args)
    const given = endArguments(args)
    const { chunk, encoding, done } = given
    this.#begin()
    this.#checkLength(given, true)
    this.#ended = true
    this.#endedWithChunk = chunk !== undefined
    clearTimeout(this.#stopped)
    // Broken off by the handler itself, and ended all the same.
    if (this.#state !== 'swallowing' && this.#isGone) this.breakOff(LEFT)
    if (chunk !== undefined) this.#feed({ chunk, encoding, done })
    // The tap may be there while the answer is still held: the end is for both.
    this.#tap?.end()
    this.#tap = null
    this.#onOver?.()
    if (this.#state === 'holding') {
      if (chunk !== undefined) this.#held.push({ chunk, encoding, done: undefined })
      this.#onEnd = done
      this.#holdEnd()
      return this.#response
    }
    if (this.#state !== 'swallowing') this.#sendEnd(given)
    else if (done !== undefined) queueMicrotask(done)
    return this.#response
  }

  #endLate(args: unknown[]): ServerResponse {
    const end = (): ServerResponse => this.#directly(() => this.#before.end.apply(this.#response, args))
    if (this.#state === 'passing') return end()
    const { done } = endArguments(args)
    if (this.#state === 'holding' && !this.#isLate) this.#afterwards.push(end)
    else if (done !== undefined) queueMicrotask(done)
    return this.#response
  }

  /** An answer that is whole is out, for node, before whatever is done to it or its connection next. */
  #holdEnd(): void {
    this.#pretence?.ended()
    queueMicrotask(() => (this.#isLate = true))
    this.#partAsEver = holdPartings(this.#response, (parting) => {
      if (this.#state !== 'holding') return false
      this.#afterwards.push(parting)
      return true
    })
  }

  /** @throws TypeError or RangeError for what node:http would refuse */
  #begin(args: unknown[] | null = null): void {
    if (this.#gotHead || (args === null && this.#beginAbove())) return
    const given = this.#state === 'holding' ? takeHead(this.#response, args ?? []) : (args ?? [])
    this.#headArguments = args === null ? null : given
    this.#gotHead = true
    // A framework that finds its visitor gone ends the response as it is: that is no answer.
    if (this.#isGone) this.#reject(new LeaderLeft(LEFT_BEFORE))
    else this.#resolve(headOf(this.#response, given))
    if (this.#state === 'holding') this.#pretence = pretend(this.#response)
  }

  /** As node does where no head was written: those who wait on top of us for the head (on-headers) are called before it is looked at. */
  #beginAbove(): boolean {
    const response = this.#response
    if (this.#state === 'holding' && response.writeHead !== this.#own) response.writeHead(response.statusCode)
    return this.#gotHead
  }

  #checkLength({ chunk, encoding }: Given, isAll: boolean): void {
    if (!this.#response.strictContentLength || this.#state !== 'holding') return
    const all = [...this.#held, ...(chunk === undefined ? [] : [{ chunk, encoding }])]
    const length = all.reduce((sum, each) => sum + bytesOf(each.chunk, each.encoding).length, 0)
    checkLength(this.#response, this.#headArguments ?? [], length, isAll)
  }

  #unpretend(): void {
    this.#pretence?.drop()
    this.#pretence = null
    this.#partAsEver()
  }

  /** Nobody wants the body but the visitor. */
  untap(): void {
    this.#tap = null
  }

  #feed({ chunk, encoding }: Held): void {
    if (this.#tap === null) return
    this.#tap.feed(bytesOf(chunk, encoding))
    if (!this.#tap.isOpen) this.#tap = null
    if (this.#stopped !== undefined) this.#waitOn()
  }

  /** What the handler gives is not whole, whether the store has begun with it or is about to. */
  breakOff(why: string = UNSENT): void {
    this.#broken = why
    this.#tap?.break(why)
    this.#tap = null
  }

  get #isGone(): boolean {
    const { destroyed, socket } = this.#response
    return destroyed || socket?.destroyed === true
  }

  #closed(): void {
    if (this.#ended) return
    if (!this.#gotHead) this.#reject(new LeaderLeft(LEFT_BEFORE))
    else if (this.#state === 'passing' && this.#tap?.isOpen && hasLeft(this.#response) && !this.#minds()) this.#goOn()
    else this.breakOff(LEFT)
  }

  /** Rule 4: from now on it writes for the store alone, until that wants no more. */
  #goOn(): void {
    this.#state = 'swallowing'
    this.#onUnwanted = () => this.#stop()
    this.#waitOn()
    this.#drain()
  }

  #waitOn(): void {
    clearTimeout(this.#stopped)
    this.#stopped = quietlyAfter(STOPPED, () => {
      this.breakOff(LEFT)
      this.#stop()
    })
  }

  /** Nobody wants any more of it: as without a cache. */
  #stop(): void {
    clearTimeout(this.#stopped)
    this.#stopped = undefined
    this.#state = 'passing'
  }
}
