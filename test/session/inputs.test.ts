/** Features S2, S5, S13, I1, I4: what a session takes, and what it refuses with a clear error. */
import { describe, expect, test } from 'vitest'
import {
  OptionError,
  type CachedSession,
  type SessionOptions,
  type SessionRequest,
  type StandardSchema,
} from '../../src/index.ts'
import { text, useBench } from '../checklist/support.ts'

const at = useBench()

/** What the origin was asked for. */
async function asked(s: CachedSession, path: string, request: SessionRequest = {}): Promise<string | undefined> {
  await text(s.get(path, { ...request, cache: 'no-store' }))
  return at.origin.requests.at(-1)?.url
}

describe('S2: URLs and parameters', () => {
  test('what a URL has already stays as it is written', async () => {
    await using s = at.session({ params: { k: 'v' } })
    expect(await asked(s, '/get?flag&a=%20b', { params: { c: 'd e' } })).toBe('/get?flag&a=%20b&k=v&c=d+e')
    expect(await asked(s, '/get?k=v')).toBe('/get?k=v')
    await using plain = at.session()
    expect(await asked(plain, '/get', { params: 'a=%20b&flag' })).toBe('/get?a=%20b&flag')
    expect(await asked(plain, '/get?x', { params: '?y=z' })).toBe('/get?x&y=z')
    expect(await asked(plain, '/get', { params: {} })).toBe('/get')
  })

  test('a path below the base may have a colon in it', async () => {
    await using s = at.session({ baseUrl: `${at.origin.url}/anything` })
    expect(await asked(s, '/a:b')).toBe('/anything/a:b')
    expect(await asked(s, './urn:x/y')).toBe('/anything/urn:x/y')
    expect(await asked(s, '?q=1')).toBe('/anything/?q=1')
  })

  test('pairs may come from anything that yields them; what is no parameter is an error', async () => {
    await using s = at.session()
    const params: unknown = new Map<string, unknown>([
      ['a', [1, 2]],
      ['b', true],
    ])
    expect(await asked(s, '/get', { params } as SessionRequest)).toBe('/get?a=1&a=2&b=true')
    for (const wrong of [5, null, [['a']], ['a', 'b'], { a: { b: 1 } }, { a: () => 1 }, { a: [[1]] }] as unknown[]) {
      await expect(s.get('/get', { params: wrong } as SessionRequest)).rejects.toMatchObject({ option: 'params' })
      await expect(s.post('/post', { form: wrong } as SessionRequest)).rejects.toThrow(OptionError)
    }
    for (const url of [undefined, null, 5])
      await expect(Reflect.apply(s.get, s, [url])).rejects.toThrow(/a URL is a string or a URL/)
  })

  test('row 42: the method is written in upper case', async () => {
    await using s = at.session()
    await text(s.request('patch', '/anything'))
    expect(at.origin.requests[0]?.method).toBe('PATCH')
    await text(s.request('get', '/get'))
    expect((await s.get('/get')).fromCache).toBe(true)
  })
})

describe('S5: what is wrong is told', () => {
  test('options of a request that are nearly one', async () => {
    await using s = at.session()
    const slips = {
      parms: 'params',
      jsno: 'json',
      header: 'headers',
      signl: 'signal',
      timeOut: 'timeout',
      bdoy: 'body',
    }
    for (const [slip, meant] of Object.entries(slips))
      await expect(s.get('/get', { [slip]: 1 })).rejects.toThrow(`unknown option ${slip}; did you mean ${meant}?`)
    await expect(Reflect.apply(s.get, s, ['/get', null])).rejects.toThrow(OptionError)
    expect(at.origin.requests).toEqual([])
    // S1: what nobody here knows is for fetch.
    const foreign = {
      next: {},
      cf: {},
      agent: 1,
      client: 1,
      proxy: 'x',
      tls: {},
      unix: 'x',
      verbose: true,
      decompress: true,
    }
    expect((await s.get('/get', foreign as SessionRequest)).status).toBe(200)
  })

  test('values of a request and of a session', async () => {
    await using s = at.session()
    const wrong: readonly object[] = [
      { raiseForStatus: 'yes' },
      { schema: {} },
      { schema: 5 },
      { json: () => 1 },
      { json: Symbol('x') },
      { auth: { username: 'u' } },
      { timeout: '5 seconds' },
      { query: { a: 1 } },
      { data: { a: 1 } },
      { throwHttpErrors: true },
    ]
    for (const request of wrong) await expect(s.post('/post', request)).rejects.toThrow(OptionError)
    expect(at.origin.requests).toEqual([])
    for (const hooks of [{ reqest: () => undefined }, { request: 'x' }, []])
      expect(() => at.session({ hooks } as SessionOptions)).toThrow(OptionError)
  })

  test('row 12: nothing can be done with a closed session', async () => {
    const s = at.session()
    await s.close()
    expect(() => s.configure({ expireAfter: 5 })).toThrow(/closed/)
    expect(() => s.install()).toThrow(/closed/)
    await expect(s.cache.urls()).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
  })
})

test('S13: a clone of a response is validated like it, and knows raiseForStatus', async () => {
  await using s = at.session()
  const validate = (value: unknown): { value: number } => ({ value: Object.keys(value as object).length })
  const schema: StandardSchema<number> = { '~standard': { validate } }
  for (let n = 0; n < 2; n++) {
    const response = await s.get<number>('/json', { schema })
    const clone = response.clone().raiseForStatus()
    expect(await clone.clone().json()).toBe(await response.json())
    expect([typeof (await clone.json()), clone.fromCache]).toEqual(['number', n > 0])
  }
})

describe('I1, I4: the cache refuses what it cannot mean', () => {
  test('listing, deleting, storing and warming', async () => {
    await using s = at.session()
    await text(s.get('/get'))
    const { cache } = s
    const calls: readonly (() => Promise<unknown>)[] = [
      () => Array.fromAsync(cache.entries({ limit: -1 })),
      () => Array.fromAsync(Reflect.apply(cache.entries, cache, [{ limit: '5' }])),
      () => Array.fromAsync(Reflect.apply(cache.entries, cache, [{ filter: 5 }])),
      () => Array.fromAsync(Reflect.apply(cache.entries, cache, [{ expired: 'yes' }])),
      () => cache.delete({}),
      () => Reflect.apply(cache.delete, cache, [{ url: undefined }]),
      () => Reflect.apply(cache.delete, cache, [{ expired: 'yes' }]),
      () => Reflect.apply(cache.invalidateTags, cache, []),
      () => Reflect.apply(cache.put, cache, ['/put', 'x']),
      () => Reflect.apply(cache.put, cache, ['/put', undefined]),
      () => cache.warm(['/get'], { concurrency: 0 }),
      () => Reflect.apply(cache.warm, cache, [['/get'], { concurency: 2 }]),
    ]
    for (const call of calls) await expect(call()).rejects.toThrow(OptionError)
    expect(await cache.urls()).toHaveLength(1)
    expect(await cache.delete({ key: [] })).toBe(0)
  })
})
