/** Checklist section 1.7: asking whether what is stored still holds. */
import { expect, test } from 'vitest'
import { cacheInfo, MemoryStore } from '../../src/index.ts'
import { startOrigin } from '../../src/testing/index.ts'
import { got, text, useBench } from './support.ts'

const at = useBench()

const MODIFIED = 'Tue, 01 Jan 2019 00:00:00 GMT'

test('row 127: with validators a condition, with both both, without any a plain request', async () => {
  const headers = { 'cache-control': 'max-age=10' }
  at.answer('/row127-etag', { headers: { ...headers, etag: 'W/"1"' }, body: 'x' })
  at.answer('/row127-date', { headers: { ...headers, 'last-modified': MODIFIED }, body: 'x' })
  at.answer('/row127-both', { headers: { ...headers, etag: '"1"', 'last-modified': MODIFIED }, body: 'x' })
  at.answer('/row127-none', { headers, body: 'x' })
  await using cached = at.cached()
  const sent = []
  for (const kind of ['etag', 'date', 'both', 'none']) {
    await text(cached(`${at.origin.url}/row127-${kind}`))
    at.seconds(20)
    await text(cached(`${at.origin.url}/row127-${kind}`))
    const last = at.origin.requests.at(-1)
    sent.push([last?.header('if-none-match'), last?.header('if-modified-since')])
  }
  expect(sent).toEqual([
    ['W/"1"', null],
    [null, MODIFIED],
    ['"1"', MODIFIED],
    [null, null],
  ])
  expect(at.origin.requests).toHaveLength(8)
})

test('row 128, row 134: a 304 gives the stored body a new lifetime and new headers; only that call says revalidated', async () => {
  at.origin.script('/row128', [
    { headers: { 'cache-control': 'max-age=10', etag: '"1"', 'x-a': 'old', 'x-b': 'kept' }, body: 'body' },
    { status: 304, headers: { 'cache-control': 'max-age=100', etag: '"1"', 'x-a': 'new' } },
  ])
  await using cached = at.cached()
  const url = `${at.origin.url}/row128`
  const first = await cached(url)
  expect([await first.text(), first.revalidated]).toEqual(['body', false])
  at.seconds(20)
  for (const revalidated of [true, false]) {
    const response = await cached(url)
    const { headers } = response
    expect([await response.text(), response.status, response.fromCache, response.revalidated]).toEqual([
      'body',
      200,
      true,
      revalidated,
    ])
    expect([headers.get('x-a'), headers.get('x-b')]).toEqual(['new', 'kept'])
    at.seconds(99)
  }
  expect(at.origin.count('/row128')).toBe(2)
})

test('row 129: a 304 changes nothing that describes the stored body; Content-Type it may, by RFC 9111 section 3.2', async () => {
  at.origin.script('/row129', [
    { headers: { 'cache-control': 'max-age=10', etag: '"1"', 'content-type': 'text/plain' }, body: 'body' },
    {
      raw: 'HTTP/1.1 304 Not Modified\r\nEtag: "1"\r\nContent-Length: 99\r\nContent-Encoding: br\r\nContent-Range: bytes 0-1/2\r\nContent-Type: text/html\r\n\r\n',
    },
  ])
  await using cached = at.cached()
  await text(cached(`${at.origin.url}/row129`))
  at.seconds(20)
  const renewed = await cached(`${at.origin.url}/row129`)
  const names = ['content-length', 'content-encoding', 'content-range', 'content-type']
  expect([renewed.revalidated, ...names.map((name) => renewed.headers.get(name))]).toEqual([
    true,
    '4',
    null,
    null,
    'text/html',
  ])
  expect(await renewed.text()).toBe('body')
})

test('row 130: a 304 is one change of metadata, the body is not written again', async () => {
  const store = new MemoryStore()
  const calls: string[] = []
  const counting = new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (name !== 'read') calls.push(String(name))
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
  await using s = at.session({ store: counting, alwaysRevalidate: true })
  for (let n = 0; n < 3; n++) await text(s.get('/etag/row130'))
  expect(calls.filter((name) => name === 'write' || name === 'update')).toEqual(['write', 'update', 'update'])
})

