/** Checklist rows 170-181: what a response is, on a miss and on a hit. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { cacheInfo, CachedSession, createCachedFetch, HttpError, type SessionOptions } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin } from '../../src/testing/index.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

function session(options: SessionOptions = {}): CachedSession {
  return new CachedSession({ baseUrl: origin.url, ...options })
}

test('rows 170, 171, 3.1.20: a fresh response that is stored carries its key and its times; one that is not has none', async () => {
  const clock = new FakeClock()
  await using s = session({ clock })
  const at = clock.now()
  const fresh = await s.get('/cache/60')
  await fresh.text()
  expect(fresh.cacheKey).toBe((await s.cache.get('/cache/60'))?.key)
  expect([fresh.fromCache, fresh.createdAt?.getTime(), fresh.isExpired, fresh.revalidated]).toEqual([
    false,
    at,
    false,
    false,
  ])
  // Date is in whole seconds: up to one of them is age.
  expect((fresh.expiresAt?.getTime() ?? 0) - at).toBeGreaterThan(58_000)
  expect(cacheInfo(fresh)).toMatchObject({ outcome: 'uri-miss', stored: true, refused: undefined })
  clock.advance(10_000)
  const hit = await s.get('/cache/60')
  expect([hit.fromCache, hit.createdAt, hit.expiresAt, hit.cacheKey]).toEqual([
    true,
    fresh.createdAt,
    fresh.expiresAt,
    fresh.cacheKey,
  ])
  clock.advance(100_000)
  expect(hit.isExpired).toBe(true)
  const refused = await s.get('/status/404')
  expect([refused.createdAt, refused.expiresAt, refused.cacheKey, refused.isExpired]).toEqual([
    undefined,
    undefined,
    undefined,
    false,
  ])
  expect(cacheInfo(refused)).toMatchObject({ stored: false, refused: 'status' })
})

test('row 172: a hit keeps status, reason, URL, headers (repeated, in any case), type and history', async () => {
  origin.route('/rich', () => ({
    status: 203,
    statusText: 'Rather So',
    headers: [
      ['Content-Type', 'text/plain; charset=iso-8859-1'],
      ['Content-Disposition', 'attachment; filename="a.txt"'],
      ['Link', '</a>; rel=next'],
      ['Link', '</b>; rel=prev'],
      ['Set-Cookie', 'a=1'],
      ['Set-Cookie', 'b=2; Expires=Thu, 01 Jan 2099 00:00:00 GMT'],
      ['X-MiXeD', 'Yes'],
    ],
    body: 'rich',
  }))
  await using s = session({ allowedStatusCodes: [203] })
  const live = await s.get('/rich?q=1#part')
  await live.text()
  const hit = await s.get('/rich?q=1')
  expect([hit.fromCache, hit.status, hit.statusText, hit.ok, hit.url, hit.type]).toEqual([
    true,
    203,
    'Rather So',
    true,
    `${origin.url}/rich?q=1`,
    'basic',
  ])
  expect([live.status, live.statusText, live.url]).toEqual([hit.status, hit.statusText, hit.url])
  for (const response of [live, hit]) {
    expect(response.headers.get('content-type')).toBe('text/plain; charset=iso-8859-1')
    expect(response.headers.get('CONTENT-DISPOSITION')).toBe('attachment; filename="a.txt"')
    expect(response.headers.get('link')).toBe('</a>; rel=next, </b>; rel=prev')
    expect(response.headers.get('x-mixed')).toBe('Yes')
    expect(response.headers.getSetCookie()).toHaveLength(2)
  }
  const entry = await s.cache.get('/rich?q=1')
  expect([entry?.method, entry?.url, entry?.status, entry?.size]).toEqual(['GET', `${origin.url}/rich?q=1`, 203, 4])
})

test('row 173, 3.1.9: raiseForStatus by method, by call and by session, on hits, too', async () => {
  await using s = session({ allowedStatusCodes: [404] })
  await (await s.get('/status/404')).text()
  const hit = await s.get('/status/404')
  expect([hit.fromCache, hit.ok]).toEqual([true, false])
  expect(() => hit.raiseForStatus()).toThrow(HttpError)
  await expect(s.get('/status/404', { raiseForStatus: true })).rejects.toMatchObject({ response: { fromCache: true } })
  await expect(s.get('/status/404', { raiseForStatus: ({ status }) => status !== 404 })).resolves.toBeDefined()
  expect(origin.count()).toBe(1)
})

test('row 174: each hit can be read once, as fetch has it, and cloned before; JSON that is none throws', async () => {
  origin.route('/empty', () => ({ headers: { 'content-type': 'application/json' }, body: '' }))
  origin.route('/broken', () => ({ headers: { 'content-type': 'application/json' }, body: '{"a":' }))
  await using s = session()
  await (await s.get('/json')).text()
  const hit = await s.get('/json')
  const copies = [hit.clone(), hit.clone()]
  expect(await Promise.all([hit, ...copies].map((one) => one.json()))).toEqual(
    Array.from({ length: 3 }, () => ({ slideshow: { title: 'Sample' } })),
  )
  await expect(hit.text()).rejects.toThrow(TypeError)
  for (const path of ['/empty', '/broken'])
    for (let n = 0; n < 2; n++) await expect((await s.get(path)).json()).rejects.toThrow(SyntaxError)
})

test('row 175: the bytes are the stored ones, so any charset can be decoded; text() is UTF-8, as fetch has it', async () => {
  const latin = Uint8Array.from([0xe9, 0x74, 0xe9])
  origin.route('/latin', () => ({ headers: { 'content-type': 'text/plain; charset=iso-8859-1' }, body: latin }))
  await using s = session()
  await (await s.get('/latin')).text()
  const hit = await s.get('/latin')
  const charset = /charset=([\w-]+)/.exec(hit.headers.get('content-type') ?? '')?.[1] ?? 'utf-8'
  expect(new TextDecoder(charset).decode(await hit.bytes())).toBe('été')
  expect(await (await s.get('/latin')).text()).toBe(await (await fetch(`${origin.url}/latin`)).text())
})

test('row 176, 3.1.16: two readers of two hits never steal from each other', async () => {
  await using s = session()
  const expected = await (await s.get('/bytes/5000')).bytes()
  const readers = (await Promise.all([s.get('/bytes/5000'), s.get('/bytes/5000')])).map(({ body }) => body?.getReader())
  const read: number[][] = [[], []]
  for (let open = 2; open > 0;) {
    for (const [at, reader] of readers.entries()) {
      const chunk = await reader?.read()
      if (chunk?.done) open -= 1
      else read[at]?.push(...(chunk?.value ?? []))
    }
  }
  expect(read.map((bytes) => Buffer.compare(Buffer.from(bytes), expected))).toEqual([0, 0])
})

test('row 177: an unread hit holds nothing: its body may be cancelled or left', async () => {
  await using s = session()
  await (await s.get('/get')).text()
  const left = await s.get('/get')
  await left.body?.cancel()
  expect((await s.get('/get')).fromCache).toBe(true)
  expect(origin.count()).toBe(1)
})

test('row 178: size, time taken, and a readable form', async () => {
  let now = Date.now()
  await using s = session({ clock: { now: () => (now += 250) } })
  await (await s.get('/bytes/1234')).bytes()
  const hit = await s.get('/bytes/1234')
  const info = cacheInfo(hit)
  expect([info?.size, (info?.elapsed ?? 0) > 0]).toEqual([1234, true])
  expect(inspect(hit)).toMatch(/^Response \{\s+status: 200/)
  expect(String(hit)).toBe('[object Response]')
})

const FORMATS = [
  'json',
  'html',
  'xml',
  'robots.txt',
  'deny',
  'encoding/utf8',
  'gzip',
  'deflate',
  'brotli',
  'image/png',
  'image/jpeg',
  'image/webp',
  'image/svg',
  'bytes/0',
  'bytes/70000',
]

test.each(FORMATS)(
  'rows 179, 180: /%s is byte for byte what fetch gives, live and cached, decoded once',
  async (path) => {
    const plain = await fetch(`${origin.url}/${path}`)
    const expected = Buffer.from(await plain.arrayBuffer())
    origin.reset()
    await using s = session()
    for (const fromCache of [false, true]) {
      const response = await s.get(`/${path}`)
      expect(Buffer.compare(await response.bytes(), expected)).toBe(0)
      expect([
        response.fromCache,
        response.headers.get('content-encoding'),
        response.headers.get('content-length'),
      ]).toEqual([fromCache, plain.headers.get('content-encoding'), plain.headers.get('content-length')])
      if (plain.headers.get('content-type') === 'application/json')
        expect(await (await s.get(`/${path}`)).json()).toEqual(JSON.parse(expected.toString()))
    }
    expect(origin.count()).toBe(1)
  },
)

test('row 181: Cache-Status says hit, forwarded and why, ttl and stored (RFC 9211)', async () => {
  const clock = new FakeClock()
  await using fetch = createCachedFetch({ clock, cacheStatus: 'edge' })
  const ask = async (path: string, init?: Parameters<typeof fetch>[1]): Promise<string | null> => {
    const response = await fetch(origin.url + path, init)
    await response.text()
    return response.headers.get('cache-status')
  }
  expect(await ask('/cache/60')).toMatch(/^edge; fwd=uri-miss; stored; key="GET /)
  clock.advance(10_000)
  expect(await ask('/cache/60')).toMatch(/^edge; hit; ttl=(?:49|50)\b/)
  clock.advance(100_000)
  expect(await ask('/cache/60')).toMatch(/^edge; fwd=stale; fwd-status=304/)
  expect(await ask('/post', { method: 'POST' })).toMatch(/^edge; fwd=method/)
  expect(await ask('/cache/60', { cache: 'no-store' })).toMatch(/^edge; fwd=(?:bypass|request)/)
  await using quiet = createCachedFetch({ clock })
  expect((await quiet(`${origin.url}/get`)).headers.get('cache-status')).toBe(null)
})
