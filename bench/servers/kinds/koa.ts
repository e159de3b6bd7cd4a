import type Koa from 'koa'
import type { Kinds, Page } from '../page.ts'

async function serve(page: Page, ...middleware: Koa.Middleware[]): Promise<void> {
  const { default: KoaApplication } = await import('koa')
  const app = new KoaApplication()
  for (const each of middleware) app.use(each)
  app.use(async (ctx) => {
    const made = page.make()
    if (made !== null) await made
    if (page.mode === 'no-store') ctx.set('Cache-Control', 'no-store')
    ctx.type = 'text/plain'
    ctx.body = page.body
  })
  page.listen(app.callback())
}

export const kinds: Kinds = {
  Koa: (page) => serve(page),
  'Koa + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/koa')
    return serve(page, responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl }) as unknown as Koa.Middleware)
  },
  'Koa + koa-cash': async (page) => {
    const { default: koaCash } = await import('koa-cash')
    const { LRUCache } = await import('lru-cache')
    const kept = new LRUCache<string, object>({ max: 1000, ttl: page.ttl * 1000 })
    const cache = koaCash({
      get: async (key) => kept.get(key),
      set: async (key, value) => void kept.set(key, value as object),
    })
    return serve(page, cache, async (ctx, next) => {
      if (!(await (ctx as unknown as { cashed(): Promise<boolean> }).cashed())) await next()
    })
  },
}
