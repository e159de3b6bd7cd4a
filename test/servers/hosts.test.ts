/** The name a request is asked under: what the handler goes by is what the key says (RELIABILITY 103, 104, 106). */
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
// @ts-expect-error -- Express 4 under another name has no types of its own
import express4 from 'express4'
import fastify from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { responseCache as forFastify } from '../../src/servers/fastify.ts'
import { cached } from '../../src/servers/handler.ts'
import { responseCache as forHono } from '../../src/servers/hono.ts'
import { responseCache as forKoa } from '../../src/servers/koa.ts'
import { responseCache } from '../../src/servers/node.ts'
import { listenFastify } from './edges.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

const opened = (server: Running): Running => {
  open.push(server)
  return server
}

interface Seen {
  readonly protocol: string
  readonly hostname: string
}

/** Applications that say whom they take themselves for, in front of whose handlers a cache stands that was told nothing of proxies. */
const SITES: Readonly<Record<string, (trust: boolean, trustProxy?: boolean) => Promise<Running>>> = {
  'Express 5': async (trust, trustProxy) => opened(await listen(site(express(), trust, trustProxy))),
  'Express 4': async (trust, trustProxy) => opened(await listen(site(express4(), trust, trustProxy))),
  'Express 5, inside of wrap()': async (trust, trustProxy) => {
    const cache = responseCache({ ttl: 60, ...(trustProxy !== undefined && { trustProxy }) })
    return opened(await listen(cache.wrap(pages(express(), trust))))
  },
  Koa: async (trust, trustProxy) => {
    const app = new Koa({ proxy: trust })
    app.use(forKoa({ ttl: 60, ...(trustProxy !== undefined && { trustProxy }) }))
    app.use((ctx) => void (ctx.body = `${ctx.protocol}://${ctx.hostname}`))
    return opened(await listen(app.callback()))
  },
  Fastify: async (trust, trustProxy) => {
    const app = fastify({ trustProxy: trust })
    await app.register(forFastify, { ttl: 60, ...(trustProxy !== undefined && { trustProxy }) })
    app.get('/', async ({ protocol, hostname }) => `${protocol}://${hostname}`)
    return opened(await listenFastify(app))
  },
}

function site(app: express.Express, trust: boolean, trustProxy: boolean | undefined): RequestListener {
  app.use(responseCache({ ttl: 60, ...(trustProxy !== undefined && { trustProxy }) }))
  return pages(app, trust)
}

function pages(app: express.Express, trust: boolean): RequestListener {
  app.set('trust proxy', trust)
  app.get('/', (request: Seen, response: { send(body: string): void }) => {
    response.send(`${request.protocol}://${request.hostname}`)
  })
  return app
}

describe.each(Object.keys(SITES))('%s', (name) => {
  const start = SITES[name] ?? (() => Promise.reject(new Error(name)))
  const evil = { host: 'good.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' }

  it('103: what the application is set up to believe of a proxy is part of the key', async () => {
    const server = await start(true)
    expect((await server.get('/', evil)).text).toBe('https://evil.example')
    for (const what of ['miss', 'hit'])
      expect([what, (await server.get('/', { host: 'good.example' })).text]).toEqual([what, 'http://good.example'])
    expect((await server.get('/', evil)).headers['cache-status']).toMatch(/; hit;/)
  })

  it('103: what it does not believe is not', async () => {
    const server = await start(false)
    expect((await server.get('/', evil)).text).toBe('http://good.example')
    expect((await server.get('/', { host: 'good.example' })).headers['cache-status']).toMatch(/; hit;/)
  })

  it.each([undefined, true])(
    '103: of several names, that by which the application goes (trustProxy: %s)',
    async (trustProxy) => {
      const server = await start(true, trustProxy)
      const list = {
        host: 'in.example',
        'x-forwarded-host': 'a.example, b.example',
        'x-forwarded-proto': 'http, https',
      }
      const own = name === 'Fastify' ? 'https://b.example' : 'http://a.example'
      for (const what of ['miss', 'hit']) expect([what, (await server.get('/', list)).text]).toEqual([what, own])
      for (const host of ['a.example', 'b.example'])
        expect((await server.get('/', { 'x-forwarded-host': host })).text).toBe(`http://${host}`)
    },
  )

  it.each([undefined, true])(
    '103: a scheme that is none of HTTP, which a handler may put in front of a name all the same, is in no answer that others are given (trustProxy: %s)',
    async (trustProxy) => {
      const server = await start(true, trustProxy)
      const named = { host: 'good.example', 'x-forwarded-proto': 'https://evil.example/?' }
      await server.get('/', named)
      expect((await server.get('/', named)).headers['age']).toBeUndefined()
      const empty = { host: 'good.example', 'x-forwarded-host': '', 'x-forwarded-proto': '' }
      for (const fields of [{ host: 'good.example' }, empty])
        expect((await server.get('/', fields)).text).toBe('http://good.example')
    },
  )

  it.each([true, false])(
    '103: trustProxy: true where the application does not believe its proxy is told of, once (it does: %s)',
    async (trust) => {
      const warnings: unknown[] = []
      const hear = (warning: Error & { code?: string }): void => void warnings.push(warning.code)
      process.on('warning', hear)
      try {
        const server = await start(trust, true)
        for (const _ of 'ab') await server.get('/', evil)
        await new Promise((resolve) => setImmediate(resolve))
      } finally {
        process.off('warning', hear)
      }
      expect(warnings.filter((code) => code === 'KEEPFRESH_TRUST_PROXY').length).toBe(trust ? 0 : 1)
    },
  )

  it('103: trustProxy: false keeps to Host all the same', async () => {
    const server = await start(true, false)
    await server.get('/', evil)
    expect((await server.get('/', { host: 'good.example' })).headers['cache-status']).toMatch(/; hit;/)
  })
})

