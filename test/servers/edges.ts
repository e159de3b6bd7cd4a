/** The neutral handler of the shared suites in each framework, behind its cache. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline, Readable } from 'node:stream'
import { createAdaptorServer } from '@hono/node-server'
import express from 'express'
// @ts-expect-error -- Express 4 under another name has no types of its own
import express4 from 'express4'
import fastify, { type FastifyInstance } from 'fastify'
import { Hono } from 'hono'
import Koa from 'koa'
import { responseCache as forFastify } from '../../src/servers/fastify.ts'
import { cached } from '../../src/servers/handler.ts'
import { responseCache as forHono } from '../../src/servers/hono.ts'
import { responseCache as forKoa } from '../../src/servers/koa.ts'
import { responseCache as forNode, type NodeHandler } from '../../src/servers/node.ts'
import { listen, running, type Handler, type Said, type Start } from './support.ts'

const noSignIn = (): never => {
  throw new Error('nobody can sign in here')
}

/** node:http, Connect and Express. */
export function onNode(handler: Handler): NodeHandler {
  return async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { method = '', url: path = '', headers } = req
    const signIn = (user: object): void => void Object.assign(req, { user })
    const said = await handler({ method, path, headers: headers as Record<string, string | undefined>, signIn })
    if (res.headersSent || res.writableEnded) throw new Error('the response was begun before the handler was done')
    res.statusCode = said.status ?? 200
    for (const [name, value] of Object.entries(said.headers ?? {})) res.setHeader(name, value)
    const { body = '' } = said
    if (typeof body === 'string' || body instanceof Uint8Array) res.end(body)
    else pipeline(Readable.from(body), res, () => undefined)
  }
}

const node: Start = async (handler, options) => {
  const cache = forNode({ onError: () => undefined, ...options })
  return { cache, server: await listen(cache.wrap(onNode(handler))) }
}

const express5: Start = async (handler, options) => {
  const cache = forNode(options)
  const app = express().set('env', 'test')
  app.use(cache)
  app.use(onNode(handler) as express.RequestHandler)
  return { cache, server: await listen(app) }
}

const express4Start: Start = async (handler, options) => {
  const cache = forNode(options)
  const app = express4().set('env', 'test')
  app.use(cache)
  const run = onNode(handler)
  app.use((req: IncomingMessage, res: ServerResponse, next: (error: unknown) => void) => {
    // Express 4 knows nothing of promises.
    Promise.resolve(run(req, res)).catch(next)
  })
  return { cache, server: await listen(app) }
}

const koa: Start = async (handler, options) => {
  const cache = forKoa(options)
  const app = new Koa()
  app.silent = true
  app.use(cache)
  app.use(koaHandler(handler))
  return { cache, server: await listen(app.callback()) }
}

export function koaHandler(handler: Handler): Koa.Middleware {
  return async (ctx) => {
    const { method, url: path, headers } = ctx
    const signIn = (user: object): void => void (ctx.state['user'] = user)
    const said = await handler({ method, path, headers: headers as Record<string, string | undefined>, signIn })
    if (ctx.headerSent) throw new Error('the response was begun before the handler was done')
    ctx.status = said.status ?? 200
    for (const [name, value] of Object.entries(said.headers ?? {})) ctx.set(name, value as string | string[])
    const { body = '' } = said
    ctx.body = typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body) : Readable.from(body)
  }
}

const fastifyStart: Start = async (handler, options) => {
  const app = fastify()
  await app.register(forFastify, options)
  fastifyHandler(app, handler)
  return { cache: app.responseCache, server: await listenFastify(app) }
}

export function fastifyHandler(app: FastifyInstance, handler: Handler): void {
  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '*',
    handler: async (request, reply) => {
      const { method, url: path, headers } = request
      const signIn = (user: object): void => void Object.assign(request, { user })
      const said = await handler({ method, path, headers: headers as Record<string, string | undefined>, signIn })
      if (reply.raw.headersSent) throw new Error('the response was begun before the handler was done')
      const { body = '' } = said
      reply.code(said.status ?? 200).headers((said.headers ?? {}) as Record<string, string>)
      return reply.send(typeof body === 'string' || body instanceof Uint8Array ? body : Readable.from(body))
    },
  })
}

export async function listenFastify(app: FastifyInstance): ReturnType<typeof listen> {
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  return running(url, async () => {
    app.server.closeAllConnections()
    await app.close()
  })
}

/** The neutral handler as one of Fetch. */
export async function onFetch(handler: Handler, request: Request, signIn: (user: object) => void): Promise<Response> {
  const { pathname, search } = new URL(request.url)
  const asked = {
    method: request.method,
    path: pathname + search,
    headers: Object.fromEntries(request.headers),
    signIn,
  }
  return responseOf(await handler(asked))
}

function responseOf({ status = 200, headers = {}, body = '' }: Said): Response {
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    typeof value === 'string' ? [[name, value] as [string, string]] : value.map((one): [string, string] => [name, one]),
  )
  const init = { status, headers: lines }
  if (status === 204 || status === 304) return new Response(null, init)
  return new Response(
    typeof body === 'string' ? body : body instanceof Uint8Array ? new Uint8Array(body) : streamOf(body),
    init,
  )
}

function streamOf(body: AsyncIterable<string | Uint8Array>): ReadableStream<Uint8Array> {
  return ReadableStream.from(
    (async function* () {
      for await (const piece of body) yield typeof piece === 'string' ? new TextEncoder().encode(piece) : piece
    })(),
  )
}

function hono(withApp: boolean): Start {
  return async (handler, options) => {
    const app = new Hono<{ Variables: { user: object } }>()
    const cache = forHono(withApp ? { app, ...options } : options)
    app.use(cache)
    app.onError((error, c) => c.text(error.message, 500))
    app.all('*', (c) => onFetch(handler, c.req.raw, (user) => c.set('user', user)))
    return { cache, server: await listen(createAdaptorServer({ fetch: app.fetch }) as never) }
  }
}

const fetchHandler: Start = async (handler, options) => {
  const cache = cached((request: Request) => onFetch(handler, request, noSignIn), options)
  // The adaptor says on the console what the handler threw.
  const fetch = async (request: Request): Promise<Response> => {
    try {
      return await cache(request)
    } catch (error) {
      return new Response(String(error), { status: 500 })
    }
  }
  return { cache, server: await listen(createAdaptorServer({ fetch }) as never) }
}

export interface Edge {
  readonly name: string
  readonly start: Start
  /** The visitor who finds an answer stale waits for the new one. */
  readonly waits?: true
  /** Nothing a handler does says who asks. */
  readonly anonymous?: true
}

export const NODE_EDGES: readonly Edge[] = [
  { name: 'node:http', start: node },
  { name: 'Express 5', start: express5 },
  { name: 'Express 4', start: express4Start },
]
export const KOA: Edge = { name: 'Koa', start: koa }
export const FASTIFY: Edge = { name: 'Fastify', start: fastifyStart }
export const HONO_EDGES: readonly Edge[] = [
  { name: 'Hono', start: hono(true) },
  { name: 'Hono without app', start: hono(false), waits: true },
]
export const HANDLER: Edge = { name: 'cached()', start: fetchHandler, anonymous: true }
