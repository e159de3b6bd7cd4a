/** Many keys at once: one call of the function for all that is missing (row 265), one for all that is to be renewed. */
import { textOf } from './argument-key.ts'
import { currentRun, Run } from './context.ts'
import { untilAborted, type Core } from './core.ts'
import type { Draft, Id } from './entry.ts'
import { reentrant } from './faults.ts'
import type { CallOfBatch, LoadContext } from './filling.ts'
import type { Flight } from './flights.ts'
import type { CallOptions } from './options.ts'

/** What a function of a batch is told. */
export type BatchContext = Omit<LoadContext<never>, 'key'>

/** Brings the values of the keys, in their order, one each. */
export type BatchFunction<K, V> = (
  keys: readonly K[],
  context: BatchContext,
) => readonly V[] | PromiseLike<readonly V[]>

/** A key to be fetched, why, and the stale value that may stand in where that fails. */
interface Missing<K, V> {
  readonly call: CallOfBatch<K, V>
  readonly reason: 'absent' | 'stale' | 'refresh'
  readonly draft: Draft<K, V> | null
}

export class Batch<K, V> {
  readonly #core: Core<K, V>
  readonly #fn: BatchFunction<K, V>
  readonly #options: CallOptions
  readonly #missing: Missing<K, V>[] = []
  readonly #renewals: CallOfBatch<K, V>[] = []
  readonly #answers = new Map<Id, Promise<V>>()
  /** What waited for calls of others that failed. */
  #failed: Missing<K, V>[] = []
  #retry: Promise<void> | null = null

  constructor(core: Core<K, V>, fn: BatchFunction<K, V>, options: CallOptions) {
    this.#core = core
    this.#fn = fn
    this.#options = options
  }

