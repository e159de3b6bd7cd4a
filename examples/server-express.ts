/** Express: one cache for all routes, options for one of them, invalidation by a write. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express from 'express'
import { cacheTags, responseCache } from 'keepfresh/node'

const cache = responseCache({ staleWhileRevalidate: '1h' })
const app = express()
app.use(cache)

const articles = new Map([['1', 'Hello']])
let reads = 0
app.get('/articles/:id', cache.route({ ttl: '10m' }), (request, response) => {
  reads += 1
  cacheTags(response, `article-${request.params['id']}`)
  response.json({ title: articles.get(String(request.params['id'])) })
})
app.put('/articles/:id', (request, response) => {
  // A PUT that succeeds invalidates its own URL (RFC 9111 section 4.4): nothing more is needed for that.
  articles.set(String(request.params['id']), 'Changed')
  response.sendStatus(204)
})
app.get('/account', (_request, response) => {
  response.json({ secret: true })
})

const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
const title = async (): Promise<unknown> =>
  ((await (await fetch(`${base}/articles/1`)).json()) as { title: string }).title

assert.deepEqual([await title(), await title(), reads], ['Hello', 'Hello', 1])
await fetch(`${base}/articles/1`, { method: 'PUT' })
assert.deepEqual([await title(), reads], ['Changed', 2])
assert.match((await fetch(`${base}/account`)).headers.get('cache-status') ?? '', /fwd=uri-miss/)
assert.doesNotMatch((await fetch(`${base}/account`)).headers.get('cache-status') ?? '', /hit/)
console.log(cache.stats())

server.close()
server.closeAllConnections()
await cache.close()
