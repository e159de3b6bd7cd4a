/** What RedisStore promises beyond the store contract (B4, B11, rows 200, 214, 215, 239, RELIABILITY 40, 45, 46, 69, 137, 146). */
import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import { createClient, createClientPool, createCluster } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { NEVER } from '../../src/engine/ports.ts'
import { sampleHead, sampleMeta } from '../../src/testing/samples.ts'
import { RedisStore, type RedisClientLike, type RedisOptions } from '../../src/stores/redis.ts'
import { describeWithService } from '../services/registry.ts'
import { namespace, TidyStore, waysToServer } from './redis-support.ts'

const small = new Uint8Array([1, 2, 3])
const large = (size = 300_000): ReadableStream<Uint8Array> => new Blob([new Uint8Array(size).fill(7)]).stream()
/** The same, piece by piece, with `at` called when the last piece is asked for. */
function paced(at: () => Promise<void>): ReadableStream<Uint8Array> {
  let left = 6
  return new ReadableStream(
    {
      async pull(controller) {
        if (left === 1) await at()
        controller.enqueue(new Uint8Array(50_000))
        if (--left === 0) controller.close()
      },
    },
    { highWaterMark: 0 },
  )
}
const CHUNKS = { inlineSize: 1000, chunkSize: 65_536 }

const until = (ms: number): { keepUntil: number } => ({ keepUntil: Date.now() + ms })

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

describe('options', () => {
  it.each<[string, unknown, string]>([
    ['an unknown name, and the nearest', { namespce: 'x' }, 'Did you mean `namespace`?'],
    ['a URL of another kind', 'http://localhost', 'redis://host:port/db'],
    [
      'two ways at once',
      { url: 'redis://h', cluster: { rootNodes: ['redis://h'] } },
      'give one of `url` and `cluster`',
    ],
    ['an empty namespace', { namespace: '' }, 'not empty'],
    ['a namespace that is no text', { namespace: '\ud800' }, 'must be a text'],
    ['a hash tag in the namespace', { namespace: 'a{b' }, 'must not have { or }'],
    ['a cluster without nodes', { cluster: { rootNodes: [] } }, 'rootNodes'],
    ['sentinels without a name', { sentinel: { sentinelRootNodes: [{ host: 'h', port: 1 }] } }, 'a name'],
    ['something that is no client', { client: {} }, '`redis` (5 or later) or `ioredis`'],
    ['a client of version 4', { client: { isOpen: true, sendCommand() {} } }, '`redis` (5 or later)'],
    ['options beside a client', { client: new Redis({ lazyConnect: true }), clientOptions: {} }, 'have no use'],
    ['a chunk of no size', { chunkSize: 0 }, 'a whole number from 64'],
  ])('refuses %s', (_, options, message) => {
    expect(() => new RedisStore(options as RedisOptions)).toThrow(message)
  })

  it('a password in a wrong URL is not in the error', () => {
    expect(() => new RedisStore('reddis://user:s3cret@host')).not.toThrow('s3cret')
    expect(() => new RedisStore('reddis://user:s3cret@host')).toThrow('redis://host:port/db')
  })

  it('row 214: nothing is connected to before the first use', async () => {
    await new RedisStore('redis://127.0.0.1:1').close()
    await new RedisStore({ cluster: { rootNodes: ['redis://127.0.0.1:1'] } }).close()
  })
})

