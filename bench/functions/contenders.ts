/** Caches of async functions, each set up as its own documentation says, for 10,000 entries that live an hour. */
import { AsyncCache, memoize } from 'keepfresh/memo'

export type Load = (key: string) => Promise<unknown>

/** One cache that is ready for use. */
export interface FunctionCache {
  /** The value under the key; `load` brings it where it is missing. */
  get(key: string): Promise<unknown>
  /** The values of keys that are there; null: it has no such method. */
  readonly getMany: ((keys: string[]) => Promise<unknown>) | null
  /** Removes what it keeps in a server, and closes its connections. */
  readonly close?: () => Promise<void>
}

export interface FunctionContender {
  readonly label: string
  /** The npm package; null for what is part of this repository. */
  readonly package: string | null
  /** `where`: the server that it keeps things in, and a name for them there; only for those that do. */
  setup(load: Load, where: Where): Promise<FunctionCache>
}

export interface Where {
  /** redis://host:port */
  readonly redis: string
  readonly name: string
}

export const MAX = 10_000
/** Seconds. */
export const HOUR = 3600

export const contenders: readonly FunctionContender[] = [
  {
    label: 'Map (floor)',
    package: null,
    async setup(load) {
      const map = new Map<string, unknown>()
      return {
        async get(key) {
          const found = map.get(key)
          if (found !== undefined) return found
          const value = await load(key)
          if (map.size >= MAX) map.clear()
          map.set(key, value)
          return value
        },
        getMany: async (keys) => keys.map((key) => map.get(key)),
      }
    },
  },
  {
    label: 'keepfresh memoize',
    package: null,
    async setup(load) {
      const memoized = memoize(load, { ttl: HOUR, maxSize: MAX })
      return { get: memoized, getMany: (keys) => memoized.cache.getMany(keys.map((key): [string] => [key])) }
    },
  },
  {
    label: 'keepfresh AsyncCache',
    package: null,
    async setup(load) {
      const cache = new AsyncCache<string, unknown>({ ttl: HOUR, maxSize: MAX })
      return { get: (key) => cache.getOrSet(key, () => load(key)), getMany: (keys) => cache.getMany(keys) }
    },
  },
  {
    label: 'lru-cache fetch',
    package: 'lru-cache',
    async setup(load) {
      const { LRUCache } = await import('lru-cache')
      const cache = new LRUCache<string, object>({
        max: MAX,
        ttl: HOUR * 1000,
        fetchMethod: load as (key: string) => Promise<object>,
      })
      return { get: (key) => cache.fetch(key), getMany: null }
    },
  },
  {
    label: 'async-cache-dedupe',
    package: 'async-cache-dedupe',
    async setup(load) {
      const { createCache } = await import('async-cache-dedupe')
      const cache = createCache({ ttl: HOUR, storage: { type: 'memory', options: { size: MAX } } }).define('load', load)
      return { get: (key) => cache.load(key), getMany: null }
    },
  },
  {
    label: 'bentocache',
    package: 'bentocache',
    async setup(load) {
      const { BentoCache, bentostore } = await import('bentocache')
      const { memoryDriver } = await import('bentocache/drivers/memory')
      const layer = memoryDriver({ maxItems: MAX, serialize: false })
      const cache = new BentoCache({ default: 'memory', stores: { memory: bentostore().useL1Layer(layer) } })
      return { get: (key) => cache.getOrSet({ key, ttl: '1h', factory: () => load(key) }), getMany: null }
    },
  },
  {
    label: 'cacheable',
    package: 'cacheable',
    async setup(load) {
      const { Cacheable, CacheableMemory } = await import('cacheable')
      const { Keyv } = await import('keyv')
      const cache = new Cacheable({
        ttl: '1h',
        primary: new Keyv({ store: new CacheableMemory({ lruSize: MAX, useClone: false }) }),
      })
      return { get: (key) => cache.getOrSet(key, () => load(key)), getMany: (keys) => cache.getMany(keys) }
    },
  },
  {
    label: 'cache-manager',
    package: 'cache-manager',
    async setup(load) {
      const { createCache } = await import('cache-manager')
      const cache = createCache({ ttl: HOUR * 1000 })
      return { get: (key) => cache.wrap(key, () => load(key)), getMany: (keys) => cache.mget(keys) }
    },
  },
]
