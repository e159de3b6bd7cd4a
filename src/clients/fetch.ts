/** createCachedFetch: a fetch that caches (feature S1). */
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { CacheStats } from '../engine/stats.ts'
import { MemoryStore } from '../stores/memory.ts'
import { ResponseCache } from './cache-view.ts'
import { CacheClient } from './client.ts'
import type { CachedRequestInit, FetchInput } from './incoming.ts'
import type { CacheOptions } from './options.ts'
import type { CachedResponse } from './response.ts'
import { resolveOptions, type Settings } from './settings.ts'
import { openerOf } from './store-url.ts'

/** A fetch that caches, with what a cache has besides. */
export interface CachedFetch {
  (input: FetchInput, init?: CachedRequestInit): Promise<CachedResponse>
  /** Calls `listener` for events of a type, '*' for all; returns a function that stops it. */
  on<T extends CacheEventType>(type: T, listener: (event: CacheEventOf<T>) => void): () => void
  on(type: '*', listener: (event: CacheEvent) => void): () => void
  /** What is stored: look into it, take things out of it. */
  readonly cache: ResponseCache
  /** Counters since it was made. */
  stats(): CacheStats
  /** Closes it, and the store with it where `autoClose` says so. Idempotent. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** A client at once where its store is at hand, or after its store is loaded. */
export interface ClientHandle {
  readonly client: CacheClient | null
  ready(): Promise<CacheClient>
}

export function openClient(settings: Settings): ClientHandle {
  const store = settings.store ?? (settings.storeUrl === 'memory:' ? new MemoryStore() : null)
  if (store !== null) {
    const client = new CacheClient(settings, store)
    return { client, ready: () => Promise.resolve(client) }
  }
  const open = openerOf(settings.storeUrl)
  let loading: Promise<CacheClient> | null = null
  const handle = {
    client: null as CacheClient | null,
    ready: () => (loading ??= open().then((opened) => (handle.client = new CacheClient(settings, opened)))),
  }
  return handle
}

/**
 * Wraps a fetch in an HTTP cache that follows RFC 9111: a private one unless `shared` is set, in memory unless `store` is given.
 * The result takes everything fetch takes, and returns real Responses.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options, at once.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const fetch = createCachedFetch({ store: new SqliteStore('http.db') })
 * const res = await fetch('https://api.example.com/x', { httpCache: { expireAfter: '5m' } })
 * ```
 */
export function createCachedFetch(options: CacheOptions = {}): CachedFetch {
  const handle = openClient(resolveOptions(options, 'fetch'))
  const { client } = handle
  const call = client
    ? (input: FetchInput, init?: CachedRequestInit) => client.fetch(input, init)
    : async (input: FetchInput, init?: CachedRequestInit) =>
        (handle.client ?? (await handle.ready())).fetch(input, init)
  const now = (): CacheClient => {
    if (handle.client === null) throw new TypeError('the store is still being loaded: await a first request')
    return handle.client
  }
  const close = async (): Promise<void> => (await handle.ready()).close()
  return Object.assign(call, {
    on: (type: CacheEventType | '*', listener: (event: never) => void) =>
      now().engine.events.on(type as '*', listener as (event: CacheEvent) => void),
    cache: new ResponseCache(() => handle.ready()),
    stats: () => now().engine.stats(),
    close,
    [Symbol.asyncDispose]: close,
  })
}
