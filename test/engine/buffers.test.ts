/** Stores and origins that hand out Buffers: views of memory that others have a part of. */
import { describe, expect, it } from 'vitest'
import { LiveBody, type Sink } from '../../src/engine/live-body.ts'
import type { OriginChunk } from '../../src/engine/ports.ts'
import { createCachedFetch, MemoryStore, type EntryHead, type Store, type StoredEntry } from '../../src/index.ts'
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

/** Gives the buffer of each chunk away, as a stream of bytes does with what it is given. */
class Giving extends MemoryStore {
  override readonly limits: Store['limits'] = { ...new MemoryStore().limits, inlineSize: 10 }
  given = 0

  override write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): void | Promise<void> {
    if (body instanceof Uint8Array) return super.write(head, body)
    const gives = new TransformStream<Uint8Array, Uint8Array>({
      transform: (chunk, to) => {
        to.enqueue(structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] }))
        this.given += 1
      },
    })
    return super.write(head, body.pipeThrough(gives))
  }
}

it.each(['text', 'body'] as const)(
  '70: a store that gives the buffers of its chunks away takes nothing from the caller, who reads its %s',
  async (way) => {
    const store = new Giving()
    const packet = new TextEncoder().encode('of one packet, in three views of it')
    const fetch = createCachedFetch({
      store,
      fetch: async () => {
        const views = [packet.subarray(0, 8), packet.subarray(8, 20), packet.subarray(20)]
        const body = new ReadableStream<Uint8Array>({
          start(controller) {
            for (const view of views) controller.enqueue(view)
            controller.close()
          },
        })
        return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, FRESH)
      },
    })
    const response = await fetch('http://a.test/')
    await until(() => store.given > 0)
    expect(await (way === 'text' ? response.text() : new Response(response.body).text())).toBe(
      'of one packet, in three views of it',
    )
    await until(() => fetch.stats().stored === 1)
    expect(await (await fetch('http://a.test/')).text()).toBe('of one packet, in three views of it')
    await fetch.close()
  },
)

describe.each(['no-store', 'max-age=60'])('what is no bytes fails a body as it does with fetch, %s', (control) => {
  const GIVEN: readonly (readonly [string, unknown[]])[] = [
    ['a string', ['ab']],
    ['a string of digits', ['12']],
    ['a string after bytes', [new Uint8Array(1), '34']],
    ['a number', [5]],
    ['an ArrayBuffer', [new ArrayBuffer(3)]],
    ['a Uint16Array', [new Uint16Array(2)]],
    ['a list', [[1, 2]]],
    ['null', [null]],
  ]

  it.each(GIVEN)('%s', async (_, chunks) => {
    for (const way of ['text', 'body'] as const) {
      const store = new MemoryStore()
      const left = Promise.withResolvers<unknown>()
      const rest = [...chunks]
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(rest.shift()),
        cancel: (reason) => left.resolve(reason),
      })
      const headers = { 'cache-control': control }
      const fetch = createCachedFetch({ store, fetch: async () => new Response(body, { headers }) })
      const response = await fetch('http://a.test/')
      const read = way === 'text' ? response.text() : new Response(response.body).text()
      await expect(read).rejects.toThrow(TypeError)
      // The origin is left.
      await left.promise
      expect(store.size().entries).toBe(0)
      expect(fetch.stats()).toMatchObject({ stored: 0, refused: 1 })
      await fetch.close()
    }
  })
})

it('a body that is at hand in pieces, some of them empty, is read as a stream', async () => {
  const chunks: OriginChunk[] = ['', 'a', '', 'b', ''].map((text) => ({ done: false, value: Buffer.from(text) }))
  const reader = {
    atHand: (): OriginChunk => chunks.shift() ?? { done: true },
    read: async (): Promise<OriginChunk> => reader.atHand(),
    cancel: async (): Promise<void> => undefined,
  }
  const nothing = (): void => undefined
  const sink: Sink = {
    inlineSize: 0,
    maxSize: 0,
    whole: nothing,
    stream: (stream) => stream.cancel(),
    ended: nothing,
    keeps: () => false,
    cut: nothing,
    mayEnd: () => true,
    abandon: nothing,
  }
  const none = { expected: null, signal: null, wanted: () => false, release: nothing }
  const limits = { readAhead: 100, backgroundFill: 0, stallTimeout: 1000 }
  const body = new LiveBody({ getReader: () => reader, cancel: reader.cancel }, sink, { ...none, ...limits })
  expect(await new Response(body.stream()).text()).toBe('ab')
})
