/** What is kept only because somebody said so. */
import type { RequestListener } from 'node:http'
import { expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { cached } from '../../src/servers/handler.ts'
import { responseCache } from '../../src/servers/node.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { listen } from './support.ts'

it('M2: an answer that does not say for how long is never served stale, whatever the options for stale ones', async () => {
  let runs = 0
  const cache = responseCache({ staleWhileRevalidate: true, staleIfError: true, clock: new FakeClock() })
  const server = await listen(
    cache.wrap((_request, response) => {
      if (_request.url === '/public') response.setHeader('Cache-Control', 'public')
      response.end(`run ${++runs}`)
    }),
  )
  const texts = []
  for (const path of ['/', '/', '/public', '/public']) texts.push((await server.get(path)).text)
  expect(texts).toEqual(['run 1', 'run 2', 'run 3', 'run 4'])
  expect(cache.stats()?.stored).toBe(0)
  await server.close()
})

it.each(['node', 'cached'])('two caches over one store each say their own name: %s', async (edge) => {
  const store = new MemoryStore()
  const ask = (name: string): (() => Promise<string | null>) => {
    const options = { ttl: 60, store, cacheStatus: name, baseUrl: 'http://a.test' }
    if (edge === 'cached') {
      const handler = cached(() => new Response('x'), options)
      return async () => (await handler(new Request('http://a.test/'))).headers.get('cache-status')
    }
    const handler = responseCache(options).wrap((_request, response) => response.end('x'))
    return async () => {
      const server = await listen(handler as RequestListener)
      const { headers } = await server.get('/')
      await server.close()
      return String(headers['cache-status'])
    }
  }
  const [one, other] = [ask('one'), ask('other')]
  await one()
  for (const [each, name] of [
    [one, 'one'],
    [other, 'other'],
    [one, 'one'],
  ] as const)
    expect(await each()).toMatch(new RegExp(`^${name}; hit`))
})
