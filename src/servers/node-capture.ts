/**
 * What a handler does to a node:http response, held back until the cache has decided what becomes of it.
 *
 * Rule 1: nothing is undone: our methods stay on the response and pass on to those that were there before, so that what others
 *   put on top of them, or had put underneath, goes on working (compression, logging).
 * Rule 2: what the handler gives is held for as long as the decision takes, a few microtasks; then it flows as if we were not there.
 * Rule 3: the store's copy is a copy: what the handler does to its buffers afterwards cannot be seen there.
 */
import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { LeaderLeft } from '../engine/single-flight.ts'
import type { HeaderLine, HeaderList, ResponseHead } from '../http/message.ts'
import { phraseOf } from './node-before.ts'

type Encoding = BufferEncoding
type Callback = (error?: Error | null) => void
type Given = string | Uint8Array

interface Held {
  readonly chunk: Given
  readonly encoding: Encoding | undefined
  readonly done: Callback | undefined
}

/** The methods of a response that send. */
export interface Sender {
  writeHead(this: ServerResponse, ...args: unknown[]): ServerResponse
  write(this: ServerResponse, chunk: Given, encoding?: Encoding, done?: Callback): boolean
  end(this: ServerResponse, ...args: unknown[]): ServerResponse
  flushHeaders(this: ServerResponse): void
}

const LEFT_BEFORE = 'the visitor left before the handler answered'

/** Bytes the store may be behind before it is given up. */
const MAX_BEHIND = 16 * 1024 * 1024

