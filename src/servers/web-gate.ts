/**
 * A request at the gate of a Fetch handler: answered from the store, or sent on to the handler and its response kept where it may be.
 *
 * Rule 1: `run` is called at most once for a visit; what refreshes a stale answer behind the visitor's back is called by `again`.
 * Rule 2: what the handler answers reaches the visitor unchanged but for Cache-Status, Date and a missing ETag; only when it fails may
 *   a stored answer take its place. What it throws is thrown to whoever waits for it.
 * Rule 3: a key whose last answer could not be shared costs a look-up and no more.
 * Rule 4: nothing here is of one runtime.
 */
import type { CacheClient } from '../clients/client.ts'
import type { AlreadyRead } from '../engine/engine.ts'
import type { Reply } from '../engine/exchange.ts'
import { LiveBody } from '../engine/live-body.ts'
import { chain } from '../engine/maybe.ts'
import type { MaybePromise, Origin, OriginResponse } from '../engine/ports.ts'
import { StoredReply } from '../engine/reply.ts'
import { LeaderLeft } from '../engine/single-flight.ts'
import { inTime, quietlyAfter } from '../engine/timer.ts'
import { formatDate } from '../http/date.ts'
import { hasHeader } from '../http/headers.ts'
import type { HeaderLine, ResponseHead } from '../http/message.ts'
import { answered, looksShareable, refusesByItself } from './answering.ts'
import type { Address } from './addresses.ts'
import type { RouteSettings } from './options.ts'
import { answerPurge } from './purge.ts'
import type { ServerCache } from './server-cache.ts'
import { etagOf } from './etag.ts'
import { answerWith, dressed } from './web-answer.ts'
import { bytesFrom, noted, peek, shared, type Peeked } from './web-body.ts'
import { headOf, isBodiless, linesOf, ownResponse, storedResponse, wholeResponse, type Body } from './web-reply.ts'
import { addressOf, forRefresh, hasDirectives, withoutConditions } from './web-request.ts'

/** What an adapter says about a visit. */
export interface WebVisit {
  readonly request: Request
  /**
   * Runs the handler; the request is the visitor's, or one like it without its conditions.
   * @param replaceable whether a stored answer may take the place of this one
   */
  run(request: Request, replaceable: boolean): MaybePromise<Response>
  /** Runs the handler once more, for nobody. Null: only `run` can, so that the visitor waits for it. */
  readonly again: ((request: Request, replaceable: boolean) => MaybePromise<Response>) | null
  readonly route?: RouteSettings
  /** Whether a user or a session came with the request; asked when the handler has answered. */
  readonly signedIn?: () => boolean
  /** Given every answer that the handler did not make, before it goes out. */
  readonly answering?: (response: Response) => void
  /** Keeps the runtime alive until the promise is settled; null: it stays alive by itself. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | null
}

/** What caches further in may change. */
interface Inside {
  settings: RouteSettings
  somebody: boolean
}

interface Visit extends Inside {
  readonly of: WebVisit
  readonly address: Address
  readonly client: CacheClient
}

/** The handler's own failure, told from ours. */
class HandlerFailed extends Error {
  override readonly name: 'HandlerFailed' = 'HandlerFailed'
}

interface Lead {
  /** What the handler gave; null: it was not asked. */
  own: Response | null
  /** What the engine was given of it. */
  made: Made | null
  /** What it threw instead. */
  failure: HandlerFailed | null
  /** What a visitor gets who has to wait for the refresh of a stale answer; null: the stale answer. */
  readonly waited: PromiseWithResolvers<Response | null>
}

/** A handler's response as the engine sees it. */
interface Made {
  readonly head: ResponseHead
  /** Null: none, or none that could be kept, which nobody has touched then. */
  readonly body: ReadableStream<Uint8Array> | null
  /** All of the body, where the handler gave it at once. */
  readonly whole: Uint8Array<ArrayBuffer> | null
  /** Whether the response's own body was read from: `body` takes its place. */
  readonly touched: boolean
  /** There is nothing more to keep the runtime alive for. */
  readonly over: () => void
}

/** Bytes of a body that are still read for the store alone when its visitor has left: its handler is no longer wanted. */
export const FINISH: number = 256 * 1024

const VISIT = Symbol('keepfresh visit')

/** A request that is inside of a cache already. */
interface Visited extends Request {
  [VISIT]?: Inside
}

const UNSAFE = /^(?!GET$|HEAD$|OPTIONS$|TRACE$)/

/** Milliseconds a handler may take to refresh a stale answer: nobody waits for it. */
const REFRESH_LIMIT = 60_000

const neverAsk: Origin = () => Promise.reject(new Error('nothing is asked'))

/** Bodies whose response was dropped unread: their handler is let go. */
const dropped = new FinalizationRegistry<LiveBody>((body) => body.leave(undefined))

export class WebGate {
  readonly #cache: ServerCache

