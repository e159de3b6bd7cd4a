/**
 * A request at the gate of a node:http server: answered from the store, or sent on to the handler with its answer watched.
 *
 * Rule 1: `proceed` is called at most once, and only when the handler shall run. A stale answer may be out by then (shadow).
 * Rule 2: what the handler answers reaches the visitor unchanged but for Cache-Status and a missing ETag; only when it fails may a
 *   stored answer take its place.
 * Rule 3: a key whose last answer could not be shared costs a look-up and no more.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CacheClient } from '../clients/client.ts'
import type { AlreadyRead } from '../engine/engine.ts'
import { LiveBody } from '../engine/live-body.ts'
import { isPromise } from '../engine/maybe.ts'
import type { MaybePromise, Origin, OriginResponse } from '../engine/ports.ts'
import { StoredReply } from '../engine/reply.ts'
import { LeaderLeft } from '../engine/single-flight.ts'
import { atMost, inTime, quietlyAfter } from '../engine/timer.ts'
import { formatDate } from '../http/date.ts'
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList, RequestHead, ResponseHead } from '../http/message.ts'
import type { Address } from './addresses.ts'
import { answered, isUnchanged, looksShareable, notModifiedHeaders, refusesByItself, statusOf } from './answering.ts'
import { etagOf } from './etag.ts'
import { restore, stateOf, type Before } from './node-before.ts'
import { Capture, givenField } from './node-capture.ts'
import {
  askedBySomebody,
  hasBody,
  hideConditions,
  hostOf,
  isSecure,
  originalConditions,
  requestLines,
} from './node-request.ts'
import { begin, sendReply, sendWhole, senderOf } from './node-send.ts'
import { isOut, shadow } from './node-shadow.ts'
import type { RouteSettings } from './options.ts'
import { answerPurge } from './purge.ts'
import type { ServerCache } from './server-cache.ts'

/** What an adapter adds to a visit. */
export interface VisitOptions {
  /** Settings of the route, where the adapter knows it. */
  readonly route?: RouteSettings
  /** Whether a user or a session came with the request; asked when the handler has answered. */
  readonly signedIn?: () => boolean
  /** Called before something is sent that the handler did not make. */
  readonly answering?: () => void
  /** Called after that, once it is certain that the handler will not run: the adapter must keep its hands off the response. */
  readonly done?: () => void
}

interface Visit extends VisitOptions {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly proceed: () => void
  readonly address: Address
  readonly client: CacheClient
  settings: RouteSettings
}

const VISIT = Symbol('keepfresh visit')

/** What a cache of a route further in may change. */
interface Inside {
  settings: RouteSettings
}

interface Visited extends IncomingMessage {
  [VISIT]?: Inside
}

const NO_OPTIONS: VisitOptions = Object.freeze({})

const UNSAFE = /^(?!GET$|HEAD$|OPTIONS$|TRACE$)/

export class NodeGate {
  readonly #cache: ServerCache

  constructor(cache: ServerCache) {
    this.#cache = cache
  }

  /** @param target the path and query as the visitor asked for them */
  enter(
    request: IncomingMessage,
    response: ServerResponse,
    proceed: () => void,
    options: VisitOptions = NO_OPTIONS,
    target: string = request.url ?? '',
  ): void {
    const inside = (request as Visited)[VISIT]
    if (inside !== undefined) {
      // A cache of the same kind stands further out: the route only says what is in force here.
      if (options.route !== undefined) inside.settings = options.route
      return proceed()
    }
    const cache = this.#cache
    const { client } = cache
    if (client === null) return this.#whenReady(request, response, proceed, options, target)
    const address = cache.addresses.of(
      target,
      hostOf(request, cache.settings),
      isSecure(request, cache.settings),
      options.route,
    )
    if (address === null || response.headersSent || hasBody(request)) return proceed()
    const { key, settings } = address
    const plain =
      request.method === 'GET' &&
      key !== null &&
      cache.addresses.isAnonymous(request.headers) &&
      !(cache.settings.requestDirectives && hasDirectives(request))
    const found = plain && cache.isPlain(settings) ? client.engine.quick(key) : undefined
    if (found instanceof StoredReply) {
      options.answering?.()
      this.#hit(request, response, found, address.url)
      return options.done?.()
    }
    if (found !== undefined && found.read === undefined && key !== null && client.engine.expectsNothing(key)) {
      // Rule 3: no more than this.
      const passed = { settings }
      this.#watch(response, passed, client, key)
      ;(request as Visited)[VISIT] = passed
      return proceed()
    }
    this.#visit({ ...options, request, response, proceed, address, client, settings }, plain ? key : null, found)
  }

