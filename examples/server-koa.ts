/** Koa. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { cacheControl, responseCache } from 'keepfresh/koa'

const cache = responseCache()
const app = new Koa()
let runs = 0
app.use(cache)
app.use((ctx) => {
  cacheControl(ctx, { maxAge: '1m' })
  ctx.body = { runs: ++runs }
})
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const texts = [await (await fetch(url)).text(), await (await fetch(url)).text()]
console.log(texts)
assert.deepEqual(texts, ['{"runs":1}', '{"runs":1}'])

server.close()
server.closeAllConnections()
await cache.close()
