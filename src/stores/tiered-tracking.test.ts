import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { afterEach, describe, expect, it } from 'vitest'
import { describeWithService } from '../../test/services/registry.ts'
import { tcpProxy } from '../../test/services/tcp-proxy.ts'
import { startServer } from '../../test/services/server.ts'
import { namespace, waysToCluster, waysToServer, type TidyStore } from '../../test/stores/redis-support.ts'
import { OptionError, StateError, StoreError } from '../errors.ts'
import { NEVER, type MaybePromise, type Store, type StoredEntry, type Version } from '../engine/ports.ts'
import { sampleHead } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { MemoryStore } from './memory.ts'
import { RedisStore } from './redis.ts'
import type { CoherenceListener, Tracking, TrackingStore } from './tiered-coherence.ts'
import { TieredStore } from './tiered.ts'
import { compressed } from './wrap-compress.ts'

/** What publishing fails with; null: it does not. */
async function refusalOf(tracking: Tracking): Promise<unknown> {
  try {
    await tracking.publish(null)
    return null
  } catch (error) {
    return error
  }
}

const body = (n: number): Uint8Array => new Uint8Array(n).fill(n)

/** A far store in memory whose server tells when the test says so. */
class ToldStore extends MemoryStore implements TrackingStore {
  listener: CoherenceListener | null = null
  reads = 0
  readonly asked: string[] = []
  refusal: Error | null = null
  override read(key: string): StoredEntry | undefined {
    this.reads++
    return super.read(key)
  }
  override write(head: Parameters<Store['write']>[0], bytes: Parameters<Store['write']>[1]): MaybePromise<void> {
    const written = super.write(head, bytes)
    return written
  }
  tracking(): Tracking {
    return {
      nameOf: (key) => `name of ${key}`,
      has: async (key, version) => {
        this.asked.push(key)
        return super.read(key)?.version === version
      },
      publish: async () => {
        if (this.refusal !== null) throw this.refusal
      },
      subscribe: (listener) => void (this.listener = listener),
      close: () => void (this.listener = null),
    }
  }
  tell(...keys: string[]): void {
    this.listener?.changed(keys.map((key) => `name of ${key}`))
  }
}

/** The same, of those that know which version they wrote. */
class KnowingStore extends ToldStore {
  /** Called when a write is made, and not reported yet. */
  made: () => void = () => undefined
  override write(head: Parameters<Store['write']>[0], bytes: Parameters<Store['write']>[1]): Promise<never> {
    const write = async (): Promise<Version | undefined> => {
      await super.write(head, bytes)
      const version = MemoryStore.prototype.read.call(this, head.key)?.version
      this.made()
      return version
    }
    return write() as Promise<never>
  }
}

