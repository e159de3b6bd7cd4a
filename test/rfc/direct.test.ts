/**
 * What goes without Node's fetch is what that would have sent and given: both ask one server, which keeps the bytes of the request and
 * answers with bytes of the test's (Fetch standard, HTTP-network-or-cache fetch; decision 9).
 */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi, type Mock } from 'vitest'
import { CachedSession, createCachedFetch, type CachedFetch } from '../../src/index.ts'
import { Call } from '../../src/clients/direct-call.ts'
import { globalDispatcher, type AnyHandler, type DispatchOptions } from '../../src/clients/dispatcher.ts'
import { until } from '../engine/support.ts'

type Fetch = (url: string, init?: RequestInit) => Promise<Response>
type Answer = Buffer | string | ((socket: Socket, request: string) => void)

const PLAIN = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
let server: Server
let url: string
let answer: Answer = PLAIN
let asked: string[] = []
let closed = 0
const sockets = new Set<Socket>()
let native: typeof globalThis.fetch
let cached: CachedFetch
/** The same by fetch: it is given one. */
let byFetch: CachedFetch
/** How many of one request, the first of all, went without fetch. */
let first = 0

beforeAll(async () => {
  native = globalThis.fetch
  performance.setResourceTimingBufferSize(100_000)
  server = createServer((socket) => {
    let text = ''
    sockets.add(socket)
    socket.on('close', () => {
      closed += 1
      sockets.delete(socket)
    })
    socket.on('error', () => undefined)
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1')
      if (!/\r\n\r\nb?$/.test(text)) return
      const request = text
      text = ''
      asked.push(request)
      if (typeof answer === 'function') answer(socket, request)
      else socket.write(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  cached = createCachedFetch()
  byFetch = createCachedFetch({ fetch: native })
  // Which makes the dispatcher.
  await native('data:,')
  first = await direct(async () => {
    await (await cached(`${url}/first`, { headers: { 'x-first': '1' } })).text()
  })
})
afterAll(async () => {
  await Promise.all([cached.close(), byFetch.close()])
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})
beforeEach(async () => {
  await cleared()
  answer = PLAIN
  asked = []
  closed = 0
})

async function cleared(): Promise<void> {
  await Promise.all([cached.cache.clear(), byFetch.cache.clear()])
  asked = []
}

/** What a fetch gives, or how it fails. */
async function shown(fetch: Fetch, path: string, init?: RequestInit): Promise<unknown> {
  try {
    const response = await fetch(url + path, init)
    const { status, statusText, ok, type, redirected } = response
    const head = { status, statusText, ok, type, redirected, url: response.url, none: response.body === null }
    const fields = [...response.headers]
    try {
      return { ...head, fields, body: Buffer.from(await response.arrayBuffer()).toString('latin1') }
    } catch (error) {
      return { ...head, fields, failed: told(error) }
    }
  } catch (error) {
    return { failed: told(error) }
  }
}

function told(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause } = error
  return { name, message, cause: cause === undefined ? null : told(cause), code: Reflect.get(error, 'code') }
}

/** Both, one after the other: what each asked, and what it gave. */
async function both(path: string, init?: RequestInit): Promise<{ wanted: unknown; given: unknown }> {
  const wanted = { gave: await shown(byFetch, path, init), asked }
  asked = []
  const given = { gave: await shown(cached, path, init), asked }
  return { wanted, given }
}

/** How many requests went without fetch meanwhile. */
async function direct(during: () => Promise<unknown>): Promise<number> {
  const dispatcher = globalDispatcher(8) ?? globalDispatcher(7)
  if (dispatcher === null) throw new Error('there is no dispatcher')
  let count = 0
  const dispatch = vi.spyOn(dispatcher, 'dispatch')
  try {
    await during()
    for (const [, handler] of dispatch.mock.calls as [DispatchOptions, AnyHandler][]) if (isOurs(handler)) count += 1
  } finally {
    dispatch.mockRestore()
  }
  return count
}

/** Fetch's keeps the body in itself. */
function isOurs(handler: AnyHandler): boolean {
  return !('body' in handler)
}

test('the first request of a process goes without fetch, too, and nothing shows how', () => {
  const names = performance.getEntriesByType('resource').map(({ name }) => name)
  expect([first, names.slice(0, 1)]).toEqual([1, [`${url}/first`]])
})

describe('a request', () => {
  const inits: Record<string, RequestInit> = {
    plain: {},
    'of HEAD': { method: 'HEAD' },
    'with headers': { headers: { 'X-One': '1', Accept: 'text/html', zulu: 'é'.normalize(), cookie: 'a=1' } },
    'with all that fetch adds': {
      headers: {
        'user-agent': 'me',
        'accept-language': 'de',
        'sec-fetch-mode': 'navigate',
        'accept-encoding': 'br',
        accept: 'a/b',
      },
    },
    'with repeated headers': {
      headers: [
        ['x', '1'],
        ['X', '2'],
        ['cookie', 'a'],
        ['cookie', 'b'],
      ],
    },
    'with an empty header': { headers: { accept: '', 'x-empty': '' } },
    'for a range': { headers: { range: 'bytes=0-1' } },
    'for a range, with codings': { headers: { range: 'bytes=0-1', 'accept-encoding': 'gzip' } },
    'with Host': { headers: { host: 'other.test', via: '1.1 me' } },
    'with no-store': { headers: { 'cache-control': 'no-store', pragma: 'no-cache' } },
    'that closes its connection': { headers: { connection: 'close' } },
  }
  test.each(Object.entries(inits))('%s: the same bytes, without fetch', async (_, init) => {
    let result
    expect(await direct(async () => (result = await both('/a', init)))).toBe(1)
    expect(result).toMatchObject({ given: (result as unknown as { wanted: object }).wanted })
  })

  test.each(['/', '/?', '/a?b=c', '/%7Ea//b/../c', '/ü?ö', '/a?x#fragment', '/a?#', "/a'b|c"])(
    'to %s: the same bytes',
    async (path) => {
      const { wanted, given } = await both(path)
      expect(given).toEqual(wanted)
    },
  )

  test('any headers: the same bytes', async () => {
    const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/)
    const value = fc.stringMatching(/^[\t -~\u0080-\u00ff]{0,20}$/)
    const own = fc.array(
      fc.tuple(fc.oneof(name, fc.constantFrom('accept', 'Range', 'host', 'cookie', 'expect')), value),
      {
        maxLength: 6,
      },
    )
    await fc.assert(
      fc.asyncProperty(own, async (headers) => {
        await cleared()
        const { wanted, given } = await both('/any', { headers: headers.filter(isNotFraming) as [string, string][] })
        expect(given).toEqual(wanted)
      }),
      { numRuns: 150 },
    )
  })

  /** They would change where the next request begins. */
  function isNotFraming([name]: readonly [string, string]): boolean {
    return !/^(?:content-length|transfer-encoding|upgrade|connection|keep-alive|cache-control|pragma|if-.*)$/i.test(
      name,
    )
  }
})

describe('what is not plain goes by fetch', () => {
  const others: Record<string, RequestInit & { dispatcher?: unknown }> = {
    'a mode of the cache': { cache: 'reload' },
    'no credentials': { credentials: 'omit' },
    'a referrer': { referrer: 'http://a.test/' },
    'another mode': { mode: 'no-cors' },
    'a body': { method: 'POST', body: 'b' },
    'another method': { method: 'OPTIONS' },
  }
  test.each(Object.entries(others))('%s', async (_, init) => {
    answer = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'
    const count = await direct(async () => {
      await (await cached(`${url}/other`, init)).text()
    })
    expect(count).toBe(0)
  })

  test('whatever fetch was put in place of it, or is given', async () => {
    const mine = vi.fn(native)
    const given = createCachedFetch({ fetch: native })
    const count = await direct(async () => {
      await (await given(`${url}/given`)).text()
      vi.stubGlobal('fetch', mine)
      await (await cached(`${url}/stubbed`)).text()
      vi.unstubAllGlobals()
    })
    expect([count, mine.mock.calls.length]).toEqual([0, 1])
  })

  test('a port that fetch refuses', async () => {
    for (const port of [22, 6000, 6666, 10080]) {
      const errors = await Promise.all(
        [native, cached].map((fetch) => fetch(`http://127.0.0.1:${port}/`).catch((error: unknown) => told(error))),
      )
      expect(errors[1]).toEqual(errors[0])
      expect(errors[0]).toMatchObject({ cause: { message: 'bad port' } })
    }
  })
})

test('where a cached fetch is installed, the native one is still known', async () => {
  const session = new CachedSession()
  session.install()
  try {
    const count = await direct(async () => {
      await (await fetch(`${url}/installed`)).text()
    })
    expect(count).toBe(1)
  } finally {
    await session.close()
  }
})

function coded(coding: string, bytes: Buffer): Buffer {
  const head = `HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

describe('an answer', () => {
  const text = 'x'.repeat(200)
  const broken = (bytes: Buffer): Buffer => {
    bytes[bytes.length - 8] = (bytes[bytes.length - 8] ?? 0) ^ 1
    return bytes
  }
  const answers: Record<string, Answer> = {
    'with repeated lines and bytes that are not ASCII': Buffer.from(
      'HTTP/1.1 200 Fine\xe9\r\nB: 2\r\nX-A: 1\r\nx-a: \xe9\r\nSet-Cookie: b=1\r\nset-cookie: a=2\r\nCookie: 1\r\ncookie: 2\r\nA:\r\ncontent-length: 2\r\n\r\nok',
      'latin1',
    ),
    'in chunks, with a trailer':
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n',
    'that is empty': 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n',
    'without a reason': 'HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n',
    '204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '205 with a length': 'HTTP/1.1 205 Reset\r\ncontent-length: 0\r\n\r\n',
    '304': 'HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n',
    '404': 'HTTP/1.1 404 Not Found\r\ncontent-length: 1\r\n\r\n!',
    '599': 'HTTP/1.1 599 Own\r\ncontent-length: 1\r\n\r\n!',
    'after 103': 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    gzip: coded('gzip', gzipSync(text)),
    'x-gzip, in capitals': coded('X-GZIP', gzipSync(text)),
    deflate: coded('deflate', deflateSync(text)),
    'deflate without a head': coded('deflate', deflateRawSync(text)),
    br: coded('br', brotliCompressSync(text)),
    'gzip in br': coded('gzip, br', brotliCompressSync(gzipSync(text))),
    'an unknown coding': coded('own', Buffer.from(text)),
    identity: coded('identity', Buffer.from(text)),
    'gzip that is none': coded('gzip', Buffer.from(text)),
    'gzip in two members, and more behind it': coded(
      'gzip',
      Buffer.concat([gzipSync(text), gzipSync('second'), Buffer.from('junk')]),
    ),
    'gzip with a wrong checksum': coded('gzip', broken(gzipSync(text))),
    'gzip of nothing': coded('gzip', gzipSync('')),
    'no bytes of gzip': coded('gzip', Buffer.alloc(0)),
    'br, cut': coded('br', brotliCompressSync(text).subarray(0, 6)),
    'gzip of much': coded('gzip', gzipSync('y'.repeat(2_000_000))),
    'a long body of gzip': coded('gzip', gzipSync(randomBytes(60_000))),
    'a long body of br, in chunks of its own': coded('br', brotliCompressSync(randomBytes(60_000))),
    'gzip, cut': coded('gzip', gzipSync(text).subarray(0, 20)),
    'too many codings': coded('gzip,gzip,gzip,gzip,gzip,gzip', Buffer.from(text)),
    '407': 'HTTP/1.1 407 Proxy\r\ncontent-length: 0\r\n\r\n',
    '407 with a body': 'HTTP/1.1 407 Proxy\r\ncontent-length: 4\r\n\r\nbody',
    'until the connection ends': (socket) => socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall'),
    'no HTTP': (socket) => socket.end('hello\r\n\r\n'),
    nothing: (socket) => socket.end(),
    'nothing, reset': (socket) => socket.resetAndDestroy(),
    'shorter than it says': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort'),
    'cut in its chunks': (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc'),
    'cut in its head': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le'),
    'with a bad length': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n'),
    'in pieces, coded': (socket) => {
      const bytes = coded('gzip', gzipSync(text))
      socket.write(bytes.subarray(0, 80))
      setTimeout(() => socket.write(bytes.subarray(80)), 10)
    },
  }
  test.each(Object.entries(answers))('%s: the same', async (_, given) => {
    answer = given
    let result
    expect(await direct(async () => (result = await both('/answer')))).toBe(1)
    expect(result).toMatchObject({ given: (result as unknown as { wanted: object }).wanted })
  })

  test('to HEAD, coded and with a length: the same', async () => {
    answer = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 99\r\n\r\n'
    const { wanted, given } = await both('/head', { method: 'HEAD' })
    expect(given).toEqual(wanted)
  })

  test('421 is asked for once more over another connection, by fetch', async () => {
    const once = (socket: Socket): void => {
      socket.write('HTTP/1.1 421 Misdirected\r\ncontent-length: 4\r\n\r\nfour')
      answer = PLAIN
    }
    answer = once
    const wanted = { gave: await shown(byFetch, '/421'), asked }
    ;[answer, asked] = [once, []]
    expect({ gave: await shown(cached, '/421'), asked }).toEqual(wanted)
    expect(asked).toHaveLength(2)
  })

  test('any header lines: the same', async () => {
    const name = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/)
    const value = fc.stringMatching(/^[!-~\u0080-\u00ff]{0,10}$/)
    const known = fc.constantFrom('Set-Cookie', 'set-cookie', 'Cookie', 'Vary', 'vary', 'ETag', '__proto__', 'a', 'B')
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.oneof(name, known), value), { maxLength: 12 }), async (given) => {
        await cleared()
        const own = given.filter(
          ([line]) =>
            !/^(?:content-|transfer-|connection|keep-alive|upgrade|age$|cache-control|expires|pragma|date|proxy)/i.test(
              line,
            ),
        )
        const lines = own.map(([line, said]) => `${line}: ${said}\r\n`).join('')
        answer = Buffer.from(`HTTP/1.1 200 OK\r\n${lines}content-length: 2\r\n\r\nok`, 'latin1')
        const { wanted, given: gave } = await both('/lines')
        expect(gave).toEqual(wanted)
      }),
      { numRuns: 150 },
    )
  })
})

test('observers of performance see it', async () => {
  const seen = async (fetch: CachedFetch): Promise<Record<string, unknown>[]> => {
    performance.clearResourceTimings()
    answer = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'
    await (await fetch(`${url}/timed`)).text()
    answer = 'HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n'
    await (await fetch(`${url}/timed/none`)).text()
    const bytes = gzipSync('x'.repeat(500))
    answer = coded('gzip', bytes)
    await (await fetch(`${url}/timed/coded`)).text()
    await new Promise((resolve) => setTimeout(resolve, 50))
    return performance.getEntriesByType('resource').map((entry) => {
      const all = entry.toJSON() as Record<string, unknown>
      const times = Object.entries(all).map(([name, value]) => [
        name,
        /^(?:duration|.*(?:Start|End|Time))$/.test(name) ? Number(value) > 0 : value,
      ])
      return Object.fromEntries(times) as Record<string, unknown>
    })
  }
  const [given, wanted] = [await seen(cached), await seen(byFetch)]
  // Node 22 does not say the status.
  const status = wanted[0]?.['responseStatus'] === undefined ? { responseStatus: expect.any(Number) as unknown } : {}
  expect(given).toEqual(wanted.map((entry) => ({ ...entry, ...status })))
})

describe('a coded body', () => {
  const fields = [Buffer.from('Content-Encoding'), Buffer.from('gzip')]
  const gzipped = gzipSync('text')
  const begun = (): { call: Call; fetched: Mock } => {
    const fetched = vi.fn(() => new Promise<never>(() => undefined))
    const dispatcher = { dispatch: () => true }
    const made = new Call({ method: 'GET', url: 'http://a.test/', signal: null, dispatcher, byFetch: fetched })
    made.onConnect(() => undefined)
    expect(made.onHeaders(200, fields, () => undefined, 'OK')).toBe(true)
    return { call: made, fetched }
  }

  test('is decoded without fetch where it comes with its head', async () => {
    const { call, fetched } = begun()
    call.onData(gzipped.subarray(0, 5))
    call.onData(gzipped.subarray(5))
    call.onComplete([])
    const { body, decoded } = await call.answer
    const { value } = (await body?.getReader().read()) ?? {}
    expect([Buffer.from(value ?? []).toString(), decoded, fetched.mock.calls.length]).toEqual(['text', true, 0])
  })

  test('is not waited for', async () => {
    const { call, fetched } = begun()
    call.onData(gzipped.subarray(0, 5))
    await Promise.resolve()
    expect(fetched).toHaveBeenCalledTimes(1)
  })
})

describe('an abort', () => {
  const endless = (socket: Socket): void => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc')
  const silent = (): void => undefined

  test.each([
    ['before', silent],
    ['before the head', silent],
    ['in the middle of the body', endless],
  ] as const)('%s: its reason, as fetch has it, and the connection is closed', async (when, given) => {
    answer = given
    for (const fetch of [native, cached]) {
      ;[asked, closed] = [[], 0]
      const controller = new AbortController()
      const reason = new Error('mine')
      if (when === 'before') controller.abort(reason)
      const response = fetch(`${url}/abort`, { signal: controller.signal })
      if (when === 'in the middle of the body') {
        const body = (await response).text()
        setTimeout(() => controller.abort(reason), 10)
        await expect(body).rejects.toBe(reason)
      } else {
        setTimeout(() => controller.abort(reason), 10)
        await expect(response).rejects.toBe(reason)
      }
      if (when !== 'before') await until(() => closed === 1)
      else expect(asked).toHaveLength(0)
    }
  })

  test('while fetch decodes: its reason, and the connection is closed', async () => {
    const head = 'HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 99\r\n\r\n'
    answer = (socket) =>
      void socket.write(Buffer.concat([Buffer.from(head), gzipSync('x'.repeat(500)).subarray(0, 12)]))
    const controller = new AbortController()
    const reason = new Error('mine')
    const body = (await cached(`${url}/coded`, { signal: controller.signal })).text()
    setTimeout(() => controller.abort(reason), 10)
    await expect(body).rejects.toBe(reason)
    await until(() => closed === 1)
  })

  test('a body that is cancelled closes its connection', async () => {
    answer = (socket) =>
      void socket.write('HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: 99\r\n\r\nabc')
    await (await cached(`${url}/left`)).body?.cancel()
    await until(() => closed === 1)
  })
})

test('a body that nobody reads on is not read from the connection', async () => {
  let sent = 0
  answer = (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncache-control: no-store\r\ncontent-length: ${64 * 1_048_576}\r\n\r\n`)
    const more = (): void => {
      if (sent >= 64) return
      sent += 1
      socket.write(Buffer.alloc(1_048_576), more)
    }
    more()
  }
  const response = await cached(`${url}/long`)
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(sent).toBeLessThan(32)
  expect((await response.arrayBuffer()).byteLength).toBe(64 * 1_048_576)
})
