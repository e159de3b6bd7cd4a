/**
 * Asking the origin and acting on its answer: the switch over Outcome.
 *
 * Rule 1: what the caller is told never depends on whether storing works.
 * Rule 2: a 304 is for whoever asked conditionally; a caller who did not gets a whole response (RELIABILITY 25).
 * Rule 3: a failing origin costs the caller only what nothing stored can make good (RFC 5861, RFC 9111 section 4.2.4).
 */
import { getHeader } from '../http/headers.ts'
import { strongMatch } from '../http/etag.ts'
import { answer as answerOf } from '../policy/answer.ts'
import type { BypassReason, Outcome, ResponseMeta } from '../policy/decision.ts'
import { isSafe } from '../policy/invalidate.ts'
import { isOutdatedBy } from '../policy/partial.ts'
import { headUpdate, isAboutResource, settle, type SettleInput } from '../policy/settle.ts'
import { isError, mayHide } from '../policy/stale.ts'
import type { Asked } from './asked.ts'
import { Background } from './background.ts'
import { Backoff } from './backoff.ts'
import { Bypass, type BypassTools } from './bypass.ts'
import { isUrlKey } from './key.ts'
import { Rest } from './completion.ts'
import { cuttable } from './cut.ts'
import type { Exchange, Reply, ReplyBody, ReplyInfo } from './exchange.ts'
import type { EngineOptions } from './engine-options.ts'
import { Fill, type Catch } from './fill.ts'
import { entryHead, renewed, type Draft, type Received } from './keeper.ts'
import { LiveBody } from './live-body.ts'
import type { Found } from './lookup.ts'
import { NOTHING } from './lookup.ts'
import { chain, isPromise } from './maybe.ts'
import type { MaybePromise, OriginResponse, StoredEntry } from './ports.ts'
import { bodyFailure, couldBeRead, isReadable } from './readable.ts'
import { hasNoBody, storedFacts, StoredReply, type ResponseEntry, type StoredReplyFacts } from './reply.ts'
import {
  askedConditionally,
  conditional,
  contentLength,
  discard,
  hasSecret,
  missInfo,
  outcomeOf,
  passedReply,
  stamped,
  withoutRange,
  type AskingPlan,
} from './passing.ts'
import { put } from './put.ts'
import type { Flight } from './single-flight.ts'
import { gatewayTimeout } from './synthetic.ts'
import { isOvertaken } from './tags.ts'
import { atMost } from './timer.ts'
import { Unshareable } from './unshareable.ts'
import { Departure } from './departure.ts'

export interface ForwarderOptions extends EngineOptions, BypassTools {}

export class Forwarder {
  readonly #options: ForwarderOptions
  readonly #unshareable = new Unshareable()
  readonly #bypass: Bypass
  /** Revalidations nobody waits for. */
  readonly background: Background

