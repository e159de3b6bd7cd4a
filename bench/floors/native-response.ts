/** Floor: the same lookup, but a native Response made on every hit. */
import { fetchStored } from '../lib/floor-response.ts'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'
import { Lru, matches } from './map.ts'

export const contender: Contender = {
  name: 'floor: Map + new Response()',
  package: null,
  stores: ['memory'],
  async setup() {
    const lru = new Lru()
    const cached = async (url: string): Promise<Response> => {
      const key = new URL(url).href
      const node = lru.get(key)
      if (node !== undefined && Date.now() < node.freshUntil && matches(node, null)) {
        const { bytes, status, headers } = node.stored
        return new Response(new Uint8Array(bytes), {
          status,
          headers: headers.map(([name, value]): [string, string] => [name, value]),
        })
      }
      const stored = await fetchStored(key)
      lru.set(key, stored)
      return new Response(new Uint8Array(stored.bytes), { status: stored.status })
    }
    return clientOf(cached, async () => {})
  },
}
