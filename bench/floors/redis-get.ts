/** Floor of a hit in Redis: the client's own GET. */
import { namespaceOf } from '../lib/keepfresh-store.ts'
import { rawClient } from '../lib/raw-client.ts'
import type { Contender } from '../lib/types.ts'

const HOUR = 3600

export const contender: Contender = {
  name: 'floor: redis GET',
  package: null,
  stores: ['redis'],
  async setup(_origin, { dir, server }) {
    const { createClient } = await import('redis')
    const client = createClient({ url: server }).on('error', () => undefined)
    await client.connect()
    const blobs = client.withTypeMapping({ 36: Buffer })
    const name = (key: string): string => `${namespaceOf(dir)}:${key}`
    return rawClient({
      get: async (key) => {
        const value: unknown = await blobs.get(name(key))
        return Buffer.isBuffer(value) ? value : null
      },
      set: (key, value) => blobs.set(name(key), Buffer.from(value), { EX: HOUR }),
      close: () => client.close(),
    })
  },
}