describeWithService('redis', (redis) => {
  const { url } = redis

  /** A client that keeps the commands it was asked to send. */
  async function spy(): Promise<{ client: RedisClientLike; sent: string[]; plain: ReturnType<typeof createClient> }> {
    const plain = createClient({ url })
    await plain.connect()
    onTestFinished(() => plain.destroy())
    const sent: string[] = []
    const client = plain.duplicate()
    await client.connect()
    onTestFinished(() => client.destroy())
    const send = client.sendCommand.bind(client)
    client.sendCommand = (args, options) => {
      sent.push(String(args[0]))
      return send(args, options)
    }
    return { client, sent, plain: plain as ReturnType<typeof createClient> }
  }

  function tidy(options: RedisOptions = {}): TidyStore {
    const store = new TidyStore(options.client === undefined ? { url, ...options } : options)
    onTestFinished(() => store.close())
    return store
  }

  it('B4: a hit on a small entry is one command, a miss is one command, a write is one command', async () => {
    const { client, sent } = await spy()
    const store = tidy({ client })
    await store.write(sampleHead('a'), small)
    sent.length = 0
    await store.write(sampleHead('a'), small)
    await store.read('a')
    await store.read('missing')
    expect(sent).toEqual(['EVALSHA', 'GET', 'GET'])
  })

  it('51, 145: a damaged frame that claims to have chunks beyond number is corrupt, and goes in a few commands', async () => {
    const { client, sent, plain } = await spy()
    const space = namespace()
    const store = tidy({ client, namespace: space, ...CHUNKS })
    for (const way of [() => store.delete(['a']), () => store.write(sampleHead('a'), small)]) {
      await store.write(sampleHead('a'), large())
      const names: string[] = await plain.keys(`${space}:e:*`)
      // The last but one byte of the body's size.
      await plain.setRange(names[0] ?? '', 14, '\x01')
      await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      sent.length = 0
      await way()
      expect(sent.length).toBeLessThan(1100)
    }
  })

  it('137: listing, counting and clearing walk with SCAN; nothing is flushed', async () => {
    const { client, sent } = await spy()
    const store = tidy({ client, ...CHUNKS })
    await store.write(sampleHead('a'), large())
    sent.length = 0
    await all(store.entries())
    await store.size()
    await store.deleteWhere({ expiredAt: 5 })
    await store.clear()
    expect(sent).toContain('SCAN')
    expect(new Set(sent)).toEqual(new Set(['SCAN', 'GETRANGE', 'STRLEN', 'UNLINK']))
  })

  it('rows 200, 239, 146: namespaces do not see each other, whatever is in their names', async () => {
    const base = randomUUID()
    const hash = 'x'.repeat(43)
    const names = [
      '',
      '*',
      '?',
      '[a-z]',
      '\\',
      '\\*',
      ':e',
      ':e:',
      ':c',
      '^',
      '-',
      `:c:${hash}:0123456789abcdef`,
      '\n\0\u2603',
    ]
    const stores = names.map((name) => tidy({ namespace: `${base}${name}`, ...CHUNKS }))
    for (const [n, store] of stores.entries()) {
      await store.write(sampleHead('shared', { createdAt: n }), large(3000))
      await store.write(sampleHead(`own ${n}`), small)
    }
    for (const [n, store] of stores.entries()) {
      expect((await all(store.keys())).toSorted()).toEqual([`own ${n}`, 'shared'])
      expect((await store.read('shared'))?.createdAt).toBe(n)
    }
    for (const store of stores) {
      const others = stores.filter((other) => other !== store)
      await store.clear()
      expect(await store.size()).toEqual({ entries: 0, bytes: 0 })
      for (const other of others) expect((await other.size()).entries).toBe(2)
      await store.write(sampleHead('shared'), large(3000))
      await store.write(sampleHead('own'), small)
    }
  })

  it('row 214, 46: Redis drops what is of no more use, ttlOffset later, and with ttl: false never', async () => {
    const { plain } = await spy()
    const lifetime = async (store: TidyStore, ns: string, change: { keepUntil?: number }): Promise<number> => {
      await store.clear()
      await store.write(sampleHead('k', change), small)
      const [name = ''] = await plain.keys(`${ns}:e:*`)
      return plain.pTTL(name)
    }
    const ns = namespace()
    const store = tidy({ namespace: ns })
    expect(await lifetime(store, ns, until(100_000))).toBeGreaterThan(90_000)
    expect(await lifetime(store, ns, until(100_000))).toBeLessThanOrEqual(100_000)
    // 31 days, where Memcached would take it for a date.
    expect(await lifetime(store, ns, until(31 * 86_400_000))).toBeGreaterThan(30 * 86_400_000)
    expect(await lifetime(store, ns, { keepUntil: NEVER })).toBe(-1)
    expect(await lifetime(tidy({ namespace: ns, ttlOffset: 3_600_000 }), ns, until(100_000))).toBeGreaterThan(3_690_000)
    expect(await lifetime(tidy({ namespace: ns, ttl: false }), ns, until(100_000))).toBe(-1)
  })

  it('an update changes the lifetime of an entry and of its chunks', async () => {
    const { plain } = await spy()
    const ns = namespace()
    const store = tidy({ namespace: ns, ...CHUNKS })
    await store.write(sampleHead('k'), large())
    const lives = async (): Promise<number[]> =>
      Promise.all((await plain.keys(`${ns}:*`)).map((name) => plain.pTTL(name)))
    expect(new Set(await lives())).toEqual(new Set([-1]))
    const change = { meta: sampleMeta('k'), expiresAt: 9, keepUntil: Date.now() + 7_200_000 }
    expect(await store.update('k', change, (await store.read('k'))?.version ?? '')).toBe(true)
    expect((await lives()).every((life) => life > 7_000_000)).toBe(true)
    const again = { ...change, keepUntil: NEVER }
    expect(await store.update('k', again, (await store.read('k'))?.version ?? '')).toBe(true)
    expect(new Set(await lives())).toEqual(new Set([-1]))
  })

  it('45: chunks of a write that is under way have a lifetime; those of a replaced entry go within a minute', async () => {
    const { plain } = await spy()
    const ns = namespace()
    const store = tidy({ namespace: ns, ...CHUNKS })
    const lives = async (): Promise<number[]> =>
      Promise.all((await plain.keys(`${ns}:c:*`)).map((name) => plain.pTTL(name)))
    let during: number[] = []
    const watched = paced(async () => {
      during = await lives()
    })
    await store.write(sampleHead('k'), watched)
    expect(during.length).toBeGreaterThan(0)
    expect(during.every((life) => life > 3_500_000 && life <= 3_600_000)).toBe(true)
    expect(await lives()).toEqual([-1, -1, -1, -1, -1])
    await store.write(sampleHead('k'), small)
    expect((await lives()).every((life) => life > 0 && life <= 60_000)).toBe(true)
  })

  it('41: an entry whose chunks are gone before it is complete is not published', async () => {
    const ns = namespace()
    const store = tidy({ namespace: ns, ...CHUNKS })
    const cleared = paced(() => store.clear())
    await expect(store.write(sampleHead('k'), cleared)).rejects.toMatchObject({ code: 'ERR_STORE_FAILED' })
    expect(await store.read('k')).toBe(undefined)
  })

  it('values of another type under our names are corrupt, skipped in lists, and replaced by a write', async () => {
    const { plain } = await spy()
    const ns = namespace()
    const store = tidy({ namespace: ns })
    await store.write(sampleHead('a'), small)
    await store.write(sampleHead('b'), small)
    const [name = ''] = await plain.keys(`${ns}:e:*`)
    const key = (await plain.get(name))?.includes('"key":"a"') === true ? 'a' : 'b'
    const foreign = async (): Promise<void> => {
      await plain.del(name)
      await plain.hSet(name, 'field', 'of another program')
    }
    await foreign()
    await expect(store.read(key)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    expect(await all(store.keys())).toEqual([key === 'a' ? 'b' : 'a'])
    expect((await store.size()).entries).toBe(1)
    expect(
      await store.update(key, { meta: sampleMeta(key), expiresAt: 1, keepUntil: 2 }, 'x').catch(() => 'corrupt'),
    ).toBe('corrupt')
    await store.write(sampleHead(key), small)
    expect((await store.read(key))?.body.size).toBe(3)
    await foreign()
    expect(await store.delete([key])).toBe(1)
    expect(await store.read(key)).toBe(undefined)
  })

  it('40: the entry of another key, and bytes that are no frame, are corrupt', async () => {
    const { plain } = await spy()
    const ns = namespace()
    const store = tidy({ namespace: ns })
    await store.write(sampleHead('a'), small)
    const [a = ''] = await plain.keys(`${ns}:e:*`)
    await store.write(sampleHead('b'), small)
    const b = (await plain.keys(`${ns}:e:*`)).find((name) => name !== a) ?? ''
    await plain.copy(a, b, { REPLACE: true })
    await expect(store.read('b')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    await plain.set(b, 'not a frame at all')
    await expect(store.read('b')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
  })

  it('clear leaves what is not ours, even under a name that begins like ours', async () => {
    const { plain } = await spy()
    const ns = namespace()
    const store = tidy({ namespace: ns })
    await store.write(sampleHead('a'), small)
    const foreign = [`${ns}`, `${ns}:e:{short}`, `${ns}:e:{${'x'.repeat(43)}}:more`, `${ns}:settings`]
    onTestFinished(async () => void (await plain.del(foreign)))
    for (const name of foreign) await plain.set(name, 'mine')
    await store.clear()
    expect((await plain.keys(`${ns}*`)).toSorted()).toEqual(foreign.toSorted())
  })

  it('heads longer than what one read of a list brings are listed', async () => {
    const store = tidy()
    const meta = sampleMeta('k', { headers: [['x-long', 'v'.repeat(50_000)]] })
    await store.write(sampleHead('k', { meta }), small)
    const [entry] = await all(store.entries())
    expect(entry?.meta).toEqual(meta)
  })

  it('39: more entries than one SCAN brings are listed once each, and deleted', async () => {
    const store = tidy()
    const keys = Array.from({ length: 3000 }, (_, n) => `key ${n}`)
    await Promise.all(keys.map((key, n) => store.write(sampleHead(key, { expiresAt: n % 2 }), small)))
    expect((await all(store.keys())).toSorted()).toEqual(keys.toSorted())
    expect(await store.deleteWhere({ expiredAt: 0 })).toBe(1500)
    expect((await store.size()).entries).toBe(1500)
  })

  it('an existing client is not closed, and left without listeners of ours', async () => {
    for (const client of [await createClient({ url }).connect(), new Redis(url)]) {
      const listeners = client.listenerCount('error')
      const store = tidy({ client })
      await store.write(sampleHead('a'), small)
      await store.close()
      expect(client.listenerCount('error')).toBe(listeners)
      await new RedisStore({ client }).ready()
      client.disconnect()
    }
  })

  it('what was opened before close() cannot be read on after it, whoever owns the client', async () => {
    const { client } = await spy()
    for (const options of [{ url }, { client }]) {
      const store = tidy({ ...options, ...CHUNKS })
      await store.write(sampleHead('a'), large())
      const reader = (await store.read('a'))?.body.open(0, 300_000).getReader()
      await reader?.read()
      await store.close()
      await expect(reader?.read()).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    }
  })

  it('takes a pool, and a client that connects by itself when used', async () => {
    const pool = createClientPool({ url }, {})
    await pool.connect()
    const lazy = new Redis(url, { lazyConnect: true })
    for (const client of [pool, lazy]) {
      const store = tidy({ client })
      await store.write(sampleHead('a'), small)
      expect((await store.read('a'))?.body.bytes).toEqual(small)
      await store.close()
    }
    pool.destroy()
    lazy.disconnect()
  })

  it('an existing client that nobody connected is an error that says so', async () => {
    const store = new RedisStore({ client: createClient({ url }) })
    await expect(store.read('a')).rejects.toThrow('call its connect() first')
    await store.close()
  })

  it('a client that puts a prefix before keys sees its own, in lists, too', async () => {
    const plain = new Redis(url)
    const ns = namespace()
    const prefix = `app*:${randomUUID()}:`
    const client = new Redis(url, { keyPrefix: prefix })
    const store = tidy({ client, namespace: ns, ...CHUNKS })
    await store.write(sampleHead('a'), large())
    expect((await plain.keys(`${prefix.replace('*', '\\*')}${ns}:*`)).length).toBe(6)
    expect(await all(store.keys())).toEqual(['a'])
    expect((await new Response((await store.read('a'))?.body.open(0, 300_000)).bytes()).length).toBe(300_000)
    expect((await store.readMany(['x', 'a'])).map((entry) => entry !== undefined)).toEqual([false, true])
    const without = tidy({ namespace: ns })
    expect(await without.read('a')).toBe(undefined)
    await store.clear()
    expect(await plain.keys(`*${ns}:*`)).toEqual([])
    await store.close()
    for (const each of [plain, client]) each.disconnect()
  })

  it('69, B11: a lock is shared by all stores of a namespace, whatever their client; not by another namespace', async () => {
    const ns = namespace()
    const stores = await Promise.all(waysToServer(redis).map(([, open]) => open({ namespace: ns })))
    for (const store of stores) onTestFinished(() => store.close())
    const taken = await Promise.all(stores.map((store, n) => store.lock('l', `owner ${n}`, 60_000)))
    expect(taken.filter(Boolean)).toHaveLength(1)
    const owner = `owner ${taken.indexOf(true)}`
    expect(await tidy().lock('l', 'elsewhere', 1000)).toBe(true)
    for (const store of stores) expect(await store.renew('l', owner, 60_000)).toBe(true)
    expect(await stores[0]?.unlock('l', owner)).toBe(true)
  })

  it('ready() resolves when the server answered; strict connects at once', async () => {
    await tidy().ready()
    await tidy({ strict: true }).ready()
  })
})

describeWithService('redis-cluster', ({ servers }) => {
  it('B4: entries and their chunks are in one slot, on all nodes, and all nodes are walked', async () => {
    const rootNodes = servers.map((server) => ({ url: `redis://${server}` }))
    const cluster = await createCluster({ rootNodes }).connect()
    onTestFinished(() => cluster.destroy())
    const ns = namespace()
    const store = new TidyStore({ cluster: { rootNodes: [`redis://${servers[0]}`] }, namespace: ns, ...CHUNKS })
    onTestFinished(() => store.close())
    const keys = Array.from({ length: 60 }, (_, n) => `key ${n}`)
    await Promise.all(keys.map((key) => store.write(sampleHead(key), large())))
    const nodes = await Promise.all(cluster.masters.map((node) => cluster.nodeClient(node)))
    for (const node of nodes) expect((await node.keys(`${ns}:c:*`)).length).toBeGreaterThan(0)
    expect((await all(store.keys())).toSorted()).toEqual(keys.toSorted())
    expect(await store.delete(keys)).toBe(60)
    await store.clear()
    for (const node of nodes) expect(await node.keys(`${ns}:*`)).toEqual([])
  })
})
