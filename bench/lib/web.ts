/** Clients out of functions that answer like fetch. */
import type { Client } from './types.ts'

/** What every fetch of the field has in common. */
export interface ResponseLike {
  readonly body: AsyncIterable<unknown> | null
  text(): Promise<string>
  json(): Promise<unknown>
  arrayBuffer(): Promise<ArrayBuffer>
}

export function clientOf(fetch: (url: string) => Promise<ResponseLike>, close: () => Promise<void>): Client {
  return {
    text: async (url) => (await fetch(url)).text(),
    json: async (url) => (await fetch(url)).json(),
    arrayBuffer: async (url) => (await fetch(url)).arrayBuffer(),
    drain: async (url) => drain((await fetch(url)).body),
    close,
  }
}

/** Reads a stream to its end, keeping nothing; how many bytes came. */
export async function drain(body: AsyncIterable<unknown> | null): Promise<number> {
  let bytes = 0
  for await (const chunk of body ?? []) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError('a chunk that is not bytes')
    bytes += chunk.byteLength
  }
  return bytes
}
