/** R2: what is stored in part is made whole by asking for the rest alone, and what has arrived of a body that was cut is kept for that. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import {
  cacheInfo,
  createCachedFetch,
  MemoryStore,
  type CachedFetch,
  type CacheOptions,
  type Store,
  type StoredEntry,
} from '../../src/index.ts'
import { FileStore } from '../../src/stores/file.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { tiered } from '../../src/stores/tiered.ts'
import { compressed } from '../../src/stores/wrap-compress.ts'
import { encrypted } from '../../src/stores/wrap-encrypt.ts'
import { cached } from '../../src/servers/handler.ts'
import { FakeClock, startOrigin, wholeBody } from '../../src/testing/index.ts'
import { PartsOrigin, versioned } from './parts-origin.ts'

const URL_OF_IT = 'http://origin.test/it'
const START = Date.UTC(2030, 0, 16, 12)
const SMALL = 10_000
/** Longer than any store here takes whole. */
const LARGE = 600_000

const folder = (): string => mkdtempSync(join(tmpdir(), 'keepfresh-test-'))
const STORES: readonly (readonly [name: string, make: () => Store])[] = [
  ['memory', () => new MemoryStore()],
  ['sqlite', () => new SqliteStore(join(folder(), 'http.db'))],
  ['file', () => new FileStore({ dir: folder() })],
  ['compressed', () => compressed(new SqliteStore(':memory:'))],
  ['encrypted', () => encrypted(new SqliteStore(':memory:'), { keys: [randomBytes(32)] })],
  ['tiered', () => tiered({ far: new SqliteStore(':memory:') })],
]

interface Scene {
  readonly origin: PartsOrigin
  readonly fetch: CachedFetch
  readonly clock: FakeClock
  readonly store: Store
  /** A range, read; what is to be stored of it is stored then. */
  part(range: string): Promise<Response>
  /** The whole, read. */
  whole(init?: RequestInit): Promise<{ response: Awaited<ReturnType<CachedFetch>>; bytes: Uint8Array }>
  /** A GET whose body breaks off after so many bytes from the origin. */
  cutAfter(bytes: number): Promise<void>
}

