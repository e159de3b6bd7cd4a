/** Floor of a miss: Node's own fetch, without a cache. */
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'floor: fetch',
  package: null,
  stores: ['none'],
  async setup() {
    return clientOf(
      (url) => fetch(url),
      async () => {},
    )
  },
}
