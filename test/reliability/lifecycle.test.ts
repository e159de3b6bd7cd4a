/** RELIABILITY group K: clocks, resources, beginnings and ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { CachedSession, cacheInfo, createCachedFetch, MemoryStore, StateError } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock, FaultyStore, verifyBody, type FaultyMethod } from '../../src/testing/index.ts'
import { answering, bench, FRESH, newFile, STORES, THOROUGH, until, useOrigin } from './support.ts'

const origin = useOrigin()
const YEAR = 365 * 86_400_000
const PAGE = 'http://o.test/'

/** A source file, as a string literal for a script. */
const at = (file: string): string => JSON.stringify(new URL(`../../src/${file}`, import.meta.url).href)

/** Runs a script in a process of its own. */
async function exitCodeOf(script: string): Promise<number | null> {
  const options = ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script]
  const child = spawn(process.execPath, options, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'keepfresh-reliability-compiled') },
  })
  return (await once(child, 'exit'))[0] as number | null
}

afterEach(() => {
  vi.restoreAllMocks()
})

describe.each(STORES)('clocks, on %s', (_, make) => {
  test('K157: ten years on, nothing is fresh; ten years back, everything is asked for anew; age never falls below what it was', async () => {
    const store = make()
    const clock = new FakeClock()
    const answer = answering((_request, n) => new Response(String(n), { headers: { 'cache-control': 'max-age=3600' } }))
    const fetch = createCachedFetch({ store, clock, fetch: answer })
    const get = async (): Promise<string> => (await fetch(PAGE)).text()
    expect([await get(), await get()]).toEqual(['1', '1'])
    clock.advance(10 * YEAR)
    expect([await get(), await get()]).toEqual(['2', '2'])
    clock.advance(-10 * YEAR)
    expect(await get()).toBe('3')
    clock.advance(-3_600_000)
    expect(await get()).toBe('4')
    clock.advance(-30_000)
    const slightly = await fetch(PAGE)
    expect(cacheInfo(slightly)?.age).toBeGreaterThanOrEqual(0)
    expect(await slightly.text()).toBe('4')
    clock.advance(30_000 + 3_600_001)
    expect(await get()).toBe('5')
    await store.close()
  })
})

test('K157: the system\u2019s clock set back an hour: what is stored ages on by the monotonic clock', async () => {
  const wall = Date.now()
  const start = performance.now()
  const now = vi.spyOn(Date, 'now').mockReturnValue(wall)
  const monotonic = vi.spyOn(performance, 'now').mockReturnValue(start)
  const answer = answering((_request, n) => new Response(String(n), { headers: FRESH }))
  const fetch = createCachedFetch({ fetch: answer })
  const get = async (): Promise<string> => (await fetch(PAGE)).text()
  expect(await get()).toBe('1')
  now.mockReturnValue(wall - 3_600_000)
  expect(await get()).toBe('1')
  monotonic.mockReturnValue(start + 50_000)
  now.mockReturnValue(wall - 3_550_000)
  expect(await get()).toBe('1')
  monotonic.mockReturnValue(start + 61_000)
  now.mockReturnValue(wall - 3_539_000)
  expect(await get()).toBe('2')
})

test.each([
  ['a day slow', -86_400_000, 2],
  ['a minute slow', -61_000, 2],
  ['a minute fast', 61_000, 1],
  ['a day fast', 86_400_000, 1],
])(
  'K158: an origin whose clock is %s: age by RFC 9111 section 4.2.3, never negative',
  async (_title, shift, requests) => {
    const clock = new FakeClock()
    const date = (): string => new Date(clock.now() + shift).toUTCString()
    const answer = answering(
      () => new Response('x', { headers: { 'cache-control': 'max-age=60', etag: '"a"', date: date() } }),
    )
    const { fetch } = bench({ clock, fetch: answer })
    const first = await fetch(PAGE)
    await first.text()
    // A Date long past makes the answer old (apparent_age); one in the future makes it no younger than it is.
    expect(cacheInfo(first)?.age).toBeCloseTo(Math.max(0, -shift / 1000), -1)
    await (await fetch(PAGE)).text()
    expect(answer.count()).toBe(requests)
    clock.advance(61_000)
    await (await fetch(PAGE)).text()
    expect(answer.count()).toBe(requests + 1)
  },
)

