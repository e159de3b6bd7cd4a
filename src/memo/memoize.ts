/** memoize: a function of exactly the type of the one it is given, that remembers. */
import { keyOf, keyOfArguments, textOf } from './argument-key.ts'
import { AsyncCache, coreOf } from './cache.ts'
import type { Id } from './entry.ts'
import type { MemoStats } from './events.ts'
import {
  checkCall,
  checkFunction,
  checkObject,
  wrongGiven,
  type AsyncCacheOptions,
  type CallOptions,
  type SetOptions,
} from './options.ts'

/** A function that can be memoized: it returns a promise. */
export type AsyncFunction = (...args: never) => Promise<unknown>

/** What a memoized function resolves to. */
export type ValueOf<F extends AsyncFunction> = Awaited<ReturnType<F>>

/** Options of memoize: those of a cache whose keys are lists of arguments. */
export type MemoizeOptions<F extends AsyncFunction> = Omit<AsyncCacheOptions<Parameters<F>, ValueOf<F>>, 'key'> & {
  /** What tells one call from another, compared by value. Default: all arguments. */
  key?: (...args: Parameters<F>) => unknown
}

/** What a memoized function has beside what it is. */
export interface MemoControls<F extends AsyncFunction> {
  /** Forgets the call with these arguments; whether there was one. */
  invalidate(...args: Parameters<F>): Promise<boolean>
  /** Calls the function whatever is remembered. */
  refresh(...args: Parameters<F>): Promise<ValueOf<F>>
  /** The remembered value if it is fresh; never calls the function. */
  peek(...args: Parameters<F>): Promise<ValueOf<F> | undefined>
  /** Remembers a value for these arguments. */
  prime(args: Parameters<F>, value: ValueOf<F>, options?: SetOptions): Promise<void>
  /** Forgets everything. */
  clear(): Promise<void>
  stats(): MemoStats
  /** The text that stands for these arguments: what events call the call. */
  cacheKey(...args: Parameters<F>): string
  /** The function with options for the calls made through it: a signal, another ttl, tags. */
  with(options: CallOptions): F
  /** The cache behind it, for events, tags, entries and close. Its keys are lists of arguments. */
  readonly cache: AsyncCache<Parameters<F>, ValueOf<F>>
  /** The function itself. */
  readonly original: F
}

/** A function and its controls. */
export type Memoized<F extends AsyncFunction> = F & MemoControls<F>

const NONE: CallOptions = Object.freeze({})

/**
 * The function, remembering its results: the first call with given arguments runs it, the others get what it brought. A failure is not
 * remembered, unless `errorTtl` says so.
 *
 * Arguments are compared by value. `this` is passed on, but does not tell one call from another: for methods use `@cached()`.
 *
 * @throws OptionError for an unknown option (with the nearest name) or a wrong value. Calls reject with OptionError ERR_KEY where an
 * argument has no value to be compared by.
 *
 * @example
 * ```ts
 * import { memoize } from 'keepfresh/memo'
 *
 * const getUser = memoize(
 *   async (id: number) => {
 *     const response = await fetch(`https://api.example.com/users/${id}`)
 *     return response.json()
 *   },
 *   { ttl: '5m', maxSize: 1000 },
 * )
 * const user = await getUser(42)
 * console.log(user === (await getUser(42))) // true
 * await getUser.invalidate(42)
 * ```
 */
export function memoize<F extends AsyncFunction>(fn: F, options: MemoizeOptions<F> = {}): Memoized<F> {
  checkFunction(fn, 'memoize', 'the first argument')
  checkObject(options, 'memoize')
  type K = Parameters<F>
  type V = ValueOf<F>
  const { key, ...rest } = options
  if (key !== undefined && typeof key !== 'function') throw wrongGiven('key', 'memoize: key must be a function')
  const idOf: (args: K) => Id = key === undefined ? keyOfArguments : (args) => keyOf(key(...args))
  const cache = new AsyncCache<K, V>(rest, { idOf, where: 'memoize' })
  const core = coreOf(cache)

  const slow = (self: unknown, id: Id, args: K, call: CallOptions): Promise<V> =>
    core.load({ id, key: args, fn: () => Reflect.apply(fn, self, args) as Promise<V>, options: call })
  const withOptions = (call: CallOptions) =>
    function (this: unknown, ...args: K): Promise<V> {
      try {
        return slow(this, idOf(args), args, call)
      } catch (error) {
        return Promise.reject(error)
      }
    }
  const general = function (this: unknown, ...args: K): Promise<V> {
    let id: Id
    try {
      id = idOf(args)
    } catch (error) {
      return Promise.reject(error)
    }
    return core.hit(id) ?? slow(this, id, args, NONE)
  }
  const isPlain = key === undefined
  const memoized = function (this: unknown, only?: unknown): Promise<V> {
    // One text or number, which is what most functions are given, needs no list of arguments for a hit.
    if (!isPlain || arguments.length !== 1 || (typeof only !== 'string' && typeof only !== 'number'))
      return Reflect.apply(general, this, arguments)
    const id = keyOf(only)
    return core.hit(id) ?? slow(this, id, [only] as K, NONE)
  }
  const controls: MemoControls<F> = {
    invalidate: (...args) => cache.delete(args),
    refresh: withOptions({ refresh: true }),
    peek: (...args) => cache.peek(args),
    async prime(args, value, given = NONE) {
      if (!Array.isArray(args)) throw wrongGiven('args', 'prime: the first argument must be an array of arguments')
      await cache.set(args, value, given)
    },
    clear: () => cache.clear(),
    stats: () => cache.stats(),
    cacheKey: (...args) => textOf(idOf(args)),
    with(call) {
      checkCall(call, 'with')
      return dressed(withOptions({ ...call }), fn)
    },
    cache,
    original: fn,
  }
  const made = dressed<Memoized<F>>(memoized, fn)
  // Not by assignment: what it is given may have read-only properties of these names.
  return Object.defineProperties(made, Object.getOwnPropertyDescriptors(controls) as PropertyDescriptorMap)
}

/** What the language gives functions, and they keep. */
const OWN: ReadonlySet<PropertyKey> = new Set(['prototype', 'arguments', 'caller'])

/** Name, number of parameters and other properties as the original has them; the type says so, too. */
export function dressed<T>(made: object, original: (...args: never) => unknown): T {
  for (const name of Reflect.ownKeys(original)) {
    const property = Object.getOwnPropertyDescriptor(original, name)
    if (property === undefined || OWN.has(name)) continue
    Object.defineProperty(made, name, { ...property, configurable: true })
  }
  return made as T
}
