/** Caches of async functions that keep their values in Redis, alone or behind memory, each set up as its own documentation says. */
import { RedisStore } from 'keepfresh/redis'
import { AsyncCache } from 'keepfresh/memo'
import { redisCoherence, tiered } from 'keepfresh/tiered'
import { HOUR, MAX, type FunctionCache, type FunctionContender, type Load, type Where } from './contenders.ts'

type Setup = (load: Load, where: Where) => Promise<FunctionCache>

/** The value as JSON under one key, and nothing else: no lifetime looked at, nobody waited for. */
const bare: Setup = async (load, { redis, name }) => {
  const { createClient } = await import('redis')
  const client = await createClient({ url: redis }).connect()
  return {
    async get(key) {
      const found = await client.get(`${name}:${key}`)
      if (found !== null) return JSON.parse(found) as unknown
      const value = await load(key)
      await client.set(`${name}:${key}`, JSON.stringify(value), { EX: HOUR })
      return value
    },
    getMany: async (keys) =>
      (await client.mGet(keys.map((key) => `${name}:${key}`))).map((found) => JSON.parse(found ?? 'null') as unknown),
    close: () => client.close(),
  }
}

const keepfresh: Setup = async (load, { redis, name }) => {
  const store = new RedisStore({ url: redis, namespace: name })
  const cache = new AsyncCache<string, unknown>({ name, store, ttl: HOUR, autoClose: true, storeTimeout: 10 })
  return cacheOf(cache, load)
}

const keepfreshTiered: Setup = async (load, { redis, name }) => {
  const far = new RedisStore({ url: redis, namespace: name })
  const coherence = redisCoherence({ url: redis, channel: name })
  const store = tiered({ far, coherence, near: { maxEntries: MAX } })
  const cache = new AsyncCache<string, unknown>({ name, store, ttl: HOUR, autoClose: true, storeTimeout: 10 })
  return cacheOf(cache, load)
}

function cacheOf(cache: AsyncCache<string, unknown>, load: Load): FunctionCache {
  return {
    get: (key) => cache.getOrSet(key, () => load(key)),
    getMany: (keys) => cache.getMany(keys),
    close: () => cache.close(),
  }
}

/** With values serialized in memory, its default: without, 1.6.1 trips over what it finds in Redis. */
const bentocache: Setup = async (load, { redis, name }) => {
  const { BentoCache, bentostore } = await import('bentocache')
  const { memoryDriver } = await import('bentocache/drivers/memory')
  const { redisBusDriver, redisDriver } = await import('bentocache/drivers/redis')
  const { hostname: host, port } = new URL(redis)
  const connection = { host, port: Number(port) }
  const both = bentostore()
    .useL1Layer(memoryDriver({ maxItems: MAX }))
    .useL2Layer(redisDriver({ connection }))
    .useBus(redisBusDriver({ connection }))
  const cache = new BentoCache({ default: 'both', prefix: name, stores: { both } })
  return {
    get: (key) => cache.getOrSet({ key, ttl: '1h', factory: () => load(key) }),
    getMany: null,
    close: () => cache.disconnectAll(),
  }
}

const asyncCacheDedupe: Setup = async (load, { redis, name }) => {
  const { createCache } = await import('async-cache-dedupe')
  const { Redis } = await import('ioredis')
  const client = new Redis(redis)
  const cache = createCache({ ttl: HOUR, storage: { type: 'redis', options: { client } } }).define(name, load)
  const call = Reflect.get(cache, name) as (key: string) => Promise<unknown>
  return { get: (key) => call(key), getMany: null, close: async () => client.disconnect() }
}

const cacheable: Setup = async (load, { redis, name }) => {
  const { Cacheable, CacheableMemory } = await import('cacheable')
  const { Keyv } = await import('keyv')
  const { default: KeyvRedis } = await import('@keyv/redis')
  const primary = new Keyv({ store: new CacheableMemory({ lruSize: MAX, useClone: false }) })
  const secondary = new Keyv({ store: new KeyvRedis(redis), namespace: name })
  const cache = new Cacheable({ ttl: '1h', primary, secondary })
  return {
    get: (key) => cache.getOrSet(key, () => load(key)),
    getMany: (keys) => cache.getMany(keys),
    close: () => cache.disconnect(),
  }
}

const cacheManager: Setup = async (load, { redis, name }) => {
  const { createCache } = await import('cache-manager')
  const { Keyv } = await import('keyv')
  const { default: KeyvRedis } = await import('@keyv/redis')
  const store = new Keyv({ store: new KeyvRedis(redis), namespace: name })
  const cache = createCache({ ttl: HOUR * 1000, stores: [store] })
  return {
    get: (key) => cache.wrap(key, () => load(key)),
    getMany: (keys) => cache.mget(keys),
    close: () => store.disconnect(),
  }
}

export const BARE = 'bare GET, JSON.parse'
export const OURS_REDIS = 'keepfresh AsyncCache, Redis'
export const OURS_TIERED = 'keepfresh AsyncCache, memory + Redis'

/** Every hit is a request to Redis. */
export const redisAlone: readonly FunctionContender[] = [
  { label: BARE, package: null, setup: bare },
  { label: OURS_REDIS, package: null, setup: keepfresh },
  { label: 'async-cache-dedupe, Redis', package: 'async-cache-dedupe', setup: asyncCacheDedupe },
  { label: 'cache-manager, Redis', package: 'cache-manager', setup: cacheManager },
]

/** A hit is a hit in memory, and Redis has what other processes brought. */
export const memoryOverRedis: readonly FunctionContender[] = [
  { label: OURS_TIERED, package: null, setup: keepfreshTiered },
  { label: 'bentocache, memory + Redis', package: 'bentocache', setup: bentocache },
  { label: 'cacheable, memory + Redis', package: 'cacheable', setup: cacheable },
]
