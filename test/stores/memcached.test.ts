/** MemcachedStore against real servers: the contract, round trips, key layout, lifetimes, chunks, leases. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, test } from 'vitest'
import { createCachedFetch } from '../../src/index.ts'
import { isListable, NEVER, type EntryChange } from '../../src/engine/ports.ts'
import { MemcachedClient, MemcachedStore, type MemcachedOptions } from '../../src/stores/memcached.ts'
import { FakeClock, sampleHead, sampleMeta, storeConformance } from '../../src/testing/index.ts'
import { describeWithOwnServer, type Server } from '../services/faults.ts'
import { describeWithService } from '../services/registry.ts'
import { itemsOf, logged, VERSION } from './memcached-support.ts'

const DAY = 86_400_000
/** The suites share two cores with others. */
const TIMEOUT = 10_000

const bytesOf = (size: number, seed: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: size }, (_, at) => (at * 31 + seed) % 251)
const streamOf = (bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> => new Blob([bytes]).stream()

const namespace = (): string => `test-${randomUUID()}`
const change = (status: number): EntryChange => ({ meta: sampleMeta('k', { status }), expiresAt: 1, keepUntil: NEVER })
const origin = (): Promise<Response> =>
  Promise.resolve(new Response('hello', { headers: { 'cache-control': 'max-age=60' } }))

// Servers of their own: shared ones may be full of what others left, and evict what a test counts on.
describeWithOwnServer('memcached', (start) => {
  const servers: string[] = []
  const running: Server[] = []
  beforeAll(async () => {
    running.push(...(await Promise.all([1, 2, 3].map(() => start({ args: ['-m', '512'] })))))
    servers.push(...running.map(({ address }) => address))
  })
  afterAll(() => Promise.all(running.map((server) => server.stop())))

  const make = (options: MemcachedOptions = {}, clock?: FakeClock): MemcachedStore => {
    const store = new MemcachedStore(
      { namespace: namespace(), ...(options.client ? {} : { servers, timeout: TIMEOUT }), ...options },
      clock,
    )
    onTestFinished(() => store.close())
    return store
  }
  const client = (): MemcachedClient => {
    const made = new MemcachedClient(servers, { timeout: TIMEOUT })
    onTestFinished(() => made.close())
    return made
  }
  const withLog = (more: MemcachedOptions = {}, clock?: FakeClock): { store: MemcachedStore; log: string[] } => {
    const log: string[] = []
    return { store: make({ client: logged(client(), log), ...more }, clock), log }
  }

  const conforming: readonly (readonly [name: string, servers: number, options: MemcachedOptions])[] = [
    ['one server', 1, {}],
    ['three servers', 3, {}],
    ['three servers, strict, all in chunks of 10 kB', 3, { strict: true, inlineSize: 0, chunkSize: 10_000 }],
  ]
  for (const [name, count, options] of conforming) {
    const fresh = (): MemcachedStore =>
      new MemcachedStore({ servers: servers.slice(0, count), timeout: TIMEOUT, namespace: namespace(), ...options })
    storeConformance({ name: `memcached ${VERSION}, ${name}`, make: fresh, describe, test })
  }

  describe('round trips', () => {
    it('a hit is one get, a miss is one get, a write a get and a set sent together', async () => {
      const { store, log } = withLog()
      await store.write(sampleHead('k'), bytesOf(1000, 1))
      expect(log.splice(0)).toEqual(['get', 'set 0'])
      await store.read('k')
      await store.read('missing')
      expect(log).toEqual(['get', 'get'])
    })

    it('of two updates of one version, one is made', async () => {
      const store = make()
      await store.write(sampleHead('k'), bytesOf(10, 1))
      const version = (await store.read('k'))?.version ?? ''
      const done = await Promise.all([200, 201, 202, 203].map((status) => store.update('k', change(status), version)))
      expect(done.filter(Boolean)).toHaveLength(1)
    })
  })

  describe('keys', () => {
    it('136, row 218: no byte of a key is on the wire: long ones, line breaks and spaces are only a hash', async () => {
      const space = namespace()
      const store = make({ namespace: space })
      for (const key of ['a b', 'x\r\nflush_all\r\n', 'k'.repeat(5000), '\0', '\ud800']) {
        await store.write(sampleHead(key), bytesOf(3, 1))
        expect((await store.read(key))?.body.bytes).toEqual(bytesOf(3, 1))
      }
      await store.lock('x\r\nflush_all', 'me', 60_000)
      const keys = (await itemsOf(servers, space)).map(({ key }) => key.slice(space.length))
      expect(keys).toHaveLength(6)
      for (const key of keys) expect(key).toMatch(/^:[el]:[\w-]{43}$/)
      await store.unlock('x\r\nflush_all', 'me')
    })

    it('B7: entries, and the chunks of one entry, are spread over the servers', async () => {
      const space = namespace()
      const store = make({ namespace: space, chunkSize: 10_000, inlineSize: 0 })
      await Promise.all(Array.from({ length: 100 }, (_, n) => store.write(sampleHead(`k${n}`), new Uint8Array())))
      await store.write(sampleHead('long'), bytesOf(500_000, 1))
      const items = await itemsOf(servers, space)
      const on = (kind: string): string[] => [
        ...new Set(items.filter(({ key }) => key.startsWith(`${space}:${kind}:`)).map(({ server }) => server)),
      ]
      expect([on('e').toSorted(), on('c').toSorted()]).toEqual([servers.toSorted(), servers.toSorted()])
    })

    it('146: two namespaces on one server never see each other', async () => {
      const [a, b] = [make(), make()]
      await a.write(sampleHead('k'), bytesOf(3, 1))
      expect([await b.read('k'), await b.delete(['k'])]).toEqual([undefined, 0])
      expect([await a.lock('l', 'x', 60_000), await b.lock('l', 'y', 60_000)]).toEqual([true, true])
      expect((await a.read('k'))?.body.size).toBe(3)
    })

    it('B40, 145: the entry of another key, and foreign bytes, under our key are corrupt; a write replaces them', async () => {
      const space = namespace()
      const store = make({ namespace: space })
      const raw = client()
      await store.write(sampleHead('a'), bytesOf(3, 1))
      await store.write(sampleHead('b'), bytesOf(3, 2))
      const [first, second] = (await itemsOf(servers, space)).map(({ key }) => key)
      const other = await raw.get(first ?? '')
      for (const value of [other ?? new Uint8Array(), new TextEncoder().encode('not ours'), new Uint8Array(40)]) {
        await raw.set(second ?? '', value, 60)
        const reads = await Promise.allSettled([store.read('a'), store.read('b')])
        expect(reads.filter(({ status }) => status === 'rejected')).toMatchObject([
          { reason: { code: 'ERR_STORE_CORRUPT' } },
        ])
      }
      await store.write(sampleHead('a'), bytesOf(4, 1))
      await store.write(sampleHead('b'), bytesOf(4, 2))
      expect([(await store.read('a'))?.body.size, (await store.read('b'))?.body.size]).toEqual([4, 4])
    })
  })

  describe('lifetimes', () => {
    it('B46, row 218: an entry for 31 days is there on day 1, and ends on the server on day 31', async () => {
      const clock = new FakeClock()
      const { store, log } = withLog({}, clock)
      await store.write(sampleHead('k', { keepUntil: clock.now() + 31 * DAY }), bytesOf(10, 1))
      expect((await store.read('k'))?.body.bytes).toEqual(bytesOf(10, 1))
      const exptime = Number(log[1]?.slice('set '.length))
      expect(exptime - clock.now() / 1000).toBeGreaterThan(31 * 86_400)
      expect(exptime - clock.now() / 1000).toBeLessThan(31 * 86_400 + 3)
    })

    it('an entry that is of no use any more leaves the server by itself', async () => {
      const space = namespace()
      const store = make({ namespace: space })
      await store.write(sampleHead('k', { keepUntil: Date.now() - 1 }), bytesOf(10, 1))
      const [item] = await itemsOf(servers, space)
      expect(Math.abs((item?.expires ?? 0) - Date.now() / 1000)).toBeLessThan(60)
      await expect.poll(() => store.read('k'), { timeout: 10_000 }).toBe(undefined)
    })

    it('an update moves the end of an entry and of its chunks', async () => {
      const clock = new FakeClock()
      const space = namespace()
      const store = make({ namespace: space, chunkSize: 10_000, inlineSize: 0 }, clock)
      await store.write(sampleHead('k', { keepUntil: clock.now() + DAY }), bytesOf(30_000, 1))
      const entry = await store.read('k')
      const keepUntil = clock.now() + 40 * DAY
      await store.update('k', { meta: sampleMeta('k'), expiresAt: 5, keepUntil }, entry?.version ?? '')
      const ends = (await itemsOf(servers, space)).map(({ expires }) => Math.round((expires - keepUntil / 1000) / 10))
      expect(ends).toEqual([0, 0, 0, 0, 0])
    })
  })

  describe('chunks', () => {
    const SMALL = { chunkSize: 10_000, inlineSize: 0 } as const

    it('B45: a body over the servers\u2019 item size is split by default, and comes back whole', async () => {
      const space = namespace()
      const store = make({ namespace: space })
      await store.write(sampleHead('k'), streamOf(bytesOf(3_000_000, 7)))
      expect(await itemsOf(servers, space)).toHaveLength(1 + 4)
      const entry = await store.read('k')
      expect(await new Response(entry?.body.open(0, 3_000_000)).bytes()).toEqual(bytesOf(3_000_000, 7))
    })

    it('B41: an entry of which one chunk was evicted is a miss before any byte is sent, whichever chunk it is', async () => {
      const space = namespace()
      const store = make({ namespace: space, ...SMALL })
      const raw = client()
      for (const n of [0, 1, 2]) {
        await store.write(sampleHead('k'), bytesOf(25_000, n))
        expect((await store.read('k'))?.body.size).toBe(25_000)
        const items = await itemsOf(servers, space)
        const now = Date.now() / 1000
        const live = items.filter(({ key, expires }) => key.endsWith(`:${n}`) && (expires < 0 || expires > now + 100))
        expect(live).toHaveLength(1)
        await raw.delete(live[0]?.key ?? '')
        expect(await store.read('k')).toBe(undefined)
        // Asking did not make it.
        expect(await store.read('k')).toBe(undefined)
      }
    })

    it('51, 145: a damaged frame that claims to have chunks beyond number ends in a few commands', async () => {
      const space = namespace()
      const { store, log } = withLog({ namespace: space, ...SMALL })
      const raw = client()
      const damage = async (): Promise<void> => {
        await store.write(sampleHead('k'), bytesOf(25_000, 1))
        const name = (await itemsOf(servers, space)).find(({ key }) => key.includes(':e:'))?.key ?? ''
        const frame = (await raw.get(name)) ?? new Uint8Array()
        // The last but one byte of the body's size.
        await raw.set(name, frame.with(14, 1), 60)
        log.length = 0
      }
      const ways = [
        () => store.read('k'),
        () => store.readMany(['k']),
        () => store.delete(['k']),
        () => store.write(sampleHead('k'), bytesOf(3, 1)),
      ]
      for (const way of ways) {
        await damage()
        await way()
        expect(log.length).toBeLessThan(150)
      }
    })

    it('rule 4: who reads a long body while it is replaced reads all of the old one', async () => {
      const store = make(SMALL)
      await store.write(sampleHead('k'), bytesOf(100_000, 1))
      const reader = (await store.read('k'))?.body.open(0, 100_000).getReader()
      const first = await reader?.read()
      await store.write(sampleHead('k'), bytesOf(100_000, 2))
      const parts = [first?.value ?? new Uint8Array()]
      for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read())
        parts.push(next.value)
      expect(Buffer.concat(parts).equals(bytesOf(100_000, 1))).toBe(true)
    })

    it('no orphans: the chunks of what was replaced, deleted or never finished end within a minute', async () => {
      const space = namespace()
      const store = make({ namespace: space, ...SMALL })
      const broken = new ReadableStream<Uint8Array>({
        async start(controller) {
          controller.enqueue(bytesOf(50_000, 1))
          await new Promise((resolve) => setTimeout(resolve, 20))
          controller.error(new Error('broke off'))
        },
      })
      await store.write(sampleHead('k'), bytesOf(50_000, 1))
      await store.write(sampleHead('k'), bytesOf(50_000, 2))
      await store.write(sampleHead('k'), bytesOf(1, 3).subarray(0, 0))
      await store.write(sampleHead('gone'), bytesOf(50_000, 1))
      await store.delete(['gone'])
      await expect(store.write(sampleHead('torn'), broken)).rejects.toThrow('broke off')
      const late = Date.now() / 1000 + 63
      const lasting = (await itemsOf(servers, space)).filter(({ expires }) => expires < 0 || expires > late)
      expect(lasting.map(({ key }) => key.slice(space.length, space.length + 2))).toEqual([':e'])
    })

    it('B45: maxEntrySize is kept, and a frame that the server refuses is ERR_STORE_FULL', async () => {
      const small = make({ maxEntrySize: 1000 })
      await expect(small.write(sampleHead('k'), bytesOf(1001, 1))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
      const wide = make({ inlineSize: 8_000_000, chunkSize: 8_000_000 })
      await expect(wide.write(sampleHead('k'), bytesOf(2_000_000, 1))).rejects.toMatchObject({ code: 'ERR_STORE_FULL' })
      await wide.write(sampleHead('k'), bytesOf(20_000, 1))
      expect((await wide.read('k'))?.body.size).toBe(20_000)
    })
  })

  describe('leases', () => {
    it('69: an item outlives its lease, by two seconds at most; a lease renewed in time goes on', async () => {
      const clock = new FakeClock()
      const { store, log } = withLog({}, clock)
      expect(await store.lock('l', 'me', 10_001)).toBe(true)
      clock.advance(10_000)
      expect(await store.renew('l', 'me', 5000)).toBe(true)
      expect(log).toEqual(['add 12', 'gets', 'cas 6'])
    })

    it('69, 153: who overslept its lease can neither renew nor give it back, though memcached has not noticed yet', async () => {
      const clock = new FakeClock()
      const store = make({}, clock)
      for (const late of [() => store.renew('l', 'me', 60_000), () => store.unlock('l', 'me')]) {
        expect(await store.lock('l', 'me', 60_000)).toBe(true)
        clock.advance(60_000)
        expect(await late()).toBe(false)
        await store.unlock('l', 'me')
      }
      expect(await store.lock('l', 'next', 60_000)).toBe(true)
    })
  })

  describe('in a cached fetch', () => {
    it('S3, B7: stores, answers, deletes; listing is ERR_NOT_LISTABLE', async () => {
      const store = make()
      const fetch = createCachedFetch({ store, fetch: origin, storeTimeout: 5 })
      await (await fetch('http://a.test/')).text()
      await expect.poll(async () => (await fetch('http://a.test/')).fromCache, { timeout: 20_000 }).toBe(true)
      expect(isListable(store)).toBe(false)
      await expect(fetch.cache.size()).rejects.toMatchObject({ code: 'ERR_NOT_LISTABLE' })
      await fetch.cache.delete({ url: 'http://a.test/' })
      expect((await fetch('http://a.test/')).fromCache).toBe(false)
      await fetch.close()
    })
  })

  describe('a client of the caller\u2019s', () => {
    it('is shared by stores, and not closed with them', async () => {
      const shared = client()
      const [a, b] = [make({ client: shared }), make({ client: shared })]
      await a.write(sampleHead('k'), bytesOf(3, 1))
      await a.close()
      await b.write(sampleHead('k'), bytesOf(3, 2))
      expect((await b.read('k'))?.body.bytes).toEqual(bytesOf(3, 2))
      expect((await shared.versions()).size).toBe(servers.length)
    })
  })
})

describeWithService('memcached', ({ servers }) => {
  it('B7: binary values are exact, whatever the bytes and the size', async () => {
    const raw = new MemcachedClient(servers, { timeout: TIMEOUT })
    onTestFinished(() => raw.close())
    expect([...(await raw.versions()).keys()]).toEqual(servers)
    for (const size of [0, 1, 256, 100_000, 900_000]) {
      const value = bytesOf(size, size)
      const key = `${namespace()}:raw`
      await raw.set(key, value, 5)
      expect(Buffer.from((await raw.get(key)) ?? []).equals(value)).toBe(true)
    }
  })

  it('B7: an entry is stored and read over all servers', async () => {
    const store = new MemcachedStore({ servers, timeout: TIMEOUT, namespace: namespace() })
    onTestFinished(() => store.close())
    await store.ready()
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) {
      await store.write(sampleHead(key, { keepUntil: Date.now() + 5000 }), bytesOf(1000, 1))
      expect((await store.read(key))?.body.bytes).toEqual(bytesOf(1000, 1))
    }
  })
})
