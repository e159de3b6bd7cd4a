import { FileSystemCache, MemoryCache, NodeFetchCache } from 'node-fetch-cache'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'node-fetch-cache',
  package: 'node-fetch-cache',
  stores: ['memory', 'disk'],
  note: 'node-fetch-cache looks at no HTTP header: it keeps everything for ever (its default). On disk it keeps files (cacache).',
  async setup(_origin, { store, dir }) {
    const cache = store === 'disk' ? new FileSystemCache({ cacheDirectory: dir }) : new MemoryCache()
    const fetch = NodeFetchCache.create({ cache })
    return clientOf(fetch, async () => {})
  },
}
