/** The server edges as targets: the reverse proxy of forward.ts as a handler in each framework, with the cache in front of it as a user puts it there. */
import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import type { EdgeName } from './configuration.ts'
import type { StoreOptions } from './subject.ts'
import { byName, forward } from './forward.ts'

export interface Target {
  /** Without a trailing slash. */
  readonly url: string
  close(): Promise<void>
}

/** @param origin the suite's server */
type Start = (origin: string, options: StoreOptions) => Promise<Target>

/** What a handler fails with when the suite's server cuts a connection: expected, and heard of by nobody else. */
const onError = (): void => undefined

/** The proxy as a handler of node:http, Connect and Express. */
function proxy(origin: string): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  return async (request, response) => {
    const { method = 'GET', url: path = '/', headers } = request
    const { status, phrase, lines, body } = await forward(origin, { method, path, headers, body: request })
    response.writeHead(status, phrase, lines.flat())
    pipeline(body, response, () => undefined)
  }
}

const node: Start = async (origin, options) => {
  const { responseCache } = await import('keepfresh/node')
  return listen(createServer(responseCache({ ...options, onError }).wrap(proxy(origin))))
}

const express: Start = async (origin, options) => {
  const [{ responseCache }, { default: create }] = await Promise.all([import('keepfresh/node'), import('express')])
  // Express prints every error but in its test environment.
  const app = create().set('env', 'test')
  app.use(responseCache({ ...options, onError }))
  app.use(proxy(origin))
  return listen(createServer(app as RequestListener))
}

const fastify: Start = async (origin, options) => {
  const [{ responseCache }, { default: create }] = await Promise.all([import('keepfresh/fastify'), import('fastify')])
  // As node:http has it, not 72 s: one answer of the suite ends only with its connection.
  const app = create({ keepAliveTimeout: 5000 })
  await app.register(responseCache, { ...options, onError })
  // Bodies go on as they are.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, _payload, done) => done(null))
  app.addHttpMethod('M-SEARCH', { hasBody: true })
  app.all('*', async ({ method, url: path, headers, raw }, reply) => {
    const { status, phrase, lines, body } = await forward(origin, { method, path, headers, body: raw })
    reply.raw.statusMessage = phrase
    return reply.code(status).headers(byName(lines)).send(body)
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return {
    url,
    close: async () => {
      app.server.closeAllConnections()
      await app.close()
    },
  }
}

const koa: Start = async (origin, options) => {
  const [{ responseCache }, { default: Koa }] = await Promise.all([import('keepfresh/koa'), import('koa')])
  const app = new Koa()
  // Koa prints every error otherwise.
  app.silent = true
  app.use(responseCache({ ...options, onError }))
  app.use(async (ctx) => {
    const { method, url: path, headers, req } = ctx
    const { status, phrase, lines, body } = await forward(origin, { method, path, headers, body: req })
    ctx.body = body
    ctx.status = status
    ctx.message = phrase
    for (const [name, value] of Object.entries(byName(lines))) ctx.set(name, value)
  })
  return listen(createServer(app.callback()))
}

/** The proxy as a Fetch handler. */
function fetchProxy(origin: string): (request: Request) => Promise<Response> {
  return async ({ method, url, headers, body }) => {
    const { pathname, search } = new URL(url)
    const content = Readable.from(body ?? [])
    const asked = { method, path: pathname + search, headers: Object.fromEntries(headers), body: content }
    const { status, phrase, lines, body: answer } = await forward(origin, asked)
    // The suite's word for a request that it wanted to be conditional; the adaptor's Response would fail on it only when it is sent.
    if (status > 599) throw new Error(`no Response has the status ${status}`)
    const none = method === 'HEAD' || status === 204 || status === 304
    if (none) answer.resume()
    const stream = none ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array<ArrayBuffer>>)
    // A Response knows no framing: the adaptor would send this beside a length of its own.
    const fields = lines.filter(([name]) => name.toLowerCase() !== 'transfer-encoding')
    return new Response(stream, { status, statusText: phrase, headers: fields.map(([...line]) => line) })
  }
}

const hono: Start = async (origin, options) => {
  const [{ responseCache }, { Hono }] = await Promise.all([import('keepfresh/hono'), import('hono')])
  const app = new Hono()
  app.use(responseCache({ app, ...options, onError }))
  app.onError((error, c) => c.text(error.message, 500))
  const handler = fetchProxy(origin)
  app.all('*', (c) => handler(c.req.raw))
  return serve(app.fetch)
}

const handler: Start = async (origin, options) => {
  const { cached } = await import('keepfresh/server')
  const cache = cached(fetchProxy(origin), { ...options, onError })
  return serve((request) => cache(request).catch((error: unknown) => new Response(String(error), { status: 500 })))
}

/** Any `(Request) => Response` on node:http. */
async function serve(fetch: (request: Request) => Response | Promise<Response>): Promise<Target> {
  const { createAdaptorServer } = await import('@hono/node-server')
  return listen(createAdaptorServer({ fetch }) as Server)
}

async function listen(server: Server): Promise<Target> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Starts a server with a cache of that kind, in front of the suite's. */
export const START: Readonly<Record<EdgeName, Start>> = { node, express, fastify, koa, hono, handler }
