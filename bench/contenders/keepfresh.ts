import { createCachedFetch } from 'keepfresh'
import { SqliteStore } from 'keepfresh/sqlite'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'keepfresh',
  package: 'keepfresh',
  stores: ['memory', 'sqlite'],
  async setup(_origin, { store, dir }) {
    const sqlite = store === 'sqlite' ? new SqliteStore(`${dir}/keepfresh.db`) : null
    const fetch = sqlite === null ? createCachedFetch() : createCachedFetch({ store: sqlite })
    return clientOf(fetch, async () => {
      await fetch.close()
      await sqlite?.close()
    })
  },
}