export class Capture {
  /** What the handler answers with, once it does; rejects when the visitor leaves before that. */
  readonly head: Promise<ResponseHead>
  readonly #response: ServerResponse
  readonly #before: Sender
  #state: 'holding' | 'passing' | 'swallowing' = 'holding'
  #direct = false
  #headArguments: unknown[] | null = null
  #gotHead = false
  #held: Held[] = []
  #heldBytes = 0
  #ended = false
  #flushed = false
  /** The status while the response pretends to be sent; null: it does not. */
  #status: number | null = null
  #onEnd: Callback | undefined
  #onOver: (() => void) | null = null
  #onUnwanted: (() => void) | null = null
  #isUnwanted = false
  #tap: ReadableStreamDefaultController<Uint8Array> | null = null
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
    response.writeHead = ((...args: unknown[]) => this.#writeHead(args)) as ServerResponse['writeHead']
    response.write = ((...args: unknown[]) => this.#write(args)) as ServerResponse['write']
    response.end = ((...args: unknown[]) => this.#end(args)) as ServerResponse['end']
    response.flushHeaders = () => this.#flushHeaders()
    response.once('close', () => this.#closed())
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
    const held = this.#held.map(({ chunk, encoding }) => new Uint8Array(bytesOf(chunk, encoding)))
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          for (const chunk of held) if (chunk.length > 0) controller.enqueue(chunk)
          if (this.#ended) controller.close()
          else this.#tap = controller
        },
        cancel: () => {
          this.#tap = null
          if (!this.#ended) this.#giveUp()
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
    )
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
    const last = this.#ended ? held.pop() : undefined
    for (const { chunk, encoding, done } of held) this.#passOn(chunk, encoding, done)
    if (this.#flushed && !this.#ended) this.#directly(() => this.#before.flushHeaders.call(response))
    if (this.#ended) this.#passEnd(last)
    else if (held.length > 0) queueMicrotask(() => response.emit('drain'))
  }

  #passOn(chunk: Given, encoding: Encoding | undefined, done: Callback | undefined): boolean {
    return this.#before.write.call(this.#response, chunk, encoding ?? 'utf8', done)
  }

  #passEnd(last: Held | undefined): void {
    const done = (): void => {
      last?.done?.()
      this.#onEnd?.()
    }
    this.#directly(() => {
      if (last === undefined) this.#before.end.call(this.#response, done)
      else this.#before.end.call(this.#response, last.chunk, last.encoding ?? 'utf8', done)
    })
  }

  /** The visitor gets nothing of it; what the handler still gives goes to the store, if there is a tap, or nowhere. */
  swallow(): void {
    this.#unpretend()
    this.#state = 'swallowing'
    const held = this.#held
    this.#held = []
    // A handler that waits for its writes to be taken goes on, as it does with those that come later.
    for (const { done } of held) if (done !== undefined) queueMicrotask(done)
    if (this.#ended) this.#onEnd?.()
    else queueMicrotask(() => this.#response.emit('drain'))
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
    if (!this.#gotHead) {
      this.#headArguments = args
      this.#begin()
    }
    return this.#response
  }

  #flushHeaders(): void {
    if (this.#state === 'passing' || this.#direct) return this.#before.flushHeaders.call(this.#response)
    this.#flushed = true
    this.#begin()
  }

  #write(args: unknown[]): boolean {
    const given = parse(args)
    if (given.chunk === undefined) return true
    if (this.#direct) return this.#before.write.call(this.#response, given.chunk, given.encoding ?? 'utf8', given.done)
    const held = { ...given, chunk: given.chunk }
    if (this.#ended) return false
    this.#begin()
    this.#feed(held)
    if (this.#state === 'passing') return this.#passOn(held.chunk, held.encoding, held.done)
    if (this.#state === 'swallowing') {
      if (held.done !== undefined) queueMicrotask(held.done)
      return true
    }
    this.#held.push(held)
    this.#heldBytes += held.chunk.length
    return this.#heldBytes < 65_536
  }

  #end(args: unknown[]): ServerResponse {
    if (this.#direct) return this.#before.end.apply(this.#response, args)
    if (this.#ended) return this.#response
    const { chunk, encoding, done } = parse(args)
    this.#ended = true
    if (chunk !== undefined) this.#feed({ chunk, encoding, done })
    // The tap may be there while the answer is still held: the end is for both.
    this.#endTap()
    this.#onOver?.()
    if (this.#state === 'holding') {
      if (chunk !== undefined) this.#held.push({ chunk, encoding, done: undefined })
      this.#onEnd = done
      this.#begin()
      return this.#response
    }
    if (this.#state === 'swallowing') {
      if (done !== undefined) queueMicrotask(done)
    } else
      this.#directly(() => {
        if (chunk === undefined) this.#before.end.call(this.#response, done)
        else this.#before.end.call(this.#response, chunk, encoding ?? 'utf8', done)
      })
    return this.#response
  }

  #begin(): void {
    if (this.#gotHead) return
    this.#gotHead = true
    // A framework that finds its visitor gone ends the response as it is: that is no answer.
    if (this.#response.socket?.destroyed) this.#reject(new LeaderLeft(LEFT_BEFORE))
    else this.#resolve(headOf(this.#response, this.#headArguments ?? []))
    this.#pretend()
  }

  /** To the handler, what it has answered with is sent: an error that comes after it must not change what is being held. */
  #pretend(): void {
    const response = this.#response
    if (this.#state !== 'holding' || Object.hasOwn(response, 'headersSent')) return
    this.#status = response.statusCode
    Object.defineProperty(response, 'headersSent', { get: () => true, configurable: true })
    Object.defineProperty(response, 'writableEnded', { get: () => this.#ended, configurable: true })
  }

  #unpretend(): void {
    if (this.#status === null) return
    Reflect.deleteProperty(this.#response, 'headersSent')
    Reflect.deleteProperty(this.#response, 'writableEnded')
    this.#response.statusCode = this.#status
    this.#status = null
  }

  /** Nobody wants the body but the visitor. */
  untap(): void {
    this.#tap = null
  }

  #feed({ chunk, encoding }: Held): void {
    if (this.#tap === null) return
    const bytes = bytesOf(chunk, encoding)
    // Not slice(): that of a Buffer shares its memory.
    if (bytes.length > 0) this.#tap.enqueue(new Uint8Array(bytes))
    if ((this.#tap.desiredSize ?? 0) >= -MAX_BEHIND) return
    this.#breakTap('the store is too slow for this response')
    // Not in the middle of a write of the handler's.
    queueMicrotask(() => this.#giveUp())
  }

  #endTap(): void {
    this.#tap?.close()
    this.#tap = null
  }

  #breakTap(why: string): void {
    this.#tap?.error(new Error(why))
    this.#tap = null
  }

  #closed(): void {
    if (this.#ended) return
    this.#breakTap('the visitor left before the response was whole')
    if (!this.#gotHead) this.#reject(new LeaderLeft(LEFT_BEFORE))
  }
}

function parse(args: unknown[]): {
  chunk: Given | undefined
  encoding: Encoding | undefined
  done: Callback | undefined
} {
  const done = args.find((arg) => typeof arg === 'function') as Callback | undefined
  const [chunk, encoding] = args
  return {
    chunk: typeof chunk === 'string' || chunk instanceof Uint8Array ? chunk : undefined,
    encoding: typeof chunk === 'string' && typeof encoding === 'string' ? (encoding as Encoding) : undefined,
    done,
  }
}

function bytesOf(chunk: Given, encoding: Encoding | undefined): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding ?? 'utf8') : chunk
}

type Fields = OutgoingHttpHeaders | readonly OutgoingHttpHeader[]

/** Status and fields as they will be sent: those set one by one, and over them those given to writeHead. */
function headOf(response: ServerResponse, [status, second, third]: unknown[]): ResponseHead {
  const headers = linesOf(response.getHeaders())
  const given = (typeof second === 'string' ? third : second) as Fields | undefined | null
  const more = given === undefined || given === null ? [] : linesOf(given)
  const replaced = new Set(more.map(([name]) => name))
  return {
    status: typeof status === 'number' ? status : response.statusCode,
    statusText: typeof second === 'string' ? second : phraseOf(response),
    headers: more.length === 0 ? headers : [...headers.filter(([name]) => !replaced.has(name)), ...more],
  }
}

/** node:http takes pairs only where no field was set one by one: names and values in turn it always takes. */
function besideOthers(args: unknown[]): unknown[] {
  return args.map((arg) => (Array.isArray(arg) && Array.isArray(arg[0]) ? linesOf(arg as Fields).flat() : arg))
}

/** A field among the arguments of writeHead. */
export function givenField([, second, third]: readonly unknown[], wanted: string): unknown {
  const given = typeof second === 'string' ? third : second
  if (typeof given !== 'object' || given === null) return undefined
  if (Array.isArray(given)) return linesOf(given).find(([name]) => name === wanted)?.[1]
  for (const name in given) {
    if (name.length === wanted.length && name.toLowerCase() === wanted) return (given as OutgoingHttpHeaders)[name]
  }
  return undefined
}

/** Header lines of what node:http takes: an object, a flat array, or an array of pairs. */
export function linesOf(fields: Fields): HeaderLine[] {
  if (!Array.isArray(fields)) return Object.entries(fields).flatMap(([name, value]) => lines(name, value))
  if (Array.isArray(fields[0])) return (fields as [string, OutgoingHttpHeader][]).flatMap(([n, v]) => lines(n, v))
  const all: HeaderLine[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) all.push(...lines(String(fields[at]), fields[at + 1]))
  return all
}

function lines(name: string, value: OutgoingHttpHeader | undefined): HeaderLine[] {
  if (value === undefined) return []
  const lower = name.toLowerCase()
  return Array.isArray(value) ? value.map((one): HeaderLine => [lower, one]) : [[lower, String(value)]]
}
