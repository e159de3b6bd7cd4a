/** What is not kept (CHECKLIST 251; features R4 and M3). */
import { describe, expect, it } from 'vitest'
import type { ServerCacheOptions } from '../../../src/servers/options.ts'
import type { Edge } from '../edges.ts'
import { type Handler, type Said } from '../support.ts'
import { benches, FRESH } from './bench.ts'

export function refusing(edge: Edge): void {
  const { name, anonymous } = edge
  describe(`${name}: what is not kept`, () => {
    const { serve } = benches(edge)

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
    ])('R4, 251: %s is not kept, and reaches the visitor unchanged', async (what, headers, asked, status = 200) => {
      let runs = 0
      const options = what.includes('ttl') || status === 404 ? { ttl: 60 } : {}
      const { server } = await serve(() => ({ status, headers, body: `run ${++runs}` }), options)
      for (const run of [1, 2, 3]) {
        const answer = await server.get('/', asked)
        expect([answer.status, answer.text]).toEqual([status, `run ${run}`])
        if (headers['Set-Cookie']) expect(answer.headers['set-cookie']).toEqual(['a=1', 'b=2'])
      }
    })

    it('M3: an answer to a cookie under ttl is kept only where the route says so', async () => {
      const runsOf = async (options: ServerCacheOptions): Promise<number> => {
        let runs = 0
        const { server } = await serve(() => ({ body: `run ${++runs}` }), { ttl: 60, ...options })
        for (let n = 0; n < 2; n++) await server.get('/', { cookie: 'sid=1' })
        return runs
      }
      expect([await runsOf({}), await runsOf({ allowUsers: true })]).toEqual([2, 1])
    })

    if (anonymous !== true) {
      it('M3: an answer to a known user is kept only where the route says so', async () => {
        const runsOf = async (options: ServerCacheOptions): Promise<number> => {
          let runs = 0
          const said = (): Said => ({ body: `run ${++runs}` })
          const { server } = await serve(
            ({ signIn }) => {
              signIn({ name: 'alice' })
              return said()
            },
            { ttl: 60, ...options },
          )
          for (let n = 0; n < 2; n++) await server.get('/')
          return runs
        }
        expect([await runsOf({}), await runsOf({ allowUsers: true })]).toEqual([2, 1])
      })
    }

    it('E85: who says who asks in a field of its own gets their own answer, by GET and by HEAD', async () => {
      const { server } = await serve(
        ({ headers }) => {
          const who = headers['x-api-key'] ?? headers['x-auth-token'] ?? 'nobody'
          return { headers: { ETag: `"${who}"` }, body: `for ${who}` }
        },
        { ttl: 60 },
      )
      const asked = [
        {},
        { 'x-api-key': 'alice' },
        { 'x-api-key': 'bob' },
        { 'x-auth-token': 'carol' },
        { 'x-api-key': 'alice' },
      ]
      for (const round of [1, 2]) {
        for (const headers of asked as Record<string, string>[]) {
          const who = Object.values(headers)[0] ?? 'nobody'
          const answer = await server.get('/', headers)
          expect([round, answer.text]).toEqual([round, `for ${who}`])
          expect((await server.get('/', headers, 'HEAD')).headers.etag).toBe(`"${who}"`)
          expect((await server.get('/', { ...headers, range: 'bytes=4-' })).text).toBe(who)
        }
      }
    })

    it.each([
      ['max-age=60', false],
      ['', false],
      ['max-age=60, public', true],
      ['s-maxage=60', true],
      ['max-age=60, must-revalidate', true],
      ['max-age=60, public=x', false],
      ['s-maxage=abc, max-age=60', false],
    ])(
      'E73: what an anonymous visitor was told with `%s` answers who carries Authorization: %s',
      async (control, given) => {
        let runs = 0
        const { server } = await serve(
          ({ headers }) => ({
            ...(control !== '' && { headers: { 'Cache-Control': control } }),
            body: `${headers['authorization'] ?? 'nobody'} ${++runs}`,
          }),
          { ttl: 60, staleWhileRevalidate: 60 },
        )
        const authorization = 'Bearer a'
        expect((await server.get('/')).text).toBe('nobody 1')
        expect((await server.get('/', { authorization })).text).toBe(given ? 'nobody 1' : 'Bearer a 2')
        expect((await server.get('/', { authorization })).text).toBe(given ? 'nobody 1' : 'Bearer a 3')
        expect((await server.get('/', { authorization }, 'HEAD')).status).toBe(200)
        expect((await server.get('/')).text).toBe(control.includes('abc') ? `nobody ${runs}` : 'nobody 1')
      },
    )

    it.each([401, 403])(
      'E86: a %i that an anonymous visitor was given is given to nobody who is known',
      async (status) => {
        let runs = 0
        const { server, cache } = await serve(({ headers }) => {
          const known = headers['cookie'] ?? headers['authorization']
          if (known !== undefined) return { headers: { 'Cache-Control': 'private' }, body: `page of ${known}` }
          return { status, headers: FRESH, body: `refused ${++runs}` }
        })
        for (const who of [{}, { cookie: 'sid=1' }, { authorization: 'Bearer a' }, {}] as Record<string, string>[]) {
          const [known] = Object.values(who)
          const answer = await server.get('/', who)
          expect([answer.status, answer.text]).toEqual(known ? [200, `page of ${known}`] : [status, 'refused 1'])
        }
        expect(cache.stats()).toMatchObject({ hits: 1 })
      },
    )

    it.each(['private', 'no-store', 'a cookie', 'a failure', 'a user', 'a token'])(
      'M2, M3: %s does not keep the next answer from being kept, nor do many of them for long',
      async (what) => {
        let own = true
        let runs = 0
        const { server } = await serve(
          ({ signIn }) => {
            const body = `run ${++runs}`
            if (!own) return { body }
            if (what === 'a user' && edge.anonymous !== true) signIn({ id: 1 })
            if (what === 'a failure') return { status: 500, body }
            if (what === 'a cookie') return { headers: { 'Set-Cookie': 'sid=1' }, body }
            return { headers: what === 'private' || what === 'no-store' ? { 'Cache-Control': what } : {}, body }
          },
          { ttl: 60 },
        )
        const theirs: Record<string, string> = what === 'a token' || edge.anonymous ? { authorization: 'Bearer a' } : {}
        await server.get('/', theirs)
        own = false
        for (const time of ['first', 'again']) expect([time, (await server.get('/')).text]).toEqual([time, 'run 2'])
        own = true
        for (let n = 0; n < 20; n++) expect((await server.get('/many', theirs)).text).toBe(`run ${n + 3}`)
        own = false
        const texts = []
        for (let n = 0; n < 4; n++) texts.push((await server.get('/many')).text)
        expect(texts[3]).toBe(texts[2])
      },
    )

    it('E73: nor does it where both ask at once', async () => {
      const { server } = await serve(
        async ({ headers }) => {
          await new Promise((resolve) => setTimeout(resolve, 30))
          return { body: headers['authorization'] ?? 'nobody' }
        },
        { ttl: 60 },
      )
      const asked = Array.from({ length: 8 }, (_, n) => (n % 2 === 0 ? {} : { authorization: `Bearer ${n}` }))
      const texts = (await Promise.all(asked.map((headers) => server.get('/', headers)))).map(({ text }) => text)
      expect(texts).toEqual(asked.map(({ authorization }) => authorization ?? 'nobody'))
    })

    it('a key that is not kept is asked about in full again once its answer may be shared', async () => {
      let runs = 0
      const { server } = await serve(() => ({
        headers: { 'Cache-Control': ++runs < 4 ? 'no-store' : 'max-age=60' },
        body: `run ${runs}`,
      }))
      const texts = []
      for (let n = 0; n < 7; n++) texts.push((await server.get('/')).text)
      expect(texts.slice(0, 3)).toEqual(['run 1', 'run 2', 'run 3'])
      expect(texts[6]).toBe(texts[5])
    })

    it('E-group: X-Forwarded-Host is no part of the key, and counts only behind a proxy', async () => {
      const say: Handler = ({ headers }) => ({ body: String(headers['x-forwarded-host']) })
      const { server } = await serve(say, { ttl: 60 })
      await server.get('/', { 'x-forwarded-host': 'evil.test' })
      expect((await server.get('/', { 'x-forwarded-host': 'other.test' })).text).toBe('evil.test')
      const trusting = await serve(say, { ttl: 60, trustProxy: true })
      await trusting.server.get('/', { 'x-forwarded-host': 'a.test' })
      expect((await trusting.server.get('/', { 'x-forwarded-host': 'b.test' })).text).toBe('b.test')
    })
  })
}
