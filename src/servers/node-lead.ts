/**
 * A visitor of a node:http server whose handler may run: what the engine is given of its answer, and what the visitor gets in the end.
 * The rules are those of node-gate.ts.
 */
import type { ServerResponse } from 'node:http'
import type { AlreadyRead } from '../engine/engine.ts'
import type { Reply } from '../engine/exchange.ts'
import { LiveBody } from '../engine/live-body.ts'
import { isPromise } from '../engine/maybe.ts'
import type { MaybePromise, Origin, OriginResponse } from '../engine/ports.ts'
import { StoredReply } from '../engine/reply.ts'
import { LeaderLeft } from '../engine/single-flight.ts'
import { atMost } from '../engine/timer.ts'
import { hasHeader } from '../http/headers.ts'
import type { HeaderLine, RequestHead, ResponseHead } from '../http/message.ts'
import { answered, isUnchanged, notModifiedHeaders, refusesByItself, statusOf } from './answering.ts'
import { etagOf } from './etag.ts'
import { isPersonal, ownFields, refreshed } from './gate.ts'
import { restore, stateOf, type Before } from './node-before.ts'
import { Capture } from './node-capture.ts'
import { isSendable } from './node-given.ts'
import { isGone } from './node-minds.ts'
import type { Visit } from './node-visit.ts'
import {
  askConditionally,
  askedBySomebody,
  headOf,
  hideConditions,
  originalConditions,
  visitorsHead,
} from './node-request.ts'
import { begin, gathered, sendFailure, sendReply, senderOf } from './node-send.ts'
import { isOut, letGo, listenersOf, shadow, type Listening } from './node-shadow.ts'
import type { ServerCache } from './server-cache.ts'

/** Milliseconds a visitor may take to read a stale answer and still be the one whose handler refreshes it. */
const PATIENCE = 5000

export class NodeLead {
  readonly #cache: ServerCache
  readonly #visit: Visit
  /** What the handler gives, once it was asked. */
  #capture: Capture | null = null
  /** What was set before its turn. */
  #before: Before | null = null
  /** Who listened before its turn, where its visitor may have its answer already. */
  #early: Listening | null = null
  /** What it answered with, before the guards had their say. */
  #own: ResponseHead | null = null
  /** Whether it was asked about what is stored. */
  #conditional = false
  /** Whether what is stored will be refreshed by its visitor's own handler: known when it is answered, and taken back at most once. */
  #refreshes = false
  #isAnswered = false
  /** Resolved when a stored answer was handed to the response. */
  readonly #answered = Promise.withResolvers<void>()

  constructor(cache: ServerCache, visit: Visit) {
    this.#cache = cache
    this.#visit = visit
  }

