/** A stale answer is validated where its handler knows conditions (RFC 9111 section 4.3; feature M2). */
import { describe, expect, it } from 'vitest'
import { until } from '../../engine/support.ts'
import type { Edge } from '../edges.ts'
import type { Asked, Said } from '../support.ts'
import { benches } from './bench.ts'

const KEPT = { 'Cache-Control': 'max-age=10', 'Content-Type': 'text/plain' }

export function validating(edge: Edge): void {
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
