/** keepfresh/node as a middleware of Express: options of routes, and its own handling of errors (features M1-M4). */
import express from 'express'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache } from '../../src/servers/node.ts'
import { until } from '../engine/support.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
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

  it.each(['at once', 'later'])(
    'M2, M4: a route whose turn comes %s is kept and refreshed as it says itself',
    async (when) => {
      const clock = new FakeClock()
      const cache = responseCache({ clock })
      let runs = 0
      const app = express().set('env', 'test')
      app.use(cache)
      app.use((_req, _res, next) => void (when === 'later' ? setImmediate(next) : next()))
      app.get(
        '/',
        cache.route({ ttl: 10, staleWhileRevalidate: 600, tags: ['page'] }),
        (_req, res) => void res.send(`run ${++runs}`),
      )
      const server = await listen(app)
      open.push(server)
      const text = async (): Promise<string> => (await server.get('/')).text
      expect([await text(), await text()]).toEqual(['run 1', 'run 1'])
      // The second refresh is of what a refresh has stored: with the route\u2019s own lifetimes and tags.
      for (const run of [1, 2]) {
        clock.advance(20_000)
        expect(await text()).toBe(`run ${run}`)
        await until(async () => (await text()) === `run ${run + 1}`)
        const hit = await server.get('/')
        expect([hit.headers.age, runs]).toEqual(['0', run + 1])
        expect(hit.headers['cache-status']).toMatch(/; hit; ttl=10/)
      }
      await cache.invalidateTags('page', 'delete')
      // What is made in the millisecond of an invalidation counts as made before it.
      clock.advance(10)
      expect([await text(), await text()]).toEqual(['run 4', 'run 4'])
    },
  )

  it.each([2, 20])('a route whose first %i answers were errors is kept once it has good ones', async (errors) => {
    const cache = responseCache()
    let runs = 0
    const app = express().set('env', 'test')
    app.use(cache)
    app.get(
      '/',
      cache.route({ ttl: 10 }),
      (_req, res) => void res.status(++runs > errors ? 200 : 500).send(`run ${runs}`),
    )
    const server = await listen(app)
    open.push(server)
    for (let n = 1; n <= errors; n++) expect((await server.get('/')).text).toBe(`run ${n}`)
    const texts = []
    for (let n = 0; n < 4; n++) texts.push((await server.get('/')).text)
    // After as many errors as that, the first good answer is only a sign that the next one may be kept.
    const kept = errors > 8 ? errors + 2 : errors + 1
    expect(texts).toEqual([errors + 1, kept, kept, kept].map((run) => `run ${run}`))
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
