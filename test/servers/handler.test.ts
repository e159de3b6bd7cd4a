/** keepfresh/server (features M1-M4): cached handlers of Requests, and that they need nothing of Node. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../src/testing/index.ts'
import { cached, type HandlerCacheOptions } from '../../src/servers/handler.ts'
import { until } from '../engine/support.ts'
import { behaviours } from './behaviours/index.ts'
import { HANDLER } from './edges.ts'

behaviours(HANDLER)

const get = (path = '/', init: RequestInit = {}): Request => new Request(`https://site.test${path}`, init)
const FRESH = { headers: { 'Cache-Control': 'max-age=60' } }

describe('cached()', () => {
  it('takes what the handler takes, and calls it with that', async () => {
    const seen: unknown[] = []
    const handler = cached(
      (request: Request, env: { name: string }, count: number) => {
        seen.push([request.url, env, count])
        return new Response('ok')
      },
      { ttl: 60 },
    )
    const env = { name: 'x' }
    const response: Response = await handler(get(), env, 3)
    expect([await response.text(), seen]).toEqual(['ok', [['https://site.test/', env, 3]]])
    // @ts-expect-error -- the handler wants a number
    await handler(get(), env, '3')
  })

  it('what may not be kept is the handler\u2019s very Response, unless Cache-Status is to be on it', async () => {
    const own = [new Response('private', { headers: { 'Cache-Control': 'private' } }), new Response('plain')]
    for (const response of own) {
      const untouched = cached(() => response, { cacheStatus: false })
      expect(await untouched(get())).toBe(response)
      expect(response.bodyUsed).toBe(false)
    }
    const said = await cached(() => new Response('plain'))(get())
    expect([said.headers.get('cache-status'), await said.text()]).toEqual([
      expect.stringMatching(/^keepfresh; fwd=uri-miss/),
      'plain',
    ])
  })

  it('a condition on a miss: a long body that comes in pieces is stored whole for the others', async () => {
    const body = (): ReadableStream =>
      ReadableStream.from(Array.from({ length: 12 }, () => new TextEncoder().encode('x'.repeat(100_000))))
    const handler = cached(() => new Response(body(), { headers: { ...FRESH.headers, ETag: '"v1"' } }))
    const stored = new Promise((resolve) => handler.on('stored', resolve))
    expect((await handler(get('/', { headers: { 'If-None-Match': '"v1"' } }))).status).toBe(304)
    await stored
    const hit = await handler(get())
    expect([hit.headers.get('cache-status'), (await hit.text()).length]).toEqual([
      expect.stringContaining('; hit;'),
      1_200_000,
    ])
  })

  it('a Response that a handler returns again and again is not changed', async () => {
    const constant = new Response(null, { status: 404 })
    const handler = cached(() => constant)
    for (let n = 0; n < 3; n++) await handler(get('/', { method: 'POST' }))
    expect(constant.headers.get('cache-status')).toBeNull()
  })

  it('an answer that can be shared after many that could not is noticed at once, or a second later where they were very many', async () => {
    for (const [refusals, pause] of [
      [20, 0],
      [200, 1000],
    ] as const) {
      const clock = new FakeClock()
      let runs = 0
      const handler = cached(
        () => new Response(`${++runs}`, { headers: { 'cache-control': runs > refusals ? 'max-age=60' : 'no-store' } }),
        { clock },
      )
      const ask = async (): Promise<string> => (await handler(get('/'))).text()
      for (let n = 0; n < refusals; n++) await ask()
      clock.advance(pause)
      // Noticed, kept, handed out.
      expect([await ask(), await ask(), await ask()]).toEqual([`${refusals + 1}`, `${refusals + 2}`, `${refusals + 2}`])
    }
  })

  it('what it throws is thrown, to those who shared its run, too; a stale answer hides it from all but onError', async () => {
    const errors: unknown[] = []
    const broken = new Error('broken')
    let runs = 0
    const clock = new FakeClock()
    const handler = cached(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        if (++runs > 1) throw broken
        return new Response('good')
      },
      { ttl: 10, staleIfError: 60, clock, onError: (error) => errors.push(error) },
    )
    expect(await (await handler(get())).text()).toBe('good')
    clock.advance(20_000)
    expect(await (await handler(get())).text()).toBe('good')
    const others = await Promise.allSettled(Array.from({ length: 50 }, () => handler(get('/other'))))
    expect(new Set(others.map((other) => (other.status === 'rejected' ? other.reason : null)))).toEqual(
      new Set([broken]),
    )
    // The first, the stale one's, and two attempts for the fifty.
    expect([runs, errors]).toEqual([4, [broken]])
  })

  it('whoever returns no Response is told so', async () => {
    const handler = cached((() => undefined) as never, { ttl: 10 })
    await expect(handler(get())).rejects.toThrow(/no Response/)
  })

  it('a refresh has a Request of its own, of the same class and with the same fields, that outlives the visitor\u2019s', async () => {
    class OwnRequest extends Request {
      readonly own = true
    }
    const clock = new FakeClock()
    const seen: OwnRequest[] = []
    const handler = cached(
      (request: OwnRequest) => {
        seen.push(request)
        return new Response(`run ${seen.length}`)
      },
      { ttl: 10, staleWhileRevalidate: 60, clock },
    )
    const leaving = new AbortController()
    await handler(new OwnRequest('https://site.test/', { headers: { 'x-a': 'b' } }))
    clock.advance(20_000)
    const init = { headers: { 'x-a': 'b', 'if-none-match': '"z"', range: 'bytes=0-1' }, signal: leaving.signal }
    const stale = await handler(new OwnRequest('https://site.test/', init))
    leaving.abort()
    expect([stale.status, await stale.text()]).toEqual([206, 'ru'])
    await until(() => seen.length === 2)
    const [, second] = seen
    expect([second?.own, second?.signal.aborted, second?.url]).toEqual([true, false, 'https://site.test/'])
    expect(Object.fromEntries(second?.headers ?? [])).toEqual({ 'x-a': 'b' })
  })

  it.each([
    ['the context among its arguments', true],
    ['the option', false],
  ])('waitUntil of %s keeps the runtime alive for refreshes and writes', async (_, among) => {
    const clock = new FakeClock()
    const work: Promise<unknown>[] = []
    const waitUntil = (promise: Promise<unknown>): void => void work.push(promise)
    const context = { waitUntil }
    const settled = async (): Promise<void> => {
      for (let count = -1; count < work.length;) {
        count = work.length
        await Promise.all(work)
      }
    }
    let runs = 0
    const handler = cached(
      async (_request: Request, ..._rest: unknown[]) => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        return new Response(`run ${++runs}`)
      },
      { ttl: 10, staleWhileRevalidate: 60, clock, store: 'sqlite::memory:', ...(among ? {} : { waitUntil }) },
    )
    const ask = async (): Promise<string> => (await handler(get(), {}, ...(among ? [context] : []))).text()
    expect(await ask()).toBe('run 1')
    await settled()
    clock.advance(20_000)
    expect(await ask()).toBe('run 1')
    expect(runs).toBe(1)
    await settled()
    expect(runs).toBe(2)
    expect(await ask()).toBe('run 2')
    await handler.close()
  })

  it('null bodies, redirects and statuses come out as they went in', async () => {
    const answers: Record<string, () => Response> = {
      '/204': () => new Response(null, { status: 204, ...FRESH }),
      '/301': () => new Response(null, { status: 301, headers: { Location: '/x', 'Cache-Control': 'max-age=60' } }),
      '/empty': () => new Response('', FRESH),
      '/203': () => new Response('text', { status: 203, statusText: 'As It Were', ...FRESH }),
    }
    let runs = 0
    const handler = cached((request: Request) => {
      runs++
      return answers[new URL(request.url).pathname]?.() ?? new Response(null, { status: 404 })
    })
    for (const path of Object.keys(answers)) {
      const [first, second] = [await handler(get(path)), await handler(get(path))]
      for (const one of [first, second]) expect(one.status).toBe(answers[path]?.().status)
      expect(second.statusText).toBe(first.statusText)
      expect([await first.text(), second.headers.get('location')]).toEqual([
        await second.text(),
        first.headers.get('location'),
      ])
      expect(second.headers.get('cache-status')).toMatch(/; hit/)
    }
    expect(runs).toBe(4)
  })

  it('sockets are each their visitor\u2019s own', async () => {
    let runs = 0
    const handler = cached(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, 5))
        return new Response(`run ${++runs}`)
      },
      { ttl: 60 },
    )
    const open = async (): Promise<string> => (await handler(get('/', { headers: { upgrade: 'websocket' } }))).text()
    expect(new Set([await open(), await open()]).size).toBe(2)
  })

  it('a body of text, buffers or views is what the store keeps, whatever the handler does to its buffer', async () => {
    const buffer = new Uint8Array([1, 2, 3])
    const handler = cached(
      () =>
        new Response(
          new ReadableStream({
            async start(controller) {
              controller.enqueue(buffer)
              await new Promise((resolve) => setTimeout(resolve, 5))
              buffer.fill(9)
              controller.close()
            },
          }),
          FRESH,
        ),
    )
    await (await handler(get())).arrayBuffer()
    expect([...new Uint8Array(await (await handler(get())).arrayBuffer())]).toEqual([1, 2, 3])
  })

  it('what a visitor does to a hit does not reach the next one', async () => {
    const handler = cached(() => new Response('page', FRESH))
    await handler(get())
    const first = await handler(get())
    first.headers.set('x-mine', 'yes')
    new Uint8Array(await first.arrayBuffer()).fill(0)
    const second = await handler(get())
    expect([second.headers.get('x-mine'), await second.text()]).toEqual([null, 'page'])
  })

  it('a slow reader does not have the handler\u2019s stream piled up', async () => {
    let made = 0
    const handler = cached(
      () =>
        new Response(
          new ReadableStream(
            {
              pull(controller) {
                controller.enqueue(new Uint8Array(64 * 1024))
                if (++made === 512) controller.close()
              },
            },
            { highWaterMark: 0 },
          ),
          FRESH,
        ),
      { maxEntrySize: 1024 },
    )
    const reader = (await handler(get())).body?.getReader()
    await reader?.read()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(made).toBeLessThan(64)
    await reader?.cancel()
  })

  it('a URL\u2019s fragment is no part of the key; a baseUrl makes all names one', async () => {
    let runs = 0
    const handler = cached(() => new Response(`run ${++runs}`), { ttl: 60, baseUrl: 'https://main.test' })
    const texts = []
    for (const url of ['https://a.test/x#1', 'http://b.test/x#2', 'https://main.test/x']) {
      texts.push(await (await handler(new Request(url))).text())
    }
    expect(texts).toEqual(['run 1', 'run 1', 'run 1'])
    expect(await handler.purge({ url: '/x' })).toBe(1)
  })

  it.each([
    [{ tll: 5 }, /did you mean ttl/],
    [{ waitUntil: true }, /waitUntil must be a function/],
  ])('wrong options %o are refused at once', (options, message) => {
    expect(() => cached(() => new Response(), options as HandlerCacheOptions)).toThrow(message)
  })
})

it.each(['handler.ts', 'hono.ts'])('%s imports nothing of Node, however deep', (file) => {
  const seen = new Set<string>()
  const visit = (url: URL): void => {
    if (seen.has(url.href)) return
    seen.add(url.href)
    const source = readFileSync(fileURLToPath(url), 'utf8')
    for (const [, type, from = ''] of source.matchAll(/^(?:import|export) (type )?[^']*?\bfrom '([^']+)'/gm)) {
      if (type !== undefined) continue
      expect.soft(from, `${url.pathname} imports ${from}`).toMatch(/^\./)
      if (from.startsWith('.')) visit(new URL(from, url))
    }
  }
  visit(new URL(`../../src/servers/${file}`, import.meta.url))
  expect(seen.size).toBeGreaterThan(20)
})
