/**
 * Memcached servers that are hurt: killed, paused, restarted, full, and networks that cut, reset and dribble. Whatever happens, the
 * caller of fetch gets the origin's answer, whole, and nothing escapes (I1, I2, I5, I7).
 */
import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest'
import { createCachedFetch, type CacheEventOf, type CachedFetch } from '../../src/index.ts'
import { MemcachedStore, type MemcachedOptions } from '../../src/stores/memcached.ts'
import { startOrigin, verifyBody, type LocalOrigin } from '../../src/testing/index.ts'
import { describeWithOwnServer, tcpProxy, type Server } from '../services/faults.ts'
import { itemsOf } from '../stores/memcached-support.ts'
import { isStored } from './support.ts'

/** Milliseconds: short, since most cases wait for it. */
const TIMEOUT = 200

interface Subject {
  readonly fetch: CachedFetch
  readonly namespace: string
  readonly errors: CacheEventOf<'error'>[]
}

let origin: LocalOrigin
const escaped: unknown[] = []
const escape = (error: unknown): void => void escaped.push(error)

beforeEach(async () => {
  origin = await startOrigin()
  process.on('unhandledRejection', escape)
  process.on('uncaughtException', escape)
})
afterEach(async () => {
  process.off('unhandledRejection', escape)
  process.off('uncaughtException', escape)
  await origin.close()
  expect(escaped.splice(0)).toEqual([])
})

function subject(servers: readonly string[], options: MemcachedOptions = {}): Subject {
  const namespace = `test-${randomUUID()}`
  const store = new MemcachedStore({ servers, namespace, timeout: TIMEOUT, ...options })
  const fetch = createCachedFetch({ store, storeTimeout: 1, singleFlight: 'process' })
  const errors: CacheEventOf<'error'>[] = []
  fetch.on('error', (event) => errors.push(event))
  onTestFinished(() => fetch.close())
  return { fetch, namespace, errors }
}

/** Fetches a body that proves itself; says whether it came from the cache. */
async function get({ fetch }: Subject, name: string | number, size = 2000): Promise<boolean> {
  const response = await fetch(`${origin.url}/large/${size}?max-age=600&${name}`)
  expect(response.status).toBe(200)
  expect(await verifyBody(await response.bytes(), {})).toMatchObject({ valid: true })
  return isStored(response)
}

const NAMES = Array.from({ length: 30 }, (_, n) => n)

async function hits(made: Subject, size?: number): Promise<number> {
  let count = 0
  for (const name of NAMES) if (await get(made, name, size)) count++
  return count
}

async function warm(made: Subject, size?: number): Promise<void> {
  await expect.poll(() => hits(made, size), { timeout: 20_000 }).toBe(NAMES.length)
}

