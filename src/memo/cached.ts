/**
 * @cached(): methods that remember, as a standard (stage 3) decorator.
 *
 * Each instance has a cache of its own, which goes when the instance goes. In a store all instances share their entries: there the option
 * key has to tell them apart.
 */
import { OptionError } from '../errors.ts'
import { keyOf, keyOfArguments } from './argument-key.ts'
import { AsyncCache, coreOf } from './cache.ts'
import type { Id } from './entry.ts'
import { dressed } from './memoize.ts'
import { checkObject, wrongGiven, type AsyncCacheOptions, type CallOptions } from './options.ts'

/** A method that returns a promise. */
export type AsyncMethod<This, A extends unknown[], R> = (this: This, ...args: A) => Promise<R>

/** Options of @cached: those of a cache whose keys are lists of arguments. */
export type CachedOptions<A extends unknown[], R> = Omit<AsyncCacheOptions<A, R>, 'key'> & {
  /** What tells one call from another, compared by value. Default: all arguments. Required with a store, for methods of instances. */
  key?: (args: A, instance: object) => unknown
}

/** The decorator: for any method, whose type it leaves as it is, or, where `cached` was given types, for methods of those types. */
export type CachedDecorator<A extends unknown[], R> = [A] extends [never]
  ? <This extends object, F extends (this: This, ...args: never) => Promise<unknown>>(
      method: F,
      context: ClassMethodDecoratorContext<This>,
    ) => F
  : <This extends object>(
      method: AsyncMethod<This, A, R>,
      context: ClassMethodDecoratorContext<This, AsyncMethod<This, A, R>>,
    ) => AsyncMethod<This, A, R>

/** The cache of each decorated method, for an instance. */
const caches = new WeakMap<object, (instance: object) => unknown>()

const NONE: CallOptions = Object.freeze({})

/**
 * Makes a method remember its results. Give the types of its arguments and its result where options look at them.
 *
 * @throws OptionError for an unknown option or a wrong value, when the class is defined
 *
 * @example
 * ```ts
 * import { cached } from 'keepfresh/memo'
 *
 * class Weather {
 *   @cached<[city: string], string>({ ttl: '10m' })
 *   async report(city: string): Promise<string> {
 *     const response = await fetch(`https://api.example.com/weather/${city}`)
 *     return response.text()
 *   }
 * }
 *
 * const weather = new Weather()
 * console.log((await weather.report('rome')) === (await weather.report('rome'))) // true
 * ```
 */
export function cached(): CachedDecorator<never, never>
export function cached<A extends unknown[] = never, R = never>(options?: CachedOptions<A, R>): CachedDecorator<A, R>
export function cached<A extends unknown[] = never, R = never>(
  options: CachedOptions<A, R> = {},
): CachedDecorator<A, R> {
  if (typeof options === 'function')
    throw wrongGiven('options', 'cached: write @cached(), with parentheses; options go between them')
  checkObject(options, 'cached')
  const { key, ...rest } = options
  if (key !== undefined && typeof key !== 'function')
    throw new OptionError('ERR_OPTION_VALUE', 'key', 'cached: key must be a function')
  const decorate = (
    method: AsyncMethod<object, A, R>,
    context: ClassMethodDecoratorContext,
  ): AsyncMethod<object, A, R> => {
    checkContext(context, options)
    const cacheFor = cachesOf(rest, key, options.store !== undefined)
    const call = function (this: object, ...args: A): Promise<R> {
      try {
        if (this === undefined) throw new TypeError(`${method.name} was called without its instance: it is a method`)
        const { cache, idOf } = cacheFor(this)
        const core = coreOf(cache)
        const id = idOf(args)
        return core.hit(id) ?? core.load({ id, key: args, fn: () => Reflect.apply(method, this, args), options: NONE })
      } catch (error) {
        return Promise.reject(error)
      }
    }
    const wrapper = dressed<AsyncMethod<object, A, R>>(call, method)
    caches.set(wrapper, (instance) => cacheFor(instance).cache)
    return wrapper
  }
  const made: unknown = decorate
  return made as CachedDecorator<A, R>
}

interface OwnCache<A extends unknown[], R> {
  readonly cache: AsyncCache<A, R>
  readonly idOf: (args: A) => Id
}

/** One cache an instance; in a store, one machine for all of them, and a view of it an instance. */
function cachesOf<A extends unknown[], R>(
  options: AsyncCacheOptions<A, R>,
  key: CachedOptions<A, R>['key'],
  shared: boolean,
): (instance: object) => OwnCache<A, R> {
  // Made at once, so that a wrong option is told of when the class is defined.
  const first = new AsyncCache<A, R>(options, { where: 'cached' })
  const own = new WeakMap<object, OwnCache<A, R>>()
  return (instance) => {
    let found = own.get(instance)
    if (found === undefined) {
      // The instance is reached weakly: a cache that held it would keep it alive for as long as itself.
      const held = new WeakRef(instance)
      const idOf = key === undefined ? keyOfArguments : (args: A): Id => keyOf(key(args, held.deref() ?? {}))
      found = { idOf, cache: new AsyncCache<A, R>(options, shared ? { idOf, core: coreOf(first) } : { idOf }) }
      own.set(instance, found)
    }
    return found
  }
}

function checkContext(context: ClassMethodDecoratorContext, { store, key }: CachedOptions<never, never>): void {
  if (context?.kind !== 'method')
    throw new OptionError(
      'ERR_OPTION_VALUE',
      'cached',
      `@cached() is for methods, not for a ${String(context?.kind ?? 'legacy decorator target')}`,
    )
  if (store !== undefined && key === undefined && !context.static)
    throw new OptionError(
      'ERR_OPTION_VALUE',
      'key',
      '@cached() with a store: instances share their entries there; give key, a function of (args, instance)',
    )
}

/**
 * The cache behind a method that @cached() decorated, for one instance (for a static method: the class).
 * @throws OptionError where the method is not decorated
 *
 * @example
 * ```ts
 * import { cached, cacheOf } from 'keepfresh/memo'
 *
 * class Weather {
 *   @cached()
 *   async report(city: string): Promise<string> {
 *     return `sunny in ${city}`
 *   }
 * }
 *
 * const weather = new Weather()
 * await weather.report('rome')
 * console.log(await cacheOf(weather.report, weather).delete(['rome'])) // true
 * ```
 */
export function cacheOf<A extends unknown[], R>(
  method: (...args: A) => Promise<R>,
  instance: object,
): AsyncCache<A, R> {
  const find = caches.get(method)
  if (find === undefined)
    throw new OptionError('ERR_OPTION_VALUE', 'method', 'cacheOf: the method is not one that @cached() decorated')
  return find(instance) as AsyncCache<A, R>
}
