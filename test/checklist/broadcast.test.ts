/** Checklist row 247: caches that have no store in common hear of each other's invalidations. */
import { execFile } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import {
  createCachedFetch,
  MemoryStore,
  OptionError,
  type CachedFetch,
  type CacheOptions,
  type Invalidation,
  type InvalidationChannel,
} from '../../src/index.ts'
import { text, until, useBench } from './support.ts'

const at = useBench()

/** A channel in this process, over plain JSON. */
function bus(): { channel: InvalidationChannel; told: Invalidation[]; emit: (what: unknown) => void } {
  const emitter = new EventEmitter()
  const told: Invalidation[] = []
  const emit = (what: unknown): void => void emitter.emit('told', what)
  const channel: InvalidationChannel = {
    publish(invalidation) {
      told.push(invalidation)
      emit(JSON.parse(JSON.stringify(invalidation)))
    },
    subscribe(listener) {
      emitter.on('told', listener)
      return () => emitter.off('told', listener)
    },
  }
  return { channel, told, emit }
}

function pair(options: CacheOptions = {}): { here: CachedFetch; there: CachedFetch; wire: ReturnType<typeof bus> } {
  const wire = bus()
  const [here, there] = [
    at.cached({ broadcast: wire.channel, ...options }),
    at.cached({ broadcast: wire.channel, ...options }),
  ]
  return { here, there, wire }
}

describe('row 247: what one invalidates, others do', () => {
  const url = (path: string): string => at.origin.url + path

  test('by URL, with its variants and other users; by key; by pattern; all', async () => {
    const { here, there } = pair({ allowedMethods: ['GET', 'POST'], expireAfter: 60 })
    const fill = async (): Promise<void> => {
      // The POST first: one that reaches the origin has the GET of its URL gone.
      for (const init of [{ method: 'POST', body: 'x' }, {}, { headers: { authorization: 'a' } }])
        await text(there(url('/anything'), init))
      await text(there(url('/cache/60')))
    }
    await fill()
    await here.cache.delete({ url: url('/anything') })
    await until(async () => !(await there.cache.has(url('/anything'))))
    // Gone for those as well whose keys nobody here could know.
    const before = at.origin.requests.length
    for (const init of [{}, { headers: { authorization: 'a' } }, { method: 'POST', body: 'x' }])
      expect((await there(url('/anything'), init)).fromCache).toBe(false)
    expect(at.origin.requests).toHaveLength(before + 3)

    await here.cache.delete({ key: `GET ${url('/cache/60')}` })
    await until(async () => !(await there.cache.has(url('/cache/60'))))
    await fill()
    await here.cache.delete({ pattern: /\/cache\/\d+$/ })
    await until(async () => !(await there.cache.has(url('/cache/60'))))
    expect(await there.cache.has(url('/anything'))).toBe(true)
    await here.cache.delete({ pattern: '127.0.0.1/anything' })
    await until(async () => (await there.cache.urls()).length === 0)
    await fill()
    await here.cache.clear()
    await until(async () => (await there.cache.urls()).length === 0)
  })

  test('by tag, stale or gone; by an unsafe method; by Clear-Site-Data', async () => {
    const { here, there } = pair({ tags: ['t'], expireAfter: 60 })
    const isCached = async (path: string): Promise<boolean> => {
      const response = await there(url(path))
      await response.text()
      return response.fromCache && !response.revalidated
    }
    for (const mode of ['stale', 'delete'] as const) {
      await text(there(url('/etag/t')))
      at.seconds(1)
      await here.cache.invalidateTags('t', mode)
      await until(async () => !(await isCached('/etag/t')))
      at.seconds(1)
    }
    at.origin.route('DELETE /etag/t', () => ({ status: 204 }))
    await text(there(url('/etag/t')))
    expect(await isCached('/etag/t')).toBe(true)
    await here(url('/etag/t'), { method: 'DELETE' })
    await until(async () => !(await there.cache.has(url('/etag/t'))))
    at.answer('/logout', { headers: { 'Clear-Site-Data': '"cache"' }, body: 'x' })
    await text(there(url('/get')))
    await text(here(url('/logout')))
    await until(async () => !(await there.cache.has(url('/get'))))
  })

  test('what is under way there is not stored', async () => {
    const { here, there } = pair({ expireAfter: 60 })
    let open = (): void => undefined
    at.origin.route('/slow-there', async () => {
      await new Promise<void>((resolve) => (open = resolve))
      return { body: 'old' }
    })
    const answer = text(there(url('/slow-there')))
    await until(() => at.origin.count('/slow-there') === 1)
    await here.cache.delete({ url: url('/slow-there') })
    open()
    expect(await answer).toBe('old')
    expect(await there.cache.has(url('/slow-there'))).toBe(false)
  })

  test('it is not told on, expiry and eviction are not told, and nothing that is stored travels', async () => {
    const { here, there, wire } = pair({ expireAfter: 60, store: new MemoryStore({ maxEntries: 2 }) })
    for (let n = 0; n < 5; n++) await text(here(url(`/get?${n}`)))
    at.seconds(100)
    await here.cache.deleteExpired()
    expect(wire.told).toEqual([])
    await here.cache.invalidateTags('t')
    expect(wire.told).toEqual([{ keys: [], tags: ['t'], mode: 'stale', urls: [], from: expect.any(String) }])
    await here.close()
    await there.cache.invalidateTags('u')
    expect(wire.told).toHaveLength(2)
  })

  test('who hears itself does nothing again: one count, one event', async () => {
    const { here } = pair({ expireAfter: 60, tags: ['t'] })
    const heard: string[] = []
    here.on('invalidated', ({ reason }) => heard.push(reason))
    await text(here(url('/get')))
    expect(await here.cache.delete({ url: url('/get') })).toBe(1)
    await here.cache.invalidateTags('t')
    await here.cache.clear()
    expect([heard, here.stats().invalidated]).toEqual([['delete', 'tags', 'clear'], 2])
  })

  test('a URL that is written to elsewhere leaves no mark where none would be looked for', async () => {
    const store = new MemoryStore()
    const { channel } = bus()
    const [here, there] = [at.cached({ broadcast: channel }), at.cached({ broadcast: channel, store })]
    for (let n = 0; n < 10; n++) await text(here(url(`/anything?${n}`), { method: 'POST' }))
    await here.cache.invalidateTags('t')
    await until(async () => (await store.size()).entries === 1)
    await Promise.all([here.close(), there.close()])
  })

  test('what is heard is checked; a channel that fails is an event', async () => {
    const { here, there, wire } = pair({ expireAfter: 60 })
    const errors: string[] = []
    there.on('error', ({ operation, error }) => errors.push(`${operation} ${error.message}`))
    await text(there(url('/get')))
    for (const garbage of [
      null,
      'x',
      [],
      {},
      { keys: [1], tags: [], mode: 'delete', urls: [] },
      { keys: [], tags: [], mode: 'x', urls: [] },
    ])
      wire.emit(garbage)
    wire.emit({ keys: [], tags: [], mode: 'delete', urls: [{ source: '(', flags: '' }] })
    await until(() => errors.length === 1)
    expect(await there.cache.has(url('/get'))).toBe(true)
    const broken: InvalidationChannel = {
      publish: () => Promise.reject(new Error('down')),
      subscribe: () => () => undefined,
    }
    await using alone = at.cached({ broadcast: broken })
    alone.on('error', ({ operation, error }) => errors.push(`${operation} ${error.message}`))
    await alone.cache.invalidateTags('t')
    await until(() => errors.length === 2)
    expect(errors[1]).toMatch(/^broadcast .*down$/)
    await here.close()
  })
})

