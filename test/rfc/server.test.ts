/** RFC 9111 in front of a handler: a shared cache that obeys requests, too (`requestDirectives`), asked by Requests. */
import { describe, expect, test } from 'vitest'
import { cached } from '../../src/servers/handler.ts'
import { FakeClock } from '../../src/testing/index.ts'
import { at, headersOf, START, type Fields } from './support.ts'

interface Visit {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly after?: number
}

interface Got {
  readonly status: number
  readonly body: string
  readonly headers: Headers
}

/** What visits get of a handler that answers these fields and counts. */
async function visits(fields: Fields, list: readonly Visit[], status = 200): Promise<{ runs: number; got: Got[] }> {
  const clock = new FakeClock(START)
  let runs = 0
  const answer = (request: Request): Response => {
    runs += 1
    if (request.method !== 'GET' && request.method !== 'HEAD') return new Response('done')
    const date = { date: new Date(clock.now()).toUTCString() }
    return new Response(status === 204 ? null : `body ${runs}`, { status, headers: headersOf({ ...date, ...fields }) })
  }
  const handler = cached(answer, { clock, requestDirectives: true, etag: false, cacheStatus: false })
  const got: Got[] = []
  for (const { method = 'GET', headers = {}, after = 0 } of list) {
    clock.advance(after * 1000)
    const response = await handler(new Request('http://site.test/', { method, headers }))
    got.push({ status: response.status, headers: response.headers, body: await response.text() })
    for (let n = 0; n < 10; n++) await new Promise((resolve) => setImmediate(resolve))
  }
  return { runs, got }
}

const MINUTE: Fields = { 'cache-control': 'max-age=60' }

/** How often the handler runs for these visits. */
const runs = (name: string, fields: Fields, list: readonly Visit[], wanted: number, status = 200): void =>
  test(name, async () => {
    expect((await visits(fields, list, status)).runs).toBe(wanted)
  })

const control = (name: string, value: string, wanted: 1 | 2, headers: Record<string, string> = {}): void =>
  runs(name, { 'cache-control': value }, [{ headers }, { headers }], wanted)

describe('what is kept', () => {
  control('max-age', 'max-age=60', 1)
  control('s-maxage', 's-maxage=60', 1)
  control('s-maxage=0 beside max-age', 's-maxage=0, max-age=60', 2)
  control('no-store', 'max-age=60, no-store', 2)
  control('private', 'max-age=60, private', 2)
  control('no-cache', 'max-age=60, no-cache', 2)
  control('an invalid max-age', 'max-age=x', 2)
  control('Authorization, and max-age alone', 'max-age=60', 2, { authorization: 'Basic YTpi' })
  control('Authorization, and public', 'max-age=60, public', 1, { authorization: 'Basic YTpi' })
  control('Authorization, and s-maxage', 's-maxage=60', 1, { authorization: 'Basic YTpi' })
  runs('Expires', { expires: at(60) }, [{}, {}], 1)
  runs('an invalid Expires', { expires: '0' }, [{}, {}], 2)
  runs('Set-Cookie', { ...MINUTE, 'set-cookie': 'a=1' }, [{}, {}], 2)
  runs('Vary: *', { ...MINUTE, vary: '*' }, [{}, {}], 2)
  runs('Vary, and the same', { ...MINUTE, vary: 'x-a' }, [{ headers: { 'x-a': '1' } }, { headers: { 'x-a': '1' } }], 1)
  runs('Vary, and another', { ...MINUTE, vary: 'x-a' }, [{ headers: { 'x-a': '1' } }, { headers: { 'x-a': '2' } }], 2)
  runs(
    'Vary, both kept',
    { ...MINUTE, vary: 'x-a' },
    [{ headers: { 'x-a': '1' } }, {}, { headers: { 'x-a': '1' } }, {}],
    2,
  )
  for (const status of [429, 416, 412, 511]) runs(`a ${status}, whatever it says`, MINUTE, [{}, {}], 2, status)
  runs(
    'CDN-Cache-Control in the place of Cache-Control',
    { 'cdn-cache-control': 'max-age=60', 'cache-control': 'no-store' },
    [{}, {}],
    1,
  )
})

