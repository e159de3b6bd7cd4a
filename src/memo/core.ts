/**
 * The machine behind AsyncCache and memoize: look, judge, and answer or wait for the function (filling.ts).
 *
 * Rule 1: a hit in memory makes one look-up and one reading of the clock, and the first a promise; no more (hit()). The clock is read each time:
 *         a time remembered until a timer fires is a wrong one after a process was frozen, and that is when entries have expired.
 * Rule 2: nothing of the cache fails a call: neither the store nor a function given as an option. The function's own failure does; and so
 *         does a store whose package is not installed (row 6): it did not fail, it was never there.
 */
import { Backoff } from '../engine/backoff.ts'
import { systemClock } from '../engine/clock.ts'
import { Events } from '../engine/events.ts'
import { Leases } from '../engine/lease.ts'
import { chain, isPromise } from '../engine/maybe.ts'
import { NEVER, type Clock, type MaybePromise } from '../engine/ports.ts'
import { StoreGuard } from '../engine/store-guard.ts'
import { after, LONGEST_WAIT } from '../engine/timer.ts'
import { OptionError, StateError } from '../errors.ts'
import { textOf } from './argument-key.ts'
import { cloningOf, type Cloning } from './clone.ts'
import { currentRun, Run } from './context.ts'
import { draftOfValue } from './draft.ts'
import { judge, type Draft, type Id, type InvalidateMode, type Keeper, type Verdict } from './entry.ts'
import { closed, reentrant } from './faults.ts'
import { Filling, type Call } from './filling.ts'
import { Flights, type Flight } from './flights.ts'
import { Keeping } from './keeping.ts'
import type { CallOptions, SetOptions, Settings } from './options.ts'
import { Shelf } from './shelf.ts'
import { Table } from './table.ts'
import { Teller } from './teller.ts'
import { Order, steadyClock } from './time.ts'
import { NotStorable } from './value-encode.ts'

type StaleReason = 'revalidating' | 'error' | 'timeout' | 'back-off'
type MissReason = 'absent' | 'stale' | 'refresh'

export class Core<K, V> {
  readonly settings: Settings<K, V>
  readonly clock: Clock
  readonly teller: Teller
  readonly flights: Flights<V> = new Flights<V>()
  readonly filling: Filling<K, V>
  readonly keeper: Keeper<K, V>
  /** Null: the values are in a store. */
  readonly table: Table<K, V> | null
  readonly #order: Order
  readonly #keeping: Keeping<K, V>
  readonly #cloning: Cloning<V>
  readonly #backoff: Backoff
  /** That the store's package is not installed. */
  #missing: StateError | null = null
  #closing: Promise<void> | null = null

  constructor(settings: Settings<K, V>) {
    this.settings = settings
    const clock = settings.clock ?? (settings.store === null ? steadyClock() : systemClock())
    this.clock = clock
    this.#order = new Order(clock)
    this.#backoff = new Backoff(clock)
    this.#cloning = cloningOf<V>(settings.clone)
    this.teller = new Teller(settings.name, clock)
    const faults = this.#faults()
    const guard = settings.store === null ? null : new StoreGuard(settings.store, faults, clock, settings)
    const shelf = guard === null ? null : new Shelf<K, V>({ name: settings.name, guard, now: () => clock.now() })
    this.table = shelf === null ? tableOf(settings, this.teller, clock) : null
    this.keeper = shelf ?? (this.table as Table<K, V>)
    this.#keeping = new Keeping(settings, this.keeper, this.#cloning, this.teller)
    this.filling = new Filling<K, V>({
      settings,
      keeper: this.keeper,
      keeping: this.#keeping,
      teller: this.teller,
      backoff: this.#backoff,
      clock,
      order: this.#order,
      leases: leasesOf(settings, faults, clock),
      leaseOf: (id) => shelf?.keyOf(id) ?? textOf(id),
    })
  }

