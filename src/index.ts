/**
 * keepfresh: HTTP caching for TypeScript.
 *
 * @module
 */
export { createCachedFetch, type CachedFetch } from './clients/fetch.ts'
export { CachedSession } from './clients/session.ts'
export type {
  BasicAuth,
  SessionHooks,
  SessionOptions,
  SessionRequest,
  SessionResponse,
  StandardSchema,
  Timeout,
} from './clients/session-options.ts'
export {
  ResponseCache,
  type CacheEntry,
  type DeleteQuery,
  type EntriesQuery,
  type WarmProgress,
} from './clients/cache-view.ts'
export type { CookieJar } from './clients/cookies.ts'
export type { Params } from './clients/params.ts'
export { cacheInfo, type CachedResponse, type CacheInfo } from './clients/response.ts'
export type { CachedRequestInit } from './clients/incoming.ts'
export type { CacheOptions, RequestCacheOptions, RuleOptions, UrlRule, UrlRules } from './clients/options.ts'
export type { Duration } from './clients/durations.ts'
export type { ExpireAfter, ExpireAfterRequest, ExpireAfterResponse } from './clients/expire-after.ts'
export type { Invalidation, InvalidationChannel } from './clients/broadcast.ts'
export type { CacheEvent, CacheEventOf, CacheEventType } from './engine/events.ts'
export type { CacheStats } from './engine/stats.ts'
export type { FilterSubject, ResponseFilter } from './engine/exchange.ts'
export * from './engine/ports.ts'
export { copyEntries, type CopyOptions, type CopyProgress, type CopyResult } from './stores/copy.ts'
export { MemoryStore, type EvictionListener, type MemoryStoreOptions } from './stores/memory.ts'
export { HttpError, isKeepfreshError, OptionError, StateError, StoreError } from './errors.ts'
