/**
 * What goes without Node's fetch is at the mercy of the same dispatchers: those of the undici package, mocks, interceptors that write into what
 * they are given and put handlers of their own around others'. By fetch and without it, one and the same comes of it (decision 9).
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Agent, MockAgent, setGlobalDispatcher, type Dispatcher as Undici, type MockPool } from 'undici'
import { createCachedFetch, type CachedFetch } from '../../src/index.ts'
import { isNative } from '../../src/clients/direct.ts'
import type { AnyHandler, Dispatcher, DispatchOptions } from '../../src/clients/dispatcher.ts'

type Interceptor = ReturnType<MockPool['intercept']>

const native = globalThis.fetch
const MOCKED = 'http://mock.test'
let server: Server
let url: string
let asked: { url: string; authorization: string | undefined; added: string | undefined }[] = []
let direct: CachedFetch
let byFetch: CachedFetch

beforeAll(async () => {
  server = createServer((request, response) => {
    const { authorization, 'x-added': added } = request.headers as Record<string, string | undefined>
    asked.push({ url: request.url ?? '', authorization, added })
    response.setHeader('cache-control', 'no-store')
    if (request.url === '/early') response.writeEarlyHints({ link: '</a>; rel=preload' })
    if (request.url === '/407') response.statusCode = 407
    response.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  direct = createCachedFetch()
  byFetch = createCachedFetch({ fetch: native })
})
beforeEach(async () => {
  await Promise.all([direct.cache.clear(), byFetch.cache.clear()])
  setGlobalDispatcher(new Agent())
  asked = []
})
afterAll(async () => {
  await Promise.all([direct.close(), byFetch.close()])
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

function told(error: unknown): unknown {
  if (!(error instanceof Error)) return { thrown: error }
  const { name, message, cause } = error
  return { name, message, cause: cause === undefined ? null : told(cause) }
}

async function shown(fetch: CachedFetch, target: string, init?: RequestInit): Promise<unknown> {
  try {
    const response = await fetch(target, init)
    const { status, statusText } = response
    return { status, statusText, fields: [...response.headers], body: await response.text() }
  } catch (error) {
    return told(error)
  }
}

/** The dispatcher that Node's own fetch uses, with another in front of it. */
function inFront(dispatch: (next: Dispatcher, options: DispatchOptions, handler: AnyHandler) => boolean): void {
  for (const name of ['undici.globalDispatcher.1', 'undici.globalDispatcher.2']) {
    const next = Reflect.get(globalThis, Symbol.for(name)) as Dispatcher
    Reflect.set(globalThis, Symbol.for(name), {
      dispatch: (options: DispatchOptions, handler: AnyHandler) => dispatch(next, options, handler),
    })
  }
}

test('what an interceptor writes into a request is sent with that one alone', async () => {
  const intercept = (): void => {
    let count = 0
    inFront((next, options, handler) => {
      const headers = options.headers as Record<string, string>
      if (options['path'] === '/secret') headers['authorization'] = 'secret'
      headers['x-added'] = `${headers['x-added'] ?? ''}${(count += 1)}`
      return next.dispatch(options, handler)
    })
  }
  for (const fetch of [byFetch, direct]) {
    setGlobalDispatcher(new Agent())
    intercept()
    asked = []
    for (const path of ['/a', '/secret', '/b']) await (await fetch(url + path)).text()
    expect(asked).toEqual([
      { url: '/a', authorization: undefined, added: '1' },
      { url: '/secret', authorization: 'secret', added: '2' },
      { url: '/b', authorization: undefined, added: '3' },
    ])
  }
})

describe('a handler', () => {
  const ways: Record<string, (handler: AnyHandler) => AnyHandler> = {
    copied: (handler) => ({ ...handler }),
    inherited: (handler) => Object.create(handler) as AnyHandler,
    'behind a proxy': (handler) => new Proxy(handler, {}),
  }
  test.each(Object.entries(ways))('%s serves', async (_, around) => {
    inFront((next, options, handler) => next.dispatch(options, around(handler)))
    for (const fetch of [byFetch, direct]) {
      expect(await shown(fetch, `${url}/x`)).toMatchObject({ status: 200, body: 'hello' })
      expect(await shown(fetch, 'http://127.0.0.1:1024/')).toMatchObject({ message: 'fetch failed' })
    }
  })
})

