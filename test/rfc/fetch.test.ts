/** The Fetch standard: what a cached fetch gives is what fetch would have given, from the origin or from the store. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createCachedFetch, type CachedResponse } from '../../src/index.ts'
import { FakeClock, startOrigin, type LocalOrigin, type OriginAnswer } from '../../src/testing/index.ts'

const clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000)
let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin({ now: () => clock.now() })
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

const FRESH = { 'cache-control': 'max-age=60', etag: '"1"' }
const route = (path: string, answer: OriginAnswer): string => {
  origin.route(path, ({ request }) => (request.header('if-none-match') ? { ...answer, status: 304, body: '' } : answer))
  return origin.url + path
}

/** Everything of a response that fetch defines. */
async function shape(response: Response): Promise<unknown> {
  const { status, statusText, ok, url, redirected, type, bodyUsed } = response
  const fields = [...response.headers].filter(
    ([name]) => !/^(?:age|date|origin-serial|connection|keep-alive)$/.test(name),
  )
  const { type: blobType } = await response.clone().blob()
  const none = response.body === null
  const body = await response.text()
  const after = [response.bodyUsed, response.body?.locked]
  return { status, statusText, ok, url, redirected, type, bodyUsed, fields, blobType, none, body, after }
}

describe('a response', () => {
  const statuses = [200, 203, 204, 205, 299, 300, 301, 302, 308, 404, 410, 451, 500, 599]
  test.for(statuses.flatMap((status) => ['GET', 'HEAD'].map((method) => ({ status, method }))))(
    '$method, $status: the same by fetch, on a miss, and on a hit',
    async ({ status, method }) => {
      const headers = {
        ...FRESH,
        'content-type': 'text/Plain;charset=UTF-8',
        'set-cookie': ['a=1', 'b=2'],
        'x-empty': '',
      }
      const url = `${route('/shape', { status, headers, body: status === 204 || status === 205 ? '' : 'text' })}#fragment`
      const cached = createCachedFetch({ clock })
      const init = { method, redirect: 'manual' } as const
      const wanted = await shape(await fetch(url, init))
      expect(await shape(await cached(url, init))).toEqual(wanted)
      const hit = await cached(url, init)
      expect(hit.fromCache).toBe(true)
      expect(await shape(hit)).toEqual(wanted)
    },
  )
})

const digest = (text: string, algorithm = 'sha256', form: 'base64' | 'base64url' = 'base64'): string =>
  `${algorithm}-${createHash(algorithm).update(text).digest(form)}`

describe('integrity', () => {
  const rejected = (response: Promise<CachedResponse>): Promise<void> => expect(response).rejects.toThrow(TypeError)

  test('what is stored is checked like what comes', async () => {
    const url = route('/sri', { headers: FRESH, body: 'abc' })
    const cached = createCachedFetch({ clock })
    await rejected(cached(url, { integrity: digest('other') }))
    const first = await cached(url, { integrity: digest('abc') })
    expect(await first.text()).toBe('abc')
    await rejected(cached(url, { integrity: digest('other') }))
    await rejected(cached(new Request(url, { integrity: digest('other') })))
    const hit = await cached(url, { integrity: digest('abc') })
    expect([hit.fromCache, hit.url, hit.bodyUsed, await hit.clone().text(), await hit.text()]).toEqual([
      true,
      url,
      false,
      'abc',
      'abc',
    ])
    expect(origin.count('/sri')).toBe(1)
  })

  test('after a redirect it is about where it led, and after a 304 about what is stored', async () => {
    route('/sri-from', { status: 302, headers: { location: '/sri-to' } })
    const url = route('/sri-to', { headers: FRESH, body: 'abc' })
    const cached = createCachedFetch({ clock })
    for (const _ of [1, 2]) {
      const response = await cached(`${origin.url}/sri-from`, { integrity: digest('abc') })
      expect([response.url, response.redirected, await response.text()]).toEqual([url, true, 'abc'])
    }
    const again = await cached(url, { integrity: digest('abc'), cache: 'no-cache' })
    expect([again.revalidated, await again.text()]).toEqual([true, 'abc'])
  })

  test.for([
    ['the strongest algorithm counts', `${digest('other')} ${digest('abc', 'sha512')}`, true],
    ['even where a weaker one would do', `${digest('abc')} ${digest('other', 'sha384')}`, false],
    ['one of several is enough', `${digest('other')}  ${digest('abc')}`, true],
    ['the other alphabet, and no padding', digest('abc', 'sha256', 'base64url'), true],
    ['options mean nothing', `${digest('abc')}?ct=text/plain`, true],
    ['what nobody knows asks for nothing', 'md5-kAFQmDzST7DWlj99KOF/cg== nonsense', true],
  ] as const)('%s', async ([, integrity, holds]) => {
    const url = route('/sri-words', { headers: FRESH, body: 'abc' })
    const cached = createCachedFetch({ clock })
    for (const _ of [1, 2])
      if (holds) expect(await (await cached(url, { integrity })).text()).toBe('abc')
      else await rejected(cached(url, { integrity }))
    // As fetch has it; that of Node 22 takes options for a part of the digest.
    if (integrity.includes('?') && process.versions.node.startsWith('22.')) return
    expect(
      await fetch(url, { integrity }).then(
        () => true,
        () => false,
      ),
    ).toBe(holds)
  })

  test('of what is not for the cache it is checked by fetch', async () => {
    const cached = createCachedFetch({ clock })
    await rejected(cached('data:text/plain,abc', { integrity: digest('other') }))
    const response = await cached('data:text/plain,abc', { integrity: digest('abc') })
    expect([response.body instanceof ReadableStream, await response.text()]).toEqual([true, 'abc'])
  })

  test('a response without a body has none', async () => {
    const url = route('/sri-none', { status: 204, headers: FRESH })
    for (const ask of [fetch, createCachedFetch({ clock })])
      await expect(ask(url, { integrity: digest('') })).rejects.toThrow()
  })
})

