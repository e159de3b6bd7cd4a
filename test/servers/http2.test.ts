/** keepfresh/node, keepfresh/fastify and keepfresh/koa behind node:http2's own requests and responses (feature M2). */
import { once } from 'node:events'
import { createSecureServer, createServer, type Http2SecureServer, type Http2Server } from 'node:http2'
import { text } from 'node:stream/consumers'
import fastify from 'fastify'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache as forFastify } from '../../src/servers/fastify.ts'
import { responseCache as forKoa } from '../../src/servers/koa.ts'
import { responseCache, type NodeHandler, type ServerCacheOptions } from '../../src/servers/node.ts'
import { until } from '../engine/support.ts'
import { keeping } from './behaviours/keeping.ts'
import { purging } from './behaviours/purging.ts'
import { refusing } from './behaviours/refusing.ts'
import { fastifyHandler, koaHandler, onNode, type Edge } from './edges.ts'
import { listen2, TLS, type Running2 } from './http2-support.ts'
import { codeOf, later } from './side-by-side.ts'
import type { Start } from './support.ts'

type Make = (handler: never) => Http2Server | Http2SecureServer

const plain: Make = (handler) => createServer(handler)
const secure: Make = (handler) => createSecureServer(TLS, handler)

const node =
  (make: Make): Start =>
  async (handler, options) => {
    const cache = responseCache({ onError: () => undefined, ...options })
    return { cache, server: await listen2(make(cache.wrap(onNode(handler)) as never)) }
  }

const koa: Start = async (handler, options) => {
  const cache = forKoa(options)
  const app = new Koa()
  app.silent = true
  app.use(cache)
  app.use(koaHandler(handler))
  return { cache, server: await listen2(createServer(app.callback())) }
}

const fastify2: Start = async (handler, options) => {
  const app = fastify({ http2: true })
  await app.register(forFastify, options)
  fastifyHandler(app as never, handler)
  await app.listen({ port: 0, host: '127.0.0.1' })
  return { cache: app.responseCache, server: await listen2(app.server) }
}

const EDGES: readonly Edge[] = [
  { name: 'HTTP/2', start: node(plain) },
  { name: 'HTTP/2 over TLS', start: node(secure) },
  { name: 'Koa over HTTP/2', start: koa },
  { name: 'Fastify over HTTP/2', start: fastify2 },
]

for (const edge of EDGES) for (const suite of [keeping, refusing, purging]) suite(edge)

/** A visitor who has the beginning of an answer, and leaves. */
async function leaveInTheMiddle({ session }: Running2): Promise<void> {
  const stream = session.request({ ':path': '/' })
  stream.on('error', () => undefined)
  await new Promise((resolve) => stream.once('data', resolve))
  stream.close(8)
  await until(() => stream.closed)
}

