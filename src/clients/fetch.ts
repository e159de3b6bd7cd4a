/** createCachedFetch: a fetch that caches (feature S1). */
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { Store } from '../engine/ports.ts'
import { Counters, type CacheStats } from '../engine/stats.ts'
import { StateError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import { ResponseCache } from './cache-view.ts'
import { CacheClient } from './client.ts'
import type { CachedRequestInit, FetchInput } from './incoming.ts'
import type { CacheOptions } from './options.ts'
import type { CachedResponse } from './response.ts'
import { resolveOptions, type Settings } from './settings.ts'
import { openerOf } from './store-url.ts'
import { checkListening } from './validate.ts'

/** A fetch that caches, with what a cache has besides. */
export interface CachedFetch {
  (input: FetchInput, init?: CachedRequestInit): Promise<CachedResponse>
  /** Calls `listener` for events of a type, '*' for all; returns a function that stops it. @throws OptionError for a type there is none of. */
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
  /** @throws StateError ERR_SESSION_CLOSED, ERR_MISSING_PEER; what the store's module or constructor throws */
  ready(): Promise<CacheClient>
  /** Calls `use` once there is a client: at once, or when whoever needs its store first has opened it. */
  whenOpen(use: (client: CacheClient) => void): void
  /** Closes what was opened; nothing is opened for that, and what could not be opened is closed. */
  close(): Promise<void>
}

export function openClient(settings: Settings): ClientHandle {
  const store = settings.store ?? (settings.storeUrl === 'memory:' ? new MemoryStore() : null)
  if (store !== null) {
    const client = new CacheClient(settings, store)
    return {
      client,
      ready: () => (client.closed ? Promise.reject(closedError()) : Promise.resolve(client)),
      whenOpen: (use) => use(client),
      close: () => client.close(),
    }
  }
  return new LazyHandle(settings, openerOf(settings.storeUrl))
}

/** A client whose store is opened by the first who needs it. */
class LazyHandle implements ClientHandle {
  client: CacheClient | null = null
  readonly #settings: Settings
  readonly #open: () => Promise<Store>
  readonly #waiting: ((client: CacheClient) => void)[] = []
  #loading: Promise<CacheClient> | null = null
  #closed = false

  constructor(settings: Settings, open: () => Promise<Store>) {
    this.#settings = settings
    this.#open = open
  }

  ready(): Promise<CacheClient> {
    if (this.#closed) return Promise.reject(closedError())
    return (this.#loading ??= this.#load())
  }

  async #load(): Promise<CacheClient> {
    this.client = new CacheClient(this.#settings, await this.#open())
    for (const use of this.#waiting.splice(0)) use(this.client)
    return this.client
  }

  whenOpen(use: (client: CacheClient) => void): void {
    if (this.client === null) this.#waiting.push(use)
    else use(this.client)
  }

  async close(): Promise<void> {
    this.#closed = true
    // What failed to open was told to whoever asked for it.
    const client = await this.#loading?.catch(() => null)
    await client?.close()
  }
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
        handle.client ? handle.client.fetch(input, init) : (await handle.ready()).answer(input, init)
  const close = (): Promise<void> => handle.close()
  return Object.assign(call, {
    on: (type: CacheEventType | '*', listener: (event: never) => void) => listen(handle, type, listener),
    cache: new ResponseCache(() => handle.ready()),
    stats: () => handle.client?.engine.stats() ?? new Counters().snapshot(),
    close,
    [Symbol.asyncDispose]: close,
  })
}

function closedError(): StateError {
  return new StateError('ERR_SESSION_CLOSED', 'it is closed: make a new one')
}

/** Listens from now on, though the store may be opened later only. */
function listen(handle: ClientHandle, type: CacheEventType | '*', listener: (event: never) => void): () => void {
  checkListening(type, listener)
  let stopped = false
  let stop: (() => void) | null = null
  handle.whenOpen(({ engine }) => {
    if (!stopped) stop = engine.events.on(type as '*', listener as (event: CacheEvent) => void)
  })
  return () => {
    stopped = true
    stop?.()
  }
}
