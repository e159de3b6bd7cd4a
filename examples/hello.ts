/** Hello, cache: one line changed. */
import assert from 'node:assert/strict'
import { cacheInfo, createCachedFetch } from 'keepfresh'
import { startOrigin } from 'keepfresh/testing'

await using origin = await startOrigin()
const fetch = createCachedFetch()

const first = await fetch(`${origin.url}/cache/60`)
await first.text()
const second = await fetch(`${origin.url}/cache/60`)

console.log(cacheInfo(first)?.outcome, cacheInfo(second)?.outcome)
assert.equal(cacheInfo(second)?.outcome, 'hit')
assert.equal(origin.requests.length, 1)
await fetch.close()
