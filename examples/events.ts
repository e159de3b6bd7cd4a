/** What the cache does, as events; what it did, as numbers. */
import assert from 'node:assert/strict'
import { createCachedFetch } from 'keepfresh'
import { startOrigin } from 'keepfresh/testing'

await using origin = await startOrigin()
const fetch = createCachedFetch()
const seen: string[] = []
const stop = fetch.on('*', (event) => seen.push(event.type))

await (await fetch(`${origin.url}/cache/60`)).text()
await (await fetch(`${origin.url}/cache/60`)).text()
stop()

console.log(seen.join(', '), fetch.stats().hitRatio)
assert.deepEqual(seen, ['miss', 'stored', 'hit'])
assert.equal(fetch.stats().hits, 1)
await fetch.close()