describe('for how long', () => {
  runs('to the last second', MINUTE, [{}, { after: 59 }], 1)
  runs('and no longer', MINUTE, [{}, { after: 60 }], 2)
  runs('less its Age', { ...MINUTE, age: '20' }, [{}, { after: 39 }, { after: 1 }], 2)
  runs('request max-age', MINUTE, [{}, { after: 10, headers: { 'cache-control': 'max-age=9' } }], 2)
  runs('request min-fresh', MINUTE, [{}, { after: 10, headers: { 'cache-control': 'min-fresh=51' } }], 2)
  runs('request max-stale', MINUTE, [{}, { after: 70, headers: { 'cache-control': 'max-stale=10' } }], 1)
  runs('request no-cache', MINUTE, [{}, { headers: { 'cache-control': 'no-cache' } }, {}], 2)
  runs('request no-store', MINUTE, [{ headers: { 'cache-control': 'no-store' } }, {}, {}], 2)
  runs('Pragma: no-cache', MINUTE, [{}, { headers: { pragma: 'no-cache' } }], 2)
  test('only-if-cached with nothing kept: 504, and the handler does not run', async () => {
    const { runs: count, got } = await visits(MINUTE, [{ headers: { 'cache-control': 'only-if-cached' } }])
    expect([count, got[0]?.status]).toEqual([0, 504])
  })
})

describe('how it is answered', () => {
  const second = async (fields: Fields, visit: Visit, status = 200): Promise<Got & { runs: number }> => {
    const { runs: count, got } = await visits({ ...MINUTE, etag: '"1"', ...fields }, [{}, visit], status)
    const last = got.at(-1)
    if (last === undefined) throw new Error('no answer')
    return { ...last, runs: count }
  }
  test('with Age and Date', async () => {
    const { headers } = await second({}, { after: 7 })
    expect([headers.get('age'), headers.get('date')]).toEqual(['7', at(0)])
  })
  test('If-None-Match: 304', async () => {
    const { status, body, runs: count, headers } = await second({}, { headers: { 'if-none-match': 'W/"1"' } })
    expect([status, body, count, headers.get('etag')]).toEqual([304, '', 1, '"1"'])
  })
  test('If-Modified-Since: 304', async () => {
    const { status, runs: count } = await second(
      { 'last-modified': at(-100) },
      { headers: { 'if-modified-since': at(-100) } },
    )
    expect([status, count]).toEqual([304, 1])
  })
  test('HEAD: no body, the same fields', async () => {
    const { status, body, runs: count } = await second({}, { method: 'HEAD' })
    expect([status, body, count]).toEqual([200, '', 1])
  })
  test('Range: 206', async () => {
    const { status, body, headers, runs: count } = await second({}, { headers: { range: 'bytes=0-3' } })
    expect([status, body, headers.get('content-range'), count]).toEqual([206, 'body', 'bytes 0-3/6', 1])
  })
  test('Range that cannot be satisfied: 416', async () => {
    const { status, headers } = await second({}, { headers: { range: 'bytes=6-' } })
    expect([status, headers.get('content-range')]).toEqual([416, 'bytes */6'])
  })
  test('If-Range with a weak date: the whole', async () => {
    const { status, body } = await second(
      { 'last-modified': at(0) },
      { headers: { range: 'bytes=0-3', 'if-range': at(0) } },
    )
    expect([status, body]).toEqual([200, 'body 1'])
  })
  test('hop-by-hop fields are not kept', async () => {
    const { headers } = await second({ connection: 'x-hop', 'x-hop': '1', 'keep-alive': 'timeout=5' }, {})
    expect([headers.get('x-hop'), headers.get('keep-alive'), headers.get('connection')]).toEqual([null, null, null])
  })
  test('fields named by private are not kept', async () => {
    const { headers } = await second({ 'cache-control': 'max-age=60, private="x-a"', 'x-a': '1' }, {})
    expect(headers.get('x-a')).toBeNull()
  })
})

describe('what makes it invalid', () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH']) runs(method, MINUTE, [{}, { method }, {}], 3)
  runs('not OPTIONS', MINUTE, [{}, { method: 'OPTIONS' }, {}], 2)
})