  /** The store is being loaded; where that fails, the server works without a cache. */
  #whenReady(
    request: IncomingMessage,
    response: ServerResponse,
    proceed: () => void,
    options: VisitOptions,
    target: string,
  ): void {
    this.#cache.ready().then(
      () => this.enter(request, response, proceed, options, target),
      (error: unknown) => {
        this.#report(error)
        proceed()
      },
    )
  }

  #visit(visit: Visit, key: string | null, found: AlreadyRead | undefined): void {
    const { request, settings, proceed, address } = visit
    const { method = 'GET' } = request
    if (method === 'PURGE' && this.#cache.settings.purge !== null) return this.#purge(visit)
    if (!settings.effective.enabled || method === 'OPTIONS' || method === 'TRACE') return proceed()
    ;(request as Visited)[VISIT] = visit
    if (UNSAFE.test(method)) return this.#lead(visit, `${method} ${address.url}`)
    if (key !== null) return this.#look(visit, key, found)
    const made = this.#cache.addresses.keyOf(address, () => requestLines(request))
    if (isPromise(made)) made.then((later) => this.#look(visit, later, undefined), this.#failed(visit))
    else this.#look(visit, made, undefined)
  }

  /** Not a plain hit: it was looked for under a plain key, and is here if it was read. */
  #look(visit: Visit, key: string, found: AlreadyRead | undefined): void {
    if (visit.request.headers.range !== undefined) this.#lookForRange(visit, key, found)
    else this.#lead(visit, key, found)
  }

  #hit(request: IncomingMessage, response: ServerResponse, reply: StoredReply, url: string): void {
    const { headers } = request
    const { bytes } = reply.entry.body
    const asks =
      headers['if-none-match'] !== undefined ||
      headers['if-modified-since'] !== undefined ||
      headers.range !== undefined
    const { cacheStatus } = this.#cache.settings
    if (!asks && bytes !== null && bytes.length > 0) return sendWhole(response, reply, bytes, cacheStatus)
    const asked = { method: 'GET', url, headers: requestLines(request) }
    sendReply(response, answered(reply, asked), cacheStatus).catch((error: unknown) => this.#report(error))
  }

  /** A range is answered from what is stored; else the handler answers it itself, and nothing is kept of that. */
  #lookForRange(visit: Visit, key: string, found: AlreadyRead | undefined): void {
    const { client, proceed } = visit
    const read = found?.read ?? undefined
    const go = (stored: boolean): void => (stored ? this.#lead(visit, key, found) : proceed())
    if (found === undefined)
      void client.engine.find(this.#exchange(visit, key, neverAsk)).then((e) => go(e !== undefined))
    else if (isPromise(read)) read.then((entry) => go(entry !== undefined), this.#failed(visit))
    else go(read !== undefined)
  }

  /** Rule 3: only the head of the answer is looked at, for a sign that the next one may be shared. */
  #watch(response: ServerResponse, passed: Inside, client: CacheClient, key: string): void {
    const { writeHead } = response
    response.writeHead = ((...args: Parameters<typeof writeHead>) => {
      if (mayBeShared(response, args, passed.settings)) client.engine.expectAgain(key)
      return writeHead.apply(response, args)
    }) as typeof writeHead
  }

  #exchange(visit: Visit, key: string, origin: Origin, more: object = {}): ReturnType<ServerCache['exchange']> {
    const exchange = this.#cache.exchange(headOf(visit, this.#cache), key, visit.settings, origin, more)
    // The route may have its say until the answer is settled.
    return Object.defineProperty(exchange, 'effective', { get: () => visit.settings.effective, enumerable: true })
  }

  #lead(visit: Visit, key: string, found?: AlreadyRead): void {
    const lead: Lead = {
      capture: null,
      before: null,
      refresh: 'unknown',
      own: null,
      answered: Promise.withResolvers(),
    }
    const origin: Origin = () => {
      if (visit.response.destroyed) throw new LeaderLeft('the visitor left before its turn')
      lead.before = stateOf(visit.response)
      lead.capture = new Capture(visit.response)
      if (visit.request.method === 'GET' || visit.request.method === 'HEAD') hideConditions(visit.request)
      visit.proceed()
      return this.#originResponse(visit, lead.capture, lead)
    }
    const exchange = this.#exchange(visit, key, origin, {
      refreshOrigin: () => this.#refresh(visit, lead),
      refreshSkipped: () => {
        if (lead.refresh === 'unknown') lead.refresh = 'skipped'
        else visit.done?.()
      },
    })
    try {
      const reply = visit.client.engine.handle(exchange, found)
      if (isPromise(reply)) reply.then((made) => this.#replied(visit, lead, made)).catch(this.#failed(visit, lead))
      else this.#replied(visit, lead, reply)
    } catch (error) {
      this.#failed(visit, lead)(error)
    }
  }

  /** Runs the handler once more for an answer that nobody waits for: its visitor has the stale one. */
  async #refresh(visit: Visit, lead: Lead): Promise<OriginResponse> {
    const { request, response } = visit
    let sent = false
    await atMost(
      PATIENCE,
      lead.answered.promise.then(() => isOut(response)).then(() => (sent = true)),
    )
    if (!sent || lead.before === null) {
      visit.done?.()
      throw new Error('the visitor takes too long to read: the next one may refresh this')
    }
    hideConditions(request)
    const capture = shadow(request, response, lead.before)
    visit.proceed()
    const made = await inTime(this.#originResponse(visit, capture), REFRESH_LIMIT, quietlyAfter, () => {
      capture.swallow()
      return new Error('the handler takes too long to refresh a stale answer')
    })
    capture.swallow()
    return made
  }

  async #originResponse(visit: Visit, capture: Capture, lead?: Lead): Promise<OriginResponse> {
    const head = await capture.head
    if (lead !== undefined) lead.own = head
    const { settings, request } = visit
    const guarded = this.#cache.guarded(head, visit.signedIn?.() ?? askedBySomebody(request), settings)
    const noBody = request.method === 'HEAD' || head.status === 204 || head.status === 304
    if (refusesByItself(guarded)) return { ...guarded, body: null, decoded: false }
    if (!isSendable(head)) return { ...guarded, headers: [['cache-control', 'no-store']], body: null, decoded: false }
    const lines: HeaderLine[] = [...guarded.headers]
    if (!hasHeader(lines, 'date')) lines.push(['date', formatDate(this.#cache.settings.client.clock.now())])
    const etag = this.#etagFor(head, request, capture)
    if (etag !== null) lines.push(['etag', isPromise(etag) ? await etag : etag])
    return { ...guarded, headers: lines, body: noBody ? null : capture.tap(), decoded: false }
  }

  /** An answer given at once has an ETag by its bytes; one that comes in pieces has none of ours. */
  #etagFor(
    { status, headers }: ResponseHead,
    { method }: IncomingMessage,
    capture: Capture,
  ): MaybePromise<string> | null {
    if (!this.#cache.settings.etag || status !== 200 || method !== 'GET' || hasHeader(headers, 'etag')) return null
    const { whole } = capture
    return whole === null || whole.length === 0 ? null : etagOf(whole)
  }

  #replied(visit: Visit, lead: Lead, reply: Awaited<ReturnType<CacheClient['engine']['handle']>>): void {
    const { response } = visit
    const { cacheStatus } = this.#cache.settings
    if (reply instanceof StoredReply) {
      this.#answer(visit, lead, reply)
      return
    }
    const { capture } = lead
    if (capture === null) {
      // A 504 of our own: only-if-cached, with nothing stored.
      visit.answering?.()
      begin(response, reply.head.status, reply.head.statusText, flat(reply.head.headers))
      response.end(reply.body?.bytes)
      return visit.done?.()
    }
    const { body, head, info } = reply
    if (body instanceof LiveBody) body.leave(undefined)
    else capture.untap()
    const fields: HeaderLine[] = []
    // What will be said on a hit is said now: both are answers with one validator and one date.
    for (const name of info.stored ? OURS : []) {
      const value = getHeader(head.headers, name)
      if (value !== null && response.getHeader(name) === undefined) fields.push([name, value])
    }
    if (cacheStatus !== null) fields.push(statusField(response, statusOf(cacheStatus, info, null)))
    const own = originalConditions(visit.request)
    if (visit.request.method !== 'HEAD' && visit.request.method !== 'GET') return capture.pass(fields)
    if (!isUnchanged(own, head, this.#cache.settings.client.clock.now())) return capture.pass(fields)
    this.#notModified(visit, capture, lead.own ?? head, fields)
  }

  /** What is stored, in place of what the handler gave, if it was asked. */
  #answer(visit: Visit, lead: Lead, reply: StoredReply): void {
    const { response, answering, done } = visit
    lead.capture?.swallow()
    if (response.headersSent) {
      // Something in front has answered meanwhile (a timeout).
      lead.answered.resolve()
      return done?.()
    }
    if (lead.before !== null) restore(response, lead.before)
    answering?.()
    lead.before ??= stateOf(response)
    const sender = lead.capture?.original ?? senderOf(response)
    const sent = sendReply(response, answered(reply, headOf(visit)), this.#cache.settings.cacheStatus, sender)
    lead.answered.resolve(sent.catch((error: unknown) => this.#report(error)))
    // Who may refresh a stale answer is known by now, or when the lease is taken, or not.
    if (lead.refresh === 'skipped' || reply.facts.reason !== 'stale-while-revalidate') done?.()
    else lead.refresh = 'expected'
  }

  #notModified({ response }: Visit, capture: Capture, head: ResponseHead, fields: HeaderList): void {
    const kept = notModifiedHeaders(head.headers)
    capture.swallow()
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    const names = new Set(fields.map(([name]) => name))
    const lines = [...kept.filter(([name]) => !names.has(name) && name !== 'transfer-encoding'), ...fields]
    begin(response, 304, '', flat(lines), capture.original)
    capture.original.end.call(response)
  }

  /** The engine's failure is the handler's, or ours: either way the visitor gets what the handler gives. */
  #failed(visit: Visit, lead?: Lead): (error: unknown) => void {
    return (error) => {
      if (lead?.capture) return this.#passAnyway(visit, lead.capture)
      if (!(error instanceof LeaderLeft)) this.#report(error)
      if (!visit.response.headersSent && !visit.response.destroyed) visit.proceed()
    }
  }

  /** What the handler gave as it is; where even that cannot be sent (a field no response may have), an error takes its place. */
  #passAnyway({ response }: Visit, capture: Capture): void {
    try {
      capture.untap()
      capture.pass([])
    } catch (error) {
      this.#report(error)
      if (response.headersSent) return void response.destroy()
      for (const name of response.getHeaderNames()) response.removeHeader(name)
      begin(response, 500, '', [], capture.original)
      capture.original.end.call(response)
    }
  }

  #purge({ request, response, address, answering, done }: Visit): void {
    answering?.()
    done?.()
    void answerPurge(this.#cache, address.url, requestLines(request)).then(({ status, body }) => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(body)
    }, this.#purgeFailed(response))
  }

  #purgeFailed(response: ServerResponse): (error: unknown) => void {
    return (error) => {
      this.#report(error)
      response.writeHead(500, { 'cache-control': 'no-store' })
      response.end()
    }
  }

  #report(error: unknown): void {
    const { onError } = this.#cache.settings
    if (onError !== null) onError(error)
    else this.#cache.client?.engine.events.emit({ type: 'refresh-failed', key: '', url: '', method: '', error })
  }
}

