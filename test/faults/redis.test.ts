/** RedisStore when Redis fails: the caller gets the origin's response, the fault is an event, hits come back (B36-B41, B45, 161). */
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RedisStore, type RedisOptions } from '../../src/stores/redis.ts'
import { sampleHead } from '../../src/testing/samples.ts'
import { until } from '../engine/support.ts'
import { describeWithOwnServer, freePort, tcpProxy } from '../services/faults.ts'
import { describeWithService } from '../services/registry.ts'
import { faultOrigin, hiding, processSays, subjectOf, type Subject } from './support.ts'

const origin = faultOrigin()
const { ask, recovers } = origin
const PROCESS = 'redis-process.ts'

function subject(options: RedisOptions, storeTimeout = 0.25): Subject<RedisStore> {
  return subjectOf(new RedisStore(options), storeTimeout)
}

/** A client of a test's own, ended with it. */
function tidy<C extends { disconnect(): unknown }>(client: C): C {
  onTestFinished(() => void client.disconnect())
  return client
}

/** A client that does what the test asks of the server, which goes before it. */
function admin(url: string): Promise<ReturnType<typeof createClient>> {
  const client = tidy(createClient({ url }))
  client.on('error', () => undefined)
  return client.connect() as Promise<ReturnType<typeof createClient>>
}

