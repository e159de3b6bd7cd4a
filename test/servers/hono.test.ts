/** keepfresh/hono (features M1-M4): what is Hono's own. */
import { gunzipSync } from 'node:zlib'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { cors } from 'hono/cors'
import { etag } from 'hono/etag'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { cacheControl, cacheTags, responseCache, type HonoCacheOptions } from '../../src/servers/hono.ts'
import { until } from '../engine/support.ts'
import { behaviours } from './behaviours/index.ts'
import { HONO_EDGES } from './edges.ts'
import { listen, type Running } from './support.ts'

for (const edge of HONO_EDGES) behaviours(edge)

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

type Variables = { user?: object; session?: object }

function bench(options: HonoCacheOptions = {}) {
  const clock = new FakeClock()
  const app = new Hono<{ Variables: Variables }>()
  const cache = responseCache({ clock, app, ...options })
  const text = async (path: string, init?: RequestInit): Promise<string> => (await app.request(path, init)).text()
  const start = async (): Promise<Running> => {
    const server = await listen(createAdaptorServer({ fetch: app.fetch }) as never)
    open.push(server)
    return server
  }
  return { clock, app, cache, text, start }
}

describe('Hono', () => {
  it('needs no server: app.request is answered, too', async () => {
    const { app, cache, text } = bench()
    let runs = 0
    app.use(cache)
    app.get('/', (c) => {
      cacheControl(c, { maxAge: '1m' })
      cacheTags(c, 'a', 'b')
      return c.text(`run ${++runs}`)
    })
    const first = await app.request('/')
    expect([first.headers.get('cache-control'), first.headers.get('cache-tag')]).toEqual(['max-age=60', 'a, b'])
    expect([await text('/'), await text('/')]).toEqual(['run 1', 'run 1'])
    await cache.invalidateTags('a', 'delete')
    expect(await text('/')).toBe('run 2')
  })

  it('a route\u2019s own options, inside of a cache for all, alone, in a sub-application, and in a refresh', async () => {
    const { app, cache, text, clock } = bench()
    let runs = 0
    const sub = new Hono().get('/page', cache.route({ ttl: 10 }), (c) => c.text(`run ${++runs}`))
    app.use('/inside/*', cache)
    app.get('/inside/short', cache.route({ ttl: 10, staleWhileRevalidate: 60 }), (c) => c.text(`run ${++runs}`))
    app.get('/inside/plain', (c) => c.text(`run ${++runs}`))
    app.get('/alone', cache.route({ ttl: 10 }), (c) => c.text(`run ${++runs}`))
    app.route('/sub', sub)
    const twice = async (path: string): Promise<boolean> => (await text(path)) === (await text(path))
    expect([
      await twice('/inside/short'),
      await twice('/inside/plain'),
      await twice('/alone'),
      await twice('/sub/page'),
    ]).toEqual([true, false, true, true])
    const before = await text('/inside/short')
    clock.advance(20_000)
    // What the route says of stale answers was stored with this one; the refresh hears of the route again.
    expect(await text('/inside/short')).toBe(before)
    await until(async () => (await text('/inside/short')) !== before)
    expect(await twice('/inside/short')).toBe(true)
  })

  it.each(['app', 'no app'])(
    'M2, M4: a route behind something asynchronous is kept and refreshed as it says itself, with %s',
    async (known) => {
      const { app, text, clock } = bench()
      const cache = responseCache({ clock, ...(known === 'app' && { app }) })
      let runs = 0
      app.use(cache)
      app.use(async (_c, next) => {
        await new Promise((resolve) => setImmediate(resolve))
        await next()
      })
      app.get('/', cache.route({ ttl: 10, staleWhileRevalidate: 600 }), (c) => c.text(`run ${++runs}`))
      expect([await text('/'), await text('/')]).toEqual(['run 1', 'run 1'])
      for (const run of [1, 2]) {
        clock.advance(20_000)
        // Who cannot have it refreshed behind their back waits for it.
        expect(await text('/')).toBe(`run ${known === 'app' ? run : run + 1}`)
        await until(async () => (await text('/')) === `run ${run + 1}`)
        expect([(await app.request('/')).headers.get('age'), runs]).toEqual(['0', run + 1])
      }
    },
  )

  it('M1: a body of no type is given the type on a hit that @hono/node-server gave it on the miss', async () => {
    const { app, cache, start } = bench({ ttl: 60 })
    app.use(cache)
    app.get('/bytes', () => new Response(new TextEncoder().encode('<b>not HTML</b>')))
    app.get('/stream', () => new Response(new Blob(['<b>not HTML</b>']).stream()))
    app.get('/typed', () => new Response('{}', { headers: { 'content-type': 'application/json' } }))
    app.get('/nothing', () => new Response(null))
    const server = await start()
    const types = async (path: string): Promise<(string | undefined)[]> => {
      const found: (string | undefined)[] = []
      for (let visit = 0; visit < 3; visit++) found.push((await server.get(path)).headers['content-type'])
      return found
    }
    const text = 'text/plain; charset=UTF-8'
    expect(await types('/bytes')).toEqual([text, text, text])
    expect(await types('/stream')).toEqual([text, text, text])
    expect(await types('/typed')).toEqual(Array(3).fill('application/json'))
    expect(await types('/nothing')).toEqual([undefined, undefined, undefined])
    expect(cache.stats()?.hits).toBe(8)
  })

  it('what middlewares in front set is on hits, stale answers and refreshed ones', async () => {
    const { app, cache, clock } = bench({ ttl: 10, staleIfError: true, staleWhileRevalidate: 5 })
    let visit = 0
    let runs = 0
    app.use(async (c, next) => {
      visit++
      c.header('X-Visit', String(visit))
      if (visit > 1) c.header('Set-Cookie', `visit=${visit}`)
      await next()
      c.header('X-After', 'yes')
    })
    app.use(cors())
    app.use(cache)
    app.onError((error, c) => c.text(error.message, 500, { 'X-Trouble': 'yes', 'Set-Cookie': 'trouble=1' }))
    app.get('/', (c) => {
      if (++runs > 1) throw new Error('broken')
      return c.text('good')
    })
    await app.request('/')
    const hit = await app.request('/')
    clock.advance(60_000)
    const stale = await app.request('/')
    for (const [answer, cookie] of [
      [hit, 'visit=2'],
      [stale, 'visit=3'],
    ] as const) {
      const { headers, status } = answer
      expect([status, await answer.text(), headers.get('x-after')]).toEqual([200, 'good', 'yes'])
      expect([headers.get('x-visit'), headers.get('x-trouble')]).toEqual(['1', null])
      expect([headers.getSetCookie(), headers.get('access-control-allow-origin')]).toEqual([[cookie], '*'])
    }
    expect(runs).toBe(2)
  })

  it('errors and 404s are Hono\u2019s, and not kept', async () => {
    const { app, cache, text } = bench({ ttl: 10 })
    app.use(cache)
    app.onError((error, c) => c.text(`sorry: ${error.message}`, 503))
    app.notFound((c) => c.text('nothing here', 404))
    app.get('/broken', () => {
      throw new Error('broken')
    })
    expect([await text('/broken'), await text('/none')]).toEqual(['sorry: broken', 'nothing here'])
    expect((await app.request('/none')).status).toBe(404)
    expect(cache.stats()?.stored).toBe(0)
  })

  it.each([2, 20])('a route whose first %i answers were errors is kept once it has good ones', async (errors) => {
    const { app, cache, text } = bench()
    let runs = 0
    app.use(cache)
    app.get('/', cache.route({ ttl: 10 }), (c) => c.text(`run ${++runs}`, runs > errors ? 200 : 500))
    for (let n = 1; n <= errors; n++) expect(await text('/')).toBe(`run ${n}`)
    const texts = []
    for (let n = 0; n < 4; n++) texts.push(await text('/'))
    const kept = errors > 8 ? errors + 2 : errors + 1
    expect(texts).toEqual([errors + 1, kept, kept, kept].map((run) => `run ${run}`))
  })

  it('only the cache and nothing else: a 404', async () => {
    const { app, cache } = bench({ ttl: 10 })
    app.use(cache)
    expect([(await app.request('/')).status, (await app.request('/')).status]).toEqual([404, 404])
  })

  it('M3: a user known only further in keeps a refresh out of the store, too', async () => {
    const { app, cache, clock, text } = bench({ ttl: 10, staleWhileRevalidate: 600 })
    let runs = 0
    app.use(cache)
    app.use(async (c, next) => {
      if (++runs > 1) c.set('user', { name: 'alice' })
      await next()
    })
    app.get('/', (c) => c.text(c.var.user === undefined ? 'for all' : 'for alice'))
    expect([await text('/'), await text('/')]).toEqual(['for all', 'for all'])
    clock.advance(20_000)
    expect(await text('/')).toBe('for all')
    await until(() => runs === 2)
    expect(JSON.stringify(await Array.fromAsync(cache.cache.entries()))).not.toContain('alice')
    clock.advance(2000)
    for (let n = 0; n < 3; n++) expect(await text('/')).toMatch(/^for (?:all|alice)$/)
    expect(cache.stats()?.stored).toBe(1)
  })

  it('the executionCtx is kept alive for a refresh and for what is being stored', async () => {
    const { app, cache, clock } = bench({ ttl: 10, staleWhileRevalidate: 600, store: 'sqlite::memory:' })
    let runs = 0
    app.use(cache)
    app.get('/', (c) => c.text(`run ${++runs} ${String(c.env)}`))
    const work: Promise<unknown>[] = []
    const context = {
      waitUntil: (promise: Promise<unknown>) => void work.push(promise),
      passThroughOnException() {},
      props: {},
    }
    const ask = async (): Promise<string> =>
      (await app.fetch(new Request('http://a.test/'), 'env' as never, context)).text()
    expect(await ask()).toBe('run 1 env')
    await Promise.all(work)
    clock.advance(20_000)
    expect(await ask()).toBe('run 1 env')
    for (let count = 0; count < work.length;) {
      count = work.length
      await Promise.all(work)
    }
    expect(await ask()).toBe('run 2 env')
    await cache.close()
  })

  it.each(['inside', 'outside'])('compression %s of the cache', async (where) => {
    const { app, cache, clock, start } = bench({ ttl: 10, staleWhileRevalidate: 600 })
    let runs = 0
    const page = 'x'.repeat(2000)
    if (where === 'outside') app.use(compress()).use(cache)
    else app.use(cache).use(compress())
    app.get('/', (c) => c.text(`run ${++runs} ${page}`, 200, { Vary: 'Accept-Encoding' }))
    const server = await start()
    const ask = async (): Promise<string> => {
      const { body, headers } = await server.get('/', { 'accept-encoding': 'gzip' })
      expect(headers['content-encoding']).toBe('gzip')
      return gunzipSync(body).toString().slice(0, 5)
    }
    expect([await ask(), await ask()]).toEqual(['run 1', 'run 1'])
    clock.advance(20_000)
    expect(await ask()).toBe('run 1')
    await until(async () => (await ask()) === 'run 2')
  })

  it.each(['inside', 'outside'])('hono/etag %s of the cache', async (where) => {
    const { app, cache, start } = bench({ ttl: 10 })
    let runs = 0
    if (where === 'outside') app.use(etag()).use(cache)
    else app.use(cache).use(etag())
    app.get('/', (c) => c.text(`run ${++runs}`))
    const server = await start()
    const first = await server.get('/', { 'if-none-match': '"nothing"' })
    expect([first.status, first.text]).toEqual([200, 'run 1'])
    const { etag: tag = '' } = first.headers
    expect((await server.get('/', { 'if-none-match': tag })).status).toBe(304)
    expect([(await server.get('/')).text, runs]).toEqual(['run 1', 1])
  })

  it('a hit is the middleware\u2019s alone: what comes behind it does not run, what comes before sees c.res', async () => {
    const { app, cache } = bench({ ttl: 10 })
    const seen: unknown[] = []
    let behind = 0
    app.use(async (c, next) => {
      await next()
      seen.push([c.res.status, c.req.header('if-none-match')])
    })
    app.use(cache)
    app.use(async (_c, next) => {
      behind++
      await next()
    })
    app.get('/', (c) => c.text(c.req.header('if-none-match') ?? 'no condition'))
    const first = await app.request('/', { headers: { 'if-none-match': '"x"' } })
    expect(await first.text()).toBe('no condition')
    await app.request('/', { headers: { 'if-none-match': '*' } })
    expect([behind, seen]).toEqual([
      1,
      [
        [200, '"x"'],
        [304, '*'],
      ],
    ])
  })

  it.each([
    [{ tll: 5 }, /did you mean ttl/],
    [{ app: {} }, /app must be/],
  ])('wrong options %o are refused at once', (options, message) => {
    expect(() => responseCache(options as HonoCacheOptions)).toThrow(message)
  })
})
