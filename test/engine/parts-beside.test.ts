/** R2: what is kept of a body in part, beside what others have stored meanwhile; and that whoever leaves leaves nothing open. */
import { describe, expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CachedFetch, type CacheOptions } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { PartsOrigin, versioned } from './parts-origin.ts'
import { until } from './support.ts'

const URL_OF_IT = 'http://origin.test/it'
const SIZES = [10_000, 600_000]

interface Scene {
  readonly origin: PartsOrigin
  readonly fetch: CachedFetch
  /** A GET whose body breaks off after so many bytes from the origin. */
  cutAfter(bytes: number, init?: RequestInit): Promise<void>
}

function scene(size: number, options: CacheOptions = {}): Scene {
  const clock = new FakeClock(Date.UTC(2030, 0, 16, 12))
  const origin = new PartsOrigin(versioned(size, 1), () => clock.now())
  origin.chunk = size / 20
  const store = new SqliteStore(':memory:')
  const fetch = createCachedFetch({ clock, fetch: origin.fetch, store, resume: 1, backgroundFill: 0, ...options })
  return {
    origin,
    fetch,
    async cutAfter(bytes, init) {
      origin.cut = bytes
      await expect(fetch(URL_OF_IT, init).then((response) => response.bytes())).rejects.toThrow('terminated')
      await fetch.cache.has(URL_OF_IT)
    },
  }
}

async function whole(fetch: CachedFetch): Promise<[fromCache: boolean, bytes: Uint8Array]> {
  const response = await fetch(URL_OF_IT)
  return [response.fromCache, await response.bytes()]
}

describe.each(SIZES)('a whole of %i bytes stays', (size) => {
  test('beside what was cut of an answer to somebody who says who asks (RFC 9111 section 3.5)', async () => {
    const { origin, fetch, cutAfter } = scene(size, { shared: true })
    await whole(fetch)
    const anonymous = origin.body
    origin.body = versioned(size, 2)
    origin.etag = '"2"'
    origin.fields = { 'cache-control': 'public, max-age=60' }
    await cutAfter(size * 0.6, { headers: { authorization: 'me' } })
    expect(await whole(fetch)).toEqual([true, anonymous])
  })

  test('beside an exchange that began before it and was left', async () => {
    const { origin, fetch } = scene(size)
    origin.hang = size * 0.6
    const aborter = new AbortController()
    const reader = (await fetch(URL_OF_IT, { signal: aborter.signal })).body?.getReader()
    for (let read = 0; read < size * 0.6;) read += (await reader?.read())?.value?.length ?? 0
    await (await fetch(URL_OF_IT, { cache: 'reload' })).bytes()
    expect(await fetch.cache.has(URL_OF_IT)).toBe(true)
    aborter.abort()
    expect(await fetch.cache.has(URL_OF_IT)).toBe(true)
    expect(await whole(fetch)).toEqual([true, origin.body])
  })

  test('beside a range that was asked for before it and came after it', async () => {
    const { origin, fetch } = scene(size)
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    const later = createCachedFetch({
      fetch: async (input, init) => {
        const answer = await origin.fetch(input, init)
        if (answer.status !== 206) return answer
        const slow = new TransformStream<Uint8Array, Uint8Array>({ flush: () => held })
        return new Response(answer.body?.pipeThrough(slow), answer)
      },
      store: new SqliteStore(':memory:'),
    })
    const response = await later(URL_OF_IT, { headers: { range: `bytes=0-${size - 2}` } })
    const part = response.bytes()
    await whole(later)
    expect(await later.cache.has(URL_OF_IT)).toBe(true)
    release()
    expect((await part).length).toBe(size - 1)
    expect(await later.cache.has(URL_OF_IT)).toBe(true)
    expect((await whole(later))[0]).toBe(true)
    await later.close()
    await fetch.close()
  })
})

test('two short ranges that were asked for at once are both kept', async () => {
  const { origin, fetch } = scene(10_000, { store: new MemoryStore() })
  const half = 5000
  await Promise.all(
    [`bytes=0-${half - 1}`, `bytes=${half}-`].map(async (range) => {
      await (await fetch(URL_OF_IT, { headers: { range } })).bytes()
    }),
  )
  await fetch.cache.has(URL_OF_IT)
  expect(await whole(fetch)).toEqual([true, origin.body])
})

test.each(SIZES)('RFC 9110 section 15.3.7.3: a range that is all of it is the whole: %i bytes', async (size) => {
  const { origin, fetch, cutAfter } = scene(size)
  // As players ask.
  const range = { headers: { range: 'bytes=0-' } }
  await cutAfter(size * 0.6, range)
  expect(await fetch.cache.has(URL_OF_IT)).toBe(false)
  await fetch.cache.clear()
  expect((await fetch(URL_OF_IT, range).then(async (response) => [response.status, await response.bytes()]))[0]).toBe(
    206,
  )
  await fetch.cache.has(URL_OF_IT)
  const response = await fetch(URL_OF_IT)
  expect([response.status, response.fromCache, response.headers.get('content-range')]).toEqual([200, true, null])
  expect(response.headers.get('content-length')).toBe(String(size))
  expect(await response.bytes()).toEqual(origin.body)
})

test.each(['cancel', 'signal'])('who leaves while stored bytes are read leaves the origin, by %s', async (by) => {
  const { origin, fetch, cutAfter } = scene(3_000_000)
  await cutAfter(2_400_000)
  const aborter = new AbortController()
  const response = await fetch(URL_OF_IT, { signal: aborter.signal })
  if (by === 'signal') aborter.abort()
  else await response.body?.cancel()
  await until(() => origin.seen[1]?.left === true)
  expect((await whole(fetch))[1]).toEqual(origin.body)
})

test('how the rest was sent is not said of the whole', async () => {
  const { origin, fetch, cutAfter } = scene(10_000)
  await cutAfter(6000)
  origin.fields = { ...origin.fields, 'transfer-encoding': 'chunked' }
  const { headers } = await fetch(URL_OF_IT)
  expect([headers.get('content-length'), headers.get('transfer-encoding')]).toEqual(['10000', null])
})
