import type { FastifyInstance } from 'fastify'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Kinds, Page } from '../page.ts'

type Around = (handler: RequestListener) => RequestListener

async function serve(
  page: Page,
  register: (app: FastifyInstance) => unknown,
  around: Around | null = null,
): Promise<void> {
  const { default: Fastify } = await import('fastify')
  const app: FastifyInstance =
    around === null ? Fastify() : Fastify({ serverFactory: (handler) => createServer(around(handler)) })
  await register(app)
  app.get('/page', async (_request, reply) => {
    const made = page.make()
    if (made !== null) await made
    if (page.mode === 'no-store') reply.header('cache-control', 'no-store')
    return reply.type('text/plain').send(page.body)
  })
  app.get('/runs', async (_request, reply) => reply.header('cache-control', 'no-store').send(String(page.runs)))
  await app.listen({ port: 0, host: '127.0.0.1', backlog: 65_535 })
  process.send?.((app.server.address() as AddressInfo).port)
}

export const kinds: Kinds = {
  Fastify: (page) => serve(page, () => undefined),
  'Fastify + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/fastify')
    return serve(page, (app) => app.register(responseCache as never, page.mode === 'no-store' ? {} : { ttl: page.ttl }))
  },
  'Fastify + keepfresh around it': async (page) => {
    const { responseCache } = await import('keepfresh/node')
    const cache = responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl })
    return serve(
      page,
      () => undefined,
      (handler) => cache.wrap(handler) as RequestListener,
    )
  },
  'Fastify + @fastify/caching': async (page) => {
    const { default: caching } = await import('@fastify/caching')
    return serve(page, (app) => app.register(caching, { privacy: caching.privacy.PUBLIC, expiresIn: page.ttl }))
  },
}
