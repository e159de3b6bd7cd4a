import got from 'got'
import type { Contender } from '../lib/types.ts'
import { drain } from '../lib/web.ts'

export const contender: Contender = {
  name: 'got, cache: Map',
  package: 'got',
  stores: ['memory'],
  note: 'got: every hit leaves an error listener behind on its store (cacheable-request on keyv 5), so that hits get slower and memory grows with their number.',
  async setup() {
    const client = got.extend({ cache: new Map() })
    return {
      text: (url) => client(url).text(),
      json: (url) => client(url).json(),
      arrayBuffer: (url) => client(url).buffer(),
      drain: (url) => drain(client.stream(url)),
      close: async () => {},
    }
  },
}
