import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import type { Kinds, Page } from '../page.ts'

async function serve(page: Page, register: (app: FastifyInstance) => unknown): Promise<void> {
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
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
  'Fastify + @fastify/caching': async (page) => {
    const { default: caching } = await import('@fastify/caching')
    return serve(page, (app) => app.register(caching, { privacy: caching.privacy.PUBLIC, expiresIn: page.ttl }))
  },
}
