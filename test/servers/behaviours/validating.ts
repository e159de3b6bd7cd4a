/** A stale answer is validated where its handler knows conditions (RFC 9111 section 4.3; feature M2). */
import { describe, expect, it } from 'vitest'
import { until } from '../../engine/support.ts'
import type { ServerCacheOptions } from '../../../src/servers/options.ts'
import type { Edge } from '../edges.ts'
import type { Answer, Asked, Said } from '../support.ts'
import { benches } from './bench.ts'

const KEPT = { 'Cache-Control': 'max-age=10', 'Content-Type': 'text/plain' }

export function validating(edge: Edge): void {
  confirming(edge)
  unsharing(edge)
}

function confirming(edge: Edge): void {
  const { name, waits } = edge
  describe(`${name}: validating what is stored`, () => {
    const { serve } = benches(edge)

    /** A page of one version, and what its handler was asked. */
    function page(etag: string): { asked: (string | undefined)[]; handler: (asked: Asked) => Said } {
      const asked: (string | undefined)[] = []
      const handler = ({ headers }: Asked): Said => {
        const condition = headers['if-none-match']
        asked.push(condition)
        const said = { ...KEPT, ETag: etag, 'X-Run': String(asked.length) }
        return condition === etag ? { status: 304, headers: said } : { headers: said, body: 'the page' }
      }
      return { asked, handler }
    }

    it('M2: a handler that says 304 keeps the stored answer, and its visitor gets the whole', async () => {
      const { asked, handler } = page('"v1"')
      const { server, clock } = await serve(handler, {})
      await server.get('/')
      clock.advance(20_000)
      const validated = await server.get('/', { 'If-None-Match': '"theirs"' })
      expect([validated.status, validated.text, validated.headers['x-run']]).toEqual([200, 'the page', '2'])
      const hit = await server.get('/')
      expect([hit.text, hit.headers['x-run'], hit.headers.age]).toEqual(['the page', '2', '0'])
      expect(asked).toEqual([undefined, '"v1"'])
    })

    it('M2: the visitor\u2019s own condition is answered from what was validated', async () => {
      const { asked, handler } = page('"v1"')
      const { server, clock } = await serve(handler, {})
      await server.get('/')
      clock.advance(20_000)
      const same = await server.get('/', { 'If-None-Match': '"v1"' })
      expect([same.status, same.text]).toEqual([304, ''])
      clock.advance(20_000)
      const part = await server.get('/', { Range: 'bytes=4-7' })
      expect([part.status, part.text]).toEqual([206, 'page'])
      expect(asked).toEqual([undefined, '"v1"', '"v1"'])
    })

    it('M2: a 304 that fits nothing stored updates nothing, and the next visitor gets the whole anew', async () => {
      const asked: (string | undefined)[] = []
      const { server, clock } = await serve(({ headers }) => {
        const condition = headers['if-none-match']
        asked.push(condition)
        if (condition !== undefined) return { status: 304, headers: { ...KEPT, ETag: '"v2"' } }
        return { headers: { ...KEPT, ETag: `"v${asked.length}"` }, body: 'the page' }
      }, {})
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/')).text).toBe('the page')
      expect((await server.get('/')).text).toBe('the page')
      expect(asked).toEqual([undefined, '"v1"', undefined])
    })

    it('M2, M4: stale-while-revalidate is content with a 304', async () => {
      const { asked, handler } = page('"v1"')
      const { server, clock } = await serve(handler, { staleWhileRevalidate: 600 })
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/')).text).toBe('the page')
      await until(() => asked.length === 2)
      await until(async () => (await server.get('/')).headers.age === '0')
      expect((await server.get('/')).text).toBe('the page')
      expect(asked).toEqual([undefined, waits ? undefined : '"v1"'])
    })

    it('M2: of an ETag that is ours the handler hears nothing', async () => {
      const asked: (string | undefined)[] = []
      const { server, clock } = await serve(({ headers }) => {
        asked.push(headers['if-none-match'])
        return { headers: KEPT, body: 'the page' }
      }, {})
      expect((await server.get('/')).headers.etag).toBeDefined()
      clock.advance(20_000)
      expect((await server.get('/')).text).toBe('the page')
      expect(asked).toEqual([undefined, undefined])
    })
  })
}

/** A page whose handler greets who is known, and hands out what a visitor asks of it by a field. */
function greeting(control?: string): { asked: (string | undefined)[]; handler: (asked: Asked) => Said } {
  const asked: (string | undefined)[] = []
  const handler = ({ headers, signIn }: Asked): Said => {
    const { 'x-user': user, cookie, 'x-give': give, 'x-given': given = '' } = headers
    asked.push(headers['if-none-match'])
    if (user !== undefined) signIn({ name: user })
    const who = user ?? cookie
    const said = {
      'Content-Type': 'text/plain',
      ETag: '"v1"',
      ...(who !== undefined && { 'X-Account': who, Link: `</inbox/${who}>; rel=inbox`, 'X-Kept': who }),
      ...(who === undefined && { 'X-Kept': 'by all' }),
      ...(who !== undefined && control !== undefined && { 'Cache-Control': control }),
      ...(give !== undefined && { [give]: given.split('|') }),
    }
    return headers['if-none-match'] === '"v1"' ? { status: 304, headers: said } : { headers: said, body: 'the page' }
  }
  return { asked, handler }
}

