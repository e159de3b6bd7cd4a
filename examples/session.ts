/** A session: base URL, defaults, lifetimes by URL, inspection. */
import assert from 'node:assert/strict'
import { CachedSession } from 'keepfresh'
import { startOrigin } from 'keepfresh/testing'

await using origin = await startOrigin()
await using session = new CachedSession({
  baseUrl: origin.url,
  expireAfter: '1h',
  urlsExpireAfter: { [`${new URL(origin.url).host}/uuid`]: 0 },
  headers: { 'x-app': 'example' },
})

const response = await session.get('/get', { params: { page: 2 } })
assert.equal(response.fromCache, false)
assert.equal((await session.get('/get?page=2')).fromCache, true)

console.log(await session.cache.urls())
assert.equal(await session.cache.delete({ url: '/get?page=2' }), 1)
assert.equal(await session.cache.has('/get?page=2'), false)
