/**
 * A request at the gate of a Fetch handler: answered from the store at once, passed on to the handler, or led through the engine
 * (web-lead.ts).
 *
 * Rule 1: `run` is called at most once for a visit; what refreshes a stale answer behind the visitor's back is called by `again`.
 * Rule 2: what the handler answers reaches the visitor unchanged but for Cache-Status, Date and a missing ETag; only when it fails may
 *   a stored answer take its place. What it throws is thrown to whoever waits for it.
 * Rule 3: a key whose last answers could not be shared costs a look-up and no more.
 * Rule 4: nothing here is of one runtime.
 */
import type { CacheClient } from '../clients/client.ts'
import type { AlreadyRead } from '../engine/engine.ts'
import { chain } from '../engine/maybe.ts'
import type { MaybePromise } from '../engine/ports.ts'
import { StoredReply, type ResponseEntry } from '../engine/reply.ts'
import { FORWARDED, type Address } from './addresses.ts'
import { answered } from './answering.ts'
import { isHopeless, isLookedAt, isRefusal, neverAsk, UNSAFE } from './gate.ts'
import { answerPurge } from './purge.ts'
import type { ServerCache } from './server-cache.ts'
import { WebLead } from './web-lead.ts'
import { isBodiless, storedResponse, wholeResponse } from './web-reply.ts'
import { announced, enclose, insideOf, mayBeShared, type Visit, type WebInside, type WebVisit } from './web-visit.ts'
import {
  addressOf,
  asksPart,
  hasDirectives,
  hasIdentity,
  headOfRequest,
  isHandlersOwn,
  namesAnotherHost,
  namesSeveral,
} from './web-request.ts'

export class WebGate {
  readonly #cache: ServerCache

  constructor(cache: ServerCache) {
    this.#cache = cache
  }

  /** At once where that can be. */
  enter(of: WebVisit): MaybePromise<Response> {
    const { request, route } = of
    const inside = insideOf(request)
    if (inside !== undefined) return this.#inside(inside, of)
    const cache = this.#cache
    const { client } = cache
    if (client === null) return this.#whenReady(of)
    const address = addressOf(request, cache, route)
    const { headers, method } = request
    // A socket is being opened: each is its visitor's own. So is an answer to a GET with a body (RELIABILITY 106) or with If-Match.
    if (address === null || headers.get('upgrade') === 'websocket' || (isHandlersOwn(request) && !address.purges))
      return of.run(request, false)
    const { settings } = address
    const key = hasIdentity(headers, cache.addresses.identities) || namesSeveral(request, cache) ? null : address.key
    const refuse = (entry: ResponseEntry): boolean => isRefusal(entry) && headers.has('cookie')
    const authorized = headers.has('authorization')
    const plain = address.plain && method === 'GET' && !authorized
    const directed = cache.settings.requestDirectives && hasDirectives(headers)
    const found = plain && key !== null && !directed ? client.engine.quick(key, refuse) : undefined
    if (found instanceof StoredReply) return announced(of, this.#hit(request, found, address.url))
    const nothing = found !== undefined && found.read === undefined && key !== null
    if (nothing && client.engine.expectsNothing(key) && isHopeless(address))
      return this.#watch(of, address, client, key)
    return this.#visit({ of, address, client, settings, authorized, somebody: false }, key, found)
  }

  /** A cache of the same kind stands further out: the route only says what is in force here, and who is known to ask. */
  async #inside(inside: WebInside, of: WebVisit): Promise<Response> {
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
      this.#cache.report(error)
      return of.run(of.request, false)
    }
    return this.enter(of)
  }

  #hit(request: Request, reply: StoredReply, url: string): Response {
    const { bytes } = reply.entry.body
    const { cacheStatus } = this.#cache.settings
    if (bytes !== null && !asksPart(request.headers) && !isBodiless('GET', reply.status))
      return wholeResponse(reply, bytes, cacheStatus)
    return storedResponse(answered(reply, headOfRequest(request, url)), cacheStatus)
  }

  /** Rule 3: only the head of the response is looked at, and not of every one, for a sign that the next may be shared. */
  #watch(of: WebVisit, address: Address, { engine }: CacheClient, key: string): MaybePromise<Response> {
    const passed: WebInside = { settings: address.settings, somebody: false }
    enclose(of.request, passed)
    const run = of.run(of.request, false)
    if (!isLookedAt(address, this.#cache.settings.client.clock)) return run
    return chain(run, (response) => {
      if (mayBeShared(response, passed.settings)) {
        engine.expectAgain(key)
        address.refusals = 0
      } else address.refusals += 1
      return response
    })
  }

  async #visit(visit: Visit, key: string | null, found: AlreadyRead | undefined): Promise<Response> {
    const { settings, address, of } = visit
    const { request } = of
    const { method, headers } = request
    const cache = this.#cache
    if (address.purges || (method === 'PURGE' && cache.settings.purge !== null)) return this.#purge(visit)
    if (!settings.effective.enabled || method === 'OPTIONS' || method === 'TRACE') return of.run(request, false)
    enclose(request, visit)
    const lead = new WebLead(cache, visit)
    const head = headOfRequest(request, address.url)
    if (UNSAFE.test(method)) return lead.start(`${method} ${address.url}`)
    const twice = namesAnotherHost(request, cache)
    const also = twice ? ['host'] : namesSeveral(request, cache) ? FORWARDED : []
    const made = (twice ? null : key) ?? (await cache.addresses.keyOf(address, head.headers, also))
    // A range is answered from what is stored; else the handler answers it itself, and nothing is kept of that.
    if (headers.has('range')) {
      const entry = await visit.client.engine.find(cache.exchange(head, made, visit, neverAsk))
      if (entry === undefined) return of.run(request, false)
    }
    return lead.start(made, twice ? undefined : found)
  }

  async #purge({ of, address }: Visit): Promise<Response> {
    const { status, headers, body } = await answerPurge(this.#cache, headOfRequest(of.request, address.url))
    return announced(of, new Response(body, { status, headers }))
  }
}
