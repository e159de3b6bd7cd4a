import makeFetchHappen from 'make-fetch-happen'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'make-fetch-happen',
  package: 'make-fetch-happen',
  stores: ['file'],
  note: 'make-fetch-happen keeps files (cacache).',
  async setup(_origin, { dir }) {
    const fetch = makeFetchHappen.defaults({ cachePath: dir })
    return clientOf(fetch, async () => {})
  },
}
