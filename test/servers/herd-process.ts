/**
 * One of several servers over one store: `node herd-process.ts EDGE STORE_URL OPTIONS`. Says PORT, then RUN for every run of its
 * handler; a line on its standard input is a number of milliseconds by which its clock goes on.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { createAdaptorServer } from '@hono/node-server'
import { cached } from '../../src/servers/handler.ts'
import { responseCache, type ServerCacheOptions } from '../../src/servers/node.ts'

const [edge = '', store = '', more = '{}'] = process.argv.slice(2)
let ahead = 0
const clock = { now: (): number => Date.now() + ahead }
const options: ServerCacheOptions = {
  store,
  singleFlight: 'store',
  clock,
  // The herd is of several processes on few cores: how long they take to connect and to answer is not what is tested.
  storeTimeout: 5,
  baseUrl: 'https://herd.test',
  ...(JSON.parse(more) as ServerCacheOptions),
}

const page = async (): Promise<string> => {
  process.stdout.write('RUN\n')
  await new Promise((resolve) => setTimeout(resolve, 200))
  return `made at ${clock.now()} by ${process.pid}`
}

const server =
  edge === 'cached'
    ? createAdaptorServer({ fetch: cached(async () => new Response(await page()), options) })
    : createServer(responseCache(options).wrap((_req, res) => void page().then((text) => res.end(text))))

server.listen(0, '127.0.0.1', () => process.stdout.write(`PORT ${(server.address() as AddressInfo).port}\n`))
for await (const line of createInterface(process.stdin)) {
  ahead += Number(line)
  process.stdout.write(`AHEAD ${ahead}\n`)
}
process.exit(0)
