/**
 * Feature S5: whatever is given to any public function, what is wrong about it is an OptionError that names the option; never the TypeError
 * of a method that was called on it somewhere inside.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as core from '../../src/index.ts'
import * as custom from '../../src/custom.ts'
import * as memo from '../../src/memo/index.ts'
import * as hono from '../../src/servers/hono.ts'
import * as handler from '../../src/servers/handler.ts'
import * as koa from '../../src/servers/koa.ts'
import * as node from '../../src/servers/node.ts'
import { FileStore } from '../../src/stores/file.ts'
import * as keyv from '../../src/stores/keyv.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import * as tiered from '../../src/stores/tiered.ts'
import { UnstorageStore } from '../../src/stores/unstorage.ts'
import { compressed } from '../../src/stores/wrap-compress.ts'
import { encrypted } from '../../src/stores/wrap-encrypt.ts'
import { signed } from '../../src/stores/wrap-sign.ts'
import * as testing from '../../src/testing/index.ts'

const WRONG: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['undefined', undefined],
  ['null', null],
  ['5', 5],
  ["'x'", 'x'],
  ["''", ''],
  ['true', true],
  ['[]', []],
  ['[5]', [5]],
  ['{}', {}],
  ['{ zz: 1 }', { zz: 1 }],
  ['a function', () => 1],
  ['NaN', Number.NaN],
  ['-5', -5],
  ['5n', 5n],
  ['a symbol', Symbol('s')],
  ['a Date', new Date(0)],
  ['a Map', new Map()],
  ['an object of nothing', Object.create(null)],
  ['a promise', Promise.resolve(1)],
])

let origin: testing.LocalOrigin
beforeAll(async () => {
  origin = await testing.startOrigin()
})
afterAll(() => origin.close())

type Call = (...args: never[]) => unknown

function isListing(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** Everything but the one argument is as it should be. */
async function refusals(call: Call, good: readonly unknown[]): Promise<string[]> {
  const bare: string[] = []
  for (let at = 0; at < good.length; at++)
    for (const [name, value] of WRONG) {
      try {
        const made: unknown = await Reflect.apply(call, undefined, good.with(at, value))
        if (isListing(made)) await Array.fromAsync(made)
        if (made instanceof core.CachedSession) await made.close()
      } catch (error) {
        if (!core.isKeepfreshError(error)) bare.push(`argument ${at} as ${name}: ${String(error)}`)
      }
    }
  return bare
}

/** The same for each member of an options object. */
async function refusedMembers(call: Call, base: object, names: readonly string[]): Promise<string[]> {
  const bare: string[] = []
  for (const name of names) {
    const found = await refusals(
      ((value: never) => Reflect.apply(call, undefined, [{ ...base, [name]: value }])) as Call,
      [0],
    )
    bare.push(...found.map((text) => `${name}: ${text}`))
  }
  return bare
}

const of =
  (target: object, method: string): Call =>
  (...args) =>
    Reflect.apply(Reflect.get(target, method) as Call, target, args)
const make =
  (Class: unknown): Call =>
  (...args) =>
    Reflect.construct(Class as new () => object, args)
const store = (): core.MemoryStore => new core.MemoryStore()
const secret = new Uint8Array(32)

