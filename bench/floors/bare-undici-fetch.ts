/** Floor of a miss: undici's fetch, without a cache. */
import { Agent, fetch } from 'undici'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'floor: undici.fetch',
  package: 'undici',
  stores: ['none'],
  async setup() {
    const dispatcher = new Agent()
    return clientOf(
      (url) => fetch(url, { dispatcher }),
      () => dispatcher.close(),
    )
  },
}