describe('B8: a server that tells of every change', () => {
  const setup = <F extends ToldStore>(far: F): { far: F; store: TieredStore } => {
    const store = new TieredStore({ far, nearTtl: Infinity, coherence: 'tracking' })
    far.listener?.connected(true)
    return { far, store }
  }

  it('what it tells of is read from the far store again; null is everything', async () => {
    const { far, store } = setup(new ToldStore())
    for (const key of ['a', 'b']) far.write(sampleHead(key), body(3))
    for (const key of ['a', 'b', 'a', 'b']) await store.read(key)
    expect(far.reads).toBe(2)
    far.tell('a', 'nobody')
    for (const key of ['a', 'b']) await store.read(key)
    expect(far.reads).toBe(3)
    far.listener?.changed(null)
    for (const key of ['a', 'b']) await store.read(key)
    expect(far.reads).toBe(5)
  })

  it('what was being read when it told is not kept', async () => {
    const { far, store } = setup(new ToldStore())
    far.write(sampleHead('a'), body(3))
    const slow = Promise.withResolvers<void>()
    const read = far.read.bind(far)
    far.read = (key) => slow.promise.then(() => read(key)) as never
    const first = store.read('a')
    far.tell('a')
    slow.resolve()
    await first
    far.read = read
    await store.read('a')
    expect(far.reads).toBe(2)
  })

  it('an own write stays in memory when it is told of, where it is still there; not when it is told of again', async () => {
    const { far, store } = setup(new KnowingStore())
    await store.write(sampleHead('a'), body(3))
    far.tell('a')
    await expect.poll(() => far.asked).toEqual(['a'])
    expect((await store.read('a'))?.body.size).toBe(3)
    expect(far.reads).toBe(0)
    far.tell('a')
    await store.read('a')
    expect([far.reads, far.asked.length]).toEqual([1, 1])
  })

  it('an own write that another overtook in what is told is not kept', async () => {
    const { far, store } = setup(new KnowingStore())
    await store.write(sampleHead('a'), body(3))
    MemoryStore.prototype.write.call(far, sampleHead('a'), body(4))
    far.tell('a')
    await expect.poll(async () => (await store.read('a'))?.body.size).toBe(4)
  })

  it('told of before the write is reported: it is looked at then', async () => {
    const { far, store } = setup(new KnowingStore())
    far.made = () => far.tell('a')
    await store.write(sampleHead('a'), body(3))
    await expect.poll(() => far.asked).toEqual(['a'])
    await store.read('a')
    expect(far.reads).toBe(0)
    far.made = () => {
      MemoryStore.prototype.write.call(far, sampleHead('a'), body(5))
      far.tell('a')
    }
    await store.write(sampleHead('a'), body(4))
    await expect.poll(async () => (await store.read('a'))?.body.size).toBe(5)
  })

  it('a store that does not know what it wrote is read again', async () => {
    const { far, store } = setup(new ToldStore())
    await store.write(sampleHead('a'), body(3))
    far.tell('a')
    await store.read('a')
    expect([far.reads, far.asked]).toEqual([1, []])
  })

  it('who says nearTtl and nothing of a channel has it, whether the default channel is there or not', async () => {
    for (const [options, reads] of [
      [{ nearTtl: Infinity }, 0],
      [{ nearTtl: Infinity, coherence: 'tracking' }, 1],
    ] as const) {
      const far = new ToldStore()
      let now = 0
      const store = new TieredStore({ far, clock: { now: () => now }, ...options })
      await store.write(sampleHead('a'), body(3))
      now = 1e9
      await store.read('a')
      expect(far.reads).toBe(reads)
    }
  })

  it('is the default where the far store has it; then a refusal is no error, and memory is trusted for 5 seconds', async () => {
    const far = new ToldStore()
    far.refusal = new StoreError('ERR_STORE_FAILED', 'refused')
    let now = 0
    const store = new TieredStore({ far, clock: { now: () => now } })
    await store.write(sampleHead('a'), body(3))
    await store.read('a')
    now = 5000
    await store.read('a')
    expect(far.reads).toBe(1)
    far.listener?.connected(true)
    await store.read('a')
    now = 60_000
    await store.read('a')
    expect(far.reads).toBe(2)
    await expect(new TieredStore({ far, coherence: 'tracking' }).delete(['a'])).rejects.toThrow(/could not be told/)
    expect(() => new TieredStore({ far, coherence: 'none' })).not.toThrow()
    expect(() => new TieredStore({ far: new MemoryStore(), coherence: 'tracking' })).toThrow(OptionError)
    expect(() => new TieredStore(JSON.parse('{"coherence":"trakcing"}'))).toThrow(OptionError)
  })
})

