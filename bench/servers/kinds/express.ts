import type { RequestHandler } from 'express'
import type { RequestListener } from 'node:http'
import type { Kinds, Page } from '../page.ts'

async function serve(page: Page, middleware: RequestHandler | null): Promise<void> {
  const { default: express } = await import('express')
  const app = express()
  if (middleware !== null) app.use(middleware)
  app.get('/page', page.answer as RequestHandler)
  page.listen(app as RequestListener)
}

export const kinds: Kinds = {
  Express: (page) => serve(page, null),
  'Express + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/node')
    return serve(page, responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl }) as RequestHandler)
  },
  'Express + apicache': async (page) => {
    const { default: apicache } = await import('apicache')
    return serve(page, apicache.middleware(`${page.ttl} seconds`))
  },
}
