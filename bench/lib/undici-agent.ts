/** undici's cache as its documentation sets it up: `interceptors.cache` with one of `cacheStores`, composed onto an Agent. */
import { Agent, cacheStores, interceptors, type Dispatcher } from 'undici'
import type { SetupOptions } from './types.ts'

export interface CachedAgent {
  readonly dispatcher: Dispatcher
  close(): Promise<void>
}

export function cachedAgent({ store, dir }: Pick<SetupOptions, 'store' | 'dir'>): CachedAgent {
  const agent = new Agent()
  const sqlite = store === 'sqlite' ? new cacheStores.SqliteCacheStore({ location: `${dir}/undici.db` }) : null
  const dispatcher = agent.compose(interceptors.cache({ store: sqlite ?? new cacheStores.MemoryCacheStore() }))
  return {
    dispatcher,
    close: async () => {
      await agent.close()
      sqlite?.close()
    },
  }
}
