/** keepfresh/node in front of bare node:http, Express 4 and Express 5 (features M1-M4). */
import { createServer, request as httpRequest } from 'node:http'
import { gzipSync } from 'node:zlib'
import express from 'express'
// @ts-expect-error -- Express 4 under another name has no types of its own
import express4 from 'express4'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import {
  responseCache,
  cacheControl,
  cacheTags,
  type NodeCache,
  type NodeHandler,
  type ServerCacheOptions,
} from '../../src/servers/node.ts'
import { until } from '../engine/support.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

type Start = (cache: NodeCache, handler: NodeHandler) => Promise<Running>

const EDGES: readonly (readonly [name: string, start: Start])[] = [
  ['node:http', (cache, handler) => listen(cache.wrap(handler))],
  [
    'Express 5',
    (cache, handler) =>
      listen(
        express()
          .use(cache)
          .use(handler as express.RequestHandler),
      ),
  ],
  [
    'Express 4',
    (cache, handler) => {
      const app = express4()
      app.use(cache)
      app.use(handler as express.RequestHandler)
      return listen(app)
    },
  ],
]

describe.each(EDGES)('%s', (_, start) => {
  const serve = async (
    handler: NodeHandler,
    options: ServerCacheOptions = {},
  ): Promise<{ server: Running; cache: NodeCache; clock: FakeClock }> => {
    const clock = new FakeClock()
    const cache = responseCache({ clock, ...options })
    const server = await start(cache, handler)
    open.push(server)
    return { server, cache, clock }
  }

  it('M2: what says for how long is kept: status, every header line, bytes; Age, Date and Cache-Status are said', async () => {
    let runs = 0
    const body = Buffer.from([0, 255, 1, 128, 10])
    const { server, clock } = await serve((_req, res) => {
      runs++
      res.writeHead(203, 'As It Were', {
        'Cache-Control': 'max-age=60',
        'X-A': 'b',
        Link: ['<a>', '<b>'],
        'Content-Type': 'x/y',
      })
      res.end(body)
    })
    const first = await server.get('/a?b=1')
    clock.advance(5000)
    const second = await server.get('/a?b=1')
    expect(runs).toBe(1)
    for (const answer of [first, second]) {
      expect([answer.status, answer.headers['x-a'], answer.headers['link'], answer.body]).toEqual([
        203,
        'b',
        '<a>, <b>',
        body,
      ])
    }
    expect(first.headers['cache-status']).toMatch(/^keepfresh; fwd=uri-miss; stored/)
    expect(second.headers['cache-status']).toMatch(/^keepfresh; hit; ttl=55/)
    expect(second.headers.age).toBe('5')
    expect(second.headers['content-length']).toBe('5')
    expect(second.headers.date).toBe(first.headers.date)
    await server.get('/a?b=2')
    await server.get('/a')
    expect(runs).toBe(3)
  })

  it('keys tell method, host, path and query apart', async () => {
    let runs = 0
    const { server } = await serve((req, res) => {
      res.setHeader('Cache-Control', 'max-age=60').end(`${req.headers.host} ${req.method} ${++runs}`)
    })
    await server.get('/x', { host: 'a.test' })
    await server.get('/x', { host: 'b.test' })
    await server.get('/x/', { host: 'a.test' })
    await server.get('/X', { host: 'a.test' })
    expect(runs).toBe(4)
    expect((await server.get('/x', { host: 'a.test' })).text).toBe('a.test GET 1')
  })

  it('HEAD is answered from a stored GET, with its length', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60').end('hello')
    })
    await server.get('/')
    const head = await server.get('/', {}, 'HEAD')
    expect([runs, head.status, head.headers['content-length'], head.text]).toEqual([1, 200, '5', ''])
  })

  it('M2: a missing ETag is made, and answered with 304 without the handler; a range of what is stored is a 206', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60').end('0123456789')
    })
    const { etag = '' } = (await server.get('/')).headers
    expect(etag).toMatch(/^"[\w-]{27}"$/)
    const unchanged = await server.get('/', { 'if-none-match': `"other", ${etag}` })
    expect([unchanged.status, unchanged.text, unchanged.headers.etag]).toEqual([304, '', etag])
    expect((await server.get('/', { 'if-none-match': '"other"' })).status).toBe(200)
    const part = await server.get('/', { range: 'bytes=2-4', 'if-range': etag })
    expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10'])
    expect((await server.get('/', { range: 'bytes=99-' })).status).toBe(416)
    expect(runs).toBe(1)
  })

  it('a condition on a miss is answered from what the handler makes, and that is stored whole', async () => {
    let runs = 0
    const { server } = await serve((req, res) => {
      runs++
      expect(req.headers['if-none-match']).toBeUndefined()
      res.setHeader('Cache-Control', 'max-age=60').setHeader('ETag', '"v1"').end('hello')
    })
    const first = await server.get('/', { 'if-none-match': '"v1"' })
    expect([first.status, first.text]).toEqual([304, ''])
    expect((await server.get('/')).text).toBe('hello')
    expect(runs).toBe(1)
  })

  it('a range on a miss is the handler\u2019s own affair', async () => {
    const { server } = await serve((req, res) => {
      res.statusCode = req.headers.range === undefined ? 200 : 206
      res.setHeader('Cache-Control', 'max-age=60').end(req.headers.range ?? 'whole')
    })
    expect((await server.get('/', { range: 'bytes=0-1' })).text).toBe('bytes=0-1')
    expect((await server.get('/')).text).toBe('whole')
  })

  it.each<[string, Record<string, string | string[]>, Record<string, string>, number?]>([
    ['no-store', { 'Cache-Control': 'no-store' }, {}],
    ['private', { 'Cache-Control': 'private, max-age=60' }, {}],
    ['Set-Cookie', { 'Cache-Control': 'max-age=60', 'Set-Cookie': ['a=1', 'b=2'] }, {}],
    ['Vary: *', { 'Cache-Control': 'max-age=60', Vary: '*' }, {}],
    ['Vary: Cookie', { 'Cache-Control': 'max-age=60', Vary: 'Cookie' }, {}],
    ['no freshness', {}, {}],
    ['Authorization', { 'Cache-Control': 'max-age=60' }, { authorization: 'Bearer x' }],
    ['request no-store', { 'Cache-Control': 'max-age=60' }, { 'cache-control': 'no-store' }],
    ['an error', {}, {}, 404],
    ['a server error with ttl', {}, {}, 500],
  ])('R4, M3: %s is not kept, and reaches the visitor unchanged', async (what, headers, asked, status = 200) => {
    let runs = 0
    const { server } = await serve(
      (_req, res) => {
        res.statusCode = status
        for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
        res.end(`run ${++runs}`)
      },
      what.includes('ttl') || status === 404 ? { ttl: 60 } : {},
    )
    for (const run of [1, 2, 3]) {
      const answer = await server.get('/', asked)
      expect([answer.status, answer.text]).toEqual([status, `run ${run}`])
      if (headers['Set-Cookie']) expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
    }
  })

  it('M3: an answer to a signed-in user, or to a cookie under ttl, is kept only where the route says so', async () => {
    const runsOf = async (options: ServerCacheOptions, user: boolean): Promise<number> => {
      let runs = 0
      const { server } = await serve(
        (req, res) => {
          if (user) Object.assign(req, { user: { name: 'alice' } })
          runs++
          res.end('hello')
        },
        { ttl: 60, ...options },
      )
      for (let n = 0; n < 2; n++) await server.get('/', user ? {} : { cookie: 'sid=1' })
      return runs
    }
    expect([await runsOf({}, true), await runsOf({ allowUsers: true }, true)]).toEqual([2, 1])
    expect([await runsOf({}, false), await runsOf({ allowUsers: true }, false)]).toEqual([2, 1])
  })

  it('D59: a thousand visitors of a cold page run the handler once', async () => {
    let runs = 0
    const { server } = await serve(
      (_req, res) => {
        runs++
        setTimeout(() => res.end('page'), 50)
      },
      { ttl: 60 },
    )
    const answers = await Promise.all(Array.from({ length: 200 }, () => server.get('/')))
    expect(runs).toBe(1)
    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['page']))
  })

  it('D63, M4: stale-while-revalidate answers at once and runs the handler behind the visitor\u2019s back', async () => {
    let runs = 0
    const finished: (() => void)[] = []
    const { server, clock } = await serve(
      (_req, res) => {
        const run = ++runs
        const answer = (): void => {
          expect(res.headersSent).toBe(false)
          res.setHeader('X-Run', String(run))
          res.write('run ')
          res.end(String(run))
        }
        if (run === 1) answer()
        else finished.push(answer)
      },
      { ttl: 10, staleWhileRevalidate: 600 },
    )
    await server.get('/')
    clock.advance(20_000)
    const stale = await Promise.all(Array.from({ length: 20 }, () => server.get('/')))
    expect(new Set(stale.map(({ text }) => text))).toEqual(new Set(['run 1']))
    expect(stale[0]?.headers['cache-status']).toMatch(/hit; ttl=-10/)
    await until(() => finished.length === 1)
    finished[0]?.()
    await until(async () => (await server.get('/')).text === 'run 2')
    expect((await server.get('/')).headers['x-run']).toBe('2')
    expect(runs).toBe(2)
  })

  it('M4: stale-if-error takes the place of a 5xx, with nothing of the failure in it', async () => {
    let runs = 0
    const { server, clock } = await serve(
      (_req, res) => {
        if (++runs === 1) return res.end('good')
        res.statusCode = 503
        res.setHeader('X-Trouble', 'yes')
        return res.end('down')
      },
      { ttl: 10, staleIfError: 600 },
    )
    await server.get('/')
    clock.advance(20_000)
    const answer = await server.get('/')
    expect([runs, answer.status, answer.text]).toEqual([2, 200, 'good'])
    clock.advance(700_000)
    expect((await server.get('/')).status).toBe(503)
  })

  it('compressed bodies are variants, by the meaning of Accept-Encoding', async () => {
    let runs = 0
    const { server } = await serve((req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60').setHeader('Vary', 'Accept-Encoding')
      if (!String(req.headers['accept-encoding']).includes('gzip')) return res.end('plain')
      return res.setHeader('Content-Encoding', 'gzip').end(gzipSync('zipped'))
    })
    const zipped = await server.get('/', { 'accept-encoding': 'gzip, deflate' })
    expect(zipped.body).toEqual(gzipSync('zipped'))
    expect((await server.get('/', { 'accept-encoding': 'DEFLATE,gzip;q=1' })).body).toEqual(zipped.body)
    expect((await server.get('/', { 'accept-encoding': 'identity' })).text).toBe('plain')
    expect(runs).toBe(2)
  })

  it('B45, S12: a body in pieces, larger than any buffer, is stored as it passes and served whole', async () => {
    const piece = Buffer.alloc(64 * 1024, 'x')
    let runs = 0
    const { server } = await serve((_req, res) => {
      runs++
      res.setHeader('Cache-Control', 'max-age=60')
      let left = 40
      const go = (): void => {
        while (left-- > 0) if (!res.write(piece)) return void res.once('drain', go)
        res.end()
      }
      go()
    })
    expect((await server.get('/')).body.length).toBe(40 * piece.length)
    await until(async () => (await server.get('/')).headers.age !== undefined)
    const again = await server.get('/')
    expect(again.body.equals(Buffer.concat(Array.from({ length: 40 }, () => piece)))).toBe(true)
    expect(runs).toBeLessThanOrEqual(2)
  })

  it('an endless stream passes as it comes, and is not kept', async () => {
    const { server, cache } = await serve((_req, res) => {
      res.setHeader('Content-Type', 'text/event-stream')
      res.write('data: 1\n\n')
      setTimeout(() => res.write('data: 2\n\n'), 20)
    })
    const seen = await new Promise<string>((resolve, reject) => {
      const asked = httpRequest(`${server.url}/`, (response) => {
        let text = ''
        response.on('data', (data: Buffer) => {
          text += data.toString()
          if (!text.includes('2')) return
          asked.destroy()
          resolve(text)
        })
      })
      asked.on('error', reject)
      asked.end()
    })
    expect(seen).toBe('data: 1\n\ndata: 2\n\n')
    expect(cache.stats()?.stored).toBe(0)
  })

  it('a visitor who leaves mid-body leaves nothing behind, and the next gets a whole one', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => {
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('first half, ')
      if (++runs > 1) res.end('second half')
    })
    await new Promise<void>((resolve) => {
      const asked = httpRequest(`${server.url}/`, (response) => response.once('data', () => asked.destroy()))
      asked.on('error', () => resolve())
      asked.on('close', () => resolve())
      asked.end()
    })
    expect((await server.get('/')).text).toBe('first half, second half')
  })

  it('an unsafe request invalidates its URL before its answer is out', async () => {
    let version = 1
    const { server } = await serve((req, res) => {
      if (req.method === 'POST') {
        version++
        return res.end('saved')
      }
      return res.setHeader('Cache-Control', 'max-age=60').end(`v${version}`)
    })
    expect((await server.get('/doc')).text).toBe('v1')
    expect((await server.get('/doc', {}, 'POST')).text).toBe('saved')
    expect((await server.get('/doc')).text).toBe('v2')
  })

  it('M4: purge by URL, tag, prefix and all of it; the endpoint only with its token', async () => {
    let runs = 0
    const token = 'a secret of sixteen'.replaceAll(' ', '-')
    const { server, cache, clock } = await serve(
      (_req, res) => {
        cacheTags(res, 'page', `run${++runs}`)
        res.end(`run ${runs}`)
      },
      { ttl: 60, purge: { token } },
    )
    const bearer = { authorization: `Bearer ${token}` }
    const text = async (path = '/p'): Promise<string> => {
      // What was made in the millisecond of an invalidation counts as made before it.
      clock.advance(10)
      return (await server.get(path)).text
    }
    expect([await text(), await text()]).toEqual(['run 1', 'run 1'])
    await cache.purge({ url: `${server.url}/p` })
    expect(await text()).toBe('run 2')
    await cache.purge({ tag: 'page' })
    expect(await text()).toBe('run 3')
    await cache.purge({ prefix: `${server.url}/` })
    expect(await text()).toBe('run 4')
    await cache.purge({ all: true })
    expect(await text()).toBe('run 5')
    expect((await server.get('/p', {}, 'PURGE')).status).toBe(401)
    expect((await server.get('/p', { authorization: 'Bearer wrong' }, 'PURGE')).status).toBe(401)
    expect(await text()).toBe('run 5')
    expect((await server.get('/p', bearer, 'PURGE')).status).toBe(200)
    expect(await text()).toBe('run 6')
    await server.get('/elsewhere', { ...bearer, 'purge-tag': 'page' }, 'PURGE')
    expect(await text()).toBe('run 7')
    await server.get('/', { ...bearer, 'purge-prefix': '/p' }, 'PURGE')
    expect(await text()).toBe('run 8')
  })

  it('options by path, and a store named by a URL', async () => {
    let runs = 0
    const { server, cache } = await serve((_req, res) => res.end(`run ${++runs}`), {
      store: 'sqlite::memory:',
      routes: { '*/long': { ttl: '1h' }, '*/never': { enabled: false } },
    })
    const twice = async (path: string): Promise<boolean> =>
      (await server.get(path)).text === (await server.get(path)).text
    expect([await twice('/long'), await twice('/never'), await twice('/other')]).toEqual([true, false, false])
    await cache.close()
  })

  it('E-group: X-Forwarded-Host is no part of the key, and counts only behind a proxy', async () => {
    const { server } = await serve((req, res) => res.end(String(req.headers['x-forwarded-host'])), { ttl: 60 })
    await server.get('/', { 'x-forwarded-host': 'evil.test' })
    const trusting = await serve((req, res) => res.end(String(req.headers['x-forwarded-host'])), {
      ttl: 60,
      trustProxy: true,
    })
    await trusting.server.get('/', { 'x-forwarded-host': 'a.test' })
    expect((await trusting.server.get('/', { 'x-forwarded-host': 'b.test' })).text).toBe('b.test')
  })

  it('a key that is not kept is asked about in full again once its answer may be shared', async () => {
    let runs = 0
    const { server } = await serve((_req, res) => {
      res.setHeader('Cache-Control', ++runs < 4 ? 'no-store' : 'max-age=60').end(`run ${runs}`)
    })
    const texts = []
    for (let n = 0; n < 7; n++) texts.push((await server.get('/')).text)
    expect(texts.slice(0, 3)).toEqual(['run 1', 'run 2', 'run 3'])
    expect(texts[6]).toBe(texts[5])
  })
})

