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
      expect(await cache.purge({ all: true })).toBe(1)
      expect(await text()).toBe('run 5')
      for (const wrong of ['', 'Bearer wrong', `Bearer ${token}x`, `Bearer ${token.slice(1)}`, `Basic ${token}`]) {
        const refused = await server.get('/p', wrong === '' ? {} : { authorization: wrong }, 'PURGE')
        // RFC 9110 section 11.6.1.
        expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, 'Bearer realm="cache"'])
      }
      expect(await text()).toBe('run 5')
      expect((await server.get('/p', bearer, 'PURGE')).status).toBe(200)
      expect(await text()).toBe('run 6')
      await server.get('/elsewhere', { ...bearer, 'purge-tag': 'page' }, 'PURGE')
      expect(await text()).toBe('run 7')
      await server.get('/', { ...bearer, 'purge-prefix': '/p' }, 'PURGE')
      expect(await text()).toBe('run 8')
    })

    it('row 246: under purge.path, GET lists and DELETE purges, for those who may', async () => {
      const token = 'a-secret-of-sixteen'
      const may = { authorization: `Bearer ${token}` }
      let runs = 0
      const { server } = await serve(
        ({ path }) => ({ headers: { 'Cache-Tag': path.slice(1) }, body: `run ${++runs}` }),
        { ttl: 60, purge: { token, path: '/-/cache' } },
      )
      const stored = async (): Promise<string[]> => {
        const { entries } = JSON.parse((await server.get('/-/cache?limit=10', may)).text) as {
          entries: { url: string; tags: string[] }[]
        }
        return entries.map(({ url, tags }) => `${new URL(url).pathname} ${tags.join()}`).toSorted()
      }
      const fill = async (): Promise<void> => {
        for (const path of ['/a', '/b', '/c/d', '/c/e']) await server.get(path)
      }
      await fill()
      expect(await stored()).toEqual(['/a a', '/b b', '/c/d c/d', '/c/e c/e'])
      for (const method of ['GET', 'DELETE', 'POST']) {
        expect((await server.get('/-/cache?all=1', {}, method)).status).toBe(401)
        expect((await server.get('/-/cache?all=1', { authorization: 'Bearer no' }, method)).status).toBe(401)
      }
      expect((await server.get('/-/cache', may, 'DELETE')).status).toBe(400)
      expect((await server.get('/-/cache?limit=x', may)).status).toBe(400)
      const wrong = await server.get('/-/cache', may, 'POST')
      expect([wrong.status, wrong.headers.allow]).toEqual([405, 'GET, DELETE, PURGE'])
      expect(await stored()).toHaveLength(4)
      const remove = async (query: string): Promise<string[]> => {
        expect((await server.get(`/-/cache?${query}`, may, 'DELETE')).status).toBe(200)
        return stored()
      }
      expect(await remove('url=/a&url=/b')).toEqual(['/c/d c/d', '/c/e c/e'])
      expect(await remove('pattern=*/c/d')).toEqual(['/c/e c/e'])
      await fill()
      expect(await remove('prefix=/c/')).toEqual(['/a a', '/b b'])
      const { entries } = JSON.parse((await server.get('/-/cache?tag=a', may)).text) as { entries: { key: string }[] }
      expect(entries).toHaveLength(1)
      expect(await remove(`key=${encodeURIComponent(entries[0]?.key ?? '')}`)).toEqual(['/b b'])
      expect(await remove('all=1')).toEqual([])
      expect((await server.get('/-/cached')).text).toMatch(/^run/)
    })

    it('row 248: an answer with Clear-Site-Data is its visitor\u2019s alone', async () => {
      let runs = 0
      const { server } = await serve(
        () => ({
          headers: { 'Clear-Site-Data': '"cache", "cookies"', 'Cache-Control': 'public, max-age=60' },
          body: `${++runs}`,
        }),
        { ttl: 60, override: true },
      )
      expect([(await server.get('/')).text, (await server.get('/')).text]).toEqual(['1', '2'])
    })

    it('a store named by a URL is opened, and closed with the cache', async () => {
      let runs = 0
      const { server, cache } = await serve(() => ({ body: `run ${++runs}` }), { store: 'sqlite::memory:', ttl: 60 })
      expect([(await server.get('/')).text, (await server.get('/')).text]).toEqual(['run 1', 'run 1'])
      await cache.close()
    })
  })
}
