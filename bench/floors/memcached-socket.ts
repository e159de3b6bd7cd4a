/** Floor of any client of Memcached: bare sockets, and no parsing of replies. Values are written by a client. */
import { BareMemcached } from '../lib/bare-memcached.ts'
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: bare sockets to memcached',
  package: null,
  stores: ['memcached'],
  async setup(_origin, { dir, server }) {
    const { MemcachedClient } = await import('keepfresh/memcached')
    const client = new MemcachedClient(server)
    const sockets = new Map<string, BareMemcached>()
    const lengths = new Map<string, number>()
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      async get(key) {
        const length = lengths.get(key)
        return length === undefined ? null : sockets.get(client.serverOf(name(key)))?.get(name(key), length)
      },
      async set(key, value) {
        const at = client.serverOf(name(key))
        if (!sockets.has(at)) sockets.set(at, await BareMemcached.connect(at))
        await client.set(name(key), value, HOUR)
        lengths.set(key, value.length)
      },
      async close() {
        for (const socket of sockets.values()) socket.close()
        await client.close()
      },
    })
  },
}
