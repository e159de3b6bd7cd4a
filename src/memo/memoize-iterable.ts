/**
 * memoizeIterable: a function whose result comes piece by piece, remembered as a whole.
 *
 * Rule 1: pieces are handed out as they come; who asks meanwhile gets those that have come, and then the same as everybody.
 * Rule 2: nothing but a whole result is kept, and what was handed out of one run is never continued with another.
 */
import type { OptionError } from '../errors.ts'
import { keyOf, keyOfArguments, textOf } from './argument-key.ts'
import { AsyncCache, coreOf } from './cache.ts'
import { currentRun, type Run } from './context.ts'
import type { Core } from './core.ts'
import type { Id } from './entry.ts'
import type { MemoStats } from './events.ts'
import type { Flight } from './flights.ts'
import { dressed } from './memoize.ts'
import {
  checkCall,
  checkFunction,
  checkObject,
  wrongGiven,
  type AsyncCacheOptions,
  type CallOptions,
} from './options.ts'
import { Recording, type Reader } from './recording.ts'

/** A function that returns an async iterable (an async generator, a stream), or a promise of one. */
export type IterableFunction = (...args: never) => AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>

/** What a function yields. */
export type ItemOf<F extends IterableFunction> = Awaited<ReturnType<F>> extends AsyncIterable<infer T> ? T : never

/** Options of memoizeIterable: those of a cache whose keys are lists of arguments, and whose values are arrays of all that was yielded. */
export type MemoizeIterableOptions<F extends IterableFunction> = Omit<
  AsyncCacheOptions<Parameters<F>, readonly ItemOf<F>[]>,
  'key' | 'clone'
> & {
  /** What tells one call from another, compared by value. Default: all arguments. */
  key?: (...args: Parameters<F>) => unknown
  /** What yields more is handed through, and not kept. Default 10,000 items. */
  maxItems?: number
}

/** What the memoized function returns: an iterable to be read once. */
export type Replay<F extends IterableFunction> = AsyncGenerator<ItemOf<F>, void, undefined>

/** A function that replays what it has yielded before, and its controls. */
export interface MemoizedIterable<F extends IterableFunction> {
  (this: ThisParameterType<F>, ...args: Parameters<F>): Replay<F>
  /** Forgets the call with these arguments; whether there was one. */
  invalidate(...args: Parameters<F>): Promise<boolean>
  /** Calls the function whatever is remembered. */
  refresh(...args: Parameters<F>): Replay<F>
  /** Forgets everything. */
  clear(): Promise<void>
  stats(): MemoStats
  /** The text that stands for these arguments: what events call the call. */
  cacheKey(...args: Parameters<F>): string
  /** The function with options for the calls made through it: a signal, another ttl, tags. */
  with(options: CallOptions): (...args: Parameters<F>) => Replay<F>
  /** The cache behind it. Its keys are lists of arguments, its values arrays of all items. */
  readonly cache: AsyncCache<Parameters<F>, readonly ItemOf<F>[]>
  /** The function itself. */
  readonly original: F
}

const NONE: CallOptions = Object.freeze({})

/**
 * A function that returns an async iterable, remembering what it yields: the first call hands out items as they come, later ones replay them.
 * Calls for the same arguments share one run of the function: it is read as fast as the fastest of them reads, and stopped when all have left.
 * Only what came to its end is kept; a failure is thrown after the items before it, and not remembered.
 *
 * A stale value stands in for a failure, or for a slow start, until the first item has been handed out. The function is called when the first
 * item is asked for. Items are shared: they are not to be changed.
 *
 * @throws OptionError for an unknown option (with the nearest name) or a wrong value. Reading fails with OptionError ERR_KEY where an argument
 * has no value to be compared by.
 *
 * @example
 * ```ts
 * import { memoizeIterable } from 'keepfresh/memo'
 *
 * const complete = memoizeIterable(async function* (prompt: string) {
 *   for (const word of `an answer to ${prompt}`.split(' ')) yield word
 * })
 * for await (const word of complete('a question')) console.log(word)
 * for await (const word of complete('a question')) console.log(word) // the same, from the cache
 * console.log(complete.stats().hits) // 1
 * ```
 */
export function memoizeIterable<F extends IterableFunction>(
  fn: F,
  options: MemoizeIterableOptions<F> = {},
): MemoizedIterable<F> {
  type K = Parameters<F>
  type Item = ItemOf<F>
  checkGiven(fn, options)
  const { key, maxItems = 10_000, ...rest } = options
  const idOf: (args: K) => Id = key === undefined ? keyOfArguments : (args) => keyOf(key(...args))
  const cache = new AsyncCache<K, readonly Item[]>(rest, { idOf, where: 'memoizeIterable' })
  const player = new Player<K, Item>(coreOf(cache), maxItems)
  const withOptions = (call: CallOptions) =>
    function (this: unknown, ...args: K): Replay<F> {
      try {
        return player.play({ id: idOf(args), key: args, source: () => Reflect.apply(fn, this, args), options: call })
      } catch (error) {
        return failing(error)
      }
    }
  const controls = {
    invalidate: (...args: K) => cache.delete(args),
    refresh: withOptions({ refresh: true }),
    clear: () => cache.clear(),
    stats: () => cache.stats(),
    cacheKey: (...args: K) => textOf(idOf(args)),
    with(call: CallOptions) {
      checkCall(call, 'with')
      return dressed<(...args: K) => Replay<F>>(withOptions({ ...call }), fn)
    },
    cache,
    original: fn,
  }
  return Object.assign(dressed<(...args: K) => Replay<F>>(withOptions(NONE), fn), controls)
}

