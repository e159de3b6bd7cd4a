import type { RequestHandler } from 'express'
import type { RequestListener } from 'node:http'
import type { Kinds, Page } from '../page.ts'

async function application(page: Page, middleware: RequestHandler | null): Promise<RequestListener> {
  const { default: express } = await import('express')
  const app = express()
  if (middleware !== null) app.use(middleware)
  app.get('/page', page.answer as RequestHandler)
  return app as RequestListener
}

async function serve(page: Page, middleware: RequestHandler | null): Promise<void> {
  page.listen(await application(page, middleware))
}

export const kinds: Kinds = {
  Express: (page) => serve(page, null),
  'Express + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/node')
    return serve(page, responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl }) as RequestHandler)
  },
  'Express + keepfresh around it': async (page) => {
    const { responseCache } = await import('keepfresh/node')
    const cache = responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl })
    page.listen(cache.wrap(await application(page, null)) as RequestListener)
  },
  'Express + apicache': async (page) => {
    const { default: apicache } = await import('apicache')
    return serve(page, apicache.middleware(`${page.ttl} seconds`))
  },
}
