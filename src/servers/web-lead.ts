/**
 * A visitor of a Fetch handler whose handler may run: what the engine is given of its response, and what the visitor gets in the end.
 * The rules are those of web-gate.ts.
 */
import type { AlreadyRead } from '../engine/engine.ts'
import type { Reply, ReplyInfo } from '../engine/exchange.ts'
import { LiveBody } from '../engine/live-body.ts'
import type { OriginResponse } from '../engine/ports.ts'
import { StoredReply } from '../engine/reply.ts'
import { LeaderLeft } from '../engine/single-flight.ts'
import type { HeaderLine, RequestHead, ResponseHead } from '../http/message.ts'
import { answered, refusesByItself } from './answering.ts'
import { conditionsOf, etagOf } from './etag.ts'
import { isPersonal, refreshed, UNSAFE } from './gate.ts'
import type { ServerCache } from './server-cache.ts'
import { answerWith, dressed, keepWhole } from './web-answer.ts'
import { bytesFrom, noted, peek, shared, type Peeked } from './web-body.ts'
import { headOf, isBodiless, ownResponse, storedResponse, type Body } from './web-reply.ts'
import { announced, enclose, mayBeShared, type Visit, type WebVisit } from './web-visit.ts'
import { forRefresh, headOfRequest, withConditions, withoutConditions } from './web-request.ts'

/** The handler's own failure, told from ours. */
class HandlerFailed extends Error {
  override readonly name: 'HandlerFailed' = 'HandlerFailed'
}

/** A handler's response as the engine sees it. */
interface Made {
  readonly head: ResponseHead
  /** Null: none, or none that could be kept, which nobody has touched then. */
  readonly body: ReadableStream<Uint8Array> | null
  /** All of the body, where the handler gave it at once. */
  readonly whole: Uint8Array<ArrayBuffer> | null
  /** Somebody is known to have asked. */
  readonly personal: boolean
  /** Whether the response's own body was read from: `body` takes its place. */
  readonly touched: boolean
  /** There is nothing more to keep the runtime alive for. */
  readonly over: () => void
}

const nothing = (): void => undefined

export class WebLead {
  readonly #cache: ServerCache
  readonly #visit: Visit
  /** What the handler gave; null: it was not asked. */
  #own: Response | null = null
  /** What the engine was given of it. */
  #made: Made | null = null
  /** What it threw instead. */
  #failure: HandlerFailed | null = null
  /** Why what is stored is going to be refreshed; null: it is not. */
  #refreshes: 'stale' | 'refresh-ahead' | null = null
  /** What a visitor gets who has to wait for a refresh; null: what is stored. */
  readonly #waited = Promise.withResolvers<Response | null>()

  constructor(cache: ServerCache, visit: Visit) {
    this.#cache = cache
    this.#visit = visit
  }

