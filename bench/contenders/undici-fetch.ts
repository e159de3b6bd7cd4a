import { fetch } from 'undici'
import type { Contender } from '../lib/types.ts'
import { cachedAgent } from '../lib/undici-agent.ts'
import { clientOf } from '../lib/web.ts'

export const contender: Contender = {
  name: 'undici.fetch + cache',
  package: 'undici',
  stores: ['memory', 'sqlite'],
  async setup(_origin, options) {
    const { dispatcher, close } = cachedAgent(options)
    return clientOf((url) => fetch(url, { dispatcher }), close)
  },
}