test.each([undefined, null, {}, []])('headers in an object beside a list that is %j: the same', async (rawHeaders) => {
  const controller = { rawHeaders, abort: () => undefined, pause: () => undefined, resume: () => undefined }
  const dispatch = (_: unknown, handler: Undici.DispatchHandler): boolean => {
    queueMicrotask(() => {
      const given = controller as never
      handler.onRequestStart?.(given, {})
      handler.onResponseStart?.(given, 200, { a: '1', b: ['2', '3'], n: 5 as never }, 'OK')
      handler.onResponseData?.(given, Buffer.from('x'))
      handler.onResponseEnd?.(given, {})
    })
    return true
  }
  setGlobalDispatcher({ dispatch } as never)
  expect(await shown(direct, `${url}/x`)).toEqual(await shown(byFetch, `${url}/x`))
})

describe('a mock', () => {
  const mocks: Record<string, (at: Interceptor) => unknown> = {
    'that is empty': (at) => at.reply(200),
    'of text': (at) => at.reply(200, 'text'),
    'of an object': (at) => at.reply(200, { a: 1 }),
    'of 204 with a body': (at) => at.reply(204, 'x'),
    'with lists of headers': (at) =>
      at.reply(200, 'x', { headers: { 'Set-Cookie': ['b=1', 'a=2'], 'x-a': ['1', '2'], Vary: 'b' } }),
    'that is coded': (at) => at.reply(200, gzipSync('hello'), { headers: { 'content-encoding': 'gzip' } }),
    'that is coded and empty': (at) => at.reply(200, '', { headers: { 'content-encoding': 'gzip' } }),
    'that is long': (at) => at.reply(200, 'x'.repeat(300_000)),
    'that is late': (at) => at.reply(200, 'late').delay(10),
    'of 407': (at) => at.reply(407, 'x'),
    'of 421': (at) => at.reply(421, 'x').times(2),
    'that fails': (at) => at.replyWithError(new Error('boom')),
    'that fails with a word': (at) => at.replyWithError('boom' as never),
    'that fails with what is no Error': (at) => at.replyWithError({ name: 'Own', message: 'm' }),
    'that fails as if aborted': (at) => at.replyWithError(new DOMException('own', 'AbortError')),
    'that throws': (at) =>
      at.reply(() => {
        throw new Error('thrown')
      }),
    'that is missing': () => undefined,
  }
  test.each(Object.entries(mocks))('%s: the same', async (_, mock) => {
    const results = []
    for (const fetch of [byFetch, direct]) {
      const agent = new MockAgent()
      agent.disableNetConnect()
      mock(agent.get(MOCKED).intercept({ path: '/', method: 'GET' }))
      setGlobalDispatcher(agent)
      results.push(await shown(fetch, `${MOCKED}/`))
    }
    expect(results[1]).toEqual(results[0])
  })

  test('of an end without a head: a failure, as by fetch, and no waiting', async () => {
    for (const fetch of [byFetch, direct]) {
      const agent = new MockAgent()
      agent.get(MOCKED).intercept({ path: '/', method: 'GET' }).reply(103, 'x')
      setGlobalDispatcher(agent)
      expect(await shown(fetch, `${MOCKED}/`)).toMatchObject({ message: 'fetch failed', cause: { name: 'TypeError' } })
    }
  })
})

describe('a single connection', () => {
  const one = (): Undici => new Agent({ connections: 1, pipelining: 1 })

  test('is free again after a 407 with a body, which nobody reads', async () => {
    setGlobalDispatcher(one())
    for (let round = 0; round < 3; round++) {
      await expect(direct(`${url}/407`)).rejects.toThrow('fetch failed')
      expect(await (await direct(`${url}/a`)).text()).toBe('hello')
    }
  })

  test('goes on after 103', async () => {
    setGlobalDispatcher(one())
    for (let round = 0; round < 3; round++) expect(await (await direct(`${url}/early`)).text()).toBe('hello')
  })
})

test("the fetch of another realm has its dispatcher there: it is not taken for this one's", () => {
  const source = '(function fetch() { "node:internal/deps/undici/undici" })'
  expect(isNative(runInNewContext(source) as typeof globalThis.fetch)).toBe(false)
  expect(isNative(native)).toBe(true)
})
