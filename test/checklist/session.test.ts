/** Checklist section 1.1: session and configuration. */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  cacheInfo,
  CachedSession,
  createCachedFetch,
  MemoryStore,
  OptionError,
  StateError,
  type SessionOptions,
} from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { got, text, useBench } from './support.ts'

const at = useBench()
const run = promisify(execFile)

const folder = (): string => mkdtempSync(join(tmpdir(), 'keepfresh-test-'))

afterEach(() => vi.doUnmock('tough-cookie'))

async function inCapitals(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init)
  return new Response((await response.text()).toUpperCase(), { headers: response.headers })
}

describe('the client', () => {
  test('row 1: GET and HEAD are cached, other methods are not', async () => {
    await using s = at.session()
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PATCH']) {
      at.answer(`${method} /row1-${method}`, { body: 'x' })
      for (let n = 0; n < 2; n++) await text(s.request(method, `/row1-${method}`))
    }
    const counts = ['GET', 'HEAD', 'OPTIONS', 'POST', 'PATCH'].map((method) => at.origin.count(`/row1-${method}`))
    expect(counts).toEqual([1, 1, 2, 2, 2])
  })

  test('row 2, row 24: it wraps an existing client, which sees its own init fields, and misses only', async () => {
    type Init = RequestInit & { next?: string }
    const seen: (string | undefined)[] = []
    const limited = async (input: string | URL | Request, init?: Init): Promise<Response> => {
      seen.push(init?.next)
      return fetch(input, init)
    }
    await using cached = at.cached({ fetch: limited })
    const init: Init = { next: 'mine' }
    for (let n = 0; n < 2; n++) await text(cached(`${at.origin.url}/cache/60`, init))
    expect([seen, at.origin.requests.length]).toEqual([['mine'], 1])
  })

  test('row 25: what rewrites a response before it is stored is the wrapped fetch', async () => {
    at.answer('/row25', { headers: { 'cache-control': 'max-age=60' }, body: 'low' })
    await using cached = at.cached({ fetch: inCapitals, tags: ['mine'] })
    for (let n = 0; n < 2; n++) expect(await text(cached(`${at.origin.url}/row25`))).toBe('LOW')
    expect(cacheInfo(await cached(`${at.origin.url}/row25`))?.tags).toEqual(['mine'])
    expect(at.origin.count('/row25')).toBe(1)
  })

  test('row 3: one client, a policy of its own for each URL prefix', async () => {
    await using s = at.session({
      urlsExpireAfter: { '*/row3/never': 0, '*/row3/short': { expireAfter: 10, tags: ['short'] } },
    })
    for (const path of ['/row3/never', '/row3/short', '/row3/other']) {
      at.answer(path, { body: 'x' })
      for (const wait of [0, 5, 10]) {
        at.seconds(wait)
        await text(s.get(path))
      }
    }
    expect(['/row3/never', '/row3/short', '/row3/other'].map((path) => at.origin.count(path))).toEqual([3, 2, 1])
  })

  test('row 4: relative URLs are resolved before keys, rules, has and delete', async () => {
    const store = new MemoryStore()
    at.answer('/v1/row4', { body: 'x' })
    const { host } = new URL(at.origin.url)
    await using s = at.session({
      store,
      baseUrl: `${at.origin.url}/v1`,
      urlsExpireAfter: [[`${host}/v1`, { tags: ['v1'] }]],
    })
    await text(s.get('/row4'))
    expect(await s.cache.has('row4')).toBe(true)
    expect(await s.cache.has(`${at.origin.url}/v1/row4`)).toBe(true)
    expect((await s.cache.get('/row4'))?.tags).toEqual(['v1'])
    await using other = at.session({ store })
    expect((await other.get('/v1/row4')).fromCache).toBe(true)
    expect((await got(other.get('/row4')))[1]).toBe(false)
    expect(await s.cache.delete({ url: '/row4' })).toBe(1)
    expect(at.origin.requests).toHaveLength(2)
  })

  test('row 12: use after close is a clear error, for hits, too', async () => {
    const s = at.session()
    await text(s.get('/get'))
    await s.close()
    await expect(s.get('/get')).rejects.toThrow(StateError)
    await expect(s.cache.has('/get')).rejects.toThrow(/closed/)
    const cached = at.cached()
    await cached.close()
    await expect(cached(`${at.origin.url}/get`)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
  })

  test('row 13: a session that is never closed keeps no process alive', async () => {
    const url = new URL('../../src/index.ts', import.meta.url).href
    const script = `import { CachedSession } from '${url}'
      for (const store of ['memory:', 'sqlite:${join(folder(), 'a.db')}']) {
        const s = new CachedSession({ store })
        const response = await s.get('${at.origin.url}/get')
        await response.text()
        console.log(response.status)
      }`
    const args = ['--disable-warning=ExperimentalWarning', '--input-type=module-typescript', '--eval', script]
    const { stdout } = await run(process.execPath, args, { timeout: 20_000 })
    expect(stdout).toBe('200\n200\n')
  })
})