const open: Running2[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

describe.each([
  ['HTTP/2', plain],
  ['HTTP/2 over TLS', secure],
])('M2: %s', (_name, make) => {
  const serve = async (handler: NodeHandler, options: ServerCacheOptions = {}) => {
    const clock = new FakeClock()
    const cache = responseCache({ clock, ...options })
    const server = await listen2(make(cache.wrap(handler) as never))
    open.push(server)
    return { server, cache, clock }
  }

  it('the scheme and :authority are the key, not a Host beside it', async () => {
    let runs = 0
    const { server, cache } = await serve((_req, res) => res.end(`run ${++runs}`), { ttl: 60 })
    const texts = []
    for (const host of ['a.test', 'b.test', 'a.test']) texts.push((await server.get('/', { host })).text)
    expect(texts).toEqual(['run 1', 'run 2', 'run 1'])
    const urls = []
    for await (const { url } of cache.cache.entries({ order: 'key' })) urls.push(url)
    const scheme = server.url.slice(0, server.url.indexOf(':'))
    expect(urls).toEqual([`${scheme}://a.test/`, `${scheme}://b.test/`])
  })

  it('104: a Host that says something else than :authority makes it nobody\u2019s', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => res.end(`run ${++runs}`), { ttl: 60 })
    const ask = async (): Promise<string> =>
      text(server.session.request({ ':path': '/', ':authority': 'a.test', host: 'evil.test' }))
    expect([await ask(), await ask()]).toEqual(['run 1', 'run 2'])
    expect((await server.get('/', { host: 'a.test' })).text).toBe('run 3')
  })

  it('fields of one connection are never sent: what was stored may have come by HTTP/1', async () => {
    const store = new Map<string, string>()
    const { server, cache } = await serve(
      (_req, res) => {
        res.setHeader('Cache-Control', 'max-age=60')
        for (const [name, value] of store) res.setHeader(name, value)
        res.end('page')
      },
      { baseUrl: 'http://a.test' },
    )
    const written = await cache.cache.put(
      'http://a.test/',
      new Response('put', {
        headers: {
          'cache-control': 'max-age=60',
          connection: 'x-hop',
          'x-hop': '1',
          'keep-alive': 'timeout=5',
          'x-own': '1',
        },
      }),
    )
    const answer = await server.get('/')
    expect([written, answer.status, answer.text, answer.headers['x-own']]).toEqual([true, 200, 'put', '1'])
    for (const name of ['connection', 'x-hop', 'keep-alive', 'transfer-encoding'])
      expect(answer.headers[name]).toBe(undefined)
  })

  it('D59: a herd runs the handler once; a stale answer is sent at once and refreshed behind the visitor', async () => {
    let runs = 0
    const { server, clock } = await serve(
      (_req, res) => {
        runs++
        setTimeout(() => res.end(`run ${runs}`), 30)
      },
      { ttl: 10, staleWhileRevalidate: 600 },
    )
    const herd = await Promise.all(Array.from({ length: 80 }, () => server.get('/')))
    expect([runs, new Set(herd.map((answer) => answer.text)).size]).toEqual([1, 1])
    clock.advance(20_000)
    expect((await server.get('/')).text).toBe('run 1')
    await until(async () => (await server.get('/')).text === 'run 2')
  })

  it('256: a stream passes before it is whole, and is stored when it is', async () => {
    const rest = Promise.withResolvers<void>()
    let runs = 0
    const { server } = await serve(
      (_req, res) => {
        runs++
        res.write('first, ')
        void rest.promise.then(() => res.end('rest'))
      },
      { ttl: 60 },
    )
    const stream = server.session.request({ ':path': '/' })
    let seen = ''
    stream.setEncoding('utf8')
    stream.on('data', (data: string) => {
      seen += data
      rest.resolve()
    })
    await new Promise((resolve) => stream.on('end', resolve))
    expect(seen).toBe('first, rest')
    await until(async () => (await server.get('/')).headers.age !== undefined)
    expect([(await server.get('/')).text, (await server.get('/', {}, 'HEAD')).headers['content-length']]).toEqual([
      'first, rest',
      '11',
    ])
    expect(runs).toBe(1)
  })

  it('A11: a visitor who leaves in the middle leaves nothing behind, and the next gets a whole one', async () => {
    let runs = 0
    const { server, cache } = await serve(
      (_req, res) => {
        res.write('first half, ')
        if (++runs > 1) res.end('second half')
        else res.once('close', () => undefined)
      },
      { ttl: 60 },
    )
    await leaveInTheMiddle(server)
    expect((await server.get('/')).text).toBe('first half, second half')
    await until(() => cache.stats()?.stored === 1)
  })

  it('A11: a handler that does not mind, and ends, is stored', async () => {
    let runs = 0
    const left = Promise.withResolvers<void>()
    const { server, cache } = await serve(
      async (_req, res) => {
        runs++
        res.write('first half, ')
        await left.promise
        res.end('second half')
      },
      { ttl: 60 },
    )
    await leaveInTheMiddle(server)
    left.resolve()
    await until(() => cache.stats()?.stored === 1)
    expect([(await server.get('/')).text, runs]).toEqual(['first half, second half', 1])
  })

  it('D12: visitors who give up before the handler answers are no failures', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => void setTimeout(() => res.end(`run ${++runs}`), 60), { ttl: 60 })
    const gone = server.session.request({ ':path': '/' })
    gone.on('error', () => undefined)
    const others = Array.from({ length: 5 }, () => server.get('/'))
    await new Promise((resolve) => setImmediate(resolve))
    gone.close(8)
    const texts = (await Promise.all(others)).map((answer) => answer.text)
    expect(new Set(texts).size).toBe(1)
    expect(texts[0]).toMatch(/^run [12]$/)
  })

  it('a large stored answer is sent whole, as slowly as it is read', async () => {
    const { server } = await serve((_req, res) => res.end(Buffer.alloc(3_000_000, 'x')), { ttl: 60 })
    await server.get('/')
    const stream = server.session.request({ ':path': '/' })
    stream.pause()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await text(stream)).length).toBe(3_000_000)
  })

  it('250: fields that HTTP/2 refuses are an error for each visitor, not the end of the process', async () => {
    const errors: unknown[] = []
    const onError = (error: unknown): void => void errors.push((error as { code?: unknown }).code)
    const { server } = await serve(
      (_req, res) => {
        res.setHeader('ETag', ['"a"', '"b"'])
        res.end('page')
      },
      { ttl: 60, onError },
    )
    const conditions = [{}, {}, { 'if-none-match': '"c"' }, { range: 'bytes=0-1' }]
    for (const headers of conditions) expect((await server.get('/', headers)).status).toBe(500)
    expect(errors.slice(0, 2)).toEqual(['ERR_HTTP2_HEADER_SINGLE_VALUE', 'ERR_HTTP2_HEADER_SINGLE_VALUE'])
  })

  it('250: a handler that fails when it has set such fields is answered all the same', async () => {
    const { server } = await serve(
      (_req, res) => {
        res.setHeader('ETag', ['"a"', '"b"'])
        throw new Error('failed')
      },
      { ttl: 60, onError: () => undefined },
    )
    expect((await server.get('/')).status).toBe(500)
    // Nothing is held for a range of what is not stored: only its stream ends.
    await once(server.session.request({ ':path': '/', range: 'bytes=0-1' }).resume(), 'close')
    expect((await server.get('/')).status).toBe(500)
  })

  it('250: fields cannot be changed once the head is made', async () => {
    const thrown: unknown[] = []
    const { server } = await serve(
      (_req, res) => {
        res.setHeader('X-A', 'b')
        res.write('pa')
        const late = [
          () => res.setHeader('X-B', '1'),
          () => res.removeHeader('X-A'),
          () => res.appendHeader('X-A', 'c'),
        ]
        for (const change of late) thrown.push(codeOf(change))
        return res.end('ge')
      },
      { ttl: 60 },
    )
    for (const _ of [1, 2]) {
      const { headers, text: body } = await server.get('/')
      expect([headers['x-a'], headers['x-b'], body]).toEqual(['b', undefined, 'page'])
    }
    expect(thrown).toEqual(Array(3).fill('ERR_HTTP2_HEADERS_SENT'))
  })

  it('A11: a handler that breaks its answer off, in the turn it began it or later, leaves nothing behind', async () => {
    for (const wait of [false, true]) {
      let runs = 0
      const { server, cache } = await serve(
        async (_req, res) => {
          if (++runs > 1) return res.end('whole')
          res.write('first, ')
          if (wait) await later()
          res.destroy()
          return res.end('no more')
        },
        { ttl: 60 },
      )
      const first = server.session.request({ ':path': '/' }).resume()
      first.on('error', () => undefined)
      await once(first, 'close')
      expect((await server.get('/')).text).toBe('whole')
      expect([runs, cache.stats()?.stored]).toEqual([2, 1])
    }
  })

  it('M4: stale-if-error takes the place of a 5xx, and an unsafe method purges', async () => {
    let runs = 0
    const { server, clock } = await serve(
      (req, res) => {
        if (req.method === 'POST') return res.end('saved')
        res.statusCode = ++runs === 2 ? 503 : 200
        return res.end(`run ${runs}`)
      },
      { ttl: 10, staleIfError: 600 },
    )
    await server.get('/')
    clock.advance(20_000)
    const stale = await server.get('/')
    expect([runs, stale.status, stale.text]).toEqual([2, 200, 'run 1'])
    expect((await server.get('/')).text).toBe('run 3')
    expect((await server.get('/', {}, 'POST')).text).toBe('saved')
    expect((await server.get('/')).text).toBe('run 4')
  })
})

it('104: Fastify over HTTP/2: a Host beside :authority is not taken for the name because a proxy is said to be in front', async () => {
  const app = fastify({ http2: true })
  await app.register(forFastify, { ttl: 60 })
  app.get('/', async ({ raw }) => `site of ${raw.authority}`)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const server = await listen2(app.server)
  open.push(server)
  const mixed = { ':path': '/', ':authority': 'evil.test', host: 'a.test', 'x-forwarded-proto': 'http' }
  expect(await text(server.session.request(mixed))).toBe('site of evil.test')
  expect((await server.get('/', { host: 'a.test' })).text).toBe('site of a.test')
})