function scene(size: number, make: () => Store = () => new MemoryStore(), options: CacheOptions = {}): Scene {
  const clock = new FakeClock(START)
  const origin = new PartsOrigin(versioned(size, 1), () => clock.now())
  origin.chunk = Math.max(1000, size / 20)
  const store = make()
  const fetch = createCachedFetch({ clock, fetch: origin.fetch, store, resume: 1, backgroundFill: 0, ...options })
  const settled = async (): Promise<void> => void (await fetch.cache.has(URL_OF_IT))
  return {
    origin,
    fetch,
    clock,
    store,
    async part(range) {
      const response = await fetch(URL_OF_IT, { headers: { range: `bytes=${range}` } })
      const bytes = await response.arrayBuffer()
      await settled()
      return new Response(bytes, { status: response.status, headers: response.headers })
    },
    async whole(init) {
      const response = await fetch(URL_OF_IT, init)
      const bytes = await response.bytes()
      await settled()
      return { response, bytes }
    },
    async cutAfter(bytes) {
      origin.cut = bytes
      await expect(fetch(URL_OF_IT).then((response) => response.bytes())).rejects.toThrow('terminated')
      await settled()
    },
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe.each(STORES)('R2 on %s', (_, make) => {
  test.each([SMALL, LARGE])(
    'a plain GET asks for what is missing alone, and the whole is stored: %i bytes',
    async (size) => {
      const { origin, fetch, part, whole } = scene(size, make)
      await part(`0-${size / 2 - 1}`)
      const { response, bytes } = await whole()
      expect([response.status, response.statusText, response.headers.get('content-length')]).toEqual([
        200,
        'OK',
        String(size),
      ])
      expect(response.headers.get('content-range')).toBe(null)
      expect(same(bytes, origin.body)).toBe(true)
      expect(origin.asked).toEqual([`bytes=0-${size / 2 - 1}`, `bytes=${size / 2}-`])
      expect(origin.seen[1]?.ifRange).toBe('"1"')
      expect(cacheInfo(response)).toMatchObject({ outcome: 'partial-miss', fromCache: false })
      const again = await whole()
      expect([again.response.fromCache, same(again.bytes, origin.body), origin.seen.length]).toEqual([true, true, 2])
      await fetch.close()
    },
  )

  test.each([SMALL, LARGE])('a GET goes on where the origin broke off: %i bytes', async (size) => {
    const { origin, fetch, cutAfter, whole } = scene(size, make)
    await cutAfter(size * 0.6)
    // Never served as a whole, nor told as one.
    expect(await fetch.cache.has(URL_OF_IT)).toBe(false)
    expect((await fetch(URL_OF_IT, { cache: 'only-if-cached', mode: 'same-origin' })).status).toBe(504)
    const { response, bytes } = await whole()
    expect([response.status, same(bytes, origin.body)]).toEqual([200, true])
    expect(origin.asked).toEqual([null, `bytes=${size * 0.6}-`])
    expect((await whole()).response.fromCache).toBe(true)
    await fetch.close()
  })

  test.each([SMALL, LARGE])('and where a caller stopped: %i bytes', async (size) => {
    const { origin, fetch, whole } = scene(size, make)
    origin.hang = size * 0.6
    const aborter = new AbortController()
    const response = await fetch(URL_OF_IT, { signal: aborter.signal })
    const reader = response.body?.getReader()
    let read = 0
    while (read < size * 0.6) read += (await reader?.read())?.value?.length ?? 0
    aborter.abort(new Error('enough'))
    await expect(reader?.read()).rejects.toThrow('enough')
    expect(origin.seen[0]?.left).toBe(true)
    // At once: who comes now waits until it is stored.
    const { bytes } = await whole()
    expect([same(bytes, origin.body), origin.asked]).toEqual([true, [null, `bytes=${size * 0.6}-`]])
    await fetch.close()
  })

  test('a body that is cut again and again gets longer each time', async () => {
    const { origin, fetch, cutAfter, whole } = scene(LARGE, make)
    await cutAfter(200_000)
    await cutAfter(150_000)
    await cutAfter(100_000)
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=200000-', 'bytes=350000-', 'bytes=450000-'])
    await fetch.close()
  })

  test('ranges are answered from what has arrived, and fetch what they lack alone', async () => {
    const { origin, fetch, cutAfter, part, whole } = scene(LARGE, make)
    await cutAfter(300_000)
    const inside = await part('1000-1999')
    expect([inside.status, inside.headers.get('content-range'), origin.seen.length]).toEqual([
      206,
      `bytes 1000-1999/${LARGE}`,
      1,
    ])
    expect(same(await inside.bytes(), origin.body.slice(1000, 2000))).toBe(true)
    const beyond = await part('299000-309999')
    expect([beyond.status, beyond.headers.get('content-range'), beyond.headers.get('content-length')]).toEqual([
      206,
      `bytes 299000-309999/${LARGE}`,
      '11000',
    ])
    expect(same(await beyond.bytes(), origin.body.slice(299_000, 310_000))).toBe(true)
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=300000-309999', 'bytes=310000-'])
    await fetch.close()
  })

  test('what changed meanwhile is the whole answer, and takes the place of the parts', async () => {
    const { origin, fetch, cutAfter, whole } = scene(LARGE, make)
    await cutAfter(300_000)
    origin.body = versioned(LARGE - 7, 2)
    origin.etag = '"2"'
    const { response, bytes } = await whole()
    expect([response.status, same(bytes, origin.body), origin.seen.length]).toEqual([200, true, 2])
    const again = await whole()
    expect([again.response.fromCache, same(again.bytes, origin.body)]).toEqual([true, true])
    await fetch.close()
  })

  test('parts at the end, in the middle, and apart: one request, from the first missing byte to the last', async () => {
    const { origin, fetch, part, whole } = scene(LARGE, make)
    await part('400000-599999')
    await part('100000-199999')
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual(['bytes=400000-599999', 'bytes=100000-199999', 'bytes=0-399999'])
    await fetch.close()
  })

  test('many at once share one request for the rest', async () => {
    const { origin, fetch, cutAfter } = scene(LARGE, make)
    await cutAfter(300_000)
    const all = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(URL_OF_IT)).bytes()))
    expect(all.every((bytes) => same(bytes, origin.body))).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=300000-'])
    await fetch.close()
  })

  test('who waited for a body that was cut goes on from there', async () => {
    const { origin, fetch } = scene(LARGE, make)
    origin.cut = 300_000
    const all = await Promise.allSettled(Array.from({ length: 5 }, async () => (await fetch(URL_OF_IT)).bytes()))
    expect(all.map(({ status }) => status).toSorted()).toEqual([
      ...Array.from({ length: 4 }, () => 'fulfilled'),
      'rejected',
    ])
    for (const one of all) if (one.status === 'fulfilled') expect(same(one.value, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=300000-'])
    await fetch.close()
  })
})

/** After a cut: what the origin answers to the request for the rest, and that the caller gets the whole by another. */
describe('R2: what is not the rest joins nothing, and the whole is asked for', () => {
  const wrong: readonly (readonly [name: string, answer: (origin: PartsOrigin) => Response])[] = [
    ['416', () => new Response('', { status: 416, headers: { 'content-range': 'bytes */1' } })],
    ['412', () => new Response('no', { status: 412 })],
    ['304', () => new Response(null, { status: 304, headers: { etag: '"1"' } })],
    ['another tag', (origin) => partial(origin, 6000, 9999, { etag: '"2"' })],
    ['the same tag, but weak', (origin) => partial(origin, 6000, 9999, { etag: 'W/"1"' })],
    ['no tag', (origin) => partial(origin, 6000, 9999, { etag: null })],
    ['an earlier part', (origin) => partial(origin, 5000, 9999)],
    ['a later part', (origin) => partial(origin, 6001, 9999)],
    ['a shorter part', (origin) => partial(origin, 6000, 9998)],
    ['another length', (origin) => partial(origin, 6000, 9999, { 'content-range': 'bytes 6000-9999/10001' })],
    [
      'a Content-Length that is not that of the part',
      (origin) => partial(origin, 6000, 9999, { 'content-length': '3999' }),
    ],
    ['no Content-Range', (origin) => partial(origin, 6000, 9999, { 'content-range': null })],
    ['another coding', (origin) => partial(origin, 6000, 9999, { 'content-encoding': 'x-own' })],
    ['a coding that fetch decodes', (origin) => partial(origin, 6000, 9999, { 'content-encoding': 'gzip' })],
    [
      'several parts in one',
      (origin) => partial(origin, 6000, 9999, { 'content-type': 'multipart/byteranges; boundary=x' }),
    ],
    ['no-store', (origin) => partial(origin, 6000, 9999, { 'cache-control': 'no-store' })],
  ]
  test.each(wrong)('%s', async (_, answer) => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    origin.wrong = (headers) => (headers.has('range') ? answer(origin) : null)
    const { response, bytes } = await whole()
    expect([response.status, same(bytes, origin.body)]).toEqual([200, true])
    expect(origin.asked).toEqual([null, 'bytes=6000-', null])
    expect(origin.seen[2]?.headers.has('if-range')).toBe(false)
    expect(await fetch.cache.has(URL_OF_IT)).toBe(true)
    expect((await whole()).response.fromCache).toBe(true)
    await fetch.close()
  })

  test.each([
    ['shorter than it says', 3000],
    ['longer than it says', 5000],
  ])('a part that is %s fails the caller, and nothing of it is a whole', async (_, size) => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    origin.wrong = (headers) =>
      headers.has('range') ? partial(origin, 6000, 9999, { 'content-length': null }, size) : null
    await expect(fetch(URL_OF_IT).then((response) => response.bytes())).rejects.toThrow()
    expect(await fetch.cache.has(URL_OF_IT)).toBe(false)
    origin.wrong = null
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    await fetch.close()
  })

  test('an error of the server is told, and the next GET goes on', async () => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    origin.wrong = () => new Response('trouble', { status: 503 })
    expect((await whole()).response.status).toBe(503)
    origin.wrong = null
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=6000-', 'bytes=6000-'])
    await fetch.close()
  })

  test('what is gone is gone', async () => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    origin.wrong = () => new Response('gone', { status: 404, headers: { 'cache-control': 'no-store' } })
    expect((await whole()).response.status).toBe(404)
    origin.wrong = null
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=6000-', null])
    await fetch.close()
  })

  test('an origin that cannot be reached fails the caller, and the next GET goes on', async () => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    origin.wrong = () => {
      throw new TypeError('nobody is there')
    }
    await expect(fetch(URL_OF_IT)).rejects.toThrow('nobody is there')
    origin.wrong = null
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked.at(-1)).toBe('bytes=6000-')
    await fetch.close()
  })
})

