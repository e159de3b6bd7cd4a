/** Checklist section 1.8: serving stale. */
import { describe, expect, test } from 'vitest'
import { MemoryStore, type CacheEvent, type SessionOptions } from '../../src/index.ts'
import { got, text, until, useBench } from './support.ts'

const at = useBench()

const FAILURES = {
  'a 500': { status: 500 },
  'a 503': { status: 503 },
  'no answer': { empty: true },
  'a reset': { empty: true, cut: 'reset' },
} as const

describe('staleIfError', () => {
  test.each(Object.entries(FAILURES))(
    'row 138: on %s the expired entry, marked as such, and an event',
    async (name, failure) => {
      const path = `/row138-${name.replaceAll(' ', '-')}`
      at.origin.script(path, [{ body: 'one' }, failure], 'last')
      await using s = at.session({ expireAfter: 10, staleIfError: true })
      const events: CacheEvent[] = []
      await s.on('stale', (event) => events.push(event))
      await text(s.get(path))
      at.seconds(1e6)
      const stale = await s.get(path)
      expect([await stale.text(), stale.fromCache, stale.isExpired]).toEqual(['one', true, true])
      expect(events).toMatchObject([{ type: 'stale', reason: 'stale-if-error', url: at.origin.url + path }])
    },
  )

  test('row 138: a status below 500 is an answer, not a failure; a listed 5xx is a failure all the same', async () => {
    at.origin.script('/row138-404', [{ body: 'one' }, { status: 404 }])
    at.origin.script('/row138-502', [{ body: 'one' }, { status: 502 }])
    await using s = at.session({ expireAfter: 10, staleIfError: true, allowedStatusCodes: [200, 502] })
    for (const path of ['/row138-404', '/row138-502']) await text(s.get(path))
    at.seconds(20)
    expect((await got(s.get('/row138-404')))[0]).toBe(404)
    expect((await got(s.get('/row138-502')))[0]).toBe(200)
  })

  test('row 138: a timeout is a failure, too, but the caller’s own abort is not', async () => {
    at.origin.script('/row138-hangs', [{ body: 'one' }, ({ wait }) => wait(60_000)], 'last')
    await using s = at.session({ expireAfter: 10, staleIfError: 100, timeout: 0.1 })
    await text(s.get('/row138-hangs'))
    at.seconds(20)
    const stale = await s.get('/row138-hangs')
    expect([await stale.text(), stale.fromCache, stale.isExpired]).toEqual(['one', true, true])
    expect((await got(s.get('/row138-hangs', { timeout: { headers: 0.05 } })))[0]).toBe(200)
    const mine = AbortSignal.abort(new Error('mine'))
    await expect(s.get('/row138-hangs', { signal: mine })).rejects.toThrow('mine')
    at.seconds(100)
    await expect(s.get('/row138-hangs')).rejects.toMatchObject({ name: 'TimeoutError' })
    await using without = at.session({ expireAfter: 10, timeout: 0.05 })
    await expect(without.get('/row138-hangs')).rejects.toMatchObject({ name: 'TimeoutError' })
  })

  test('row 139: beyond the limit, or without it, the failure itself; the entry stays', async () => {
    at.origin.script('/row139', [
      { body: 'one' },
      { status: 500 },
      { empty: true },
      { status: 500 },
      { empty: true },
      { body: 'two' },
    ])
    const options: SessionOptions = { expireAfter: 10 }
    await using s = at.session(options)
    const limited = { httpCache: { staleIfError: 10 } }
    await text(s.get('/row139'))
    at.seconds(21)
    expect((await got(s.get('/row139', limited)))[0]).toBe(500)
    await expect(s.get('/row139', limited)).rejects.toThrow('fetch failed')
    expect((await got(s.get('/row139')))[0]).toBe(500)
    await expect(s.get('/row139')).rejects.toThrow('fetch failed')
    expect(await s.cache.has('/row139')).toBe(true)
    expect(await text(s.get('/row139'))).toBe('two')
  })
})

describe('staleWhileRevalidate', () => {
  test('row 140: the stale entry at once, a refresh behind it, with and without a validator; not beyond the limit', async () => {
    at.origin.route('/row140', ({ request }) => ({ body: String(request.serial) }))
    await using s = at.session({ expireAfter: 10, staleWhileRevalidate: 60 })
    await text(s.get('/row140'))
    await text(s.get('/etag/row140'))
    at.seconds(70)
    for (const path of ['/row140', '/etag/row140']) {
      const stale = await s.get(path)
      await stale.text()
      expect([stale.fromCache, stale.isExpired, stale.revalidated]).toEqual([true, true, false])
      await until(() => at.origin.count(path) === 2)
      await until(async () => !(await s.cache.get(path))?.isExpired)
    }
    expect(at.origin.requests.map((request) => request.header('if-none-match'))).toEqual([null, null, null, '"row140"'])
    expect(await text(s.get('/row140'))).toBe('3')
    at.seconds(71)
    expect((await got(s.get('/row140')))[1]).toBe(false)
    await using never = at.session({ expireAfter: 10 })
    await text(never.get('/row140'))
    at.seconds(20)
    expect((await got(never.get('/row140')))[1]).toBe(false)
  })

  test('row 142: a refresh that fails reaches nobody but a listener; the entry is kept until its limit', async () => {
    at.origin.script('/row142', [{ body: 'one' }, { empty: true }, { empty: true }, { body: 'two' }])
    await using s = at.session({ expireAfter: 10, staleWhileRevalidate: 10_000 })
    const failed: CacheEvent[] = []
    await s.on('refresh-failed', (event) => failed.push(event))
    await text(s.get('/row142'))
    for (let n = 1; n <= 2; n++) {
      at.seconds(1000)
      expect(await text(s.get('/row142'))).toBe('one')
      await until(() => failed.length === n)
    }
    at.seconds(9000)
    expect(await text(s.get('/row142'))).toBe('two')
    expect(at.origin.count('/row142')).toBe(4)
  })
})

