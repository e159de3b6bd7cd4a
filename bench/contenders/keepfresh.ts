import { keepfreshClient } from '../lib/keepfresh-client.ts'
import { openStore } from '../lib/keepfresh-store.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'keepfresh',
  package: 'keepfresh',
  stores: ['memory', 'sqlite', 'file', 'redis', 'mongodb', 'dynamodb', 'memcached'],
  setup: async (_origin, options) => keepfreshClient(options.store, await openStore(options)),
}