describe('Express', () => {
  it('a route\u2019s own options, inside of a cache for all', async () => {
    const clock = new FakeClock()
    const cache = responseCache({ clock })
    let runs = 0
    const app = express()
    app.use(cache)
    app.get('/short', cache.route({ ttl: 10 }), (_req, res) => void res.json({ run: ++runs }))
    app.get('/plain', (_req, res) => void res.json({ run: ++runs }))
    app.use(
      '/mounted',
      express.Router().get('/x', cache.route({ ttl: 10 }), (_req, res) => void res.send(`${++runs}`)),
    )
    const server = await listen(app)
    open.push(server)
    const twice = async (path: string): Promise<boolean> =>
      (await server.get(path)).text === (await server.get(path)).text
    expect([await twice('/short'), await twice('/plain'), await twice('/mounted/x')]).toEqual([true, false, true])
    clock.advance(11_000)
    expect((await server.get('/short')).text).toBe(JSON.stringify({ run: runs }))
  })

  it('an error handler\u2019s 500 gives way to a stale answer; without one it is what the visitor sees', async () => {
    const clock = new FakeClock()
    const cache = responseCache({ clock, ttl: 10, staleIfError: true })
    let runs = 0
    const app = express()
    app.use(cache)
    app.get('/{*path}', async (_req, res) => {
      if (++runs > 1) throw new Error('broken')
      res.send('good')
    })
    app.use(((error: Error, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
      res.status(500).send(error.message)
    }) as express.ErrorRequestHandler)
    const server = await listen(app)
    open.push(server)
    await server.get('/a')
    clock.advance(20_000)
    expect((await server.get('/a')).text).toBe('good')
    expect([(await server.get('/b')).status, (await server.get('/b')).text]).toEqual([500, 'broken'])
  })
})

