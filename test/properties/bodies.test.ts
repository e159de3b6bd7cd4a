/**
 * Bodies of an origin's making, by a way of their own and by Node's fetch: whatever comes in whatever pieces, whatever its caller does and
 * whatever the store is, the caller is told the same and the store holds the same (RELIABILITY A1-A17, 70; decision 9).
 *
 * Rule 1: what a caller leaves midway may have come further by one way than by the other: then nothing is told but what is true.
 */
import fc from 'fast-check'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { compressed } from '../../src/stores/wrap-compress.ts'
import { createCachedFetch, MemoryStore, type CachedFetch, type EntryHead, type Store } from '../../src/index.ts'
import { until } from '../engine/support.ts'

const RUNS = Number(process.env['KEEPFRESH_RUNS'] ?? 150)

type Framing = 'chunked' | 'exact' | 'too-long' | 'too-short'
type Piece = readonly [size: number, turns: number]

interface Script {
  readonly pieces: readonly Piece[]
  readonly framing: Framing
  readonly control: string
  readonly cut: boolean
}

const ACTIONS = ['text', 'bytes', 'stream', 'clone', 'cancel', 'abort', 'abort-stream', 'late-abort', 'ignore'] as const
type Action = (typeof ACTIONS)[number]
/** Rule 1. */
const LEAVES: ReadonlySet<Action> = new Set(['cancel', 'abort', 'abort-stream', 'late-abort', 'ignore'])

const STORES = ['memory', 'narrow', 'greedy', 'compressed', 'throws', 'rejects'] as const
type StoreName = (typeof STORES)[number]

class Narrow extends MemoryStore {
  override readonly limits: Store['limits'] = { ...new MemoryStore().limits, inlineSize: 100 }
}

/** Gives the buffer of each chunk away, as a stream of bytes does. */
class Greedy extends Narrow {
  override write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): void | Promise<void> {
    return super.write(head, body instanceof Uint8Array ? body : body.pipeThrough(giving()))
  }
}

function giving(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform: (chunk, controller) =>
      controller.enqueue(structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] })),
  })
}

class Failing extends MemoryStore {
  readonly #how: 'throws' | 'rejects'

  constructor(how: 'throws' | 'rejects') {
    super()
    this.#how = how
  }

