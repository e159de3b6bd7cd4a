/** Invalidation and purging (feature M4). */
import { describe, expect, it } from 'vitest'
import type { Edge } from '../edges.ts'
import { benches, FRESH } from './bench.ts'

export function purging(edge: Edge): void {
  const { name } = edge
  describe(`${name}: purging`, () => {
    const { serve } = benches(edge)

    it('an unsafe request invalidates its URL before its answer is out', async () => {
      let version = 1
      const { server } = await serve(({ method }) => {
        if (method !== 'POST') return { headers: FRESH, body: `v${version}` }
        version++
        return { body: 'saved' }
      })
      expect((await server.get('/doc')).text).toBe('v1')
      expect((await server.get('/doc', {}, 'POST')).text).toBe('saved')
      expect((await server.get('/doc')).text).toBe('v2')
    })

    it('M4: purge by URL, tag, prefix and all of it; the endpoint only with its token', async () => {
      let runs = 0
      const token = 'a-secret-of-sixteen'
      const { server, cache, clock } = await serve(
        () => ({ headers: { 'Cache-Tag': `page, run${++runs}` }, body: `run ${runs}` }),
        { ttl: 60, purge: { token } },
      )
      const bearer = { authorization: `Bearer ${token}` }
      const text = async (path = '/p'): Promise<string> => {
        // What was made in the millisecond of an invalidation counts as made before it.
        clock.advance(10)
        return (await server.get(path)).text
      }
      expect([await text(), await text()]).toEqual(['run 1', 'run 1'])
      await cache.purge({ url: `${server.url}/p` })
      expect(await text()).toBe('run 2')
      await cache.purge({ tag: 'page' })
      expect(await text()).toBe('run 3')
      await cache.purge({ prefix: `${server.url}/` })
      expect(await text()).toBe('run 4')
      await cache.purge({ all: true })
      expect(await text()).toBe('run 5')
      for (const wrong of ['', 'Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`]) {
        expect((await server.get('/p', wrong === '' ? {} : { authorization: wrong }, 'PURGE')).status).toBe(401)
      }
      expect(await text()).toBe('run 5')
      expect((await server.get('/p', bearer, 'PURGE')).status).toBe(200)
      expect(await text()).toBe('run 6')
      await server.get('/elsewhere', { ...bearer, 'purge-tag': 'page' }, 'PURGE')
      expect(await text()).toBe('run 7')
      await server.get('/', { ...bearer, 'purge-prefix': '/p' }, 'PURGE')
      expect(await text()).toBe('run 8')
    })

    it('a store named by a URL is opened, and closed with the cache', async () => {
      let runs = 0
      const { server, cache } = await serve(() => ({ body: `run ${++runs}` }), { store: 'sqlite::memory:', ttl: 60 })
      expect([(await server.get('/')).text, (await server.get('/')).text]).toEqual(['run 1', 'run 1'])
      await cache.close()
    })
  })
}