function partial(
  { body }: PartsOrigin,
  first: number,
  last: number,
  more: Record<string, string | null> = {},
  size: number = last - first + 1,
): Response {
  const fields = {
    'cache-control': 'max-age=60',
    etag: '"1"',
    'content-range': `bytes ${first}-${last}/${body.length}`,
    'content-length': String(last - first + 1),
    ...more,
  }
  const headers = new Headers()
  for (const [name, value] of Object.entries(fields)) if (value !== null) headers.set(name, value)
  const bytes = new Uint8Array(size)
  bytes.set(body.slice(first, first + size))
  return new Response(bytes, { status: 206, headers })
}

describe('R2: what is kept of a body that was cut', () => {
  /** What the next GET asks for. */
  async function next({ origin, whole }: Scene): Promise<string | null | undefined> {
    const { bytes } = await whole()
    expect(same(bytes, origin.body)).toBe(true)
    return origin.asked.at(-1)
  }

  test.each([
    ['a strong tag', { etag: '"x"' }, 'bytes=6000-'],
    ['a weak tag', { etag: 'W/"x"' }, null],
    ['a tag without quotes', { etag: 'x' }, null],
    ['no validator', { etag: null }, null],
    ['a date that is strong', { etag: null, modified: new Date(START - 100_000).toUTCString() }, 'bytes=6000-'],
    ['a date that is weak', { etag: null, modified: new Date(START).toUTCString() }, null],
    ['a date beside a weak tag', { etag: 'W/"x"', modified: new Date(START - 100_000).toUTCString() }, null],
  ])('by %s', async (_, validators, asked) => {
    const it = scene(SMALL)
    Object.assign(it.origin, validators)
    await it.cutAfter(6000)
    expect(await next(it)).toBe(asked)
    if (asked !== null) expect(it.origin.seen[1]?.ifRange).toBe(it.origin.etag ?? it.origin.modified)
  })

  test.each([
    ['Accept-Ranges: none', { 'accept-ranges': 'none' }, null],
    ['Accept-Ranges: bytes', { 'accept-ranges': 'bytes' }, 'bytes=6000-'],
    ['no-store', { 'cache-control': 'no-store' }, null],
    ['no-cache', { 'cache-control': 'no-cache' }, 'bytes=6000-'],
    ['a coding that fetch decodes', { 'content-encoding': 'gzip' }, null],
  ])('of a response with %s', async (_, fields, asked) => {
    const it = scene(SMALL)
    it.origin.fields = { ...it.origin.fields, ...fields }
    await it.cutAfter(6000)
    expect(await next(it)).toBe(asked)
  })

  test.each<[string, CacheOptions, string | null]>([
    ['resume: true is from 64 KiB on', { resume: true }, null],
    ['resume: 6000', { resume: 6000 }, 'bytes=6000-'],
    ['resume: 6001', { resume: 6001 }, null],
    ['resume: false', { resume: false }, null],
    ['a filter', { filter: () => true }, null],
    ['maxEntrySize', { maxEntrySize: 9999 }, null],
    ['readOnly', { readOnly: true }, null],
  ])('%s', async (_, options, asked) => {
    const it = scene(SMALL, () => new MemoryStore(), options)
    await it.cutAfter(6000)
    expect(await next(it)).toBe(asked)
  })

  test('by default from 65,536 bytes on', async () => {
    for (const [bytes, asked] of [
      [65_535, null],
      [65_536, 'bytes=65536-'],
    ] as const) {
      const it = scene(200_000, () => new MemoryStore(), { resume: true })
      it.origin.chunk = 1 << 20
      await it.cutAfter(bytes)
      expect(await next(it)).toBe(asked)
    }
  })

  test('not what was merely read ahead of a caller who read nothing', async () => {
    const it = scene(SMALL)
    it.origin.hang = 6000
    await (await it.fetch(URL_OF_IT)).body?.cancel()
    expect(await next(it)).toBe(null)
  })

  test('it counts as refused, and the caller has its error', async () => {
    const it = scene(SMALL)
    const refused: string[] = []
    it.fetch.on('refused', ({ reason }) => refused.push(reason))
    await it.cutAfter(6000)
    expect([refused, it.fetch.stats().stored, it.fetch.stats().refused]).toEqual([['interrupted'], 0, 1])
  })

  test('RELIABILITY 70: the caller reads what came before, and what is kept stays what it is', async () => {
    const it = scene(SMALL)
    it.origin.chunk = 6000
    it.origin.cut = 6000
    const reader = (await it.fetch(URL_OF_IT)).body?.getReader()
    await it.fetch.cache.has(URL_OF_IT)
    const first = await reader?.read()
    first?.value?.fill(0)
    await expect(reader?.read()).rejects.toThrow('terminated')
    expect(await next(it)).toBe('bytes=6000-')
  })

  test('of a range: the part as far as it came', async () => {
    for (const size of [SMALL, LARGE]) {
      const it = scene(size)
      await it.part('0-999')
      it.origin.cut = size / 2
      await expect(it.part(`500-`)).rejects.toThrow('terminated')
      await it.fetch.cache.has(URL_OF_IT)
      expect(await next(it)).toBe(`bytes=${1000 + size / 2}-`)
    }
  })

  test('a stored whole that may still be of use stays', async () => {
    const it = scene(SMALL)
    it.origin.fields = { 'cache-control': 'max-age=10, stale-if-error=1000' }
    await it.whole()
    const old = it.origin.body
    it.clock.advance(20_000)
    it.origin.body = versioned(SMALL + 10, 2)
    it.origin.etag = '"2"'
    await it.cutAfter(6000)
    it.origin.wrong = () => new Response('', { status: 503 })
    expect(same((await it.whole()).bytes, old)).toBe(true)
  })

  test('so does a fresh one, demanded anew', async () => {
    const it = scene(SMALL)
    await it.whole()
    it.origin.etag = '"2"'
    it.origin.cut = 6000
    await expect(it.whole({ cache: 'reload' })).rejects.toThrow('terminated')
    expect((await it.whole()).response.fromCache).toBe(true)
  })

  test('one that answers nobody any more gives way', async () => {
    const it = scene(SMALL)
    it.origin.fields = { 'cache-control': 'max-age=10' }
    await it.whole()
    it.clock.advance(20_000)
    it.origin.body = versioned(SMALL + 10, 2)
    it.origin.etag = '"2"'
    await it.cutAfter(6000)
    expect(await next(it)).toBe('bytes=6000-')
  })

  test('a shorter beginning does not take the place of a longer one', async () => {
    const it = scene(SMALL)
    await it.cutAfter(6000)
    it.origin.cut = 3000
    await expect(it.whole({ cache: 'reload' })).rejects.toThrow('terminated')
    expect(await next(it)).toBe('bytes=6000-')
  })

  test('not that of a POST which answers later GETs', async () => {
    const it = scene(SMALL)
    it.origin.fields = { 'cache-control': 'max-age=60', 'content-location': URL_OF_IT }
    it.origin.cut = 6000
    await expect(it.whole({ method: 'POST', body: 'x' })).rejects.toThrow('terminated')
    expect(await next(it)).toBe(null)
  })
})

