/** One contender, one process: `node server.ts KIND BYTES`. Says its port, and how often its handler ran when asked at /runs. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const [kind = 'constant', size = '1024'] = process.argv.slice(2)
const body = Buffer.alloc(Number(size), 'a')
let runs = 0

function constant(_request: unknown, response: ServerResponse): void {
  runs += 1
  response.setHeader('Content-Type', 'text/plain')
  response.setHeader('Content-Length', body.length)
  response.end(body)
}

function uncacheable(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('Cache-Control', 'no-store')
  constant(request, response)
}

function listen(listener: RequestListener): void {
  const server = createServer((request, response) => {
    if (request.url === '/runs') return void response.end(String(runs))
    return listener(request, response)
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1', 65_535, () => process.send?.((server.address() as AddressInfo).port))
}

const TTL = { ttl: 3600 }

/** Every contender; a name with a slash is another framework's own handler or that with a cache in front. */
const KINDS: Readonly<Record<string, () => Promise<void> | void>> = {
  'node:http': () => listen(constant),
  'node:http, no-store': () => listen(uncacheable),
  'Map, by hand': () => {
    const map = new Map<string, string[]>()
    listen((request, response) => {
      const fields = map.get(request.url ?? '')
      if (fields === undefined) {
        map.set(request.url ?? '', ['content-type', 'text/plain', 'content-length', String(body.length)])
        return constant(request, response)
      }
      response.writeHead(200, fields)
      response.end(body)
      return undefined
    })
  },
  'node:http + keepfresh': async () =>
    listen((await import('keepfresh/node')).responseCache(TTL).wrap(constant) as RequestListener),
  'node:http + keepfresh, no-store': async () =>
    listen((await import('keepfresh/node')).responseCache().wrap(uncacheable as never) as RequestListener),
  Express: async () => {
    const { default: express } = await import('express')
    listen(express().get('/page', constant as never) as RequestListener)
  },
  'Express + keepfresh': async () => {
    const { default: express } = await import('express')
    const { responseCache } = await import('keepfresh/node')
    listen(
      express()
        .use(responseCache(TTL))
        .get('/page', constant as never) as RequestListener,
    )
  },
  'Express + apicache': async () => {
    const { default: express } = await import('express')
    const { default: apicache } = await import('apicache')
    listen(
      express()
        .use(apicache.middleware('1 hour'))
        .get('/page', constant as never) as RequestListener,
    )
  },
  Koa: async () => {
    const { default: Koa } = await import('koa')
    const app = new Koa()
    app.use((ctx) => {
      ctx.type = 'text/plain'
      ctx.body = body
    })
    listen(app.callback())
  },
  'Koa + keepfresh': async () => {
    const { default: Koa } = await import('koa')
    const { responseCache } = await import('keepfresh/koa')
    const app = new Koa()
    app.use(responseCache(TTL) as never)
    app.use((ctx) => {
      ctx.type = 'text/plain'
      ctx.body = body
    })
    listen(app.callback())
  },
  Fastify: async () => fastify(null),
  'Fastify + keepfresh': async () => fastify('keepfresh'),
  Hono: async () => hono(false),
  'Hono + keepfresh': async () => hono(true),
}

async function fastify(cache: 'keepfresh' | null): Promise<void> {
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
  if (cache === 'keepfresh') await app.register((await import('keepfresh/fastify')).responseCache, TTL)
  app.get('/page', async (_request, reply) => {
    runs += 1
    return reply.type('text/plain').send(body)
  })
  app.get('/runs', async () => String(runs))
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.send?.((app.server.address() as AddressInfo).port)
}

async function hono(cache: boolean): Promise<void> {
  const { Hono } = await import('hono')
  const { getRequestListener } = await import('@hono/node-server')
  const app = new Hono()
  if (cache) app.use('*', (await import('keepfresh/hono')).responseCache({ ...TTL, app }))
  app.get('/page', (c) => {
    runs += 1
    return c.body(body, 200, { 'content-type': 'text/plain' })
  })
  listen(getRequestListener(app.fetch))
}

await KINDS[kind]?.()