for (const kind of ['redis', 'redis-cluster'] as const)
  describeWithService(kind, (found) => {
    const endings: (() => unknown)[] = []
    afterEach(async () => {
      for (const end of endings.splice(0)) await end()
    })
    const ways = kind === 'redis' ? waysToServer(found) : waysToCluster(found)

    /** A tiered store, its far store, and a plain one beside them. */
    const opened = async (
      open: (typeof ways)[number][1],
      wrap: (store: RedisStore) => Store = (store) => store,
    ): Promise<{ store: TieredStore; far: TidyStore; other: RedisStore; reads: () => number; up: boolean[] }> => {
      const space = namespace()
      const far = await open({ namespace: space })
      const other = new RedisStore(
        kind === 'redis'
          ? { url: found.url, namespace: space }
          : { cluster: { rootNodes: found.servers.map((each) => `redis://${each}`) }, namespace: space },
      )
      let reads = 0
      const read = far.read.bind(far)
      far.read = (key) => (reads++, read(key))
      const up: boolean[] = []
      const tracking = far.tracking.bind(far)
      far.tracking = () => {
        const made = tracking()
        const subscribe = made.subscribe.bind(made)
        made.subscribe = ({ changed, connected }) =>
          subscribe({ changed, connected: (isUp) => (up.push(isUp), connected(isUp)) })
        return made
      }
      const store = new TieredStore({ far: wrap(far), nearTtl: 3600, coherence: 'tracking' })
      endings.push(
        () => store.close(),
        () => other.close(),
      )
      await expect.poll(() => up, { timeout: 10_000 }).toEqual([true])
      return { store, far, other, reads: () => reads, up }
    }
    const inMemory = async (store: TieredStore, reads: () => number, keys: readonly string[]): Promise<void> => {
      for (const key of keys) await store.read(key)
      const before = reads()
      for (const key of keys) await store.read(key)
      expect(reads()).toBe(before)
    }
    const keys = Array.from({ length: 12 }, (_, n) => `GET https://example.com/${n} \u2603`)

    for (const [name, open] of ways) {
      it(`B8: what a plain store writes and deletes is not answered from memory: ${name}`, async () => {
        const { store, other, reads } = await opened(open)
        for (const key of keys) await store.write(sampleHead(key), body(3))
        await inMemory(store, reads, keys)
        for (const key of keys) await other.write(sampleHead(key), body(5))
        for (const key of keys) await expect.poll(async () => (await store.read(key))?.body.size).toBe(5)
        await other.delete(keys)
        for (const key of keys) await expect.poll(async () => await store.read(key)).toBe(undefined)
      })

      it(`B8: own writes stay in memory, though the server tells of them: ${name}`, async () => {
        const { store, other, reads } = await opened(open)
        for (const key of keys) await store.write(sampleHead(key), body(3))
        // What is told of this one is told after all of the above, of each server.
        await other.write(sampleHead('last'), body(1))
        await expect.poll(async () => (await store.read('last'))?.body.size).toBe(1)
        const before = reads()
        for (const key of keys) expect((await store.read(key))?.body.size).toBe(3)
        expect(reads()).toBe(before)
      })
    }

    for (const [name, open] of ways.slice(0, 1))
      storeConformance({
        name: `tiered, a small memory over ${name}, tracked`,
        make: async () => new TieredStore({ far: await open(), near: { maxEntries: 20 }, nearTtl: 3600 }),
        describe,
        test: it,
      })

    it('B8: through a wrapper', async () => {
      const { store, other, reads } = await opened(ways[0]?.[1] ?? (() => Promise.reject(new Error('no way'))), (far) =>
        compressed(far),
      )
      for (const key of keys) await store.write(sampleHead(key), body(3))
      await inMemory(store, reads, keys)
      await other.delete(keys)
      for (const key of keys) await expect.poll(async () => await store.read(key)).toBe(undefined)
    })

    it('B8: whoever changes what, and over whose connection: when it is quiet, memory has what is there', async () => {
      const way = ways[0]?.[1] ?? (() => Promise.reject(new Error('no way')))
      const { store, far, other } = await opened(way)
      const second = new TieredStore({ far: other, nearTtl: 3600, coherence: 'tracking' })
      endings.unshift(() => second.close())
      let seed = 20_261_121
      const random = (below: number): number => {
        seed = (seed * 16_807) % 2_147_483_647
        return seed % below
      }
      let last = 0
      const act = async (tier: TieredStore, key: string, what: number): Promise<void> => {
        const head = sampleHead(key, { createdAt: ++last })
        if (what < 6) await tier.read(key)
        else if (what < 8) await tier.write(head, body(20))
        else if (what === 8) await tier.delete([key])
        else if (what === 9) await far.write(head, body(30))
        else {
          const entry = await tier.read(key)
          if (entry !== undefined)
            await tier.update(key, { meta: head.meta, expiresAt: last, keepUntil: NEVER }, entry.version)
        }
      }
      const facts = (entry: StoredEntry | undefined): unknown => entry && [entry.createdAt, entry.expiresAt]
      for (let round = 0; round < 8; round++) {
        const some = keys.slice(0, 6)
        const tiers = [store, second]
        await Promise.all(
          Array.from({ length: 200 }, async (_, n) => {
            const [tier = store, key = ''] = [tiers[n % 2], some[random(6)]]
            const what = random(11)
            for (let turn = 0; turn < n % 20; turn++) await new Promise(setImmediate)
            await act(tier, key, what)
          }),
        )
        for (const key of some)
          for (const tier of tiers)
            await expect.poll(async () => facts(await tier.read(key))).toEqual(facts(await far.read(key)))
      }
    })

    it('B8: the end of a lifetime on the server', async () => {
      const { store, far } = await opened(ways[0]?.[1] ?? (() => Promise.reject(new Error('no way'))))
      const head = { ...sampleHead('short'), expiresAt: NEVER, keepUntil: Date.now() + 1000 }
      await store.write(head, body(3))
      // Memory itself goes by no lifetime: the engine does.
      expect((await store.read('short'))?.body.size).toBe(3)
      await expect.poll(async () => await store.read('short'), { timeout: 10_000 }).toBe(undefined)
      expect(far.limits.shared).toBe(true)
    })

    it('B8: what another process deletes', async () => {
      const { store, far, reads } = await opened(ways[0]?.[1] ?? (() => Promise.reject(new Error('no way'))))
      for (const key of keys) await store.write(sampleHead(key), body(3))
      await inMemory(store, reads, keys)
      const [some = ''] = [far.tracking().nameOf('x')]
      const space = some.slice(0, some.indexOf(':e:{'))
      const script = fileURLToPath(new URL('../../test/stores/delete-process.ts', import.meta.url))
      const target = kind === 'redis' ? [found.url] : found.servers.map((each) => `redis://${each}`)
      const child = spawn(process.execPath, [script, space, JSON.stringify(keys), ...target], { stdio: 'inherit' })
      expect(await once(child, 'exit')).toEqual([0, null])
      for (const key of keys) await expect.poll(async () => await store.read(key)).toBe(undefined)
    })
  })