  async start(key: string, found?: AlreadyRead): Promise<Response> {
    const { of, address, client } = this.#visit
    const { again, request } = of
    const ask = (sent: RequestHead): Promise<OriginResponse> => this.#ask(sent)
    const exchange = this.#cache.exchange(headOfRequest(request, address.url), key, this.#visit, ask, {
      once: of.once ?? false,
      refreshOrigin: (sent: RequestHead) => (again === null ? this.#refreshAndWait() : this.#refresh(again, sent)),
      refreshExpected: (reason) => (this.#refreshes = reason),
      refreshSkipped: () => this.#waited.resolve(null),
    })
    try {
      return await this.#replied(await client.engine.handle(exchange, found))
    } catch (error) {
      // Also that of another visitor whose answer was to be shared.
      if (error instanceof HandlerFailed || (error instanceof LeaderLeft && request.signal.aborted))
        throw error.cause ?? error
      this.#cache.report(error)
      if (this.#own === null) return of.run(request, false)
      return this.#made?.touched ? dressed(this.#own, this.#made.whole ?? this.#made.body, []) : this.#own
    }
  }

  /** Runs the handler for this visitor, and for those who wait for the same. */
  async #ask(sent: RequestHead): Promise<OriginResponse> {
    const { request } = this.#visit.of
    try {
      this.#own = await this.#run(UNSAFE.test(request.method) ? request : withConditions(request, sent))
      this.#made = await this.#make(this.#own, sent)
      return offeredOf(this.#made)
    } catch (error) {
      if (error instanceof HandlerFailed) this.#failure = error
      throw error
    }
  }

  async #run(given: Request): Promise<Response> {
    const { of } = this.#visit
    const { request } = of
    enclose(given, this.#visit)
    try {
      return checked(await of.run(given, true))
    } catch (error) {
      if (request.signal.aborted) throw new LeaderLeft('the visitor left', { cause: error })
      throw new HandlerFailed('the handler failed', { cause: error })
    }
  }

  /** Runs the handler once more for an answer that nobody waits for. */
  async #refresh(again: NonNullable<WebVisit['again']>, sent: RequestHead): Promise<OriginResponse> {
    const { of } = this.#visit
    const work = Promise.withResolvers<void>()
    of.waitUntil?.(work.promise)
    try {
      const request = forRefresh(of.request, sent)
      enclose(request, this.#visit)
      const own = checked(await refreshed(Promise.resolve(again(request, false)), nothing))
      const made = await this.#make(own, sent)
      if (made.body === null) await own.body?.cancel()
      return offeredOf(made)
    } catch (error) {
      this.#unheard(error)
      throw error
    } finally {
      work.resolve()
    }
  }

  /** It cannot run behind the visitor's back: who finds the stale answer waits, and gets the new one unless it is an error. */
  async #refreshAndWait(): Promise<OriginResponse> {
    try {
      // The visitor is to get the whole.
      const own = await this.#run(withoutConditions(this.#visit.of.request))
      const made = await this.#make(own)
      const { head, body, whole } = made
      if (head.status >= 500) {
        void own.body?.cancel()
        this.#waited.resolve(null)
        return { ...offeredOf(made), body: null }
      }
      const stored = body !== null && mayBeShared(own, this.#visit.settings)
      const info = waitedFor(this.#refreshes ?? 'stale', stored, this.#cache.settings.client.clock.now())
      const [visitors, stores] = body === null || whole !== null ? [whole ?? own.body, body] : shared(body)
      this.#waited.resolve(this.#answer(own, { head, info }, visitors))
      return { ...offeredOf(made), body: stores }
    } catch (error) {
      this.#waited.resolve(null)
      this.#unheard(error)
      throw error
    }
  }

  /** A failure that a stored answer hides from everybody. */
  #unheard(error: unknown): void {
    this.#cache.settings.onError?.(error instanceof HandlerFailed ? error.cause : error)
  }

  /** @param sent what was asked; its answer is about what is stored, where it asks about that */
  async #make(own: Response, sent?: RequestHead): Promise<Made> {
    const { settings, of, somebody, authorized } = this.#visit
    const signedIn = somebody || (of.signedIn?.() ?? false)
    const personal = isPersonal(authorized, signedIn || of.request.headers.has('cookie'), settings)
    // Looked at when that was stored: it brings new fields, and says nothing of its own.
    const confirms = own.status === 304 && sent !== undefined && conditionsOf(sent).length > 0
    const said = headOf(own)
    const head = confirms
      ? this.#cache.confirmed(said, personal, settings)
      : this.#cache.offered(said, signedIn, settings)
    const none = { head, personal, body: null, whole: null, touched: false, over: nothing }
    if (confirms) return none
    const refuses = refusesByItself(head) || own.status < 200
    if (refuses || own.body === null || isBodiless(of.request.method, own.status)) return none
    keepWhole(own)
    const { body, over } = this.#keepingAlive(own.body)
    if (!this.#wantsETag(own)) return { ...none, body, over }
    const { whole, stream } = await begun(body)
    const lines: HeaderLine[] = [...head.headers]
    if (whole !== null && whole.length > 0) lines.push(['etag', await etagOf(whole)])
    return { ...none, head: { ...head, headers: lines }, body: stream, whole, touched: true, over }
  }

  /** An answer given at once gets an ETag by its bytes; one that comes in pieces has none of ours. */
  #wantsETag(own: Response): boolean {
    const { of, settings } = this.#visit
    if (!this.#cache.settings.etag || own.status !== 200 || of.request.method !== 'GET') return false
    return !own.headers.has('etag') && mayBeShared(own, settings)
  }

  /** The body; the runtime is to stay alive until it is stored. */
  #keepingAlive(body: ReadableStream<unknown>): Pick<Made, 'over'> & { body: ReadableStream<Uint8Array> } {
    const { of, client } = this.#visit
    const bytes = bytesFrom(body)
    if (of.waitUntil === null) return { body: bytes, over: nothing }
    const { promise, resolve: over } = Promise.withResolvers<void>()
    const stored = async (): Promise<void> => {
      await promise
      // The store is handed the end in the same turn.
      await new Promise((resolve) => setTimeout(resolve, 0))
      await client.engine.drained()
    }
    of.waitUntil(stored())
    return { body: noted(bytes, over), over }
  }