  constructor(options: ForwarderOptions) {
    this.#options = options
    this.background = new Background(options.events, new Backoff(options.clock), this)
    this.#bypass = new Bypass(options, {
      settle: (...given) => this.#settle(...given),
      store: (asked, outcome) => this.#store(asked, outcome),
    })
  }

  /** Whether the last answer under this key could not be shared: then nobody waits for the next one (row 149). */
  isUnshareable(flightKey: string): boolean {
    return this.#unshareable.has(flightKey)
  }

  forgetUnshareable(flightKey: string): void {
    this.#unshareable.forget(flightKey)
  }

  /** Whether this process stored under keys with more parts than the URL (bypass.ts). */
  get sawParts(): boolean {
    return this.#bypass.sawParts
  }

  /** Past the cache (bypass.ts). */
  bypass(x: Exchange, reason: BypassReason): Promise<Reply> {
    return this.#bypass.forward(x, reason)
  }

  /** Asks the origin on behalf of a flight (or of this request alone) and acts on the answer. */
  lead(x: Exchange, key: string, found: Found, plan: AskingPlan, flight: Flight<Catch> | null): Promise<Reply> {
    if (x.signal === null) return this.#ask(x, key, found, plan, flight, null)
    const departure = new Departure(x.signal, flight)
    return departure.orAbort(this.#ask(x, key, found, plan, flight, departure.signal))
  }

  async #ask(
    x: Exchange,
    key: string,
    found: Found,
    given: AskingPlan,
    flight: Flight<Catch> | null,
    signal: AbortSignal | null,
  ): Promise<Reply> {
    const unfit = x.once && given.conditions.length > 0 && !(await this.#mayAskConditionally(x, given, found))
    const plan: AskingPlan = unfit ? { ...given, conditions: [] } : given
    const { clock, fences, guard } = this.#options
    const rest = plan.kind === 'miss' && plan.lack ? await Rest.open(x, found.entry, plan.lack, guard, signal) : null
    const sent = rest?.request ?? (plan.conditions.length === 0 ? x.request : conditional(x.request, plan))
    const requestTime = clock.now()
    const epoch = fences.enter()
    const order = fences.next()
    // Waiting for a lease may have taken a while: invalidations until now are older than what is asked for now.
    if (flight !== null) flight.epoch = epoch
    try {
      let response: OriginResponse
      try {
        response = await x.origin(sent, signal)
      } catch (error) {
        rest?.leave()
        flight?.fail(error)
        return this.failed(x, found, plan, error, requestTime)
      }
      const received = { response, decoded: response.decoded, requestTime, responseTime: clock.now(), epoch, order }
      const asked = { x, key, found, plan, flight, signal, response, received }
      const reply = rest === null ? this.#answered(asked) : this.#resumed(asked, rest)
      return isPromise(reply) ? await reply : reply
    } catch (error) {
      flight?.fail(error)
      throw error
    } finally {
      fences.leave()
    }
  }

  /** The answer to a request for the rest alone (RFC 9111 section 3.4): together with what is stored, or else what the caller asked for, anew. */
  async #resumed(asked: Asked, rest: Rest): Promise<Reply> {
    const { x, key, found, flight, signal, response } = asked
    const whole = rest.joined(response)
    const received = { ...asked.received, response: whole ?? response }
    const outcome = this.#settle(x, null, received)
    // What may not be stored would have to be read from an entry that is deleted for it.
    if (whole !== null && outcome.kind === 'store' && !hasSecret(x, whole))
      return this.#store({ ...asked, response: whole, received }, outcome)
    rest.leave()
    if (whole === null && rest.answersCaller(response)) return this.#answered(asked)
    discard(response)
    if (found.entry !== null && !response.personal) await this.#options.guard.delete([found.entry.key])
    return this.#ask(x, key, NOTHING, { kind: 'miss', reason: 'partial-miss', conditions: [] }, flight, signal)
  }

  /** Where a 304 could not be followed by another request: only about the one entry that is then served, and that can be read. */
  async #mayAskConditionally(x: Exchange, plan: AskingPlan, { entry }: Found): Promise<boolean> {
    if (plan.kind !== 'revalidate' || entry === null) return false
    return couldBeRead(this.#stored(x, entry, {}), this.#options.guard)
  }

  /** The origin could not be reached: the stored entry, a 504, or the error itself, as the plan allows. */
  async failed(x: Exchange, found: Found, plan: AskingPlan, error: unknown, asked?: number): Promise<Reply> {
    if (plan.kind === 'miss' || found.entry === null || x.signal?.aborted) throw error
    switch (plan.onError) {
      case 'stale': {
        if (!mayHide(found.entry.meta, x.request.headers, x.effective.policy, asked)) throw error
        const stale = await this.#stale(x, found.entry, null)
        if (stale === null) throw error
        return stale
      }
      case 'gateway-timeout':
        return gatewayTimeout(x, plan.reason, this.#options.clock.now())
      case 'fail':
        throw error
      default:
        throw plan.onError satisfies never
    }
  }

  /** The stored reply in place of a failure; null: it cannot be read. */
  async #stale(x: Exchange, entry: ResponseEntry, failure: number | null): Promise<Reply | null> {
    const { events, counters, guard } = this.#options
    const reply = this.#stored(x, entry, { outcome: 'stale', reason: 'stale-if-error', failure })
    if (!(await isReadable(reply, guard))) return null
    counters.stale += 1
    if (events.wants('stale')) {
      const age = (reply.now - entry.meta.responseTime) / 1000
      const base = { key: entry.key, url: entry.meta.url, method: x.request.method }
      events.emit({ type: 'stale', ...base, reason: 'stale-if-error', age })
    }
    return reply
  }

  #answered(asked: Asked): MaybePromise<Reply> {
    const { x, response } = asked
    if (isSafe(x.request.method)) return this.#judged(asked)
    return this.#bypass.changedByAllowed(x, response).then(() => this.#judged(asked))
  }

  #judged(asked: Asked): MaybePromise<Reply> {
    const { x, plan, response } = asked
    const error = isError(response.status, x.effective.policy)
    if (error && plan.kind === 'revalidate' && plan.onError === 'stale') return this.#hidden(asked)
    if (x.request.method === 'HEAD' && response.status !== 304)
      return this.#updateByHead(asked).then(() => this.#settled(asked))
    return this.#settled(asked)
  }

  /** A server error that what is stored may take the place of (RFC 5861 section 4). */
  async #hidden(asked: Asked): Promise<Reply> {
    const { x, found, response, flight, received } = asked
    const { entry } = found
    if (entry !== null && mayHide(entry.meta, x.request.headers, x.effective.policy, received.requestTime)) {
      const stale = await this.#stale(x, entry, response.status)
      if (stale !== null) {
        flight?.fail(new Error(`the origin answered ${response.status}`))
        discard(response)
        return stale
      }
    }
    if (x.request.method === 'HEAD') await this.#updateByHead(asked)
    return this.#settled(asked)
  }

  #settled(asked: Asked): MaybePromise<Reply> {
    const { x, found, plan, response, received, flight } = asked
    const stored = plan.kind === 'revalidate' ? (found.entry?.meta ?? null) : null
    const outcome = this.#settle(x, stored, received)
    switch (outcome.kind) {
      case 'store':
        return this.#store(asked, outcome)
      case 'refresh':
        return this.#refreshed(asked, found.entry, outcome)
      case 'refuse':
        return this.#refused(asked, outcome)
      case 'invalidate':
        flight?.land({ kind: 'nothing' })
        return passedReply(x, response, this.#options.clock.now(), {
          outcome: 'method',
          reason: 'method',
          refused: 'method',
        })
      default:
        throw outcome satisfies never
    }
  }

  #settle(x: Exchange, stored: ResponseMeta | null, received: Received): Outcome {
    return settle({ ...this.#answerTo(x, received), stored })
  }

  #answerTo({ request, effective }: Exchange, received: Received): Omit<SettleInput, 'stored'> {
    const { response, requestTime, responseTime } = received
    return { request, response, requestTime, responseTime, options: effective.policy, random: this.#options.random() }
  }

  /** RFC 9111 section 4.3.5: a HEAD freshens the stored GET, or shows that it is no longer valid. */
  async #updateByHead({ x, found, response, received }: Asked): Promise<void> {
    const { entry } = found
    if (entry === null || entry.meta.method === 'HEAD' || x.effective.readOnly || response.personal) return
    const { meta, body } = entry
    const outcome = headUpdate(this.#answerTo(x, received), meta, body.size)
    if (outcome.kind === 'refresh') {
      const fresh = renewed(meta, outcome.headers, outcome.terms, received, x.effective)
      await this.#options.keeper.renew(entry, fresh, found.primary)
    } else if (outcome.kind === 'refuse' && outcome.drop) await this.#options.guard.delete([entry.key])
  }

  #store(asked: Asked, outcome: Extract<Outcome, { kind: 'store' }>): MaybePromise<Reply> {
    const { x, key, received } = asked
    const { entry } = asked.found
    if (x.effective.readOnly) return this.#refused(asked, { kind: 'refuse', reason: 'read-only', drop: false })
    if (hasSecret(x, asked.response)) return this.#refused(asked, { kind: 'refuse', reason: 'secret', drop: true })
    if (asked.response.undelimited) return this.#refused(asked, { kind: 'refuse', reason: 'undelimited', drop: true })
    if (!isUrlKey(key)) this.#bypass.sawParts = true
    const { keeper, guard } = this.#options
    const outdated = outcome.part !== null && entry !== null && isOutdatedBy(entry.meta, received.response)
    // Gone before the part is written, which may be under the same key.
    return chain(outdated ? guard.delete([entry.key]) : 0, () =>
      chain(keeper.draft(x, key, outcome, received), (draft) => this.#fill(asked, draft)),
    )
  }

  #fill(asked: Asked, draft: Draft): Reply {
    const { x, found, plan, flight, response, received } = asked
    if (flight) this.#unshareable.forget(flight.key)
    const kept = cuttable(x, response, draft)
    const fill = new Fill(this.#options, x, draft, flight, found.primary, kept)
    this.#countMiss(x, plan)
    const info = missInfo(plan, received, draft, fill)
    return this.#answerCondition(asked, draft, this.#fillBody(asked, fill), info)
  }

  #fillBody({ x, response, flight }: Asked, fill: Fill): ReplyBody | null {
    if (response.body === null || hasNoBody(x.request.method, response.status)) {
      if (response.body !== null) discard(response)
      fill.whole(new Uint8Array())
      return null
    }
    const { readAhead, backgroundFill, writeTimeout } = this.#options
    const body = new LiveBody(response.body, fill, {
      expected: contentLength(response),
      readAhead,
      backgroundFill,
      stallTimeout: writeTimeout,
      signal: x.signal,
      wanted: () => flight !== null && flight.waiting > 0,
      release: () => flight?.land({ kind: 'nothing' }),
    })
    if (flight !== null) flight.watcher = body
    return body
  }

  /** RFC 9111 section 4.3.2: the caller's own condition, which our validators took the place of, is answered by what came. */
  #answerCondition({ x, plan, response }: Asked, draft: Draft, body: ReplyBody | null, info: ReplyInfo): Reply {
    const head = {
      status: response.status,
      statusText: response.statusText,
      headers: stamped(x, response, info),
    }
    if (plan.conditions.length === 0 || response.status !== 200) return { head, body, info }
    const answer = answerOf(withoutRange(x.request), draft.head.meta, 0)
    if (answer.kind !== 'not-modified') return { head, body, info }
    body?.leave(undefined)
    const kept = head.headers.filter(([name]) => !name.startsWith('content-') || name === 'content-location')
    return { head: { status: 304, statusText: 'Not Modified', headers: kept }, body: null, info }
  }

  async #refreshed(
    asked: Asked,
    entry: ResponseEntry | null,
    outcome: Extract<Outcome, { kind: 'refresh' }>,
  ): Promise<Reply> {
    const { x, key, flight, response, received, plan } = asked
    if (entry === null) throw new TypeError('policy refreshed an entry that is not there')
    discard(response)
    const meta = renewed(entry.meta, outcome.headers, outcome.terms, received, x.effective)
    const { expiresAt, keepUntil } = entryHead(meta)
    const fresh: ResponseEntry = { ...entry, meta, expiresAt, keepUntil }
    const reply = this.#stored(x, fresh, { outcome: 'revalidated', reason: plan.reason, revalidated: true })
    // The origin confirmed what the store has lost: it is asked for the whole.
    if (!(await isReadable(reply, this.#options.guard))) {
      if (x.once) throw new Error('the handler confirmed what the store has lost')
      return this.#askAnew(asked)
    }
    // RELIABILITY 65: what was invalidated while the origin was asked is not renewed by its answer.
    if (!x.effective.readOnly && !isOvertaken(this.#options.fences, received.epoch, key, meta))
      await this.#renew(entry, meta, asked.found.primary)
    flight?.land({ kind: 'entry', entry: fresh })
    const { counters, events } = this.#options
    counters.revalidated += 1
    counters.bytesServed += entry.body.size
    if (events.wants('revalidated')) {
      const { method } = x.request
      events.emit({ type: 'revalidated', key: entry.key, url: meta.url, method, reason: plan.reason })
    }
    this.background.succeeded(key)
    return reply
  }

  /** The answer waits for the store no longer than a read would. */
  async #renew(entry: ResponseEntry, meta: ResponseMeta, primary: StoredEntry | undefined): Promise<void> {
    const updated = this.#options.keeper.renew(entry, meta, primary)
    if (!isPromise(updated)) return
    this.#options.pending.add(updated)
    await atMost(this.#options.readTimeout, updated)
  }

  /** Asks for the whole, without conditions of ours. */
  #askAnew({ x, key, flight, signal }: Asked): Promise<Reply> {
    return this.#ask(x, key, NOTHING, { kind: 'miss', reason: 'uri-miss', conditions: [] }, flight, signal)
  }

  #stored(x: Exchange, entry: ResponseEntry, facts: Partial<StoredReplyFacts>): StoredReply {
    const answer = answerOf(x.request, entry.meta, entry.body.size)
    const all = storedFacts(x, { answer, ...facts })
    return new StoredReply(entry, all, this.#options.clock.now(), bodyFailure(this.#options.guard, entry.key))
  }

  async #refused(asked: Asked, outcome: Refusal): Promise<Reply> {
    const { x, key, found, plan, flight, response } = asked
    // Conditions of ours took the place of the caller's: a 304 to them is no answer to its own.
    if (response.status === 304 && (plan.conditions.length > 0 || !askedConditionally(x.request)))
      return this.#unexpectedNotModified(asked)
    // A newer response takes the place of the older one even where it may not be stored itself.
    const superseded =
      plan.kind === 'miss' && found.entry !== null && isAboutResource(response.status) && outcome.reason !== 'read-only'
    if ((outcome.drop || superseded) && !x.effective.readOnly && !response.personal) {
      const stale = found.entry ? [found.entry.key] : []
      await this.#options.guard.delete([...stale, ...(found.primary?.meta.kind === 'response' ? [key] : [])])
    }
    if (flight) this.#unshareable.add(flight.key)
    flight?.land({ kind: 'nothing' })
    this.#countMiss(x, plan)
    const { counters, events } = this.#options
    counters.refused += 1
    const url = x.redactUrl(x.request.url)
    if (events.wants('refused'))
      events.emit({ type: 'refused', key, url, method: x.request.method, reason: outcome.reason })
    return passedReply(x, response, this.#options.clock.now(), {
      outcome: outcomeOf(plan),
      reason: plan.reason,
      refused: outcome.reason,
    })
  }

  /** A 304 to conditions of ours: it names another variant (section 4.3.4), or is nothing we can use and the whole is fetched. */
  async #unexpectedNotModified(asked: Asked): Promise<Reply> {
    const { x, key, found, plan, flight, response, received } = asked
    discard(response)
    const etag = getHeader(response.headers, 'etag')
    const named =
      etag === null
        ? undefined
        : found.others.find((variant) => variant.etag !== null && strongMatch(variant.etag, etag))
    const entry = named ? await this.#options.guard.read(named.key) : undefined
    if (named && entry?.meta.kind === 'response' && entry.meta.parts === null) {
      const stored = entry as ResponseEntry
      const outcome = this.#settle(x, stored.meta, received)
      if (outcome.kind === 'refresh') {
        if (!x.effective.readOnly) await this.#options.keeper.alias(key, named, x, stored)
        return this.#refreshed(asked, stored, outcome)
      }
    }
    if (plan.conditions.length === 0) {
      flight?.land({ kind: 'nothing' })
      return passedReply(x, response, this.#options.clock.now(), {
        outcome: outcomeOf(plan),
        reason: plan.reason,
        refused: 'not-modified',
      })
    }
    if (found.entry && !x.effective.readOnly && !response.personal) await this.#options.guard.delete([found.entry.key])
    if (x.once && found.entry !== null) {
      // Section 4.3.4 forbids to update what is stored by it, and the next one gets the whole; this one gets what was validated.
      flight?.land({ kind: 'nothing' })
      return this.#stored(x, found.entry, { outcome: 'revalidated', reason: plan.reason, revalidated: true })
    }
    return this.#askAnew(asked)
  }

  #countMiss(x: Exchange, plan: AskingPlan): void {
    const { counters, events } = this.#options
    counters.misses += 1
    if (!events.wants('miss')) return
    const { url, method } = x.request
    events.emit({ type: 'miss', key: x.key, url: x.redactUrl(url), method, reason: plan.reason })
  }

  /** Stores a response given by hand (put.ts). */
  put(x: Exchange, ...given: [Omit<Received, 'epoch' | 'order'>, () => Promise<Uint8Array>]): Promise<boolean> {
    if (x.key !== null && !isUrlKey(x.key)) this.#bypass.sawParts = true
    return put(this.#options, (...settled) => this.#settle(...settled), x, ...given)
  }
}

type Refusal = Omit<Extract<Outcome, { kind: 'refuse' }>, 'reason'> & { readonly reason: string }
