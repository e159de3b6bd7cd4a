/**
 * What goes past the cache: forwarded untouched. But an unsafe method that succeeds invalidates what it may have changed (RFC 9111
 * section 4.4), and a POST may answer later GETs (RFC 9110 section 9.3.3).
 */
import { getHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { resolveReference } from '../http/uri.ts'
import type { BypassReason, Outcome, ResponseMeta } from '../policy/decision.ts'
import type { Asked } from './asked.ts'
import type { CacheOutcome, Exchange, Reply } from './exchange.ts'
import type { FillTools } from './fill.ts'
import { keysOfUrl } from './invalidation.ts'
import { originOf, type Received } from './keeper.ts'
import { primaryKey } from './key.ts'
import { NOTHING } from './lookup.ts'
import { passedReply } from './passing.ts'
import type { Clock, OriginResponse, Store } from './ports.ts'
import { groupTag, urlTag } from './tags.ts'

export interface BypassTools extends FillTools {
  readonly store: Store
  readonly clock: Clock
  readonly invalidate: (keys: readonly string[], tags: readonly string[]) => Promise<void>
  readonly keysUnder: (key: string) => Promise<string[]>
}

/** What the forwarder lends. */
export interface BypassActions {
  settle(x: Exchange, sent: RequestHead, stored: ResponseMeta | null, received: Received): Outcome
  store(asked: Asked, outcome: Extract<Outcome, { kind: 'store' }>): Promise<Reply>
}

export class Bypass {
  /** Whether this process stored under keys with more parts than the URL: their entries are invalidated by the URL's tag. */
  sawParts = false
  readonly #tools: BypassTools
  readonly #actions: BypassActions

  constructor(tools: BypassTools, actions: BypassActions) {
    this.#tools = tools
    this.#actions = actions
  }

  /** Forwards untouched. An unsafe method that succeeds invalidates what it may have changed (RFC 9111 section 4.4). */
  async forward(x: Exchange, reason: BypassReason): Promise<Reply> {
    const { clock, counters, events } = this.#tools
    const { request, effective } = x
    counters.bypassed += 1
    if (events.wants('bypass'))
      events.emit({ type: 'bypass', key: x.key, url: x.redactUrl(request.url), method: request.method, reason })
    const requestTime = clock.now()
    const response = await x.origin(request, x.signal)
    if (reason === 'method' && effective.enabled) {
      const received = {
        response,
        decoded: response.decoded,
        requestTime,
        responseTime: clock.now(),
        epoch: this.#tools.tags.epoch,
      }
      const outcome = this.#actions.settle(x, request, null, received)
      if (outcome.kind === 'invalidate') await this.#invalidate(x, outcome)
      const stored = await this.#storeAsGet(x, response, received)
      if (stored !== null) return stored
    }
    const outcome: CacheOutcome = reason === 'method' ? 'method' : reason.startsWith('request') ? 'request' : 'bypass'
    return passedReply(x, response, this.#tools.clock.now(), { outcome, reason, refused: reason })
  }

  /** RFC 9110 section 9.3.3: a POST with explicit freshness whose Content-Location is its own URL may answer a later GET. */
  async #storeAsGet(x: Exchange, response: OriginResponse, received: Received): Promise<Reply | null> {
    const { request, effective } = x
    const location = getHeader(response.headers, 'content-location')
    const itself = location !== null && resolveReference(request.url, location) === request.url
    if (request.method !== 'POST' || response.status !== 200 || !itself || !effective.policy.methods.has('GET'))
      return null
    const get: Exchange = { ...x, request: { ...request, method: 'GET' } }
    const outcome = this.#actions.settle(get, get.request, null, received)
    if (outcome.kind !== 'store' || outcome.reason !== 'explicit') return null
    const key = await primaryKey(get.request, null, effective.key, effective.policy.shared)
    const plan = { kind: 'miss', reason: 'uri-miss', conditions: [] } as const
    // Stored after the invalidation that the POST itself was, and not undone by it.
    const now = this.#tools.clock.now()
    const after = { ...received, requestTime: now, responseTime: now, epoch: this.#tools.tags.epoch }
    return this.#actions.store(
      { x: get, key, found: NOTHING, plan, flight: null, sent: request, response, received: after },
      outcome,
    )
  }

  async #invalidate(x: Exchange, outcome: Extract<Outcome, { kind: 'invalidate' }>): Promise<void> {
    const { request, effective } = x
    if (effective.readOnly) return
    const keys = await Promise.all(outcome.urls.map((url) => keysOfUrl(url, request.headers, effective)))
    const all = await Promise.all([...new Set(keys.flat())].map((key) => this.#tools.keysUnder(key)))
    const origin = originOf(request.url)
    const tags = outcome.groups.map((group) => groupTag(origin, group))
    if (this.#tools.store.limits.persistent || this.sawParts)
      tags.push(...outcome.urls.map((url) => urlTag(x.redactUrl(url))))
    await this.#tools.invalidate(all.flat(), tags)
    const { events } = this.#tools
    const url = x.redactUrl(request.url)
    if (events.wants('invalidated'))
      events.emit({ type: 'invalidated', key: x.key, url, method: request.method, reason: 'method' })
  }
}
