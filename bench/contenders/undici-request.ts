import { request } from 'undici'
import type { Contender } from '../lib/types.ts'
import { cachedAgent } from '../lib/undici-agent.ts'
import { drain } from '../lib/web.ts'

export const contender: Contender = {
  name: 'undici.request + cache',
  package: 'undici',
  stores: ['memory', 'sqlite'],
  async setup(_origin, options) {
    const { dispatcher, close } = cachedAgent(options)
    return {
      text: async (url) => (await request(url, { dispatcher })).body.text(),
      json: async (url) => (await request(url, { dispatcher })).body.json(),
      arrayBuffer: async (url) => (await request(url, { dispatcher })).body.arrayBuffer(),
      drain: async (url) => drain((await request(url, { dispatcher })).body),
      close,
    }
  },
}
