/** Proves each service that the environment names, by a raw call, and the helpers by which tests start their own. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type OwnKind, describeWithOwnServer } from './faults.ts'
import { KINDS, envValue, factsOf, serversOf } from './kinds.ts'
import { findProgram, isInstalled } from './local.ts'
import { describeWithService, service, titleOf } from './registry.ts'
import { skippedLine } from './reporter.ts'
import { exportLines, startServices } from './start.ts'
import { exchange, mongoCommand, probe, redisCommand } from './wire.ts'

const where = (server: string): [host: string, port: number] => {
  const colon = server.lastIndexOf(':')
  return [server.slice(0, colon), Number(server.slice(colon + 1))]
}
const refused = expect.objectContaining({ code: 'ECONNREFUSED' })

describeWithService('redis', ({ servers }) => {
  it('answers PING', async () => {
    expect(await redisCommand(...where(servers[0] ?? ''), 'PING')).toBe('PONG')
  })
})

describeWithService('redis-cluster', ({ servers }) => {
  it('serves all slots from three nodes', async () => {
    expect(servers).toHaveLength(3)
    for (const server of servers) {
      const info = await redisCommand(...where(server), 'CLUSTER', 'INFO')
      expect(info).toContain('cluster_state:ok')
      expect(info).toContain('cluster_slots_ok:16384')
    }
  })
  it('sends a key that another node owns there', async () => {
    const answers = await Promise.all(
      servers.map((server) => redisCommand(...where(server), 'GET', 'keepfresh-services').catch(String)),
    )
    expect(answers.filter((answer) => answer.includes(' MOVED '))).toHaveLength(2)
  })
})

describeWithService('memcached', ({ servers }) => {
  it('answers version on each server', async () => {
    expect(servers).toHaveLength(3)
    for (const server of servers) {
      const answer = await exchange(...where(server), 'version\r\n', (bytes) => bytes.includes('\r\n'))
      expect(answer.toString()).toMatch(/^VERSION \d/)
    }
  })
})

describeWithService('dynamodb', ({ url }) => {
  it('answers over HTTP, and asks for a signature', async () => {
    const response = await fetch(url)
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('MissingAuthenticationToken')
  })
})

describeWithService('mongodb', ({ servers }) => {
  it('answers hello', async () => {
    const answer = (await mongoCommand(...where(servers[0] ?? ''), 'hello')).toString('latin1')
    expect(answer).toContain('isWritablePrimary')
    expect(answer).toContain('maxWireVersion')
  })
})

const OWN: readonly OwnKind[] = ['redis', 'memcached', 'dynamodb', 'mongodb']
for (const kind of OWN) {
  describeWithOwnServer(kind, (start) => {
    it('answers, dies, refuses, and comes back on the same port; its folder is removed', async () => {
      const server = await start()
      const folder = server.folder
      try {
        expect(server.version).toMatch(/ \d+\.\d+/)
        await server.kill()
        await expect(probe(kind, server.address)).rejects.toEqual(refused)
        await server.restart()
        expect(await probe(kind, server.address)).not.toBe('')
        expect(existsSync(folder)).toBe(true)
      } finally {
        await server.stop()
      }
      expect(existsSync(folder)).toBe(false)
      await expect(probe(kind, server.address)).rejects.toEqual(refused)
      await server.stop()
    })
  })
}

describeWithOwnServer('redis', (start) => {
  it('answers nothing while it is paused, and what came in meanwhile afterwards', async () => {
    await using server = await start()
    server.pause()
    let isAnswered = false
    const answer = redisCommand(...where(server.address), 'PING').finally(() => (isAnswered = true))
    // Another server's round trips, in place of a sleep: had this one run, it would have answered by then.
    await using other = await start()
    for (let n = 0; n < 20; n += 1) await redisCommand(...where(other.address), 'PING')
    expect(isAnswered).toBe(false)
    server.resume()
    expect(await answer).toBe('PONG')
  })
  it('stops a paused server', async () => {
    const server = await start()
    server.pause()
    await server.stop()
    await expect(probe('redis', server.address)).rejects.toEqual(refused)
  })
  it('row 45: takes further arguments, also at a restart', async () => {
    await using server = await start({ args: ['--maxmemory', '2mb', '--maxmemory-policy', 'noeviction'] })
    const set = (): Promise<string> => redisCommand(...where(server.address), 'SET', 'k', 'v'.repeat(1 << 20))
    const fill = async (): Promise<void> => {
      for (let n = 0; n < 8; n += 1) {
        await redisCommand(...where(server.address), 'SET', `k${n}`, 'v'.repeat(1 << 20))
      }
    }
    await expect(fill()).rejects.toThrow('OOM command not allowed')
    await server.restart([])
    expect(await set()).toBe('OK')
  })
  it('says what a server that does not start had written', async () => {
    await expect(start({ args: ['--no-such-option', '1'] })).rejects.toThrow(
      /redis ended at once:[\s\S]*no-such-option/,
    )
  })
  it('does not take another server for its own', async () => {
    await using server = await start()
    await expect(start({ port: server.port })).rejects.toThrow(`port ${server.port} is taken`)
  })
})

describe('the starter', () => {
  const cli = join(import.meta.dirname, 'start.ts')
  const run = promisify(execFile)
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'keepfresh-services-'))
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    rmSync(folder, { recursive: true, force: true })
  })

  it('names every kind that is not installed, and downloads nothing', async () => {
    vi.stubEnv('PATH', folder)
    vi.stubEnv('KEEPFRESH_SERVICES_CACHE', folder)
    const services = await startServices()
    expect(services.missing).toEqual(KINDS.map((facts) => facts.kind))
    expect(services.env).toEqual({})
    await services.stop()
  })

  it.skipIf(!isInstalled('memcached'))('runs a command with the environment and keeps its exit code', async () => {
    const file = join(folder, 'env')
    const script = `process.stdout.write(process.env.KEEPFRESH_MEMCACHED + fs.readFileSync('${file}', 'utf8')); process.exitCode = 7`
    const args = [cli, '--only', 'memcached', '--write-env', file, '--', process.execPath, '-e', script]
    const failure = await run(process.execPath, args).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 7 })
    const output = String(Reflect.get(Object(failure), 'stdout'))
    const servers = serversOf(output.slice(0, output.indexOf('export')))
    expect(servers).toHaveLength(3)
    expect(output).toContain(`export KEEPFRESH_MEMCACHED='${servers.join(',')}'\n`)
    expect(output).toMatch(/export KEEPFRESH_MEMCACHED_VERSION='memcached \d/)
    for (const server of servers) await expect(probe('memcached', server)).rejects.toEqual(refused)
    expect(existsSync(file)).toBe(false)
  })

  const canFollow = isInstalled('memcached') && process.platform === 'linux' && findProgram('setpriv') !== undefined
  it.skipIf(!canFollow).each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    'leaves no server behind after %s',
    async (signal) => {
      // A temporary folder of its own, to see what is left there.
      const env = { ...process.env, TMPDIR: folder }
      const starter = spawn(process.execPath, [cli, '--only', 'memcached'], {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let complaint = ''
      starter.stderr.on('data', (piece) => (complaint += String(piece)))
      let output = ''
      for await (const piece of starter.stdout) {
        output += String(piece)
        if (output.includes('_VERSION')) break
      }
      const servers = serversOf(/KEEPFRESH_MEMCACHED='(.*)'/.exec(output)?.[1] ?? '')
      expect(servers, complaint).toHaveLength(3)
      await probe('memcached', servers[0] ?? '')
      starter.kill(signal)
      await once(starter, 'exit')
      for (const server of servers) {
        await vi.waitFor(() => expect(probe('memcached', server)).rejects.toEqual(refused), { timeout: 10_000 })
      }
      // Only a starter that was killed could not tidy up.
      expect(readdirSync(folder).length > 0).toBe(signal === 'SIGKILL')
    },
  )

  it('refuses a kind that does not exist', async () => {
    await expect(run(process.execPath, [cli, '--only', 'radis'])).rejects.toThrow("no service is called 'radis'")
  })

  it('writes lines that a shell reads back unchanged', async () => {
    const value = `it's "$HOME" \\ and more`
    const { stdout } = await run('sh', ['-c', `${exportLines({ KEEPFRESH_X: value })}printf %s "$KEEPFRESH_X"`])
    expect(stdout).toBe(value)
  })
})

describe('the registry', () => {
  afterEach(() => vi.unstubAllEnvs())

  it('reads where and what from the environment', () => {
    vi.stubEnv('KEEPFRESH_REDIS_URL', 'redis://user:pa@127.0.0.1:6391/0')
    vi.stubEnv('KEEPFRESH_REDIS_VERSION', 'redis 7.0.15')
    const redis = service('redis')
    expect(redis).toMatchObject({ name: 'redis', version: '7.0.15', url: 'redis://user:pa@127.0.0.1:6391/0' })
    expect(redis?.servers).toEqual(['127.0.0.1:6391'])
    expect(redis && titleOf(redis)).toBe('redis 7.0.15 at 127.0.0.1:6391')
  })
  it.each([
    ['redis-cluster', 'redis 7.0.15', 'redis cluster 7.0.15 at a:1, b:2'],
    ['memcached', 'memcached 1.6.18', 'memcached 1.6.18 at a:1, b:2'],
    ['mongodb', 'FerretDB 1.24.2 as MongoDB 7.0.42', 'FerretDB 1.24.2 as MongoDB 7.0.42 at a:1, b:2'],
    ['dynamodb', 'DynamoDB Local (version unknown)', 'DynamoDB Local (version unknown) at a:1, b:2'],
    ['mongodb', '', 'mongodb at a:1, b:2'],
  ] as const)('titles a %s suite by what answered: %s', (kind, label, title) => {
    const facts = factsOf(kind)
    vi.stubEnv(facts.env, 'a:1, b:2')
    vi.stubEnv(facts.versionEnv, label)
    const found = service(kind)
    expect(found && titleOf(found)).toBe(title)
  })
  it('gives null for a service that is not named, and an error when services are required', () => {
    vi.stubEnv('KEEPFRESH_REDIS_URL', '')
    vi.stubEnv('KEEPFRESH_REQUIRE_SERVICES', '')
    expect(service('redis')).toBeNull()
    vi.stubEnv('KEEPFRESH_REQUIRE_SERVICES', '1')
    expect(() => service('redis')).toThrow('redis is required (KEEPFRESH_REQUIRE_SERVICES) and KEEPFRESH_REDIS_URL')
  })
  it('lists what was skipped, once each', () => {
    const titles = [
      'redis (A): skipped, no server',
      'x',
      'mongodb (B): skipped, no server',
      'redis (A): skipped, no server',
    ]
    expect(skippedLine(titles)).toBe('skipped, no server: mongodb (B), redis (A)')
    expect(skippedLine(['x'])).toBeUndefined()
  })
  it('writes addresses that it reads back', () => {
    for (const facts of KINDS) {
      const servers = facts.offsets.map((offset) => `127.0.0.1:${6000 + offset}`)
      expect(serversOf(envValue(facts, servers))).toEqual(servers)
    }
  })
  it('gives every kind ports and names of its own', () => {
    const offsets = KINDS.flatMap((facts) => facts.offsets)
    expect(new Set(offsets).size).toBe(offsets.length)
    const names = KINDS.flatMap((facts) => [facts.env, facts.versionEnv])
    expect(new Set(names).size).toBe(names.length)
    const compose = readFileSync(new URL('../../compose.yaml', import.meta.url), 'utf8')
    for (const facts of KINDS) expect(compose).toContain(facts.env)
  })
})
