/** What every server cache offers besides answering requests. */
import type { ResponseCache } from '../clients/cache-view.ts'
import { checkListening } from '../clients/validate.ts'
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { CacheStats } from '../engine/stats.ts'
import type { PurgeQuery, ServerCache } from './server-cache.ts'

export interface ServerCacheApi {
  /** What is stored: look into it, take things out of it. */
  readonly cache: ResponseCache
  /** Purges by URL, tag or prefix, or everything; how many entries went (those of a tag are not counted: they are marked). */
  purge(query: PurgeQuery): Promise<number>
  /** Invalidates tags: 'stale' serves them stale where that is allowed while they are made anew, 'delete' has them gone. One write a tag. */
  invalidateTags(tags: string | readonly string[], mode?: 'stale' | 'delete'): Promise<void>
  /** Calls `listener` for events of a type, '*' for all; returns a function that stops it. */
  on<T extends CacheEventType>(type: T, listener: (event: CacheEventOf<T>) => void): () => void
  on(type: '*', listener: (event: CacheEvent) => void): () => void
  /** Counters since the start; null while the store is being opened. */
  stats(): CacheStats | null
  /** Closes the cache, and its store where `autoClose` says so. */
  close(): Promise<void>
}

export function apiOf(cache: ServerCache): ServerCacheApi {
  return {
    cache: cache.entries,
    purge: (query) => cache.purge(query),
    invalidateTags: (tags, mode) => cache.entries.invalidateTags(tags, mode),
    on(type: CacheEventType | '*', listener: (event: never) => void) {
      checkListening(type, listener)
      return cache.on(type, listener as (event: CacheEvent) => void)
    },
    stats: () => cache.stats(),
    close: () => cache.close(),
  }
}