  override write(): void | Promise<void> {
    const error = new Error('no room')
    if (this.#how === 'throws') throw error
    return Promise.reject(error)
  }
}

function made(name: StoreName): Store {
  if (name === 'memory') return new MemoryStore()
  if (name === 'narrow') return new Narrow()
  if (name === 'greedy') return new Greedy()
  if (name === 'compressed') return compressed(new Narrow())
  return new Failing(name)
}

function bodyOf({ pieces }: Pick<Script, 'pieces'>): Buffer {
  const size = pieces.reduce((sum, [length]) => sum + length, 0)
  return Buffer.from(Array.from({ length: size }, (_, at) => 33 + ((at * 7 + (at >> 8)) % 90)))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

let script: Script = { pieces: [[2, 0]], framing: 'exact', control: 'no-store', cut: false }
let server: Server
let url: string
const sockets = new Set<Socket>()

function headOf({ framing, control }: Script, size: number): string {
  const lines = ['HTTP/1.1 200 OK', `cache-control: ${control}`, 'etag: "1"']
  const length = { chunked: 0, exact: size, 'too-long': size + 3, 'too-short': Math.max(0, size - 3) }[framing]
  lines.push(framing === 'chunked' ? 'transfer-encoding: chunked' : `content-length: ${length}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** What comes without a turn between goes in one packet. */
async function play(socket: Socket, given: Script): Promise<void> {
  const body = bodyOf(given)
  const isChunked = given.framing === 'chunked'
  let packet: Buffer[] = [Buffer.from(headOf(given, body.length))]
  let at = 0
  for (const [size, turns] of given.pieces) {
    if (turns > 0) socket.write(Buffer.concat(packet.splice(0)))
    for (let n = 0; n < turns; n++) await turn()
    const piece = body.subarray(at, (at += size))
    if (!isChunked) packet.push(piece)
    else if (size > 0) packet.push(Buffer.from(`${size.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
  }
  if (isChunked && !given.cut) packet.push(Buffer.from('0\r\n\r\n'))
  const last = Buffer.concat(packet)
  if (given.cut || given.framing === 'too-long') socket.end(last)
  else socket.write(last)
}

beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    socket.on('data', () => void play(socket, script))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  // The first of a scheme goes by fetch.
  const first = createCachedFetch()
  await (await first(url)).text()
  await first.close()
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

interface Told {
  readonly text: string
  readonly error: string | null
}

/** What a caller is told who does this. */
async function told(fetch: CachedFetch, action: Action, after: number): Promise<Told> {
  const controller = new AbortController()
  const signal = action.includes('abort') ? { signal: controller.signal } : {}
  let text = ''
  const reads = async (stream: ReadableStream<Uint8Array> | null, most: number): Promise<void> => {
    for await (const chunk of stream ?? []) {
      text += Buffer.from(chunk).toString('latin1')
      // What a caller does to its bytes is its own affair.
      chunk.fill(0)
      if (text.length > most) return
    }
  }
  try {
    if (action === 'abort' || action === 'abort-stream') {
      let left = after
      const count = (): void => void (left-- <= 0 ? controller.abort() : setImmediate(count))
      count()
    }
    const response = await fetch(url, signal)
    if (action === 'late-abort') {
      for (let n = 0; n < after; n++) await turn()
      controller.abort()
    }
    if (action === 'ignore') return { text: '', error: null }
    if (action === 'stream' || action === 'abort-stream') await reads(response.body, Infinity)
    else if (action === 'cancel') await reads(response.body, after * 50)
    else if (action === 'bytes') text = Buffer.from(await response.bytes()).toString('latin1')
    else if (action === 'clone') {
      const other = response.clone()
      const [, second] = await Promise.all([reads(response.body, Infinity), other.text()])
      expect(second).toBe(text)
    } else text = await response.text()
    return { text, error: null }
  } catch (error) {
    return { text, error: (error as Error).name }
  }
}

interface Seen extends Told {
  readonly events: readonly string[]
  readonly stored: string | null
}

async function seen(given: Script, action: Action, after: number, name: StoreName, isDirect: boolean): Promise<Seen> {
  const store = made(name)
  const fetch = createCachedFetch({ store, ...(isDirect ? {} : { fetch: globalThis.fetch }) })
  const events: string[] = []
  fetch.on('*', ({ type }) => events.push(type))
  script = given
  const answer = await told(fetch, action, after)
  if (!LEAVES.has(action)) await until(() => events.includes('stored') || events.includes('refused'))
  const entry = await fetch.cache.get(url)
  const stored = entry === undefined ? null : Buffer.from(await (await fetch(url)).arrayBuffer()).toString('latin1')
  await fetch.close()
  await store.close()
  return { ...answer, events: events.slice(0, 3), stored }
}

const scripts = fc.record({
  pieces: fc.array(fc.tuple(fc.constantFrom(0, 1, 60, 300, 5000, 70_000, 400_000), fc.constantFrom(0, 0, 0, 1, 3)), {
    maxLength: 6,
  }),
  framing: fc.constantFrom<Framing>('chunked', 'chunked', 'exact', 'exact', 'too-long', 'too-short'),
  control: fc.constantFrom('max-age=60', 'max-age=60', 'no-store'),
  cut: fc.constantFrom(false, false, false, true),
})

it('a body is the same by either way, and so is what is stored of it', { timeout: 60_000 }, async () => {
  const runs = fc.asyncProperty(
    scripts,
    fc.constantFrom(...ACTIONS),
    fc.nat(12),
    fc.constantFrom(...STORES),
    async (given, action, after, name) => {
      const direct = await seen(given, action, after, name, true)
      const byFetch = await seen(given, action, after, name, false)
      const body = bodyOf(given).toString('latin1')
      for (const { text, stored, error } of [direct, byFetch]) {
        expect(body.startsWith(text)).toBe(true)
        if (stored !== null) expect(stored).toBe(body.slice(0, stored.length))
        if (error === null && !LEAVES.has(action) && given.framing !== 'too-short') expect(text).toBe(body)
      }
      if (LEAVES.has(action)) return
      expect(direct).toEqual(byFetch)
    },
  )
  await fc.assert(runs, { numRuns: RUNS, seed: 7 })
})
