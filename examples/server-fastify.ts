/** Fastify: the plugin, and options in the route's config. */
import assert from 'node:assert/strict'
import fastify from 'fastify'
import { responseCache } from 'keepfresh/fastify'

const app = fastify()
await app.register(responseCache, { staleIfError: '1d' })
let runs = 0
app.get('/slow', { config: { cache: '10m' } }, async () => ({ runs: ++runs }))
app.get('/never', { config: { cache: false } }, async () => ({ runs: ++runs }))
const base = await app.listen({ port: 0, host: '127.0.0.1' })

const runsOf = async (path: string): Promise<number> =>
  ((await (await fetch(base + path)).json()) as { runs: number }).runs
assert.deepEqual([await runsOf('/slow'), await runsOf('/slow')], [1, 1])
assert.deepEqual([await runsOf('/never'), await runsOf('/never')], [2, 3])
console.log('the handlers ran', runs, 'times')
await app.close()
