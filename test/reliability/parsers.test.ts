/**
 * RELIABILITY group F: whatever an origin writes into its head, the caller is answered and the cache stays sound.
 * Parsers by themselves are in test/properties/http.test.ts and test/properties/policy.test.ts; here they are met through the public door.
 */
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCachedFetch, MemoryStore } from '../../src/index.ts'
import { parseCacheControl } from '../../src/http/cache-control.ts'
import { parseDate } from '../../src/http/date.ts'
import { parseContentRange, parseRange } from '../../src/http/range.ts'
import { parseVary } from '../../src/http/vary.ts'
import { splitList } from '../../src/http/lists.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { answering, bench, fresh, FRESH, newFile, STORES, until, useOrigin } from './support.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'

const origin = useOrigin()

const FIELDS = [
  'cache-control',
  'vary',
  'age',
  'date',
  'expires',
  'etag',
  'last-modified',
  'warning',
  'pragma',
  'content-range',
  'link',
  'location',
  'content-location',
  'content-length',
  'cache-groups',
  'cache-group-invalidation',
  'cdn-cache-control',
  'accept-ranges',
  'content-type',
]

/** What a field value may hold once it has passed an HTTP parser: no line breaks, no NUL; latin1. */
const fieldValue = fc
  .oneof(
    fc.string({ maxLength: 60 }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(
        fc.constantFrom(
          'max-age',
          '=',
          '"',
          ',',
          ';',
          ' ',
          '\t',
          '\\',
          '1',
          '-',
          '*',
          'private',
          'bytes 0-4/5',
          'W/',
          '()',
          '\xff',
        ),
        {
          maxLength: 12,
        },
      )
      .map((parts) => parts.join('')),
  )
  // oxlint-disable-next-line no-control-regex
  .map((text) => text.replaceAll(/[\r\n\0]|[^\x00-\xff]/g, ''))

describe('properties', () => {
  test('F88: any values in the fields a cache reads: the caller gets the answer, twice, and nothing is thrown', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constantFrom(...FIELDS), fieldValue), { maxLength: 6 }),
        fc.constantFrom(200, 203, 206, 301, 404, 410, 500),
        fc.boolean(),
        async (fields, status, shared) => {
          const headers = new Headers()
          for (const [name, value] of fields) headers.append(name, value)
          const clock = new FakeClock()
          const answer = answering(() => new Response('body', { status, headers }))
          const fetch = createCachedFetch({ fetch: answer, store: new MemoryStore(), clock, shared })
          for (let n = 0; n < 3; n++) {
            const response = await fetch('http://o.test/x', { redirect: 'manual' })
            expect([response.status, await response.text()]).toEqual([status, 'body'])
            clock.advance(40_000)
          }
          await fetch('http://o.test/x', { method: 'POST', redirect: 'manual' })
          const ranged = await fetch('http://o.test/x', { headers: { range: 'bytes=1-2' }, redirect: 'manual' })
          expect(['body', 'od', '']).toContain(await ranged.text())
        },
      ),
      { numRuns: 1500 },
    )
  })

  test('F88: any values in the fields of a request: an answer, or what fetch itself throws', async () => {
    const names = [
      'cache-control',
      'pragma',
      'range',
      'if-range',
      'if-none-match',
      'if-modified-since',
      'authorization',
      'accept-language',
    ]
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom(...names), fieldValue), { maxLength: 5 }), async (fields) => {
        const headers = new Headers()
        for (const [name, value] of fields) headers.append(name, value)
        const fetch = createCachedFetch({
          store: new MemoryStore(),
          fetch: answering(() => new Response('body', { headers: { ...FRESH, etag: '"a"', vary: 'accept-language' } })),
        })
        for (let n = 0; n < 2; n++) {
          const response = await fetch('http://o.test/x', { headers })
          const text = await response.text()
          if (response.status === 200) expect(text).toBe('body')
          else expect([206, 304, 416, 504]).toContain(response.status)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test('F88: values of 400 KB are parsed to their end, to which a quadratic parser would not come here', () => {
    const heads = ['max-age=1,', '"', '\\"', ' ,', 'a="b\\"c", ', '\t', 'x='.repeat(2), ',;,', 'bytes=0-,', 'Mon, ']
    for (const head of heads) {
      const text = head.repeat(Math.ceil(400_000 / head.length))
      for (const value of [text, `${text}"`, `"${text}`]) {
        parseCacheControl(value)
        parseVary(value)
        parseDate(value, 0)
        parseRange(`bytes=${value}`)
        parseContentRange(`bytes ${value}`)
        splitList(value)
      }
    }
  })

  test('F99: what is stored is loaded as it was: status, header lines, latin1, bytes, on every store', async () => {
    const name = fc.constantFrom('x-a', 'x-b', 'link', 'x-__proto__', 'content-type', 'x-latin')
    const value = fieldValue.map((text) => text.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '').trim())
    const stores = STORES.map(([, make]) => make())
    let serial = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(name, value), { maxLength: 5 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(200, 203, 301, 404),
        async (fields, body, status) => {
          serial += 1
          const url = `http://o.test/${serial}`
          for (const store of stores) {
            const headers = new Headers({ 'cache-control': 'max-age=60', date: new Date().toUTCString() })
            for (const [field, text] of fields) headers.append(field, text)
            const answer = answering(() => new Response(body, { status, headers }))
            const options = { fetch: answer, store }
            const one = await createCachedFetch(options)(url, { redirect: 'manual' })
            const live = [one.status, [...one.headers], Buffer.from(await one.bytes()).toString('hex')]
            const two = await createCachedFetch(options)(url, { redirect: 'manual' })
            const stored = [
              two.status,
              [...two.headers].filter(([field]) => field !== 'age'),
              Buffer.from(await two.bytes()).toString('hex'),
            ]
            expect([two.fromCache, stored]).toEqual([true, live])
          }
        },
      ),
      { numRuns: 300 },
    )
    for (const store of stores) await store.close()
  })
})

