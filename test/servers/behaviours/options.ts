/** Options that a server cache has in common with the clients, with the same meaning (rows 143, 238, 247). */
import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { InvalidationChannel } from '../../../src/index.ts'
import { MemoryStore } from '../../../src/stores/memory.ts'
import { until } from '../../engine/support.ts'
import type { Edge } from '../edges.ts'
import { benches } from './bench.ts'

/** A way between two caches over plain JSON. */
function wire(): InvalidationChannel {
  const bus = new EventEmitter()
  return {
    publish: (invalidation) => void bus.emit('told', JSON.stringify(invalidation)),
    subscribe(listener) {
      const heard = (text: string): void => listener(JSON.parse(text))
      bus.on('told', heard)
      return () => bus.off('told', heard)
    },
  }
}

export function options(edge: Edge): void {
  const { name, waits } = edge
  describe(`${name}: options shared with the clients`, () => {
    const { serve } = benches(edge)

    it('row 143: refreshAhead has what is fresh made anew late in its lifetime, and nobody gets a failure of that', async () => {
      let runs = 0
      const { server, clock } = await serve(
        ({ method }) => {
          if (method === 'GET') runs++
          if (runs === 3) throw new Error('broken')
          return { headers: { 'X-Run': String(runs) }, body: `run ${runs}` }
        },
        { ttl: 100, refreshAhead: 0.8 },
      )
      await server.get('/')
      clock.advance(79_000)
      expect([(await server.get('/')).text, runs]).toEqual(['run 1', 1])
      clock.advance(2000)
      const due = await server.get('/')
      expect([due.status, due.text]).toEqual([200, waits ? 'run 2' : 'run 1'])
      expect(due.headers['cache-status']).toMatch(waits ? /fwd=stale; stored; detail=refresh-ahead/ : /hit; ttl=19/)
      await until(async () => (await server.get('/')).text === 'run 2')
      expect([(await server.get('/')).headers['x-run'], runs]).toEqual(['2', 2])
      clock.advance(90_000)
      const failing = await server.get('/')
      expect([failing.status, failing.text]).toEqual([200, 'run 2'])
      await until(() => runs === 3)
      expect((await server.get('/')).text).toBe('run 2')
    })

    it('row 143: refreshAhead by hits, and on one route or by path', async () => {
      let runs = 0
      const { server, clock } = await serve(() => ({ body: `run ${++runs}` }), {
        ttl: 100,
        routes: { '*/busy': { ttl: 100, refreshAhead: { hits: 3 } } },
      })
      for (let at = 0; at < 5; at++) await server.get('/calm')
      expect(runs).toBe(1)
      for (const text of ['run 2', 'run 2', 'run 2']) expect((await server.get('/busy')).text).toBe(text)
      clock.advance(10)
      await server.get('/busy')
      await until(async () => (await server.get('/busy')).text === 'run 3')
    })

    it('row 247: what one cache purges or an unsafe request changes, another that hears of it forgets', async () => {
      let version = 0
      const handler = (): { body: string; headers: Record<string, string> } => ({
        body: `v${version}`,
        headers: { 'Cache-Tag': 'page' },
      })
      const baseUrl = 'http://site.example'
      const shared = { broadcast: wire(), baseUrl, ttl: 60 }
      const [here, there] = [await serve(handler, shared), await serve(handler, shared)]
      const forgets = async (what: () => Promise<unknown>): Promise<void> => {
        // What was made in the millisecond of an invalidation counts as made before it.
        for (const { clock } of [here, there]) clock.advance(10)
        const was = (await there.server.get('/p')).text
        version++
        for (const { clock } of [here, there]) clock.advance(10)
        await what()
        await until(async () => (await there.server.get('/p')).text !== was)
        expect((await there.server.get('/p')).text).toBe(`v${version}`)
      }
      await forgets(() => here.cache.purge({ url: '/p' }))
      await forgets(() => here.cache.purge({ tag: 'page' }))
      await forgets(() => here.cache.invalidateTags('page'))
      await forgets(() => here.cache.purge({ prefix: '/' }))
      await forgets(() => here.cache.purge({ pattern: '*.example/p' }))
      await forgets(() => here.cache.purge({ all: true }))
      await forgets(() => here.server.get('/p', {}, 'POST'))
    })

    it('row 238: cleanup deletes what has expired, and close() ends it', async () => {
      const store = new MemoryStore()
      const { server, cache, clock } = await serve(() => ({ body: 'x' }), {
        store,
        ttl: 10,
        cleanup: { every: 0.05, expiredFor: 0 },
      })
      await server.get('/')
      clock.advance(5000)
      await server.get('/late')
      let cleaned = 0
      cache.on('cleaned', ({ deleted }) => (cleaned += deleted))
      clock.advance(6000)
      await until(() => cleaned === 1)
      expect(await store.size()).toMatchObject({ entries: 1 })
      await cache.close()
      clock.advance(60_000)
      expect(await store.size()).toMatchObject({ entries: 1 })
    })
  })
}