test('row 144: after expireAfter a refresh in the foreground; when it fails, the old one until staleIfError ends', async () => {
  at.origin.script('/row144', [{ body: 'one' }, { status: 500 }, { body: 'two' }, { status: 500 }], 'last')
  await using s = at.session({ expireAfter: 10, staleIfError: 90 })
  const bodies = []
  for (const seconds of [0, 20, 0, 100, 1]) {
    at.seconds(seconds)
    bodies.push(await text(s.get('/row144')))
  }
  expect(bodies).toEqual(['one', 'one', 'two', 'two', ''])
})

test('row 145: what counts as a failure is the wrapped fetch’s to say', async () => {
  let broken = false
  const strict = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init)
    if (broken && response.status === 404) throw new TypeError('not there')
    return response
  }
  at.origin.script('/row145', [{ body: 'one' }, { status: 404 }])
  await using s = at.session({ fetch: strict as typeof fetch, expireAfter: 10, staleIfError: true })
  await text(s.get('/row145'))
  at.seconds(20)
  broken = true
  expect(await text(s.get('/row145'))).toBe('one')
  expect(at.origin.count('/row145')).toBe(2)
})

test('row 146: little grace while the origin is well, much while it is not', async () => {
  at.origin.script('/row146', [{ body: 'one' }, { status: 500 }], 'last')
  await using s = at.session({ expireAfter: 10, staleWhileRevalidate: 5, staleIfError: '1h' })
  await text(s.get('/row146'))
  at.seconds(12)
  expect(await text(s.get('/row146'))).toBe('one')
  await until(() => at.origin.count('/row146') === 2)
  at.seconds(1000)
  expect(await text(s.get('/row146'))).toBe('one')
  expect(at.origin.count('/row146')).toBe(3)
})

test('row 147: force-cache takes any stored entry, however old', async () => {
  await using cached = at.cached()
  const url = `${at.origin.url}/etag/row147?max-age=10`
  await text(cached(url))
  at.seconds(1e8)
  const response = await cached(url, { cache: 'force-cache' })
  expect([response.fromCache, response.revalidated, at.origin.requests.length]).toEqual([true, false, 1])
})

describe('rows 15, 104: what the user allows is asked for with each request, and does not stay with the entry', () => {
  test.each(['staleIfError', 'staleWhileRevalidate'] as const)('%s', async (name) => {
    const path = `/row104-${name}`
    at.origin.script(path, [{ body: 'one' }, { status: 503 }], 'last')
    const store = new MemoryStore()
    const keeping: SessionOptions = { store, expireAfter: 10, [name]: true }
    await using s = at.session(keeping)
    const first = await s.get(path)
    await first.text()
    expect(store.read(first.cacheKey ?? '')?.keepUntil, 'for any age').toBeGreaterThan(4e15)
    at.seconds(20)
    const ask = (value?: boolean | number): Promise<[number, boolean]> =>
      got(s.get(path, value === undefined ? {} : { httpCache: { [name]: value } }))
    expect(await ask()).toEqual([200, true])
    expect(await ask(false)).toEqual([503, false])
    expect(await ask(5)).toEqual([503, false])
    expect(await ask(15)).toEqual([200, true])
    await using other = at.session({ store, expireAfter: 10 })
    expect(await got(other.get(path))).toEqual([503, false])
    s.configure({ [name]: false })
    expect(await ask()).toEqual([503, false])
    s.configure({ [name]: true })
    expect(await ask()).toEqual([200, true])
  })

  test('what the origin allows does', async () => {
    const headers = { 'cache-control': 'max-age=10, stale-if-error=60' }
    at.origin.script('/row104-origin', [{ headers, body: 'one' }, { status: 503 }], 'last')
    await using s = at.session()
    await text(s.get('/row104-origin'))
    at.seconds(20)
    expect(await got(s.get('/row104-origin', { httpCache: { staleIfError: false } }))).toEqual([200, true])
  })

  test('what is stale as it comes is stored for who allows it', async () => {
    at.origin.script(
      '/row104-stale',
      [{ headers: { 'cache-control': 'max-age=0' }, body: 'one' }, { status: 503 }],
      'last',
    )
    await using s = at.session({ staleIfError: true })
    await text(s.get('/row104-stale'))
    expect(await got(s.get('/row104-stale'))).toEqual([200, true])
  })
})