test.each([
  ['the year 2038', 'Tue, 19 Jan 2038 03:14:08 GMT', true],
  ['the year 9999', 'Fri, 31 Dec 9999 23:59:59 GMT', true],
  ['two digits, soon', 'Friday, 01-Jan-60 00:00:00 GMT', true],
  ['two digits, past', 'Sunday, 06-Nov-94 08:49:37 GMT', false],
  ['asctime', 'Sun Nov  6 08:49:37 1994', false],
  ['a leap second', 'Sat, 31 Dec 2016 23:59:60 GMT', false],
  ['a 29th of February that there is', 'Sun, 29 Feb 2032 00:00:00 GMT', true],
  ['a 30th of February', 'Mon, 30 Feb 2032 00:00:00 GMT', false],
  ['the year 0000', 'Sat, 01 Jan 0000 00:00:00 GMT', false],
])('K159: Expires in %s', async (_title, expires, fresh) => {
  const answer = answering(() => new Response('x', { headers: { expires } }))
  const { fetch } = bench({ clock: new FakeClock(Date.UTC(2026, 2, 29, 1, 59, 59)), fetch: answer })
  for (let n = 0; n < 2; n++) await (await fetch(PAGE)).text()
  expect(answer.count()).toBe(fresh ? 1 : 2)
})

test('K160: waiting times of a month are waiting times of a month, not of a millisecond', async () => {
  const { fetch } = bench({ collapseTimeout: '30d' })
  const url = `${origin().url}/slow?headers=0.1&max-age=60`
  const bodies = [1, 2, 3].map(async () => (await fetch(url, { httpCache: { expireAfter: 60 } })).text())
  expect(await Promise.all(bodies)).toEqual(['slow\n', 'slow\n', 'slow\n'])
  expect(origin().requests).toHaveLength(1)
  for (const expireAfter of ['never', '3650d', 4_000_000_000] as const) {
    const answer = answering(() => new Response('x'))
    const lasting = bench({ fetch: answer, expireAfter })
    for (let n = 0; n < 2; n++) {
      await (await lasting.fetch(PAGE)).text()
      lasting.clock.advance(YEAR)
    }
    expect(answer.count()).toBe(1)
  }
})

test('K160: a month is no millisecond: storeTimeout', async () => {
  const store = new FaultyStore(new MemoryStore())
  const read = store.read.bind(store)
  store.read = async (key) => {
    await new Promise((resolve) => setTimeout(resolve, 20))
    return read(key)
  }
  const { fetch, events } = bench({
    store,
    storeTimeout: '30d',
    fetch: answering(() => new Response('x', { headers: FRESH })),
  })
  await (await fetch(PAGE)).text()
  expect(events.map(({ type }) => type)).not.toContain('error')
})

test('K160: a year is no millisecond: lockLease', async () => {
  const store = new SqliteStore(newFile())
  const renew = store.renew.bind(store)
  let renewed = 0
  store.renew = (...lease) => {
    renewed += 1
    return renew(...lease)
  }
  const answer = answering(async () => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    return new Response('x', { headers: FRESH })
  })
  const { fetch } = bench({ store, lockLease: '365d', singleFlight: 'store', fetch: answer })
  await (await fetch(PAGE)).text()
  await until(() => fetch.stats().stored === 1)
  // Once: before the entry is written.
  expect(renewed).toBe(1)
  await fetch.close()
})

test.each([2_600_000, { headers: 2_600_000 }, 5_000_000])(
  'K160: a month is no millisecond: timeout %j',
  async (timeout) => {
    const session = new CachedSession({ timeout })
    expect((await session.get(`${origin().url}/slow?headers=0.05`)).status).toBe(200)
  },
)