describe('clients', () => {
  test('constructors', async () => {
    expect(await refusals(make(core.CachedSession), [{}])).toEqual([])
    expect(await refusals(core.createCachedFetch as Call, [{}])).toEqual([])
    const names = ['baseUrl', 'headers', 'params', 'auth', 'timeout', 'hooks', 'cookies', 'urlsExpireAfter', 'cleanup']
    expect(await refusedMembers(make(core.CachedSession), {}, names)).toEqual([])
  })

  test('methods of a session', async () => {
    await using session = new core.CachedSession({ baseUrl: origin.url })
    const made: readonly [string, readonly unknown[]][] = [
      ['get', ['/get', {}]],
      ['request', ['GET', '/get', {}]],
      ['fetch', ['/get', {}]],
      ['configure', [{}]],
      ['disabled', [() => 1]],
      ['on', ['hit', () => 1]],
    ]
    for (const [method, good] of made) expect(await refusals(of(session, method), good), method).toEqual([])
    const post = ((request: never) => session.post('/post', request)) as Call
    const names = [
      'params',
      'json',
      'form',
      'body',
      'auth',
      'timeout',
      'headers',
      'httpCache',
      'cache',
      'redirect',
      'signal',
    ]
    expect(await refusedMembers(post, {}, names)).toEqual([])
    const call = ((init: never) => session.fetch('/get', init)) as Call
    expect(await refusedMembers(call, {}, ['headers', 'httpCache', 'cache', 'redirect', 'signal', 'method'])).toEqual(
      [],
    )
  })

  test('methods of a cache, and of a cached fetch', async () => {
    const fetch = core.createCachedFetch()
    const { cache } = fetch
    const url = `${origin.url}/get`
    const made: readonly [string, readonly unknown[]][] = [
      ['has', [url, {}]],
      ['get', [url, {}]],
      ['delete', [{ url }]],
      ['urls', [{}]],
      ['entries', [{}]],
      ['warm', [[url], {}]],
      ['deleteExpired', [{}]],
      ['resetExpiration', ['1d', () => true]],
      ['invalidateTags', ['a', 'stale']],
    ]
    for (const [method, good] of made) expect(await refusals(of(cache, method), good), method).toEqual([])
    const put: Call = (input, response, init) => cache.put(input, response ?? (new Response('x') as never), init)
    expect(await refusals(put, [url, undefined, {}])).toEqual([])
    expect(await refusals(((input: never) => cache.warm([input])) as Call, [url])).toEqual([])
    const names = ['url', 'key', 'tag', 'pattern', 'expired', 'olderThan']
    expect(await refusedMembers(of(cache, 'delete'), {}, names)).toEqual([])
    expect(await refusals(fetch as Call, [url, {}])).toEqual([])
    await fetch.close()
  })
})

test('stores and their wrappers', async () => {
  expect(await refusals(make(core.MemoryStore), [{}])).toEqual([])
  const names = ['maxEntries', 'maxBytes', 'maxEntrySize', 'eviction', 'random', 'onEvict']
  expect(await refusedMembers(make(core.MemoryStore), {}, names)).toEqual([])
  expect(await refusals(make(SqliteStore), [{ memory: true }])).toEqual([])
  expect(await refusals(make(FileStore), [{ useTemp: true }])).toEqual([])
  expect(await refusals(compressed as Call, [store(), {}])).toEqual([])
  expect(await refusals(encrypted as Call, [store(), { keys: [secret] }])).toEqual([])
  expect(await refusals(signed as Call, [store(), { secrets: [secret] }])).toEqual([])
  for (const wrap of [compressed, encrypted, signed] as readonly Call[])
    await expect(async () => Reflect.apply(wrap, undefined, [])).rejects.toThrow(core.OptionError)
  const tiers = ['near', 'far', 'nearTtl', 'coherence', 'clock']
  expect(await refusedMembers(tiered.tiered as Call, { far: store() }, tiers)).toEqual([])
  expect(
    await refusedMembers(tiered.routed as Call, { stores: { a: store() }, route: () => 'a' }, ['stores', 'route']),
  ).toEqual([])
  for (const call of [
    tiered.tiered,
    tiered.routed,
    tiered.pollingCoherence,
    tiered.redisCoherence,
    keyv.fromKeyv,
  ] as readonly Call[])
    expect(await refusals(call, [{}, {}])).toEqual([])
  expect(await refusals(make(UnstorageStore), [{}, {}])).toEqual([])
  expect(await refusals(make(custom.RecordStore), [{}, undefined])).toEqual([])
  expect(await refusals(core.copyEntries as Call, [store(), store(), {}])).toEqual([])
  for (const is of [core.isListable, core.isLocking, core.isEvicting, core.isBatchReading] as readonly Call[])
    expect(await refusals(is, [store()])).toEqual([])
})

