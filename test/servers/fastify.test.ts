/** keepfresh/fastify (features M1-M4): what is Fastify's own. */
import { createServer } from 'node:http'
import { gunzipSync, gzipSync } from 'node:zlib'
import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { cacheControl, responseCache, type ServerCacheOptions } from '../../src/servers/fastify.ts'
import { responseCache as aroundNode } from '../../src/servers/node.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { until } from '../engine/support.ts'
import { behaviours } from './behaviours/index.ts'
import { FASTIFY, listenFastify } from './edges.ts'
import type { Running } from './support.ts'

behaviours(FASTIFY)

const open: Running[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

interface Bench {
  readonly app: FastifyInstance
  readonly clock: FakeClock
  start(): Promise<Running>
}

function bench(): Bench {
  const start = async (): Promise<Running> => {
    const server = await listenFastify(app)
    open.push(server)
    return server
  }
  const app = fastify()
  return { app, clock: new FakeClock(), start }
}

const twice = async (server: Running, path: string): Promise<boolean> =>
  (await server.get(path)).text === (await server.get(path)).text

describe('Fastify', () => {
  it('the cache of node:http stands around an application: hits are answered before any hook', async () => {
    const cache = aroundNode({ ttl: 60 })
    let hooks = 0
    const app = fastify({ serverFactory: (handler) => createServer(cache.wrap(handler)) })
    app.addHook('onRequest', async () => void (hooks += 1))
    app.get('/', async (_request, reply) => reply.header('x-hooks', hooks).send({ hooks }))
    app.get('/own', async (_request, reply) => reply.header('cache-control', 'private').send({ hooks }))
    const server = await listenFastify(app)
    open.push(server)
    for (const path of ['/', '/own', '/']) await server.get(path)
    const hit = await server.get('/')
    expect([hit.text, hit.headers['x-hooks'], hit.headers['cache-status']]).toEqual([
      '{"hooks":1}',
      '1',
      expect.stringContaining('keepfresh; hit'),
    ])
    expect((await server.get('/own')).text).toBe('{"hooks":3}')
    expect((await server.get('/missing')).status).toBe(404)
    expect(hooks).toBe(4)
    await cache.close()
  })

  it('routes say what they want in their config, in child scopes, too', async () => {
    const { app, start } = bench()
    let runs = 0
    const answer = async (): Promise<object> => ({ run: ++runs })
    await app.register(responseCache, { ttl: 60 })
    app.get('/plain', answer)
    app.get('/never', { config: { cache: false } }, answer)
    app.get('/long', { config: { cache: '1h' } }, answer)
    app.get('/tagged', { config: { cache: { ttl: '10m', tags: ['t'] } } }, answer)
    app.get('/own', async (_request, reply) => {
      cacheControl(reply, { noStore: true })
      return answer()
    })
    await app.register(async (child) => void child.get('/child', answer), { prefix: '/v1' })
    const server = await start()
    const kept = []
    for (const path of ['/plain', '/never', '/long', '/tagged', '/own', '/v1/child'])
      kept.push(await twice(server, path))
    expect(kept).toEqual([true, false, true, true, false, true])
    const before = (await server.get('/tagged')).text
    await app.responseCache.purge({ tag: 't' })
    expect((await server.get('/tagged')).text).not.toBe(before)
  })

  it('wrong options are refused: by register, and where the route is defined', async () => {
    const { app } = bench()
    await expect(app.register(responseCache, { tll: 5 } as ServerCacheOptions)).rejects.toThrow(/did you mean ttl/)
    const other = fastify()
    await other.register(responseCache, { prefix: '/not/ours', logLevel: 'warn' } as ServerCacheOptions)
    expect(() => other.get('/', { config: { cache: { tll: 5 } as object } }, async () => '')).toThrow(
      /did you mean ttl/,
    )
    await other.close()
  })

  it('what earlier hooks set is on every answer, in front of it on hits, and as it was before a handler that failed', async () => {
    const { app, clock, start } = bench()
    let runs = 0
    let seen = 0
    app.addHook('onRequest', async (_request, reply) => void reply.header('X-Front', `${++seen}`))
    await app.register(responseCache, { clock, ttl: 10, staleIfError: true })
    app.addHook('onRequest', async (_request, reply) => void reply.header('X-Behind', 'yes'))
    app.get('/', async (_request, reply) => {
      reply.header('X-Run', ++runs)
      if (runs > 1) {
        reply.header('X-Trouble', 'yes')
        throw new Error('broken')
      }
      return 'good'
    })
    const server = await start()
    await server.get('/')
    const hit = await server.get('/')
    clock.advance(20_000)
    const stale = await server.get('/')
    for (const { status, phrase, text, headers } of [hit, stale]) {
      expect([status, phrase, text]).toEqual([200, 'OK', 'good'])
      expect([headers['x-front'], headers['x-behind'], headers['x-run'], headers['x-trouble']]).toEqual([
        '1',
        'yes',
        '1',
        undefined,
      ])
    }
    expect(runs).toBe(2)
  })

  it('a visitor\u2019s own fields that are not stored go with a hit', async () => {
    const { app, start } = bench()
    let visit = 0
    app.addHook('onRequest', async (_request, reply) => {
      if (++visit > 1) reply.header('Set-Cookie', `visit=${visit}`)
    })
    await app.register(responseCache, { ttl: 60 })
    app.get('/', async () => 'page')
    const server = await start()
    expect((await server.get('/')).headers['set-cookie']).toBeUndefined()
    expect((await server.get('/')).headers['set-cookie']).toEqual(['visit=2'])
    expect((await server.get('/')).headers['set-cookie']).toEqual(['visit=3'])
  })

  it('its error handler has its say, and onResponse is called once a visit', async () => {
    const { app, clock, start } = bench()
    const finished: string[] = []
    let runs = 0
    app.addHook('onResponse', async (request, reply) => void finished.push(`${request.url} ${reply.statusCode}`))
    await app.register(responseCache, { clock, ttl: 10, staleWhileRevalidate: 600 })
    app.setErrorHandler((error: Error, _request, reply) => void reply.code(503).send({ sorry: error.message }))
    app.get('/broken', async () => {
      throw new Error('broken')
    })
    app.get('/page', async () => `run ${++runs}`)
    const server = await start()
    const broken = await server.get('/broken')
    expect([broken.status, broken.text]).toEqual([503, '{"sorry":"broken"}'])
    await server.get('/page')
    await server.get('/page')
    clock.advance(20_000)
    expect((await server.get('/page')).text).toBe('run 1')
    await until(async () => (await server.get('/page')).text === 'run 2')
    await until(() => finished.length >= 5)
    expect(finished[0]).toBe('/broken 503')
    expect(new Set(finished.slice(1))).toEqual(new Set(['/page 200']))
  })

  it('compression in onSend is inside of the cache; 404s and unknown routes are not kept', async () => {
    const { app, start } = bench()
    await app.register(responseCache, { ttl: 60 })
    app.addHook('onSend', async (_request, reply, payload) => {
      reply.header('content-encoding', 'gzip').header('vary', 'accept-encoding').removeHeader('content-length')
      return gzipSync(String(payload))
    })
    app.get('/', async () => 'page')
    const server = await start()
    for (const age of [undefined, '0']) {
      const { body, headers } = await server.get('/', { 'accept-encoding': 'gzip' })
      expect([gunzipSync(body).toString(), headers.age]).toEqual(['page', age])
    }
    for (let n = 0; n < 2; n++) {
      const { status, headers } = await server.get('/none', { 'accept-encoding': 'gzip' })
      expect([status, headers.age]).toEqual([404, undefined])
    }
  })

  it('works under inject: misses, hits, 304s, stale answers and their refresh', async () => {
    const { app, clock } = bench()
    let runs = 0
    await app.register(responseCache, { clock, ttl: 10, staleWhileRevalidate: 600 })
    app.get('/', async () => `run ${++runs}`)
    const get = async (headers: Record<string, string> = {}): Promise<[number, string]> => {
      const { statusCode, body } = await app.inject({ url: '/', headers })
      return [statusCode, body]
    }
    expect([await get(), await get()]).toEqual([
      [200, 'run 1'],
      [200, 'run 1'],
    ])
    expect(await get({ 'if-none-match': '*' })).toEqual([304, ''])
    clock.advance(20_000)
    expect(await get()).toEqual([200, 'run 1'])
    await until(async () => (await get())[1] === 'run 2')
    await app.close()
  })

  it('257: the cache is closed with the instance, and so is a store it opened or was told to close', async () => {
    const { app } = bench()
    const store = new MemoryStore()
    await app.register(responseCache, { store, autoClose: true })
    await app.close()
    expect(() => store.read('x')).toThrow(/closed/)
  })

  it('M3: a session with something in it is somebody\u2019s', async () => {
    const { app, start } = bench()
    let runs = 0
    app.decorateRequest('session', null as unknown)
    app.addHook('onRequest', async (request) => {
      const session = request.url === '/full' ? { data: () => ({ cart: 1 }) } : { changed: false, data: () => ({}) }
      Object.assign(request, { session })
    })
    await app.register(responseCache, { ttl: 60 })
    app.get('*', async () => `run ${++runs}`)
    const server = await start()
    expect([await twice(server, '/full'), await twice(server, '/empty')]).toEqual([false, true])
  })
})
