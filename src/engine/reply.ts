/**
 * Replies made from stored entries. A hit makes one small object here; heads, headers and bodies are made when somebody asks.
 */
import { formatContentRange } from '../http/range.ts'
import type { HeaderLine, HeaderList, ResponseHead } from '../http/message.ts'
import { currentAge } from '../policy/age.ts'
import { cacheStatus } from '../policy/cache-status.ts'
import type { Answer, ResponseMeta } from '../policy/decision.ts'
import { abortable } from './abortable.ts'
import { concat, overBy, ownOf, streamOf } from './bytes.ts'
import type { CacheOutcome, Exchange, Reply, ReplyBody, ReplyInfo } from './exchange.ts'
import type { StoredEntry } from './ports.ts'

/** An entry that holds a response. */
export interface ResponseEntry extends StoredEntry {
  readonly meta: ResponseMeta
}

export const WHOLE: Answer = Object.freeze({ kind: 'whole' })

/** Statuses without a body (RFC 9110 section 6.4.1; the Fetch standard's null body statuses). */
const NULL_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || NULL_BODY.has(status)
}

/** What made a stored reply, besides the entry. */
export interface StoredReplyFacts {
  readonly outcome: CacheOutcome
  readonly reason: string
  readonly answer: Answer
  readonly revalidated: boolean
  readonly collapsed: boolean
  /** Cache-Status name, or null. */
  readonly cacheStatus: string | null
  /** No body goes with it: the request was a HEAD. */
  readonly headOnly: boolean
  /** Ends a body that takes a while to read, as it ends one from the network. */
  readonly signal: AbortSignal | null
  /** The origin's status that this reply took the place of; null: it could not be reached. Absent: it was not asked in vain. */
  readonly failure?: number | null
}

export const PLAIN_HIT: StoredReplyFacts = Object.freeze({
  outcome: 'hit',
  reason: 'fresh',
  answer: WHOLE,
  revalidated: false,
  collapsed: false,
  cacheStatus: null,
  headOnly: false,
  signal: null,
})

/** The facts of a reply to a request: those of a plain hit, but for what the request and `facts` say. */
export function storedFacts(
  { effective, request, signal }: Exchange,
  facts: Partial<StoredReplyFacts>,
): StoredReplyFacts {
  return { ...PLAIN_HIT, cacheStatus: effective.cacheStatus, headOnly: request.method === 'HEAD', signal, ...facts }
}

/** Called when a stored body turns out to be unreadable. */
export type BodyFailure = (error: unknown) => void

export class StoredReply implements Reply {
  readonly entry: ResponseEntry
  readonly facts: StoredReplyFacts
  readonly now: number
  readonly #onFailure: BodyFailure | null
  #head: ResponseHead | null = null
  #body: ReplyBody | null | undefined = undefined

  constructor(entry: ResponseEntry, facts: StoredReplyFacts, now: number, onFailure: BodyFailure | null) {
    this.entry = entry
    this.facts = facts
    this.now = now
    this.#onFailure = onFailure
  }

  get status(): number {
    const { answer } = this.facts
    if (answer.kind === 'whole') return this.entry.meta.status
    return answer.kind === 'range' ? 206 : answer.kind === 'not-modified' ? 304 : 416
  }

  get head(): ResponseHead {
    return (this.#head ??= this.#makeHead())
  }

  get body(): ReplyBody | null {
    return this.#body === undefined ? (this.#body = this.#makeBody()) : this.#body
  }

  get info(): ReplyInfo {
    const { outcome, reason, revalidated, collapsed } = this.facts
    const { meta } = this.entry
    return {
      outcome,
      reason,
      key: meta.key,
      fromCache: true,
      revalidated,
      collapsed,
      stored: true,
      refused: null,
      meta,
      now: this.now,
    }
  }

  #makeHead(): ResponseHead {
    const { meta } = this.entry
    const { answer } = this.facts
    const headers = this.#withAge(answerHeaders(meta.headers, answer))
    const statusText = answer.kind === 'whole' ? meta.statusText : STATUS_TEXT[answer.kind]
    const head = { status: this.status, statusText, headers }
    const { cacheStatus: name, failure } = this.facts
    if (name === null) return head
    const value = cacheStatus(name, { ...this.info, failure }, ttlOf(this.entry, this.now))
    return { ...head, headers: appended(headers, 'cache-status', value) }
  }

  /** RFC 9111 section 5.1: Age goes with what was not generated or validated by the origin for this request. */
  #withAge(headers: HeaderList): HeaderList {
    if (this.facts.revalidated) return headers
    const age = String(Math.floor(currentAge(this.entry.meta, this.now)))
    const at = headers.findIndex(([name]) => name === 'age')
    if (at < 0) return [...headers, ['age', age]]
    return headers
      .filter(([name], index) => name !== 'age' || index === at)
      .map((line) => (line[0] === 'age' ? ['age', age] : line))
  }

  #makeBody(): ReplyBody | null {
    const { body } = this.entry
    const { answer, headOnly, signal } = this.facts
    if (headOnly || answer.kind === 'not-modified' || answer.kind === 'range-not-satisfiable') return null
    if (NULL_BODY.has(this.status)) return null
    const start = answer.kind === 'whole' ? 0 : answer.offset
    const end = answer.kind === 'whole' ? body.size : start + answer.last - answer.first + 1
    return new StoredReplyBody(body, start, end, this.#onFailure, signal)
  }
}