describe('redirects', () => {
  test('the bytes of Location are UTF-8', async () => {
    origin.route('/{name}', ({ request }) => ({ body: request.url }))
    origin.route('/utf8', () => ({ status: 302, headers: { location: Buffer.from('/é?ü').toString('latin1') } }))
    for (const ask of [fetch, createCachedFetch({ clock })]) {
      const response = await ask(`${origin.url}/utf8`)
      expect([response.url, await response.text()]).toEqual([`${origin.url}/%C3%A9?%C3%BC`, '/%C3%A9?%C3%BC'])
    }
  })

  test('a mode that is none is refused', async () => {
    const cached = createCachedFetch({ clock })
    const init: RequestInit = JSON.parse('{"redirect":"sometimes"}')
    await expect(cached(origin.url, init)).rejects.toThrow(
      "redirect: 'sometimes' is not one of follow, manual and error",
    )
    expect(origin.count()).toBe(0)
  })

  test('methods and bodies go on as in fetch', async () => {
    const statuses = [301, 302, 303, 307, 308]
    for (const status of statuses) origin.route(`/to/${status}`, () => ({ status, headers: { location: '/seen' } }))
    origin.route('/seen', async ({ request }) => ({ json: [request.method, request.header('content-type')] }))
    const cached = createCachedFetch({ clock })
    for (const status of statuses)
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
        const init = { method, body: 'text' }
        const [wanted, seen] = await Promise.all([fetch, cached].map((ask) => ask(`${origin.url}/to/${status}`, init)))
        expect([method, status, await seen?.json()]).toEqual([method, status, await wanted?.json()])
      }
  })
})

describe('cache modes: what the origin is asked (HTTP-network-or-cache fetch)', () => {
  const NO_CACHE = 'no-cache'
  test.for([
    [
      ['default', 'no-cache'],
      [null, 'max-age=0'],
      [false, true],
    ],
    [['no-cache', 'default'], ['max-age=0'], [false]],
    [
      ['default', 'reload'],
      [null, NO_CACHE],
      [false, false],
    ],
    [['reload', 'default'], [NO_CACHE], [false]],
    [
      ['default', 'no-store'],
      [null, NO_CACHE],
      [false, false],
    ],
    [
      ['no-store', 'default'],
      [NO_CACHE, null],
      [false, false],
    ],
    [['force-cache', 'default'], [null], [false]],
    [['default', 'force-cache'], [null], [false]],
    [['default', 'only-if-cached'], [null], [false]],
  ] as const)('%j', async ([modes, controls, conditional]) => {
    const url = route('/modes', { headers: FRESH, body: 'abc' })
    const cached = createCachedFetch({ clock })
    for (const cache of modes) expect(await (await cached(url, { cache })).text()).toBe('abc')
    expect(origin.requests.map((request) => request.header('cache-control'))).toEqual(controls)
    expect(origin.requests.map((request) => request.header('if-none-match') !== null)).toEqual(conditional)
  })
})