describe('R2: who may go on from what is stored in part', () => {
  const headers = (fields: Record<string, string>): RequestInit => ({ headers: fields })

  test('stale parts are validated by the request for the rest, and fresh after it', async () => {
    const { origin, clock, cutAfter, whole } = scene(SMALL)
    origin.fields = { 'cache-control': 'max-age=60', 'x-a': '1', 'x-b': '1' }
    await cutAfter(6000)
    clock.advance(1_000_000)
    origin.fields = { 'cache-control': 'max-age=90', 'x-a': '2' }
    const { response, bytes } = await whole()
    expect(same(bytes, origin.body)).toBe(true)
    const { headers: seen } = response
    expect(['x-a', 'x-b', 'cache-control', 'age'].map((name) => seen.get(name))).toEqual(['2', '1', 'max-age=90', null])
    clock.advance(80_000)
    const again = await whole()
    expect([again.response.fromCache, again.response.headers.get('x-b')]).toEqual([true, '1'])
    expect(origin.asked).toEqual([null, 'bytes=6000-'])
  })

  test('RFC 9211 sections 2.2, 2.3: Cache-Status says that a part was missing, and what the origin answered', async () => {
    const { cutAfter, whole } = scene(SMALL, () => new MemoryStore(), { cacheStatus: true })
    await cutAfter(6000)
    const { response } = await whole()
    expect(response.headers.get('cache-status')).toMatch(/^keepfresh; fwd=partial; fwd-status=206; stored; /)
  })

  test.each([
    ['Cache-Control: no-cache', headers({ 'cache-control': 'no-cache' }), 'bytes=6000-'],
    ['cache: no-cache', { cache: 'no-cache' as const }, 'bytes=6000-'],
    ['Cache-Control: no-store', headers({ 'cache-control': 'no-store' }), null],
    ['cache: no-store', { cache: 'no-store' as const }, null],
    ['cache: reload', { cache: 'reload' as const }, null],
    ['If-None-Match', headers({ 'if-none-match': '"9"' }), null],
    ['If-Modified-Since', headers({ 'if-modified-since': new Date(0).toUTCString() }), null],
    ['If-Range', headers({ 'if-range': '"9"' }), null],
  ])('a request with %s', async (_, init, asked) => {
    const { origin, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    const { bytes } = await whole(init)
    expect([same(bytes, origin.body), origin.asked.at(-1)]).toEqual([true, asked])
  })

  test('a range with conditions of its own is forwarded as it is', async () => {
    const { origin, cutAfter, fetch } = scene(SMALL)
    await cutAfter(6000)
    const response = await fetch(URL_OF_IT, headers({ range: 'bytes=5000-6999', 'if-range': '"1"' }))
    expect(same(await response.bytes(), origin.body.slice(5000, 7000))).toBe(true)
    expect([origin.seen.at(-1)?.range, origin.seen.at(-1)?.ifRange]).toEqual(['bytes=5000-6999', '"1"'])
  })

  test('a HEAD is answered by the origin, and changes nothing', async () => {
    const { origin, cutAfter, whole, fetch } = scene(SMALL)
    await cutAfter(6000)
    expect((await fetch(URL_OF_IT, { method: 'HEAD' })).headers.get('content-length')).toBe(String(SMALL))
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, null, 'bytes=6000-'])
  })

  test('only who asks for the same variant', async () => {
    const { origin, fetch, whole } = scene(SMALL)
    origin.fields = { 'cache-control': 'max-age=60', vary: 'accept-language' }
    origin.cut = 6000
    const en = headers({ 'accept-language': 'en' })
    const de = headers({ 'accept-language': 'de' })
    await expect(fetch(URL_OF_IT, en).then((response) => response.bytes())).rejects.toThrow('terminated')
    await whole(de)
    expect(origin.seen.at(-1)).toMatchObject({ range: null, status: 200 })
    // An incomplete one is nothing that a 304 could name.
    expect(origin.seen.at(-1)?.headers.get('if-none-match')).toBe(null)
    expect(same((await whole(en)).bytes, origin.body)).toBe(true)
    expect(origin.asked.at(-1)).toBe('bytes=6000-')
    expect([(await whole(en)).response.fromCache, (await whole(de)).response.fromCache]).toEqual([true, true])
  })

  test('RFC 9111 section 3.5: nobody who says who asks, unless it is for all', async () => {
    for (const [control, asked] of [
      ['max-age=60', null],
      ['public, max-age=60', 'bytes=6000-'],
    ] as const) {
      const { origin, cutAfter, whole } = scene(SMALL, () => new MemoryStore(), {
        shared: true,
        identityHeaders: false,
      })
      origin.fields = { 'cache-control': control }
      await cutAfter(6000)
      const { bytes } = await whole(headers({ authorization: 'me' }))
      expect([same(bytes, origin.body), origin.asked.at(-1)]).toEqual([true, asked])
    }
  })

  test('what a tag made stale is validated; what it deleted is gone', async () => {
    for (const [mode, asked] of [
      ['stale', 'bytes=6000-'],
      ['delete', null],
    ] as const) {
      const { origin, cutAfter, whole, clock, fetch } = scene(SMALL, () => new MemoryStore(), { tags: ['t'] })
      await cutAfter(6000)
      clock.advance(10)
      await fetch.cache.invalidateTags('t', mode)
      clock.advance(10)
      const { bytes } = await whole()
      expect([same(bytes, origin.body), origin.asked.at(-1)]).toEqual([true, asked])
    }
  })

  test('deleting by URL takes the parts along', async () => {
    const { origin, fetch, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    expect(await fetch.cache.delete({ url: URL_OF_IT })).toBe(1)
    await whole()
    expect(origin.asked).toEqual([null, null])
  })

  test('RELIABILITY 65: what is invalidated while the rest is fetched is given, but not kept', async () => {
    for (const size of [SMALL, LARGE]) {
      const { origin, fetch, cutAfter, whole } = scene(size)
      await cutAfter(size / 2)
      const response = await fetch(URL_OF_IT)
      await fetch.cache.delete({ url: URL_OF_IT })
      expect(same(await response.bytes(), origin.body)).toBe(true)
      expect(await fetch.cache.has(URL_OF_IT)).toBe(false)
      await whole()
      expect(origin.asked.at(-1)).toBe(null)
    }
  })

  test('nor is a beginning that was invalidated while it came in', async () => {
    const { origin, fetch, whole } = scene(SMALL)
    origin.cut = 6000
    const response = await fetch(URL_OF_IT)
    await fetch.cache.delete({ url: URL_OF_IT })
    await expect(response.bytes()).rejects.toThrow('terminated')
    await whole()
    expect(origin.asked).toEqual([null, null])
  })

  test('integrity is that of the whole', async () => {
    const { origin, cutAfter, whole } = scene(SMALL)
    await cutAfter(6000)
    const digest = Buffer.from(await crypto.subtle.digest('SHA-256', origin.body as Uint8Array<ArrayBuffer>))
    const { bytes } = await whole({ integrity: `sha256-${digest.toString('base64')}` })
    expect([same(bytes, origin.body), origin.asked.at(-1)]).toEqual([true, 'bytes=6000-'])
  })

  test('a caller who leaves the rest midway leaves the origin, and the next goes on', async () => {
    const { origin, fetch, whole, cutAfter } = scene(LARGE)
    await cutAfter(300_000)
    origin.hang = 100_000
    const reader = (await fetch(URL_OF_IT)).body?.getReader()
    let read = 0
    while (read < 390_000) read += (await reader?.read())?.value?.length ?? 0
    await reader?.cancel()
    expect(origin.seen[1]?.left).toBe(true)
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(['bytes=390000-', 'bytes=400000-']).toContain(origin.asked.at(-1))
  })

  test('a caller who leaves at once leaves what is stored', async () => {
    const { origin, fetch, whole, cutAfter } = scene(LARGE)
    await cutAfter(300_000)
    origin.hang = 1
    await (await fetch(URL_OF_IT)).body?.cancel()
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked.at(-1)).toBe('bytes=300000-')
  })
})