function checkGiven(fn: unknown, options: { key?: unknown; maxItems?: unknown }): void {
  const wrong = (option: string, what: string): OptionError => wrongGiven(option, `memoizeIterable: ${what}`)
  checkFunction(fn, 'memoizeIterable', 'the first argument')
  checkObject(options, 'memoizeIterable')
  const { key, maxItems = 1, ...rest } = options
  if (key !== undefined && typeof key !== 'function') throw wrong('key', 'key must be a function')
  if (typeof maxItems !== 'number' || !(maxItems >= 1))
    throw wrong('maxItems', 'maxItems must be a number of at least 1')
  if ('clone' in rest)
    throw wrong('clone', 'clone is for values that come whole; items are shared by all who read them')
}

interface Play<K> {
  readonly id: Id
  readonly key: K
  readonly source: () => unknown
  readonly options: CallOptions
}

/** The runs of one function, each recorded for all who read it. */
class Player<K, T> {
  readonly #core: Core<K, readonly T[]>
  readonly #maxItems: number
  /** Where other processes wait for the lease, they must not wait for a slow reader of ours. */
  readonly #eager: boolean
  readonly #recordings = new WeakMap<Run, Recording<T>>()

  constructor(core: Core<K, readonly T[]>, maxItems: number) {
    this.#core = core
    this.#maxItems = maxItems
    this.#eager = core.settings.lease > 0
  }

  async *play(given: Play<K>): AsyncGenerator<T, void, undefined> {
    const hit = given.options === NONE ? this.#core.hit(given.id) : undefined
    if (hit === undefined) yield* this.#live(given)
    else yield* await hit
  }

  async *#live(given: Play<K>): AsyncGenerator<T, void, undefined> {
    const { signal } = given.options
    const leaving = new AbortController()
    const reading: Reading<T> = { reader: null }
    const aborted = (): void => {
      leaving.abort(signal?.reason)
      reading.reader?.leave(signal?.reason)
    }
    if (signal?.aborted) aborted()
    signal?.addEventListener('abort', aborted, { once: true })
    const options = { ...given.options, signal: leaving.signal }
    try {
      const whole = await this.#wholeOrBegun({ ...given, options }, reading)
      // Where items have come, the rest comes from where they came from.
      if (reading.reader?.hasBegun) yield* itemsOf(reading.reader)
      else if (whole !== null) yield* whole
    } finally {
      signal?.removeEventListener('abort', aborted)
      const reason = new DOMException('The reader left.', 'AbortError')
      // Who has read it to its end does not leave: it may still be on its way into the cache.
      if (!reading.reader?.hasEnded) leaving.abort(reason)
      reading.reader?.leave(reason)
    }
  }

  /** All items, where there are any to be had at once; null: they have begun to come. */
  #wholeOrBegun({ id, key, source, options }: Play<K>, reading: Reading<T>): Promise<readonly T[] | null> {
    return new Promise((resolve, reject) => {
      const watch = (flight: Flight<readonly T[]>): void => {
        reading.reader?.leave(null)
        reading.reader = this.#recordingOf(flight.run).open(() => {
          // Nobody can begin anew: its failure is everybody's.
          flight.final = true
          resolve(null)
        })
      }
      this.#core.load({ id, key, options, watch, fn: () => this.#record(source) }).then(resolve, reject)
    })
  }

  #recordingOf(run: Run): Recording<T> {
    let recording = this.#recordings.get(run)
    if (recording === undefined) this.#recordings.set(run, (recording = new Recording(this.#eager)))
    return recording
  }

  /** In the run that the core has begun for it. */
  async #record(source: () => unknown): Promise<readonly T[]> {
    const run = currentRun()
    const made = await source()
    if (run === null || !isAsyncIterable<T>(made))
      throw new TypeError('memoizeIterable: the function must return an async iterable, or a promise of one')
    return this.#recordingOf(run).record(made, this.#maxItems, run)
  }
}

/** What a call reads. */
interface Reading<T> {
  /** Null: no run of the function is under way. */
  reader: Reader<T> | null
}

async function* itemsOf<T>(reader: Reader<T>): AsyncGenerator<T, void, undefined> {
  for (let next = await reader.next(); next !== undefined; next = await reader.next()) yield next.item
}

// oxlint-disable-next-line require-yield -- it fails before
async function* failing(error: unknown): AsyncGenerator<never, void, undefined> {
  throw error
}

function isAsyncIterable<T>(value: unknown): value is AsyncIterable<T> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}