it('103: a framework with an `app` of another kind is not asked: its `get` adds a route', async () => {
  const app = { routes: [] as string[], get: (path: string) => void app.routes.push(path) }
  const handler = responseCache({ ttl: 60 }).wrap((_request, response) => response.end('page'))
  const server = opened(await listen((request, response) => void handler(Object.assign(request, { app }), response)))
  await server.get('/', { 'x-forwarded-host': 'evil.example' })
  expect(app.routes).toEqual([])
})

describe('trustProxy where no framework says what it goes by', () => {
  const lists = [{ 'x-forwarded-host': 'a.example, b.example' }, { 'x-forwarded-host': 'a.example' }]
  const said = (list: string, place: number): string => list.split(', ').at(place) ?? ''

  it.each([0, -1])(
    '103: a handler may go by any of several names (%i): each list is kept for itself',
    async (place) => {
      const cache = responseCache({ ttl: 60, trustProxy: true })
      const onNode = cache.wrap((request, response) =>
        response.end(said(String(request.headers['x-forwarded-host']), place)),
      )
      const onFetch = cached(
        (request: Request) => new Response(said(String(request.headers.get('x-forwarded-host')), place)),
        { ttl: 60, trustProxy: true },
      )
      const servers = [await listen(onNode), await listen(createAdaptorServer({ fetch: onFetch as never }) as never)]
      for (const server of servers.map(opened)) {
        for (const list of [...lists, ...lists]) {
          const { text } = await server.get('/', list)
          expect(text).toBe(said(list['x-forwarded-host'], place))
        }
        expect((await server.get('/', lists[0])).headers['cache-status']).toMatch(/; hit;/)
      }
    },
  )
})

it('103: under a scheme that is none of HTTP, a Fetch handler is asked each time', async () => {
  let runs = 0
  const handler = cached(() => new Response(`run ${++runs}`), { ttl: 60, trustProxy: true })
  const ask = async (headers: Record<string, string>): Promise<string> =>
    (await handler(new Request('http://a.example/', { headers }))).text()
  for (const run of [1, 2]) expect(await ask({ 'x-forwarded-proto': 'https://evil.example/?' })).toBe(`run ${run}`)
  for (const _ of 'ab') expect(await ask({})).toBe('run 3')
})

it('102: one cache around handlers in several places of an application tells them apart', async () => {
  const cache = responseCache({ ttl: 60 })
  const app = express()
  for (const place of ['/one', '/two'])
    app.use(place, cache.wrap((_request, response) => response.end(place)) as express.RequestHandler)
  const server = opened(await listen(app))
  for (const place of ['/one/x', '/two/x', '/one/x', '/two/x'])
    expect((await server.get(place)).text).toBe(place.slice(0, 4))
})

/** Sends a request as it is; the body of the answer. */
async function raw(server: Running, lines: readonly string[]): Promise<string> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => (answer += data.toString('latin1')))
  socket.write([...lines, 'Connection: close', '', ''].join('\r\n'))
  await once(socket, 'close')
  return answer.slice(answer.indexOf('\r\n\r\n') + 4)
}

describe('several names in one request', () => {
  it('104: node:http: two Hosts: nothing is kept under either', async () => {
    const handler = responseCache({ ttl: 60 }).wrap((request, response) =>
      response.end(request.rawHeaders.filter((each) => each.endsWith('.example')).join(' and ')),
    )
    const server = opened(await listen(handler as RequestListener))
    expect(await raw(server, ['GET / HTTP/1.1', 'Host: good.example', 'Host: evil.example'])).toBe(
      'good.example and evil.example',
    )
    expect((await server.get('/', { host: 'good.example' })).text).toBe('good.example')
  })

  it.each(['Hono', 'cached()'])('104: %s: an absolute target, and another Host beside it', async (name) => {
    const page = (request: Request): Response => new Response(`site of ${request.headers.get('host')}`)
    const app = new Hono()
    app.use(forHono({ app, ttl: 60 }))
    app.get('/', (c) => page(c.req.raw))
    const fetch = name === 'Hono' ? app.fetch : cached(page, { ttl: 60 })
    const server = opened(await listen(createAdaptorServer({ fetch: fetch as never }) as never))
    const mixed = ['GET http://victim.example/ HTTP/1.1', 'Host: evil.example']
    for (const what of ['miss', 'hit']) expect([what, await raw(server, mixed)]).toEqual([what, 'site of evil.example'])
    for (const host of ['victim.example', 'evil.example', 'VICTIM.example:80'])
      expect((await server.get('/', { host })).text.toLowerCase()).toContain(host.toLowerCase().replace(':80', ''))
  })

  it('106: cached(): a GET with a body is the handler\u2019s own affair', async () => {
    let runs = 0
    const handler = cached(() => new Response(`run ${++runs}`), { ttl: 60 })
    const ask = async (headers: Record<string, string>): Promise<string> =>
      (await handler(new Request('https://site.test/', { headers }))).text()
    expect(await ask({})).toBe('run 1')
    expect(await ask({ 'content-length': '3' })).toBe('run 2')
    expect(await ask({ 'transfer-encoding': 'chunked' })).toBe('run 3')
    expect(await ask({ 'content-length': '0' })).toBe('run 1')
  })
})
