/** RELIABILITY A14, on the sending side: a handler that hands over what its own fetch brought. */
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cached } from '../../src/servers/handler.ts'
import { responseCache } from '../../src/servers/hono.ts'
import { listen, type Running } from './support.ts'

const LENGTH = 300_000

let origin: Running
beforeAll(async () => {
  origin = await listen((request, response) => {
    const fields = new URL(request.url ?? '', 'http://origin.test').searchParams
    for (const [name, value] of fields) response.setHeader(name, value)
    response.end('x'.repeat(LENGTH))
  })
})
afterAll(() => origin.close())

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Long enough for what is unreachable to be collected, and for whoever wants to hear of that. */
async function afterCollection(): Promise<void> {
  for (let n = 0; n < 5; n++) {
    collect()
    await sleep(5)
  }
}

type Handle = (request: Request) => Response | Promise<Response>

const EDGES: Record<string, (handle: Handle) => Handle> = {
  'cached()': (handle) => cached(handle, { ttl: 60 }),
  Hono: (handle) => {
    const app = new Hono()
    app.use(responseCache({ ttl: 60, app }))
    app.all('*', (c) => handle(c.req.raw))
    return (request) => app.fetch(request)
  },
}

describe.each(Object.entries(EDGES))('%s', (_name, make) => {
  it.each([
    ['is not kept', 'cache-control=no-store'],
    ['is kept', 'cache-control=max-age=60'],
    ['is kept, with an ETag of its own', 'cache-control=max-age=60&etag="a"'],
    ['says nothing of its kind, twice', 'content-type=text/event-stream&cache-control=no-store'],
  ])('A14: what its fetch brought and %s is whole, however late it is read', async (_what, query) => {
    const handle = make(() => fetch(`${origin.url}/?${query}`))
    for (const path of ['/a', '/a']) {
      const response = await handle(new Request(`http://front.test${path}`))
      await afterCollection()
      expect((await response.text()).length).toBe(LENGTH)
    }
  })

  it('A14: an answer to a POST is, too', async () => {
    const handle = make(() => fetch(`${origin.url}/`))
    const response = await handle(new Request('http://front.test/', { method: 'POST', body: 'x' }))
    await afterCollection()
    expect((await response.text()).length).toBe(LENGTH)
  })
})
