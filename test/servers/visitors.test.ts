/** What one visitor's answer brings to others when a stored answer is validated by it: nothing (RELIABILITY E73, E77, E85). */
import { Hono } from 'hono'
import { describe, expect, it } from 'vitest'
import { responseCache as honoCache } from '../../src/servers/hono.ts'
import { responseCache } from '../../src/servers/node.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { benches } from './behaviours/bench.ts'
import { FASTIFY, HANDLER, HONO_EDGES, KOA, NODE_EDGES } from './edges.ts'
import { listen, type Asked, type Said } from './support.ts'

const ALICE: readonly Record<string, string>[] = [{ authorization: 'Bearer alice' }, { cookie: 'sid=alice' }]

/** A page that says who asks for it, to everybody public where they come with Authorization; `knows` conditions or not. */
function page({ headers }: Asked, knows: boolean, isPublic: boolean): Said {
  const by = headers['authorization'] ?? headers['cookie']
  const said = {
    ETag: '"v1"',
    ...(by !== undefined && { 'X-Account': by }),
    ...(isPublic && headers['authorization'] === undefined && { 'Cache-Control': 'public, max-age=10' }),
  }
  return knows && headers['if-none-match'] === '"v1"'
    ? { status: 304, headers: said }
    : { headers: said, body: 'the page' }
}

for (const edge of [...NODE_EDGES, KOA, FASTIFY, ...HONO_EDGES, HANDLER]) {
  describe(`${edge.name}: a visitor who is known`, () => {
    const { serve } = benches(edge)

    describe.each(ALICE)('by %o', (who) => {
      it.each([
        ['GET', '304', true],
        ['HEAD', '304', true],
        ['HEAD', '200', false],
      ])('E73: a %s answered %s brings nothing of its own', async (method, _status, knows) => {
        const { server, clock } = await serve((asked) => page(asked, knows, who['cookie'] === undefined), { ttl: 10 })
        await server.get('/')
        clock.advance(20_000)
        await server.get('/', who, method)
        expect((await server.get('/')).headers['x-account']).toBeUndefined()
      })
    })

    describe.each([...ALICE, ...(edge.anonymous ? [] : [{ 'x-alice': 'signs in' }])])('by %o', (who) => {
      it.each([
        ['GET', 200],
        ['GET', 404],
        ['HEAD', 200],
      ])('E73, E84: a %s answered %d leaves alone what all are given', async (method, status) => {
        let down = false
        const { server, clock } = await serve(
          ({ headers, signIn }) => {
            const name = headers['authorization'] ?? headers['cookie'] ?? headers['x-alice']
            if (headers['x-alice'] !== undefined) signIn({ name })
            if (down) return { status: 503 }
            if (name === undefined) return { headers: { 'Content-Length': '8' }, body: 'the page' }
            return { status, headers: { 'Content-Length': '16' }, body: 'the page, Alice!' }
          },
          { ttl: 10, staleIfError: 600 },
        )
        await server.get('/')
        clock.advance(20_000)
        const hers = await server.get('/', who, method)
        expect([hers.status, hers.headers['content-length']]).toEqual([status, '16'])
        down = true
        const others = await server.get('/')
        expect([others.status, others.text]).toEqual([200, 'the page'])
      })

      it('E73: Content-Location of her 304 is hers, and a 304 about something else takes nothing away', async () => {
        let etag = '"v1"'
        const { server, clock } = await serve(
          ({ headers, signIn }) => {
            const known = headers['authorization'] ?? headers['cookie'] ?? headers['x-alice']
            if (headers['x-alice'] !== undefined) signIn({ name: 'alice' })
            const fields = {
              ETag: known === undefined ? '"v1"' : etag,
              'Content-Location': known === undefined ? '/' : '/of-alice',
              ...('authorization' in who && known === undefined && { 'Cache-Control': 'public, max-age=10' }),
            }
            if (headers['if-none-match'] !== undefined) return { status: 304, headers: fields }
            return { headers: fields, body: 'the page' }
          },
          { ttl: 10, staleIfError: 600 },
        )
        await server.get('/')
        clock.advance(20_000)
        await server.get('/', who)
        expect((await server.get('/')).headers['content-location']).toBe('/')
        clock.advance(20_000)
        etag = '"v2"'
        await server.get('/', who)
        const after = await server.get('/')
        expect([after.text, after.headers['cache-status']]).toEqual([
          'the page',
          expect.stringContaining('fwd-status=304'),
        ])
      })
    })

    it('E77: Clear-Site-Data of a 304 reaches its own visitor, and nobody else', async () => {
      const { server, clock } = await serve(
        ({ headers }) => {
          const fields = { ETag: '"v1"', ...(headers['x-logout'] && { 'Clear-Site-Data': '"cookies"' }) }
          return headers['if-none-match'] ? { status: 304, headers: fields } : { headers: fields, body: 'page' }
        },
        { ttl: 10 },
      )
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/', { 'x-logout': '1' })).headers['clear-site-data']).toBe('"cookies"')
      expect((await server.get('/')).headers['clear-site-data']).toBeUndefined()
    })
  })
}

it('node: a cookie set in front is sent once with a 304', async () => {
  const clock = new FakeClock()
  let n = 0
  const handler = responseCache({ clock, ttl: 10 }).wrap((request, response) => {
    response.setHeader('ETag', '"v1"')
    if (n > 1) response.appendHeader('Set-Cookie', 'own=1')
    response.statusCode = request.headers['if-none-match'] ? 304 : 200
    response.end(response.statusCode === 200 ? 'page' : undefined)
  })
  const server = await listen((request, response) => {
    if (++n > 1) response.setHeader('Set-Cookie', `front=${n}`)
    void handler(request, response)
  })
  await server.get('/')
  clock.advance(20_000)
  expect((await server.get('/')).headers['set-cookie']).toEqual(['front=2', 'own=1'])
  await server.close()
})
it.each([true, false])('hono: a cookie set in front is sent once with a 304 (app %s)', async (withApp) => {
  const clock = new FakeClock()
  let n = 0
  const app = new Hono()
  app.use(async (c, next) => {
    if (++n > 1) c.header('Set-Cookie', `front=${n}`)
    await next()
  })
  app.use(honoCache({ clock, ttl: 10, ...(withApp && { app }) }))
  app.get('/', (c) => {
    c.header('ETag', '"v1"')
    if (n > 1) c.header('Set-Cookie', 'own=1', { append: true })
    return c.req.raw.headers.has('if-none-match') ? c.body(null, 304) : c.text('page')
  })
  await app.request('/')
  clock.advance(20_000)
  expect((await app.request('/')).headers.getSetCookie().toSorted()).toEqual(['front=2', 'own=1'])
})
