import type { RequestListener } from 'node:http'
import type { Kinds } from '../page.ts'

export const kinds: Kinds = {
  'node:http': (page) => page.listen(page.answer),
  'Map, by hand': (page) => {
    const map = new Map<string, string[]>()
    page.listen((request, response) => {
      const fields = map.get(request.url ?? '')
      if (fields === undefined) {
        map.set(request.url ?? '', ['content-type', 'text/plain', 'content-length', String(page.body.length)])
        return page.answer(request, response)
      }
      response.writeHead(200, fields)
      response.end(page.body)
      return undefined
    })
  },
  'node:http + keepfresh': async (page) => {
    const { responseCache } = await import('keepfresh/node')
    page.listen(responseCache(page.mode === 'no-store' ? {} : { ttl: page.ttl }).wrap(page.answer) as RequestListener)
  },
}