test('row 247: threads, by BroadcastChannel; the name tells channels apart', async () => {
  const index = JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(${index}).then(async ({ createCachedFetch }) => {
      const fetch = async () => new Response('x', { headers: { 'Cache-Control': 'max-age=60' } })
      const cached = createCachedFetch({ fetch, broadcast: workerData })
      await (await cached('https://a.test/1')).text()
      parentPort.on('message', async () => parentPort.postMessage(await cached.cache.has('https://a.test/1')))
      parentPort.postMessage('ready')
    })`
  const name = `test ${process.pid}`
  const workers = [name, `${name} other`].map((workerData) => new Worker(code, { eval: true, workerData }))
  await Promise.all(workers.map((worker) => once(worker, 'message')))
  const ask = async (worker: Worker | undefined): Promise<unknown> => {
    if (worker === undefined) throw new Error('no worker')
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
    worker.postMessage('?')
    return (await once(worker, 'message'))[0]
  }
  await using here = createCachedFetch({ broadcast: name })
  await here.cache.delete({ url: 'https://a.test/1' })
  await until(async () => (await ask(workers[0])) === false)
  expect(await ask(workers[1])).toBe(true)
  await Promise.all(workers.map((worker) => worker.terminate()))
})

test('row 247: it keeps no process alive, closed or not; wrong values are errors', async () => {
  const index = JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)
  const code = `
    import { createCachedFetch } from ${index}
    const fetch = createCachedFetch({ broadcast: true })
    await fetch.cache.invalidateTags('t')
    await createCachedFetch({ broadcast: true }).close()
    console.log('done')`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
    timeout: 20_000,
  })
  expect(stdout).toBe('done\n')
  for (const broadcast of ['', 5, {}, { publish: () => undefined }])
    expect(() => at.cached({ broadcast } as object)).toThrow(OptionError)
})