  async #replied(reply: Reply): Promise<Response> {
    const { of, client } = this.#visit
    if (reply instanceof StoredReply) return this.#stored(reply)
    const [own, made] = [this.#own, this.#made]
    if (own === null || made === null) return announced(of, ownResponse(reply))
    const { body } = reply
    if (!(body instanceof LiveBody)) {
      made.over()
      if (reply.info.stored) of.waitUntil?.(client.engine.drained())
      return this.#answer(own, reply, made.touched ? (made.whole ?? made.body) : undefined)
    }
    if (made.whole !== null) {
      // It is all there: what the store has of it does not depend on how fast the visitor reads.
      await body.read()
      return this.#answer(own, reply, made.whole)
    }
    return this.#answer(own, reply, body.stream())
  }

  async #stored(reply: StoredReply): Promise<Response> {
    const { of, address } = this.#visit
    const own = this.#own
    const waits = of.again === null && this.#refreshes !== null
    const waited = waits ? await this.#waited.promise : null
    if (waited !== null) return waited
    if (this.#failure !== null) this.#unheard(this.#failure)
    if (own !== null && !own.body?.locked) void own.body?.cancel()
    const answer = answered(reply, headOfRequest(of.request, address.url))
    const response = storedResponse(answer, this.#cache.settings.cacheStatus)
    if (own?.status === 304) handOn(response, own)
    return announced(of, response)
  }

  #answer(own: Response, reply: Pick<Reply, 'head' | 'info'>, body?: Body): Response {
    return answerWith(this.#visit.of.request, own, reply, this.#cache.settings.cacheStatus, body)
  }
}

/** What a visitor is told who waited for a refresh. */
function waitedFor(reason: 'stale' | 'refresh-ahead', stored: boolean, now: number): ReplyInfo {
  const outcome = reason === 'stale' ? 'expired' : 'request'
  const own = { fromCache: false, revalidated: false, collapsed: false, refused: null, meta: null }
  return { outcome, reason, key: null, stored, now, ...own }
}

/** What the engine is given. */
function offeredOf({ head, body, personal }: Made): OriginResponse {
  return { ...head, body, decoded: false, personal }
}

/** @throws TypeError for what is no response: the handler's fault, and better said than found out by the runtime */
function checked(response: Response): Response {
  if (typeof (response as Response | undefined)?.status === 'number') return response
  throw new TypeError('the handler returned no Response')
}

/** The beginning of a body that the handler's own failure may break off. */
async function begun(body: ReadableStream<Uint8Array>): Promise<Peeked> {
  try {
    return await peek(body)
  } catch (error) {
    throw new HandlerFailed('the body failed', { cause: error })
  }
}

/** A session that the handler prolonged or ended with its 304 is this visitor's alone. */
function handOn({ headers }: Response, own: Response): void {
  for (const line of own.headers.getSetCookie()) headers.append('set-cookie', line)
  const cleared = own.headers.get('clear-site-data')
  if (cleared !== null) headers.set('clear-site-data', cleared)
}
