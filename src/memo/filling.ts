/**
 * Calling the function: one flight from its start to its end.
 *
 * Rule 1: a function runs in the async context of the call that started it; whoever waits keeps its own.
 * Rule 2: who waits gets the value at once; a store writes while they go on.
 * Rule 3: where the store holds leases, one process at a time calls the function, and who lost its lease stores nothing (RELIABILITY 69).
 */
import type { Lease, Leases } from '../engine/lease.ts'
import { chain, isPromise } from '../engine/maybe.ts'
import type { Clock, MaybePromise } from '../engine/ports.ts'
import type { Backoff } from '../engine/backoff.ts'
import { after, LONGEST_WAIT, quietlyAfter, type Timer } from '../engine/timer.ts'
import { textOf } from './argument-key.ts'
import type { Run } from './context.ts'
import { draftOfError, draftOfValue, type Timing } from './draft.ts'
import { judge, type Draft, type Id, type Keeper, type Refusal, type Verdict } from './entry.ts'
import { TooLong, tooSlow } from './faults.ts'
import type { Flight } from './flights.ts'
import type { Keeping } from './keeping.ts'
import type { CallOptions, Settings } from './options.ts'
import type { Teller } from './teller.ts'
import type { Order } from './time.ts'

/** What the function is told. */
export interface LoadContext<K> {
  readonly key: K
  /** Aborted once nobody waits for the result any more, or `hardTimeout` is over. */
  readonly signal: AbortSignal
}

/** One call of the cache. */
export interface Call<K, V> {
  readonly id: Id
  readonly key: K
  readonly fn: (context: LoadContext<K>) => V | PromiseLike<V>
  readonly options: CallOptions
  /** Told of each flight it waits for (memoize-iterable.ts). */
  readonly watch?: (flight: Flight<V>) => void
}

/** A call whose function is somebody else's affair: one of a batch. */
export type CallOfBatch<K, V> = Omit<Call<K, V>, 'fn' | 'watch'>

export interface FillingParts<K, V> {
  readonly settings: Settings<K, V>
  readonly keeper: Keeper<K, V>
  readonly keeping: Keeping<K, V>
  readonly teller: Teller
  readonly backoff: Backoff
  readonly clock: Clock
  readonly order: Order
  /** Null: no leases. */
  readonly leases: Leases | null
  /** The name of the lease of a key. */
  readonly leaseOf: (id: Id) => MaybePromise<string>
}

export class Filling<K, V> {
  readonly #p: FillingParts<K, V>

  constructor(parts: FillingParts<K, V>) {
    this.#p = parts
  }

  /**
   * Runs the flight to its end. Never rejects.
   * @param than what another process brings is of use if it was made after this instant; null: nothing but a call of our own is
   */
  async fly(flight: Flight<V>, call: Call<K, V>, than: number | null): Promise<void> {
    const timer = this.startTimer([flight])
    try {
      if (this.#p.leases === null || than === null || !flight.kept) await this.#call(flight, call, null)
      else await this.#callUnderLease(this.#p.leases, flight, call, than)
    } catch (error) {
      flight.fail(error)
    } finally {
      clearTimeout(timer)
      flight.run.end()
    }
  }

  /** Ends the flights when `hardTimeout` is over. Nobody waits for them any more then: what they bring later is dropped. */
  startTimer(flights: readonly Flight<V>[]): Timer | undefined {
    const { hardTimeout } = this.#p.settings
    if (hardTimeout > LONGEST_WAIT) return undefined
    // A renewal that nobody waits for keeps no process alive (RELIABILITY 161).
    const start = flights.every(({ background }) => background) ? quietlyAfter : after
    return start(hardTimeout, () => {
      for (const flight of flights) {
        const error = tooSlow(textOf(flight.id), hardTimeout / 1000)
        this.#tellFailure(flight, error, hardTimeout)
        flight.final = true
        flight.abandon(error)
      }
    })
  }

  async #callUnderLease(leases: Leases, flight: Flight<V>, call: Call<K, V>, than: number): Promise<void> {
    const abandoned = new AbortController()
    flight.promise.catch((error: unknown) => abandoned.abort(error))
    const name = await this.#p.leaseOf(call.id)
    const taken = await leases.take(name, abandoned.signal, () => this.#look(call.id, than))
    if (taken.kind === 'mine') {
      // Where nobody waits for it any more, another process may try at once: even if it never ends.
      flight.promise.catch(() => (flight.abandoned ? taken.lease.release(true) : undefined))
      return this.#call(flight, call, taken.lease)
    }
    if (taken.kind === 'alone') return this.#call(flight, call, null)
    if (!flight.background) {
      this.#p.teller.collapsed(call.id, 'lease')
      this.#p.teller.counters.again(flight.redeem())
    }
    if (taken.value.failed) flight.fail(taken.value.error)
    else flight.land(taken.value.value as V)
  }

  async #look(id: Id, than: number): Promise<Draft<K, V> | null> {
    const draft = await this.#p.keeper.peek(id)
    if (draft === undefined || draft.createdAt <= than) return null
    const verdict = this.#judge(draft)
    return verdict === 'fresh' || verdict === 'early' ? draft : null
  }