  constructor(cache: ServerCache) {
    this.#cache = cache
  }

  /** At once where that can be. */
  enter(of: WebVisit): MaybePromise<Response> {
    const { request, route } = of
    const inside = (request as Visited)[VISIT]
    if (inside !== undefined) return this.#inside(inside, of)
    const cache = this.#cache
    const { client } = cache
    if (client === null) return this.#whenReady(of)
    const address = addressOf(request, cache, route)
    // A socket is being opened: each is its visitor's own.
    if (address === null || request.headers.get('upgrade') === 'websocket') return of.run(request, false)
    const { key, settings } = address
    const plain =
      request.method === 'GET' &&
      key !== null &&
      cache.addresses.isAnonymousFetch(request.headers) &&
      !(cache.settings.requestDirectives && hasDirectives(request))
    const found = plain && cache.isPlain(settings) ? client.engine.quick(key) : undefined
    if (found instanceof StoredReply) return announced(of, this.#hit(request, found, address.url))
    if (found !== undefined && found.read === undefined && key !== null && client.engine.expectsNothing(key)) {
      const passed = { settings, somebody: false }
      ;(request as Visited)[VISIT] = passed
      return this.#watch(of, passed, client, key)
    }
    const visit = { of, address, client, settings, somebody: false }
    return this.#visit(visit, plain ? key : null, found)
  }

  /** A cache of the same kind stands further out: the route only says what is in force here, and who is known to ask. */
  async #inside(inside: Inside, of: WebVisit): Promise<Response> {
    if (of.route !== undefined) inside.settings = of.route
    const response = await of.run(of.request, false)
    if (of.signedIn?.()) inside.somebody = true
    return response
  }

  /** The store is being loaded; where that fails, the server works without a cache. */
  async #whenReady(of: WebVisit): Promise<Response> {
    try {
      await this.#cache.ready()
    } catch (error) {
      this.#report(error)
      return of.run(of.request, false)
    }
    return this.enter(of)
  }