describeWithOwnServer('redis', (start) => {
  it('B36: down at the start: every request is answered, and hits come when it is there', async () => {
    const port = await freePort()
    const the = subject({ url: `redis://127.0.0.1:${port}` })
    for (let n = 0; n < 10; n++) expect(await ask(the)).toBe(false)
    expect(new Set(the.codes)).toEqual(new Set(['ERR_STORE_OPEN']))
    await using _ = await start({ port })
    await recovers(the)
  })

  it('B36: while it is down, nothing is queued: each use fails at once, and soon after it is up one succeeds', async () => {
    const port = await freePort()
    const store = new RedisStore({ url: `redis://127.0.0.1:${port}` })
    onTestFinished(() => store.close())
    const failures = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => store.read(`key ${n}`)))
    expect(failures.every(({ status }) => status === 'rejected')).toBe(true)
    await using _ = await start({ port })
    await until(() =>
      store.read('a').then(
        () => true,
        () => false,
      ),
    )
  })

  it('B36: strict: ready() and every use say what is wrong, for good', async () => {
    const port = await freePort()
    const store = new RedisStore({ url: `redis://user:s3cret@127.0.0.1:${port}/3`, strict: true })
    onTestFinished(() => store.close())
    const message = `Redis at 127.0.0.1:${port}/3 cannot be used. The connection to Redis failed: connect ECONNREFUSED`
    await expect(store.ready()).rejects.toMatchObject({
      code: 'ERR_STORE_OPEN',
      message: expect.stringContaining(message) as string,
    })
    await using _ = await start({ port })
    await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
  })

  const clients: readonly (readonly [string, (url: string) => Promise<RedisOptions>])[] = [
    ['a client of ours', async (url) => ({ url })],
    ['an existing client of redis', async (url) => ({ client: await tidy(createClient({ url })).connect() })],
    ['an existing client of ioredis', async (url) => ({ client: tidy(new Redis(url)) })],
  ]
  describe.each(clients)('%s', (_name, options) => {
    it('B37: killed and restarted in mid-run', async () => {
      await using redis = await start()
      const the = subject(await options(redis.url))
      await ask(the)
      await recovers(the)
      await redis.kill()
      for (let n = 0; n < 8; n++) expect(await ask(the)).toBe(false)
      expect(the.codes.length).toBeGreaterThan(0)
      await redis.restart()
      await recovers(the)
    })

    it('B29, B38: it hangs: every request is answered, and hits come back when it goes on', async () => {
      await using redis = await start()
      const the = subject({ ...(await options(redis.url)), commandTimeout: 300, connectTimeout: 300 }, 0.1)
      await ask(the)
      await recovers(the)
      redis.pause()
      for (let n = 0; n < 7; n++) await ask(the)
      expect(the.codes).toContain('ERR_STORE_TIMEOUT')
      redis.resume()
      await recovers(the)
    })
  })

  it('B38: no command waits for ever: a store used by itself times out, and goes on with a new connection', async () => {
    await using redis = await start()
    const store = new RedisStore({ url: redis.url, commandTimeout: 100, connectTimeout: 100 })
    onTestFinished(() => store.close())
    await store.write(sampleHead('a'), new Uint8Array(3))
    redis.pause()
    await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    await expect(store.read('a')).rejects.toMatchObject({ code: 'ERR_STORE_TIMEOUT' })
    redis.resume()
    await until(() =>
      store.read('a').then(
        (entry) => entry !== undefined,
        () => false,
      ),
    )
  })

  it('B41, 68: a body whose server dies while it streams fails as a whole read, never short', async () => {
    await using redis = await start()
    const store = new RedisStore({ url: redis.url, inlineSize: 1000, chunkSize: 65_536 })
    onTestFinished(() => store.close())
    await store.write(sampleHead('a'), new Uint8Array(300_000))
    const reader = (await store.read('a'))?.body.open(0, 300_000).getReader()
    expect((await reader?.read())?.value?.length).toBeGreaterThan(0)
    await redis.kill()
    const rest = async (): Promise<void> => {
      while ((await reader?.read())?.done === false);
    }
    await expect(rest()).rejects.toMatchObject({ name: 'StoreError' })
  })

  it('B45: memory is full: the response is whole, the event says so, what fits is stored again when there is room', async () => {
    await using redis = await start({ args: ['--maxmemory', '5mb', '--maxmemory-policy', 'noeviction'] })
    const the = subject({ url: redis.url })
    const big = await the.fetch(`${origin.url()}/large/9000000`, { httpCache: { expireAfter: 60 } })
    expect((await big.bytes()).length).toBe(9_000_000)
    await until(() => the.codes.includes('ERR_STORE_FULL'))
    expect((await the.fetch(`${origin.url()}/large/9000000`)).fromCache).toBe(false)
    await the.store.clear()
    await ask(the)
    await recovers(the)
  })

  it('the scripts are sent again where the server does not know them', async () => {
    await using redis = await start()
    const client = await admin(redis.url)
    const the = subject({ url: redis.url })
    await the.store.write(sampleHead('a'), new Uint8Array(3))
    await client.scriptFlush()
    await Promise.all(Array.from({ length: 20 }, (_, n) => the.store.write(sampleHead(`k${n}`), new Uint8Array(3))))
    await client.scriptFlush()
    expect(await the.store.delete(['a', 'k0', 'k1', 'missing'])).toBe(3)
  })

  it('bad credentials are told as such, and are no more than a miss otherwise', async () => {
    await using redis = await start()
    const client = await admin(redis.url)
    await client.configSet('requirepass', 'right')
    for (const userinfo of ['', ':wrong@']) {
      const the = subject({ url: redis.url.replace('//', `//${userinfo}`) })
      expect(await ask(the)).toBe(false)
      expect(the.codes).toContain('ERR_STORE_OPEN')
      await expect(the.store.ready()).rejects.toThrow('check user name and password')
    }
    const right = subject({ url: redis.url.replace('//', '//:right@') })
    await ask(right)
    await recovers(right)
    const limited = ['limited', 'on', '>pw', '~*', '+hello', '+client', '+ping', '+get']
    await client.sendCommand(['ACL', 'SETUSER', ...limited])
    const { store } = subject({ url: redis.url.replace('//', '//limited:pw@') })
    expect(await store.read('a')).toBe(undefined)
    await expect(store.write(sampleHead('a'), new Uint8Array(1))).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
  })

  it('the rights that the documentation lists are enough', async () => {
    await using redis = await start()
    const client = await admin(redis.url)
    const listed = 'get set getrange strlen exists persist pexpire unlink del eval evalsha scan ping'.split(' ')
    const commands = [...listed, 'hello', 'client'].map((name) => `+${name}`)
    await client.sendCommand(['ACL', 'SETUSER', 'limited', 'on', '>pw', '~keepfresh:*', ...commands])
    const store = new RedisStore({ url: redis.url.replace('//', '//limited:pw@'), inlineSize: 1000 })
    onTestFinished(() => store.close())
    await store.ready()
    for (let n = 0; n < 2; n++) await store.write(sampleHead('a'), new Blob([new Uint8Array(9000)]).stream())
    const change = { meta: sampleHead('a').meta, expiresAt: 1, keepUntil: Date.now() + 100_000 }
    expect(await store.update('a', change, (await store.read('a'))?.version ?? '')).toBe(true)
    expect((await store.size()).entries).toBe(1)
    expect(await store.delete(['a'])).toBe(1)
    expect(await store.lock('l', 'o', 1000)).toBe(true)
    expect(await store.renew('l', 'o', 1000)).toBe(true)
    expect(await store.unlock('l', 'o')).toBe(true)
    await store.clear()
  })

  it('a replica is read only, and says so', async () => {
    await using primary = await start()
    await using replica = await start({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
    const { store } = subject({ url: replica.url })
    await until(() =>
      store.write(sampleHead('a'), new Uint8Array(1)).then(
        () => false,
        (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ERR_STORE_READONLY',
      ),
    )
  })

  it('161: the process ends by itself, whether Redis is there, is not, or goes away', async () => {
    await using redis = await start()
    const ends = (options: RedisOptions, url: string): Promise<string> => processSays(PROCESS, options, url)
    const thing = `${origin.url()}/thing`
    const [there, waiting, missing, alone] = await Promise.all([
      ends({ url: redis.url }, thing),
      ends({ url: redis.url }, ''),
      ends({ url: `redis://127.0.0.1:${await freePort()}` }, thing),
      ends({ url: `redis://127.0.0.1:${await freePort()}` }, ''),
    ])
    expect([there, waiting]).toEqual(['[false,true,true]', 'answered'])
    expect([missing, alone]).toEqual(['[false,false,false]', expect.stringMatching(/^ERR_STORE_OPEN: /)])
  })
})

describeWithOwnServer('redis', (start) => {
  it('B38, B39: behind a connection that delays, cuts, resets, dribbles or ends early', async () => {
    await using redis = await start()
    await using proxy = await tcpProxy(redis.port)
    const the = subject({ url: `redis://${proxy.address}`, commandTimeout: 300, connectTimeout: 300 }, 0.1)
    await ask(the)
    await recovers(the)
    const faults: readonly (() => void)[] = [
      () => proxy.delay(5000),
      () => proxy.cut(),
      () => proxy.reset(),
      () => proxy.dribble(),
      () => proxy.truncate(20),
      () => proxy.refuse(),
    ]
    for (const fault of faults) {
      fault()
      for (let n = 0; n < 3; n++) await ask(the)
      await proxy.heal()
      await recovers(the)
    }
  })
})

describeWithService('redis-cluster', ({ servers }) => {
  it('161: a process with a cluster client of ours ends by itself', async () => {
    const options = {
      cluster: { rootNodes: servers.map((server) => `redis://${server}`) },
      namespace: 'keepfresh-test',
    }
    expect(await processSays(PROCESS, options, '')).toBe('answered')
  })
})

it('a missing package is an error that names it and how to get it', async () => {
  const output = await processSays(PROCESS, {}, '', { nodeArgs: hiding('redis') })
  expect(output).toMatch(/^ERR_MISSING_PEER: .*npm install redis/)
})
