/**
 * A backend's own client as a floor: one value under the URL, got by one call; put there after asking the origin where it is missing.
 * The value is as long as what an HTTP cache has to keep: status, times and headers, filled up to HEAD bytes, and the body. Nothing is
 * normalised, checked or wrapped.
 */
import { fetchStored } from './floor-response.ts'
import { sampleMeta } from './raw-table.ts'
import type { Client } from './types.ts'

const HEAD = 512

export interface RawStore {
  get(key: string): Promise<Uint8Array | null | undefined>
  set(key: string, value: Uint8Array): Promise<unknown>
  clear?(): Promise<void>
  close(): Promise<void>
}

function valueOf(url: string, body: Buffer): Buffer {
  const value = Buffer.alloc(HEAD + body.length)
  value.set(sampleMeta(url).subarray(0, HEAD))
  value.set(body, HEAD)
  return value
}

export function rawClient({ get, set, clear, close }: RawStore): Client {
  const arrayBuffer = async (url: string): Promise<Uint8Array> => {
    const found = await get(url)
    if (found !== null && found !== undefined) return found.subarray(HEAD)
    const { bytes } = await fetchStored(url)
    await set(url, valueOf(url, bytes))
    return bytes
  }
  const text = async (url: string): Promise<string> => Buffer.from(await arrayBuffer(url)).toString()
  const client: Client = {
    text,
    json: async (url) => JSON.parse(await text(url)) as unknown,
    arrayBuffer,
    drain: null,
    close,
  }
  return clear === undefined ? client : { ...client, clear }
}
