/** Any `(Request) => Response`: one cache, stale answers at once while the handler runs again. */
import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { cached } from 'keepfresh/server'
import { FakeClock } from 'keepfresh/testing'

const clock = new FakeClock()
let runs = 0
const handler = cached(async (request: Request) => new Response(`${new URL(request.url).pathname} ${++runs}`), {
  ttl: '1m',
  staleWhileRevalidate: '1h',
  clock,
})
const ask = async (): Promise<string> => (await handler(new Request('https://example.com/page'))).text()

assert.deepEqual([await ask(), await ask()], ['/page 1', '/page 1'])
clock.advance(120_000)
assert.equal(await ask(), '/page 1', 'stale, at once')
while ((await ask()) !== '/page 2') await setTimeout(5)
console.log('refreshed behind the visitor\u2019s back')
await handler.close()
