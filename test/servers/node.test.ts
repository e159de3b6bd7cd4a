/** keepfresh/node in front of bare node:http, Express 4 and Express 5 (features M1-M4). */
import { createServer } from 'node:http'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/stores/memory.ts'
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
import { behaviours } from './behaviours/index.ts'
import { NODE_EDGES } from './edges.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

for (const edge of NODE_EDGES) behaviours(edge)

describe('node:http', () => {
  const serve = async (
    handler: NodeHandler,
    options: ServerCacheOptions = {},
  ): Promise<{ server: Running; cache: NodeCache; clock: FakeClock }> => {
    const clock = new FakeClock()
    const cache = responseCache({ clock, ...options })
    const server = await listen(cache.wrap(handler))
    open.push(server)
    return { server, cache, clock }
  }

  it('a reason phrase of the handler\u2019s own reaches the visitor, and a 304 has its own', async () => {
    const { server } = await serve((_req, res) => {
      res.writeHead(200, 'As It Were', { 'Cache-Control': 'max-age=60', ETag: '"a"' })
      res.end('hello')
    })
    expect((await server.get('/a', { 'if-none-match': '"a"' })).phrase).toBe('Not Modified')
    for (const what of ['miss', 'hit']) expect([what, (await server.get('/b')).phrase]).toEqual([what, 'As It Were'])
  })

  it('256: a handler may end so many turns after its first byte: it is stored whole', async () => {
    const { server, cache } = await serve(async (req, res) => {
      const [turns = 0, ends = 0] = (req.url ?? '').slice(1).split('/').map(Number)
      res.setHeader('Cache-Control', 'max-age=60')
      res.write('begin, ')
      for (let turn = 0; turn < turns; turn++) await Promise.resolve()
      res.write('middle, ')
      for (let turn = 0; turn < ends; turn++) await Promise.resolve()
      res.end('end')
    })
    const paths = Array.from({ length: 40 }, (_, turns) => [`/${turns}/0`, `/0/${turns}`, `/${turns}/2`]).flat()
    for (const path of paths) expect([path, (await server.get(path)).text]).toEqual([path, 'begin, middle, end'])
    for (const path of paths) {
      const { text, headers } = await server.get(path)
      expect([path, text, headers['cache-status']]).toEqual([
        path,
        'begin, middle, end',
        expect.stringMatching(/; hit;/),
      ])
    }
    await cache.close()
  })

  it('250: writeHead takes fields as an object, in turn, and in pairs, with a phrase or without', async () => {
    const pairs = [
      ['Cache-Control', 'max-age=60'],
      ['X-A', '1'],
      ['X-A', '2'],
    ]
    const forms: Record<string, unknown> = {
      '/object': { 'Cache-Control': 'max-age=60', 'X-A': ['1', '2'] },
      '/turns': pairs.flat(),
      '/pairs': pairs,
    }
    const { server } = await serve((req, res) => {
      const args =
        req.headers['x-phrase'] === undefined ? [200, forms[req.url ?? '']] : [200, 'So', forms[req.url ?? '']]
      Reflect.apply(res.writeHead, res, args)
      res.end('hello')
    })
    for (const path of Object.keys(forms)) {
      const phrase: Record<string, string> = path === '/turns' ? {} : { 'x-phrase': '1' }
      for (const what of ['miss', 'hit']) {
        const { status, text, raw, headers } = await server.get(path, phrase)
        const twice = raw.filter((_, at) => raw[at - 1]?.toLowerCase() === 'x-a')
        expect([path, what, status, text, twice]).toEqual([path, what, 200, 'hello', ['1', '2']])
        expect(headers['cache-status']).toMatch(what === 'hit' ? /; hit;/ : /; stored;/)
      }
    }
  })

  it('a phrase that something further out had set is not that of a stored answer', async () => {
    const handler = responseCache({ ttl: 60 }).wrap((_req, res) => res.writeHead(200, 'OK').end('x'))
    const server = await listen((req, res) => {
      res.statusMessage = 'Further Out'
      void handler(req, res)
    })
    open.push(server)
    expect([(await server.get('/')).phrase, (await server.get('/')).phrase]).toEqual(['OK', 'OK'])
  })

  it('fields that somebody in front has put into the request count as if they had come with it', async () => {
    let runs = 0
    const cache = responseCache({ ttl: 60, matchHeaders: ['x-plan'] })
    const handler = cache.wrap((req, res) => res.end(`${req.headers['x-plan']} ${++runs}`))
    const server = await listen((req, res) => {
      const { plan, token } = Object.fromEntries(new URL(req.url ?? '', 'http://a.test').searchParams)
      if (plan !== undefined) req.headers['x-plan'] = plan
      if (token !== undefined) req.headers.authorization = token
      req.url = '/'
      void handler(req, res)
    })
    open.push(server)
    const texts = []
    for (const query of ['plan=gold', 'plan=free', 'plan=gold', 'plan=gold&token=t'])
      texts.push((await server.get(`/?${query}`, { 'x-plan': 'gold' })).text)
    expect(texts).toEqual(['gold 1', 'free 2', 'gold 1', 'gold 3'])
  })

  it('a handler that passes raw lines on passes no condition of the visitor\u2019s on, but ours about what is stored', async () => {
    const seen: (readonly string[])[] = []
    const { server, clock } = await serve(({ rawHeaders, headersDistinct }, res) => {
      const names = rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
      seen.push([
        ...names.filter((name) => name.startsWith('if-') || name === 'range'),
        ...(headersDistinct['if-none-match'] ?? []),
      ])
      res.writeHead(200, { 'Cache-Control': 'max-age=60', ETag: '"a"' }).end('hello')
    })
    await server.get('/', { 'If-None-Match': '"b"' })
    clock.advance(61_000)
    await server.get('/', { 'If-None-Match': '"b"' })
    expect(seen).toEqual([[], ['if-none-match', '"a"']])
  })

  it('events: who listens before the store is open hears of them, and stops when it stops', async () => {
    const { server, cache } = await serve((_req, res) => res.end('x'), { ttl: 60, store: 'sqlite::memory:' })
    const heard: string[] = []
    const stops = [
      cache.on('hit', ({ type }) => heard.push(type)),
      cache.on('*', ({ type }) => heard.push(`* ${type}`)),
    ]
    await server.get('/')
    await server.get('/')
    expect(heard.filter((type) => type.includes('hit'))).toEqual(['hit', '* hit'])
    for (const stop of stops) stop()
    await server.get('/')
    expect(heard.filter((type) => type.includes('hit'))).toEqual(['hit', '* hit'])
    await cache.close()
  })

  it('what a middleware further out puts on the response is on hits, too; what the handler put there is not on a stale answer', async () => {
    let runs = 0
    const clock = new FakeClock()
    const cache = responseCache({ clock, ttl: 10, staleIfError: true })
    const handler = cache.wrap((_req, res) => {
      if (++runs > 1) res.setHeader('Set-Cookie', 'trouble=1')
      res.statusCode = runs > 1 ? 500 : 200
      res.end(`run ${runs}`)
    })
    let visit = 0
    const server = await listen((req, res) => {
      res.setHeader('X-Visit', ++visit)
      res.setHeader('X-Of-Visit', `${visit}`)
      if (visit > 1) res.setHeader('X-Later', 'yes')
      void handler(req, res)
    })
    open.push(server)
    await server.get('/')
    const hit = await server.get('/')
    // A field that is stored, too, is the stored one's.
    expect([hit.text, hit.headers['x-visit'], hit.headers['x-later']]).toEqual(['run 1', '1', 'yes'])
    clock.advance(20_000)
    const stale = await server.get('/')
    expect([stale.status, stale.text, stale.headers['x-later']]).toEqual([200, 'run 1', 'yes'])
    expect(stale.headers['set-cookie']).toBeUndefined()
  })

  it('with leases in the store, a refresh starts from what was set before the stale answer, not from that answer', async () => {
    let runs = 0
    const { server, clock } = await serve(
      (_req, res) => {
        expect(res.getHeader('age')).toBeUndefined()
        expect(res.getHeader('cache-status')).toBeUndefined()
        res.end(`run ${++runs}`)
      },
      { ttl: 10, staleWhileRevalidate: 600, store: 'sqlite::memory:', singleFlight: 'store' },
    )
    await server.get('/')
    clock.advance(20_000)
    expect((await server.get('/')).text).toBe('run 1')
    await until(async () => (await server.get('/')).text === 'run 2')
    expect((await server.get('/')).headers['cache-status']).toMatch(/^keepfresh; hit; ttl=10[^,]*$/)
  })

  it.each([200, 503])(
    'a handler that waits for its write to be taken is not left waiting: a stale answer, then %i',
    async (status) => {
      let ended = 0
      const { server, clock } = await serve(
        async (_req, res) => {
          res.statusCode = ended === 0 ? 200 : status
          const run = ended + 1
          await new Promise<void>((resolve) => void res.write(`run ${run}`, () => resolve()))
          res.end()
          ended = run
        },
        { ttl: 10, ...(status === 200 ? { staleWhileRevalidate: 600 } : { staleIfError: 600 }) },
      )
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/')).text).toBe('run 1')
      await until(() => ended === 2)
      if (status === 200) await until(async () => (await server.get('/')).text === 'run 2')
    },
  )

  it('4.3.5: a HEAD that is not compressed as its GET is takes nothing away', async () => {
    let down = false
    const { server, clock } = await serve(
      (req, res) => {
        if (down) return res.writeHead(503).end()
        res.setHeader('ETag', 'W/"1"')
        if (req.method === 'HEAD') return res.setHeader('Content-Length', '1000').end()
        res.setHeader('Content-Encoding', 'gzip').write('sma')
        return res.end('ll')
      },
      { ttl: 10, staleIfError: 600 },
    )
    await server.get('/')
    clock.advance(20_000)
    await server.get('/', {}, 'HEAD')
    clock.advance(20_000)
    down = true
    expect((await server.get('/')).text).toBe('small')
  })

  it('M4: purging all of a store that cannot be counted empties it, and tells of what failed', async () => {
    const errors: unknown[] = []
    const store = new MemoryStore()
    const broken = new Error('damaged')
    // A database that is damaged cannot be listed, and is made anew by clear().
    store.entries = () => {
      throw broken
    }
    let runs = 0
    const { server, cache } = await serve((_req, res) => res.end(`run ${++runs}`), {
      ttl: 60,
      store,
      onError: (error) => errors.push(error),
    })
    await server.get('/')
    expect(await cache.purge({ all: true })).toBe(0)
    expect([(await server.get('/')).text, errors]).toEqual(['run 2', [broken]])
  })

  it('a handler that minds the visitor\u2019s leaving is not told of it while it refreshes', async () => {
    let runs = 0
    const { server, clock } = await serve(
      (req, res) => {
        const run = ++runs
        req.on('close', () => {
          if (!res.writableEnded) res.destroy()
        })
        setTimeout(() => res.end(`run ${run}`), run > 1 ? 50 : 0)
      },
      { ttl: 10, staleWhileRevalidate: 600 },
    )
    await server.get('/')
    clock.advance(20_000)
    expect((await server.get('/')).text).toBe('run 1')
    await until(async () => (await server.get('/')).text === 'run 2')
  })

  it.each([
    ['a PURGE', '/', 'PURGE'],
    ['a purge by path', '/-/cache?all=1', 'DELETE'],
    ['a listing', '/-/cache', 'GET'],
  ])(
    'M4: %s that something in front has answered meanwhile is no rejection that nobody handles',
    async (_, path, method) => {
      const held = Promise.withResolvers<boolean>()
      const errors: unknown[] = []
      const unhandled: unknown[] = []
      const note = (error: unknown): void => void unhandled.push(error)
      process.on('unhandledRejection', note)
      try {
        const cache = responseCache({
          purge: { path: '/-/cache', authorize: () => held.promise },
          onError: (error) => errors.push(error),
        })
        const server = await listen((req, res) => {
          cache(req, res, () => res.end('handler'))
          res.writeHead(503).end('timeout')
        })
        open.push(server)
        const answer = await server.get(path, {}, method)
        expect([answer.status, answer.text]).toEqual([503, 'timeout'])
        held.resolve(true)
        // Nothing tells of the end of what nobody hears of: it takes a few turns.
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        expect([errors, unhandled]).toEqual([[], []])
      } finally {
        process.off('unhandledRejection', note)
      }
    },
  )

  describe('compression', () => {
    /** A middleware that compresses by hand: it looks at the fields when they are about to be sent, as all of its kind do. */
    const gzipping =
      (next: NodeHandler): NodeHandler =>
      (req, res) => {
        const { writeHead, end } = res
        res.writeHead = ((status: number) => {
          res.setHeader('Content-Encoding', 'gzip').setHeader('Vary', 'Accept-Encoding').removeHeader('Content-Length')
          return writeHead.call(res, status)
        }) as typeof res.writeHead
        res.end = ((chunk: string | Buffer) => {
          if (!res.headersSent) res.writeHead(res.statusCode)
          return end.call(res, gzipSync(chunk), 'utf8')
        }) as typeof res.end
        return next(req, res)
      }
    const page: NodeHandler = (_req, res) => res.setHeader('Cache-Control', 'max-age=60').end('page')

    it('inside of the cache: what is stored is compressed', async () => {
      const { server } = await serve(gzipping(page))
      const first = await server.get('/', { 'accept-encoding': 'gzip' })
      const second = await server.get('/', { 'accept-encoding': 'gzip' })
      expect([second.headers['content-encoding'], second.headers.age]).toEqual(['gzip', '0'])
      expect([gunzipSync(first.body).toString(), gunzipSync(second.body).toString()]).toEqual(['page', 'page'])
    })

    it('outside of it: what is stored is not, and every answer is compressed anew', async () => {
      const cache = responseCache()
      const server = await listen(gzipping(cache.wrap(page)) as never)
      open.push(server)
      for (const wanted of [undefined, '0']) {
        const answer = await server.get('/', { 'accept-encoding': 'gzip' })
        expect([answer.headers['content-encoding'], answer.headers.age]).toEqual(['gzip', wanted])
        expect(gunzipSync(answer.body).toString()).toBe('page')
      }
    })
  })
})

it('cacheControl: a time without end is the most that others read; undefined says nothing; what is no flag is refused', () => {
  const headers = new Headers()
  const said = (directives: object): string | null => {
    cacheControl({ headers }, directives)
    return headers.get('cache-control')
  }
  expect(said({ public: true, maxAge: 'never' })).toBe('public, max-age=2147483648')
  expect(said({ maxAge: 1e12, sMaxage: 1.9 })).toBe('max-age=2147483648, s-maxage=1')
  expect(said({ maxAge: undefined, noStore: undefined, sMaxage: 5 })).toBe('s-maxage=5')
  for (const wrong of [{ public: 'yes' }, { noStore: 1 }, { private: null }, { maxAge: Number.NaN }, { maxAge: null }])
    expect(() => said(wrong)).toThrow(expect.objectContaining({ name: 'OptionError' }))
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