describe('stores and options', () => {
  test('row 5: a store by URL or instance; an unknown URL names the valid ones; there is one option for both', () => {
    expect(() => at.session({ store: 'nosuch://x' })).toThrow(/memory:.*sqlite:/)
    expect(() => at.session({ store: Object.assign(new MemoryStore(), { read: 1 }) })).toThrow(OptionError)
  })

  test('row 6: without an optional package the rest works, and what needs it says which and how', async () => {
    vi.doMock('tough-cookie', () => {
      throw new Error('Cannot find package')
    })
    await using s = at.session({ cookies: true })
    await expect(s.get('/get')).rejects.toMatchObject({
      code: 'ERR_MISSING_PEER',
      message: expect.stringContaining('npm install tough-cookie'),
    })
  })

  test('row 6: a store by URL whose package is missing is told to whoever needs it; closing is no error then', async () => {
    const code = `
      import { registerHooks } from 'node:module'
      registerHooks({
        resolve(name, context, next) {
          if (name === 'redis') throw Object.assign(new Error('hidden'), { code: 'ERR_MODULE_NOT_FOUND' })
          return next(name, context)
        },
      })
      const { CachedSession, createCachedFetch } = await import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
      const store = 'redis://localhost:1'
      const s = new CachedSession({ store })
      const cached = createCachedFetch({ store })
      for (const ask of [(url) => s.get(url), (url) => s.get(url), cached])
        await ask('http://localhost:1/').catch(({ code, message }) => console.log(code, /npm install redis/.test(message)))
      await s.close()
      await cached.close()`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
      timeout: 20_000,
    })
    expect(stdout).toBe('ERR_MISSING_PEER true\n'.repeat(3))
  })

  test('row 6: so is a store by instance: before anything is sent, to a look into the cache as well', async () => {
    const code = `
      import { registerHooks } from 'node:module'
      registerHooks({
        resolve(name, context, next) {
          if (['redis', 'mongodb'].includes(name)) throw Object.assign(new Error('hidden'), { code: 'ERR_MODULE_NOT_FOUND' })
          return next(name, context)
        },
      })
      const from = (path) => import(new URL(path, ${JSON.stringify(new URL('../../src/', import.meta.url).href)}).href)
      const { CachedSession, createCachedFetch } = await from('index.ts')
      const { RedisStore } = await from('stores/redis.ts')
      const { MongoStore } = await from('stores/mongodb.ts')
      let sent = 0
      const fetch = async () => (sent++, new Response('x'))
      for (const store of [new RedisStore('redis://localhost:1'), new MongoStore('mongodb://localhost:1')]) {
        const s = new CachedSession({ store, fetch })
        const cached = createCachedFetch({ store, fetch })
        for (const ask of [(url) => s.get(url), cached, (url) => s.cache.has(url), (url) => s.post(url)])
          await ask('http://localhost:1/').catch(({ code, message }) => console.log(code, /npm install/.test(message)))
        console.log((await s.disabled(() => s.get('http://localhost:1/'))).status, sent)
        await s.close()
        await store.close()
      }`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
      timeout: 20_000,
    })
    const told = 'ERR_MISSING_PEER true\n'.repeat(4)
    expect(stdout).toBe(`${told}200 1\n${told}200 2\n`)
  })

  test('rows 11, 12: closing opens nothing; what is closed before its store was opened stays closed', async () => {
    const path = join(folder(), 'never.db')
    const cached = at.cached({ store: `sqlite:${path}` })
    const s = at.session({ store: `sqlite:${path}` })
    for (const one of [cached, s]) await one.close()
    expect(existsSync(path)).toBe(false)
    await expect(cached(`${at.origin.url}/get`)).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
    await expect(s.get('/get')).rejects.toMatchObject({ code: 'ERR_SESSION_CLOSED' })
  })

  test('I3: a listener may come before the store is opened, and go again', async () => {
    const cached = at.cached({ store: `sqlite:${join(folder(), 'a.db')}` })
    const heard: string[] = []
    cached.on('miss', ({ url }) => heard.push(url))
    cached.on('miss', () => heard.push('never'))()
    expect(cached.stats()).toMatchObject({ misses: 0, hitRatio: 0 })
    await text(cached(`${at.origin.url}/get`))
    expect(heard).toEqual([`${at.origin.url}/get`])
    expect(cached.stats().misses).toBe(1)
    await cached.close()
  })

  test('row 7: SQLite takes every option of its library; row 23: each path is a cache of its own', async () => {
    const path = join(folder(), 'a.db')
    const store = new SqliteStore({ path, open: { enableForeignKeyConstraints: false } })
    await using s = at.session({ store })
    await text(s.get('/get'))
    await using other = at.session({ store: `sqlite:${join(folder(), 'b.db')}` })
    expect((await got(other.get('/get')))[1]).toBe(false)
    await store.close()
    expect(at.origin.count('/get')).toBe(2)
  })

  test('row 8: names of other caches lead to ours; options in the wrong place are told where they belong', async () => {
    const others = {
      backend: 'store',
      cache_name: 'store',
      allowable_codes: 'allowedStatusCodes',
      include_headers: 'matchHeaders',
      disabled: 'enabled',
      ttl: 'expireAfter',
      cookie_jar: 'cookies',
      stale_if_error: 'staleIfError',
      only_if_cached: 'onlyIfCached',
    }
    for (const [theirs, ours] of Object.entries(others))
      expect(() => at.session({ [theirs]: 1 } as SessionOptions)).toThrow(
        `unknown option ${theirs}; did you mean ${ours}?`,
      )
    for (const name of ['force_refresh', 'forceRefresh', 'refresh'])
      expect(() => at.session({ [name]: true } as SessionOptions)).toThrow(/is for one request: httpCache: \{ \w+ \}/)
    await using s = at.session()
    for (const request of [{ expireAfter: 5 }, { refresh: true }, { onlyIfCached: true }])
      await expect(s.get('/get', request as object)).rejects.toThrow(/give it as httpCache: \{ \w+ \}/)
    expect(at.origin.requests).toHaveLength(0)
  })

  test('row 8: a misspelt option is an error wherever it is given', async () => {
    expect(() => at.session({ ignoredParameters: ['x'] } as SessionOptions)).toThrow(/did you mean ignoredParams/)
    expect(() => at.session({ urlsExpireAfter: { '*': { expirAfter: 1 } as object } })).toThrow(OptionError)
    await using s = at.session()
    await expect(s.get('/get', { httpCache: { forcerefresh: true } as object })).rejects.toThrow(/forceRefresh/)
    expect(at.origin.requests).toHaveLength(0)
  })

  test('row 8: a rule by URL that is wrong names its pattern', () => {
    const wrong: readonly (readonly [rules: object, message: RegExp])[] = [
      [{ 'x.com': 'tomorow' }, /^urlsExpireAfter, 'x\.com': .*'tomorow' is not a duration/],
      [{ 'x.com': { expirAfter: 1 } }, /^urlsExpireAfter, 'x\.com': .*did you mean expireAfter/],
      [[[/x/, { staleIfError: 'x' }]], /^urlsExpireAfter, '\/x\/': staleIfError: 'x'/],
      [{ 'x.com': undefined }, /each rule is a pattern and what holds for it/],
      [['x.com', '5m'], /each rule is a pattern and what holds for it/],
      [new Map([['x.com', '5m']]), /an array of \[pattern, duration or rule\], not a Map/],
    ]
    for (const [urlsExpireAfter, message] of wrong)
      expect(() => at.session({ urlsExpireAfter } as SessionOptions)).toThrow(message)
  })

  test('row 8: a class given for a store, an event that there is not, a listener that is none', async () => {
    const store: unknown = MemoryStore
    expect(() => at.session({ store } as SessionOptions)).toThrow(
      /not the class MemoryStore; give new MemoryStore\(\.\.\.\)/,
    )
    const cached = at.cached()
    const on = (type: unknown, listener: unknown): unknown => Reflect.apply(cached.on, cached, [type, listener])
    expect(() => on('hits', () => undefined)).toThrow(/there is no event 'hits'; did you mean 'hit'\?/)
    expect(() => on('typo', () => undefined)).toThrow(/known are hit, stale, miss/)
    expect(() => on('hit', 'x')).toThrow(OptionError)
    await using s = at.session()
    await expect(Reflect.apply(s.on, s, ['miss ', () => undefined])).rejects.toThrow(/did you mean 'miss'/)
  })

  test('row 10, row 11: what the session made is closed with it, what it was given is not, unless asked', async () => {
    for (const [options, closed] of [
      [{}, false],
      [{ autoClose: true }, true],
    ] as const) {
      const store = new MemoryStore()
      const s = at.session({ store, ...options })
      await text(s.get('/get'))
      await s.close()
      await s.close()
      if (closed) expect(() => store.read('x')).toThrow(/closed/)
      else expect(store.read('x')).toBe(undefined)
    }
  })

  test('row 14: a disabled scope is for its own async context, neither reads nor writes, and nests', async () => {
    await using s = at.session()
    at.answer('/row14', { body: 'x' })
    await s.disabled(async () => text(s.get('/row14')))
    expect(await s.cache.has('/row14')).toBe(false)
    await text(s.get('/row14'))
    const entered = Promise.withResolvers<void>()
    const leave = Promise.withResolvers<void>()
    const scope = s.disabled(async () => {
      entered.resolve()
      await leave.promise
      return (await s.get('/row14')).fromCache
    })
    await entered.promise
    expect((await s.get('/row14')).fromCache).toBe(true)
    leave.resolve()
    expect(await scope).toBe(false)
    expect(at.origin.count('/row14')).toBe(3)
  })

  test('row 15: settings changed on a live session are for later requests only', async () => {
    await using s = at.session({ expireAfter: 100 })
    for (const path of ['/row15-a', '/row15-b', '/row15-c']) at.answer(path, { status: 203, body: 'x' })
    await text(s.get('/row15-a'))
    expect(await s.cache.has('/row15-a')).toBe(false)
    s.configure({ allowedStatusCodes: [203] })
    await text(s.get('/row15-a'))
    s.configure({ expireAfter: 10, urlsExpireAfter: { '*/row15-c': 0 } })
    for (const path of ['/row15-b', '/row15-c']) await text(s.get(path))
    expect(() => s.configure({ expireAfter: 'soon' })).toThrow(OptionError)
    expect(() => s.configure({ store: 'memory:' } as object)).toThrow(/configure: unknown option store/)
    at.seconds(50)
    for (const path of ['/row15-a', '/row15-b', '/row15-c']) await text(s.get(path))
    const counts = ['/row15-a', '/row15-b', '/row15-c'].map((path) => at.origin.count(path))
    expect(counts).toEqual([2, 2, 2])
    await using later = at.session({ store: `sqlite:${join(folder(), 'a.db')}` })
    later.configure({ enabled: false })
    for (let n = 0; n < 2; n++) expect((await got(later.get('/get')))[1]).toBe(false)
  })

  test('row 16: global installs nest: taking the last away brings the previous back', async () => {
    const before = globalThis.fetch
    const first = new CachedSession({ clock: at.clock })
    const second = new CachedSession({ clock: at.clock })
    first.install()
    const firstFetch = globalThis.fetch
    second.install()
    await text(fetch(`${at.origin.url}/get`) as ReturnType<typeof first.fetch>)
    second.uninstall()
    expect(globalThis.fetch).toBe(firstFetch)
    expect((await first.cache.urls()).length).toBe(0)
    expect((await second.cache.urls()).length).toBe(1)
    await first.close()
    await second.close()
    expect(globalThis.fetch).toBe(before)
    expect(at.origin.count('/get')).toBe(1)
  })
})

