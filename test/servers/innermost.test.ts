/** What a route says about failures when the cache as a whole says something else (feature M4): the innermost has its way. */
import express from 'express'
import { Hono } from 'hono'
import Koa from 'koa'
import { createAdaptorServer } from '@hono/node-server'
import type { Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache as forHono } from '../../src/servers/hono.ts'
import { responseCache as forKoa } from '../../src/servers/koa.ts'
import { responseCache } from '../../src/servers/node.ts'
import type { RouteOptions, ServerCacheOptions } from '../../src/servers/options.ts'
import { listen, type Running } from './support.ts'

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** What a handler does in turn. */
type Doing = () => 'page' | 500 | Error

type Start = (doing: Doing, all: ServerCacheOptions, route: RouteOptions) => Promise<Running>

const starts: Readonly<Record<string, Start>> = {
  Express: (doing, all, route) => {
    const app = express().set('env', 'test')
    const cache = responseCache(all)
    app.use(cache)
    app.get('/', cache.route(route), (_request, response) => {
      const done = doing()
      if (done instanceof Error) throw done
      if (done === 500) response.status(500).send('failed')
      else response.send(done)
    })
    return listen(app)
  },
  Koa: (doing, all, route) => {
    const app = new Koa()
    app.silent = true
    const cache = forKoa(all)
    app.use(cache)
    app.use(cache.route(route))
    app.use((ctx) => {
      const done = doing()
      if (done instanceof Error) throw done
      if (done === 500) ctx.status = 500
      ctx.body = done === 500 ? 'failed' : done
    })
    return listen(app.callback())
  },
  Hono: (doing, all, route) => {
    const app = new Hono()
    app.onError((_error, c) => c.text('failed', 500))
    const cache = forHono({ ...all, app })
    app.use(cache)
    app.get('/', cache.route(route), (c) => {
      const done = doing()
      if (done instanceof Error) throw done
      return done === 500 ? c.text('failed', 500) : c.text(done)
    })
    return listen(createAdaptorServer({ fetch: app.fetch }) as Server)
  },
}

describe.each(Object.keys(starts))('M4: staleIfError of a route in %s', (name) => {
  it.each([
    ['1d', false, 500],
    ['1d', 1, 500],
    ['1d', undefined, 200],
    [false, '1d', 200],
    ['1m', '1d', 200],
  ] as const)('%s for all, %s for the route: %s', async (all, own, expected) => {
    for (const failure of [500, new Error('failed')] as const) {
      const clock = new FakeClock()
      let runs = 0
      const start = starts[name] as Start
      const options = { ttl: 1, clock, staleIfError: all, onError: () => undefined }
      const server = await start(
        () => (runs++ === 0 ? 'page' : failure),
        options,
        own === undefined ? {} : { staleIfError: own },
      )
      open.push(server)
      expect((await server.get('/')).text).toBe('page')
      clock.advance(90_000)
      expect((await server.get('/')).status).toBe(expected)
      expect(runs).toBe(2)
    }
  })
})
