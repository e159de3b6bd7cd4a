/** Ways to a server: a login, TLS, a socket in the file system; and a process that ends although its store is open. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { MemcachedClient, MemcachedStore, type MemcachedOptions } from '../../src/stores/memcached.ts'
import { sampleHead } from '../../src/testing/index.ts'
import { describeWithOwnServer } from '../services/faults.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'keepfresh-memcached-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Ready once a client of ours gets an answer: the usual probe has neither login nor TLS. */
function readyBy(options: (address: string) => [string, object]): (address: string) => Promise<string> {
  return async (address) => {
    const client = new MemcachedClient(...options(address))
    try {
      return `memcached ${[...(await client.versions()).values()].join()}`
    } finally {
      await client.close()
    }
  }
}

async function roundTrip(options: MemcachedOptions): Promise<unknown> {
  const store = new MemcachedStore(options)
  try {
    await store.write(sampleHead('k'), new Uint8Array([1, 2, 3]))
    return (await store.read('k'))?.body.bytes
  } finally {
    await store.close()
  }
}

const WRITTEN = new Uint8Array([1, 2, 3])

describeWithOwnServer('memcached', (start) => {
  it('a login: the right one, by options or by URL; a wrong or missing one is ERR_STORE_OPEN', async () => {
    const file = join(folder(), 'users')
    writeFileSync(file, 'me:s3cret\n')
    const login = { username: 'me', password: 's3cret' }
    await using server = await start({ args: ['-Y', file], ready: readyBy((address) => [address, login]) })
    const servers = server.address
    expect(await roundTrip({ servers, ...login })).toEqual(WRITTEN)
    expect(await roundTrip({ servers: `memcached://me:s3cret@${servers}` })).toEqual(WRITTEN)
    for (const wrong of [{}, { username: 'me', password: 'guess' }]) {
      const error: unknown = await roundTrip({ servers, ...wrong }).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'ERR_STORE_OPEN' })
      expect(String(error)).not.toContain('guess')
    }
  })

  it('TLS: a certificate that is trusted; one that is not is ERR_STORE_OPEN', async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map((name) => join(folder(), name))
    if (key === undefined || cert === undefined) throw new Error('no names')
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    const made = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ]
    execFileSync('openssl', made, { stdio: 'ignore' })
    const ca = execFileSync('openssl', ['x509', '-in', cert]).toString()
    const args = ['-Z', '-o', `ssl_chain_cert=${cert},ssl_key=${key}`]
    await using server = await start({ args, ready: readyBy((address) => [address, { tls: { ca } }]) })
    const servers = server.address
    expect(await roundTrip({ servers, tls: { ca } })).toEqual(WRITTEN)
    await expect(roundTrip({ servers, tls: {} })).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' })
    // Without TLS, to a server that wants it: an error, not a hang.
    await expect(roundTrip({ servers, timeout: 500 })).rejects.toMatchObject({ name: 'StoreError' })
  })

  it('a socket in the file system', async () => {
    const path = join(folder(), 'memcached.sock')
    await using server = await start({ args: ['-s', path], ready: readyBy(() => [path, {}]) })
    expect(server.version).toMatch(/^memcached \d/)
    expect(await roundTrip({ servers: [path] })).toEqual(WRITTEN)
  })

  it('I6: a process ends by itself although its store is open; what is under way is waited for', async () => {
    await using server = await start()
    const source = new URL('../../src/stores/memcached.ts', import.meta.url).href
    const script = `
      import { MemcachedStore } from ${JSON.stringify(source)}
      const store = new MemcachedStore(${JSON.stringify({ servers: server.address })})
      await store.read('k')
      console.log('read')
      store.read('k').then(() => console.log('read again'))`
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    })
    expect([status, stdout, stderr]).toEqual([0, 'read\nread again\n', ''])
  })
})