/** Whether a second request is answered without the origin, and for how many seconds more. */
async function lifetime(headers: Record<string, string>, advance = 0): Promise<boolean> {
  const clock = new FakeClock()
  const date = { date: new Date(clock.now()).toUTCString() }
  const answer = answering(() => new Response('x', { headers: { ...date, ...headers } }))
  const fetch = createCachedFetch({ fetch: answer, clock })
  await (await fetch('http://o.test/')).text()
  clock.advance(advance * 1000)
  await (await fetch('http://o.test/')).text()
  return answer.count() === 1
}

describe('values', () => {
  test.each(['max-age=60, x="a, no-store', 'max-age=60, x="\\", no-store', 'x="a, max-age=60, private="b, no-store'])(
    'F89: `%s`: an open quote hides nothing that restricts',
    async (value) => {
      expect(await lifetime({ 'cache-control': value })).toBe(false)
    },
  )

  test.each([
    'max-age=-1',
    'max-age=1.5',
    'max-age=+1',
    'max-age=1e9',
    'max-age= 60',
    'max-age =60',
    'max-age=',
    'max-age',
    'max-age=60s',
    'max-age=0x3c',
    'max-age=١',
  ])('F90: `%s` is no lifetime', async (value) => {
    const bytes = Buffer.from(value).toString('latin1')
    expect(await lifetime({ 'cache-control': bytes, expires: new Date(Date.now() + 3_600_000).toUTCString() }, 2)).toBe(
      false,
    )
  })

  test('F90: of two lifetimes the first counts, and one too large is 2^31 seconds', async () => {
    expect(await lifetime({ 'cache-control': 'max-age=1, max-age=60' }, 2)).toBe(false)
    expect(await lifetime({ 'cache-control': 'max-age=99999999999999999999' }, 2_147_483_600)).toBe(true)
    expect(await lifetime({ 'cache-control': 'max-age=99999999999999999999' }, 2_147_483_700)).toBe(false)
  })

  test.each(['-1', '1, 2', 'x', '99999999999999999999', '1.5', '60, 0'])(
    'F91: Age: %s makes nothing younger',
    async (age) => {
      expect(await lifetime({ 'cache-control': 'max-age=60', age }, 61)).toBe(false)
      if (Number(age.split(',')[0]) >= 60) expect(await lifetime({ 'cache-control': 'max-age=60', age })).toBe(false)
    },
  )

  test('F92: Date in the future, missing or invalid, and Expires in any wrong form, lengthen nothing', async () => {
    for (const date of ['Fri, 01 Jan 2100 00:00:00 GMT', 'yesterday', '', '0'])
      expect([date, await lifetime({ 'cache-control': 'max-age=60', date }, 61)]).toEqual([date, false])
    for (const expires of [
      '0',
      '-1',
      '',
      'never',
      'Thu, 01 Jan 1970 00:00:00 GMT',
      '2100-01-01',
      'Fri, 01 Jan 2100 00:00:00 +0100',
      'Fri, 32 Jan 2100 00:00:00 GMT',
    ])
      expect([expires, await lifetime({ expires })]).toEqual([expires, false])
  })

  test.each(['*', '*, accept', 'accept, *', 'a b', 'ac\u00e7ept', '"accept"', 'accept;q=1', '(', 'a,,*'])(
    'F93: Vary: %s is never reused',
    async (vary) => {
      expect(await lifetime({ 'cache-control': 'max-age=60', vary })).toBe(false)
    },
  )

  test('F93: Vary with nothing in it, with a thousand names or those of Object: data, matched as such', async () => {
    const many = Array.from({ length: 1000 }, (_, n) => `x-${n}`).join(', ')
    for (const vary of ['', ', ,', many, '__proto__', 'constructor, toString, hasOwnProperty', 'x'.repeat(8000)])
      expect([vary.slice(0, 20), await lifetime({ 'cache-control': 'max-age=60', vary })]).toEqual([
        vary.slice(0, 20),
        true,
      ])
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test.each([
    'unquoted',
    'W/"weak"',
    '""',
    '"a,b"',
    '"a b"',
    `"${'x'.repeat(8000)}"`,
    'W/unquoted',
    '"half',
    '*',
    '"\xe9"',
  ])('F94: ETag: %.20s is sent back byte for byte, or not at all', async (etag) => {
    const sent: (string | null)[] = []
    const answer = answering((request) => {
      sent.push(request.headers.get('if-none-match'))
      return new Response('x', { headers: { 'cache-control': 'max-age=0', etag } })
    })
    const { fetch } = bench({ fetch: answer })
    for (let n = 0; n < 2; n++) expect(await (await fetch('http://o.test/')).text()).toBe('x')
    expect([null, etag]).toContain(sent[1])
  })

  test('F95: names of Object.prototype, as headers, parameters and tags, are plain data', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
    const path = fresh('names')
    origin().route(path, () => ({
      headers: { ...FRESH, ...Object.fromEntries(names.map((name) => [`x-${name}`, name])) },
      body: 'x',
    }))
    const { fetch, clock } = bench({ store: new SqliteStore(newFile()), ignoredParams: ['toString'], tags: names })
    const url = `${origin().url}${path}?${names.map((name) => `${name}=1`).join('&')}`
    const init = { headers: Object.fromEntries(names.map((name) => [name === '__proto__' ? 'x-proto' : name, '1'])) }
    await (await fetch(url, init)).text()
    await until(() => fetch.stats().stored === 1)
    const hit = await fetch(url, init)
    expect([hit.fromCache, hit.headers.get('x-tostring')]).toEqual([true, 'toString'])
    clock.advance(1)
    await fetch.cache.delete({ tag: '__proto__' })
    expect((await fetch(url, init)).fromCache).toBe(false)
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test('F96: repeated lines are one list', async () => {
    for (const lines of [
      ['max-age=60', 'no-store'],
      ['no-store', 'max-age=60'],
      ['max-age=60', '', 'private, no-cache'],
    ]) {
      const path = fresh('lines')
      origin().route(path, () => ({ headers: { 'cache-control': lines }, body: 'x' }))
      const { fetch } = bench({ shared: true })
      for (let n = 0; n < 2; n++) await (await fetch(origin().url + path)).text()
      expect(origin().count(path)).toBe(2)
    }
  })
})

/** Sends these bytes for every request, and counts. */
async function rawOrigin(bytes: string): Promise<{ url: string; count: () => number; close: () => void }> {
  let count = 0
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.on('data', () => {
      count += 1
      socket.end(Buffer.from(bytes, 'latin1'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    count: () => count,
    close: () => server.close(),
  }
}

test('F98: headers that 304s add do not grow without end: what has outgrown 64 KiB is fetched anew', async () => {
  let whole = 0
  const answer = answering((request, n) => {
    const headers = { 'cache-control': 'max-age=0', etag: '"a"', [`x-${n}`]: 'y'.repeat(10_000) }
    if (request.headers.has('if-none-match')) return new Response(null, { status: 304, headers })
    whole += 1
    return new Response('x', { headers })
  })
  const { fetch } = bench({ fetch: answer })
  for (let n = 0; n < 60; n++) {
    const response = await fetch('http://o.test/')
    expect([response.status, await response.text()]).toEqual([200, 'x'])
    expect([...response.headers].flat().join('').length).toBeLessThan(66_000)
  }
  expect(whole).toBeGreaterThan(1)
  expect(whole).toBeLessThan(15)
})

test('F98: a head that was long from the start is validated as any other, as long as it does not grow', async () => {
  const answer = answering((request) => {
    const headers = { 'cache-control': 'max-age=0', etag: '"a"', 'x-long': 'y'.repeat(100_000) }
    return new Response(request.headers.has('if-none-match') ? null : 'x', {
      status: request.headers.has('if-none-match') ? 304 : 200,
      headers,
    })
  })
  const { fetch } = bench({ fetch: answer })
  await (await fetch('http://o.test/')).text()
  const response = await fetch('http://o.test/')
  expect([response.revalidated, await response.text(), answer.count()]).toEqual([true, 'x', 2])
})

describe('the head on the wire', () => {
  test.each([
    [
      'F97: control bytes in the reason',
      'HTTP/1.1 200 O\x01K\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n\r\nx',
    ],
    [
      'F97: a reason of 4 KB',
      `HTTP/1.1 200 ${'x'.repeat(4096)}\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n\r\nx`,
    ],
    ['F97: a reason in latin1', 'HTTP/1.1 200 \xe9\xff\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n\r\nx'],
    ['F97: status 000', 'HTTP/1.1 000 Nothing\r\nContent-Length: 1\r\n\r\nx'],
    ['F97: status 099', 'HTTP/1.1 099 Nothing\r\nContent-Length: 1\r\n\r\nx'],
    ['F97: status 600', 'HTTP/1.1 600 Much\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n\r\nx'],
    ['F97: status 999', 'HTTP/1.1 999 Much\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n\r\nx'],
    [
      'F98: 64 KB of headers',
      `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n${`x-y: ${'z'.repeat(1000)}\r\n`.repeat(64)}\r\nx`,
    ],
    [
      'F98: 2,000 headers',
      `HTTP/1.1 200 OK\r\nContent-Length: 1\r\nCache-Control: max-age=60\r\n${Array.from({ length: 2000 }, (_, n) => `x${n}: y\r\n`).join('')}\r\nx`,
    ],
    ['not HTTP at all', 'SSH-2.0-OpenSSH_9.0\r\n'],
  ])(
    '%s: an answer or an error of fetch; never another body, and the next request is served',
    async (_title, bytes) => {
      const server = await rawOrigin(bytes)
      const { fetch } = bench({ store: new SqliteStore(newFile()) })
      for (let n = 0; n < 2; n++) {
        const result = await fetch(server.url).then(
          (response) => response.text(),
          (error: unknown) => error,
        )
        if (typeof result === 'string') expect(result).toBe('x')
        else expect(result).toBeInstanceOf(Error)
      }
      server.close()
      expect(await (await fetch(`${origin().url}/cache/60`)).text()).not.toBe('')
    },
  )
})
