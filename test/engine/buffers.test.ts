/** Stores and origins that hand out Buffers: views of memory that others have a part of. */
import { expect, it } from 'vitest'
import { createCachedFetch, MemoryStore, type Store, type StoredEntry } from '../../src/index.ts'
import { RecordStore } from '../../src/stores/record-store.ts'
import { until } from './support.ts'

/** A server's packet: all values in one buffer, handed out as Buffers of it, as clients of databases do. */
function packets(): Store {
  const values = new Map<string, Buffer>()
  const packet = (): Map<string, Buffer> => {
    const whole = Buffer.concat([...values.values()])
    let at = 0
    return new Map([...values].map(([key, { length }]) => [key, whole.subarray(at, (at += length))]))
  }
  return new RecordStore({
    name: 'packets',
    limits: { maxEntrySize: Infinity, inlineSize: 100_000, persistent: false, shared: false },
    chunkSize: 65_536,
    get: async (key) => packet().get(key),
    set: (key, value) => {
      values.set(key, Buffer.from(value))
      return undefined
    },
    replace: () => false,
    remove: (keys) => keys.map((key) => (values.delete(key) ? new Uint8Array(36) : undefined)),
    getChunk: () => undefined,
    setChunk: () => undefined,
    keepChunks: () => undefined,
    dropChunks: () => undefined,
    close: () => undefined,
  })
}

const FRESH = { headers: { 'cache-control': 'max-age=60' } }

it.each(['arrayBuffer', 'bytes', 'text', 'body', 'blob'] as const)(
  'I2, I3: %s of a hit is the body and nothing else, read by many at once',
  async (way) => {
    const store = packets()
    const fetch = createCachedFetch({ store, fetch: async (url) => new Response(`body of ${String(url)}`, FRESH) })
    const urls = Array.from({ length: 10 }, (_, n) => `http://a.test/${n}`)
    for (const url of urls) await (await fetch(url)).text()
    await until(() => fetch.stats().stored === urls.length)
    for (let round = 0; round < 2; round++) {
      const texts = await Promise.all(
        urls.map(async (url) => {
          const response = await fetch(url)
          expect(response.fromCache).toBe(true)
          if (way === 'body') return new Response(response.body).text()
          return new Response(await response[way]()).text()
        }),
      )
      expect(texts).toEqual(urls.map((url) => `body of ${url}`))
    }
  },
)

it.each([1, 5])('an origin that streams %i Buffers of one pool is stored as it was', async (count) => {
  const pool = Buffer.alloc(8192, 'x')
  const stream = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start(controller) {
        for (let n = 0; n < count; n++) controller.enqueue(pool.subarray(n * 100, (n + 1) * 100))
        controller.close()
      },
    })
  const store = new MemoryStore()
  const fetch = createCachedFetch({ store, fetch: async () => new Response(stream(), FRESH) })
  const first = await new Response((await fetch('http://a.test/')).body).text()
  await until(() => fetch.stats().stored === 1)
  const entry = store.read('GET http://a.test/') as StoredEntry
  expect([first.length, Buffer.from(entry.body.bytes ?? []).toString()]).toEqual([count * 100, 'x'.repeat(count * 100)])
})

it.each(['no-store', 'max-age=60'])(
  '70: what an origin hands out stays its own, %s: views of its memory, the same each time',
  async (control) => {
    const [pooled, own] = [Buffer.from('pooled '), new TextEncoder().encode('own')]
    const fetch = createCachedFetch({
      fetch: async () => {
        const chunks = [pooled, own]
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            const chunk = chunks.shift()
            if (chunk === undefined) controller.close()
            else controller.enqueue(chunk)
          },
        })
        return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { headers: { 'cache-control': control } })
      },
    })
    for (let time = 0; time < 2; time++) {
      const { body } = await fetch('http://a.test/', { cache: 'reload' })
      let text = ''
      for await (const chunk of body ?? []) {
        text += new TextDecoder().decode(chunk)
        chunk.fill(0)
      }
      expect(text).toBe('pooled own')
    }
    await fetch.close()
  },
)
