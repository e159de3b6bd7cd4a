/**
 * Hop-by-hop fields are not stored (RFC 9111 section 3.1), nor added by a 304 (section 3.2).
 *
 * The outside suite has tests for this that cannot fail: it looks for the unwanted field as a property of the Headers object, which is
 * never there, and it leaves out Trailer. Here a raw TCP origin sends the fields, the test proves that they arrived (a fetch without a
 * cache shows them), and both the response handed out and the metadata in the store are looked at.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ListableStore } from '../../src/engine/ports.ts'
import { createCachedFetch } from '../../src/index.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'

/** What a cache must not keep: RFC 9110 section 7.6.1, RFC 9111 section 3.1. */
const HOP_BY_HOP = [
  'Keep-Alive: timeout=5, max=100',
  'Proxy-Authenticate: Basic realm="proxy"',
  'Proxy-Authentication-Info: nextnonce="n"',
  'Proxy-Authorization: Basic eDp5',
  'Proxy-Connection: keep-alive',
  'TE: trailers',
  'Trailer: x-sum',
  'Upgrade: h2c',
]
const BODY = 'five bytes at a time'
const CHUNKED = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\nx-sum: abc\r\n\r\n`

let server: Server
let url: string
let answers: string[]
let received: string[]
let directory: string

beforeEach(async () => {
  answers = []
  received = []
  directory = mkdtempSync(join(tmpdir(), 'keepfresh-hop-'))
  server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`
})

afterEach(async () => {
  await new Promise<void>((resolve) => server.close(() => resolve()))
  rmSync(directory, { recursive: true })
})

/** One request a connection, answered with the next of `answers`, verbatim. */
function serve(socket: Socket): void {
  let request = ''
  socket.setEncoding('latin1')
  socket.on('data', (text) => {
    request += String(text)
    if (!request.endsWith('\r\n\r\n')) return
    received.push(request)
    socket.end(answers.shift() ?? 'HTTP/1.1 500 No More Answers\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
}

/** A message as it goes on the wire. */
function message(status: string, lines: readonly string[], body = ''): string {
  return [`HTTP/1.1 ${status}`, `Date: ${new Date().toUTCString()}`, ...lines, '', body].join('\r\n')
}

/** A 200 that is fresh for an hour, with every hop-by-hop field, and x-foo, x-baz named by Connection. */
function loaded(): string {
  const lines = ['Cache-Control: max-age=3600', 'ETag: "1"', 'Connection: x-foo, close', 'connection: X-BAZ']
  const named = ['X-Foo: 1', 'x-baz: 1', 'x-bar: 1', 'Transfer-Encoding: chunked']
  return message('200 OK', [...lines, ...named, ...HOP_BY_HOP], CHUNKED)
}

const NAMED = ['x-foo', 'x-baz']
const FORBIDDEN = [
  ...HOP_BY_HOP.map((line) => line.slice(0, line.indexOf(':')).toLowerCase()),
  'connection',
  'transfer-encoding',
]

/** The names of all header fields in the store. */
async function storedNames(store: ListableStore): Promise<string[]> {
  const names: string[] = []
  for await (const { meta } of store.entries()) {
    if (meta.kind === 'response') names.push(...meta.headers.map(([name]) => name.toLowerCase()))
  }
  return names
}

test('the fields do arrive: without a cache fetch shows each of them', async () => {
  answers = [loaded()]
  const { headers } = await fetch(url)
  for (const name of [...FORBIDDEN, ...NAMED, 'x-bar']) expect(headers.has(name), name).toBe(true)
})

const STORES: Readonly<Record<string, () => ListableStore>> = {
  memory: () => new MemoryStore(),
  sqlite: () => new SqliteStore(join(directory, 'http.db')),
}

describe.each(Object.keys(STORES))('%s store', (name) => {
  describe.each([false, true])('shared: %s', (shared) => {
    let store: ListableStore
    let cached: typeof fetch

    beforeEach(() => {
      store = (STORES[name] ?? STORES['memory'] ?? (() => new MemoryStore()))()
      cached = createCachedFetch({ store, shared })
    })
    afterEach(async () => {
      await store.close()
    })

    test('a stored response has neither the hop-by-hop fields nor those named by Connection, and the rest of it', async () => {
      answers = [loaded()]
      expect(await (await cached(url)).text()).toBe(BODY)
      const hit = await cached(url)
      expect(received).toHaveLength(1)
      expect(await hit.text()).toBe(BODY)
      const handedOut = [...hit.headers.keys()]
      const stored = await storedNames(store)
      for (const names of [handedOut, stored]) {
        for (const unwanted of [...FORBIDDEN, ...NAMED]) expect(names, unwanted).not.toContain(unwanted)
        for (const wanted of ['cache-control', 'etag', 'date', 'x-bar']) expect(names, wanted).toContain(wanted)
      }
      // Nor is a trailer field merged into the head (RFC 9110 section 6.5).
      expect(handedOut).not.toContain('x-sum')
    })

    test('a 304 adds no hop-by-hop field and none that its Connection names, but the others', async () => {
      const plain = ['Cache-Control: max-age=3600', 'ETag: "1"', 'x-bar: 1', 'Connection: close', 'Content-Length: 2']
      const update = ['ETag: "1"', 'Connection: x-new, close', 'x-new: 2', 'x-bar: 2', 'Keep-Alive: timeout=9']
      answers = [
        message('200 OK', plain, 'ok'),
        message('304 Not Modified', [...update, 'Proxy-Authenticate: Basic realm="p"', 'Upgrade: h2c']),
      ]
      await (await cached(url)).text()
      const validated = await cached(url, { cache: 'no-cache' })
      expect(await validated.text()).toBe('ok')
      expect(received).toHaveLength(2)
      expect(received[1]).toMatch(/\r\nif-none-match: "1"\r\n/i)
      const hit = await cached(url)
      expect(received).toHaveLength(2)
      for (const names of [[...validated.headers.keys()], [...hit.headers.keys()], await storedNames(store)]) {
        for (const unwanted of [...FORBIDDEN, 'x-new']) expect(names, unwanted).not.toContain(unwanted)
        expect(names).toContain('x-bar')
      }
      expect([validated.headers.get('x-bar'), hit.headers.get('x-bar')]).toEqual(['2', '2'])
    })

    test('the revalidation itself carries no hop-by-hop field of the stored response', async () => {
      answers = [loaded(), message('304 Not Modified', ['ETag: "1"', 'Connection: close'])]
      await (await cached(url)).text()
      await (await cached(url, { cache: 'no-cache' })).text()
      expect(received).toHaveLength(2)
      expect(received[1]).not.toMatch(/^(x-foo|x-baz|x-bar|keep-alive|proxy-[a-z-]+|te|trailer|upgrade):/im)
    })
  })
})
