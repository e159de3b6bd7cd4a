/** What is kept only because somebody said so. */
import { expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { responseCache } from '../../src/servers/node.ts'
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