describe('modes and postures', () => {
  test('row 17: the six modes of fetch; stale when the origin cannot be reached, where asked for', async () => {
    const calls: string[] = []
    const counting = (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
      calls.push(String(input))
      return fetch(input, init)
    }
    await using cached = at.cached({ fetch: counting, serveStaleWhenDisconnected: true })
    at.answer('/row17', { headers: { 'cache-control': 'max-age=60', etag: '"1"' }, body: 'x' })
    const url = `${at.origin.url}/row17`
    const asked = async (cache: NonNullable<RequestInit['cache']>): Promise<number> => {
      const before = calls.length
      await text(cached(url, { cache }))
      return calls.length - before
    }
    expect((await cached(url, { cache: 'only-if-cached', mode: 'same-origin' })).status).toBe(504)
    const modes = ['default', 'default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'] as const
    const counts: number[] = []
    for (const mode of modes) counts.push(await asked(mode))
    expect(counts).toEqual([1, 0, 1, 1, 1, 0, 0])
    at.seconds(100)
    expect([await asked('force-cache'), await asked('only-if-cached')]).toEqual([0, 0])
    at.origin.route('/row17', () => ({ empty: true }))
    expect((await cached(url)).fromCache).toBe(true)
  })

  test('row 18: a hook chooses the mode for a request, a filter overrides by the response', async () => {
    await using s = at.session({
      hooks: {
        request: (url, init) => {
          if (url.pathname.startsWith('/row18-live')) init.cache = 'no-store'
        },
      },
      filter: ({ headers }) => headers.every(([name, value]) => name !== 'content-type' || !value.includes('html')),
    })
    at.answer('/row18-live', { body: 'x' })
    at.answer('/row18-page', { headers: { 'content-type': 'text/html' }, body: 'x' })
    at.answer('/row18-data', { json: 1 })
    for (const path of ['/row18-live', '/row18-page', '/row18-data'])
      for (let n = 0; n < 2; n++) await text(s.get(path))
    expect(['live', 'page', 'data'].map((name) => at.origin.count(`/row18-${name}`))).toEqual([2, 2, 1])
  })

  test('row 19: maxTtl caps longer lifetimes of the origin and keeps shorter ones', async () => {
    await using s = at.session({ maxTtl: 30, expireAfter: 500 })
    for (const [age, expected] of [
      [100, 30],
      [10, 10],
    ]) {
      at.answer(`/row19-${age}`, { headers: { 'cache-control': `max-age=${age}` }, body: 'x' })
      expect(cacheInfo(await s.get(`/row19-${age}`))?.ttl).toBe(expected)
    }
  })

  test('row 20: by the specification, or by filters and the user alone', async () => {
    at.answer('/row20', { headers: { 'cache-control': 'no-store' }, body: 'x' })
    await using spec = at.cached()
    await using filtered = at.cached({ cacheControl: false, expireAfter: 60, filter: ({ status }) => status === 200 })
    for (const cached of [spec, filtered]) for (let n = 0; n < 2; n++) await text(cached(`${at.origin.url}/row20`))
    expect(at.origin.count('/row20')).toBe(3)
  })

  test('row 21: private unless shared is set, and the two never share an entry', async () => {
    at.answer('/row21', { headers: { 'cache-control': 'private, max-age=60' }, body: 'x' })
    const store = new MemoryStore()
    await using own = at.cached({ store })
    await using shared = at.cached({ store, shared: true })
    await text(own(`${at.origin.url}/row21`))
    expect((await own(`${at.origin.url}/row21`)).fromCache).toBe(true)
    for (let n = 0; n < 2; n++) expect((await got(shared(`${at.origin.url}/row21`)))[1]).toBe(false)
    expect(at.origin.count('/row21')).toBe(3)
  })

  test('row 26: a hook that sees a response deletes other entries', async () => {
    const s: CachedSession = at.session({
      hooks: {
        response: async (response) => {
          if (response.url.endsWith('/row26-write')) await s.cache.delete({ url: '/row26-list' })
        },
      },
    })
    at.answer('/row26-list', { body: 'x' })
    at.answer('POST /row26-write', { body: 'x' })
    await text(s.get('/row26-list'))
    await text(s.post('/row26-write'))
    expect(await s.cache.has('/row26-list')).toBe(false)
    await s.close()
  })
})

test('a cached fetch needs no options at all', async () => {
  await using cached = createCachedFetch()
  expect((await got(cached(`${at.origin.url}/get`)))[0]).toBe(200)
})
