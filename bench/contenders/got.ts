import got, { type Got } from 'got'
import { Keyv } from 'keyv'
import { namespaceOf } from '../lib/keepfresh-store.ts'
import type { Contender, SetupOptions } from '../lib/types.ts'
import { drain } from '../lib/web.ts'

/** A Map, as got's documentation has it, or Keyv with the adapter of that store. */
async function cacheOf({ store, dir, server }: SetupOptions): Promise<Map<string, unknown> | Keyv> {
  if (store === 'memory') return new Map()
  const adapter =
    store === 'redis'
      ? new (await import('@keyv/redis')).default(server)
      : new (await import('@keyv/sqlite')).default(`sqlite://${dir}/got.db`)
  return new Keyv({ store: adapter, namespace: namespaceOf(dir) })
}

export const contender: Contender = {
  name: 'got + Keyv',
  package: 'got',
  stores: ['memory', 'sqlite', 'redis'],
  note: 'got: every hit leaves an error listener behind on its store (cacheable-request on keyv 5), so that hits get slower and memory grows with their number. Its memory is a Map, its SQLite @keyv/sqlite, its Redis @keyv/redis.',
  async setup(_origin, options) {
    const cache = await cacheOf(options)
    const client: Got = got.extend({ cache: cache as Map<string, unknown> })
    const base = {
      text: (url: string) => client(url).text(),
      json: (url: string) => client(url).json(),
      arrayBuffer: (url: string) => client(url).buffer(),
      drain: (url: string) => drain(client.stream(url)),
    }
    if (!(cache instanceof Keyv)) return { ...base, close: async () => {} }
    return { ...base, clear: () => cache.clear(), close: () => cache.disconnect() }
  },
}
