/** RELIABILITY group B: a store that fails costs a miss and an event, never the caller's request. See also test/engine/store-faults.test.ts. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCachedFetch, MemoryStore, type CacheEventOf, type Store, type StoredEntry } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import {
  bodyBytes,
  FakeClock,
  FaultyStore,
  verifyBody,
  type Fault,
  type FaultyMethod,
} from '../../src/testing/index.ts'
import { answering, bench, fresh, FRESH, newFile, settled, STORES, until, useOrigin, type Bench } from './support.ts'

const origin = useOrigin()

interface Faulty extends Bench {
  readonly store: FaultyStore
  readonly errors: CacheEventOf<'error'>[]
}

function faulty(inner: Store): Faulty {
  const store = new FaultyStore(inner)
  const made = bench({ store, storeTimeout: 0.05 })
  const errors: CacheEventOf<'error'>[] = []
  made.fetch.on('error', (event) => errors.push(event))
  return { ...made, store, errors }
}

const operations = (errors: readonly CacheEventOf<'error'>[]): string[] => errors.map(({ operation }) => operation)

describe.each(STORES)('on %s', (_, make) => {
  test.each(['throw', 'reject', 'hang', 'garbage'] as Fault[])(
    'B27-B30: a read that fails by %s is a miss, an event, and no more',
    async (fault) => {
      const { store, fetch, errors } = faulty(make())
      const url = `${origin().url}/cache/60`
      const text = await (await fetch(url)).text()
      store.fail('read', fault, store.calls.read + 1)
      const response = await fetch(url)
      expect([response.status, response.fromCache, await response.text()]).toEqual([200, false, text])
      expect([operations(errors), fetch.stats().errors]).toEqual([['read'], 1])
      expect((await fetch(url)).fromCache).toBe(true)
      expect(origin().requests).toHaveLength(2)
      await fetch.close()
    },
  )

  test('B31-B34: a write that throws, rejects, hangs or never reads leaves short and long bodies whole, and the entry out', async () => {
    // All at once: a store that does not read a long body is waited for before it is given up.
    const faults: Fault[] = ['throw', 'reject', 'hang', 'never-drain']
    const results = await Promise.all(
      faults.map(async (fault) => {
        const { store, fetch } = faulty(make())
        store.fail('write', fault)
        for (const size of [1000, 3_000_000]) {
          const url = `${origin().url}/large/${size}?${fault}`
          const response = await fetch(url, { httpCache: { expireAfter: 60 } })
          const { valid } = await verifyBody(await response.bytes())
          if (!valid || (await fetch.cache.has(url))) return `${fault} ${size}`
        }
        await fetch.close()
        return null
      }),
    )
    expect([results, origin().count()]).toEqual([[null, null, null, null], 8])
  })

  test('B35: what could not be deleted is not served again by this process, until it is stored anew', async () => {
    const path = fresh('undeleted')
    origin().route(path, ({ request }) => ({ headers: FRESH, body: `answer ${request.serial}` }))
    const { store, fetch, clock, errors } = faulty(make())
    const url = origin().url + path
    expect(await (await fetch(url)).text()).toBe('answer 1')
    store.fail('delete', 'reject')
    await fetch(url, { method: 'DELETE' })
    clock.advance(1)
    expect(operations(errors)).toContain('delete')
    expect(await (await fetch(url)).text()).toBe('answer 3')
    expect(await (await fetch(url)).text()).toBe('answer 3')
    expect(origin().requests).toHaveLength(3)
    await fetch.close()
  })

  test('B36: a store that is down from the start costs nothing but hits, and is used once it is up', async () => {
    const { store, fetch, clock } = faulty(make())
    const url = `${origin().url}/cache/60`
    for (const method of ['read', 'write', 'update', 'delete'] as FaultyMethod[]) store.fail(method, 'reject')
    for (let n = 0; n < 4; n++) expect((await fetch(url)).status).toBe(200)
    store.heal()
    clock.advance(60_000)
    await (await fetch(url)).text()
    await until(async () => (await fetch(url)).fromCache)
    await fetch.close()
  })

  test('B37: a store that dies is left alone after a few failures, probed in growing pauses, and taken up again', async () => {
    const { store, fetch, clock, errors } = faulty(make())
    const url = `${origin().url}/cache/600`
    await (await fetch(url)).text()
    for (const method of ['read', 'write'] as FaultyMethod[]) store.fail(method, 'reject')
    for (let n = 0; n < 30; n++) await (await fetch(url)).text()
    const calls = store.calls.read + store.calls.write
    expect(errors.length).toBeLessThan(15)
    for (let n = 0; n < 30; n++) await (await fetch(url)).text()
    expect(store.calls.read + store.calls.write).toBe(calls)
    clock.advance(1001)
    for (let n = 0; n < 30; n++) await (await fetch(url)).text()
    expect(store.calls.read + store.calls.write - calls).toBeLessThanOrEqual(2)
    expect(store.calls.read + store.calls.write).toBeGreaterThan(calls)
    store.heal()
    clock.advance(60_001)
    expect((await fetch(url)).fromCache).toBe(true)
    await fetch.close()
  })

  test('B40, B41: the entry of another key, and a body that is gone, are misses before any byte is sent', async () => {
    const { store, fetch, errors } = faulty(make())
    const url = `${origin().url}/large/200000?max-age=60`
    await (await fetch(url)).bytes()
    await until(() => fetch.cache.has(url))
    const read = store.read.bind(store)
    store.read = () => read(`GET ${url}`)
    const other = await fetch(`${origin().url}/large/200000?max-age=60&other`)
    expect([other.fromCache, (await verifyBody(await other.bytes())).valid]).toEqual([false, true])
    store.read = read
    await (await fetch(url, { cache: 'reload' })).bytes()
    await until(() => fetch.cache.has(url))
    store.fail('read', 'break-stream', store.calls.read + 1)
    const gone = await fetch(url)
    expect([gone.fromCache, (await verifyBody(await gone.bytes())).valid]).toEqual([false, true])
    expect(operations(errors)).toContain('read')
    await fetch.close()
  })

  test('B44: the n-th call of each kind failing in each way, for every n: every body is right and nothing escapes', async () => {
    const path = fresh('sweep')
    origin().route(path, ({ request }) => ({
      headers: { 'cache-control': 'max-age=10', etag: `"${request.header('accept')}"`, vary: 'accept' },
      ...(request.header('if-none-match')?.includes(`"${request.header('accept')}"`)
        ? { status: 304 }
        : { body: `sweep ${request.header('accept')}` }),
    }))
    const sweep = async (method: FaultyMethod, fault: Fault, n: number): Promise<void> => {
      const { store, fetch, clock } = faulty(make())
      store.fail(method, fault, n)
      for (let request = 0; request < 4; request++) {
        const accept = request % 2 === 0 ? 'a' : 'b'
        const response = await fetch(origin().url + path, { headers: { accept } })
        expect(await response.text()).toBe(`sweep ${accept}`)
        if (request === 2) clock.advance(20_000)
      }
      await fetch(origin().url + path, { method: 'DELETE' })
      await fetch.close()
    }
    const methods: FaultyMethod[] = ['read', 'write', 'update', 'delete']
    const all = methods.flatMap((method) => [1, 2, 3, 4, 5, 6].map((n) => [method, n] as const))
    for (const fault of ['throw', 'reject', 'hang'] as Fault[])
      // Side by side: who deletes, or closes, waits for a store that hangs.
      await Promise.all(all.map(([method, n]) => sweep(method, fault, n)))
    expect(origin().errors).toEqual([])
  })

  test('B46, I4: expiry is checked by the reader, whatever the store still hands over', async () => {
    const { fetch, clock } = bench({ store: make() })
    const url = `${origin().url}/cache/2678400`
    await (await fetch(url)).text()
    clock.advance(86_400_000)
    expect((await fetch(url)).fromCache).toBe(true)
    clock.advance(30 * 86_400_000 + 1000)
    const late = await fetch(url)
    expect([late.revalidated, origin().count()]).toEqual([true, 2])
    await fetch.close()
  })

  test('B38: under a store whose reads never answer, every request gets the answer of the origin', async () => {
    const { store, fetch, errors } = faulty(make())
    store.fail('read', 'hang')
    for (let n = 0; n < 8; n++) expect(await (await fetch(`${origin().url}/cache/60`)).text()).not.toBe('')
    expect(origin().requests).toHaveLength(8)
    expect(new Set(errors.map(({ error }) => error.code))).toEqual(new Set(['ERR_STORE_TIMEOUT']))
    await fetch.close()
  })
})

test('B38: a short body whose write hangs is shared with who asks for it meanwhile, long before the write is given up', async () => {
  const { store, fetch, events } = faulty(new MemoryStore())
  store.fail('write', 'hang')
  const url = `${origin().url}/cache/60`
  const text = await (await fetch(url)).text()
  expect(await (await fetch(url)).text()).toBe(text)
  expect([origin().count(), events.filter(({ type }) => type === 'error')]).toEqual([1, []])
  await fetch.close()
})

const FIELDS =
  'key meta createdAt expiresAt version body status headers terms tags selecting parts total lifetime initialAge'
    .split(' ')
    .concat('noCache', 'size', 'bytes', 'open', '__proto__')

test('B30: whatever a store hands over is a miss or a valid entry, never an exception', async () => {
  const url = 'http://example.test/x'
  const inner = new MemoryStore()
  const warm = createCachedFetch({ store: inner, fetch: answering(() => new Response('good', { headers: FRESH })) })
  await (await warm(url)).text()
  const stored = inner.read(`GET ${url}`)
  if (stored === undefined) throw new Error('the entry is there')
  // What comes from elsewhere is no object this process made.
  const sound = { ...stored, meta: structuredClone(stored.meta) }
  const json = (value: unknown): StoredEntry => value as StoredEntry
  const mutated = fc
    .record({
      where: fc.constantFrom('entry', 'meta', 'terms', 'body'),
      field: fc.constantFrom(...FIELDS),
      value: fc.oneof(
        fc.jsonValue(),
        fc.constantFrom(undefined, Number.NaN, -1, Infinity, [[1, 2]], [['a', 'b\r\nc: d']]),
      ),
    })
    .map(({ where, field, value }) => {
      const { meta } = sound
      if (meta.kind !== 'response') throw new Error('the entry is a response')
      const copy = structuredClone(meta)
      const put = (object: object): object => ({ ...object, [field]: value })
      if (where === 'entry') return json(put({ ...sound, meta: copy }))
      if (where === 'body') return json({ ...sound, meta: copy, body: put({ ...sound.body }) })
      if (where === 'meta') return json({ ...sound, meta: put(copy) })
      return json({ ...sound, meta: { ...copy, terms: put(copy.terms) } })
    })
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, fc.anything({ withNullPrototype: true }).map(json)), async (garbage) => {
      const store = new FaultyStore(new MemoryStore())
      store.read = () => garbage
      const fetch = createCachedFetch({ store, fetch: answering(() => new Response('good', { headers: FRESH })) })
      const response = await fetch(url)
      const text = await response.text()
      expect(response.headers.get('c')).toBeNull()
      if (!response.fromCache) expect(text).toBe('good')
    }),
    { numRuns: 2000 },
  )
})

test.each([
  { status: -1 },
  { status: 199 },
  { status: 600 },
  { status: 1000 },
  { status: 200.5 },
  { statusText: 'OK\r\nSet-Cookie: a=b' },
  { headers: [['', '']] },
  { headers: [['a b', 'c']] },
  { headers: [['a:', 'c']] },
  { headers: [['a', '\u4e2d']] },
  { headers: [['a', 'b\u0001']] },
  { headers: [['a', 'b\r\nc: d']] },
])('B30: stored metadata that no response can have (%j) is a miss', async (change) => {
  const inner = new MemoryStore()
  const answer = answering(() => new Response('x', { headers: FRESH }))
  await (await createCachedFetch({ store: inner, fetch: answer })('http://o.test/')).text()
  const entry = inner.read('GET http://o.test/')
  const store: Store = new FaultyStore(new MemoryStore())
  const changed = (meta: StoredEntry['meta']): StoredEntry['meta'] => ({ ...structuredClone(meta), ...change }) as never
  store.read = () => entry && { ...entry, meta: changed(entry.meta) }
  const response = await createCachedFetch({ store, fetch: answer })('http://o.test/')
  expect([response.fromCache, response.status, response.headers.get('a')]).toEqual([false, 200, null])
})

test('B31, B33: a store that refuses a long body, at once or after some of it, does not hold the caller up', async () => {
  for (const refuse of [
    () => Promise.reject(new Error('boom')),
    (body: ReadableStream) => body.cancel().then(() => Promise.reject(new Error('boom'))),
    async (body: ReadableStream) => {
      const reader = body.getReader()
      for (let n = 0; n < 3; n++) await reader.read()
      throw new Error('boom')
    },
  ]) {
    const store = new FaultyStore(new MemoryStore())
    store.write = (_head, body) => (body instanceof Uint8Array ? undefined : refuse(body))
    // Were the store waited for, it would be for half a minute.
    const { fetch, events } = bench({ store, storeTimeout: 10, expireAfter: 60 })
    const response = await fetch(`${origin().url}/large/3000000`)
    const body = await Promise.race([response.bytes(), until(() => false).catch(() => null)])
    expect(body?.length).toBe(3_000_000)
    const told = events.flatMap((event) => (event.type === 'error' ? [event.error.message] : []))
    expect(told).toEqual(['the faulty memory store failed to write: boom'])
    expect(events.flatMap((event) => (event.type === 'refused' ? [event.reason] : []))).toEqual(['store-failed'])
  }
})

test('B33: a store that says it wrote what it did not read to the end leaves no entry', async () => {
  const inner = new MemoryStore()
  const store = new FaultyStore(inner)
  store.write = (head, body) =>
    body instanceof Uint8Array ? inner.write(head, body) : inner.write(head, Buffer.from('part'))
  const { fetch, events } = bench({ store, expireAfter: 60 })
  const url = `${origin().url}/large/3000000`
  expect((await verifyBody(await (await fetch(url)).bytes())).valid).toBe(true)
  await until(() => events.some(({ type }) => type === 'error'))
  await settled()
  expect((await fetch(url)).fromCache).toBe(false)
})

test('B34, I7: a store that was given up on is an error event, and counts for leaving it alone', async () => {
  const store = new FaultyStore(new MemoryStore()).fail('write', 'never-drain')
  const { fetch, events } = bench({ store, storeTimeout: 0.05, expireAfter: 60 })
  await Promise.all(
    [1, 2, 3, 4, 5].map(async (seed) => (await fetch(`${origin().url}/large/3000000?seed=${seed}`)).bytes()),
  )
  const told = events.flatMap((event) => (event.type === 'error' ? [`${event.operation} ${event.error.code}`] : []))
  expect(told).toEqual(Array.from({ length: 5 }, () => 'write ERR_STORE_TIMEOUT'))
  const { write } = store.calls
  await (await fetch(`${origin().url}/cache/60`)).text()
  expect(store.calls.write).toBe(write)
})

test('B29, B41: a stored body that does not begin is a miss after storeTimeout, and stays', async () => {
  const store = new FaultyStore(new MemoryStore())
  const { fetch, events } = bench({ store, storeTimeout: 0.02, expireAfter: 60 })
  const url = `${origin().url}/large/300000`
  await (await fetch(url)).bytes()
  await until(() => fetch.cache.has(url))
  const read = store.read.bind(store)
  const silent = (): ReadableStream<Uint8Array> => new ReadableStream({ pull: () => new Promise(() => undefined) })
  store.read = async (key) => {
    const entry = await read(key)
    return entry && { ...entry, body: { ...entry.body, size: entry.body.size, bytes: null, open: silent } }
  }
  const response = await fetch(url)
  expect([response.fromCache, (await verifyBody(await response.bytes())).valid]).toEqual([false, true])
  expect(events.flatMap((event) => (event.type === 'error' ? [event.error.code] : []))).toEqual(['ERR_STORE_TIMEOUT'])
  expect(store.calls.delete).toBe(0)
})

test('B34: while a store reads nothing of a long body, no more of it is held than the caller was given time to see', async () => {
  const store = new FaultyStore(new SqliteStore(newFile()))
  const fetch = createCachedFetch({ store, storeTimeout: 0.05, expireAfter: 60 })
  const refused: { readonly reason: string; readonly sent: number }[] = []
  const path = fresh('held')
  let sent = 0
  origin().route(path, () => ({
    headers: { 'content-type': 'application/octet-stream' },
    body: (async function* () {
      for (const block of bodyBytes(40_000_000)) {
        sent += block.length
        yield block
      }
    })(),
  }))
  fetch.on('refused', ({ reason }) => refused.push({ reason, sent }))
  store.fail('write', 'never-drain')
  const response = await fetch(origin().url + path)
  expect((await verifyBody(await response.bytes())).valid).toBe(true)
  expect(refused.map(({ reason }) => reason)).toEqual(['stalled'])
  // What is on its way through sockets and streams is counted, too.
  expect(refused[0]?.sent).toBeLessThan(20_000_000)
  await fetch.close()
})

describe('sqlite', () => {
  test('B42: a database another process holds locked costs a miss and an event, at open, read and write', async () => {
    const path = newFile()
    const open = (): Bench => bench({ store: new SqliteStore({ path, busyTimeout: 10, wal: false }) })
    const other = new DatabaseSync(path)
    other.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    const first = open()
    const url = `${origin().url}/cache/60`
    expect(await (await first.fetch(url)).text()).not.toBe('')
    expect(first.events.filter(({ type }) => type === 'error').length).toBeGreaterThan(0)
    other.exec('ROLLBACK')
    other.close()
    await (await first.fetch(url)).text()
    expect((await first.fetch(url)).fromCache).toBe(true)
    const again = new DatabaseSync(path)
    again.exec('BEGIN EXCLUSIVE')
    const locked = await first.fetch(url)
    expect([locked.status, locked.fromCache, (await locked.text()) !== '']).toEqual([200, false, true])
    again.exec('ROLLBACK')
    again.close()
    expect((await first.fetch(url)).fromCache).toBe(true)
    await first.fetch.close()
  })

  test('B43: a file that is not ours is left byte for byte as it is; requests go to the origin, with events', async () => {
    const path = newFile()
    writeFileSync(
      path,
      'a text that someone needs, and that is longer than a hundred bytes, so that it could be a header. '.repeat(3),
    )
    const before = readFileSync(path)
    const { fetch, events } = bench({ store: new SqliteStore(path) })
    for (let n = 0; n < 3; n++) expect(await (await fetch(`${origin().url}/cache/60`)).text()).not.toBe('')
    expect(origin().requests).toHaveLength(3)
    const codes = events.flatMap((event) => (event.type === 'error' ? [event.error.code] : []))
    expect(new Set(codes)).toEqual(new Set(['ERR_STORE_FORMAT']))
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(() => new SqliteStore({ path, strict: true })).toThrow('not a keepfresh store')
    await fetch.close()
  })

  test('B43: a read-only store answers its hits, writes nothing and says so in events', async () => {
    const path = newFile()
    const writer = bench({ store: new SqliteStore(path) })
    const url = `${origin().url}/cache/60`
    await (await writer.fetch(url)).text()
    await writer.fetch.close()
    chmodSync(path, 0o444)
    const { fetch, events } = bench({ store: new SqliteStore({ path, readOnly: true }), clock: writer.clock })
    expect((await fetch(url)).fromCache).toBe(true)
    await (await fetch(`${origin().url}/cache/61`)).text()
    await fetch.close()
    const codes = events.flatMap((event) => (event.type === 'error' ? [event.error.code] : []))
    expect([codes, existsSync(path)]).toEqual([['ERR_STORE_READONLY'], true])
  })

  test('B45: a body over the limit of the store is not started where its length is known, else given up; the response is whole', async () => {
    const store = new FaultyStore(new SqliteStore({ path: newFile(), maxEntrySize: 100_000 }))
    const { fetch, events } = bench({ store, expireAfter: 60 })
    for (const path of ['/large/300000', '/stream-bytes/300000']) {
      expect((await verifyBody(await (await fetch(origin().url + path)).bytes())).valid).toBe(true)
    }
    const reasons = events.flatMap((event) => (event.type === 'refused' ? [event.reason] : []))
    expect(reasons).toEqual(['too-large', 'too-large'])
    await fetch.close()
  })
})

test('B31, I7: an update that fails leaves the revalidated answer as it is', async () => {
  const clock = new FakeClock()
  const path = fresh('update')
  origin().script(
    path,
    [
      { headers: { 'cache-control': 'max-age=1', etag: '"a"' }, body: 'body' },
      { status: 304, headers: { 'cache-control': 'max-age=1', etag: '"a"' } },
    ],
    'last',
  )
  const store = new FaultyStore(new MemoryStore())
  const { fetch, errors } = { ...bench({ store, clock }), errors: [] as string[] }
  fetch.on('error', ({ operation }) => errors.push(operation))
  await (await fetch(origin().url + path)).text()
  store.fail('update', 'reject')
  clock.advance(5000)
  const response = await fetch(origin().url + path)
  expect([response.revalidated, await response.text(), errors]).toEqual([true, 'body', ['update']])
  await settled()
  await fetch.close()
})
