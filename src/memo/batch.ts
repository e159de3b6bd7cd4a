/** Many keys at once: one call of the function for all that is missing (row 265), one for all that is to be renewed. */
import { textOf } from './argument-key.ts'
import { currentRun, Run } from './context.ts'
import type { Core } from './core.ts'
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

/** A key to be fetched, and the stale value that may stand in where that fails. */
interface Missing<K, V> {
  readonly call: CallOfBatch<K, V>
  readonly draft: Draft<K, V> | null
}

export class Batch<K, V> {
  readonly #core: Core<K, V>
  readonly #fn: BatchFunction<K, V>
  readonly #options: CallOptions
  readonly #missing: Missing<K, V>[] = []
  readonly #renewals: CallOfBatch<K, V>[] = []
  readonly #answers = new Map<Id, Promise<V>>()

  constructor(core: Core<K, V>, fn: BatchFunction<K, V>, options: CallOptions) {
    this.#core = core
    this.#fn = fn
    this.#options = options
  }

  async load(ids: readonly Id[], keys: readonly K[]): Promise<V[]> {
    this.#options.signal?.throwIfAborted()
    const calls = new Map<Id, CallOfBatch<K, V>>()
    ids.forEach((id, index) => calls.set(id, { id, key: keys[index] as K, options: this.#options }))
    const drafts = await this.#look([...calls.values()])
    this.#options.signal?.throwIfAborted()
    // From here on nothing is awaited: an answer that fails is one that somebody waits for.
    for (const [call, draft] of drafts) this.#judge(call, draft)
    this.#fetch()
    this.#renew()
    return Promise.all(ids.map((id) => this.#answers.get(id) as Promise<V>))
  }

  async #look(calls: readonly CallOfBatch<K, V>[]): Promise<[CallOfBatch<K, V>, Draft<K, V> | undefined][]> {
    const { keeper } = this.#core
    const found = calls.map(({ id }) => (this.#options.refresh ? undefined : keeper.find(id)))
    const drafts = await Promise.all(found)
    return calls.map((call, index) => [call, drafts[index]])
  }

  #judge(call: CallOfBatch<K, V>, draft: Draft<K, V> | undefined): void {
    const core = this.#core
    const verdict = draft === undefined ? 'gone' : core.verdict(draft)
    if (draft === undefined || verdict === 'gone') this.#missing.push({ call, draft: null })
    else if (verdict === 'spare') this.#missing.push({ call, draft })
    else {
      this.#answers.set(
        call.id,
        verdict === 'stale' ? core.answerStale(call.id, draft, 'revalidating') : core.answerFresh(call.id, draft),
      )
      if (verdict !== 'fresh' && core.mayRenew(call.id)) this.#renewals.push(call)
    }
  }

  /** Joins what is under way, and calls the function for the rest. */
  #fetch(): void {
    const core = this.#core
    const rest: Missing<K, V>[] = []
    for (const missing of this.#missing) {
      const { call, draft } = missing
      const running = this.#options.refresh ? undefined : core.flights.get(call.id)
      if (running === undefined) rest.push(missing)
      else this.#answer(call, draft, running, core.join(running, this.#options.signal))
    }
    const free = rest.filter(({ call: { id } }) => {
      if (!currentRun()?.repeats(core, id)) return true
      this.#answers.set(id, Promise.reject(reentrant(textOf(id))))
      return false
    })
    if (free.length === 0) return
    const run = new Run(
      core,
      free.map(({ call }) => call.id),
    )
    currentRun()?.waitFor(run)
    const flights = free.map(({ call, draft }) => {
      if (this.#options.refresh) core.flights.fence(call.id)
      core.teller.miss(call.id, this.#options.refresh ? 'refresh' : draft === null ? 'absent' : 'stale')
      const flight = core.flights.start(call.id, run, 0, core.knownTags(call.options))
      flight.over = this.#options.refresh === true || draft !== null
      this.#answer(call, draft, flight, flight.join(this.#options.signal))
      return flight
    })
    void this.#fly(
      run,
      flights,
      free.map(({ call }) => call),
    )
  }

  #answer(call: CallOfBatch<K, V>, draft: Draft<K, V> | null, flight: Flight<V>, waiting: Promise<V> | null): void {
    const answer = waiting ?? Promise.reject<V>(reentrant(textOf(call.id)))
    this.#answers.set(call.id, draft === null ? answer : this.#core.orSpare(answer, draft, flight, call))
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