test('K161: a store that hangs keeps no process alive, once the answer is there', async () => {
  const script = `
    import { createCachedFetch, MemoryStore } from ${at('index.ts')}
    import { FaultyStore } from ${at('testing/index.ts')}
    const headers = { 'cache-control': 'max-age=60' }
    for (const size of [1, 300_000]) {
      const store = new FaultyStore(new MemoryStore()).fail('write', 'hang').fail('read', 'hang')
      const fetch = createCachedFetch({ store, fetch: async () => new Response('x'.repeat(size), { headers }) })
      if ((await (await fetch('http://o.test/')).text()).length !== size) throw new Error('not the whole body')
    }
    await new Promise((resolve) => setImmediate(resolve))
    const kept = process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe/.test(name))
    if (kept.length > 0) { console.error(kept); process.exit(1) }`
  expect(await exitCodeOf(script)).toBe(0)
})

test('K161: a process that has made requests and closed nothing ends by itself, with code 0', async () => {
  const script = `
    import { createCachedFetch, CachedSession, MemoryStore } from ${at('index.ts')}
    import { SqliteStore } from ${at('stores/sqlite.ts')}
    let n = 0
    const origin = async () => {
      if (++n % 3 === 0) throw new TypeError('fetch failed')
      return new Response('x', { headers: { 'cache-control': 'max-age=1, stale-while-revalidate=1000, stale-if-error=1000' } })
    }
    let now = Date.now()
    for (const store of [new MemoryStore(), new SqliteStore(${JSON.stringify(newFile())})]) {
      const fetch = createCachedFetch({ store, fetch: origin, clock: { now: () => (now += 3000) } })
      const session = new CachedSession({ store, fetch: origin, timeout: 600 })
      for (let i = 0; i < 5; i++) {
        await fetch('http://o.test/' + (i % 2)).then((response) => response.text(), () => 'failed')
        await session.get('http://o.test/s' + i).then((response) => response.text(), () => 'failed')
      }
    }
    await new Promise((resolve) => setImmediate(resolve))
    const kept = process.getActiveResourcesInfo().filter((name) => !/TTY|Pipe/.test(name))
    if (kept.length > 0) { console.error(kept); process.exit(1) }`
  expect(await exitCodeOf(script)).toBe(0)
})

test('K161: close() twice is close() once, also at the same time; use after close is ERR_SESSION_CLOSED', async () => {
  const fetch = createCachedFetch({
    store: `sqlite:${newFile()}`,
    fetch: answering(() => new Response('x', { headers: FRESH })),
  })
  await (await fetch(PAGE)).text()
  await Promise.all([fetch.close(), fetch.close(), fetch[Symbol.asyncDispose]()])
  await fetch.close()
  await expect(fetch(PAGE)).rejects.toThrow(StateError)
  const session = new CachedSession({ store: new MemoryStore() })
  await Promise.all([session.close(), session.close()])
  await expect(session.get(PAGE)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
})

test('K161: a close while requests are under way: they end, and nothing is thrown elsewhere', async () => {
  const fetch = createCachedFetch({ store: new SqliteStore(newFile()), autoClose: true, expireAfter: 60 })
  const bodies = [1, 2, 3].map(async (n) => (await fetch(`${origin().url}/large/1000000?seed=${n}`)).bytes())
  await until(() => origin().count() === 3)
  await fetch.close()
  for (const body of bodies) expect((await verifyBody(await body)).valid).toBe(true)
})

const REQUESTS = THOROUGH ? 300_000 : 90_000

test(`K162: ${REQUESTS} requests over 10,000 keys leave the heap and the open files as they were`, async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const descriptors = (): number => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0)
  const { fetch, clock } = {
    clock: new FakeClock(),
    fetch: createCachedFetch({
      store: new MemoryStore({ maxEntries: 5000 }),
      fetch: answering(() => new Response('x'.repeat(100), { headers: FRESH })),
    }),
  }
  const round = async (): Promise<number> => {
    for (let n = 0; n < REQUESTS / 3; n++)
      await (await fetch(`http://o.test/${(n * 7919) % (n % 2 === 0 ? 10_000 : 1000)}`)).text()
    clock.advance(1000)
    collect()
    return process.memoryUsage().heapUsed
  }
  const opened = descriptors()
  const warm = await round()
  await round()
  expect((await round()) - warm).toBeLessThan(5_000_000)
  expect(descriptors() - opened).toBeLessThanOrEqual(5)
}, 60_000)

