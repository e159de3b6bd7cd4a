/**
 * A hit in MongoDB against the driver's own findOne of the same document: `node bench/mongodb-hit.ts [mongodb://host:port]`.
 *
 * What is compared takes turns, in short rounds, so that a busy machine troubles all of it alike; the figures are medians of the
 * rounds, and each ratio is the median of the rounds' ratios. Microseconds a hit.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { MongoClient } from 'mongodb'
import { createCachedFetch } from '../src/index.ts'
import { MongoStore } from '../src/stores/mongodb.ts'

const url = process.argv[2] ?? process.env['KEEPFRESH_MONGODB_URL'] ?? 'mongodb://localhost:27017'
const BODIES = [1024, 16 * 1024]
const ROUNDS = Number(process.env['ROUNDS'] ?? 40)
const CALLS = 320

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

const raw = await new MongoClient(url).connect()
const database = `bench_${randomUUID().slice(0, 8)}`
const documents = raw.db(database).collection<{ _id: string; key: string }>('entries')
const store = new MongoStore({ url, database })
const fetch = createCachedFetch({ store, storeTimeout: 5 })

console.log('| body | concurrency | raw findOne | store.read | ratio | fetch, body read | ratio |')
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const size of BODIES) {
  const address = `http://127.0.0.1:${port}/${size}`
  const first = await fetch(address)
  await first.bytes()
  let document: { _id: string; key: string } | null = null
  while (document === null) document = await documents.findOne({ size })
  const { _id, key } = document
  const contenders: Hit[] = [
    () => documents.findOne({ _id }),
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
}
await raw.db(database).dropDatabase()
await fetch.close()
await store.close()
await raw.close()
origin.close()