/** What there is of a visitor in an answer. */
const traces = ({ headers }: Answer): unknown[] => [
  headers['x-account'],
  headers['link'],
  headers['x-kept'],
  headers['set-cookie'],
  headers['clear-site-data'],
]
const NONE = [undefined, undefined, 'by all', undefined, undefined]

/** A 304 is one visitor's answer, the entry it renews is everybody's (feature M3, RFC 9110 section 15.4.5). */
function unsharing(edge: Edge): void {
  const { name, waits, anonymous } = edge
  describe(`${name}: what a 304 brings to others`, () => {
    const { serve } = benches(edge)
    const known: [string, Record<string, string>][] = [
      ['a cookie', { cookie: 'sid=alice' }],
      ...(anonymous === true ? [] : [['a user', { 'x-user': 'alice' }] as [string, Record<string, string>]]),
    ]

    it.each(known)('M3: one to %s brings no fields of its own into what all get, but renews it', async (_, who) => {
      const { asked, handler } = greeting()
      const { server, clock } = await serve(handler, { ttl: 10 })
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/', who)).text).toBe('the page')
      const hit = await server.get('/')
      expect([hit.text, hit.headers.age, ...traces(hit)]).toEqual(['the page', '0', ...NONE])
      expect(asked).toEqual([undefined, '"v1"'])
    })

    it.each(known)('M3: one to %s says of the answer what any may: for how long it is good', async (_, who) => {
      const { asked, handler } = greeting('max-age=600')
      const { server, clock } = await serve(handler, { ttl: 10 })
      await server.get('/')
      clock.advance(20_000)
      await server.get('/', who)
      clock.advance(500_000)
      const hit = await server.get('/')
      expect([hit.headers['cache-control'], hit.headers.age, ...traces(hit)]).toEqual(['max-age=600', '500', ...NONE])
      expect(asked).toHaveLength(2)
    })

    it.each(known)('M3, M4: nor does one to %s whose visit refreshes a stale answer', async (_, who) => {
      const { asked, handler } = greeting()
      const { server, clock } = await serve(handler, { ttl: 10, staleWhileRevalidate: 600 })
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/', who)).text).toBe('the page')
      await until(() => asked.length >= 2)
      await until(async () => (await server.get('/')).headers.age === '0')
      expect(traces(await server.get('/'))).toEqual(NONE)
      expect(asked.slice(0, 2)).toEqual([undefined, waits ? undefined : '"v1"'])
    })

    it.each(known)('M3: where the route says that users share, one to %s counts as a whole', async (_, who) => {
      const { handler } = greeting()
      const { server, clock } = await serve(handler, { ttl: 10, allowUsers: true })
      await server.get('/')
      clock.advance(20_000)
      await server.get('/', who)
      const [alice] = Object.values(who)
      expect((await server.get('/')).headers['x-account']).toBe(alice)
    })

    it.each<[string, string[], ServerCacheOptions]>([
      ['Clear-Site-Data', ['"cookies"'], {}],
      ['Set-Cookie', ['sid=new; HttpOnly', 'b=2'], {}],
      ['Set-Cookie', ['sid=new; HttpOnly', 'b=2'], { setCookie: 'strip' }],
      ['Set-Cookie', ['sid=new; HttpOnly', 'b=2'], { setCookie: 'store' }],
      ['Set-Cookie', ['sid=new; HttpOnly', 'b=2'], { allowUsers: true }],
    ])(
      'row 248, R4: the %s %o of one is never stored, and the entry stays, under %o',
      async (field, lines, options) => {
        const { asked, handler } = greeting()
        const { server, clock } = await serve(handler, { ttl: 10, ...options })
        await server.get('/')
        clock.advance(20_000)
        expect((await server.get('/', { 'x-give': field, 'x-given': lines.join('|') })).text).toBe('the page')
        for (const age of ['0', '5']) {
          const hit = await server.get('/')
          expect([hit.text, hit.headers.age, ...traces(hit)]).toEqual(['the page', age, ...NONE])
          clock.advance(5000)
        }
        expect(asked).toEqual([undefined, '"v1"'])
      },
    )

    it('M3: a session prolonged by one is its visitor\u2019s, whole or 304, and not of those who waited with it', async () => {
      const { asked, handler } = greeting()
      const held = Promise.withResolvers<void>()
      const { server, clock } = await serve(
        async (visit) => {
          const said = handler(visit)
          if (asked.length === 2) await held.promise
          return said
        },
        { ttl: 10 },
      )
      await server.get('/')
      clock.advance(20_000)
      const roll = { 'x-give': 'Set-Cookie', 'x-given': 'sid=new; HttpOnly|b=2' }
      const first = server.get('/', roll)
      await until(() => asked.length === 2)
      const others = Array.from({ length: 5 }, () => server.get('/'))
      held.resolve()
      const [own, ...rest] = await Promise.all([first, ...others])
      expect([own.status, own.text, own.headers['set-cookie']]).toEqual([200, 'the page', ['sid=new; HttpOnly', 'b=2']])
      for (const other of rest) expect([other.text, ...traces(other)]).toEqual(['the page', ...NONE])
      expect(asked).toHaveLength(2)
      clock.advance(20_000)
      const same = await server.get('/', { ...roll, 'If-None-Match': '"v1"' })
      expect([same.status, same.text, same.headers['set-cookie']]).toEqual([304, '', ['sid=new; HttpOnly', 'b=2']])
      expect(traces(await server.get('/'))).toEqual(NONE)
      expect(asked).toEqual([undefined, '"v1"', '"v1"'])
    })
  })
}
