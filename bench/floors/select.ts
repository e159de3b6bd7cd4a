/** Floor: one prepared SELECT by key; text, JSON or a copy of the bytes out of the row. Nothing is normalised, checked or wrapped. */
import { fetchStored, freshUntil } from '../lib/floor-response.ts'
import { openRawTable } from '../lib/raw-table.ts'
import type { Contender } from '../lib/types.ts'

export const contender: Contender = {
  name: 'floor: prepared SELECT',
  package: null,
  stores: ['sqlite'],
  async setup(_origin, { dir }) {
    const table = openRawTable(`${dir}/select.db`)
    const read = async (url: string): Promise<Buffer<ArrayBuffer>> => {
      const row = table.get(url)
      if (row !== undefined) return bufferOf(row.body)
      const stored = await fetchStored(url)
      table.put(url, Buffer.from(JSON.stringify(stored.headers)), stored.bytes, freshUntil(stored))
      return bufferOf(stored.bytes)
    }
    return {
      text: async (url) => (await read(url)).toString(),
      json: async (url) => JSON.parse((await read(url)).toString()),
      arrayBuffer: async (url) => {
        const { buffer, byteOffset, byteLength } = await read(url)
        return buffer.slice(byteOffset, byteOffset + byteLength)
      },
      drain: null,
      close: async () => table.close(),
    }
  },
}

/** The same bytes as a Buffer. */
function bufferOf(bytes: Uint8Array): Buffer<ArrayBuffer> {
  return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)
}
