/** An origin that fails costs nothing while something stale is there. */
import assert from 'node:assert/strict'
import { createCachedFetch, cacheInfo } from 'keepfresh'
import { startOrigin } from 'keepfresh/testing'

await using origin = await startOrigin()
origin.script('/flaky', [
  { headers: { 'cache-control': 'max-age=0', etag: '"1"' }, body: 'the last good answer' },
  { status: 503 },
])

const fetch = createCachedFetch({ staleIfError: '1h' })
await (await fetch(`${origin.url}/flaky`)).text()
const response = await fetch(`${origin.url}/flaky`)

console.log(response.status, await response.text(), cacheInfo(response)?.explain.sentence)
assert.equal(response.status, 200)
assert.equal(cacheInfo(response)?.reason, 'stale-if-error')
await fetch.close()
