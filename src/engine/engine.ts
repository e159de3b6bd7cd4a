/**
 * The only performer: looks up, lets policy decide, asks the origin, stores. Every decision is made elsewhere, as data.
 *
 * Reading order: `handle` (one request), `#perform` (the switch over Plan), then forward.ts (asking the origin, the switch over Outcome).
 */
import { hasHeader } from '../http/headers.ts'
import { copyOf } from './bytes.ts'
import { bypass, plan as decide } from '../policy/plan.ts'
import type { Answer, Plan } from '../policy/decision.ts'
import { Cleaner, type Cleanup } from './cleaner.ts'
import type { EngineOptions } from './engine-options.ts'
import { Events } from './events.ts'
import { Fences } from './fences.ts'
import { flightKeyOf, JOINABLE, withVariant } from './flight-key.ts'
import type { Exchange, Reply, ResponseFilter } from './exchange.ts'
import { interrupted, type Catch } from './fill.ts'
import { Forwarder } from './forward.ts'
import { Invalidations } from './invalidations.ts'
import { Keeper } from './keeper.ts'
import { Leases } from './lease.ts'
import { isSelected, Lookup, NOTHING, type Found } from './lookup.ts'
import { chain, isPromise } from './maybe.ts'
import { holdFor, Refreshes } from './refreshes.ts'
import { Searches } from './searches.ts'
import { Served } from './served.ts'
import type { AskingPlan } from './passing.ts'
import { Pending } from './pending.ts'
import { isPlainEffective, isPlainHit } from './plain-hit.ts'
import {
  isEvicting,
  isGathering,
  isListable,
  isLocking,
  type Clock,
  type MaybePromise,
  type Store,
  type StoredEntry,
} from './ports.ts'
import { bodyFailure, isReadable } from './readable.ts'
import { PLAIN_HIT, storedFacts, StoredReply, type ResponseEntry, type StoredReplyFacts } from './reply.ts'
import { LeaderLeft, SingleFlight, type Flight } from './single-flight.ts'
import { Counters, type CacheStats } from './stats.ts'
import { slid } from './slid.ts'
import { StoreGuard } from './store-guard.ts'
import { originFence, tagKey, Tags, urlTag } from './tags.ts'
import { gatewayTimeout } from './synthetic.ts'
import { Upkeep } from './upkeep.ts'

/** What was read under a key before the engine was asked in full. */
export interface AlreadyRead {
  readonly read: MaybePromise<StoredEntry | undefined>
  /** Of a read that takes a while: nobody was fetching what is under the key as it began, so that `plain` may answer from what it brings. */
  readonly alone?: boolean
}

export class Engine {
  readonly events: Events = new Events()
  readonly store: Store
  readonly counters: Counters = new Counters()
  readonly invalidations: Invalidations
  readonly upkeep: Upkeep
  readonly #options: EngineOptions
  readonly #clock: Clock
  readonly #guard: StoreGuard
  readonly #fences = new Fences()
  readonly #tags: Tags
  readonly #lookup: Lookup
  readonly #pending = new Pending()
  readonly #served = new Served(this.counters, this.events)
  readonly #flights = new SingleFlight<Catch>()
  /** Those who wait for their second flight. */
  readonly #goingOn = new WeakSet<Exchange>()
  readonly #leases: Leases | null
  readonly #searches: Searches
  readonly #forwarder: Forwarder
  readonly #refreshes: Refreshes
  readonly #unwatch: (() => void) | null
  #cleaner: Cleaner | null = null

