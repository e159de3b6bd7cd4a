/** A response cache in front of a handler of node:http. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cacheControl, responseCache } from 'keepfresh/node'

const cache = responseCache()
let runs = 0
const server = createServer(
  cache.wrap((_request, response) => {
    runs += 1
    cacheControl(response, { public: true, maxAge: '1m' })
    response.end(`made ${runs} times`)
  }),
).listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`

const first = await fetch(url)
assert.equal(await first.text(), 'made 1 times')
const second = await fetch(url)
assert.equal(await second.text(), 'made 1 times')
console.log(second.headers.get('cache-status'), 'age', second.headers.get('age'))

const third = await fetch(url, { headers: { 'if-none-match': second.headers.get('etag') ?? '' } })
assert.equal(third.status, 304)
assert.equal(runs, 1)
await cache.purge({ url })
await (await fetch(url)).text()
assert.equal(runs, 2)

server.close()
server.closeAllConnections()
await cache.close()