/** A memory store whose long bodies break after so many bytes, when they are next read. */
class Breaking extends MemoryStore {
  after: number | null = null
  override readonly limits = { maxEntrySize: Infinity, inlineSize: 1000, persistent: false, shared: false }

  override read(key: string): StoredEntry | undefined {
    const entry = super.read(key)
    if (entry === undefined) return undefined
    const open = (start: number, end: number): ReadableStream<Uint8Array> => {
      let left = this.after ?? Infinity
      const reader = entry.body.open(start, end).getReader()
      return new ReadableStream({
        async pull(controller) {
          const { done, value } = await reader.read()
          if (done) return controller.close()
          if (left === 0) throw new Error('a bad sector')
          if (value.length > left) {
            controller.enqueue(value.slice(0, left))
            left = 0
          } else {
            left -= value.length
            controller.enqueue(value)
          }
        },
      })
    }
    return { ...entry, body: { size: entry.body.size, bytes: null, open } }
  }
}

describe('R2: stored bytes that cannot be read', () => {
  test('RELIABILITY 41: at once: the whole is asked for', async () => {
    const store = new Breaking()
    const { origin, cutAfter, whole } = scene(LARGE, () => store)
    await cutAfter(300_000)
    store.after = 0
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, null])
  })

  test('RELIABILITY 51: in the middle: the origin is asked for the rest of them', async () => {
    const store = new Breaking()
    const { origin, cutAfter, whole } = scene(LARGE, () => store)
    await cutAfter(300_000)
    store.after = 70_000
    expect(same((await whole()).bytes, origin.body)).toBe(true)
    expect(origin.asked).toEqual([null, 'bytes=300000-', 'bytes=70000-299999'])
  })

  test('in the middle, and it has changed since: the caller has an error', async () => {
    const store = new Breaking()
    const { origin, cutAfter, fetch } = scene(LARGE, () => store)
    await cutAfter(300_000)
    store.after = 70_000
    const response = await fetch(URL_OF_IT)
    origin.etag = '"2"'
    await expect(response.bytes()).rejects.toThrow('a bad sector')
    expect(await fetch.cache.has(URL_OF_IT)).toBe(false)
  })
})