test('K164: several instances on one store, and on one file, in one process and in worker threads', async () => {
  const path = newFile()
  const answer = answering(() => new Response('x', { headers: FRESH }))
  const shared = new SqliteStore(path)
  const clients = [shared, shared, new SqliteStore(path)].map((store) => createCachedFetch({ store, fetch: answer }))
  for (const client of clients) for (const part of ['a', 'b']) await (await client(PAGE + part)).text()
  expect(answer.count()).toBe(2)
  const script = `
    import { createCachedFetch } from ${at('index.ts')}
    import { SqliteStore } from ${at('stores/sqlite.ts')}
    const store = new SqliteStore(${JSON.stringify(path)})
    const fetch = createCachedFetch({ store, fetch: async () => new Response('w', { headers: { 'cache-control': 'max-age=60' } }) })
    for (let n = 0; n < 100; n++) await (await fetch('http://o.test/w' + (n % 9), { cache: n % 4 ? 'default' : 'reload' })).text()
    if ((await (await fetch('http://o.test/a')).text()) !== 'x') throw new Error('not the shared entry')
    store.close()`
  const exits = [1, 2].map(async () => {
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(script)}`), {
      execArgv: ['--no-warnings'],
    })
    return (await once(worker, 'exit'))[0] as number
  })
  expect(await Promise.all(exits)).toEqual([0, 0])
  for (const client of clients) await client.close()
  shared.close()
})

test('K165: listeners that throw or reject change nothing for the request or for other listeners', async () => {
  const { fetch, events } = bench()
  const warnings: unknown[] = []
  const warned = (warning: Error): void => void warnings.push(warning.message)
  process.on('warning', warned)
  fetch.on('*', () => {
    throw new Error('of a listener')
  })
  const late: string[] = []
  fetch.on('*', ({ type }) => late.push(type))
  expect(await (await fetch(`${origin().url}/cache/60`)).text()).not.toBe('')
  await until(() => warnings.length > 0)
  process.off('warning', warned)
  expect([events.map(({ type }) => type), late]).toEqual([late, ['miss', 'stored']])
  expect(String(warnings[0])).toContain('of a listener')
})

test('K166: request modes under a store that fails in every way: only-if-cached is a 504, the others are answered', async () => {
  for (const fault of ['throw', 'reject', 'hang'] as const) {
    const store = new FaultyStore(new MemoryStore())
    for (const method of ['read', 'write', 'update', 'delete'] as FaultyMethod[]) store.fail(method, fault)
    const fetch = createCachedFetch({ store, storeTimeout: 0.02 })
    origin().reset()
    const url = `${origin().url}/cache/60`
    for (const [init, status] of [
      [{ headers: { 'cache-control': 'only-if-cached' } }, 504],
      [{ httpCache: { onlyIfCached: true } }, 504],
      [{ cache: 'no-store' }, 200],
      [{ cache: 'reload' }, 200],
      [{ cache: 'no-cache' }, 200],
      [{ cache: 'force-cache' }, 200],
    ] as const)
      expect([fault, init, (await fetch(url, init)).status]).toEqual([fault, init, status])
    expect(origin().count()).toBeLessThanOrEqual(4)
    expect(origin().count()).toBeGreaterThanOrEqual(fault === 'hang' ? 2 : 4)
  }
})
