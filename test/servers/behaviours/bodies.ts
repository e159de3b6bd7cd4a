/** Streams, broken bodies, and what one connection carries (CHECKLIST 256). */
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, it } from 'vitest'
import { until } from '../../engine/support.ts'
import type { Edge } from '../edges.ts'
import { onOneConnection, pieces, type Running } from '../support.ts'
import { benches, breaking, FRESH } from './bench.ts'

export function bodies(edge: Edge): void {
  const { name, waits } = edge
  describe(`${name}: bodies and connections`, () => {
    const { serve, open } = benches(edge)

    it('256, B45: a body in pieces, larger than any buffer, is stored as it passes and served whole', async () => {
      const piece = Buffer.alloc(64 * 1024, 'x')
      let runs = 0
      const { server } = await serve(() => {
        runs++
        return { headers: FRESH, body: pieces(...Array.from({ length: 40 }, () => piece)) }
      })
      expect((await server.get('/')).body.length).toBe(40 * piece.length)
      await until(async () => (await server.get('/')).headers.age !== undefined)
      const again = await server.get('/')
      expect(again.body.equals(Buffer.concat(Array.from({ length: 40 }, () => piece)))).toBe(true)
      expect(runs).toBeLessThanOrEqual(2)
    })

    it('256: a streamed answer passes as it comes, before it is whole', async () => {
      const rest = Promise.withResolvers<void>()
      const { server } = await serve(() => ({
        headers: { ...FRESH, 'Content-Type': 'text/plain' },
        body: (async function* () {
          yield 'first, '
          await rest.promise
          yield 'rest'
        })(),
      }))
      let seen = ''
      await new Promise<void>((resolve, reject) => {
        const asked = httpRequest(`${server.url}/`, { agent: false }, (response) => {
          response.on('data', (data: Buffer) => {
            seen += data.toString()
            // Only now does the handler go on.
            rest.resolve()
          })
          response.on('end', resolve)
        })
        asked.on('error', reject)
        asked.end()
      })
      expect(seen).toBe('first, rest')
      await until(async () => (await server.get('/')).headers.age !== undefined)
    })

    it('256: a visitor who has it already gets a 304 before the stream is whole, and the next one a hit', async () => {
      const rest = Promise.withResolvers<void>()
      let runs = 0
      const { server } = await serve(() => {
        runs++
        return {
          headers: { ...FRESH, ETag: '"v1"', 'Content-Type': 'text/plain' },
          body: (async function* () {
            yield 'first, '
            await rest.promise
            yield 'rest, '
            yield 'the end'
          })(),
        }
      })
      // Its connection stays: when that goes, too, Koa ends the stream.
      const visitor = onOneConnection(server)
      open.push(visitor)
      const same = await visitor.get('/', { 'If-None-Match': '"v1"' })
      expect([same.status, same.text, same.headers.etag]).toEqual([304, '', '"v1"'])
      rest.resolve()
      await until(async () => (await server.get('/')).headers.age !== undefined)
      expect([(await server.get('/')).text, runs]).toEqual(['first, rest, the end', 1])
    })

    it('an endless stream passes as it comes, and is not kept', async () => {
      let left = false
      const { server, cache } = await serve(() => ({
        headers: { 'Content-Type': 'text/event-stream' },
        body: (async function* () {
          try {
            for (let n = 1; ; n++) {
              yield `data: ${n}\n\n`
              await new Promise((resolve) => setTimeout(resolve, 10))
            }
          } finally {
            left = true
          }
        })(),
      }))
      const seen = await new Promise<string>((resolve, reject) => {
        const asked = httpRequest(`${server.url}/`, { agent: false }, (response) => {
          let text = ''
          response.on('data', (data: Buffer) => {
            text += data.toString()
            if (!text.includes('2')) return
            asked.destroy()
            resolve(text)
          })
          response.on('error', () => undefined)
        })
        asked.on('error', reject)
        asked.end()
      })
      expect(seen).toMatch(/^data: 1\n\ndata: 2\n\n/)
      await until(() => left)
      expect(cache.stats()?.stored).toBe(0)
    })

    it('a visitor who leaves mid-body leaves nothing behind, and the next gets a whole one', async () => {
      let runs = 0
      const never = new Promise<never>(() => undefined)
      const { server } = await serve(() => {
        const run = ++runs
        return {
          headers: { ...FRESH, 'Content-Type': 'text/plain' },
          body: (async function* () {
            yield 'first half, '
            if (run === 1) await never
            yield 'second half'
          })(),
        }
      })
      await new Promise<void>((resolve) => {
        const asked = httpRequest(`${server.url}/`, { agent: false }, (response) => {
          response.on('error', () => undefined)
          response.once('data', () => asked.destroy())
        })
        asked.on('error', () => undefined)
        asked.on('close', () => resolve())
        asked.end()
      })
      expect((await server.get('/')).text).toBe('first half, second half')
    })

    it('a body that breaks off is no answer: not stored, and nobody takes the part for the whole', async () => {
      let runs = 0
      const { server } = await serve(() => ({
        headers: { ...FRESH, 'Content-Type': 'text/plain' },
        body: ++runs === 1 ? breaking('first half, ') : 'whole',
      }))
      // Whoever has not begun to send may still say so with a 500.
      expect(['broken off', 500]).toContain(
        await server.get('/').then(
          ({ status }) => status,
          () => 'broken off',
        ),
      )
      expect((await server.get('/')).text).toBe('whole')
    })

    it('one connection carries misses, hits, 304s, ranges, stale answers, HEADs, purges and errors', async () => {
      let runs = 0
      const token = 'a-secret-of-sixteen'
      const { server, clock } = await serve(
        ({ path, method }) => {
          if (path === '/error') throw new Error('broken')
          return { body: method === 'POST' ? 'saved' : `run ${++runs}` }
        },
        { ttl: 10, staleWhileRevalidate: 600, purge: { token } },
      )
      const one = onOneConnection(server)
      open.push(one)
      const first = await one.get('/')
      const { etag = '' } = first.headers
      const steps: [() => ReturnType<Running['get']>, number, string][] = [
        [() => one.get('/'), 200, 'run 1'],
        [() => one.get('/', { 'if-none-match': etag }), 304, ''],
        [() => one.get('/', { range: 'bytes=0-2' }), 206, 'run'],
        [() => one.get('/', {}, 'HEAD'), 200, ''],
        [() => one.get('/', {}, 'POST'), 200, 'saved'],
        [() => one.get('/'), 200, 'run 2'],
        [() => one.get('/error'), 500, ''],
        [() => one.get('/', { authorization: `Bearer ${token}` }, 'PURGE'), 200, ''],
        [() => one.get('/'), 200, 'run 3'],
        // Who waits has the next one.
        [() => (clock.advance(20_000), one.get('/')), 200, waits ? 'run 4' : 'run 3'],
      ]
      for (const [step, status, text] of steps) {
        const answer = await step()
        expect([answer.status, answer.reused]).toEqual([status, true])
        if (status < 400 && text !== '') expect(answer.text).toBe(text)
      }
      await until(async () => (await one.get('/')).text === 'run 4')
      expect((await one.get('/')).reused).toBe(true)
    })

    it('pipelined requests are answered in order, a stale answer among them', async () => {
      let runs = 0
      const { server, clock } = await serve(
        async ({ path }) => {
          if (path === '/slow') await new Promise((resolve) => setTimeout(resolve, 50))
          return {
            headers: { 'Content-Type': 'text/plain' },
            body: path === '/' ? pieces('run ', String(++runs)) : path,
          }
        },
        { ttl: 10, staleWhileRevalidate: 600 },
      )
      await server.get('/')
      clock.advance(20_000)
      const { port } = new URL(server.url)
      const ask = (path: string, last = false): string =>
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${last ? 'Connection: close\r\n' : ''}\r\n`
      const seen = await new Promise<string>((resolve, reject) => {
        let text = ''
        const socket = connect(Number(port), '127.0.0.1', () =>
          socket.write(ask('/slow') + ask('/') + ask('/last', true)),
        )
        socket.on('data', (data: Buffer) => (text += data.toString()))
        socket.on('error', reject)
        socket.on('close', () => resolve(text))
      })
      expect(seen.match(/\/slow|run|\/last/g)).toEqual(['/slow', 'run', '/last'])
      await until(async () => (await server.get('/')).text === 'run 2')
    })
  })
}
