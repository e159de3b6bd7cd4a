/**
 * keepfresh/memo: caching for async functions.
 *
 * @module
 */
export { AsyncCache, type CacheItem } from './cache.ts'
export {
  memoize,
  type AsyncFunction,
  type MemoControls,
  type Memoized,
  type MemoizeOptions,
  type ValueOf,
} from './memoize.ts'
export {
  memoizeIterable,
  type ItemOf,
  type IterableFunction,
  type MemoizedIterable,
  type MemoizeIterableOptions,
  type Replay,
} from './memoize-iterable.ts'
export { cached, cacheOf, type AsyncMethod, type CachedDecorator, type CachedOptions } from './cached.ts'
export { cacheKey } from './argument-key.ts'
export { callSignal } from './context.ts'
export type { BatchContext, BatchFunction } from './batch.ts'
export type { InvalidateMode, Refusal } from './entry.ts'
export type { MemoEvent, MemoEventOf, MemoEventType, MemoStats } from './events.ts'
export type { LoadContext } from './filling.ts'
export type { AsyncCacheOptions, CallOptions, Eviction, SetOptions, Ttl } from './options.ts'
export type { Duration } from '../clients/durations.ts'
export { OptionError, StateError, StoreError } from '../errors.ts'
