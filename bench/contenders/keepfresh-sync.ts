import { FileStore } from 'keepfresh/file'
import { keepfreshClient } from '../lib/keepfresh-client.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'keepfresh, file, sync: true',
  package: 'keepfresh',
  stores: ['file'],
  scenarios: ['sqlite-hit', 'backends-hit'],
  note: "keepfresh with `sync: true` (the file store's option) reads files while the event loop waits.",
  setup: async (_origin, { store, dir }) => keepfreshClient(store, new FileStore({ dir, sync: true })),
}
