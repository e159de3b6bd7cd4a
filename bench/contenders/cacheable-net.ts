import { CacheableNet } from '@cacheable/net'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: '@cacheable/net',
  package: '@cacheable/net',
  stores: ['memory'],
  note: '@cacheable/net keeps bodies as text: what is not UTF-8 does not survive.',
  async setup() {
    const net = new CacheableNet()
    return clientOf(
      (url) => net.fetch(url),
      async () => {
        await net.cache.disconnect()
      },
    )
  },
}
