/** keepfresh's own client of Memcached, which is what its store uses, without the store; gets of one turn are one command of its. */
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: MemcachedClient get',
  package: null,
  stores: ['memcached'],
  async setup(_origin, { dir, server }) {
    const { MemcachedClient } = await import('keepfresh/memcached')
    const client = new MemcachedClient(server)
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      get: (key) => client.get(name(key)),
      set: (key, value) => client.set(name(key), value, HOUR),
      close: () => client.close(),
    })
  },
}
