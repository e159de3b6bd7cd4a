import { FileSystemCache, MemoryCache, NodeFetchCache } from 'node-fetch-cache'
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { redisCache } from '../lib/node-fetch-cache-redis.ts'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'node-fetch-cache',
  package: 'node-fetch-cache',
  stores: ['memory', 'file', 'redis'],
  note: 'node-fetch-cache looks at no HTTP header: it keeps everything for ever (its default). Its files are those of cacache. Its Redis plugin is not in the npm registry: here is one written to its documented interface.',
  async setup(_origin, { store, dir, server }) {
    if (store === 'redis') {
      const cache = await redisCache(server, namespaceOf(dir))
      const client = clientOf(NodeFetchCache.create({ cache }), () => cache.close())
      return { ...client, clear: () => cache.clear() }
    }
    const cache = store === 'file' ? new FileSystemCache({ cacheDirectory: dir }) : new MemoryCache()
    return clientOf(NodeFetchCache.create({ cache }), async () => {})
  },
}
