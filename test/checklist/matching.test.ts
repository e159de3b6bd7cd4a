/** Checklist section 1.3: which requests are one. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MemoryStore, type CacheOptions, type SessionOptions, type SessionRequest } from '../../src/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

/** A fetch that answers anything with 200 and says what it was asked. */
function anyOrigin(): { urls: string[]; fetch: typeof fetch } {
  const urls: string[] = []
  const fake = async (input: string | URL | Request): Promise<Response> => {
    urls.push(String(input))
    return new Response('x', { headers: { 'cache-control': 'max-age=60' } })
  }
  return { urls, fetch: fake as typeof fetch }
}

/** How many different keys so many URLs have. */
async function keysOf(urls: readonly string[], options: CacheOptions = {}): Promise<number> {
  const origin = anyOrigin()
  await using cached = at.cached({ fetch: origin.fetch, ...options })
  for (const url of urls) await text(cached(url))
  return origin.urls.length
}

/** How many requests of these POSTs reach the origin. */
async function posted(requests: readonly SessionRequest[], options: SessionOptions = {}): Promise<number> {
  const before = at.origin.requests.length
  await using s = at.session({ allowedMethods: ['GET', 'POST'], ...options })
  for (const request of requests) await text(s.post('/anything', request))
  return at.origin.requests.length - before
}

describe('URLs', () => {
  test('row 42: methods are told apart, whatever their case; a HEAD never answers a GET', async () => {
    await using s = at.session({ allowedMethods: ['get', 'head', 'post'] })
    await text(s.request('head', '/get'))
    await text(s.request('get', '/get'))
    await text(s.request('GET', '/get'))
    await text(s.request('post', '/anything'))
    await text(s.request('POST', '/anything'))
    expect(at.origin.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'POST'])
  })

  test('row 43: one key: case of scheme and host, default port, dot segments, empty path, empty query, IDN', async () => {
    expect(
      await keysOf([
        'http://example.test/',
        'HTTP://EXAMPLE.test',
        'http://example.test:80/',
        'http://example.test/a/..',
        'http://example.test/?',
      ]),
    ).toBe(1)
    expect(
      await keysOf(['https://example.test:443/a', 'https://example.test/b/../a', 'https://example.test/./a']),
    ).toBe(1)
    expect(await keysOf(['http://bücher.test/', 'http://xn--bcher-kva.test/'])).toBe(1)
  })

  test('row 43: percent-encoding is left as it is: the origin may tell it apart', async () => {
    expect(await keysOf(['http://example.test/%7Ea', 'http://example.test/~a'])).toBe(2)
    expect(await keysOf(['http://example.test/%2f', 'http://example.test/%2F'])).toBe(2)
    expect(await keysOf(['http://example.test/?a=1', 'http://example.test/?a=1&'], { sortParams: true })).toBe(1)
  })

  test('row 44: scheme and port count; row 48: the fragment does not', async () => {
    const urls = ['http://example.test/', 'https://example.test/', 'http://example.test:81/']
    expect(await keysOf([...urls, ...urls.map((url) => `${url}#part`)])).toBe(3)
  })

  test('row 45: however parameters are given, in whatever order, they make one key', async () => {
    await using s = at.session()
    const given = { param: 1, foo: 'bar' }
    const pairs = [
      ['foo', 'bar'],
      ['param', '1'],
    ] as const
    await text(s.get('/get?foo=bar&param=1'))
    await text(s.get('/get?param=1&foo=bar'))
    await text(s.get('/get?foo=bar&param=1&'))
    await text(s.get('/get?foo=bar', { params: { param: '1' } }))
    await text(s.get('/get', { params: given }))
    await text(s.get('/get?', { params: pairs }))
    await text(s.get('/get', { params: new URLSearchParams('foo=bar&param=1') }))
    await text(s.get('/get', { params: '?param=1&foo=bar' }))
    await text(s.get(new URL('/get?param=1', at.origin.url), { params: { foo: ['bar'], none: undefined } }))
    expect(at.origin.requests).toHaveLength(1)
    expect(given).toEqual({ param: 1, foo: 'bar' })
  })

  test('row 46: repeated names are kept; row 47: names without values, too, in any order', async () => {
    await using s = at.session()
    for (const query of ['a=1&a=2', 'a=2&a=1', 'a=1', 'b&a', 'a&b', 'x=', 'x']) await text(s.get(`/get?${query}`))
    expect(at.origin.requests.map(({ url }) => url.slice(5))).toEqual(['a=1&a=2', 'a=1', 'b&a', 'x=', 'x'])
  })

  test('row 49: credentials in a URL are moved to the header, stored nowhere, and tell users apart', async () => {
    const store = new MemoryStore()
    await using s = at.session({ store })
    for (const user of ['alice', 'bob', 'alice'])
      await text(s.get(at.origin.url.replace('//', `//${user}:secret@`) + '/get'))
    expect(at.origin.requests.map((request) => request.header('authorization'))).toEqual([
      `Basic ${btoa('alice:secret')}`,
      `Basic ${btoa('bob:secret')}`,
    ])
    const stored = JSON.stringify(await Array.fromAsync(store.entries()))
    expect(stored).not.toMatch(/alice|secret|YWxpY2U/)
  })

  test('row 65: the key is plain text and SHA-256 of what is not, the same everywhere', async () => {
    const canonical = 'json\n["o",["a",["a",null]],["b",1]]'
    const { fetch } = anyOrigin()
    await using s = at.session({ fetch, allowedMethods: ['POST'] })
    const { cacheKey } = await s.post('http://example.test/a?b=1&a=2', { json: { b: 1, a: [null] } })
    const digest = '763368732e1d2e501e616b228c7a913e51f56387adcdac0fb194372173191ad9'
    expect(createHash('sha256').update(canonical).digest('hex')).toBe(digest)
    expect(cacheKey).toBe(`POST http://example.test/a?a=2&b=1\nbody ${digest}`)
  })
})