test('B11: two processes, one store that locks: one request for the rest', async () => {
  const path = join(folder(), 'http.db')
  const { origin, cutAfter, fetch, clock } = scene(LARGE, () => new SqliteStore(path), { singleFlight: 'store' })
  await cutAfter(300_000)
  const other = createCachedFetch({
    clock,
    fetch: origin.fetch,
    store: new SqliteStore(path),
    singleFlight: 'store',
    resume: 1,
  })
  const both = await Promise.all([fetch, other].map(async (one) => (await one(URL_OF_IT)).bytes()))
  expect(both.map((bytes) => same(bytes, origin.body))).toEqual([true, true])
  expect(origin.asked).toEqual([null, 'bytes=300000-'])
  await Promise.all([fetch.close(), other.close()])
})

test('what a handler sends of itself is never kept in part', async () => {
  let asked = 0
  const handler = cached(
    async () => {
      asked += 1
      const body = new ReadableStream({
        pull(controller) {
          if (asked === 1) throw new Error('the handler broke off')
          controller.enqueue(new Uint8Array(100_000))
          controller.close()
        },
        start: (controller) => controller.enqueue(new Uint8Array(100_000)),
      })
      return new Response(body, { headers: { 'cache-control': 'max-age=60', etag: '"1"', 'content-length': '200000' } })
    },
    { onError: () => undefined },
  )
  const request = new Request('http://site.test/')
  await expect(Promise.resolve(handler(request)).then((response) => response.bytes())).rejects.toThrow()
  const response = await handler(request)
  expect([(await response.bytes()).length, asked]).toEqual([200_000, 2])
})

