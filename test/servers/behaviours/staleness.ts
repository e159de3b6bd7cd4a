/** Many visitors, stale answers and failing handlers (CHECKLIST 255; feature M4). */
import { request as httpRequest } from 'node:http'
import { describe, expect, it } from 'vitest'
import { until } from '../../engine/support.ts'
import type { Edge } from '../edges.ts'
import { pieces } from '../support.ts'
import { benches, breaking } from './bench.ts'

export function staleness(edge: Edge): void {
  const { name, waits } = edge
  describe(`${name}: many visitors, and stale answers`, () => {
    const { serve } = benches(edge)

    it('255, D59: many visitors of a cold page run the handler once', async () => {
      let runs = 0
      const { server } = await serve(
        async () => {
          runs++
          await new Promise((resolve) => setTimeout(resolve, 50))
          return { body: 'page' }
        },
        { ttl: 60 },
      )
      const answers = await Promise.all(Array.from({ length: 200 }, () => server.get('/')))
      expect(runs).toBe(1)
      expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['page']))
    })

    it('D63, M4: stale-while-revalidate answers at once and runs the handler behind the visitors\u2019 backs', async () => {
      let runs = 0
      const second = Promise.withResolvers<void>()
      const { server, clock } = await serve(
        async () => {
          const run = ++runs
          if (run > 1) await second.promise
          return { headers: { 'X-Run': String(run) }, body: pieces('run ', String(run)) }
        },
        { ttl: 10, staleWhileRevalidate: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      const first = server.get('/')
      if (waits !== true) await first
      else await until(() => runs === 2)
      const others = await Promise.all(Array.from({ length: 20 }, () => server.get('/')))
      expect(new Set(others.map(({ text }) => text))).toEqual(new Set(['run 1']))
      expect(others[0]?.headers['cache-status']).toMatch(/hit; ttl=-10/)
      await until(() => runs === 2)
      second.resolve()
      expect((await first).text).toBe(waits ? 'run 2' : 'run 1')
      await until(async () => (await server.get('/')).text === 'run 2')
      const fresh = await server.get('/')
      expect([fresh.headers['x-run'], fresh.headers.age]).toEqual(['2', '0'])
      expect(runs).toBe(2)
    })

    it.each([
      [
        's-maxage, whatever stands beside it',
        { 'Cache-Control': 'max-age=1, s-maxage=10, stale-while-revalidate=600' },
        {},
        2,
      ],
      ['s-maxage, whatever the options say', { 'Cache-Control': 's-maxage=10' }, { staleWhileRevalidate: 600 }, 2],
      ['not CDN-Cache-Control', { 'CDN-Cache-Control': 'max-age=10, stale-while-revalidate=600' }, {}, 1],
      [
        'not a ttl that beats it',
        { 'Cache-Control': 's-maxage=10' },
        { ttl: 10, override: true, staleWhileRevalidate: 600 },
        1,
      ],
    ] as const)('what forbids stale answers (RFC 9111 section 5.2.2.10): %s', async (_what, headers, options, run) => {
      let runs = 0
      const { server, clock } = await serve(() => ({ headers, body: `run ${++runs}` }), options)
      await server.get('/')
      clock.advance(20_000)
      expect((await server.get('/')).text).toBe(`run ${waits ? 2 : run}`)
      await until(() => runs === 2)
    })

    it('a refresh goes on when its visitor leaves', async () => {
      let runs = 0
      const second = Promise.withResolvers<void>()
      const { server, clock } = await serve(
        async () => {
          const run = ++runs
          if (run > 1) await second.promise
          return { headers: { 'Content-Type': 'text/plain' }, body: pieces(`run ${run}, `, 'the end') }
        },
        { ttl: 10, staleWhileRevalidate: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      await new Promise<void>((resolve) => {
        const asked = httpRequest(`${server.url}/`, { agent: false }, (response) => {
          response.once('data', () => asked.destroy())
        })
        asked.on('error', () => undefined)
        asked.on('close', () => resolve())
        asked.end()
        if (waits) void until(() => runs === 2).then(() => asked.destroy())
      })
      await until(() => runs === 2)
      second.resolve()
      await until(async () => (await server.get('/')).text === 'run 2, the end')
      expect(runs).toBe(2)
    })

    it.each(['too long to be stored', 'not to be stored'])(
      'a refresh that is %s is not read on for nobody',
      async (what) => {
        let runs = 0
        let begun = false
        let left = false
        const endless = async function* (): AsyncGenerator<string> {
          begun = true
          try {
            for (;;) {
              yield 'x'.repeat(1000)
              await new Promise((resolve) => setImmediate(resolve))
            }
          } finally {
            left = true
          }
        }
        const { server, clock } = await serve(
          () => {
            const headers = { 'Content-Type': 'text/plain' }
            if (++runs === 1) return { headers, body: 'run 1' }
            return {
              headers: what === 'not to be stored' ? { ...headers, 'Cache-Control': 'no-store' } : headers,
              body: endless(),
            }
          },
          { ttl: 10, staleWhileRevalidate: 600, maxEntrySize: 10_000 },
        )
        await server.get('/')
        clock.advance(20_000)
        if (waits) {
          // Who waits for it reads it; it ends with him.
          const asked = httpRequest(`${server.url}/`, { agent: false }, (response) => {
            response.once('data', () => asked.destroy())
          })
          asked.on('error', () => undefined)
          asked.end()
        } else expect((await server.get('/')).text).toBe('run 1')
        await until(() => runs === 2 && (left || !begun))
      },
    )

    it('a refresh that fails midway leaves what was there', async () => {
      let runs = 0
      const { server, clock } = await serve(
        () => {
          const run = ++runs
          return { headers: { 'Content-Type': 'text/plain' }, body: run === 2 ? breaking('run 2, ') : `run ${run}` }
        },
        { ttl: 10, staleWhileRevalidate: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      // Who has to wait sees it break off.
      const first = await server.get('/').catch(() => null)
      if (waits !== true) expect(first?.text).toBe('run 1')
      await until(() => runs === 2)
      expect((await server.get('/')).text).toBe('run 1')
      await until(async () => {
        // The next attempt waits a little.
        clock.advance(1000)
        return (await server.get('/')).text === 'run 3'
      })
    })

    it('M4: stale-if-error takes the place of a 5xx, with nothing of the failure in it', async () => {
      let runs = 0
      const { server, clock } = await serve(
        () => (++runs === 1 ? { body: 'good' } : { status: 503, headers: { 'X-Trouble': 'yes' }, body: 'down' }),
        { ttl: 10, staleIfError: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      const answer = await server.get('/')
      expect([runs, answer.status, answer.phrase, answer.text]).toEqual([2, 200, 'OK', 'good'])
      expect(answer.headers['x-trouble']).toBeUndefined()
      clock.advance(700_000)
      const down = await server.get('/')
      expect([down.status, down.text, down.headers['x-trouble']]).toEqual([503, 'down', 'yes'])
    })

    it('255: what a handler throws is an error of the framework\u2019s, or a stale answer where there is one', async () => {
      let runs = 0
      const { server, clock } = await serve(
        () => {
          if (++runs > 1) throw new Error('broken')
          return { body: 'good' }
        },
        { ttl: 10, staleIfError: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      const answer = await server.get('/')
      expect([runs, answer.status, answer.text]).toEqual([2, 200, 'good'])
      for (const run of [3, 4]) expect([(await server.get('/other')).status, runs]).toEqual([500, run])
    })
  })
}