describeWithService('redis', ({ url }) => {
  const endings: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of endings.splice(0)) await end()
  })
  const heardBy = async (tracking: Tracking): Promise<{ states: boolean[]; changes: (readonly string[] | null)[] }> => {
    const heard: { states: boolean[]; changes: (readonly string[] | null)[] } = { states: [], changes: [] }
    tracking.subscribe({
      changed: (names) => heard.changes.push(names),
      connected: (isUp) => heard.states.push(isUp),
    })
    endings.unshift(() => tracking.close())
    await expect.poll(() => heard.states, { timeout: 10_000 }).toEqual([true])
    return heard
  }

  const clients: Readonly<Record<string, (at: string) => Promise<RedisStore>>> = {
    'by URL': async (at) => new RedisStore({ url: at, namespace: namespace() }),
    'by a client of redis': async (at) => {
      const client = createClient({ url: at })
      client.on('error', () => undefined)
      await client.connect()
      endings.push(() => client.destroy())
      return new RedisStore({ client, namespace: namespace() })
    },
    'by ioredis, with a prefix of its own': async (at) => {
      const client = new Redis(at, { keyPrefix: 'app:' })
      client.on('error', () => undefined)
      endings.push(() => client.disconnect())
      return new RedisStore({ client, namespace: namespace() })
    },
  }
  for (const [name, make] of Object.entries(clients)) {
    it(`a connection that is reset is a channel that is down, and comes back: ${name}`, async () => {
      const proxy = await tcpProxy(Number(new URL(url).port))
      endings.push(() => proxy.close())
      const store = await make(`redis://${proxy.address}`)
      endings.push(() => store.close())
      const tracking = store.tracking()
      const heard = await heardBy(tracking)
      proxy.reset()
      await expect.poll(() => heard.states, { timeout: 20_000 }).toEqual([true, false, true])
      await expect
        .poll(() =>
          store.write(sampleHead('k'), body(1)).then(
            () => true,
            () => false,
          ),
        )
        .toBe(true)
      await expect.poll(() => heard.changes.flat()).toContain(tracking.nameOf('k'))
    })
  }

  it('FLUSHALL, eviction for room, and a server that hangs, dies and is there again', { timeout: 60_000 }, async () => {
    const server = await startServer('redis')
    endings.push(() => server.stop())
    const store = new RedisStore({ url: server.url, commandTimeout: 500 })
    endings.push(() => store.close())
    const tracking = store.tracking()
    const heard = await heardBy(tracking)
    const client = createClient({ url: server.url, socket: { reconnectStrategy: false } })
    client.on('error', () => undefined)
    await client.connect()
    await store.write(sampleHead('k'), body(1))
    await client.flushAll()
    await expect.poll(() => heard.changes).toContain(null)
    for (let n = 0; n < 20; n++) await store.write(sampleHead(`k${n}`), body(200))
    const { length } = heard.changes.flat()
    await client.configSet({ 'maxmemory-policy': 'allkeys-random', maxmemory: '1mb' })
    // Refused, or not: by then room was made.
    await client.set('room', 'x').catch(() => undefined)
    await expect.poll(() => heard.changes.flat().length).toBeGreaterThan(length)
    client.destroy()
    await server.kill()
    await expect.poll(() => heard.states, { timeout: 10_000 }).toEqual([true, false])
    await server.restart()
    await expect.poll(() => heard.states, { timeout: 10_000 }).toEqual([true, false, true])
    server.pause()
    await expect.poll(() => heard.states, { timeout: 20_000 }).toEqual([true, false, true, false])
    server.resume()
    await expect.poll(() => heard.states, { timeout: 20_000 }).toEqual([true, false, true, false, true])
  })

  it('redis-cli DEL, and nothing but entries is told of', async () => {
    const store = new RedisStore({ url, namespace: namespace(), inlineSize: 10, chunkSize: 64 })
    endings.push(() => store.close())
    const tracking = store.tracking()
    const heard = await heardBy(tracking)
    await store.write(sampleHead('long'), body(200))
    await store.lock('long', 'me', 1000)
    const client = createClient({ url })
    await client.connect()
    endings.push(() => client.destroy())
    await client.del(tracking.nameOf('long'))
    await expect.poll(() => heard.changes.length).toBeGreaterThanOrEqual(2)
    expect(new Set(heard.changes.flat())).toEqual(new Set([tracking.nameOf('long')]))
  })

  it('a user who may not: publish says so, and the channel is down', async () => {
    const client = createClient({ url })
    await client.connect()
    const user = `u${namespace().slice(-12)}`
    await client.sendCommand(['ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all', '-client|tracking'])
    endings.push(async () => {
      await client.sendCommand(['ACL', 'DELUSER', user])
      client.destroy()
    })
    const at = new URL(url)
    at.username = user
    at.password = 'secret'
    const store = new RedisStore({ url: at.href, namespace: namespace() })
    const tracking = store.tracking()
    const states: boolean[] = []
    tracking.subscribe({ changed: () => undefined, connected: (isUp) => states.push(isUp) })
    endings.unshift(
      () => tracking.close(),
      () => store.close(),
    )
    await expect
      .poll(() => refusalOf(tracking))
      .toMatchObject({ code: 'ERR_STORE_OPEN', message: expect.stringMatching(/NOPERM/) })
    expect(states).toEqual([])
  })

  it('a pool of clients cannot be copied: publish says what to do', async () => {
    const client = createClient({ url })
    const pool = client.createPool()
    await pool.connect()
    endings.push(() => pool.destroy())
    const store = new RedisStore({ client: pool as never, namespace: namespace() })
    const tracking = store.tracking()
    tracking.subscribe({ changed: () => undefined, connected: () => undefined })
    endings.unshift(
      () => tracking.close(),
      () => store.close(),
    )
    await expect.poll(() => refusalOf(tracking)).toBeInstanceOf(StateError)
  })
})
