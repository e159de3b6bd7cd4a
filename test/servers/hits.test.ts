/** Hits on node:http: given to node as text, and no different for that from what it would send by itself. */
import { once } from 'node:events'
import { ServerResponse, type RequestListener } from 'node:http'
import { connect } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache, type NodeHandler } from '../../src/servers/node.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { until } from '../engine/support.ts'
import { listen, onOneConnection, pieces, type Running } from './support.ts'

/** Of both ways, so that they say the same date. */
const clock = new FakeClock()
const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

async function opened(handler: RequestListener): Promise<Running> {
  const server = await listen(handler)
  open.push(server)
  return server
}

/** What a request sent as it is brings, until the server closes or so many answers are there. */
async function raw(server: Running, request: string): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.write(request)
  await once(socket, 'close')
  return answer
}

const page: NodeHandler = (_request, response) => {
  response.statusMessage = 'Very Well'
  response.setHeader('Content-Type', 'text/plain; charset=latin1')
  response.setHeader('Link', ['</a>; rel=preload', '</b>; rel=preload'])
  response.setHeader('X-Own', 'the handler\u2019s'.replace('\u2019', "'"))
  response.end(Buffer.from('p\xe4ge', 'latin1'))
}

/** No field on several lines: all that node has to go by is the length of the body. */
const simple: NodeHandler = (_request, response) => {
  response.statusMessage = 'Very Well'
  response.setHeader('Content-Type', 'text/plain; charset=latin1')
  response.end(Buffer.from('simple p\xe4ge', 'latin1'))
}

/** With what was there before, and with a method of another's on the response: then node's own way is left alone. */
function site(before: (response: ServerResponse) => void, patched: boolean, made: NodeHandler): RequestListener {
  const handler = responseCache({ ttl: 60, clock }).wrap(made)
  let visits = 0
  return (request, response) => {
    // Not on the answer that is kept: a cookie would keep it from that.
    if (visits++ > 0) before(response)
    if (patched) response.writeHead = response.writeHead.bind(response) as typeof response.writeHead
    void handler(request, response)
  }
}

/** Status line, field lines in any order, and body. */
function parts(answer: string): readonly [string | undefined, readonly string[], string | undefined] {
  const [head = '', body] = answer.split('\r\n\r\n')
  const [first, ...lines] = head.split('\r\n')
  return [first, lines.map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase())).toSorted(), body]
}

describe('a hit as text, and field by field', () => {
  const close = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'
  const requests: Readonly<Record<string, string>> = {
    'a connection that closes': close,
    'one that is kept': `GET / HTTP/1.1\r\nHost: a.test\r\n\r\n${close}`,
    'HTTP/1.0': 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n',
    'HTTP/1.0, kept': `GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n${close}`,
    'a visitor who waits for 100': `GET / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n\r\n${close}`,
    'several at once': `${'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'.repeat(3)}${close}`,
  }
  const fields: Readonly<Record<string, (response: ServerResponse) => void>> = {
    'nothing set before': () => undefined,
    'fields set before': (response) => {
      response.setHeader('X-Powered-By', 'us')
      response.setHeader('Set-Cookie', ['a=1', 'b=2'])
      response.setHeader('X-OWN', 'the front')
    },
    'no date': (response) => void (response.sendDate = false),
    'a length taken away before': (response) => response.removeHeader('content-length'),
    'chunks taken away before': (response) => response.removeHeader('transfer-encoding'),
  }
  const pages: Readonly<Record<string, NodeHandler>> = { 'fields on several lines': page, 'each on one': simple }
  const cases = Object.keys(requests).flatMap((request) =>
    Object.keys(fields).flatMap((before) => Object.keys(pages).map((made) => [request, before, made] as const)),
  )

  it.each(cases)('250: %s, %s, %s', async (request, before, made) => {
    const answers = []
    for (const patched of [false, true]) {
      const server = await opened(site(fields[before] ?? (() => undefined), patched, pages[made] ?? page))
      await server.get('/', { host: 'a.test' })
      answers.push((await raw(server, requests[request] ?? '')).split(/(?=HTTP\/1\.1 )/).map(parts))
    }
    expect(answers[0]?.length).toBeGreaterThan(0)
    expect(answers[0]).toEqual(answers[1])
    expect(answers[0]?.at(-1)?.[0]).toBe('HTTP/1.1 200 Very Well')
    expect(answers[0]?.at(-1)?.[1]).toContain('cache-status: keepfresh; hit; ttl=60; detail=fresh')
  })
})

it('250: whoever waits for the end of a response finds its fields set, where fields were set before', async () => {
  const app = express()
  const logged: unknown[] = []
  app.use((_request, response, next) => {
    response.on('finish', () => logged.push([response.statusCode, response.getHeader('content-length')]))
    next()
  })
  app.use(responseCache({ ttl: 60 }))
  app.get('/', (_request, response) => void response.send('four'))
  const server = await opened(app)
  for (const what of ['miss', 'hit']) expect([what, (await server.get('/')).text]).toEqual([what, 'four'])
  expect(logged.map(String)).toEqual(['200,4', '200,4'])
})