  start(key: string, found?: AlreadyRead): void {
    const { request, address, client } = this.#visit
    const exchange = this.#cache.exchange(headOf(request, address.url), key, this.#visit, this.#ask, {
      // The rest of a chain of middlewares runs once.
      once: true,
      refreshOrigin: (sent: RequestHead) => this.#refreshOrigin(sent),
      refreshExpected: () => (this.#refreshes = true),
      refreshSkipped: () => {
        this.#refreshes = false
        if (this.#isAnswered) this.#visit.options.done?.()
      },
    })
    try {
      const reply = client.engine.handle(exchange, found)
      if (isPromise(reply)) reply.then((made) => this.#replied(made)).catch(this.failed)
      else this.#replied(reply)
    } catch (error) {
      this.failed(error)
    }
  }

  readonly #ask: Origin = (sent) => {
    const { response, request, proceed, options } = this.#visit
    if (response.destroyed) throw new LeaderLeft('the visitor left before its turn')
    options.begin?.()
    this.#before = stateOf(response)
    if (request.method === 'GET' || request.method === 'HEAD') {
      hideConditions(request)
      this.#conditional = askConditionally(request, sent)
      if (originalConditions(request).length > 0) this.#early = listenersOf(request, response)
    }
    const capture = (this.#capture = new Capture(response))
    proceed()
    return this.#originResponse(capture)
  }

  /** Runs the handler once more for an answer that nobody waits for: its visitor has the stale one. */
  async #refreshOrigin(asked: RequestHead): Promise<OriginResponse> {
    const { request, response, proceed, options } = this.#visit
    let sent = false
    await atMost(
      PATIENCE,
      this.#answered.promise.then(() => isOut(response)).then(() => (sent = true)),
    )
    if (!sent || this.#before === null) {
      options.done?.()
      throw new Error('the visitor takes too long to read: the next one may refresh this')
    }
    hideConditions(request)
    this.#conditional = askConditionally(request, asked)
    const capture = shadow(request, response, this.#before)
    proceed()
    const made = await refreshed(this.#originResponse(capture), () => capture.swallow())
    capture.swallow()
    if (made.body === null && !capture.isOver) response.destroy()
    return made
  }

  async #originResponse(capture: Capture): Promise<OriginResponse> {
    const head = await capture.head
    // A route further in may have said meanwhile what is in force.
    const { settings, request, options } = this.#visit
    if (capture === this.#capture) this.#own = head
    const signedIn = options.signedIn?.() ?? askedBySomebody(request)
    const personal = isPersonal(this.#visit.authorized, signedIn || request.headers.cookie !== undefined, settings)
    const own = { body: null, decoded: false, personal }
    // About what is stored, and looked at when that was: it brings new fields, and says nothing of its own.
    if (this.#conditional && head.status === 304) return { ...this.#cache.confirmed(head, personal, settings), ...own }
    const offered = this.#cache.offered(head, signedIn, settings)
    const noBody = request.method === 'HEAD' || head.status === 204 || head.status === 304
    if (refusesByItself(offered)) return { ...offered, ...own }
    if (!isSendable(head)) return { ...offered, headers: [['cache-control', 'no-store']], ...own }
    const etag = this.#etagFor(head, capture)
    const lines: HeaderLine[] = [...offered.headers]
    if (etag !== null) lines.push(['etag', isPromise(etag) ? await etag : etag])
    return { ...offered, headers: lines, ...own, body: noBody ? null : capture.tap() }
  }

  /** An answer given at once has an ETag by its bytes; one that comes in pieces has none of ours. */
  #etagFor({ status, headers }: ResponseHead, { whole }: Capture): MaybePromise<string> | null {
    if (!this.#cache.settings.etag || status !== 200 || this.#visit.request.method !== 'GET') return null
    return hasHeader(headers, 'etag') || whole === null || whole.length === 0 ? null : etagOf(whole)
  }

  #replied(reply: Reply): void {
    const { response, options } = this.#visit
    if (reply instanceof StoredReply) return this.#stored(reply)
    const capture = this.#capture
    if (capture !== null) return this.#handled(capture, reply)
    // A 504 of our own: only-if-cached, with nothing stored.
    options.answering?.()
    begin(response, reply.head.status, reply.head.statusText, gathered(reply.head.headers))
    response.end(reply.body?.bytes)
    options.done?.()
  }

  /** What the handler gave goes on to the visitor, or a 304 for it. */
  #handled(capture: Capture, { body, head, info }: Reply): void {
    const { response, request } = this.#visit
    const { cacheStatus, client } = this.#cache.settings
    if (body instanceof LiveBody) body.leave(undefined)
    else capture.untap()
    const fields = ownFields(info, head, (name) => response.getHeader(name) !== undefined)
    if (cacheStatus !== null) fields.push(statusField(response, statusOf(cacheStatus, info, null)))
    const reads = request.method === 'HEAD' || request.method === 'GET'
    if (!reads || !isUnchanged(originalConditions(request), head, client.clock.now())) return capture.pass(fields)
    const kept = notModifiedHeaders((this.#own ?? head).headers)
    capture.swallow()
    const begun = stateOf(response)
    clear(response)
    const names = new Set(fields.map(([name]) => name))
    const lines = [...kept.filter(([name]) => !names.has(name) && name !== 'transfer-encoding'), ...fields]
    begin(response, 304, '', gathered(lines), capture.original)
    capture.original.end.call(response)
    if (this.#early !== null && body instanceof LiveBody && !capture.isOver)
      letGo(request, response, begun, this.#early, capture)
  }

  /** What is stored, in place of what the handler gave, if it was asked. */
  #stored(reply: StoredReply): void {
    const { request, response, options, address } = this.#visit
    const capture = this.#capture
    capture?.swallow()
    if (response.headersSent) {
      // Something in front has answered meanwhile (a timeout).
      this.#answered.resolve()
      return options.done?.()
    }
    if (this.#before !== null) restore(response, this.#before)
    options.answering?.()
    if (this.#own?.status === 304) handOn(response, this.#own)
    this.#before ??= stateOf(response)
    const sender = capture?.original ?? senderOf(response)
    const answer = answered(reply, visitorsHead(request, address.url))
    const sent = sendReply(response, answer, this.#cache.settings.cacheStatus, sender)
    this.#answered.resolve(sent.catch((error: unknown) => this.#cache.report(error)))
    this.#isAnswered = true
    // Whoever refreshes it has the framework's hands on the response until then.
    if (!this.#refreshes) options.done?.()
  }

  /** The engine's failure is the handler's, or ours: either way the visitor gets what the handler gives. */
  readonly failed = (error: unknown): void => {
    const { response, proceed } = this.#visit
    if (this.#capture !== null) return this.#passAnyway(this.#capture)
    if (!(error instanceof LeaderLeft)) this.#cache.report(error)
    if (!response.headersSent && !response.destroyed) proceed()
  }

  /** What the handler gave as it is; where even that cannot be sent (a field no response may have), an error takes its place. */
  #passAnyway(capture: Capture): void {
    const { response } = this.#visit
    try {
      capture.breakOff()
      if (this.#conditional && this.#own?.status === 304)
        throw new Error('the handler confirmed what cannot be read any more')
      capture.pass([])
      // HTTP/2 says so once.
      if (capture.isOver && !response.headersSent && !isGone(response)) throw new Error('the answer cannot be sent')
    } catch (error) {
      this.#cache.report(error)
      if (this.#conditional && !response.headersSent) capture.swallow()
      sendFailure(response, capture.original)
    }
  }
}

function statusField(response: ServerResponse, own: string): HeaderLine {
  const before = response.getHeader('cache-status')
  return ['cache-status', before === undefined ? own : `${String(before)}, ${own}`]
}

function clear(response: ServerResponse): void {
  for (const name of response.getHeaderNames()) response.removeHeader(name)
}

/** A session that the handler prolonged or ended with its 304 is this visitor's alone; what was set in front is there already. */
function handOn(response: ServerResponse, { headers }: ResponseHead): void {
  const there = new Set([response.getHeader('set-cookie') ?? []].flat())
  for (const [name, value] of headers) {
    if (name === 'clear-site-data') response.setHeader(name, value)
    else if (name === 'set-cookie' && !there.has(value)) response.appendHeader(name, value)
  }
}
