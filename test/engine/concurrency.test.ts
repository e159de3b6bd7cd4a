/** RELIABILITY group D: many requests at once. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MemoryStore, type LockingStore } from '../../src/index.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { bench, STORES, until } from './support.ts'

let origin: LocalOrigin

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => origin.reset())

describe.each(STORES)('on %s', (name, make) => {
  test('D59: 1,000 identical misses make one request at the origin', async () => {
    origin.route(`/herd-${name}`, () => ({ delay: 50, headers: { 'cache-control': 'max-age=60' }, body: 'herd' }))
    const { fetch } = bench({ store: make() })
    const texts = await Promise.all(
      Array.from({ length: 1000 }, () => fetch(`${origin.url}/herd-${name}`).then((response) => response.text())),
    )
    expect([new Set(texts).size, texts[0], origin.count(`/herd-${name}`)]).toEqual([1, 'herd', 1])
    await fetch.close()
  })

  test('D60, row 149: answers that may not be shared are not, and nobody queues for them', async () => {
    let inFlight = 0
    let most = 0
    origin.route(`/private-${name}`, async ({ request, wait }) => {
      most = Math.max(most, ++inFlight)
      await wait(40)
      inFlight -= 1
      return { headers: { 'cache-control': 'no-store' }, body: String(request.serial) }
    })
    const { fetch } = bench({ store: make() })
    const texts = await Promise.all(
      Array.from({ length: 20 }, () => fetch(`${origin.url}/private-${name}`).then((response) => response.text())),
    )
    expect(new Set(texts).size).toBe(20)
    expect(most).toBeGreaterThan(5)
    await fetch.close()
  })

  test('D62: a leader that fails takes nobody with it but by one more failure', async () => {
    let calls = 0
    const failing = async (): Promise<Response> => {
      calls += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (calls === 1) throw new TypeError('fetch failed')
      return new Response('second', { headers: { 'cache-control': 'max-age=60' } })
    }
    const { fetch } = bench({ store: make(), fetch: failing as typeof globalThis.fetch })
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => fetch('http://example.test/x').then((response) => response.text())),
    )
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
    expect(calls).toBe(2)
    await fetch.close()
  })

  test('D63: a stampede on a stale key with stale-while-revalidate makes one refresh, and nobody waits for it', async () => {
    const path = `/swr-${name}`
    origin.route(path, ({ request }) => ({
      headers: { 'cache-control': 'max-age=1, stale-while-revalidate=60' },
      body: String(request.serial),
    }))
    const { fetch, clock } = bench({ store: make() })
    await (await fetch(origin.url + path)).text()
    clock.advance(5000)
    const responses = await Promise.all(Array.from({ length: 100 }, () => fetch(origin.url + path)))
    expect(responses.every((response) => response.fromCache)).toBe(true)
    await until(() => origin.count(path) === 2)
    await until(() => fetch.stats().stored === 2)
    expect(origin.count(path)).toBe(2)
    await fetch.close()
  })

  test('D64: a background refresh that fails is an event, and the stale entry stays', async () => {
    const path = `/swr-fails-${name}`
    origin.script(path, [
      { headers: { 'cache-control': 'max-age=1, stale-while-revalidate=600' }, body: 'good' },
      { status: 500 },
      { status: 500 },
    ])
    const { fetch, clock, events } = bench({ store: make() })
    await (await fetch(origin.url + path)).text()
    clock.advance(5000)
    expect(await (await fetch(origin.url + path)).text()).toBe('good')
    await until(() => events.some(({ type }) => type === 'refresh-failed'))
    expect(await (await fetch(origin.url + path)).text()).toBe('good')
    expect(origin.count(path)).toBe(2)
    await fetch.close()
  })

  test('D65: what was under way when its URL was invalidated is not stored', async () => {
    const path = `/fenced-${name}`
    origin.route(path, () => ({ delay: 80, headers: { 'cache-control': 'max-age=60' }, body: 'old' }))
    const { fetch } = bench({ store: make() })
    const early = fetch(origin.url + path).then((response) => response.text())
    await until(() => origin.count(path) === 1)
    await fetch.cache.delete({ url: origin.url + path })
    expect(await early).toBe('old')
    await until(() => fetch.stats().refused === 1)
    expect(await fetch.cache.has(origin.url + path)).toBe(false)
    await fetch.close()
  })

  test('row 152: a thousand URLs leave nothing in flight', async () => {
    const { fetch } = bench({
      store: make(),
      fetch: (async () => new Response('x', { headers: { 'cache-control': 'max-age=9' } })) as typeof globalThis.fetch,
    })
    await Promise.all(
      Array.from({ length: 1000 }, (_, n) => fetch(`http://example.test/${n}`).then((response) => response.text())),
    )
    await until(() => fetch.stats().stored === 1000)
    await fetch.close()
  })

  test('variants: alternating selecting headers both hit, and clearing the URL takes both', async () => {
    const path = `/vary-${name}`
    origin.route(path, ({ request }) => ({
      headers: { 'cache-control': 'max-age=60', vary: 'accept-language' },
      body: request.header('accept-language') ?? 'none',
    }))
    const { fetch } = bench({ store: make() })
    const get = async (language: string): Promise<string> =>
      (await fetch(origin.url + path, { headers: { 'accept-language': language } })).text()
    for (const language of ['de', 'en', 'de', 'en', 'de']) expect(await get(language)).toBe(language)
    await until(() => fetch.stats().stored === 2)
    for (const language of ['de', 'en']) expect(await get(language)).toBe(language)
    expect(origin.count(path)).toBe(2)
    await fetch.cache.delete({ url: origin.url + path })
    expect(await get('de')).toBe('de')
    expect(origin.count(path)).toBe(3)
    await fetch.close()
  })

  test('D59: identical requests among those for several variants make one request at the origin for each of them', async () => {
    const path = `/herd-vary-${name}`
    const { fetch, clock } = bench({ store: make() })
    origin.route(path, ({ request }) => {
      const language = request.header('accept-language') ?? 'none'
      const date = new Date(clock.now()).toUTCString()
      const headers = { date, 'cache-control': 'max-age=60', vary: 'accept-language', etag: `"${language}"` }
      const isHeld = request.header('if-none-match')?.includes(language) === true
      return isHeld ? { delay: 20, status: 304, headers } : { delay: 20, headers, body: language }
    })
    const herd = async (languages: string[]): Promise<void> => {
      const asked = languages.flatMap((language) => [language, language, language])
      const texts = asked.map(async (language) =>
        (await fetch(origin.url + path, { headers: { 'accept-language': language } })).text(),
      )
      expect(await Promise.all(texts)).toEqual(asked)
    }
    await herd(['de', 'en', 'fr'])
    expect(origin.count(path)).toBe(3)
    await until(() => fetch.stats().stored === 3)
    clock.advance(61_000)
    await herd(['de', 'en', 'fr'])
    expect(origin.count(path)).toBe(6)
    await herd(['it', 'nl'])
    expect(origin.count(path)).toBe(8)
    await fetch.close()
  })
})

test('row 150: a follower that aborts leaves at once, with its own reason', async () => {
  origin.route('/slow', () => ({ delay: 150, headers: { 'cache-control': 'max-age=60' }, body: 'slow' }))
  const { fetch } = bench()
  const leader = fetch(`${origin.url}/slow`)
  const aborter = new AbortController()
  const follower = fetch(`${origin.url}/slow`, { signal: aborter.signal })
  await until(() => origin.count('/slow') === 1)
  aborter.abort(new Error('no patience'))
  await expect(follower).rejects.toThrow('no patience')
  expect(await (await leader).text()).toBe('slow')
})

test('D61: who waits longer than collapseTimeout goes to the origin', async () => {
  origin.route('/very-slow', () => ({ delay: 200, headers: { 'cache-control': 'max-age=60' }, body: 'slow' }))
  const { fetch } = bench({ collapseTimeout: 0.03 })
  const texts = await Promise.all(
    [fetch(`${origin.url}/very-slow`), fetch(`${origin.url}/very-slow`)].map(async (response) =>
      (await response).text(),
    ),
  )
  expect([texts, origin.count('/very-slow')]).toEqual([['slow', 'slow'], 2])
})

test('65: what was invalidated while a flight waited for its lease overtakes it only if it was that', async () => {
  const memory = new MemoryStore()
  const mayLead = Promise.withResolvers<boolean>()
  const mayWrite = Promise.withResolvers<void>()
  let waits = false
  const store: LockingStore = {
    name: 'leased',
    limits: memory.limits,
    read: async (key) => memory.read(key),
    write: async (head, body) => {
      await mayWrite.promise
      return memory.write(head, body)
    },
    update: async (...args) => memory.update(...args),
    delete: async (keys) => memory.delete(keys),
    close: () => memory.close(),
    lock: () => {
      waits = true
      return mayLead.promise
    },
    renew: () => true,
    unlock: () => true,
  }
  let asked = 0
  const site = async (): Promise<Response> =>
    new Response(`answer ${++asked}`, { headers: { 'cache-control': 'max-age=60' } })
  const { fetch } = bench({ store, fetch: site, singleFlight: 'store' })
  const first = fetch('https://site.test/')
  await until(() => waits)
  await fetch.cache.delete({ url: 'https://site.test/another' })
  mayLead.resolve(true)
  expect(await (await first).text()).toBe('answer 1')
  const second = fetch('https://site.test/')
  await new Promise((resolve) => setTimeout(resolve, 20))
  mayWrite.resolve()
  expect([await (await second).text(), asked]).toEqual(['answer 1', 1])
})