test('row 207: a second argument of a store is not lost without a word', () => {
  expect(() => Reflect.construct(SqliteStore, ['demo', { fastSave: true }])).toThrow(
    "SqliteStore takes one argument: give all options as { path: 'http.db', ... }",
  )
  expect(() => Reflect.construct(FileStore, ['demo', { maxBytes: 5 }])).toThrow(core.OptionError)
  expect(() => new FileStore({ useTemp: true, maxBytes: 100, blockBytes: 101 })).toThrow('not one file would fit')
})

test('servers', async () => {
  expect(await refusals(handler.cached as Call, [() => new Response('x'), {}])).toEqual([])
  const answer = handler.cached(() => new Response('x'))
  expect(await refusals(answer as Call, [new Request('http://a.test/')])).toEqual([])
  const caches = [node.responseCache, koa.responseCache, hono.responseCache].map((each) =>
    each({ baseUrl: 'http://a.test' }),
  )
  for (const each of [node.responseCache, koa.responseCache, hono.responseCache] as readonly Call[]) {
    expect(await refusals(each, [{}])).toEqual([])
    expect(await refusedMembers(each, {}, ['routes', 'ttl', 'purge', 'baseUrl', 'store', 'tags'])).toEqual([])
    expect(await refusals(((rule: never) => each({ routes: { 'a.test': rule } } as never)) as Call, [5])).toEqual([])
    expect(await refusals(((pair: never) => each({ routes: [pair] } as never)) as Call, [['a.test', 5]])).toEqual([])
  }
  for (const cache of caches) {
    expect(await refusals(of(cache, 'route'), [{}])).toEqual([])
    expect(await refusals(of(cache, 'on'), ['hit', () => 1])).toEqual([])
    const purges = ['url', 'tag', 'key', 'prefix', 'pattern', 'all']
    expect(await refusedMembers(of(cache, 'purge'), {}, purges)).toEqual([])
    expect(() => Reflect.apply(cache.route, cache, ['5m'])).toThrow(
      "route takes an object of options such as { ttl: '5m' }, not '5m'",
    )
    await cache.close()
  }
  const own = node.responseCache()
  expect(await refusals(own.wrap as Call, [() => undefined, {}])).toEqual([])
  await Promise.all([own.close(), answer.close()])
})

test('functions', async () => {
  const load = async (id: number): Promise<number> => id
  expect(await refusals(memo.memoize as Call, [load, {}])).toEqual([])
  const names = ['ttl', 'eviction', 'maxSize', 'tags', 'store', 'clock', 'refreshAhead', 'key', 'lease']
  expect(await refusedMembers(make(memo.AsyncCache), {}, names)).toEqual([])
  const cache = new memo.AsyncCache({ ttl: 60 })
  const made: readonly [string, readonly unknown[]][] = [
    ['getOrSet', ['k', load, {}]],
    ['refresh', ['k', load, {}]],
    ['set', ['k', 1, {}]],
    ['setMany', [[['k', 1]], {}]],
    ['getMany', [['k']]],
    ['getOrSetMany', [['k'], async () => [1], {}]],
    ['deleteMany', [['k']]],
    ['invalidateTags', ['t', 'stale']],
    ['on', ['hit', () => 1]],
  ]
  for (const [method, good] of made) {
    // A batch that brings another number of values is the function's fault, not an argument's.
    const bare = (await refusals(of(cache, method), good)).filter((text) => !/brought|returned/.test(text))
    expect(bare, method).toEqual([])
  }
  expect(() => memo.memoize(load, { ttl: Infinity })).toThrow("(for ever is 'never')")
  await cache.close()
})

test('what tests are made of', async () => {
  expect(
    await refusals(testing.storeConformance as Call, [{ name: 'x', make: store, describe: () => 1, test: () => 1 }]),
  ).toEqual([])
  expect(await refusals(make(testing.FaultyStore), [store()])).toEqual([])
  expect(await refusals(make(testing.FakeClock), [0])).toEqual([])
  expect(await refusals(of(origin, 'route'), ['/x', () => ({})])).toEqual([])
  expect(await refusals(testing.wholeBody as Call, [5, 0])).toEqual([])
  expect(await refusals(testing.verifyBody as Call, [new Uint8Array(5), { size: 5 }])).toEqual([])
})