  #judge(draft: Draft<K, V>): Verdict {
    const { clock, settings } = this.#p
    return judge(draft, clock.now(), settings.windows, settings.random)
  }

  async #call(flight: Flight<V>, call: Call<K, V>, lease: Lease | null): Promise<void> {
    // Everybody left while the lease was waited for.
    if (flight.settled) return
    const started = this.start()
    let value: V
    try {
      value = await flight.run.call(() => call.fn(new Context(call.key, flight.run)))
    } catch (error) {
      await this.failed(flight, call, error, started())
      // Once an error that is kept is there: others find it, and do not call the function again.
      await lease?.release(true)
      return
    }
    const timing = started()
    // Half a lease is surely still ours; after that the store is asked.
    if (lease !== null && timing.took * 2 >= this.#p.settings.lease && !(await lease.confirm())) {
      this.#p.keeping.refuse(flight.id, 'lease-lost', 'another process may have stored something newer')
      flight.land(value)
      return
    }
    const kept = this.landed(flight, call, value, timing)
    if (lease !== null) await lease.release(await kept)
    else if (isPromise(kept)) await kept
  }

  /** Begins a call; what is returned tells its times once it has ended. */
  start(): () => Timing {
    const began = this.#p.clock.now()
    const askedAt = this.#p.order.asked(began)
    return () => {
      const now = this.#p.clock.now()
      return { askedAt, now, took: Math.max(0, now - began) }
    }
  }

  /** Keeps the value and tells those who wait; whether it was kept. */
  landed(flight: Flight<V>, call: CallOfBatch<K, V>, value: V, timing: Timing): MaybePromise<boolean> {
    const { settings, keeping, backoff } = this.#p
    if (!flight.settled) backoff.succeeded(textOf(call.id))
    const make = (): Draft<K, V> | Refusal => {
      if (!flight.kept) return 'write-off'
      if (flight.fenced) return 'invalidated'
      const draft = draftOfValue(settings, call.key, value, call.options, timing)
      return typeof draft === 'string' || !flight.isStruck(draft.tags) ? draft : 'invalidated'
    }
    const kept = keeping.keep(call.id, 'value', make, flight.over)
    flight.land(value)
    return kept
  }

  /** The function failed. The error is kept where the options say so, but not in the place of a value that may stand in for it. */
  failed(flight: Flight<V>, call: CallOfBatch<K, V>, error: unknown, timing: Timing): MaybePromise<unknown> {
    const { settings, keeper, keeping } = this.#p
    if (error instanceof TooLong) {
      flight.final = true
      flight.fail(error)
      return keeping.refuse(flight.id, 'too-large', error.message, flight.over)
    }
    this.#tellFailure(flight, error, timing.took)
    if (settings.errorTtl === null || flight.fenced || !flight.kept) return flight.fail(error)
    return chain(keeper.peek(call.id), (before) => {
      const useful = before !== undefined && !before.failed && this.#judge(before) !== 'gone'
      const kept = useful
        ? false
        : keeping.keep(call.id, 'error', () => draftOfError<K, V>(settings, call.key, error, timing))
      flight.final ||= kept !== false
      flight.fail(error)
      return kept
    })
  }

  /** What fails after everybody has left says nothing about the function. */
  #tellFailure(flight: Flight<V>, error: unknown, took: number): void {
    if (flight.settled) return
    this.#p.backoff.failed(textOf(flight.id))
    this.#p.teller.failed(flight.id, flight.background ? 'refresh-failed' : 'failed', error, took)
  }
}

/** The signal is made when it is asked for. */
class Context<K> implements LoadContext<K> {
  readonly key: K
  readonly #run: Run

  constructor(key: K, run: Run) {
    this.key = key
    this.#run = run
  }

  get signal(): AbortSignal {
    return this.#run.signal
  }
}