  #hit(request: Request, reply: StoredReply, url: string): Response {
    const { headers } = request
    const { bytes } = reply.entry.body
    const { cacheStatus } = this.#cache.settings
    const asks = headers.has('if-none-match') || headers.has('if-modified-since') || headers.has('range')
    if (!asks && bytes !== null && !isBodiless('GET', reply.status)) return wholeResponse(reply, bytes, cacheStatus)
    return storedResponse(answered(reply, { method: 'GET', url, headers: linesOf(headers) }), cacheStatus)
  }

  /** Rule 3: only the head of the response is looked at, for a sign that the next one may be shared. */
  #watch(of: WebVisit, passed: Inside, client: CacheClient, key: string): MaybePromise<Response> {
    return chain(of.run(of.request, false), (response) => {
      if (mayBeShared(response, passed.settings)) client.engine.expectAgain(key)
      return response
    })
  }

  async #visit(visit: Visit, key: string | null, found: AlreadyRead | undefined): Promise<Response> {
    const { settings, address, of } = visit
    const { request } = of
    const { method } = request
    if (method === 'PURGE' && this.#cache.settings.purge !== null) return announced(of, await this.#purge(visit))
    if (!settings.effective.enabled || method === 'OPTIONS' || method === 'TRACE') return of.run(request, false)
    ;(request as Visited)[VISIT] = visit
    if (UNSAFE.test(method)) return this.#lead(visit, `${method} ${address.url}`)
    const made = key ?? (await this.#cache.addresses.keyOf(address, () => linesOf(request.headers)))
    // A range is answered from what is stored; else the handler answers it itself, and nothing is kept of that.
    if (request.headers.has('range') && !(await this.#isStored(visit, made))) return of.run(request, false)
    return this.#lead(visit, made, found)
  }

  async #isStored(visit: Visit, key: string): Promise<boolean> {
    return (await visit.client.engine.find(this.#exchange(visit, key, neverAsk))) !== undefined
  }

  #exchange(visit: Visit, key: string, origin: Origin, more: object = {}): ReturnType<ServerCache['exchange']> {
    const { method, headers } = visit.of.request
    const head = { method, url: visit.address.url, headers: this.#cache.plainHeaders(linesOf(headers)) }
    const exchange = this.#cache.exchange(head, key, visit.settings, origin, more)
    // The route may have its say until the answer is settled.
    return Object.defineProperty(exchange, 'effective', { get: () => visit.settings.effective, enumerable: true })
  }

  async #lead(visit: Visit, key: string, found?: AlreadyRead): Promise<Response> {
    const lead: Lead = { own: null, made: null, failure: null, waited: Promise.withResolvers() }
    const exchange = this.#exchange(visit, key, () => this.#ask(visit, lead), {
      refreshOrigin: () => {
        const { again } = visit.of
        return again === null ? this.#refreshAndWait(visit, lead) : this.#refresh(visit, again)
      },
      refreshSkipped: () => lead.waited.resolve(null),
    })
    try {
      return await this.#replied(visit, lead, await visit.client.engine.handle(exchange, found))
    } catch (error) {
      // Also that of another visitor whose answer was to be shared.
      if (error instanceof HandlerFailed || (error instanceof LeaderLeft && visit.of.request.signal.aborted))
        throw error.cause ?? error
      this.#report(error)
      if (lead.own === null) return visit.of.run(visit.of.request, false)
      return lead.made?.touched ? dressed(lead.own, lead.made.whole ?? lead.made.body, []) : lead.own
    }
  }

  /** Runs the handler for this visitor, and for those who wait for the same. */
  async #ask(visit: Visit, lead: Lead): Promise<OriginResponse> {
    try {
      lead.own = await this.#run(visit)
      lead.made = await this.#make(visit, lead.own)
      return { ...lead.made.head, body: lead.made.body, decoded: false }
    } catch (error) {
      if (error instanceof HandlerFailed) lead.failure = error
      throw error
    }
  }

  async #run(visit: Visit): Promise<Response> {
    const { request } = visit.of
    const given = UNSAFE.test(request.method) ? request : withoutConditions(request)
    ;(given as Visited)[VISIT] = visit
    try {
      return checked(await visit.of.run(given, true))
    } catch (error) {
      if (request.signal.aborted) throw new LeaderLeft('the visitor left', { cause: error })
      throw new HandlerFailed('the handler failed', { cause: error })
    }
  }

  /** Runs the handler once more for an answer that nobody waits for. */
  async #refresh(visit: Visit, again: NonNullable<WebVisit['again']>): Promise<OriginResponse> {
    const work = Promise.withResolvers<void>()
    visit.of.waitUntil?.(work.promise)
    try {
      const request = forRefresh(visit.of.request)
      ;(request as Visited)[VISIT] = visit
      const response = checked(
        await inTime(Promise.resolve(again(request, false)), REFRESH_LIMIT, quietlyAfter, () => {
          return new Error('the handler takes too long to refresh a stale answer')
        }),
      )
      const { head, body } = await this.#make(visit, response)
      if (body === null) await response.body?.cancel()
      return { ...head, body, decoded: false }
    } catch (error) {
      this.#unheard(error)
      throw error
    } finally {
      work.resolve()
    }
  }

  /** It cannot run behind the visitor's back: who finds the stale answer waits, and gets the new one unless it is an error. */
  async #refreshAndWait(visit: Visit, lead: Lead): Promise<OriginResponse> {
    try {
      const own = await this.#run(visit)
      const { head, body, whole } = await this.#make(visit, own)
      if (head.status >= 500) {
        void own.body?.cancel()
        lead.waited.resolve(null)
        return { ...head, body: null, decoded: false }
      }
      const stored = body !== null && mayBeShared(own, visit.settings)
      const info = { ...WAITED, stored, now: this.#cache.settings.client.clock.now() }
      const [visitors, stores] = body === null || whole !== null ? [whole ?? own.body, body] : shared(body)
      lead.waited.resolve(this.#answer(visit, own, { head, info }, visitors))
      return { ...head, body: stores, decoded: false }
    } catch (error) {
      lead.waited.resolve(null)
      this.#unheard(error)
      throw error
    }
  }

  /** A failure that a stored answer hides from everybody. */
  #unheard(error: unknown): void {
    this.#cache.settings.onError?.(error instanceof HandlerFailed ? error.cause : error)
  }

  async #make(visit: Visit, own: Response): Promise<Made> {
    const { settings, of } = visit
    const somebody = visit.somebody || (of.signedIn?.() ?? false)
    const head = this.#cache.guarded(headOf(own), somebody, settings)
    const none = { head, body: null, whole: null, touched: false, over: nothing }
    if (refusesByItself(head) || own.status < 200) return none
    const lines: HeaderLine[] = [...head.headers]
    if (!hasHeader(lines, 'date')) lines.push(['date', formatDate(this.#cache.settings.client.clock.now())])
    const dated = { ...head, headers: lines }
    if (own.body === null || isBodiless(of.request.method, own.status)) return { ...none, head: dated }
    const { body, over } = this.#keepingAlive(visit, own.body)
    if (!this.#wantsETag(visit, own)) return { ...none, head: dated, body, over }
    const { whole, stream } = await begun(body)
    if (whole !== null && whole.length > 0) lines.push(['etag', await etagOf(whole)])
    return { head: dated, body: stream, whole, touched: true, over }
  }

  /** An answer given at once gets an ETag by its bytes; one that comes in pieces has none of ours. */
  #wantsETag({ of, settings }: Visit, own: Response): boolean {
    if (!this.#cache.settings.etag || own.status !== 200 || of.request.method !== 'GET') return false
    return !own.headers.has('etag') && mayBeShared(own, settings)
  }

  /** The body; the runtime is to stay alive until it is stored. */
  #keepingAlive(
    { of, client }: Visit,
    body: ReadableStream<unknown>,
  ): Pick<Made, 'over'> & { body: ReadableStream<Uint8Array> } {
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

  async #replied(visit: Visit, lead: Lead, reply: Reply): Promise<Response> {
    const { own, made } = lead
    const { request, again } = visit.of
    if (reply instanceof StoredReply) {
      const waits = again === null && reply.facts.reason === 'stale-while-revalidate'
      const waited = waits ? await lead.waited.promise : null
      if (waited !== null) return waited
      if (lead.failure !== null) this.#unheard(lead.failure)
      if (own !== null && !own.body?.locked) void own.body?.cancel()
      const asked = { method: request.method, url: visit.address.url, headers: linesOf(request.headers) }
      return announced(visit.of, storedResponse(answered(reply, asked), this.#cache.settings.cacheStatus))
    }
    if (own === null || made === null) return announced(visit.of, ownResponse(reply))
    const { body } = reply
    if (!(body instanceof LiveBody)) {
      made.over()
      if (reply.info.stored) visit.of.waitUntil?.(visit.client.engine.drained())
      return this.#answer(visit, own, reply, made.touched ? (made.whole ?? made.body) : undefined)
    }
    if (made.whole !== null) {
      // It is all there: what the store has of it does not depend on how fast the visitor reads.
      await body.read()
      return this.#answer(visit, own, reply, made.whole)
    }
    const stream = body.stream()
    dropped.register(stream, body)
    return this.#answer(visit, own, reply, stream)
  }

  #answer(visit: Visit, own: Response, reply: Pick<Reply, 'head' | 'info'>, body?: Body): Response {
    return answerWith(visit.of.request, own, reply, this.#cache.settings.cacheStatus, body)
  }

  async #purge({ of: { request }, address }: Visit): Promise<Response> {
    const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' }
    try {
      const { status, body } = await answerPurge(this.#cache, address.url, linesOf(request.headers))
      return new Response(body, { status, headers })
    } catch (error) {
      this.#report(error)
      return new Response(JSON.stringify({ error: 'the purge failed' }), { status: 500, headers })
    }
  }

  #report(error: unknown): void {
    const { onError } = this.#cache.settings
    if (onError !== null) onError(error)
    else this.#cache.client?.engine.events.emit({ type: 'refresh-failed', key: '', url: '', method: '', error })
  }
}

const nothing = (): void => undefined

function announced(of: WebVisit, response: Response): Response {
  of.answering?.(response)
  return response
}

/** A visitor who waited for the refresh of a stale answer. */
const WAITED = {
  outcome: 'expired',
  reason: 'stale',
  key: null,
  fromCache: false,
  revalidated: false,
  collapsed: false,
  refused: null,
  meta: null,
} as const

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

/** Whether the next answer may be worth keeping, by the head of this one. */
function mayBeShared({ status, headers }: Response, { effective: { policy } }: RouteSettings): boolean {
  if (headers.has('set-cookie') && policy.setCookie === 'refuse') return false
  return looksShareable(status, headers.get('cache-control'), headers.has('expires'), policy)
}
