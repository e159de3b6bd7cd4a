/**
 * The Response a caller gets: a genuine one to every user of the Fetch API, made of a reply without making anything yet.
 *
 * Rule 1: `new Response()` costs more than a whole hit, so no native Response, Headers or stream exists until somebody asks:
 *         this class has Response.prototype above it, but never runs Response's constructor.
 * Rule 2: once `body` or `clone()` of a live body is asked for, a native Response takes over everything about the body.
 * Rule 3: bytes handed out are copies: no caller can change what the next one gets (RELIABILITY 70).
 */
import { copyOf, inlineBody, overBy } from '../engine/bytes.ts'
import { whenDropped, type Watch } from '../engine/dropped.ts'
import { currentAge } from '../policy/age.ts'
import { REASONS, type Explanation } from '../policy/reasons.ts'
import type { CacheOutcome, Reply, ReplyBody } from '../engine/exchange.ts'
import { freshUntil } from '../policy/freshness.ts'
import { isPromise } from '../engine/maybe.ts'
import { StoredReplyBody } from '../engine/reply.ts'
import { NEVER, type MaybePromise } from '../engine/ports.ts'

/** A Response with what requests-cache users look for on it. */
export interface CachedResponse extends Response {
  /** Answered from the store: a hit, a stale answer, or one the origin has just confirmed by a 304. */
  readonly fromCache: boolean
  /** When the entry behind it was received from the origin; undefined where nothing is stored. */
  readonly createdAt: Date | undefined
  /** When the entry behind it stops being fresh; undefined where nothing is stored, or where it never does. */
  readonly expiresAt: Date | undefined
  /** Whether the entry behind it is past `expiresAt` now. */
  readonly isExpired: boolean
  /** This very call asked the origin, which answered 304. */
  readonly revalidated: boolean
  /** The key of the entry behind it; undefined where nothing is stored. */
  readonly cacheKey: string | undefined
  /** The redirects that led here, first to last; each is a response of its own, cached by its own rules. */
  readonly history: readonly CachedResponse[]
  clone(): CachedResponse
}

/** Why a response is what it is: what cacheInfo() returns. */
export interface CacheInfo {
  /** RFC 9211's word for what happened: `hit`, or why the request was forwarded. */
  readonly outcome: CacheOutcome
  /** The literal reason of the decision, for programs. */
  readonly reason: string
  /** The reason as a sentence, with the section of the RFC that decided. */
  readonly explain: Explanation
  readonly fromCache: boolean
  readonly revalidated: boolean
  /** Another request's exchange with the origin was shared. */
  readonly collapsed: boolean
  /** Whether the response is, or is being, stored. */
  readonly stored: boolean
  /** Why it is not stored; undefined while it is. */
  readonly refused: string | undefined
  readonly key: string | undefined
  /** Age in seconds when the response was handed out; undefined where nothing is stored. */
  readonly age: number | undefined
  /** Seconds of freshness left when it was handed out, negative once stale; undefined where nothing is stored. */
  readonly ttl: number | undefined
  readonly createdAt: Date | undefined
  readonly expiresAt: Date | undefined
  /** Bytes of the body; undefined while that is not known. */
  readonly size: number | undefined
  /** Seconds the origin took to answer when the entry was fetched or last validated; undefined where nothing is stored. */
  readonly elapsed: number | undefined
  readonly tags: readonly string[]
}

const UNUSABLE = 'Body is unusable: Body has already been read'

const decoder = new TextDecoder()

/** What console.log of Node.js, Deno and Bun asks an object for. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** The connection of a body whose response is collected unread is freed (RELIABILITY 14). A function of its own: hits make nothing of it. */
function watched(response: object, body: ReplyBody): Watch {
  return whenDropped(response, () => body.leave(undefined))
}

export class LazyResponse implements CachedResponse {
  readonly #reply: Reply
  readonly #url: string
  readonly #history: readonly CachedResponse[]
  readonly #now: () => number
  #headers: Headers | null = null
  #native: Response | null = null
  #used = false
  #watch: Watch | null = null

