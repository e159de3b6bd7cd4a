/** keepfresh/koa (features M1-M4): what is Koa's own. */
import { Readable } from 'node:stream'
import { createGzip, gunzipSync } from 'node:zlib'
import Koa from 'koa'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import {
  cacheControl,
  cacheTags,
  responseCache,
  type KoaCache,
  type ServerCacheOptions,
} from '../../src/servers/koa.ts'
import { until } from '../engine/support.ts'
import { behaviours } from './behaviours/index.ts'
import { KOA } from './edges.ts'
import { listen, type Running } from './support.ts'

behaviours(KOA)

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

interface Bench {
  readonly app: Koa
  readonly cache: KoaCache
  readonly clock: FakeClock
  start(): Promise<Running>
}

function bench(options: ServerCacheOptions = {}): Bench {
  const clock = new FakeClock()
  const app = new Koa()
  app.silent = true
  const start = async (): Promise<Running> => {
    const server = await listen(app.callback())
    open.push(server)
    return server
  }
  return { app, cache: responseCache({ clock, ...options }), clock, start }
}

describe('Koa', () => {
  it('a route\u2019s own options, inside of a cache for all, and alone', async () => {
    const { app, cache, start } = bench()
    let runs = 0
    const short = cache.route({ ttl: 10, tags: ['short'] })
    app.use((ctx, next) => (ctx.path === '/alone' ? next() : cache(ctx, next)))
    app.use((ctx, next) => (ctx.path === '/plain' ? next() : short(ctx, next)))
    app.use((ctx) => void (ctx.body = { run: ++runs }))
    const server = await start()
    const twice = async (path: string): Promise<boolean> =>
      (await server.get(path)).text === (await server.get(path)).text
    expect([await twice('/inside'), await twice('/plain'), await twice('/alone')]).toEqual([true, false, true])
    await cache.invalidateTags('short', 'delete')
    expect((await server.get('/inside')).text).toBe(`{"run":${runs}}`)
  })

  it('M2, M4: a route behind something asynchronous is kept and refreshed as it says itself', async () => {
    const { app, cache, clock, start } = bench()
    let runs = 0
    app.use(cache)
    app.use(async (_ctx, next) => {
      await new Promise((resolve) => setImmediate(resolve))
      await next()
    })
    app.use(cache.route({ ttl: 10, staleWhileRevalidate: 600 }))
    app.use((ctx) => void (ctx.body = `run ${++runs}`))
    const server = await start()
    const text = async (): Promise<string> => (await server.get('/')).text
    expect([await text(), await text()]).toEqual(['run 1', 'run 1'])
    for (const run of [1, 2]) {
      clock.advance(20_000)
      expect(await text()).toBe(`run ${run}`)
      await until(async () => (await text()) === `run ${run + 1}`)
      expect([(await server.get('/')).headers.age, runs]).toEqual(['0', run + 1])
    }
  })

  it('cacheControl and cacheTags on a context', async () => {
    const { app, cache, start } = bench()
    let runs = 0
    app.use(cache)
    app.use((ctx) => {
      cacheControl(ctx, { maxAge: '1m' })
      cacheTags(ctx, 'a', 'b')
      ctx.body = `run ${++runs}`
    })
    const server = await start()
    const first = await server.get('/')
    expect([first.headers['cache-control'], first.headers['cache-tag']]).toEqual(['max-age=60', 'a, b'])
    expect((await server.get('/')).text).toBe('run 1')
  })

  it('what middlewares in front set is on every answer, and they see the end of every visit', async () => {
    const { app, cache, clock, start } = bench({ ttl: 10, staleWhileRevalidate: 600 })
    let ended = 0
    let runs = 0
    app.use(async (ctx, next) => {
      ctx.set('X-Front', 'yes')
      await next()
      ended++
      ctx.set('X-After', 'yes')
    })
    app.use(cache)
    app.use((ctx) => {
      if (++runs > 1) throw new Error('broken')
      ctx.body = 'good'
    })
    const server = await start()
    const answers = [await server.get('/'), await server.get('/')]
    clock.advance(20_000)
    answers.push(await server.get('/'))
    // Its refresh fails, and the next visitor's is not tried so soon.
    await until(() => runs === 2)
    answers.push(await server.get('/'))
    expect(answers.map(({ text, headers }) => [text, headers['x-front'], headers['x-after']])).toEqual(
      Array.from({ length: 4 }, () => ['good', 'yes', 'yes']),
    )
    expect(runs).toBe(2)
    // The one that threw was not for the middleware to see the end of.
    await until(() => ended === 3)
  })

  it('a middleware in front catches what a handler throws, as ever', async () => {
    const { app, cache, start } = bench({ ttl: 10 })
    app.use(async (ctx, next) => {
      try {
        await next()
      } catch (error) {
        ctx.status = 418
        ctx.body = String(error)
      }
    })
    app.use(cache)
    app.use(() => {
      throw new Error('broken')
    })
    const server = await start()
    for (let n = 0; n < 2; n++) {
      const answer = await server.get('/')
      expect([answer.status, answer.text]).toEqual([418, 'Error: broken'])
    }
  })

  it('Koa\u2019s own error handling hears of it, and its 404 is not kept', async () => {
    const { app, cache, start } = bench({ ttl: 10 })
    const errors: unknown[] = []
    app.on('error', (error) => errors.push(error))
    app.use(cache)
    app.use((ctx, next) => {
      if (ctx.path === '/broken') ctx.throw(503, 'broken', { expose: true })
      return next()
    })
    const server = await start()
    const broken = await server.get('/broken')
    expect([broken.status, broken.text, errors.length]).toEqual([503, 'broken', 1])
    expect([(await server.get('/none')).status, (await server.get('/none')).text]).toEqual([404, 'Not Found'])
    expect(cache.stats()?.stored).toBe(0)
  })

  it('a handler that gives nothing when it runs again is a 404, and no empty page', async () => {
    const { app, cache, clock, start } = bench({ ttl: 10, staleWhileRevalidate: 600 })
    let runs = 0
    app.use(cache)
    app.use((ctx) => {
      if (++runs === 1) ctx.body = 'page'
    })
    const server = await start()
    await server.get('/')
    clock.advance(20_000)
    await server.get('/')
    await until(() => runs === 2)
    const next = await server.get('/')
    expect(['page', 'Not Found']).toContain(next.text)
  })

  it.each<[string, object, number]>([
    ['a new session', { isNew: true, _ctx: {}, _sessCtx: {} }, 1],
    ['a session with something in it', { isNew: true, cart: ['book'] }, 2],
    ['express-session\u2019s cookie alone', { cookie: { path: '/' } }, 1],
  ])('M3: %s', async (_, session, expected) => {
    const { app, cache, start } = bench({ ttl: 10 })
    let runs = 0
    app.use((ctx, next) => {
      Object.assign(ctx, { session })
      return next()
    })
    app.use(cache)
    app.use((ctx) => void (ctx.body = `run ${++runs}`))
    const server = await start()
    for (let n = 0; n < 2; n++) await server.get('/')
    expect(runs).toBe(expected)
  })

  it.each(['inside', 'outside'])('compression %s of the cache', async (where) => {
    const { app, cache, clock, start } = bench({ ttl: 10, staleWhileRevalidate: 600 })
    let runs = 0
    const gzip: Koa.Middleware = async (ctx, next) => {
      await next()
      if (ctx.respond === false || ctx.body === undefined) return
      ctx.set('Content-Encoding', 'gzip')
      ctx.vary('Accept-Encoding')
      ctx.body = Readable.from([String(ctx.body)]).pipe(createGzip())
    }
    if (where === 'outside') app.use(gzip).use(cache)
    else app.use(cache).use(gzip)
    app.use((ctx) => void (ctx.body = `run ${++runs}`))
    const server = await start()
    const page = async (): Promise<string> => {
      const { body, headers } = await server.get('/', { 'accept-encoding': 'gzip' })
      expect(headers['content-encoding']).toBe('gzip')
      return gunzipSync(body).toString()
    }
    expect([await page(), await page()]).toEqual(['run 1', 'run 1'])
    clock.advance(20_000)
    expect(await page()).toBe('run 1')
    await until(async () => (await page()) === 'run 2')
  })

  it('a refresh that another process is at lets its visitor go', async () => {
    const { app, cache, clock, start } = bench({
      ttl: 10,
      staleWhileRevalidate: 600,
      store: 'sqlite::memory:',
      singleFlight: 'store',
    })
    let runs = 0
    let ended = 0
    app.use(async (_ctx, next) => {
      await next()
      ended++
    })
    app.use(cache)
    app.use((ctx) => void (ctx.body = `run ${++runs}`))
    const server = await start()
    await server.get('/')
    clock.advance(20_000)
    await Promise.all([server.get('/'), server.get('/'), server.get('/')])
    await until(() => ended === 4)
    await until(async () => (await server.get('/')).text === 'run 2')
    await cache.close()
  })

  it('wrong options are refused at once', () => {
    expect(() => responseCache({ tll: 5 } as ServerCacheOptions)).toThrow(/did you mean ttl/)
  })
})