  /** What its store's guards report. */
  #faults(): Events {
    const faults = new Events()
    faults.on('error', ({ operation, key, error }) => {
      const { cause } = error
      if (cause instanceof StateError && cause.code === 'ERR_MISSING_PEER') this.#missing = cause
      this.teller.error(operation, key, error)
    })
    return faults
  }

  /** The fast lane: a fresh value in memory that needs no thought. Undefined: load() has to think. */
  hit(id: Id): Promise<V> | undefined {
    const { table } = this
    if (table === null) return undefined
    const slot = table.slot(id)
    if (slot === undefined || slot.tags !== null) return undefined
    if (slot.plainUntil !== Infinity && this.clock.now() >= slot.plainUntil) return undefined
    table.hit(slot)
    // Where each caller has a copy, each has a promise of its own, too.
    if (this.#cloning.take !== null) return this.answer(id, slot.draft, 'fresh')
    this.teller.hit(id, slot.draft, 'fresh')
    return (slot.answer ??= Promise.resolve(slot.draft.value as V))
  }

  /** The value, from wherever it comes. */
  load(call: Call<K, V>): Promise<V> {
    const { signal, refresh } = call.options
    if (this.#keeping.closed) return Promise.reject(closed(this.settings.name))
    if (this.#missing !== null) return Promise.reject(this.#missing)
    if (signal?.aborted) return Promise.reject(signal.reason)
    if (refresh) return this.#fetch(call, 'refresh', 0)
    const found = this.keeper.find(call.id)
    if (!isPromise(found)) return this.#decide(call, found)
    const decided = found.then((draft) => this.#decide(call, draft))
    return signal === undefined ? decided : untilAborted(decided, signal)
  }

  /** What a draft is worth now. */
  verdict(draft: Draft<K, V>): Verdict {
    return judge(draft, this.clock.now(), this.settings.windows, this.settings.random)
  }

  #decide(call: Call<K, V>, draft: Draft<K, V> | undefined): Promise<V> {
    if (this.#missing !== null) return Promise.reject(this.#missing)
    if (draft === undefined) return this.#fetch(call, 'absent', 0)
    switch (this.verdict(draft)) {
      case 'fresh':
        return this.answerFresh(call.id, draft)
      case 'early':
        this.#renew(call, draft)
        return this.answer(call.id, draft, 'early')
      case 'stale':
        this.#renew(call, draft)
        return this.answerStale(call.id, draft, 'revalidating')
      case 'spare':
        return this.#fetchOrSpare(call, draft)
      case 'gone':
        return this.#fetch(call, 'stale', 0)
    }
  }

  answerFresh(id: Id, draft: Draft<K, V>): Promise<V> {
    if (!draft.failed) return this.answer(id, draft, 'fresh')
    this.teller.hit(id, draft, 'error')
    return Promise.reject(draft.error)
  }

  answer(id: Id, draft: Draft<K, V>, reason: 'fresh' | 'early'): Promise<V> {
    this.teller.hit(id, draft, reason)
    return Promise.resolve(this.copy(draft.value as V))
  }

  answerStale(id: Id, draft: Draft<K, V>, reason: StaleReason): Promise<V> {
    this.teller.stale(id, draft, reason)
    return Promise.resolve(this.copy(draft.value as V))
  }

  /** What a caller gets of a value that is kept. */
  copy(value: V): V {
    return this.#cloning.take === null ? value : this.#cloning.take(value)
  }

  /** In the background at most one call a key, and not too soon after one that failed (RELIABILITY 63, 64). */
  mayRenew(id: Id, options: CallOptions): boolean {
    // What a caller wants that keeps nothing renews nothing.
    if (options.write === false) return false
    return this.flights.get(id) === undefined && this.#backoff.mayTry(textOf(id))
  }

  #renew(call: Call<K, V>, draft: Draft<K, V>): void {
    if (!this.mayRenew(call.id, call.options)) return
    const flight = this.startRenewal(call.id, new Run(this, [call.id]), call.options)
    void this.filling.fly(flight, call, draft.createdAt)
  }

  /** The tags that the value will have; null where they depend on the value. */
  knownTags({ tags: more }: CallOptions): readonly string[] | null {
    const { tags } = this.settings
    if (typeof tags === 'function') return null
    return more === undefined ? tags : [...tags, ...more]
  }

  startRenewal(id: Id, run: Run, options: CallOptions): Flight<V> {
    this.teller.counters.refreshes += 1
    const flight = this.flights.start(id, run, 0, this.knownTags(options), true)
    flight.background = true
    flight.held = true
    flight.over = true
    // An event tells of its failure; nobody else waits.
    flight.promise.catch(() => undefined)
    return flight
  }

  #fetchOrSpare(call: Call<K, V>, draft: Draft<K, V>): Promise<V> {
    if (!this.#backoff.mayTry(textOf(call.id)) && this.flights.get(call.id) === undefined)
      return this.answerStale(call.id, draft, 'back-off')
    const missed = this.flights.get(call.id) === undefined
    const waiting = this.#fetch(call, 'stale', 0)
    return this.orSpare(waiting, draft, this.flights.get(call.id), call, missed)
  }

  /** The function's value, or where it fails or is slow, the stale one. `missed`: the call was counted as a miss. */
  orSpare(
    waiting: Promise<V>,
    draft: Draft<K, V>,
    flight: Flight<V> | undefined,
    call: Pick<Call<K, V>, 'id' | 'options'>,
    missed: boolean,
  ): Promise<V> {
    const run = currentRun()
    return new Promise<V>((resolve, reject) => {
      const { softTimeout } = this.settings
      let answered = false
      const spare = (reason: 'error' | 'timeout'): void => {
        if (answered) return
        answered = true
        this.teller.counters.again(missed && flight?.redeem() !== false)
        resolve(this.answerStale(call.id, draft, reason))
      }
      const slow = (): void => {
        // The call goes on: what it brings is for those who come later.
        if (flight !== undefined) {
          flight.held = true
          run?.leave(flight.run)
        }
        spare('timeout')
      }
      const timer = softTimeout <= LONGEST_WAIT ? after(softTimeout, slow) : undefined
      const failed = (error: unknown): void => {
        clearTimeout(timer)
        if (call.options.signal?.aborted) reject(error)
        else spare('error')
      }
      waiting.then((value) => (clearTimeout(timer), resolve(value)), failed)
    })
  }

  /** Waits for the function: for the call under way, or for one of its own. */
  #fetch(call: Call<K, V>, reason: MissReason, attempt: number): Promise<V> {
    const { id, options } = call
    const running = options.refresh ? undefined : this.flights.get(id)
    if (running !== undefined) return this.#follow(running, call, reason, attempt)
    if (options.signal?.aborted) return Promise.reject(options.signal.reason)
    this.teller.miss(id, reason)
    if (currentRun()?.repeats(this, id)) return Promise.reject(reentrant(textOf(id)))
    // What an earlier call brings may be older than what made the caller ask for a new one.
    const keep = options.write !== false
    if (options.refresh && keep) this.flights.fence(id)
    const flight = this.flights.start(id, new Run(this, [id]), attempt, this.knownTags(options), keep)
    flight.over = reason !== 'absent'
    currentRun()?.waitFor(flight.run)
    const waiting = this.wait(flight, options.signal)
    call.watch?.(flight)
    void this.filling.fly(flight, call, options.refresh ? null : -Infinity)
    return waiting
  }

  /** Waits for a call under way; where it fails, one of those who waited tries again, once (RELIABILITY 62). */
  #follow(flight: Flight<V>, call: Call<K, V>, reason: MissReason, attempt: number): Promise<V> {
    const waiting = this.join(flight, call.options)
    if (waiting === null) return Promise.reject(reentrant(textOf(call.id)))
    call.watch?.(flight)
    if (attempt > 0) return waiting
    return this.orAgain(waiting, flight, call.options.signal, () => this.#fetch(call, reason, 1))
  }

  /** What `waiting` brings, or where the call that it waits for failed, and may be made once more, what `again` does. */
  orAgain(
    waiting: Promise<V>,
    flight: Flight<V>,
    signal: AbortSignal | undefined,
    again: () => Promise<V>,
  ): Promise<V> {
    if (flight.attempt > 0) return waiting
    return waiting.catch((error: unknown) => {
      if (flight.final || signal?.aborted || this.#keeping.closed) throw error
      this.teller.counters.again(false)
      return again()
    })
  }

  /** Waits for a flight that others started; null where that could never end. */
  join(flight: Flight<V>, { signal, write }: CallOptions): Promise<V> | null {
    if (currentRun()?.waitFor(flight.run) === false) return null
    if (write !== false && signal?.aborted !== true) this.flights.keep(flight)
    this.teller.collapsed(flight.id, 'flight')
    return this.wait(flight, signal)
  }

  /** As the run that makes this call; each of those who wait gets a copy of its own, where callers get copies. */
  wait(flight: Flight<V>, signal: AbortSignal | undefined): Promise<V> {
    const run = signal === undefined ? null : currentRun()
    const waiting = flight.join(signal, run === null ? undefined : () => run.leave(flight.run))
    return this.#cloning.take === null ? waiting : waiting.then((value) => this.#copyOrItself(value))
  }

  /** What cannot be copied was not kept either. */
  #copyOrItself(value: V): V {
    try {
      return this.copy(value)
    } catch {
      return value
    }
  }

  /** @throws StateError once it is closed */
  assertOpen(): void {
    if (this.#keeping.closed) throw closed(this.settings.name)
  }

  /** What the store did, if it is there at all. @throws StateError ERR_MISSING_PEER */
  installed<T>(work: MaybePromise<T>): MaybePromise<T> {
    return chain<T, T>(work, (done) => {
      if (this.#missing !== null) throw this.#missing
      return done
    })
  }

  async set(id: Id, key: K, value: V, options: SetOptions): Promise<void> {
    this.assertOpen()
    // A call under way read what was there before.
    this.flights.fence(id)
    const timing = { ...this.filling.start()(), took: Infinity }
    const draft = draftOfValue(this.settings, key, value, options, timing)
    if (typeof draft === 'string') {
      await this.#keeping.refuse(id, draft, '', true)
      return
    }
    try {
      await this.installed(this.#keeping.put(id, { ...draft, took: 0 }, 'set', true))
    } catch (error) {
      if (error instanceof NotStorable)
        throw new OptionError('ERR_OPTION_VALUE', 'value', error.message, { cause: error })
      throw error
    }
  }

  async drop(ids: readonly Id[]): Promise<number> {
    this.assertOpen()
    for (const id of ids) this.flights.fence(id)
    const count = await this.installed(this.keeper.drop(ids))
    this.teller.invalidated('delete', ids.map(textOf))
    return count
  }

  async invalidateTags(tags: readonly string[], mode: InvalidateMode): Promise<void> {
    this.assertOpen()
    this.flights.strike(tags)
    await this.installed(this.keeper.invalidateTags(tags, mode, this.#order.invalidated()))
    this.teller.invalidated('tags', tags)
  }

  async clear(): Promise<void> {
    this.assertOpen()
    this.flights.fenceAll()
    await this.installed(this.keeper.clear(this.#order.invalidated()))
    this.teller.invalidated('clear', [])
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#keeping.closed = true
    this.flights.fenceAll()
    await this.keeper.close()
    if (this.settings.autoClose) await this.settings.store?.close()
  }
}

/** A lease is waited for no longer than a read: without one, the function is called all the same. Hence a guard of their own. */
function leasesOf<K, V>({ store, lease, readTimeout }: Settings<K, V>, faults: Events, clock: Clock): Leases | null {
  if (store === null || lease === 0) return null
  return new Leases(new StoreGuard(store, faults, clock, { readTimeout, writeTimeout: readTimeout }), clock, {
    lease,
    patience: NEVER,
  })
}

function tableOf<K, V>(settings: Settings<K, V>, teller: Teller, clock: Clock): Table<K, V> {
  const { eviction, maxSize, sizeOf, windows, random } = settings
  const onEvict = (key: string, reason: 'count' | 'size'): void => teller.evicted(key, reason)
  return new Table<K, V>({ eviction, maxSize, sizeOf, windows, random, now: () => clock.now(), onEvict })
}

/** What the promise brings, or the signal's reason, whichever comes first. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    const end = (): void => signal.removeEventListener('abort', abort)
    promise.then(
      (value) => (end(), resolve(value)),
      (error: unknown) => (end(), reject(error)),
    )
  })
}
