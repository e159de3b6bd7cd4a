/**
 * A request at the gate of a node:http server: answered from the store at once, passed on to the handler, or led through the engine
 * (node-lead.ts).
 *
 * Rule 1: `proceed` is called at most once, and only when the handler shall run. A stale answer may be out by then (node-shadow.ts).
 * Rule 2: what the handler answers reaches the visitor unchanged but for Cache-Status and a missing ETag; only when it fails may a
 *   stored answer take its place.
 * Rule 3: a key whose last answers could not be shared costs a look-up and no more.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AlreadyRead } from '../engine/engine.ts'
import { chain, isPromise } from '../engine/maybe.ts'
import type { StoredEntry } from '../engine/ports.ts'
import { StoredReply } from '../engine/reply.ts'
import { warn } from '../engine/warning.ts'
import { FORWARDED, type Address } from './addresses.ts'
import { answered } from './answering.ts'
import { isHopeless, isRefusal, neverAsk, UNSAFE } from './gate.ts'
import {
  ASKS_PART,
  FieldScan,
  HAS_BODY,
  HAS_DIRECTIVES,
  HAS_IDENTITY,
  HAS_PRECONDITION,
  hasTwoHosts,
  hostOf,
  IS_AUTHORIZED,
  IS_FORWARDED,
} from './node-fields.ts'
import { NodeLead } from './node-lead.ts'
import {
  askedOfExpress,
  forwarded,
  headOf,
  isEncrypted,
  namesSeveral,
  requestLines,
  type AskedBy,
} from './node-request.ts'
import { sendFailure, sendReply } from './node-send.ts'
import type { Visit, VisitOptions } from './node-visit.ts'
import { VISIT, watch, type Visited } from './node-watch.ts'
import { sendWhole } from './node-whole.ts'
import { answerPurge } from './purge.ts'
import type { ServerCache } from './server-cache.ts'

const NO_OPTIONS: VisitOptions = Object.freeze({})

export class NodeGate {
  readonly #cache: ServerCache
  readonly #fields: FieldScan
  /** What keeps a request from being a plain one. */
  readonly #special: number
  /** Whether a framework was asked what it makes of a proxy that we were told to believe. */
  #compared = false

  constructor(cache: ServerCache) {
    this.#cache = cache
    this.#fields = new FieldScan(cache.addresses.identities)
    this.#special = HAS_IDENTITY | IS_AUTHORIZED | (cache.settings.requestDirectives ? HAS_DIRECTIVES : 0)
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
    const { client } = this.#cache
    if (client === null) return this.#whenReady(request, response, proceed, options, target)
    const bits = this.#fields.of(request.headers)
    const address = this.#addressOf(request, options, target, (bits & IS_FORWARDED) !== 0)
    const { method } = request
    // A GET with a body asks for more than its URL says (RELIABILITY 106), and If-Match and If-Unmodified-Since are not for a cache to
    // judge (RFC 9111 section 4.3.2): they are the handler's own affair.
    const own = (bits & (HAS_BODY | HAS_PRECONDITION)) !== 0 && (method === 'GET' || method === 'HEAD')
    if (address === null || (own && !address.purges) || response.headersSent) return proceed()
    const several = (bits & IS_FORWARDED) !== 0 && this.#isAnyOf(request, options)
    const key = (bits & HAS_IDENTITY) === 0 && !several ? address.key : null
    const plain = address.plain && method === 'GET' && (bits & this.#special) === 0
    const refuse = request.headers.cookie === undefined ? undefined : isRefusal
    const found = plain && key !== null ? client.engine.quick(key, refuse) : undefined
    if (found instanceof StoredReply) {
      options.answering?.()
      this.#hit(request, response, found, (bits & ASKS_PART) !== 0, address.url)
      return options.done?.()
    }
    const nothing = found !== undefined && found.read === undefined && key !== null
    if (nothing && client.engine.expectsNothing(key) && isHopeless(address)) {
      watch(request, response, address, client, key)
      return proceed()
    }
    const authorized = (bits & IS_AUTHORIZED) !== 0
    const visit = { request, response, proceed, options, address, client, authorized, settings: address.settings }
    this.#visit(visit, key, found)
  }

  /** The store is being loaded; where that fails, the server works without a cache. */
  #whenReady(...visit: Required<Parameters<NodeGate['enter']>>): void {
    this.#cache.ready().then(
      () => this.enter(...visit),
      (error: unknown) => {
        this.#cache.report(error)
        visit[2]()
      },
    )
  }

  #addressOf(request: IncomingMessage, options: VisitOptions, target: string, isForwarded: boolean): Address | null {
    const { addresses, settings } = this.#cache
    const host = hostOf(request.headers)
    // Two names stay two names, whichever of them a framework takes.
    if (!isForwarded || settings.trustProxy === false || host === undefined)
      return addresses.of(target, host, isEncrypted(request), options.route)
    // What the handler goes by must be the key: else one visitor's X-Forwarded-Host would be in what all are given (RELIABILITY 103).
    const by = settings.trustProxy
      ? (options.forwarded?.() ?? forwarded(request))
      : (options.askedBy?.(request) ?? askedOfExpress(request))
    if (settings.trustProxy && !this.#compared) this.#compare(request, options, by)
    if (by.secure === null) return null
    return addresses.of(target, by.host ?? host, by.secure ?? isEncrypted(request), options.route)
  }

  /** Once, where there is a framework to ask: keys of other names than its handlers see are of no use to anybody. */
  #compare(request: IncomingMessage, options: VisitOptions, by: AskedBy): void {
    const { app } = request as { app?: { settings?: unknown } }
    if (options.askedBy === undefined && app?.settings === undefined) return
    this.#compared = true
    const own = options.askedBy?.(request) ?? askedOfExpress(request)
    const host = hostOf(request.headers)
    const secure = isEncrypted(request)
    if ((own.host ?? host) === (by.host ?? host) && (own.secure ?? secure) === (by.secure ?? secure)) return
    warn(
      'KEEPFRESH_TRUST_PROXY',
      "trustProxy is true, but the application does not believe its proxy: its handlers see another host or scheme than their answers are kept under. Set it up to believe the proxy ('trust proxy' of Express, `proxy` of Koa, `trustProxy` of Fastify), and leave the cache's trustProxy out",
    )
  }

  /** Whether a proxy is believed that names several hosts or schemes, of which a handler may go by any (RELIABILITY 103). */
  #isAnyOf(request: IncomingMessage, options: VisitOptions): boolean {
    return this.#cache.settings.trustProxy === true && options.forwarded === undefined && namesSeveral(request)
  }

  #visit(visit: Visit, key: string | null, found: AlreadyRead | undefined): void {
    const { request, settings, proceed, address } = visit
    const { method = 'GET' } = request
    if (address.purges || (method === 'PURGE' && this.#cache.settings.purge !== null)) return this.#purge(visit)
    if (!settings.effective.enabled || method === 'OPTIONS' || method === 'TRACE') return proceed()
    if (hasTwoHosts(request.rawHeaders)) return proceed()
    ;(request as Visited)[VISIT] = visit
    const lead = new NodeLead(this.#cache, visit)
    if (UNSAFE.test(method)) return lead.start(`${method} ${address.url}`)
    const also = this.#isAnyOf(request, visit.options) ? FORWARDED : []
    const made = key ?? this.#cache.addresses.keyOf(address, requestLines(request), also)
    if (isPromise(made)) made.then((later) => this.#look(visit, lead, later, undefined), lead.failed)
    else this.#look(visit, lead, made, found)
  }

  /** Not a plain hit: it was looked for under a plain key, and is here if it was read. */
  #look(visit: Visit, lead: NodeLead, key: string, found: AlreadyRead | undefined): void {
    const { request, client, address } = visit
    if (request.headers.range === undefined) return lead.start(key, found)
    const go = (entry: unknown): void => (entry === undefined ? visit.proceed() : lead.start(key, found))
    const find = (): Promise<unknown> =>
      client.engine.find(this.#cache.exchange(headOf(request, address.url), key, visit, neverAsk))
    // A range is answered from what is stored; else the handler answers it itself, and nothing is kept of that. Of variants it must be the
    // visitor's own, of parts one that holds it.
    const isWhole = (read: StoredEntry): boolean => read.meta.kind === 'response' && read.meta.parts === null
    const looked =
      found === undefined ? find() : chain(found.read, (read) => (read === undefined || isWhole(read) ? read : find()))
    void Promise.resolve(looked).then(go, lead.failed)
  }

  #hit(request: IncomingMessage, response: ServerResponse, reply: StoredReply, asksPart: boolean, url: string): void {
    const { bytes } = reply.entry.body
    const { cacheStatus } = this.#cache.settings
    if (!asksPart && bytes !== null && bytes.length > 0) {
      try {
        return sendWhole(response, reply, bytes, cacheStatus)
      } catch (error) {
        this.#cache.report(error)
        return sendFailure(response)
      }
    }
    const sent = sendReply(response, answered(reply, headOf(request, url)), cacheStatus)
    sent.catch((error: unknown) => this.#cache.report(error))
  }

  #purge({ request, response, address, options }: Visit): void {
    options.answering?.()
    options.done?.()
    void answerPurge(this.#cache, headOf(request, address.url)).then(({ status, headers, body }) => {
      // Something in front has answered meanwhile (a timeout).
      if (response.headersSent) return
      response.writeHead(status, headers)
      response.end(body)
    })
  }
}