describe('bodies', () => {
  test('row 50: query, form and JSON are told apart, for every method', async () => {
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
    await using s = at.session({ allowedMethods: methods })
    for (const method of methods) {
      const variants: SessionRequest[] = [{ params: { a: 1 } }, { params: { a: 2 } }]
      if (method !== 'GET')
        variants.push({ form: { a: 1 } }, { form: { a: 2 } }, { json: { a: 1 } }, { json: { a: 2 } })
      for (let n = 0; n < 2; n++) for (const variant of variants) await text(s.request(method, '/anything', variant))
      expect(at.origin.count(({ method: sent }) => sent === method)).toBe(variants.length)
    }
  })

  test('row 51, row 52: JSON of any JSON type: the order of keys means nothing', async () => {
    for (const type of ['application/json', 'application/json; charset=utf-8', 'application/vnd.x+json']) {
      const json = (body: string): SessionRequest => ({ body, headers: { 'content-type': type } })
      expect(await posted([json('{"a":1,"b":{"c":2,"d":3}}'), json('{ "b": {"d":3,"c":2}, "a":1 }')])).toBe(1)
      const values = ['[1,2]', '[2,1]', '1', '"1"', 'null', '"None"', '[]', '{}', '0', 'false']
      expect(await posted(values.map(json))).toBe(values.length)
    }
    const plain = { headers: { 'content-type': 'text/plain' } }
    expect(
      await posted([
        { ...plain, body: '{"a":1,"b":2}' },
        { ...plain, body: '{"b":2,"a":1}' },
      ]),
    ).toBe(2)
  })

  test('row 53: forms in any order are one; broken JSON and binary count as their bytes', async () => {
    expect(
      await posted([{ form: { a: 1, b: 2 } }, { form: { b: 2, a: 1 } }, { body: new URLSearchParams('b=2&a=1') }]),
    ).toBe(1)
    const broken = { headers: { 'content-type': 'application/json' } }
    expect(
      await posted([
        { ...broken, body: '{"a":' },
        { ...broken, body: '{"a":' },
        { ...broken, body: '{ "a":' },
      ]),
    ).toBe(2)
    expect(
      await posted([
        { body: new Uint8Array([1, 255]) },
        { body: new Uint8Array([1, 254]) },
        { body: new Uint8Array([1, 255]) },
      ]),
    ).toBe(2)
  })

  test('row 54: a body over 10 MiB counts as its bytes', async () => {
    const filler = 'x'.repeat(10 * 1024 * 1024)
    const json = (body: string): SessionRequest => ({ body, headers: { 'content-type': 'application/json' } })
    expect(
      await posted([json(`{"a":1,"b":"${filler}"}`), json(`{"b":"${filler}","a":1}`), json(`{"a":1,"b":"${filler}"}`)]),
    ).toBe(2)
  })

  test('row 55: a stream is read once, counts as its bytes, and is still sent', async () => {
    const stream = (...parts: string[]): SessionRequest => ({
      body: new ReadableStream({
        start(controller) {
          for (const part of parts) controller.enqueue(new TextEncoder().encode(part))
          controller.close()
        },
      }),
    })
    expect(await posted([stream('ab', 'c'), stream('a', 'bc'), stream('abd')])).toBe(2)
    expect(at.origin.requests.map(({ body }) => Buffer.from(body).toString())).toEqual(['abc', 'abd'])
  })

  test('row 56: an upload is one whatever its boundary: 1 miss, 4 hits; another file is another', async () => {
    const upload = (content: string): SessionRequest => {
      const form = new FormData()
      form.append('file', new Blob([content]), 'a.txt')
      form.append('name', 'n')
      return { body: form }
    }
    expect(await posted(['a', 'a', 'a', 'a', 'a', 'b'].map(upload))).toBe(2)
  })

  test('row 57: a form is not JSON, and values cannot pose as names', async () => {
    expect(await posted([{ form: { a: '1&b=2' } }, { form: { a: '1', b: '2' } }, { json: { a: '1', b: '2' } }])).toBe(3)
  })
})