interface Lead {
  /** What the handler gives, once it was asked. */
  capture: Capture | null
  /** What was set before its turn. */
  before: Before | null
  /** Whether a stale answer will be refreshed by its visitor's own handler. */
  refresh: 'unknown' | 'expected' | 'skipped'
  /** What the handler answered with, before the guards had their say. */
  own: ResponseHead | null
  /** Resolved when a stored answer was handed to the response. */
  answered: PromiseWithResolvers<void>
}

/** Milliseconds a visitor may take to read a stale answer and still be the one whose handler refreshes it. */
const PATIENCE = 5000

/** Milliseconds a handler may take to refresh a stale answer: its visitor is gone, and would not end it by leaving. */
const REFRESH_LIMIT = 60_000

/** Whether node:http would send it: what it refuses is not kept either, but fails as it would without a cache. */
function isSendable({ status, headers }: ResponseHead): boolean {
  if (!Number.isInteger(status) || status < 100 || status > 999) return false
  return headers.every(
    ([name, value]) => /^[!#$%&'*+\-.^_`|~\w]+$/.test(name) && !/[^\t\x20-\x7e\x80-\xff]/.test(value),
  )
}

/** Fields that are made where the handler makes none. */
const OURS = ['etag', 'date']

const neverAsk: Origin = () => Promise.reject(new Error('nothing is asked'))

function headOf({ request, address: { url } }: Visit, cache?: ServerCache): RequestHead {
  const headers = requestLines(request)
  return { method: request.method ?? 'GET', url, headers: cache === undefined ? headers : cache.plainHeaders(headers) }
}

/** Whether a request says what it wants of a cache; policy knows what to make of it. */
function hasDirectives({ headers }: IncomingMessage): boolean {
  return headers['cache-control'] !== undefined || headers.pragma !== undefined
}

/** Whether the next answer may be worth keeping, by the head of this one: what was set one by one, and what writeHead is given. */
function mayBeShared(
  response: ServerResponse,
  args: readonly unknown[],
  { effective: { policy } }: RouteSettings,
): boolean {
  const status = typeof args[0] === 'number' ? args[0] : response.statusCode
  const value = (name: string): unknown => givenField(args, name) ?? response.getHeader(name)
  const directives = value('cache-control')
  const field = directives === undefined ? null : String(directives)
  return looksShareable(status, field, value('expires') !== undefined, policy)
}

function statusField(response: ServerResponse, own: string): HeaderLine {
  const before = response.getHeader('cache-status')
  return ['cache-status', before === undefined ? own : `${String(before)}, ${own}`]
}

function flat(headers: HeaderList): string[] {
  return headers.flatMap(([name, value]) => [name, value])
}
