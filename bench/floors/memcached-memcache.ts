/** The raw client of Memcached that is kept best: memcache. Its values are text, and are made bytes here. */
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: memcache get',
  package: 'memcache',
  stores: ['memcached'],
  async setup(_origin, { dir, server }) {
    const { Memcache } = await import('memcache')
    const client = new Memcache({ nodes: server.split(',') })
    await client.connect()
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      get: async (key) => {
        const text = await client.get(name(key))
        return text === undefined ? null : Buffer.from(text)
      },
      set: (key, value) => client.set(name(key), Buffer.from(value).toString(), HOUR),
      close: () => client.disconnect(),
    })
  },
}
