import type { Hono as HonoApplication } from 'hono'
import type { Kinds, Page } from '../page.ts'

async function serve(page: Page, use: (app: HonoApplication) => void, ownGlobals = false): Promise<void> {
  const { Hono } = await import('hono')
  const { getRequestListener } = await import('@hono/node-server')
  const app = new Hono()
  use(app)
  app.get('/page', async (c) => {
    const made = page.make()
    if (made !== null) await made
    const fields: Record<string, string> = { 'content-type': 'text/plain' }
    if (page.mode === 'no-store') fields['cache-control'] = 'no-store'
    return c.body(new Uint8Array(page.body), 200, fields)
  })
  page.listen(getRequestListener(app.fetch, ownGlobals ? { overrideGlobalObjects: false } : {}))
}

/** hono/cache asks the runtime for `caches`, which Node has not: undici has one, for its own Response. */
async function webCaches(): Promise<void> {
  const { caches, Headers, Request, Response } = await import('undici')
  Object.assign(globalThis, { caches, Headers, Request, Response })
}

export const kinds: Kinds = {
  Hono: (page) => serve(page, () => undefined),
  'Hono + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/hono')
    return serve(page, (app) => {
      app.use('*', responseCache(page.mode === 'no-store' ? { app } : { ttl: page.ttl, app }))
    })
  },
  'Hono + hono/cache': async (page) => {
    await webCaches()
    const { cache } = await import('hono/cache')
    const middleware = cache({ cacheName: 'bench', cacheControl: `max-age=${page.ttl}`, wait: true })
    return serve(page, (app) => void app.use('*', middleware), true)
  },
}