  constructor(
    reply: Reply,
    url: string,
    history: readonly CachedResponse[],
    now: () => number,
    native: Response | null = null,
  ) {
    this.#reply = reply
    this.#url = url
    this.#history = history
    this.#now = now
    this.#native = native
    // A clone has one of the two streams of it: both are read from one that is looked after (live-body.ts, passing-body.ts).
    if (native !== null || reply.info.fromCache) return
    if (reply.body !== null) this.#watch = watched(this, reply.body)
  }

  get status(): number {
    return this.#reply.head.status
  }

  get statusText(): string {
    return this.#reply.head.statusText
  }

  get ok(): boolean {
    const { status } = this
    return status >= 200 && status <= 299
  }

  get url(): string {
    return this.#url
  }

  get redirected(): boolean {
    return this.#history.length > 0
  }

  get type(): 'basic' {
    return 'basic'
  }

  get headers(): Headers {
    return (this.#headers ??= new Headers(this.#reply.head.headers as [string, string][]))
  }

  get body(): Response['body'] {
    // What fetch itself has answered (client.ts) has its body there alone.
    if (this.#reply.body === null) return this.#native?.body ?? null
    return this.#materialise().body
  }

  get bodyUsed(): boolean {
    return this.#used || (this.#native?.bodyUsed ?? false)
  }

  #materialise(): Response {
    if (this.#native) return this.#native
    const { body } = this.#reply
    const stream = body === null ? null : this.#used ? new ReadableStream<Uint8Array>() : body.stream()
    // Whoever reads the body sees to it from here on.
    this.#watch?.end()
    this.#native = new Response(stream, { headers: this.headers })
    // A body already read by text() and its like shows as a locked stream; no Response can be made of one that is locked before.
    if (this.#used) this.#native.body?.getReader()
    return this.#native
  }

  clone(): CachedResponse {
    if (this.bodyUsed) throw new TypeError('Response.clone: Body has already been consumed.')
    const { body } = this.#reply
    const shared = this.#native === null && (body === null || body.repeatable)
    const native = shared ? null : this.#materialise().clone()
    return new LazyResponse(this.#reply, this.#url, this.#history, this.#now, native)
  }

  /** The body's bytes, at once where they are at hand. They are the store's, too: every caller below copies or decodes them. */
  #read(): MaybePromise<Uint8Array> {
    if (this.#used) throw new TypeError(UNUSABLE)
    const { body } = this.#reply
    if (body === null) return new Uint8Array()
    this.#used = true
    if (body.bytes !== null) {
      const over = overBy(body.signal ?? null)
      if (over !== null) throw over.error
      return body.bytes
    }
    this.#watch?.end()
    return body.read()
  }

  async text(): Promise<string> {
    if (this.#native) return this.#native.text()
    const bytes = this.#read()
    return decoder.decode(isPromise(bytes) ? await bytes : bytes)
  }

  async json(): Promise<unknown> {
    if (this.#native) return this.#native.json()
    const bytes = this.#read()
    return JSON.parse(decoder.decode(isPromise(bytes) ? await bytes : bytes))
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    if (this.#native) return this.#native.arrayBuffer()
    const bytes = this.#read()
    return copyOf(isPromise(bytes) ? await bytes : bytes).buffer
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#native) return new Uint8Array(await this.#native.arrayBuffer())
    return copyOf(await this.#read())
  }

  async blob(): Promise<Blob> {
    if (this.#native) return this.#native.blob()
    const bytes = (await this.#read()) as Uint8Array<ArrayBuffer>
    // Its type is the MIME type as the Fetch standard writes it, not the field.
    return new Response(bytes, { headers: this.headers }).blob()
  }

  async formData(): Promise<FormData> {
    if (this.#native) return this.#native.formData()
    const bytes = (await this.#read()) as Uint8Array<ArrayBuffer>
    return new Response(bytes, { headers: this.headers }).formData()
  }

  get fromCache(): boolean {
    return this.#reply.info.fromCache
  }

  get createdAt(): Date | undefined {
    const meta = this.#entryMeta()
    return meta ? new Date(meta.responseTime) : undefined
  }

  get expiresAt(): Date | undefined {
    const meta = this.#entryMeta()
    if (!meta) return undefined
    const at = freshUntil(meta)
    return at >= NEVER ? undefined : new Date(at)
  }

  get isExpired(): boolean {
    const { expiresAt } = this
    return expiresAt !== undefined && expiresAt.getTime() <= this.#now()
  }

  get revalidated(): boolean {
    return this.#reply.info.revalidated
  }

  get cacheKey(): string | undefined {
    return this.#entryMeta()?.key
  }

  get history(): readonly CachedResponse[] {
    return this.#history
  }

  #entryMeta(): Reply['info']['meta'] {
    const { info } = this.#reply
    return info.stored ? info.meta : null
  }

  /** The response with these bytes for a body, unread. */
  static withBody(response: CachedResponse, bytes: Uint8Array): CachedResponse {
    if (!(response instanceof LazyResponse)) throw new TypeError('a response that no cached fetch has made')
    const { head, info } = response.#reply
    const body = new StoredReplyBody(inlineBody(bytes), 0, bytes.length, null)
    return new LazyResponse({ head, body, info }, response.#url, response.#history, response.#now)
  }

  /** The facts behind this response; see cacheInfo(). */
  static infoOf(response: LazyResponse): CacheInfo {
    const { info } = response.#reply
    const meta = response.#entryMeta()
    const at = meta ? freshUntil(meta) : 0
    return {
      outcome: info.outcome,
      reason: info.reason,
      explain: explain(info.reason),
      fromCache: info.fromCache,
      revalidated: info.revalidated,
      collapsed: info.collapsed,
      stored: info.stored,
      refused: info.refused ?? undefined,
      key: meta?.key ?? info.key ?? undefined,
      age: meta ? currentAge(meta, info.now) : undefined,
      ttl: meta ? (at >= NEVER ? Infinity : (at - info.now) / 1000) : undefined,
      createdAt: response.createdAt,
      expiresAt: response.expiresAt,
      size: response.#reply.body === null ? 0 : (response.#reply.body.size ?? undefined),
      elapsed: meta ? (meta.responseTime - meta.requestTime) / 1000 : undefined,
      tags: meta?.tags ?? [],
    }
  }
}

Object.setPrototypeOf(LazyResponse.prototype, Response.prototype)
Object.setPrototypeOf(LazyResponse, Response)
Object.defineProperty(LazyResponse.prototype, INSPECT, { value: shown, writable: true, configurable: true })

/** As console.log shows it: what a Response shows and what the cache knows; the body stays as it is. */
function shown(
  this: LazyResponse,
  _depth: number,
  options: object,
  inspect: (value: unknown, options: object) => string,
): string {
  const { status, statusText, url, redirected, bodyUsed, headers } = this
  const { fromCache, revalidated, isExpired, createdAt, expiresAt, cacheKey } = this
  const plain = { status, statusText, url, redirected, bodyUsed, headers }
  return `Response ${inspect({ ...plain, fromCache, revalidated, isExpired, createdAt, expiresAt, cacheKey }, options)}`
}

function explain(reason: string): Explanation {
  return (REASONS as Readonly<Record<string, Explanation>>)[reason] ?? { sentence: reason, rfc: null }
}

/**
 * Everything the cache knows about a response of ours, hit or miss; undefined for any other Response
 * (also for one made from ours by `new Response(res.body, res)`).
 *
 * @example
 * ```ts
 * import { cacheInfo, createCachedFetch } from 'keepfresh'
 *
 * const fetch = createCachedFetch()
 * console.log(cacheInfo(await fetch('https://api.example.com/x'))?.outcome) // 'uri-miss'
 * console.log(cacheInfo(await fetch('https://api.example.com/x'))?.outcome) // 'hit'
 * ```
 */
export function cacheInfo(response: Response): CacheInfo | undefined {
  return response instanceof LazyResponse ? LazyResponse.infoOf(response) : undefined
}
