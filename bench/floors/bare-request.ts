/** Floor of a miss: undici.request, without a cache. */
import { Agent, request } from 'undici'
import type { Contender } from '../lib/types.ts'
import { drain } from '../lib/web.ts'

export const contender: Contender = {
  name: 'floor: undici.request',
  package: 'undici',
  stores: ['none'],
  async setup() {
    const dispatcher = new Agent()
    return {
      text: async (url) => (await request(url, { dispatcher })).body.text(),
      json: async (url) => (await request(url, { dispatcher })).body.json(),
      arrayBuffer: async (url) => (await request(url, { dispatcher })).body.arrayBuffer(),
      drain: async (url) => drain((await request(url, { dispatcher })).body),
      close: () => dispatcher.close(),
    }
  },
}
