/** Hono, without a server: its app answers Requests. */
import assert from 'node:assert/strict'
import { Hono } from 'hono'
import { responseCache } from 'keepfresh/hono'

const app = new Hono()
const cache = responseCache({ ttl: '1m', app })
let runs = 0
app.use('*', cache)
app.get('/page', (c) => c.text(`run ${++runs}`))

const texts = []
for (let n = 0; n < 3; n++) texts.push(await (await app.request('http://localhost/page')).text())
console.log(texts)
assert.deepEqual(texts, ['run 1', 'run 1', 'run 1'])
await cache.close()