  constructor(options: EngineOptions) {
    const { store, clock, readTimeout, writeTimeout } = options
    this.#options = options
    this.#clock = clock
    this.store = store
    this.#guard = new StoreGuard(store, this.events, clock, { readTimeout, writeTimeout })
    this.#tags = new Tags(this.#guard, clock, this.#fences)
    const sawParts = (): boolean => this.#forwarder.sawParts
    this.#lookup = new Lookup(this.#guard, this.#tags)
    this.#searches = new Searches(this.#guard, readTimeout)
    this.upkeep = new Upkeep(this.#guard, this.#lookup, this.#searches, this.#pending, readTimeout)
    this.invalidations = new Invalidations(this, this.#guard, this.#fences, this.#tags, sawParts)
    const { lease, collapseTimeout } = options
    this.#leases =
      lease !== null && isLocking(store) ? new Leases(this.#guard, clock, { lease, patience: collapseTimeout }) : null
    this.#forwarder = new Forwarder({
      ...options,
      guard: this.#guard,
      keeper: new Keeper(this.#guard, this.#searches),
      events: this.events,
      counters: this.counters,
      invalidations: this.invalidations,
      tags: this.#tags,
      fences: this.#fences,
      pending: this.#pending,
      keysUnder: (key) => this.#lookup.keysUnder(key),
      alsoAnswering: (key) => this.#searches.all(key),
    })
    this.#refreshes = new Refreshes({
      guard: this.#guard,
      lookup: this.#lookup,
      flights: this.#flights,
      fences: this.#fences,
      leases: this.#leases,
      background: this.#forwarder.background,
      pending: this.#pending,
      isHit: async (x, found) => (await this.#plan(x, found)).plan.kind === 'hit',
    })
    this.events.on('error', () => {
      this.counters.errors += 1
    })
    this.#unwatch = isEvicting(store) ? store.watchEvictions((...eviction) => this.#evicted(...eviction)) : null
  }

  /**
   * The hit path: one synchronous look-up for a GET with no headers, no options and a plain key.
   * A reply, or what was read, to go on with in `handle`.
   * @param refuse whether an entry is not to be given so
   */
  quick(key: string, refuse?: (entry: ResponseEntry) => boolean): StoredReply | AlreadyRead {
    const entry = this.#guard.read(key)
    if (isPromise(entry)) return { read: entry, alone: this.#flights.get(key) === undefined }
    return this.plain(key, entry, refuse) ?? { read: entry }
  }

  /** A reply from what was read under a plain key; null where more than the entry has a say. */
  plain(key: string, entry: StoredEntry | undefined, refuse?: (entry: ResponseEntry) => boolean): StoredReply | null {
    if (entry === undefined || this.#isReplaced(key)) return null
    const now = this.#clock.now()
    return isPlainHit(entry, now) && !refuse?.(entry) ? this.#plainHit(entry, now, null) : null
  }

  #plainHit(entry: ResponseEntry, now: number, signal: AbortSignal | null): StoredReply {
    const facts = signal === null ? PLAIN_HIT : { ...PLAIN_HIT, signal }
    const reply = new StoredReply(entry, facts, now, bodyFailure(this.#guard, entry.key))
    this.#served.plain(reply)
    return reply
  }

  /** Answers one request. `already` is what `quick` read under the key: one read a look-up (row 197). */
  handle(x: Exchange, already?: AlreadyRead): MaybePromise<Reply> {
    const { key, effective, request } = x
    if (!effective.enabled)
      return effective.demand.onlyIfCached || effective.demand.mode === 'only-if-cached'
        ? gatewayTimeout(x, 'only-if-cached', this.#clock.now())
        : this.#forwarder.bypass(x, 'disabled')
    if (key === null) return this.#forwarder.bypass(x, 'key-unavailable')
    const reason = bypass(request, effective.demand, effective.policy)
    if (reason !== null) return this.#forwarder.bypass(x, reason)
    const primary = already ? already.read : this.#guard.read(key)
    if (primary !== undefined && !isPromise(primary) && request.headers.length === 0 && request.method === 'GET') {
      const now = this.#clock.now()
      const isPlain = isPlainEffective(effective) && isPlainHit(primary, now) && !this.#isReplaced(key)
      if (isPlain) return this.#plainHit(primary, now, x.signal)
    }
    return this.#proceed(x, key, primary)
  }

  /** Waits for nothing that is at hand: a miss costs one exchange with the origin, and as few promises as it can. */
  #proceed(x: Exchange, key: string, primary: MaybePromise<StoredEntry | undefined>): MaybePromise<Reply> {
    if (x.signal?.aborted) return Promise.reject(x.signal.reason)
    const flight = this.#joinable(key, x, key)
    const looked = chain(primary, (entry) => this.#lookup.find(x, key, entry))
    return chain(looked, (found) => {
      const isThere = found.entry !== null && found.entry.meta.parts === null
      if (flight?.storing && (!isThere || flight.replaces)) return this.#whileStored(x, key, flight)
      return found.entry === null ? this.#elsewhere(x, key, found) : this.#decided(x, key, found)
    })
  }

  /** Whether a caller has had fetched anew what is under a key: the store may not show it yet. */
  #isReplaced(key: string): boolean {
    return this.#flights.size > 0 && this.#flights.get(key)?.replaces === true
  }

  async #whileStored(x: Exchange, key: string, flight: Flight<Catch>): Promise<Reply> {
    const justStored = await this.#justStored(x, key, flight)
    if (justStored !== null) return justStored
    // What may not be used as it is may be validated: it is there by now.
    const again = await this.#lookup.find(x, key, await this.#guard.readAnew(key))
    return again.entry === null ? this.#elsewhere(x, key, again) : this.#decided(x, key, again)
  }

  /** Nothing is under the key itself. */
  #elsewhere(x: Exchange, key: string, found: Found): MaybePromise<Reply> {
    return chain(this.#similar(x, key), (similar) => this.#decided(x, key, similar ?? found))
  }

  #decided(x: Exchange, key: string, found: Found): MaybePromise<Reply> {
    return chain(this.#plan(x, found), ({ usable, plan }) => this.#perform(x, key, usable, plan))
  }

  /** What this process is storing while the store does not show it yet: who has read a body to its end may count on its being there. */
  async #justStored(x: Exchange, key: string, flight: Flight<Catch>): Promise<Reply | null> {
    const landing = await flight.wait(x.signal, this.#options.readTimeout)
    return landing.kind === 'landed' && !this.#isOvertaken(flight, x, key) ? this.#shared(x, key, landing.value) : null
  }

  /** An entry of another query that may answer this one (searches.ts). */
  #similar(x: Exchange, key: string): MaybePromise<Found | null> {
    return chain(this.#searches.find(key), (other) => (other === null ? null : this.#foundUnder(x, other)))
  }

  async #foundUnder(x: Exchange, other: string): Promise<Found | null> {
    const found = await this.#lookup.find(x, other, await this.#guard.read(other))
    return found.entry === null ? null : { ...found, primary: undefined, others: [] }
  }

  /** Policy's decision; stored data it cannot digest is no data (RELIABILITY B30). */
  #plan(x: Exchange, found: Found): MaybePromise<{ usable: Found; plan: Plan }> {
    return chain(this.#filtered(x, found), (usable) => this.#planned(x, usable))
  }

  #planned(x: Exchange, usable: Found): { usable: Found; plan: Plan } {
    try {
      return { usable, plan: this.#decide(x, usable) }
    } catch (error) {
      if (usable.entry === null) throw error
      this.#guard.report('read', usable.entry.key, error)
      return { usable: NOTHING, plan: this.#decide(x, NOTHING) }
    }
  }

  #decide(x: Exchange, found: Found): Plan {
    const { request, effective } = x
    const stored = {
      meta: found.entry?.meta ?? null,
      size: found.entry?.body.size ?? 0,
      invalidated: found.invalidated,
      variants: found.others,
    }
    return decide(request, effective.demand, stored, this.#clock.now(), effective.policy)
  }

  /** Feature K6: a stored response the filter refuses is deleted and fetched anew. */
  #filtered(x: Exchange, found: Found): MaybePromise<Found> {
    const { filter } = x.effective
    const { entry } = found
    // The whole is not asked of parts.
    const isPart = entry !== null && entry.meta.parts !== null && !hasHeader(x.request.headers, 'range')
    return filter === null || entry === null || isPart ? found : this.#passed(x, found, entry, filter)
  }

  async #passed(x: Exchange, found: Found, entry: ResponseEntry, filter: ResponseFilter): Promise<Found> {
    const { status, statusText, headers, url, method } = entry.meta
    const body = async (): Promise<Uint8Array | null> => (entry.body.bytes === null ? null : copyOf(entry.body.bytes))
    const keep = await filter({ status, statusText, headers, url, method, fromCache: true, body })
    if (keep) return found
    if (!x.effective.readOnly) await this.#guard.delete([entry.key])
    return { ...NOTHING, primary: found.primary }
  }

  #perform(x: Exchange, key: string, found: Found, plan: Plan): MaybePromise<Reply> {
    switch (plan.kind) {
      case 'hit':
      case 'stale':
        return this.#answerStored(x, key, found, plan)
      case 'miss':
      case 'revalidate':
        return this.#fly(x, key, found, plan)
      case 'bypass':
        return this.#forwarder.bypass(x, plan.reason)
      case 'unsatisfiable':
        return gatewayTimeout(x, plan.reason, this.#clock.now())
      default:
        throw plan satisfies never
    }
  }

  async #answerStored(
    x: Exchange,
    key: string,
    found: Found,
    plan: Extract<Plan, { kind: 'hit' | 'stale' }>,
  ): Promise<Reply> {
    const { entry } = found
    if (entry === null) throw new TypeError('policy answered from an entry that is not there')
    const ahead = plan.kind === 'hit' && this.#refreshes.isDue(x, plan.reason, plan.refresh, entry)
    const outcome = plan.kind === 'hit' ? 'hit' : 'stale'
    // What is being fetched anew has a lifetime of its own, and must find the version it began with.
    const slides = plan.kind === 'hit' && plan.reason === 'fresh' && !ahead && this.#flights.get(key) === undefined
    const used = slides ? slid(this.#guard, this.#pending, x, entry, found.primary) : entry
    const reply = this.#storedReply(x, used, { outcome, reason: plan.reason, answer: plan.answer })
    if (!(await isReadable(reply, this.#guard))) {
      return this.#perform(x, key, NOTHING, this.#decide(x, NOTHING))
    }
    this.#served.any(reply, x.request.method)
    if (ahead) this.#refreshes.begin(x, key, found, 'refresh-ahead')
    else if (plan.kind === 'stale' && plan.refresh) this.#refreshes.begin(x, key, found, 'stale')
    return reply
  }

  #storedReply(x: Exchange, entry: ResponseEntry, facts: Partial<StoredReplyFacts> & { answer?: Answer }): StoredReply {
    return new StoredReply(entry, storedFacts(x, facts), this.#clock.now(), bodyFailure(this.#guard, entry.key))
  }

  /** Asks the origin, or waits for the one who does (single-flight.ts). */
  #fly(x: Exchange, key: string, found: Found, plan: AskingPlan): MaybePromise<Reply> {
    // While the store was read.
    if (x.signal?.aborted) return Promise.reject(x.signal.reason)
    // What others are told stays stored, and what this one is told is nobody else's.
    if (plan.reason === 'authorization-miss') return this.#forwarder.lead(x, key, NOTHING, plan, null)
    const flightKey = flightKeyOf(x, key)
    if (flightKey === null) return this.#forwarder.lead(x, key, found, plan, null)
    if (!JOINABLE.has(plan.reason)) return this.#alone(x, key, found, plan, flightKey)
    return chain(withVariant(x, flightKey, found), (own) => this.#together(x, key, found, plan, own))
  }

  #together(x: Exchange, key: string, found: Found, plan: AskingPlan, flightKey: string): Promise<Reply> {
    if (this.#forwarder.isUnshareable(flightKey)) return this.#alone(x, key, found, plan, flightKey)
    const flight = this.#joinable(flightKey, x, key)
    if (flight !== undefined) return this.#follow(x, key, found, plan, flight)
    return this.#lead(x, key, found, plan, this.#flights.start(flightKey, this.#fences.epoch))
  }

  /** An exchange of its own. What comes of it takes the place of what the others find. */
  #alone(x: Exchange, key: string, found: Found, plan: AskingPlan, flightKey: string): Promise<Reply> {
    const mine = this.#flights.start(flightKey, this.#fences.epoch)
    mine.replaces = true
    return this.#forwarder.lead(x, key, found, plan, mine)
  }

  /** The flight under a key, unless an invalidation overtook it: who asks after one is answered by what came after it (RELIABILITY 65). */
  #joinable(flightKey: string, x: Exchange, key: string): Flight<Catch> | undefined {
    const flight = this.#flights.get(flightKey)
    return flight === undefined || this.#isOvertaken(flight, x, key) ? undefined : flight
  }

  #isOvertaken(flight: Flight<Catch>, x: Exchange, key: string): boolean {
    if (flight.epoch === this.#fences.epoch) return false
    const tags = [urlTag(x.redactUrl(x.request.url)), ...x.effective.tags]
    return this.#fences.overtook(flight.epoch, [key, originFence(x.request.url), ...tags.map(tagKey)])
  }

  /** Leads this process's flight; where other processes may have one too, only after theirs (lease.ts). */
  #lead(x: Exchange, key: string, found: Found, plan: AskingPlan, flight: Flight<Catch>): Promise<Reply> {
    if (this.#leases === null || x.effective.readOnly) return this.#forwarder.lead(x, key, found, plan, flight)
    const answered = this.#awaitLease(this.#leases, x, key, flight)
    return answered.then((reply) => reply ?? this.#forwarder.lead(x, key, found, plan, flight))
  }

  /** Waits for the flight's lease; the reply, where another process brought it meanwhile. */
  async #awaitLease(leases: Leases, x: Exchange, key: string, flight: Flight<Catch>): Promise<Reply | null> {
    try {
      const look = (): Promise<Reply | null> => this.#shared(x, key, { kind: 'stored' })
      const taken = await leases.take(flight.key, x.signal, look)
      if (taken.kind === 'answered') {
        flight.land({ kind: 'stored' })
        return taken.value
      }
      if (taken.kind === 'mine') holdFor(flight, taken.lease, this.#pending)
      return null
    } catch (error) {
      // Whoever waits did not abort: this was no attempt (single-flight.ts rule 1).
      flight.abandoned = x.signal?.aborted === true
      flight.fail(error)
      throw error
    }
  }

  async #follow(x: Exchange, key: string, found: Found, plan: AskingPlan, flight: Flight<Catch>): Promise<Reply> {
    const landing = await flight.wait(x.signal, this.#options.collapseTimeout)
    if (landing.kind === 'slow') return this.#forwarder.lead(x, key, found, plan, null)
    if (landing.kind === 'landed' && landing.value.kind === 'part') return this.#goOn(x, key, found, plan)
    if (landing.kind === 'failed') {
      const left = flight.abandoned || landing.error instanceof LeaderLeft
      if (flight.attempt > 0 && !left) return this.#forwarder.failed(x, found, plan, landing.error)
      const next = this.#joinable(flight.key, x, key)
      if (next !== undefined) return this.#follow(x, key, found, plan, next)
      const again = this.#flights.start(flight.key, this.#fences.epoch, flight.attempt + (left ? 0 : 1))
      return this.#lead(x, key, found, plan, again)
    }
    const now = await this.#brought(x, key, landing.value)
    const shared = now && (await this.#collapsed(x, now))
    if (shared) return shared
    // It was for another variant: who wants this one waits for one of them, not each for itself.
    if (now?.plan.kind === 'miss' && now.plan.reason === 'vary-miss' && flight.key === flightKeyOf(x, key))
      return this.#fly(x, key, now.usable, now.plan)
    return this.#forwarder.lead(x, key, found, plan, null)
  }

  /** The leader's body was cut: what arrived of it is stored, and who waited for it goes on from there. Once: that may be cut, too. */
  async #goOn(x: Exchange, key: string, found: Found, plan: AskingPlan): Promise<Reply> {
    if (this.#goingOn.has(x)) return this.#forwarder.failed(x, found, plan, interrupted())
    this.#goingOn.add(x)
    return this.#decided(x, key, await this.#lookup.find(x, key, await this.#guard.readAnew(key)))
  }

  /** What a flight brought, if this request may have it, too (RFC 9111 section 4; RELIABILITY 60). */
  async #shared(x: Exchange, key: string, brought: Catch): Promise<Reply | null> {
    const now = await this.#brought(x, key, brought)
    return now && this.#collapsed(x, now)
  }

  /** What is there for this request, now that a flight has landed; null: nothing that could be shared. */
  async #brought(x: Exchange, key: string, brought: Catch): Promise<{ usable: Found; plan: Plan } | null> {
    if (brought.kind === 'nothing') return null
    const atHand = brought.kind === 'entry' && (await answers(x, key, brought.entry)) ? brought.entry : null
    return this.#plan(x, await this.#lookup.find(x, key, atHand ?? (await this.#guard.readAnew(key))))
  }

  async #collapsed(x: Exchange, { usable, plan }: { usable: Found; plan: Plan }): Promise<Reply | null> {
    if (plan.kind !== 'hit' || usable.entry === null) return null
    const reply = this.#storedReply(x, usable.entry, { answer: plan.answer, reason: 'collapsed', collapsed: true })
    if (!(await isReadable(reply, this.#guard))) return null
    this.#served.any(reply, x.request.method)
    return reply
  }

  /** Whether the last answer under a key could not be shared: the next one probably cannot, either. */
  expectsNothing(key: string): boolean {
    return this.#forwarder.isUnshareable(key)
  }

  /** An answer under a key may be shared after all. */
  expectAgain(key: string): void {
    this.#forwarder.forgetUnshareable(key)
  }

  // What the inspection API stands on (clients/cache-view.ts).

  /** The stored entry a request would be answered from, fresh or not; undefined: none. */
  find(x: Exchange): Promise<ResponseEntry | undefined> {
    return this.#lookup.stored(x)
  }

  /** Stores a response by hand, by the same rules as one from the origin; false: they refuse it. */
  put(...given: Parameters<Forwarder['put']>): Promise<boolean> {
    return this.#forwarder.put(...given)
  }

  get clock(): Clock {
    return this.#clock
  }

  stats(): CacheStats {
    return this.counters.snapshot()
  }

  #evicted(key: string, size: number, reason: 'entries' | 'bytes'): void {
    this.counters.evicted += 1
    if (this.events.wants('evicted')) this.events.emit({ type: 'evicted', key, size, reason })
  }

  /** Deletes from time to time what is of no more use, where the store can list what it holds (cleaner.ts). */
  clean(cleanup: Cleanup): void {
    const { store, events } = this
    const { random } = this.#options
    if (isListable(store))
      this.#cleaner = new Cleaner({ store, guard: this.#guard, events, clock: this.#clock, random }, cleanup)
  }

  /** Lets go of the store, which others may go on using. */
  async stop(): Promise<void> {
    this.#unwatch?.()
    await this.#cleaner?.stop(this.#options.writeTimeout)
  }

  /** Waits for writes that need nothing more from an origin, but no longer than a write may take. */
  async drained(): Promise<void> {
    await this.#pending.drained(this.#options.writeTimeout)
    if (isGathering(this.store)) this.store.flush()
  }

  /** How many exchanges with the origin are under way. */
  get inFlight(): number {
    return this.#flights.size
  }
}

/** Whether what a flight has in hand is what is stored for a request: under its key, or as the variant it selects. */
function answers(x: Exchange, key: string, { meta }: ResponseEntry): MaybePromise<boolean> {
  if (meta.key === key) return true
  return meta.selecting.length > 0 && meta.parts === null && x.request.method === meta.method && isSelected(x, meta)
}
