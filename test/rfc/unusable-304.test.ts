/** RFC 9111 sections 3, 4.1 and 4.3.4: a 304 that does not fit what is stored, or makes of it what may not be stored. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { at, Bench, HOST, type Fields } from './support.ts'

/** What a second request got after the stored response went stale and the origin said 304 with these fields. */
async function after(
  first: Fields,
  update: Fields,
  { shared = false, headers = {} as Record<string, string>, later = {} as Record<string, string> } = {},
): Promise<{ asked: (string | null)[]; body: string; status: number; third: string; thirdSeen: Headers }> {
  const bench = new Bench({ shared })
  bench.next = { headers: first, body: 'first' }
  await bench.ask()
  bench.clock.advance(20_000)
  bench.next = (request) =>
    request.headers.get('if-none-match') === null && request.headers.get('if-modified-since') === null
      ? { headers: { 'cache-control': 'max-age=60' }, body: 'anew' }
      : { status: 304, headers: update }
  const second = await bench.ask({ headers })
  bench.next = { body: 'third', headers: {} }
  const third = await bench.ask({ headers: later })
  return {
    asked: bench.log.slice(1).map((r) => r.headers.get('if-none-match') ?? r.headers.get('if-modified-since')),
    ...second,
    third: third.body,
    thirdSeen: third.headers,
  }
}

const TEN: Fields = { 'cache-control': 'max-age=10', etag: '"1"' }

describe('section 4.3.4: a 304 that is about no stored response', () => {
  test.each<[string, Fields, Fields]>([
    ['another strong ETag', TEN, { etag: '"2"' }],
    ['another weak ETag', TEN, { etag: 'W/"2"' }],
    ['a strong ETag where only the weak one is stored', { ...TEN, etag: 'W/"1"' }, { etag: '"1"' }],
    [
      'another Last-Modified',
      { 'cache-control': 'max-age=10', 'last-modified': at(-100) },
      { 'last-modified': at(-50) },
    ],
    [
      'a strong ETag where none is stored, and another Last-Modified',
      { 'cache-control': 'max-age=10', 'last-modified': at(-100) },
      { etag: '"1"', 'last-modified': at(-50) },
    ],
    [
      'a strong ETag where only the weak one is stored, beside a Last-Modified that was weak when it was stored (RFC 9110 8.8.2.2)',
      { ...TEN, etag: 'W/"1"', 'last-modified': at(0) },
      { etag: '"1"', 'last-modified': at(0) },
    ],
    [
      'an ETag, and nothing that says it is the same Last-Modified',
      { 'cache-control': 'max-age=10', 'last-modified': at(-100) },
      { etag: '"1"' },
    ],
  ])('%s: the stored response is not updated, and the whole is fetched', async (_name, first, update) => {
    const { asked, status, body } = await after(first, update)
    expect([asked.length, asked[1], status, body]).toEqual([2, null, 200, 'anew'])
  })

  test('a caller with a condition of its own never gets a 304 that answered ours', async () => {
    const bench = new Bench()
    bench.next = { headers: TEN, body: 'first' }
    await bench.ask()
    bench.clock.advance(20_000)
    bench.next = (request) =>
      request.headers.get('if-none-match') === '"1"'
        ? { status: 304, headers: { etag: '"2"' } }
        : { headers: { etag: '"2"' }, body: 'two' }
    const seen = await bench.ask({ headers: { 'if-none-match': '"0"' } })
    expect([seen.status, seen.body]).toEqual([200, 'two'])
  })
})

