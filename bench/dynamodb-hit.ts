/**
 * A hit in DynamoDB against the SDK's own GetItem of a value of the same size: `node bench/dynamodb-hit.ts [http://host:port]`.
 *
 * What is compared takes turns, in short rounds, so that a busy machine troubles all of it alike; the figures are medians of the
 * rounds, and each ratio is the median of the rounds' ratios. Microseconds a hit. It needs a DynamoDB Local, and deletes its table.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { DeleteTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'
import { createCachedFetch } from '../src/index.ts'
import { DynamoStore } from '../src/stores/dynamodb.ts'

const endpoint = process.argv[2] ?? process.env['KEEPFRESH_DYNAMODB_ENDPOINT'] ?? 'http://localhost:8000'
const BODIES = [1024, 16 * 1024]
const ROUNDS = 40
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

const table = `bench-${randomUUID()}`
const clientOptions = {
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  maxAttempts: 2,
  requestHandler: { connectionTimeout: 1000 },
}
const raw = new DynamoDBClient(clientOptions)
const store = new DynamoStore({ table, clientOptions, createIfNotExists: true })
await store.ready()
const fetch = createCachedFetch({ store, storeTimeout: 30 })

console.log('| body | concurrency | raw GetItem | store.read | ratio | fetch, body read | ratio |')
console.log('| --- | --- | --- | --- | --- | --- | --- |')
for (const size of BODIES) {
  const address = `http://127.0.0.1:${port}/${size}`
  await (await fetch(address)).bytes()
  let key = ''
  while (key === '') for await (const listed of store.keys()) if (listed.includes(`/${size}`)) key = listed
  // As many bytes as the store's item has, in one attribute.
  const Item = { key: { S: `raw ${size}` }, value: { B: new Uint8Array(size + 600).fill(120) } }
  await raw.send(new PutItemCommand({ TableName: table, Item }))
  const contenders: Hit[] = [
    () => raw.send(new GetItemCommand({ TableName: table, Key: { key: { S: `raw ${size}` } }, ConsistentRead: true })),
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
      `| ${size} | ${concurrency} | ${median(floor).toFixed(0)} | ${median(read).toFixed(0)} | ${ratio(read)} | ` +
        `${median(whole).toFixed(0)} | ${ratio(whole)} |`,
    )
  }
}
await fetch.close()
await store.close()
await raw.send(new DeleteTableCommand({ TableName: table }))
raw.destroy()
origin.close()