describeWithOwnServer('memcached', (start) => {
  const startServers = async (count: number, args: readonly string[] = []): Promise<Server[]> => {
    const servers = await Promise.all(Array.from({ length: count }, () => start({ args })))
    onTestFinished(async () => void (await Promise.all(servers.map((server) => server.stop()))))
    return servers
  }

  it.each(['killed', 'paused'] as const)(
    'B7, B37: of three servers one is %s: its keys are misses, the others\u2019 are hits; once it is back, all are',
    async (what) => {
      const servers = await startServers(3)
      const addresses = servers.map(({ address }) => address)
      const made = subject(addresses)
      await warm(made)
      const [, victim] = servers
      const places = (await itemsOf(addresses, made.namespace)).map(({ server }) => server)
      const others = places.filter((server) => server !== victim?.address).length
      expect([others > 0, others < NAMES.length]).toEqual([true, true])
      await (what === 'killed' ? victim?.kill() : victim?.pause())
      // The first to notice pay its timeout, and an error event; after that it is left alone.
      await hits(made)
      expect(made.errors.length).toBeGreaterThan(0)
      await expect.poll(() => hits(made), { timeout: 20_000 }).toBe(others)
      await (what === 'killed' ? victim?.restart() : victim?.resume())
      await warm(made)
    },
  )

  it('B36, B37: the only server is down at the start, comes, goes and comes again', async () => {
    const [server] = await startServers(1)
    if (server === undefined) throw new Error('no server')
    await server.kill()
    const made = subject([server.address])
    expect(await get(made, 'a')).toBe(false)
    expect(made.errors[0]?.error.code).toBe('ERR_STORE_OPEN')
    for (let n = 0; n < 2; n++) {
      await server.restart()
      await expect.poll(() => get(made, 'a'), { timeout: 20_000 }).toBe(true)
      await server.kill()
      expect(await get(made, 'a')).toBe(false)
    }
  })

  it('B35: what could not be deleted on a paused server is not served when it is back', async () => {
    const [server] = await startServers(1)
    if (server === undefined) throw new Error('no server')
    const made = subject([server.address])
    await expect.poll(() => get(made, 'a'), { timeout: 20_000 }).toBe(true)
    server.pause()
    await made.fetch(`${origin.url}/large/2000?max-age=600&a`, { method: 'DELETE' })
    server.resume()
    await made.fetch(`${origin.url}/cache/0`)
    const count = origin.requests.length
    expect(await get(made, 'a')).toBe(false)
    expect(origin.requests.length).toBe(count + 1)
  })

  it('B45: a server without memory (-M) and one with a small item size: not stored, an event, whole bodies', async () => {
    const [full, small] = [...(await startServers(1, ['-M', '-m', '2'])), ...(await startServers(1, ['-I', '512k']))]
    for (const server of [full, small]) {
      const made = subject([server?.address ?? ''])
      for (const name of NAMES.slice(0, 10)) await get(made, name, 700_000)
      await expect
        .poll(() => made.errors.some(({ error }) => error.code === 'ERR_STORE_FULL'), { timeout: 20_000 })
        .toBe(true)
    }
  })

  it('B45: a server that evicts while it is filled serves whole bodies or none', async () => {
    const [server] = await startServers(1, ['-m', '4'])
    const made = subject([server?.address ?? ''], { chunkSize: 100_000, timeout: 2000 })
    for (let round = 0; round < 3; round++) await hits(made, 700_000)
    expect(made.errors.filter(({ error }) => error.code !== 'ERR_STORE_FULL')).toEqual([])
  })

  it('B39: answers one byte a packet are the right answers', async () => {
    const [server] = await startServers(1)
    await using proxy = await tcpProxy(server?.port ?? 0)
    proxy.dribble()
    const made = subject([proxy.address], { timeout: 10_000 })
    await get(made, 'a', 1000)
    await expect.poll(() => get(made, 'a', 1000), { timeout: 10_000 }).toBe(true)
    expect(made.errors).toEqual([])
  })

  it.each([1, 7, 40, 500, 2400])('B39: a connection that ends after %i bytes of an answer is a miss', async (bytes) => {
    const [server] = await startServers(1)
    await using proxy = await tcpProxy(server?.port ?? 0)
    const made = subject([proxy.address])
    await expect.poll(() => get(made, 'a'), { timeout: 10_000 }).toBe(true)
    proxy.truncate(bytes)
    expect(await get(made, 'a')).toBe(false)
    expect(made.errors.map(({ operation }) => operation)).toContain('read')
    await expect.poll(() => get(made, 'a'), { timeout: 10_000 }).toBe(true)
  })

  it('B37, B38: cut, reset, refused and slow: the origin\u2019s answer each time, and hits after it', async () => {
    const [server] = await startServers(1)
    await using proxy = await tcpProxy(server?.port ?? 0)
    const made = subject([proxy.address])
    for (const hurt of [
      () => proxy.cut(),
      () => proxy.reset(),
      () => proxy.refuse(),
      () => proxy.delay(5000),
      () => (proxy.delay(1), proxy.reset()),
    ]) {
      await proxy.heal()
      await expect.poll(() => get(made, 'a'), { timeout: 20_000 }).toBe(true)
      hurt()
      await Promise.all([get(made, 'a'), get(made, 'b', 300_000), get(made, 'c')])
    }
  })

  it('B41: a long body whose server dies while it is read fails, and is never taken for whole', async () => {
    const [server] = await startServers(1)
    const made = subject([server?.address ?? ''], { chunkSize: 50_000 })
    await expect.poll(() => get(made, 'a', 3_000_000), { timeout: 20_000 }).toBe(true)
    const response = await made.fetch(`${origin.url}/large/3000000?max-age=600&a`)
    const reader = response.body?.getReader()
    let size = (await reader?.read())?.value?.length ?? 0
    await server?.kill()
    const rest = async (): Promise<void> => {
      for (let next = await reader?.read(); next?.value !== undefined; next = await reader?.read())
        size += next.value.length
    }
    await expect(rest()).rejects.toMatchObject({ name: 'StoreError' })
    expect(size).toBeLessThan(3_000_000)
    expect(await get(made, 'a', 3_000_000)).toBe(false)
  })

  it('69: locks on a server that is gone cost the single-flight only', async () => {
    const [server] = await startServers(1)
    const store = new MemcachedStore({ servers: [server?.address ?? ''], timeout: TIMEOUT })
    const fetch = createCachedFetch({ store, storeTimeout: 1, singleFlight: 'store' })
    onTestFinished(() => fetch.close())
    await server?.kill()
    const texts = await Promise.all([1, 2, 3].map(async () => (await fetch(`${origin.url}/cache/60`)).status))
    expect(texts).toEqual([200, 200, 200])
  })
})
