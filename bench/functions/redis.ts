/** A hit in Redis: what the cache adds to a bare GET and the decoding of what comes back. */
import { AsyncCache } from '../../src/memo/index.ts'
import { RedisStore } from '../../src/stores/redis.ts'
import { race, type RaceOptions, type Result } from '../lib/race.ts'

const VALUE = {
  id: 1,
  name: 'some user',
  roles: ['reader', 'writer'],
  address: { street: 'Main Street 1', city: 'Springfield' },
}

export async function redisHits(url: string, options: RaceOptions): Promise<Map<string, Result>> {
  const { createClient } = await import('redis')
  const client = createClient({ url })
  await client.connect()
  const key = `bench-functions:${process.pid}`
  const store = new RedisStore(url)
  const cache = new AsyncCache<string, typeof VALUE>({ name: key, store })
  await client.set(key, JSON.stringify(VALUE))
  await cache.set(key, VALUE)
  try {
    return await race(
      [
        { label: 'bare GET, JSON.parse', call: async () => JSON.parse((await client.get(key)) ?? 'null') as unknown },
        { label: 'keepfresh AsyncCache on RedisStore', call: () => cache.getOrSet(key, () => VALUE) },
        { label: 'keepfresh RedisStore alone', call: async () => store.read(`\nmemo ${key}\n${key}`) },
      ],
      options,
    )
  } finally {
    await cache.clear()
    await client.del(key)
    await client.close()
    await store.close()
  }
}
