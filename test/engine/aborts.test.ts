/** Aborting once the response is there, as the Fetch standard has it: an unread body fails with the reason of the abort, stored or not. */
import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { abortable } from '../../src/engine/abortable.ts'
import { CachedSession, createCachedFetch, MemoryStore } from '../../src/index.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { until } from './support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const KEPT = { 'cache-control': 'max-age=60' }

const reads: [string, (response: Response) => Promise<unknown>][] = [
  ['text()', (response) => response.text()],
  ['arrayBuffer()', (response) => response.arrayBuffer()],
  ['the stream', async (response) => response.body?.getReader().read()],
  ['a clone', async (response) => response.clone().text()],
]

async function aborted(fetch: typeof globalThis.fetch, url: string): Promise<[Response, AbortController]> {
  const controller = new AbortController()
  const response = await fetch(url, { signal: controller.signal })
  return [response, controller]
}

test.each(reads)('%s of a hit fails after an abort, and the next caller gets the whole', async (_, read) => {
  origin.route('/hit', () => ({ headers: KEPT, body: 'hit' }))
  const fetch = createCachedFetch()
  await (await fetch(`${origin.url}/hit`)).text()
  const [response, controller] = await aborted(fetch, `${origin.url}/hit`)
  controller.abort(new Error('enough'))
  await expect(read(response)).rejects.toThrow('enough')
  expect(await (await fetch(`${origin.url}/hit`)).text()).toBe('hit')
})

test.each(reads)('%s of a miss that has come in whole fails after an abort; it is stored', async (_, read) => {
  origin.route('/miss', () => ({ headers: KEPT, body: 'miss' }))
  const fetch = createCachedFetch()
  const [response, controller] = await aborted(fetch, `${origin.url}/miss`)
  await until(() => fetch.stats().stored === 1)
  controller.abort(new Error('enough'))
  await expect(read(response)).rejects.toThrow('enough')
  expect((await fetch(`${origin.url}/miss`)).fromCache).toBe(true)
})

test('a body in a store on the disk fails while it is read', async () => {
  const body = new Uint8Array(600_000)
  origin.route('/long', () => ({ headers: KEPT, body }))
  const fetch = createCachedFetch({ store: new SqliteStore(':memory:') })
  await (await fetch(`${origin.url}/long`)).arrayBuffer()
  await until(() => fetch.stats().stored === 1)
  const [response, controller] = await aborted(fetch, `${origin.url}/long`)
  const reader = response.body?.getReader()
  expect((await reader?.read())?.done).toBe(false)
  controller.abort(new Error('enough'))
  const rest = async (): Promise<void> => {
    while (!(await reader?.read())?.done);
  }
  await expect(rest()).rejects.toThrow('enough')
  await fetch.close()
})

test.each(reads)('%s of what passes through unstored fails after an abort, and the origin is left', async (_, read) => {
  let left = false
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(10)),
    pull: () => new Promise(() => undefined),
    cancel: () => {
      left = true
    },
  })
  const fetch = createCachedFetch({
    fetch: async () => new Response(body, { headers: { 'cache-control': 'no-store' } }),
  })
  const [response, controller] = await aborted(fetch, `${origin.url}/passing`)
  controller.abort(new Error('enough'))
  await expect(read(response)).rejects.toThrow('enough')
  expect(left).toBe(true)
})

test('a read that waits for what passes through fails at once', async () => {
  const body = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => undefined) })
  const fetch = createCachedFetch({
    fetch: async () => new Response(body, { headers: { 'cache-control': 'no-store' } }),
  })
  const [response, controller] = await aborted(fetch, `${origin.url}/passing`)
  const text = response.text()
  controller.abort(new Error('enough'))
  await expect(text).rejects.toThrow('enough')
})

test('a time limit is about waiting: what came in time is read after it', async () => {
  origin.route('/in-time', () => ({ headers: KEPT, body: 'in time' }))
  const session = new CachedSession({ store: new MemoryStore() })
  const controller = new AbortController()
  await (await session.fetch(`${origin.url}/in-time`)).text()
  const response = await session.fetch(`${origin.url}/in-time`, { signal: controller.signal })
  controller.abort(new DOMException('too late', 'TimeoutError'))
  expect(await response.text()).toBe('in time')
  await session.close()
})

/** In a function of its own: its variables are gone when it has returned. */
function forgotten(signal: AbortSignal): WeakRef<ReadableStream> {
  const stored = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(10)) })
  abortable(stored, signal)
  return new WeakRef(stored)
}

test('a signal that outlives a stream nobody has keeps nothing of it: what it has open can be closed', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const controller = new AbortController()
  const stored = forgotten(controller.signal)
  expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
  await until(() => {
    collect()
    return stored.deref() === undefined && getEventListeners(controller.signal, 'abort').length === 0
  })
  controller.abort()
})