  async load(ids: readonly Id[], keys: readonly K[]): Promise<V[]> {
    const { signal } = this.#options
    signal?.throwIfAborted()
    const calls = new Map<Id, CallOfBatch<K, V>>()
    ids.forEach((id, index) => calls.set(id, { id, key: keys[index] as K, options: this.#options }))
    const looking = this.#look([...calls.values()])
    const drafts = await (signal === undefined ? looking : untilAborted(looking, signal))
    signal?.throwIfAborted()
    // From here on nothing is awaited: an answer that fails is one that somebody waits for.
    for (const [call, draft] of drafts) this.#judge(call, draft)
    this.#fetch(this.#missing, 0)
    this.#renew()
    return Promise.all(ids.map((id) => this.#answers.get(id) as Promise<V>))
  }

  async #look(calls: readonly CallOfBatch<K, V>[]): Promise<[CallOfBatch<K, V>, Draft<K, V> | undefined][]> {
    const ids = this.#options.refresh ? [] : calls.map(({ id }) => id)
    const drafts = await this.#core.installed(this.#core.keeper.findMany(ids))
    return calls.map((call, index) => [call, drafts[index]])
  }

  #judge(call: CallOfBatch<K, V>, draft: Draft<K, V> | undefined): void {
    const core = this.#core
    const verdict = draft === undefined ? 'gone' : core.verdict(draft)
    if (draft === undefined || verdict === 'gone' || verdict === 'spare') {
      const reason = this.#options.refresh ? 'refresh' : draft === undefined ? 'absent' : 'stale'
      this.#missing.push({ call, reason, draft: verdict === 'spare' && draft !== undefined ? draft : null })
      return
    }
    this.#answers.set(call.id, this.#answerOf(call.id, draft, verdict))
    if (verdict !== 'fresh' && core.mayRenew(call.id, call.options)) this.#renewals.push(call)
  }

  #answerOf(id: Id, draft: Draft<K, V>, verdict: 'fresh' | 'early' | 'stale'): Promise<V> {
    if (verdict === 'stale') return this.#core.answerStale(id, draft, 'revalidating')
    return verdict === 'early' ? this.#core.answer(id, draft, 'early') : this.#core.answerFresh(id, draft)
  }

  /** Joins what is under way, and calls the function for the rest. */
  #fetch(missing: readonly Missing<K, V>[], attempt: number): void {
    const rest = missing.filter((one) => !this.#join(one, attempt) && !this.#repeats(one.call.id))
    if (rest.length === 0) return
    const core = this.#core
    const run = new Run(
      core,
      rest.map(({ call }) => call.id),
    )
    currentRun()?.waitFor(run)
    const keep = this.#options.write !== false
    const flights = rest.map((one) => {
      const { call, reason } = one
      if (this.#options.refresh && keep) core.flights.fence(call.id)
      core.teller.miss(call.id, reason)
      const flight = core.flights.start(call.id, run, attempt, core.knownTags(call.options), keep)
      flight.over = reason !== 'absent'
      this.#answer(one, flight, core.wait(flight, this.#options.signal), true)
      return flight
    })
    void this.#fly(
      run,
      flights,
      rest.map(({ call }) => call),
    )
  }

  /** Whether there is a call under way to wait for. */
  #join(missing: Missing<K, V>, attempt: number): boolean {
    const core = this.#core
    const { call } = missing
    const running = this.#options.refresh ? undefined : core.flights.get(call.id)
    if (running === undefined) return false
    const { signal } = this.#options
    const waiting = core.join(running, this.#options)
    const again = (): Promise<V> => this.#again(missing)
    if (waiting === null) this.#answer(missing, running, Promise.reject(reentrant(textOf(call.id))), false)
    else this.#answer(missing, running, attempt > 0 ? waiting : core.orAgain(waiting, running, signal, again), false)
    return true
  }

  /** What failed together is tried again together, once (RELIABILITY 62). */
  async #again(missing: Missing<K, V>): Promise<V> {
    // The stale value is in the hands of those who wait for this.
    this.#failed.push({ ...missing, draft: null })
    this.#retry ??= Promise.resolve().then(() => {
      const failed = this.#failed
      this.#failed = []
      this.#retry = null
      this.#fetch(failed, 1)
    })
    await this.#retry
    return this.#answers.get(missing.call.id) as Promise<V>
  }

  #repeats(id: Id): boolean {
    if (!currentRun()?.repeats(this.#core, id)) return false
    this.#answers.set(id, Promise.reject(reentrant(textOf(id))))
    return true
  }

  #answer({ call, draft }: Missing<K, V>, flight: Flight<V>, waiting: Promise<V>, missed: boolean): void {
    const answer = draft === null ? waiting : this.#core.orSpare(waiting, draft, flight, call, missed)
    this.#answers.set(call.id, answer)
  }

  #renew(): void {
    if (this.#renewals.length === 0) return
    const run = new Run(
      this.#core,
      this.#renewals.map(({ id }) => id),
    )
    const flights = this.#renewals.map(({ id }) => this.#core.startRenewal(id, run, this.#options))
    void this.#fly(run, flights, this.#renewals)
  }

  /** Never rejects. */
  async #fly(run: Run, flights: readonly Flight<V>[], calls: readonly CallOfBatch<K, V>[]): Promise<void> {
    const { filling } = this.#core
    const timer = filling.startTimer(flights)
    const started = filling.start()
    const each = (act: (flight: Flight<V>, call: CallOfBatch<K, V>, index: number) => unknown): Promise<unknown> =>
      Promise.all(flights.map((flight, index) => act(flight, calls[index] as CallOfBatch<K, V>, index)))
    try {
      const values = await run.call(() =>
        this.#fn(
          calls.map(({ key }) => key),
          contextOf(run),
        ),
      )
      checkLength(values, calls.length)
      const timing = started()
      await each((flight, call, index) => filling.landed(flight, call, values[index] as V, timing))
    } catch (error) {
      const timing = started()
      await each((flight, call) => filling.failed(flight, call, error, timing))
    } finally {
      clearTimeout(timer)
      run.end()
    }
  }
}

function checkLength(values: unknown, expected: number): void {
  if (Array.isArray(values) && values.length === expected) return
  const got = Array.isArray(values) ? `${values.length} values` : `a ${typeof values}`
  throw new TypeError(
    `getOrSetMany: the function was given ${expected} keys and must bring an array of ${expected} values in their order; it brought ${got}`,
  )
}

function contextOf(run: Run): BatchContext {
  return {
    get signal() {
      return run.signal
    },
  }
}
