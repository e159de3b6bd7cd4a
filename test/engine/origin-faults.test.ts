/** RELIABILITY group A: what the origin and the caller may do to a body. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cacheInfo, MemoryStore } from '../../src/index.ts'
import { startOrigin, wholeBody, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, STORES, until } from './support.ts'

const FRESH = { 'cache-control': 'max-age=60' }
let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

describe.each(STORES)('on %s', (_, make) => {
  test.each(['reset', 'end'] as const)(
    'A1-A3: a body broken off by %s fails the caller and is not stored',
    async (cut) => {
      const path = `/cut-${cut}-${_}`
      origin.script(path, [
        { headers: { ...FRESH, 'content-length': '10' }, body: '12345', cut },
        { headers: FRESH, body: '1234567890' },
      ])
      const { fetch } = bench({ store: make() })
      await expect(fetch(origin.url + path).then((response) => response.text())).rejects.toThrow()
      expect(await (await fetch(origin.url + path)).text()).toBe('1234567890')
      expect(origin.count(path)).toBe(2)
      await fetch.close()
    },
  )

  test('A1, 34: a long body that is broken off is no failure of the store, nor of a filter', async () => {
    const path = `/cut-long-${_}`
    const body = 'x'.repeat(400_000)
    origin.script(path, [{ headers: { ...FRESH, 'content-length': '400100' }, body, cut: 'end' }])
    const { fetch, events } = bench({ store: make() })
    await expect(fetch(origin.url + path).then((response) => response.text())).rejects.toThrow()
    await fetch.close()
    expect(events.map(({ type }) => type)).toEqual(['miss', 'refused'])
  })

  test('a long body counts with all its bytes among those that were stored', async () => {
    const path = `/long-${_}`
    const body = 'x'.repeat(400_000)
    for (const headers of [FRESH, { ...FRESH, 'content-length': '400000' }]) {
      origin.script(path, [{ headers, body }])
      const { fetch, events } = bench({ store: make() })
      await (await fetch(origin.url + path)).text()
      await until(() => fetch.stats().stored === 1)
      expect(fetch.stats().bytesStored).toBe(400_000)
      expect(events).toContainEqual(expect.objectContaining({ type: 'stored', size: 400_000 }))
      await fetch.close()
    }
  })

  test('A14: a small body nobody reads is stored all the same, and not downloaded again', async () => {
    const { fetch } = bench({ store: make() })
    await fetch(`${origin.url}/cache/60`)
    await until(() => fetch.stats().stored === 1)
    expect(await (await fetch(`${origin.url}/cache/60`)).text()).not.toBe('')
    expect(origin.requests).toHaveLength(1)
    await fetch.close()
  })

  test('A12, A13: the leader aborts, the followers get the whole body', async () => {
    const path = `/abort-${_}`
    origin.route(path, () => ({ delay: 60, headers: FRESH, body: 'for all' }))
    const { fetch } = bench({ store: make() })
    const aborter = new AbortController()
    const leader = fetch(origin.url + path, { signal: aborter.signal })
    const followers = Promise.all(
      Array.from({ length: 5 }, () => fetch(origin.url + path).then((response) => response.text())),
    )
    await until(() => origin.count(path) === 1)
    aborter.abort(new Error('mine'))
    await expect(leader).rejects.toThrow('mine')
    expect(await followers).toEqual(Array.from({ length: 5 }, () => 'for all'))
    expect(origin.count(path)).toBe(1)
    await fetch.close()
  })

  test('A11: a sole reader who aborts mid-body gets its reason, and no part of it is stored', async () => {
    const { fetch } = bench({ store: make() })
    const aborter = new AbortController()
    const url = `${origin.url}/large/${8 * 1024 * 1024}`
    const response = await fetch(url, { signal: aborter.signal, httpCache: { expireAfter: 60 } })
    const reader = response.body?.getReader()
    await reader?.read()
    aborter.abort(new Error('enough'))
    await expect(async () => {
      while (!(await reader?.read())?.done);
    }).rejects.toThrow('enough')
    expect(await fetch.cache.has(url)).toBe(false)
    await fetch.close()
  })

  test('A16: a body over maxEntrySize passes through whole, unstored', async () => {
    const { fetch } = bench({ store: make(), maxEntrySize: 1000, expireAfter: 60 })
    const response = await fetch(`${origin.url}/large/300000`)
    expect((await response.bytes()).length).toBe(300_000)
    expect(cacheInfo(response)?.refused).toBe('too-large')
    expect(await fetch.cache.has(`${origin.url}/large/300000`)).toBe(false)
    await fetch.close()
  })

  test('S12: a large body is stored while it streams, and hits byte for byte', async () => {
    const { fetch } = bench({ store: make(), expireAfter: 60 })
    const url = `${origin.url}/large/3000000`
    const first = await (await fetch(url)).bytes()
    await until(async () => await fetch.cache.has(url))
    const second = await fetch(url)
    expect(second.fromCache).toBe(true)
    expect(Buffer.compare(await second.bytes(), first)).toBe(0)
    expect(Buffer.compare(first, wholeBody(3_000_000))).toBe(0)
    expect(origin.requests).toHaveLength(1)
    await fetch.close()
  })

  test('A22: HEAD is answered from a stored GET, and never makes an empty GET hit', async () => {
    const { fetch } = bench({ store: make() })
    await (await fetch(`${origin.url}/cache/60`, { method: 'HEAD' })).text()
    expect(await (await fetch(`${origin.url}/cache/60`)).text()).not.toBe('')
    expect((await fetch(`${origin.url}/cache/60`, { method: 'HEAD' })).fromCache).toBe(true)
    await fetch.close()
  })

  test('A23, A24, R2: ranges are stored, joined by a strong validator, and become the whole', async () => {
    const path = `/ranged-${_}`
    const whole = 'abcdefghijklmnopqrstuvwxyz'
    origin.route(path, ({ request }) => {
      const [, from = '0', to = '25'] = /bytes=(\d+)-(\d*)/.exec(request.header('range') ?? '') ?? []
      const last = to === '' ? 25 : Number(to)
      const headers = { ...FRESH, etag: '"v1"', 'content-range': `bytes ${from}-${last}/26` }
      return request.header('range') === null
        ? { headers: { ...FRESH, etag: '"v1"' }, body: whole }
        : { status: 206, headers, body: whole.slice(Number(from), last + 1) }
    })
    const { fetch } = bench({ store: make() })
    const range = async (value: string): Promise<string> =>
      (await fetch(origin.url + path, { headers: { range: `bytes=${value}` } })).text()
    expect(await range('0-9')).toBe('abcdefghij')
    await until(() => fetch.stats().stored === 1)
    expect(await range('2-4')).toBe('cde')
    expect(origin.count(path)).toBe(1)
    expect(await range('10-25')).toBe('klmnopqrstuvwxyz')
    await until(() => fetch.stats().stored === 2)
    expect(await (await fetch(origin.url + path)).text()).toBe(whole)
    expect(await range('5-11')).toBe('fghijkl')
    expect((await fetch(origin.url + path, { headers: { range: 'bytes=30-' } })).status).toBe(416)
    expect(origin.count(path)).toBe(2)
    await fetch.close()
  })
})

test('A25: a 304 that fits nothing stored is never shown to a caller who asked unconditionally', async () => {
  origin.script('/odd', [
    { headers: { 'cache-control': 'max-age=0', etag: '"a"' }, body: 'one' },
    { status: 304, headers: { etag: '"b"' } },
    { headers: { 'cache-control': 'max-age=0', etag: '"c"' }, body: 'two' },
  ])
  const { fetch } = bench({ store: new MemoryStore() })
  expect(await (await fetch(`${origin.url}/odd`)).text()).toBe('one')
  const second = await fetch(`${origin.url}/odd`)
  expect([second.status, await second.text()]).toEqual([200, 'two'])
})

test('A26: a 304 renews headers and lifetime, and leaves the body and what describes it alone', async () => {
  origin.script('/renewed', [
    { headers: { 'cache-control': 'max-age=1', etag: '"a"', 'x-test': 'A' }, body: 'body' },
    { status: 304, headers: { 'cache-control': 'max-age=100', etag: '"a"', 'x-test': 'B' } },
  ])
  const { fetch, clock } = bench()
  await (await fetch(`${origin.url}/renewed`)).text()
  clock.advance(5000)
  const second = await fetch(`${origin.url}/renewed`)
  expect([
    second.revalidated,
    second.headers.get('x-test'),
    second.headers.get('content-length'),
    await second.text(),
  ]).toEqual([true, 'B', '4', 'body'])
  clock.advance(50_000)
  expect((await fetch(`${origin.url}/renewed`)).headers.get('x-test')).toBe('B')
  expect(origin.count('/renewed')).toBe(2)
})
