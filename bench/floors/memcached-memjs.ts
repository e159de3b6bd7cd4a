/** The raw client of Memcached that others use for bytes: memjs, whose protocol is the binary one. */
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: memjs get',
  package: 'memjs',
  stores: ['memcached'],
  async setup(_origin, { dir, server }) {
    const { default: memjs } = await import('memjs')
    const client = memjs.Client.create(server)
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      get: async (key) => (await client.get(name(key))).value,
      set: (key, value) => client.set(name(key), Buffer.from(value), { expires: HOUR }),
      close: async () => client.quit(),
    })
  },
}
