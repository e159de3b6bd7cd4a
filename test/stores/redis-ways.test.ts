/** Ways to Redis that are not a plain address: TLS, a Unix socket, a database by number, sentinels with a failover (B4, row 215). */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { createClient, createSentinel } from 'redis'
import { expect, it, onTestFinished } from 'vitest'
import { RedisStore, type RedisOptions } from '../../src/stores/redis.ts'
import { sampleHead } from '../../src/testing/samples.ts'
import { until } from '../engine/support.ts'
import { describeWithOwnServer, freePort, type Server } from '../services/faults.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keepfresh-redis-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** A store that works: long and short entries, a list, a lock. */
async function works(options: string | RedisOptions): Promise<RedisStore> {
  const store = new RedisStore(options)
  onTestFinished(() => store.close())
  await store.ready()
  await store.write(sampleHead('short'), new Uint8Array(10))
  await store.write(sampleHead('long'), new Blob([new Uint8Array(1_000_000)]).stream())
  const entry = await store.read('long')
  expect((await new Response(entry?.body.open(0, 1_000_000)).bytes()).length).toBe(1_000_000)
  expect((await store.size()).entries).toBe(2)
  expect(await store.lock('l', 'me', 10_000)).toBe(true)
  expect(await store.unlock('l', 'me')).toBe(true)
  return store
}

/** A sentinel that watches a server, and makes a replica of it the primary soon after that is gone. */
async function sentinelOf(primary: Server): Promise<number> {
  const port = await freePort()
  const dir = folder()
  const file = join(dir, 'sentinel.conf')
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${dir}`,
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    'sentinel down-after-milliseconds main 300',
    'sentinel failover-timeout main 2000',
  ]
  writeFileSync(file, lines.join('\n'))
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  onTestFinished(async () => {
    kill()
    process.removeListener('exit', kill)
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return port
}

describeWithOwnServer('redis', (start) => {
  it('row 215: TLS, and a certificate that nobody vouches for is refused', async () => {
    const dir = folder()
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
    const request = [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ]
    execFileSync('openssl', [...request, '-keyout', key, '-out', cert, ...subject], { stdio: 'pipe' })
    const port = await freePort()
    const files = [
      '--tls-cert-file',
      cert,
      '--tls-key-file',
      key,
      '--tls-ca-cert-file',
      cert,
      '--tls-auth-clients',
      'no',
    ]
    await using _ = await start({ args: ['--tls-port', String(port), ...files] })
    const url = `rediss://127.0.0.1:${port}`
    const ca = execFileSync('cat', [cert], { encoding: 'utf8' })
    await works({ url, clientOptions: { socket: { ca } } })
    const stranger = new RedisStore(url)
    onTestFinished(() => stranger.close())
    await expect(stranger.ready()).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
  })

  it('a Unix socket, and options of the client', async () => {
    const path = join(folder(), 'redis.sock')
    await using redis = await start({ args: ['--unixsocket', path] })
    await works({ url: `unix://${path}` })
    const options = { socket: { host: '127.0.0.1', port: redis.port }, database: 3, name: 'keepfresh-test', RESP: 2 }
    await works({ clientOptions: options })
    const other = new RedisStore(`${redis.url}/4`)
    onTestFinished(() => other.close())
    expect(await other.read('short')).toBe(undefined)
    const client = await createClient({ url: redis.url }).connect()
    expect((await client.clientList()).map(({ name }) => name)).toContain('keepfresh-test')
    client.destroy()
  })

  it('B4: sentinels: the primary they name, and after a failover the new one', async () => {
    await using primary = await start()
    await using replica = await start({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
    const port = await sentinelOf(primary)
    const sentinels = [{ host: '127.0.0.1', port }]
    const probe = createClient({ url: `redis://127.0.0.1:${port}`, RESP: 2 })
    probe.on('error', () => undefined)
    await probe.connect()
    // A failover needs the sentinel to know the replica.
    await until(async () => {
      const replicas = await probe.sendCommand(['SENTINEL', 'REPLICAS', 'main'])
      return Array.isArray(replicas) && replicas.length === 1
    })
    probe.destroy()
    const ours = await works({ sentinel: { name: 'main', sentinelRootNodes: sentinels } })
    const given = createSentinel({ name: 'main', sentinelRootNodes: sentinels })
    given.on('error', () => undefined)
    await given.connect()
    const io = new Redis({ name: 'main', sentinels })
    onTestFinished(async () => {
      await given.destroy()
      io.disconnect()
    })
    const stores = [
      ours,
      await works({ client: given, namespace: 'given' }),
      await works({ client: io, namespace: 'io' }),
    ]
    await primary.kill()
    for (const store of stores) {
      const writes = (): Promise<boolean> =>
        store.write(sampleHead('after'), new Uint8Array(1)).then(
          () => true,
          () => false,
        )
      for (let tries = 0; tries < 40 && !(await writes()); tries++)
        await new Promise((resolve) => setTimeout(resolve, 250))
      expect((await store.read('after'))?.body.size).toBe(1)
    }
    expect(replica.version).not.toBe('')
  })
})
