import { once } from 'node:events'
import { connect } from 'node:net'
import { brotliDecompressSync } from 'node:zlib'
import { get as httpGet } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startOrigin, verifyBody, wholeBody } from './origin.ts'
import type { LocalOrigin } from './origin.ts'

let origin: LocalOrigin
let time = Date.UTC(2030, 0, 1)

beforeAll(async () => {
  origin = await startOrigin({ now: () => time })
})
beforeEach(() => origin.reset())
afterAll(() => origin.close())

const get = (path: string, init: RequestInit = {}): Promise<Response> => fetch(origin.url + path, init)
const json = async (path: string, init: RequestInit = {}): Promise<Record<string, unknown>> =>
  Object(await (await get(path, init)).json())

/** What comes over the wire, to the last byte. */
async function raw(path: string, headers = ''): Promise<string> {
  const socket = connect(origin.port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`)
  let text = ''
  for await (const chunk of socket.setEncoding('latin1')) text += String(chunk)
  return text
}

/** How a connection ended, and whether the body came first. */
async function outcome(path: string): Promise<string> {
  const socket = connect(origin.port, '127.0.0.1')
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  let received = ''
  socket.setEncoding('latin1').on('data', (text) => (received += String(text)))
  const error = await new Promise<unknown>((resolve) => {
    socket.once('error', resolve)
    socket.once('end', () => resolve(null))
  })
  return `${received.endsWith('\r\n\r\n01234') ? 'body' : received} ${error instanceof Error && 'code' in error ? String(error.code) : 'end'}`
}

describe('the request log', () => {
  test('counts by path, by path and query, and by predicate, before the answer arrives', async () => {
    await Promise.all([get('/get?a=1'), get('/get?a=2'), get('/headers')])
    expect(origin.count()).toBe(3)
    expect(origin.count('/get')).toBe(2)
    expect(origin.count('/get?a=1')).toBe(1)
    expect(origin.count((request) => request.query.get('a') === '2')).toBe(1)
    origin.reset()
    expect(origin.requests).toEqual([])
  })

  test('keeps header lines in order, with repeats, and the body', async () => {
    const socket = connect(origin.port, '127.0.0.1')
    socket.end(
      'POST /post HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nx-b: 2\r\nX-A: 3\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody',
    )
    await once(socket.resume(), 'close')
    const [request] = origin.requests
    expect(request?.headers.filter(([name]) => name.startsWith('x-'))).toEqual([
      ['x-a', '1'],
      ['x-b', '2'],
      ['x-a', '3'],
    ])
    expect(request?.header('X-A')).toBe('1, 3')
    expect(Buffer.from(request?.body ?? []).toString()).toBe('body')
    expect(request?.at).toBe(time)
    expect(request?.finished).toBe(true)
    expect(request?.aborted).toBe(false)
  })

  test('keeps no more of a body than bodyLimit, but counts all of it', async () => {
    await using small = await startOrigin({ bodyLimit: 10 })
    await fetch(`${small.url}/post`, { method: 'POST', body: 'x'.repeat(100_000) })
    expect(small.requests[0]?.body.length).toBe(10)
    expect(small.requests[0]?.bodySize).toBe(100_000)
  })

  test('a client that goes away shows as aborted, and the handler stops', async () => {
    const controller = new AbortController()
    const response = await get('/endless', { signal: controller.signal })
    expect(response.status).toBe(200)
    expect(origin.inFlight).toBe(1)
    controller.abort()
    await expect.poll(() => origin.inFlight).toBe(0)
    expect(origin.requests[0]).toMatchObject({ aborted: true, finished: false })
    expect(origin.errors).toEqual([])
  })
})

describe('routes and scripts', () => {
  test('a route comes before the built-in endpoints, by method, with parameters', async () => {
    origin.route('DELETE /users/{id}/{part}', ({ params }) => ({ status: 202, json: params }))
    origin.route('/files/*', ({ params }) => ({ body: params['rest'] ?? '' }))
    expect(await json('/users/a%20b/name', { method: 'DELETE' })).toEqual({ id: 'a b', part: 'name' })
    expect((await get('/users/1/name')).status).toBe(404)
    expect(await (await get('/files/a/b.txt?c')).text()).toBe('a/b.txt')
    expect(() => origin.route('users', () => {})).toThrow(TypeError)
  })

  test('a script answers in order and then fails loudly', async () => {
    origin.script('/steps', [{ headers: { etag: '"1"' }, body: 'one' }, { status: 304 }, () => ({ json: [3] })])
    expect(await (await get('/steps')).text()).toBe('one')
    expect((await get('/steps')).status).toBe(304)
    expect(await json('/steps')).toEqual([3])
    const beyond = await get('/steps')
    expect(beyond.status).toBe(500)
    expect(await beyond.text()).toContain('has 3 answers; this was request 4')
    expect(origin.errors).toHaveLength(1)
  })

  test("a script with then: 'last' repeats its last answer", async () => {
    origin.script('/last', [{ body: 'a' }, { body: 'b' }], 'last')
    const bodies = [await get('/last'), await get('/last'), await get('/last')].map((response) => response.text())
    expect(await Promise.all(bodies)).toEqual(['a', 'b', 'b'])
  })

  test('an answer has repeated header lines, a status text, its serial number and the date of the clock', async () => {
    origin.route('/lines', () => ({
      status: 299,
      statusText: 'Odd',
      headers: [
        ['X-Line', '1'],
        ['x-other', '2'],
        ['X-Line', '3'],
      ],
    }))
    const text = await raw('/lines')
    expect(text).toMatch(/^HTTP\/1.1 299 Odd\r\n/)
    expect(text).toContain('X-Line: 1\r\nX-Line: 3\r\n')
    expect(text).toContain(`Date: ${new Date(time).toUTCString()}\r\n`)
    expect(text).toContain('origin-serial: 1\r\n')
  })

  test('a handler that throws after the head breaks the connection off, and is in errors', async () => {
    origin.route('/half', ({ response }) => {
      response.write('half')
      throw new Error('half way')
    })
    await expect(get('/half').then((response) => response.text())).rejects.toThrow()
    expect(String(origin.errors[0])).toContain('half way')
  })
})

describe('echo endpoints', () => {
  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])('/%s says what it was asked', async (method) => {
    const body = method === 'GET' ? {} : { body: '{"a":1}' }
    const said = await json(`/${method.toLowerCase()}?q=1&q=2&r=3`, { method, ...body })
    expect(said).toMatchObject({ method, args: { q: ['1', '2'], r: '3' } })
    if (method !== 'GET') expect(said).toMatchObject({ json: { a: 1 }, data: '{"a":1}' })
  })

  test('/anything takes any method, path and form', async () => {
    const said = await json('/anything/x/y', { method: 'QUERY', body: new URLSearchParams({ k: 'v' }) })
    expect(said).toMatchObject({ method: 'QUERY', form: { k: 'v' }, url: `${origin.url}/anything/x/y` })
  })

  test('/headers, /ip, /user-agent, /response-headers, /basic-auth, /delay', async () => {
    expect(await json('/headers', { headers: { 'x-y': 'z' } })).toMatchObject({ headers: { 'x-y': 'z' } })
    expect(await json('/ip')).toEqual({ origin: '127.0.0.1' })
    expect(await json('/user-agent', { headers: { 'user-agent': 'me' } })).toEqual({ 'user-agent': 'me' })
    const response = await get('/response-headers?Cache-Control=max-age%3D5&x=1&x=2')
    expect(response.headers.get('cache-control')).toBe('max-age=5')
    expect(response.headers.get('x')).toBe('1, 2')
    expect((await get('/basic-auth/u/p')).status).toBe(401)
    expect((await get('/basic-auth/u/p', { headers: { authorization: `Basic ${btoa('u:p')}` } })).status).toBe(200)
    expect((await get('/delay/0')).status).toBe(200)
  })

  test('/redirect chains end at /get; /absolute-redirect has absolute locations; /redirect-to any', async () => {
    const response = await get('/redirect/3')
    expect(response.redirected).toBe(true)
    expect(origin.requests.map((request) => request.path)).toEqual([
      '/redirect/3',
      '/redirect/2',
      '/redirect/1',
      '/get',
    ])
    const location = async (path: string): Promise<string | null> =>
      (await get(path, { redirect: 'manual' })).headers.get('location')
    expect(await location('/relative-redirect/1')).toBe('/get')
    expect(await location('/absolute-redirect/2')).toBe(`${origin.url}/absolute-redirect/1`)
    expect((await get('/redirect-to?url=/x&status=308', { redirect: 'manual' })).status).toBe(308)
  })

  test('/cookies are set, shown and deleted', async () => {
    const set = await get('/cookies/set?a=1&b=2', { redirect: 'manual' })
    expect(set.headers.getSetCookie()).toEqual(['a=1; Path=/', 'b=2; Path=/'])
    expect(await json('/cookies', { headers: { cookie: 'a=1; b=2=3' } })).toEqual({ cookies: { a: '1', b: '2=3' } })
    const gone = await get('/cookies/delete?a', { redirect: 'manual' })
    expect(gone.headers.getSetCookie()[0]).toContain('1970')
  })

  test('/status and /vary', async () => {
    for (const code of [204, 301, 404, 418, 503]) {
      expect((await get(`/status/${code}`, { redirect: 'manual' })).status).toBe(code)
    }
    expect((await get('/status/100')).status).toBe(400)
    const response = await get('/vary?by=Accept-Language,x-no', { headers: { 'accept-language': 'de' } })
    expect(response.headers.get('vary')).toBe('Accept-Language,x-no')
    expect(await response.json()).toEqual({ 'accept-language': 'de', 'x-no': null })
  })
})

describe('validators and ranges', () => {
  test('/cache answers 304 to either validator; /cache/{seconds} is fresh', async () => {
    const response = await get('/cache')
    const etag = response.headers.get('etag') ?? ''
    const modified = response.headers.get('last-modified') ?? ''
    expect((await get('/cache', { headers: { 'if-none-match': `"x", W/${etag}` } })).status).toBe(304)
    expect((await get('/cache', { headers: { 'if-modified-since': modified } })).status).toBe(304)
    // If-None-Match wins over If-Modified-Since (RFC 9110 section 13.2.2).
    expect((await get('/cache', { headers: { 'if-none-match': '"x"', 'if-modified-since': modified } })).status).toBe(
      200,
    )
    expect((await get('/cache', { headers: { 'if-match': '"x"' } })).status).toBe(412)
    expect((await get('/cache/60')).headers.get('cache-control')).toBe('public, max-age=60')
  })

  test('/etag/{tag} is strong, or weak; /etag-every changes with the clock', async () => {
    expect((await get('/etag/abc')).headers.get('etag')).toBe('"abc"')
    expect((await get('/etag/W%2Fabc?max-age=9')).headers.get('etag')).toBe('W/"abc"')
    const first = (await get('/etag-every/10')).headers.get('etag') ?? ''
    expect((await get('/etag-every/10', { headers: { 'if-none-match': first } })).status).toBe(304)
    time += 10_000
    expect((await get('/etag-every/10', { headers: { 'if-none-match': first } })).status).toBe(200)
  })

  test.each([
    ['bytes=0-3', 206, 'abcd', 'bytes 0-3/30'],
    ['bytes=28-', 206, 'cd', 'bytes 28-29/30'],
    ['bytes=-2', 206, 'cd', 'bytes 28-29/30'],
    ['bytes=-99', 206, 'abcdefghijklmnopqrstuvwxyzabcd', 'bytes 0-29/30'],
    ['bytes=30-', 416, '', 'bytes */30'],
    ['bytes=-0', 416, '', 'bytes */30'],
    ['bytes=5-2', 200, 'abcdefghijklmnopqrstuvwxyzabcd', null],
    ['lines=0-3', 200, 'abcdefghijklmnopqrstuvwxyzabcd', null],
  ])('/range/30 with %s is %i', async (range, status, body, contentRange) => {
    const response = await get('/range/30', { headers: { range } })
    expect(response.status).toBe(status)
    expect(await response.text()).toBe(body)
    expect(response.headers.get('content-range')).toBe(contentRange)
  })

  test('/range: several ranges are multipart, If-Range must match', async () => {
    const response = await get('/range/30', { headers: { range: 'bytes=0-1, 26-27' } })
    expect(response.headers.get('content-type')).toMatch(/^multipart\/byteranges; boundary=/)
    const text = await response.text()
    expect(text.match(/Content-Range: bytes (0-1|26-27)\/30\r\n\r\nab\r\n/g)).toHaveLength(2)
    expect((await get('/range/30', { headers: { range: 'bytes=0-1', 'if-range': '"range-30"' } })).status).toBe(206)
    expect((await get('/range/30', { headers: { range: 'bytes=0-1', 'if-range': '"other"' } })).status).toBe(200)
  })

  test('/large verifies itself, whole and in parts, and shows every damage', async () => {
    const body = await (await get('/large/200000?seed=7')).bytes()
    expect(await verifyBody(body)).toEqual({ valid: true, size: 200_000, wrongAt: null })
    const part = await (await get('/large/200000?seed=7', { headers: { range: 'bytes=65530-65545' } })).bytes()
    expect(part).toEqual(body.slice(65_530, 65_546))
    const flipped = body.slice()
    flipped[150_000] = (flipped[150_000] ?? 0) ^ 1
    expect((await verifyBody(flipped)).wrongAt).toBe(150_000)
    expect(await verifyBody(body.subarray(0, 100_000))).toEqual({ valid: false, size: 100_000, wrongAt: 100_000 })
    expect((await verifyBody(Buffer.concat([body, body.subarray(0, 1)]))).wrongAt).toBe(200_000)
    expect((await verifyBody(wholeBody(200_000, 8), { seed: 7, size: 200_000 })).valid).toBe(false)
    expect((await verifyBody(Buffer.from('not one of ours'))).valid).toBe(false)
  })

  test.each([0, 1, 63, 64, 65, 65_536, 65_537])('/large/%i has exactly so many bytes', async (size) => {
    const response = await get(`/large/${size}`)
    expect(response.headers.get('content-length')).toBe(String(size))
    const chunks = (await response.bytes()) satisfies Uint8Array
    expect(await verifyBody(chunks, { size })).toEqual({ valid: true, size, wrongAt: null })
  })

  test('/bytes and /stream-bytes give the same bytes for the same seed', async () => {
    const a = await (await get('/bytes/1000?seed=3')).bytes()
    const b = await (await get('/stream-bytes/1000?seed=3')).bytes()
    expect(Buffer.compare(a, b)).toBe(0)
    expect((await get('/bytes/x')).status).toBe(400)
  })
})

describe('content', () => {
  test.each([
    ['/gzip', 'gzip'],
    ['/deflate', 'deflate'],
    ['/brotli', 'br'],
  ])('%s is encoded and decodes', async (path, coding) => {
    const response = await get(path)
    expect(response.headers.get('content-encoding')).toBe(coding)
    expect(await response.json()).toMatchObject({ encoding: coding })
  })

  test('/brotli is really brotli on the wire', async () => {
    const message = await new Promise<IncomingMessage>((resolve) => httpGet(`${origin.url}/brotli`, resolve))
    const chunks: Uint8Array[] = []
    for await (const chunk of message) if (chunk instanceof Uint8Array) chunks.push(chunk)
    expect(brotliDecompressSync(Buffer.concat(chunks)).toString()).toContain('"br"')
  })

  test.each([
    ['png', '89504e47'],
    ['jpeg', 'ffd8ffe0'],
    ['webp', '52494646'],
    ['svg', '3c737667'],
  ])('/image/%s is one', async (name, magic) => {
    const bytes = await (await get(`/image/${name}`)).bytes()
    expect(Buffer.from(bytes.subarray(0, 4)).toString('hex')).toBe(magic)
  })

  test('/image goes by Accept', async () => {
    const type = async (accept: string): Promise<string | null> =>
      (await get('/image', { headers: { accept } })).headers.get('content-type')
    expect(await type('image/webp, image/*;q=0.5')).toBe('image/webp')
    expect(await type('*/*')).toBe('image/png')
    expect((await get('/image', { headers: { accept: 'text/html' } })).status).toBe(406)
  })

  test('/json /html /xml /robots.txt /deny /encoding/utf8, and HEAD', async () => {
    expect(await json('/json')).toHaveProperty('slideshow')
    for (const path of ['/html', '/xml', '/robots.txt', '/deny', '/encoding/utf8']) {
      const whole = await get(path)
      const head = await get(path, { method: 'HEAD' })
      expect(head.headers.get('content-length')).toBe(String((await whole.bytes()).length))
      expect(await head.text()).toBe('')
    }
  })
})

describe('slow, endless and broken', () => {
  test('/stream gives lines, /drip its bytes, /slow its body', async () => {
    expect((await (await get('/stream/3')).text()).trim().split('\n')).toHaveLength(3)
    const drip = await get('/drip?numbytes=3&duration=0&code=203')
    expect([drip.status, await drip.text()]).toEqual([203, '***'])
    expect(await (await get('/slow?headers=0&body=0')).text()).toBe('slow\n')
    expect(await (await get('/slow?trickle=0')).text()).toBe('slow\n')
  })

  test('/endless flows until the client has had enough', async () => {
    const response = await get('/endless')
    let read = 0
    for await (const chunk of response.body ?? []) {
      read += chunk.length
      if (read > 1 << 20) break
    }
    await expect.poll(() => origin.requests[0]?.aborted).toBe(true)
    const events = await get('/endless?interval=1')
    expect(events.headers.get('content-type')).toBe('text/event-stream')
    await events.body?.cancel()
  })

  test.each(['/reset', '/short', '/reset?chunked', '/short?chunked'])('%s breaks off mid-body', async (path) => {
    const response = await get(path)
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow()
    await expect.poll(() => origin.inFlight).toBe(0)
    expect(origin.requests[0]).toMatchObject({ finished: true, aborted: false })
    expect(origin.errors).toEqual([])
  })

  test('/reset ends in a reset, /short in an end', async () => {
    expect(await outcome('/reset')).toBe('body ECONNRESET')
    expect(await outcome('/short')).toBe('body end')
  })

  test('/hangup sends nothing; /undelimited ends with the connection; /overlong says less than it sends', async () => {
    await expect(get('/hangup')).rejects.toThrow()
    expect(await raw('/hangup')).toBe('')
    expect(await (await get('/undelimited')).text()).toBe('undelimited\n')
    expect(await raw('/overlong')).toMatch(/Content-Length: 5\r\n\r\n0123456789$/)
  })

  test('/early-hints and /trailers', async () => {
    expect(await raw('/early-hints')).toMatch(/^HTTP\/1.1 103 Early Hints\r\nLink: .*\r\n\r\nHTTP\/1.1 200 OK\r\n/i)
    expect(await (await get('/early-hints')).text()).toBe('after early hints\n')
    const text = await raw('/trailers')
    expect(text).toMatch(/Trailer: x-trailer, x-checksum\r\n/)
    expect(text).toMatch(/0\r\nx-trailer: in the trailer\r\nx-checksum: abc\r\n\r\n$/)
  })

  test('raw answers go on the wire as they are', async () => {
    origin.route('/raw', () => ({ raw: 'HTTP/1.1 200 OK\r\nContent-Length: bogus\r\n\r\n' }))
    expect(await raw('/raw')).toBe('HTTP/1.1 200 OK\r\nContent-Length: bogus\r\n\r\n')
  })
})

test('many requests on one connection leave no listeners behind; close() twice is fine', async () => {
  const local = await startOrigin()
  const warnings: unknown[] = []
  const warned = (warning: unknown): unknown => warnings.push(warning)
  process.on('warning', warned)
  for (let i = 0; i < 30; i++) await (await fetch(`${local.url}/cache`)).text()
  await local.close()
  await local.close()
  process.off('warning', warned)
  expect(warnings).toEqual([])
})
