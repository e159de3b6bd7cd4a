/**
 * Redis as a cache of node-fetch-cache, written to its documented interface for caches of one's own: the Redis plugin that its README names
 * is not in the npm registry. Body and metadata are one hash, since its interface asks for both at once.
 */
import type { INodeFetchCacheCache } from 'node-fetch-cache'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'

export interface RedisCache extends INodeFetchCacheCache {
  clear(): Promise<void>
  close(): Promise<void>
}

export async function redisCache(url: string, namespace: string): Promise<RedisCache> {
  const { createClient } = await import('redis')
  const client = createClient({ url }).on('error', () => undefined)
  await client.connect()
  const blobs = client.withTypeMapping({ 36: Buffer })
  const name = (key: string): string => `${namespace}:${key}`
  return {
    async get(key) {
      const [body, metaData] = await blobs.hmGet(name(key), ['body', 'meta'])
      if (!Buffer.isBuffer(body) || !Buffer.isBuffer(metaData)) return undefined
      return { bodyStream: Readable.from([body]), metaData: JSON.parse(metaData.toString()) }
    },
    async set(key, bodyStream, metaData) {
      const body = await buffer(bodyStream)
      await blobs.hSet(name(key), { body, meta: Buffer.from(JSON.stringify(metaData)) })
      return { bodyStream: Readable.from([body]), metaData }
    },
    remove: (key) => client.del(name(key)),
    async clear() {
      for await (const keys of client.scanIterator({ MATCH: `${namespace}:*`, COUNT: 1000 }))
        if (keys.length > 0) await client.del(keys)
    },
    close: () => client.close(),
  }
}
