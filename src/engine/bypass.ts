/**
 * What goes past the cache: forwarded untouched. But an unsafe method that succeeds invalidates what it may have changed (RFC 9111
 * section 4.4), and a POST or PATCH may answer later GETs (RFC 9110 section 9.3.3, RFC 5789 section 2).
 */
import { getHeader } from '../http/headers.ts'
import { originOf, resolveReference } from '../http/uri.ts'
import type { BypassReason, Outcome, ResponseMeta } from '../policy/decision.ts'
import { invalidation } from '../policy/invalidate.ts'
import type { Asked } from './asked.ts'
import type { CacheOutcome, Exchange, Reply } from './exchange.ts'
import type { FillTools } from './fill.ts'
import { keysOfUrl } from './invalidation.ts'
import type { Invalidations } from './invalidations.ts'
import type { Received } from './keeper.ts'
import { primaryKey } from './key.ts'
import { NOTHING, type KeysUnder } from './lookup.ts'
import { passedReply } from './passing.ts'
import type { Clock, MaybePromise, OriginResponse, Store } from './ports.ts'
import { groupTag, tagKey, urlTag } from './tags.ts'

export interface BypassTools extends FillTools {
  readonly store: Store
  readonly clock: Clock
  readonly invalidations: Invalidations
  readonly keysUnder: (key: string) => Promise<KeysUnder>
  /** Keys of other queries whose entries answer this one, too (searches.ts). */
  readonly alsoAnswering: (key: string) => Promise<string[]>
}

/** What the forwarder lends. */
export interface BypassActions {
  settle(x: Exchange, stored: ResponseMeta | null, received: Received): Outcome
  store(asked: Asked, outcome: Extract<Outcome, { kind: 'store' }>): MaybePromise<Reply>
}

/** What an unsafe request may have changed. */
type Change = Pick<Extract<Outcome, { kind: 'invalidate' }>, 'urls' | 'groups'>

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
    const { clock, counters, events, fences } = this.#tools
    const { request, effective } = x
    counters.bypassed += 1
    if (events.wants('bypass'))
      events.emit({ type: 'bypass', key: x.key, url: x.redactUrl(request.url), method: request.method, reason })
    const requestTime = clock.now()
    const epoch = fences.enter()
    const order = fences.next()
    try {
      const response = await x.origin(request, x.signal)
      if (reason === 'method' && effective.enabled) {
        const received = { response, decoded: response.decoded, requestTime, responseTime: clock.now(), epoch, order }
        const stored = await this.#changed(x, response, received)
        if (stored !== null) return stored
      }
      const outcome: CacheOutcome = reason === 'method' ? 'method' : reason.startsWith('request') ? 'request' : 'bypass'
      return passedReply(x, response, clock.now(), { outcome, reason, refused: reason })
    } finally {
      fences.leave()
    }
  }

  /** Acts on the answer to an unsafe method; a reply where it is stored. */
  async #changed(x: Exchange, response: OriginResponse, received: Received): Promise<Reply | null> {
    const key = await keyAsGet(x, response)
    // What others changed while this was under way may be newer than this answer.
    const names = key === null ? [] : [key, tagKey(urlTag(x.redactUrl(x.request.url)))]
    const overtook = this.#tools.fences.overtook(received.epoch, names)
    const outcome = this.#actions.settle(x, null, received)
    if (outcome.kind === 'invalidate') await this.#invalidate(x, outcome, outcome.urls)
    return key === null || overtook ? null : this.#storeAsGet(x, key, response, received)
  }

  async #storeAsGet(x: Exchange, key: string, response: OriginResponse, received: Received): Promise<Reply | null> {
    // `once`: of what is no GET, a part is not kept (section 3.3).
    const get: Exchange = { ...x, request: { ...x.request, method: 'GET' }, once: true }
    const outcome = this.#actions.settle(get, null, received)
    if (outcome.kind !== 'store' || outcome.reason !== 'explicit') return null
    const plan = { kind: 'miss', reason: 'uri-miss', conditions: [] } as const
    // Stored after the invalidation that the POST itself was, and not undone by it.
    const now = this.#tools.clock.now()
    const after = {
      ...received,
      requestTime: now,
      responseTime: now,
      epoch: this.#tools.fences.epoch,
      order: this.#tools.fences.next(),
    }
    const asked = { x: get, key, found: NOTHING, plan, flight: null, signal: x.signal, response }
    return await this.#actions.store({ ...asked, received: after }, outcome)
  }

  /**
   * An unsafe method that the user allows: what is stored of its URL for GET goes all the same. Other answers to such requests stay: that none
   * of them changes another is what allowing the method says. Nor does what its own answer is stored under (a keyFn may give GET the same).
   */
  async changedByAllowed(x: Exchange, response: OriginResponse): Promise<void> {
    const changed = invalidation(x.request, response)
    if (changed === null) return
    const others = changed.urls.filter((url) => url !== x.request.url)
    await this.#invalidate(x, changed, others, x.key)
  }

  /** `marked`: the URLs all of whose entries go, be they of other users or of requests with a body. `spared`: a key that stays. */
  async #invalidate(
    x: Exchange,
    changed: Change,
    marked: readonly string[],
    spared: string | null = null,
  ): Promise<void> {
    const { request, effective } = x
    if (effective.readOnly) return
    const { invalidations, keysUnder, alsoAnswering, store } = this.#tools
    const urlTags = marked.map((url) => urlTag(x.redactUrl(url)))
    // At once: what is asked for from here on is newer.
    invalidations.fence([], urlTags)
    const found = await Promise.all(changed.urls.map((url) => keysOfUrl(url, request.headers, effective)))
    const own = found.flat().filter((key) => key !== spared)
    invalidations.fence(own, [])
    const keys = [...new Set([...own, ...(await Promise.all(own.map((key) => alsoAnswering(key)))).flat()])]
    invalidations.fence(keys, [])
    const all = await Promise.all(keys.map((key) => keysUnder(key)))
    const origin = originOf(request.url)
    const groups = changed.groups.map((group) => groupTag(origin, group))
    const elsewhere = [...groups, ...urlTags]
    // Entries whose keys cannot be computed from the URL are marked, where there may be any.
    const tags = store.limits.persistent || this.sawParts ? elsewhere : groups
    await invalidations.changed({ keys: all, tags, elsewhere })
    const { events } = this.#tools
    const url = x.redactUrl(request.url)
    if (events.wants('invalidated'))
      events.emit({ type: 'invalidated', key: x.key, url, method: request.method, reason: 'method' })
  }
}

/**
 * RFC 9110 section 9.3.3, RFC 5789 section 2: a POST or a PATCH with explicit freshness whose Content-Location is its own URL may answer a
 * later GET: under this key. Null: it may not.
 */
async function keyAsGet({ request, effective }: Exchange, response: OriginResponse): Promise<string | null> {
  const location = getHeader(response.headers, 'content-location')
  const itself = location !== null && resolveReference(request.url, location) === request.url
  const { key, policy } = effective
  const mayShow = request.method === 'POST' || request.method === 'PATCH'
  if (!mayShow || response.status !== 200 || !itself || !policy.methods.has('GET')) return null
  return primaryKey({ ...request, method: 'GET' }, null, key, policy.shared)
}
