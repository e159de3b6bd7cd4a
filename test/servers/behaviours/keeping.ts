/** What is kept, and how it is answered (CHECKLIST 249, 250, 252-254, 259; feature M2). */
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { ServerCacheOptions } from '../../../src/servers/options.ts'
import type { Edge } from '../edges.ts'
import { benches, FRESH } from './bench.ts'

export function keeping(edge: Edge): void {
  const { name } = edge
  describe(`${name}: keeping and answering`, () => {
    const { serve } = benches(edge)

    it('249, 250, 254: what says for how long is kept: status, every header line, bytes; Age, Date and Cache-Status are said', async () => {
      let runs = 0
      const body = Buffer.from([0, 255, 1, 128, 10])
      const headers = { ...FRESH, 'X-A': 'b', Link: ['<a>', '<b>'], 'Content-Type': 'x/y' }
      const { server, clock } = await serve(() => {
        runs++
        return { status: 203, headers, body }
      })
      const first = await server.get('/a?b=1')
      clock.advance(5000)
      const second = await server.get('/a?b=1')
      expect(runs).toBe(1)
      for (const answer of [first, second]) {
        const { status, headers: said, body: bytes } = answer
        expect([status, said['x-a'], said['link'], said['content-type'], bytes]).toEqual([
          203,
          'b',
          '<a>, <b>',
          'x/y',
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

    it('249: keys tell host, path and query apart', async () => {
      let runs = 0
      const { server } = await serve(({ method, headers }) => ({
        headers: FRESH,
        body: `${headers['host'] ?? headers[':authority']} ${method} ${++runs}`,
      }))
      await server.get('/x', { host: 'a.test' })
      await server.get('/x', { host: 'b.test' })
      await server.get('/x/', { host: 'a.test' })
      await server.get('/X', { host: 'a.test' })
      expect(runs).toBe(4)
      expect((await server.get('/x', { host: 'a.test' })).text).toBe('a.test GET 1')
    })

    it('249: HEAD is answered from a stored GET, with its length', async () => {
      let runs = 0
      const { server } = await serve(() => {
        runs++
        return { headers: FRESH, body: 'hello' }
      })
      await server.get('/')
      const head = await server.get('/', {}, 'HEAD')
      expect([runs, head.status, head.headers['content-length'], head.text]).toEqual([1, 200, '5', ''])
    })

    it('253: a 304 has no length, asked for by GET or by HEAD', async () => {
      const { server } = await serve(() => ({
        headers: { ...FRESH, ETag: '"v1"', 'Content-Length': '5' },
        body: 'hello',
      }))
      await server.get('/')
      for (const method of ['GET', 'HEAD']) {
        const { status, headers } = await server.get('/', { 'if-none-match': '"v1"' }, method)
        expect([method, status, headers['content-length'], headers['etag']]).toEqual([method, 304, undefined, '"v1"'])
      }
    })

    it('a HEAD on a miss goes to the handler, and leaves no empty GET behind', async () => {
      const { server } = await serve(() => ({ headers: FRESH, body: 'hello' }))
      const head = await server.get('/', {}, 'HEAD')
      expect([head.status, head.text]).toEqual([200, ''])
      expect((await server.get('/')).text).toBe('hello')
    })

    it('252: ttl keeps what says nothing; the response has the last word; a route can be left out', async () => {
      let runs = 0
      const { server } = await serve(
        ({ path }) => ({
          ...(path === '/own' && { headers: { 'Cache-Control': 'max-age=1' } }),
          body: `run ${++runs}`,
        }),
        { ttl: 60, routes: { '*/never': { enabled: false }, '*/long': '1h' } },
      )
      const twice = async (path: string): Promise<boolean> =>
        (await server.get(path)).text === (await server.get(path)).text
      expect([await twice('/long'), await twice('/never'), await twice('/other')]).toEqual([true, false, true])
      expect((await server.get('/own')).headers['cache-control']).toBe('max-age=1')
    })

    it('253: a missing ETag is made, the same everywhere, and answered with 304 without the handler; a range of what is stored is a 206', async () => {
      let runs = 0
      const { server } = await serve(() => {
        runs++
        return { headers: FRESH, body: '0123456789' }
      })
      const { etag = '' } = (await server.get('/')).headers
      expect(etag).toBe('"hNiYd_DUBB77a_kaFvAkjy_Vc-a"')
      expect((await server.get('/')).headers.etag).toBe(etag)
      for (const wanted of [`"other", ${etag}`, `W/${etag}`, '*']) {
        const unchanged = await server.get('/', { 'if-none-match': wanted })
        expect([unchanged.status, unchanged.text, unchanged.headers.etag]).toEqual([304, '', etag])
      }
      expect((await server.get('/', { 'if-none-match': '"other"' })).status).toBe(200)
      const part = await server.get('/', { range: 'bytes=2-4', 'if-range': etag })
      expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10'])
      expect((await server.get('/', { range: 'bytes=99-' })).status).toBe(416)
      expect(runs).toBe(1)
    })

    it('a condition on a miss is answered from what the handler makes, and that is stored whole', async () => {
      let runs = 0
      const { server } = await serve(({ headers }) => {
        runs++
        expect(headers['if-none-match']).toBeUndefined()
        return { headers: { ...FRESH, ETag: '"v1"' }, body: 'hello' }
      })
      const first = await server.get('/', { 'if-none-match': '"v1"' })
      expect([first.status, first.phrase, first.text]).toEqual([304, 'Not Modified', ''])
      expect((await server.get('/')).text).toBe('hello')
      expect(runs).toBe(1)
    })

    it('253: If-Match and If-Unmodified-Since are for the handler to judge, whatever is stored (RFC 9111 section 4.3.2)', async () => {
      let runs = 0
      const { server } = await serve(({ headers }) => {
        runs++
        const wanted = headers['if-match'] ?? headers['if-unmodified-since']
        const status = wanted === undefined || wanted === '"v1"' ? 200 : 412
        return { status, headers: { ...FRESH, ETag: '"v1"' }, body: status === 200 ? 'hello' : '' }
      })
      const statuses = async (): Promise<number[]> => {
        const all = []
        for (const headers of [
          { 'if-match': '"v0"' },
          { 'if-match': '"v1"' },
          { 'if-match': '"v0"', range: 'bytes=0-1' },
          { 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' },
        ])
          all.push((await server.get('/', headers)).status)
        return all
      }
      expect(await statuses()).toEqual([412, 200, 412, 412])
      expect((await server.get('/')).headers['age']).toBeUndefined()
      expect(await statuses()).toEqual([412, 200, 412, 412])
      expect((await server.get('/', { 'if-match': '"v0"' }, 'HEAD')).status).toBe(412)
      expect((await server.get('/')).headers['cache-status']).toMatch(/; hit;/)
      expect(runs).toBe(10)
    })

    it('a range on a miss is the handler\u2019s own affair', async () => {
      const { server } = await serve(({ headers: { range } }) => ({
        status: range === undefined ? 200 : 206,
        headers: FRESH,
        body: range ?? 'whole',
      }))
      expect((await server.get('/', { range: 'bytes=0-1' })).text).toBe('bytes=0-1')
      expect((await server.get('/')).text).toBe('whole')
    })

    it('so is one on a miss of a variant, though another is stored', async () => {
      const { server } = await serve(({ headers: { range, 'x-lang': lang } }) => ({
        status: range === undefined ? 200 : 206,
        headers: { ...FRESH, Vary: 'X-Lang' },
        body: `${lang} ${range ?? 'whole'}`,
      }))
      const get = async (lang: string, range?: string): Promise<string> =>
        (await server.get('/', { 'x-lang': lang, ...(range === undefined ? {} : { range }) })).text
      expect(await get('de')).toBe('de whole')
      expect(await get('en', 'bytes=0-1')).toBe('en bytes=0-1')
      expect(await get('de', 'bytes=0-1')).toBe('de')
      expect(await get('en')).toBe('en whole')
      expect(await get('en', 'bytes=0-1')).toBe('en')
    })

    it('no-store beside must-understand is kept as any other, after many that were not, too (RFC 9111 section 5.2.2.3)', async () => {
      let control = 'no-store'
      const { server } = await serve(() => ({ headers: { 'Cache-Control': control }, body: 'body' }))
      for (let n = 0; n < 20; n++) await server.get('/')
      control = 'must-understand, no-store, max-age=60'
      for (let n = 0; n < 2; n++) await server.get('/')
      const { headers } = await server.get('/')
      expect([headers['cache-status'], headers.etag]).toEqual([
        expect.stringContaining('; hit;'),
        expect.stringMatching(/^"[\w-]{27}"$/),
      ])
    })

    it('a weak tag that two codings share hands nobody the other coding (RFC 9110 section 8.8.1)', async () => {
      const { server } = await serve(({ headers }) => {
        const said = { ...FRESH, Vary: 'Accept-Encoding', ETag: 'W/"1"' }
        if (headers['if-none-match'] !== undefined) return { status: 304, headers: said, body: '' }
        if (headers['accept-encoding'] !== 'gzip') return { headers: said, body: 'plain' }
        return { headers: { ...said, 'Content-Encoding': 'gzip' }, body: gzipSync('zipped') }
      })
      expect((await server.get('/', { 'accept-encoding': 'gzip' })).body).toEqual(gzipSync('zipped'))
      for (const what of ['miss', 'hit']) {
        const { text, headers } = await server.get('/', { 'accept-encoding': 'identity' })
        expect([what, text, headers['content-encoding']]).toEqual([what, 'plain', undefined])
      }
    })

    it('compressed bodies are variants, by the meaning of Accept-Encoding', async () => {
      let runs = 0
      const { server } = await serve(({ headers }) => {
        runs++
        const said = { ...FRESH, Vary: 'Accept-Encoding' }
        if (!String(headers['accept-encoding']).includes('gzip')) return { headers: said, body: 'plain' }
        return { headers: { ...said, 'Content-Encoding': 'gzip' }, body: gzipSync('zipped') }
      })
      const zipped = await server.get('/', { 'accept-encoding': 'gzip, deflate' })
      expect(zipped.body).toEqual(gzipSync('zipped'))
      expect((await server.get('/', { 'accept-encoding': 'DEFLATE,gzip;q=1' })).body).toEqual(zipped.body)
      expect((await server.get('/', { 'accept-encoding': 'identity' })).text).toBe('plain')
      expect(runs).toBe(2)
    })

    it('259: visitors do not make the handler run, unless requestDirectives lets them', async () => {
      const runsOf = async (options: ServerCacheOptions): Promise<number[]> => {
        let runs = 0
        const { server, clock } = await serve(() => ({ headers: FRESH, body: `run ${++runs}` }), options)
        const seen: number[] = []
        for (const value of ['', 'no-cache', 'max-age=0']) {
          await server.get('/', value === '' ? {} : { 'cache-control': value })
          clock.advance(1000)
          seen.push(runs)
        }
        return seen
      }
      expect(await runsOf({})).toEqual([1, 1, 1])
      expect(await runsOf({ requestDirectives: true })).toEqual([1, 2, 3])
    })

    it('only-if-cached with nothing stored is a 504, where request directives count', async () => {
      let runs = 0
      const { server } = await serve(() => ({ headers: FRESH, body: `run ${++runs}` }), { requestDirectives: true })
      const answer = await server.get('/', { 'cache-control': 'only-if-cached' })
      expect([answer.status, runs]).toEqual([504, 0])
    })
  })
}
