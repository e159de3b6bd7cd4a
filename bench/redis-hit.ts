/**
 * A hit in Redis against the client's own GET of a value of the same size: `node bench/redis-hit.ts [redis://host:port]`.
 *
 * What is compared takes turns, in short rounds, so that a busy machine troubles all of it alike; the figures are medians of the
 * rounds, and each ratio is the median of the rounds' ratios. Microseconds a hit.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { createClient } from 'redis'
import { createCachedFetch } from '../src/index.ts'
import { RedisStore } from '../src/stores/redis.ts'

const url = process.argv[2] ?? process.env['KEEPFRESH_REDIS_URL'] ?? 'redis://localhost:6379'
const BODIES = [1024, 16 * 1024]
const ROUNDS = 40
const CALLS = 640

type Hit = () => Promise<unknown>

/** Microseconds a call, `concurrency` of them under way at any time. */
async function round(hit: Hit, concurrency: number): Promise<number> {
  let left = CALLS
  const worker = async (): Promise<void> => {
    while (left-- > 0) await hit()
  }
  const started = performance.now()
  await Promise.all(Array.from({ length: concurrency }, worker))
  return ((performance.now() - started) * 1000) / CALLS
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

const origin = createServer((request, response) => {
  response.setHeader('cache-control', 'max-age=3600')
  response.end(Buffer.alloc(Number(request.url?.slice(1)), 'x'))
}).listen(0, '127.0.0.1')
await new Promise((resolve) => origin.once('listening', resolve))
const { port } = origin.address() as AddressInfo

const raw = createClient({ url }).on('error', (error) => console.error(String(error)))
await raw.connect()
const blob = raw.withTypeMapping({ 36: Buffer })
const namespace = `bench:${randomUUID()}`
const store = new RedisStore({ url, namespace })
const fetch = createCachedFetch({ store })

console.log('| body | concurrency | raw GET | store.read | ratio | fetch, body read | ratio |')
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const size of BODIES) {
  const address = `http://127.0.0.1:${port}/${size}`
  const first = await fetch(address)
  await first.bytes()
  let key = ''
  while (key === '') for await (const listed of store.keys()) if (listed.includes(`/${size}`)) key = listed
  const [name] = await raw.keys(`${namespace}:e:*`)
  // The very frame, under a name of its own, is what the raw client reads.
  await raw.copy(name ?? '', `${namespace}:raw`, { REPLACE: true })
  const contenders: Hit[] = [
    () => blob.get(`${namespace}:raw`),
    async () => {
      if ((await store.read(key)) === undefined) throw new Error('no hit')
    },
    async () => {
      const response = await fetch(address)
      if (!response.fromCache) throw new Error('no hit')
      await response.bytes()
    },
  ]
  for (const concurrency of [1, 32]) {
    const rounds = contenders.map((): number[] => [])
    for (let n = 0; n < ROUNDS; n++) {
      for (const [index, hit] of contenders.entries()) rounds[index]?.push(await round(hit, concurrency))
    }
    // The first quarter warms up.
    const kept = rounds.map((values) => values.slice(ROUNDS / 4))
    const [floor = [], read = [], whole = []] = kept
    const ratio = (values: readonly number[]): string =>
      median(values.map((value, index) => value / (floor[index] ?? NaN))).toFixed(2)
    console.log(
      `| ${size} | ${concurrency} | ${median(floor).toFixed(1)} | ${median(read).toFixed(1)} | ${ratio(read)} | ` +
        `${median(whole).toFixed(1)} | ${ratio(whole)} |`,
    )
  }
  await store.clear()
}
await raw.del(`${namespace}:raw`)
await fetch.close()
await store.close()
raw.destroy()
origin.close()
