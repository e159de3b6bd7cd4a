/** The raw client of Memcached that most have installed: memcached, which calls back. */
import { promisify } from 'node:util'
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: memcached get',
  package: 'memcached',
  stores: ['memcached'],
  async setup(_origin, { dir, server }) {
    const { default: Memcached } = await import('memcached')
    const client = new Memcached(server.split(','))
    const get = promisify(client.get.bind(client))
    const set = promisify(client.set.bind(client))
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      get: (key) => get(name(key)),
      set: (key, value) => set(name(key), Buffer.from(value), HOUR),
      close: async () => client.end(),
    })
  },
}