describe('ignored and matched', () => {
  test('row 58, row 59: ignored names count for nothing in query, forms, JSON and matched headers, in any case', async () => {
    const options = { ignoredParams: ['Token'], matchHeaders: ['token', 'x-kind'] }
    expect(
      await posted([{ params: { token: 1, q: 1 } }, { params: { TOKEN: 2, q: 1 } }, { params: { q: 1 } }], options),
    ).toBe(1)
    expect(await posted([{ form: { token: 1, q: 1 } }, { form: { q: 1 } }], options)).toBe(1)
    expect(await posted([{ json: { a: { token: 1 }, q: 1 } }, { json: { a: {}, q: 1 } }], options)).toBe(1)
    expect(await posted([{ headers: { token: 'a' } }, { headers: { Token: 'b' } }, {}], options)).toBe(1)
    expect(await posted([{ headers: { 'x-kind': 'a' } }, { headers: { 'X-Kind': 'b' } }], options)).toBe(2)
  })

  test('row 60: contentRootKey: names are ignored in that member of a JSON body, at any depth, and nowhere beside it', async () => {
    const options = { ignoredParams: ['id'], contentRootKey: 'variables' }
    const body = (variables: unknown, id: number): SessionRequest => ({ json: { id, query: 'q', variables } })
    expect(
      await posted([body({ id: 1, a: { id: 2 } }, 1), body({ a: {} }, 1), body({ a: { id: [3] } }, 1)], options),
    ).toBe(1)
    expect(await posted([body({}, 1), body({}, 2)], options)).toBe(2)
    expect(
      await posted([{ json: { variables: 1, query: 'q' } }, { json: { query: 'q', variables: 1 } }], options),
    ).toBe(1)
    // The member itself counts, whatever its name, and so does its being there.
    expect(await posted([body({}, 1), { json: { id: 1, query: 'q' } }], options)).toBe(2)
    expect(await posted([body(1, 1), body(2, 1)], { ignoredParams: ['variables'], contentRootKey: 'variables' })).toBe(
      2,
    )
    // Bodies without it, and other kinds of bodies: anywhere.
    expect(await posted([{ json: { id: 1, q: 1 } }, { json: { id: 2, q: 1 } }, { json: { q: 1 } }], options)).toBe(1)
    expect(await posted([{ json: [{ id: 1 }] }, { json: [{ id: 2 }] }], options)).toBe(1)
    expect(await posted([{ form: { id: 1, q: 1 } }, { form: { q: 1 } }], options)).toBe(1)
    // By URL, too.
    const urlsExpireAfter = { '*/graphql': { contentRootKey: 'variables' } }
    expect(await posted([body({ id: 1 }, 1), body({ id: 2 }, 2)], { ignoredParams: ['id'], urlsExpireAfter })).toBe(1)
    expect(() => at.session({ contentRootKey: '' })).toThrow(/contentRootKey must be a non-empty string/)
  })

  test('row 61: credentials are never shared by default: they count, by a digest', async () => {
    const names = ['authorization', 'proxy-authorization', 'x-api-key', 'x-auth-token', 'x-api-token', 'x-access-token']
    const store = new MemoryStore()
    at.origin.route('/row61', () => ({ body: 'x' }))
    const fake = anyOrigin()
    await using s = at.session({ store, fetch: fake.fetch })
    for (const name of names)
      for (const value of ['secret-a', 'secret-b']) await text(s.get('/row61', { headers: { [name]: value } }))
    for (const name of ['access_token', 'api_key', 'apikey'])
      for (const value of ['secret-a', 'secret-b']) await text(s.get('/row61', { params: { [name]: value } }))
    expect(fake.urls).toHaveLength(18)
    expect(JSON.stringify(await Array.fromAsync(store.entries()))).not.toContain('secret')
  })

  test('row 62: in what is stored the values are redacted, and the rest of the URL is as it was', async () => {
    await using s = at.session({ ignoredParams: ['token'] })
    await text(s.get('/get?q=%7e+x&token=secret&z'))
    expect(await s.cache.urls()).toEqual([`${at.origin.url}/get?q=%7e+x&token=REDACTED&z`])
    expect(at.origin.requests[0]?.url).toBe('/get?q=%7e+x&token=secret&z')
  })

  test('row 63: matched headers: none, listed or all; case and order of names mean nothing; defaults count', async () => {
    const asked = async (options: SessionOptions): Promise<number> => {
      const before = at.origin.requests.length
      const store = new MemoryStore()
      for (const headers of [{}, { 'x-one': 'default' }]) {
        await using s = at.session({ store, headers, ...options })
        await text(s.get('/get', { headers: { Accept: 'a', 'X-Two': '2' } }))
        await text(s.get('/get', { headers: { 'x-two': '2', accept: 'b' } }))
      }
      return at.origin.requests.length - before
    }
    expect(await asked({})).toBe(1)
    expect(await asked({ matchHeaders: ['Accept'] })).toBe(2)
    expect(await asked({ matchHeaders: ['x-one'] })).toBe(2)
    expect(await asked({ matchHeaders: true })).toBe(4)
    expect(await asked({ matchHeaders: false })).toBe(1)
  })

  test('row 64, row 157: keyFn gets the request and the default key, sync or async, and may ask through the same session', async () => {
    await using s = at.session({
      keyFn: async ({ url }, key) => {
        if (url.endsWith('/json')) return key
        await text(s.get('/json'))
        return `mine ${new URL(url).pathname}`
      },
    })
    for (const query of ['?a', '?b']) await text(s.get(`/get${query}`))
    expect((await s.get('/get')).cacheKey).toBe('mine /get')
    expect(at.origin.requests.map(({ path }) => path)).toEqual(['/json', '/get'])
  })

  test('row 68: a value of the caller’s context in every key', async () => {
    const user = new AsyncLocalStorage<string>()
    await using s = at.session({ keyFn: (_, key) => `${user.getStore() ?? ''} ${key}` })
    for (const name of ['alice', 'bob', 'alice']) await user.run(name, () => text(s.get('/get')))
    expect(at.origin.requests).toHaveLength(2)
  })

  test('row 69: each redirect is an entry of its own: no mode gets what belongs to another', async () => {
    await using s = at.session()
    expect((await got(s.get('/redirect/1')))[0]).toBe(200)
    expect((await got(s.get('/redirect/1', { redirect: 'manual' })))[0]).toBe(302)
    await expect(s.get('/redirect/1', { redirect: 'error' })).rejects.toThrow('fetch failed')
    expect((await got(s.get('/redirect/1')))[0]).toBe(200)
  })

  test('row 70: cookies and auth of a call are part of the match', async () => {
    await using s = at.session()
    const calls: SessionRequest[] = [
      {},
      { headers: { cookie: 'sid=1' } },
      { headers: { cookie: 'sid=2' } },
      { auth: { username: 'a', password: 'b' } },
      { auth: { username: 'a', password: 'c' } },
    ]
    for (let n = 0; n < 2; n++) for (const call of calls) await text(s.get('/get', call))
    await until(() => at.origin.inFlight === 0)
    expect(at.origin.requests).toHaveLength(calls.length)
  })
})