describe('R2 over a network', () => {
  test('the origin resets the connection, and the next GET asks for the rest', async () => {
    const size = 2_000_000
    const whole = wholeBody(size)
    await using origin = await startOrigin()
    origin.route('/it', ({ request }) => {
      const headers = { 'cache-control': 'max-age=60', etag: '"1"', 'content-length': String(size) }
      const from = /^bytes=(\d+)-$/.exec(request.header('range') ?? '')?.[1]
      if (from === undefined) return { headers, body: whole.slice(0, 1_200_000), cut: 'reset' }
      const part = {
        'content-range': `bytes ${from}-${size - 1}/${size}`,
        'content-length': String(size - Number(from)),
      }
      return { status: 206, headers: { ...headers, ...part }, body: whole.slice(Number(from)) }
    })
    const fetch = createCachedFetch({ store: new SqliteStore(':memory:'), autoClose: true })
    const url = `${origin.url}/it`
    await expect(fetch(url).then((response) => response.bytes())).rejects.toThrow()
    expect(await fetch.cache.has(url)).toBe(false)
    const response = await fetch(url)
    expect(same(await response.bytes(), whole)).toBe(true)
    const [, second] = origin.requests
    // What had arrived before the reset is up to the network.
    expect(second?.header('range')).toMatch(/^bytes=[1-9]\d*-$/)
    expect([second?.header('if-range'), second?.header('cache-control')]).toEqual(['"1"', null])
    expect((await fetch(url)).fromCache).toBe(true)
    await fetch.close()
  })

  test('the rest stays whole while stored bytes are read, whatever is collected meanwhile', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    await using origin = await startOrigin()
    const fetch = createCachedFetch({ store: new MemoryStore(), expireAfter: 60 })
    const url = `${origin.url}/large/4000000`
    await (await fetch(url, { headers: { range: 'bytes=0-1999999' } })).bytes()
    await fetch.cache.has(url)
    const response = await fetch(url)
    for (let n = 0; n < 5; n++) {
      gc()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(same(await response.bytes(), wholeBody(4_000_000))).toBe(true)
    expect(origin.requests.map((request) => request.header('range'))).toEqual(['bytes=0-1999999', 'bytes=2000000-'])
    await fetch.close()
  })

  test('a caller stops in the middle, and the next process goes on', async () => {
    const path = join(folder(), 'http.db')
    await using origin = await startOrigin()
    const url = `${origin.url}/large/4000000`
    const first = createCachedFetch({ store: new SqliteStore(path), autoClose: true, expireAfter: 60 })
    const reader = (await first(url)).body?.getReader()
    let read = 0
    while (read < 1_000_000) read += (await reader?.read())?.value?.length ?? 0
    await reader?.cancel()
    await first.close()
    const second = createCachedFetch({ store: new SqliteStore(path), autoClose: true, expireAfter: 60 })
    expect(same(await (await second(url)).bytes(), wholeBody(4_000_000))).toBe(true)
    expect(Number(/^bytes=(\d+)-$/.exec(origin.requests[1]?.header('range') ?? '')?.[1])).toBeGreaterThanOrEqual(
      1_000_000,
    )
    await second.close()
  })
})