test('row 131: a 200 replaces the entry; one that may not be stored takes it away', async () => {
  at.origin.script('/row131', [
    { headers: { 'cache-control': 'max-age=10', etag: '"1"' }, body: 'one' },
    { headers: { 'cache-control': 'max-age=10', etag: '"2"' }, body: 'two' },
    { headers: { 'cache-control': 'no-store' }, body: 'three' },
  ])
  await using cached = at.cached()
  const url = `${at.origin.url}/row131`
  const bodies = []
  for (let n = 0; n < 3; n++) {
    bodies.push(await text(cached(url)))
    if (n < 2) expect(await text(cached(url))).toBe(bodies[n])
    at.seconds(20)
  }
  expect([bodies, await cached.cache.has(url)]).toEqual([['one', 'two', 'three'], false])
})

test('row 132: a 304 to the caller’s own condition reaches it, and is no entry', async () => {
  await using s = at.session({ allowedStatusCodes: [200, 304] })
  const response = await s.get('/etag/row132', { headers: { 'if-none-match': '"row132"' } })
  expect([response.status, response.fromCache, cacheInfo(response)?.stored]).toEqual([304, false, false])
  expect(await s.cache.has('/etag/row132')).toBe(false)
  expect((await got(s.get('/etag/row132')))[0]).toBe(200)
})

test('row 133: the strong tags of all variants are sent, and a 304 freshens the one it names', async () => {
  at.origin.route('/row133', ({ request }) => {
    const language = request.header('accept-language') === 'de' ? 'de' : 'en'
    const headers = { 'cache-control': 'max-age=100', vary: 'accept-language', etag: `"${language}"` }
    const known = request.header('if-none-match')?.includes(`"${language}"`)
    return known ? { status: 304, headers } : { headers, body: language }
  })
  await using cached = at.cached()
  const get = async (language: string): Promise<[string, boolean]> => {
    const response = await cached(`${at.origin.url}/row133`, { headers: { 'accept-language': language } })
    return [await response.text(), response.revalidated]
  }
  expect([await get('de'), await get('en')]).toEqual([
    ['de', false],
    ['en', false],
  ])
  expect(await get('en-GB')).toEqual(['en', true])
  expect(at.origin.requests.at(-1)?.header('if-none-match')?.split(', ').toSorted()).toEqual(['"de"', '"en"'])
  expect([await get('en-GB'), await get('de')]).toEqual([
    ['en', false],
    ['de', false],
  ])
  expect(at.origin.requests).toHaveLength(3)
})

test('row 135: a 304 leaves the connection to the next request', async () => {
  const ports: (number | undefined)[] = []
  // An origin of its own: no connection is left over from before.
  await using origin = await startOrigin()
  origin.route('/row135', ({ request, incoming }) => {
    ports.push(incoming.socket.remotePort)
    const headers = { 'cache-control': 'max-age=10', etag: '"1"' }
    return request.header('if-none-match') === null ? { headers, body: 'x' } : { status: 304, headers }
  })
  await using cached = at.cached()
  for (let n = 0; n < 12; n++) {
    await text(cached(`${origin.url}/row135`))
    at.seconds(20)
  }
  // Node's fetch itself goes from one connection to another when a body has just ended: two at most.
  expect([ports.length, new Set(ports).size <= 2]).toEqual([12, true])
})

test('row 136, row 137: time first, or the validator first; an entry with a validator is kept 30 days beyond its end', async () => {
  const store = new MemoryStore()
  await using timeFirst = at.session({ store, expireAfter: 100 })
  await using tagFirst = at.session({ store, expireAfter: 100, alwaysRevalidate: true })
  await text(timeFirst.get('/etag/row136'))
  expect((await timeFirst.get('/etag/row136')).revalidated).toBe(false)
  expect((await tagFirst.get('/etag/row136')).revalidated).toBe(true)
  const [entry] = await Array.fromAsync(store.entries())
  expect((entry?.keepUntil ?? 0) - (entry?.expiresAt ?? 0)).toBe(30 * 86_400_000)
  at.seconds(29 * 86_400)
  expect((await timeFirst.get('/etag/row136')).revalidated).toBe(true)
  expect(at.origin.requests.map((request) => request.header('if-none-match'))).toEqual([null, '"row136"', '"row136"'])
})
