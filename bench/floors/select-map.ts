/** Floor: a prepared SELECT, and around it all that `Map + minimal object` does, its Map (for status and headers) and LRU included. */
import { fetchStored, FloorResponse, freshUntil } from '../lib/floor-response.ts'
import { openRawTable } from '../lib/raw-table.ts'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'
import { Lru, matches } from './map.ts'

export const contender: Contender = {
  name: 'floor: prepared SELECT + minimal object',
  package: null,
  stores: ['sqlite'],
  async setup(_origin, { dir }) {
    const table = openRawTable(`${dir}/select-map.db`)
    const lru = new Lru()
    const cached = async (url: string): Promise<FloorResponse> => {
      const key = new URL(url).href
      const node = lru.get(key)
      const row = table.get(key)
      if (node !== undefined && row !== undefined && Date.now() < row.expires_at && matches(node, null)) {
        const bytes = Buffer.from(row.body.buffer, row.body.byteOffset, row.body.byteLength)
        return new FloorResponse({ status: node.stored.status, headers: node.stored.headers, bytes })
      }
      const stored = await fetchStored(key)
      table.put(key, Buffer.from(JSON.stringify(stored.headers)), stored.bytes, freshUntil(stored))
      lru.set(key, stored)
      return new FloorResponse(stored)
    }
    return clientOf(cached, async () => table.close())
  },
}