it('cacheControl says what it is told, and refuses what it does not know', async () => {
  const server = await listen(
    createServer((_req, res) => {
      cacheControl(res, { public: true, maxAge: '1m', sMaxage: '1h', staleWhileRevalidate: 5, noCache: false })
      expect(() => cacheControl(res, { maxage: 5 } as object)).toThrow(/maxage/)
      expect(() => cacheTags(res, 'a b')).toThrow(/no tag/)
      res.end()
    }),
  )
  open.push(server)
  expect((await server.get('/')).headers['cache-control']).toBe(
    'public, max-age=60, s-maxage=3600, stale-while-revalidate=5',
  )
})

it.each([
  [{ tll: 5 }, 'ERR_OPTION_UNKNOWN', /did you mean ttl/],
  [{ ttl: 'soon' }, 'ERR_DURATION', /ttl/],
  [{ purge: { token: 'short' } }, 'ERR_OPTION_VALUE', /purge/],
  [{ baseUrl: 'example.com' }, 'ERR_OPTION_VALUE', /baseUrl/],
  [{ store: {} }, 'ERR_OPTION_VALUE', /store/],
  [{ store: 'nothing:' }, 'ERR_STORE_URL', /store URL/],
  [{ routes: { '*/x': { tll: 1 } } }, 'ERR_OPTION_UNKNOWN', /ttl/],
])('wrong options %o are refused at once', (options, code, message) => {
  expect(() => responseCache(options as ServerCacheOptions)).toThrow(expect.objectContaining({ code }))
  expect(() => responseCache(options as ServerCacheOptions)).toThrow(message)
})
