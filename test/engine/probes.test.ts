/** RELIABILITY 41: bodies are opened to see that they can be read; what nobody then reads is closed. */
import { createServer, request as ask } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { MemoryStore, type Store, type StoredEntry } from '../../src/index.ts'
import { cached } from '../../src/servers/handler.ts'
import { responseCache } from '../../src/servers/node.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { bench, until } from './support.ts'

const BODY = 'x'.repeat(10_000)
const FIELDS = { etag: '"v"', 'cache-control': 'max-age=60' }

/** A store that hands out bodies as streams, and keeps count of them. */
class Counting extends MemoryStore {
  opened = 0
  closed = 0

  override read(key: string): StoredEntry | undefined {
    const entry = super.read(key)
    const bytes = entry?.body.bytes
    if (entry === undefined || !bytes) return entry
    const open = (start: number, end: number): ReadableStream<Uint8Array> => this.#counted(bytes.slice(start, end))
    return { ...entry, body: { size: bytes.length, bytes: null, open } }
  }

  /** A piece at a time, and none before it is asked for; closed with the last one. */
  #counted(bytes: Uint8Array): ReadableStream<Uint8Array> {
    this.opened += 1
    const end = (): void => void (this.closed += 1)
    let at = 0
    return new ReadableStream(
      {
        pull(controller) {
          controller.enqueue(bytes.slice(at, at + 1000))
          at += 1000
          if (at < bytes.length) return
          controller.close()
          end()
        },
        cancel: end,
      },
      { highWaterMark: 0 },
    )
  }
}

type Get = (headers: Record<string, string>) => Promise<[status: number, length: number]>

interface Served {
  readonly get: Get
  readonly close: () => unknown
}

function web(store: Store, clock: FakeClock): Served {
  const handler = cached(
    (request: Request) =>
      request.headers.get('if-none-match') === '"v"'
        ? new Response(null, { status: 304, headers: FIELDS })
        : new Response(BODY, { headers: FIELDS }),
    { store, clock },
  )
  const get: Get = async (headers) => {
    const response = await handler(new Request('http://o.test/', { headers }))
    return [response.status, (await response.arrayBuffer()).byteLength]
  }
  return { get, close: () => undefined }
}

async function node(store: Store, clock: FakeClock): Promise<Served> {
  const server = createServer(
    responseCache({ store, clock }).wrap((request, response) => {
      const same = request.headers['if-none-match'] === '"v"'
      response.writeHead(same ? 304 : 200, FIELDS).end(same ? undefined : BODY)
    }),
  )
  await once(server.listen(0), 'listening')
  const { port } = server.address() as AddressInfo
  const get: Get = async (headers) => {
    const [response] = await once(ask({ port, headers, agent: false }).end(), 'response')
    let length = 0
    for await (const chunk of response) length += chunk.length
    return [response.statusCode, length]
  }
  return { get, close: () => server.close() }
}

describe.each([
  ['keepfresh/handler', web],
  ['keepfresh/node', node],
] as const)('B41: streams of stored bodies that %s opens are closed', (_, serve) => {
  test.each([
    ['a conditional hit', { 'if-none-match': '"v"' }, 0, [304, 0]],
    ['a range of it', { range: 'bytes=0-9' }, 0, [206, 10]],
    ['the whole, confirmed by a 304 of the handler', {}, 61, [200, 10_000]],
    ['a conditional request, confirmed by a 304 of the handler', { 'if-none-match': '"v"' }, 61, [304, 0]],
  ] as const)('%s', async (_title, headers, seconds, expected) => {
    const store = new Counting()
    const clock = new FakeClock()
    const { get, close } = await serve(store, clock)
    expect(await get({})).toEqual([200, 10_000])
    await until(() => store.size().entries > 0)
    for (let n = 0; n < 5; n++) {
      clock.advance(seconds * 1000)
      expect(await get(headers)).toEqual(expected)
    }
    await until(() => store.opened > 0 && store.closed === store.opened)
    await close()
  })
})

test('41: a stored body that has something to close behind its last piece is closed when it was read', async () => {
  let closed = 0
  class Generating extends MemoryStore {
    override read(key: string): StoredEntry | undefined {
      const entry = super.read(key)
      const bytes = entry?.body.bytes
      if (entry === undefined || !bytes) return entry
      async function* pieces(): AsyncGenerator<Uint8Array> {
        try {
          yield bytes?.slice(0, 5000) ?? new Uint8Array()
          yield bytes?.slice(5000) ?? new Uint8Array()
        } finally {
          closed += 1
        }
      }
      const open = (): ReadableStream<Uint8Array> => ReadableStream.from(pieces())
      return { ...entry, body: { size: bytes.length, bytes: null, open } }
    }
  }
  const site = async (): Promise<Response> => new Response(BODY, { headers: FIELDS })
  const { fetch } = bench({ store: new Generating(), fetch: site })
  await (await fetch('https://site.test/')).text()
  expect(await (await fetch('https://site.test/')).text()).toBe(BODY)
  expect((await (await fetch('https://site.test/')).bytes()).length).toBe(BODY.length)
  await until(() => closed === 2)
})
