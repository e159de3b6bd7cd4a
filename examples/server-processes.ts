/**
 * Four server processes over one Redis (KEEPFRESH_REDIS_URL), or over one SQLite file where there is none: a herd of visitors at all
 * four on a page that nobody has asked for yet, and its handler runs once.
 */
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { responseCache } from 'keepfresh/node'

if (process.send === undefined) await visitors()
else await serve(process.argv[2] ?? '')

async function serve(store: string): Promise<void> {
  const cache = responseCache({
    store,
    ttl: '1m',
    singleFlight: 'store',
    baseUrl: 'http://site.example',
    storeTimeout: 5,
  })
  const server = createServer(
    cache.wrap(async (_request, response) => {
      process.send?.('run')
      await setTimeout(200)
      response.end('the page')
    }),
  ).listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.send?.((server.address() as AddressInfo).port)
}

async function visitors(): Promise<void> {
  const store =
    process.env['KEEPFRESH_REDIS_URL'] ?? `sqlite:${join(mkdtempSync(join(tmpdir(), 'keepfresh-')), 'http.db')}`
  const path = `/${randomUUID()}`
  let runs = 0
  const servers = Array.from({ length: 4 }, () => fork(import.meta.filename, [store]))
  const ports = await Promise.all(
    servers.map(async (server) => {
      const [port] = (await once(server, 'message')) as [number]
      server.on('message', (message) => (runs += message === 'run' ? 1 : 0))
      return port
    }),
  )
  const pages = await Promise.all(
    Array.from({ length: 400 }, async (_, n) => (await fetch(`http://127.0.0.1:${ports[n % 4]}${path}`)).text()),
  )
  for (const server of servers) server.kill()
  console.log(`${pages.length} visitors, ${runs} run of the handler, over ${store.replace(/:.*/s, '')}`)
  assert.ok(pages.every((page) => page === 'the page'))
  assert.equal(runs, 1)
}
