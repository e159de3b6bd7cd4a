/**
 * A hit in Memcached against the client's own get of a value of the same size: `node bench/memcached-hit.ts [host:port,host:port]`.
 *
 * What is compared takes turns, in short rounds, so that a busy machine troubles all of it alike; the figures are medians of the
 * rounds, and each ratio is the median of the rounds' ratios. Microseconds a hit. The bare socket is the floor of any client: a
 * fixed request is written, and the bytes of the reply are counted.
 */
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { createCachedFetch } from '../src/index.ts'
import { MemcachedKeys } from '../src/stores/memcached-keys.ts'
import { MemcachedClient, MemcachedStore } from '../src/stores/memcached.ts'

const servers = process.argv[2] ?? process.env['KEEPFRESH_MEMCACHED'] ?? 'localhost:11211'
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

/** Writes one request over and over, and counts the bytes that come back. */
async function bareSocket(server: string, key: string, replyLength: number): Promise<{ hit: Hit; end: () => void }> {
  const colon = server.lastIndexOf(':')
  const socket = connect(Number(server.slice(colon + 1)), server.slice(0, colon)).setNoDelay(true)
  await new Promise((resolve) => socket.once('connect', resolve))
  const waiting: (() => void)[] = []
  let received = 0
  socket.on('data', ({ length }) => {
    for (received += length; received >= replyLength; received -= replyLength) waiting.shift()?.()
  })
  const hit = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      socket.write(`get ${key}\r\n`)
    })
  return { hit, end: () => void socket.destroy() }
}

const origin = createServer((request, response) => {
  response.setHeader('cache-control', 'max-age=3600')
  response.end(Buffer.alloc(Number(request.url?.slice(1)), 'x'))
}).listen(0, '127.0.0.1')
await new Promise((resolve) => origin.once('listening', resolve))
const { port } = origin.address() as AddressInfo

const namespace = `bench:${randomUUID()}`
const raw = new MemcachedClient(servers)
const store = new MemcachedStore({ servers, namespace })
const fetch = createCachedFetch({ store })
const keys = new MemcachedKeys(namespace)

console.log(
  '| body | concurrency | bare socket | client.get | store.read | ratio to client.get | fetch, body read | ratio |',
)
console.log('| --- | --- | --- | --- | --- | --- | --- | --- |')
for (const size of BODIES) {
  const address = `http://127.0.0.1:${port}/${size}`
  const key = `GET ${address}`
  const name = keys.entry(key)
  await (await fetch(address)).bytes()
  let frame = await raw.get(name)
  while (frame === undefined) frame = await raw.get(name)
  const replyLength = frame.length + `VALUE ${name} 0 ${frame.length}\r\n\r\nEND\r\n`.length
  const bare = await bareSocket(raw.serverOf(name), name, replyLength)
  const contenders: Hit[] = [
    bare.hit,
    () => raw.get(name),
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
    const [floor = [], got = [], read = [], whole = []] = kept
    const ratio = (values: readonly number[]): string =>
      median(values.map((value, index) => value / (got[index] ?? NaN))).toFixed(2)
    const figures = [floor, got, read].map((values) => median(values).toFixed(1)).join(' | ')
    console.log(
      `| ${size} | ${concurrency} | ${figures} | ${ratio(read)} | ${median(whole).toFixed(1)} | ${ratio(whole)} |`,
    )
  }
  bare.end()
}
await fetch.close()
await store.close()
await raw.close()
origin.close()