const OF_THE_STORED: ReadonlySet<string> = new Set(['cache-control', 'cdn-cache-control', 'expires', 'pragma'])

const STATUS_TEXT = {
  'not-modified': 'Not Modified',
  range: 'Partial Content',
  'range-not-satisfiable': 'Range Not Satisfiable',
} as const

function answerHeaders(headers: HeaderList, answer: Answer): HeaderList {
  switch (answer.kind) {
    case 'whole':
      return headers
    case 'not-modified':
      // RFC 9110 section 15.4.5: no metadata of a representation that is not sent.
      return headers.filter(([name]) => !name.startsWith('content-') || name === 'content-location')
    case 'range':
      return [
        ...headers.filter(([name]) => name !== 'content-length' && name !== 'content-range'),
        ['content-range', formatContentRange(answer.first, answer.last, answer.total)],
        ['content-length', String(answer.last - answer.first + 1)],
      ]
    case 'range-not-satisfiable':
      return [
        // What was said of the representation, and for how long it may be kept, was not said of this.
        ...headers.filter(([name]) => !name.startsWith('content-') && !OF_THE_STORED.has(name)),
        ['content-range', `bytes */${answer.total}`],
        ['content-length', '0'],
      ]
    default:
      throw answer satisfies never
  }
}

export function appended(headers: HeaderList, name: string, value: string): HeaderList {
  return [...headers, [name, value] satisfies HeaderLine]
}

/** Seconds of freshness left; negative once stale. */
export function ttlOf(entry: StoredEntry, now: number): number {
  return Math.floor((entry.expiresAt - now) / 1000)
}

/** The body of a stored entry, or a part of it; may be opened again and again. */
export class StoredReplyBody implements ReplyBody {
  readonly bytes: Uint8Array | null
  readonly size: number
  readonly repeatable: true = true
  readonly #body: StoredEntry['body']
  readonly #start: number
  readonly #onFailure: BodyFailure | null
  readonly signal: AbortSignal | null
  /** A stream whose first chunk is known to be readable (RELIABILITY 41). */
  #opened: ReadableStream<Uint8Array> | null = null

  constructor(
    body: StoredEntry['body'],
    start: number,
    end: number,
    onFailure: BodyFailure | null,
    signal: AbortSignal | null = null,
  ) {
    this.signal = signal
    this.#body = body
    this.#start = start
    this.size = end - start
    this.bytes = body.bytes === null ? null : this.size === body.size ? body.bytes : body.bytes.subarray(start, end)
    this.#onFailure = onFailure
  }

  /** Reads the first chunk of a body that is not at hand, so that a reply is only made of what can be read. */
  async probe(): Promise<void> {
    if (this.bytes !== null || this.size === 0) return
    const reader = this.#body.open(this.#start, this.#start + this.size).getReader()
    const first = await reader.read()
    if (first.done) throw new Error('a stored body is not there')
    this.#opened = watched(reader, first, this.size, this.#onFailure)
  }

  /** Nobody reads it: what the probe opened is closed. */
  leave(): void {
    const opened = this.#opened
    this.#opened = null
    // Its store may be gone: there is nothing left to tell.
    opened?.cancel().catch(() => undefined)
  }

  async read(): Promise<Uint8Array> {
    const over = overBy(this.signal)
    if (over !== null) throw over.error
    if (this.bytes !== null) return this.bytes
    const reader = this.stream().getReader()
    const chunks: Uint8Array[] = []
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return concat(chunks, this.size)
      chunks.push(value)
    }
  }

  stream(): ReadableStream<Uint8Array> {
    if (this.bytes !== null) return streamOf(this.bytes, this.signal)
    const stream = this.#opened ?? this.#open()
    this.#opened = null
    return this.signal === null ? stream : abortable(stream, this.signal)
  }

  #open(): ReadableStream<Uint8Array> {
    const reader = this.#body.open(this.#start, this.#start + this.size).getReader()
    return watched(reader, null, this.size, this.#onFailure)
  }
}

/** Passes a stored stream on, reporting where it breaks and never ending it short (RELIABILITY I2). */
function watched(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  first: { done: boolean; value?: Uint8Array | undefined } | null,
  size: number,
  onFailure: BodyFailure | null,
): ReadableStream<Uint8Array> {
  let left = size
  let ahead = first
  return new ReadableStream({
    type: 'bytes',
    async pull(controller) {
      try {
        const { done, value } = ahead ?? (await reader.read())
        ahead = null
        if (done || value === undefined) {
          if (left !== 0) throw new Error(`a stored body ended ${left} bytes short`)
        } else {
          left -= value.length
          // Enqueuing transfers the buffer: what others may hold a part of goes as a copy.
          controller.enqueue(ownOf(value))
        }
        if (left === 0) {
          // All of it is here: a source that has something to close behind its end is told that nobody comes for that.
          reader.cancel().catch(() => undefined)
          controller.close()
          controller.byobRequest?.respond(0)
        }
      } catch (error) {
        onFailure?.(error)
        throw error
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
}