describe('section 3: a 304 that forbids storing', () => {
  test.each<[string, Fields, boolean]>([
    ['no-store', { etag: '"1"', 'cache-control': 'no-store' }, false],
    ['no-store beside max-age', { etag: '"1"', 'cache-control': 'max-age=60, no-store' }, false],
    ['private, in a shared cache', { etag: '"1"', 'cache-control': 'private, max-age=60' }, true],
    ['Vary: *', { etag: '"1"', vary: '*' }, false],
    ['Set-Cookie, in a shared cache', { etag: '"1"', 'set-cookie': 'sid=secret' }, true],
    ['Set-Cookie and no-store', { etag: '"1"', 'cache-control': 'no-store', 'set-cookie': 'sid=secret' }, true],
    ['private and no-store', { etag: '"1"', 'cache-control': 'private, no-store' }, true],
  ])('%s: nothing is answered from what it would have updated', async (_name, update, shared) => {
    const { status, body, third, thirdSeen } = await after(TEN, update, { shared })
    expect(status).toBe(200)
    expect(['first', 'anew']).toContain(body)
    expect(third).not.toBe('first')
    expect(thirdSeen.get('set-cookie')).toBeNull()
  })

  test('no-store with a Last-Modified does not fall back on a heuristic', async () => {
    const { third } = await after(
      { 'cache-control': 'max-age=10', 'last-modified': at(-1e6) },
      { 'cache-control': 'no-store' },
    )
    expect(third).not.toBe('first')
  })

  /** What is stored after an update of a stale response that says no-store. */
  async function left(bench: Bench, method: string, body: string): Promise<Map<string, string>[]> {
    bench.next = { headers: { ...TEN, etag: '"1"' }, body }
    await bench.ask()
    bench.clock.advance(20_000)
    const status = method === 'HEAD' ? 200 : 304
    bench.next = { status, headers: { etag: '"1"', 'cache-control': 'no-store', 'x-secret': 'yes' } }
    const seen = await bench.ask({ method })
    expect([seen.status, seen.body, bench.log.length]).toEqual([200, method === 'HEAD' ? '' : body, 2])
    const stored = await Array.fromAsync(bench.cached.cache.entries())
    return stored.map(({ headers }) => new Map(headers))
  }

  test.each(['GET', 'HEAD'])(
    '5.2.2.5: to %s, no-store is answered once, and nothing of it is stored',
    async (method) => {
      expect(await left(new Bench(), method, 'first')).toEqual([])
    },
  )

  test('5.2.2.5: a long body is read to its end, and answers nobody else unasked', async () => {
    const store = new SqliteStore(':memory:')
    onTestFinished(() => store.close())
    const bench = new Bench({ store })
    const [entry, ...more] = await left(bench, 'GET', 'long '.repeat(400_000))
    expect([entry?.has('x-secret'), entry?.get('cache-control'), more]).toEqual([false, 'max-age=10', []])
    bench.next = { headers: { 'cache-control': 'no-store' }, body: 'anew' }
    expect((await bench.ask()).body).toBe('anew')
    expect(await Array.fromAsync(bench.cached.cache.entries())).toEqual([])
  })

  test('section 3.5: a 304 to a request with Authorization does not renew what a shared cache gives to all', async () => {
    const authorization = { headers: { authorization: 'Basic YTpi' }, shared: true }
    expect((await after(TEN, { etag: '"1"', 'cache-control': 'max-age=60' }, authorization)).third).not.toBe('first')
    const allowed = await after(
      { ...TEN, 'cache-control': 'max-age=10, public' },
      { etag: '"1"', 'cache-control': 'max-age=60, public' },
      authorization,
    )
    expect([allowed.body, allowed.third]).toEqual(['first', 'first'])
  })
})

describe('section 4.1: a 304 that varies on more', () => {
  test('what was stored for any request is not given to others from then on', async () => {
    const { third } = await after(
      TEN,
      { etag: '"1"', 'cache-control': 'max-age=60', vary: 'accept-language' },
      {
        headers: { 'accept-language': 'de' },
        later: { 'accept-language': 'fr' },
      },
    )
    expect(third).not.toBe('first')
  })

  test('the same Vary again is no change', async () => {
    const bench = new Bench()
    const ask = { headers: { 'accept-language': 'de' } }
    bench.next = { headers: { ...TEN, vary: 'Accept-Language' } }
    await bench.ask(ask)
    bench.clock.advance(20_000)
    bench.next = { status: 304, headers: { etag: '"1"', vary: 'accept-language' } }
    expect((await bench.ask(ask)).body).toBe('body 1')
    expect([(await bench.ask(ask)).stored, bench.log.length, bench.log[0]?.url]).toEqual([true, 2, `${HOST}/`])
  })
})