it('256: to the log of a visitor who has it already, a 304 is out and over, whichever event it waits for', async () => {
  const logged: unknown[] = []
  const rest = Promise.withResolvers<void>()
  const over = Promise.withResolvers<unknown>()
  const handler = responseCache({ ttl: 60 }).wrap(async (_request, response) => {
    response.on('close', () => over.resolve([response.statusCode, response.writableEnded]))
    response.writeHead(200, { etag: '"v1"', 'content-type': 'text/plain' }).write('first, ')
    await rest.promise
    response.end('rest')
  })
  const server = await opened((request, response) => {
    const seen = (event: string): void => {
      const { statusCode, headersSent, writableEnded, writableFinished, destroyed } = response
      logged.push([event, statusCode, headersSent, writableEnded, writableFinished, destroyed])
    }
    for (const event of ['finish', 'close']) response.on(event, () => seen(event))
    request.on('close', () => seen('request'))
    void handler(request, response)
  })
  expect((await server.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
  await until(() => logged.length === 3)
  const seen = (event: string, destroyed: boolean): unknown[] => [event, 304, true, true, true, destroyed]
  expect(logged).toContainEqual(seen('finish', false))
  expect(logged).toContainEqual(seen('close', true))
  // The request is over after that, when the response is the handler's again.
  expect(logged[2]).toEqual(['request', expect.any(Number), true, true, true, true])
  rest.resolve()
  expect(await over.promise).toEqual([200, true])
  await until(async () => (await server.get('/')).headers['age'] !== undefined)
  expect((await server.get('/')).text).toBe('first, rest')
})

describe('17: a stream whose visitor has it already, and that will not be kept, is not run on for nobody', () => {
  class Stuck extends MemoryStore {
    override write(): Promise<void> {
      return new Promise(() => undefined)
    }
  }
  it.each([
    ['whose first piece is too long', 100, 1000, () => new MemoryStore()],
    ['that becomes too long', 10_000, 1000, () => new MemoryStore()],
    ['that the store does not take', 2 ** 30, 2 ** 20, () => new Stuck({ maxBytes: 2 ** 32 })],
  ])('one %s', async (_what, maxEntrySize, length, makeStore) => {
    const left = Promise.withResolvers<string>()
    const handler = responseCache({ ttl: 60, maxEntrySize, store: makeStore(), storeTimeout: '1h' }).wrap(
      async (_request, response) => {
        const state = { left: false }
        response.on('close', () => (state.left = true))
        response.writeHead(200, { etag: '"v1"', 'content-type': 'application/octet-stream' })
        const piece = Buffer.alloc(length)
        for (let n = 0; !state.left && n < 10_000; n++) {
          response.write(piece)
          await new Promise((resolve) => setImmediate(resolve))
        }
        left.resolve(state.left ? 'left' : 'ran on')
        response.end()
      },
    )
    const server = await opened(handler)
    // Its connection stays: that it goes is not what the handler is told.
    const visitor = onOneConnection(server)
    open.push(visitor)
    expect((await visitor.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
    expect(await left.promise).toBe('left')
  })
})

it('256: the log of a visitor who has it already says 304, and the stream he did not want is kept', async () => {
  const app = express()
  const logged: number[] = []
  const piped = Promise.withResolvers<unknown>()
  app.use((_request, response, next) => {
    response.on('finish', () => logged.push(response.statusCode))
    next()
  })
  app.use(responseCache({ ttl: 60 }))
  app.get('/', (_request, response) => {
    response.set('ETag', '"v1"').type('text/plain')
    pipeline(Readable.from(pieces('one, ', 'two, ', 'three')), response, (error) => piped.resolve(error ?? 'whole'))
  })
  const server = await opened(app)
  expect((await server.get('/', { 'if-none-match': '"v1"' })).status).toBe(304)
  expect(await piped.promise).toBe('whole')
  await until(async () => (await server.get('/')).headers['age'] !== undefined)
  expect((await server.get('/')).text).toBe('one, two, three')
  expect(logged.slice(0, 2)).toEqual([304, 200])
})

it('a hit is given to node as text, where it takes that: what node goes by itself comes last', async () => {
  const server = await opened(responseCache({ ttl: 60 }).wrap(page))
  await server.get('/')
  const names = (await server.get('/')).raw.filter((_, at) => at % 2 === 0)
  // Those of several lines are among what node goes by: a server may want one line of them.
  expect(names.slice(-5)).toEqual(['cache-status', 'link', 'link', 'content-length', 'Connection'])
  const other = await opened(responseCache({ ttl: 60 }).wrap(simple))
  await other.get('/')
  const said = (await other.get('/')).raw.filter((_, at) => at % 2 === 0)
  expect(said.slice(-3)).toEqual(['cache-status', 'Connection', 'Content-Length'])
})

it('250: whoever has put a writeHead of theirs in the place of node\u2019s for all responses is called on hits, too', async () => {
  const server = await opened(responseCache({ ttl: 60 }).wrap(page))
  for (const _ of 'ab') await server.get('/')
  const { writeHead } = ServerResponse.prototype
  let calls = 0
  ServerResponse.prototype.writeHead = function (this: ServerResponse, ...args: Parameters<typeof writeHead>) {
    calls += 1
    return writeHead.apply(this, args)
  } as typeof writeHead
  try {
    expect((await server.get('/')).headers['cache-status']).toMatch(/; hit;/)
  } finally {
    ServerResponse.prototype.writeHead = writeHead
  }
  expect(calls).toBe(1)
})

it('250: what a damaged store says is no line of its own', async () => {
  class Damaged extends MemoryStore {
    override read(key: string): ReturnType<MemoryStore['read']> {
      const entry = super.read(key)
      if (entry?.meta.kind !== 'response') return entry
      const headers = [...entry.meta.headers, ['x-bad', 'a\r\nEvil: yes'] as const]
      return { ...entry, meta: { ...entry.meta, headers } }
    }
  }
  const handler = responseCache({ ttl: 60, store: new Damaged() }).wrap((_request, response) => response.end('page'))
  const server = await opened((request, response) => {
    try {
      void handler(request, response)
    } catch (error) {
      response.destroy(error as Error)
    }
  })
  for (const _ of 'ab') {
    const answer = await server.get('/').catch(() => null)
    expect(answer?.headers['evil']).toBeUndefined()
  }
})
