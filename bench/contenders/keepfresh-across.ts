import { keepfreshClient } from '../lib/keepfresh-client.ts'
import { openStore } from '../lib/keepfresh-store.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: "keepfresh, singleFlight: 'store'",
  package: 'keepfresh',
  stores: ['sqlite', 'file'],
  scenarios: ['backends-miss', 'backends-herd'],
  note: "keepfresh with `singleFlight: 'store'` takes a lock in the store for each miss, so that processes ask the origin once: the default where the store is a server.",
  setup: async (_origin, options) =>
    keepfreshClient(options.store, await openStore(options), { singleFlight: 'store' }),
}
