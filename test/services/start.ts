/**
 * Starts every server that is installed on this machine, on ports of 127.0.0.1, for the tests.
 *
 *     node test/services/start.ts                          until Ctrl-C; prints `export NAME=value` lines
 *     node test/services/start.ts -- npx vitest run        for as long as one command runs, whose exit code it keeps
 *
 * `--base-port N`      ports counted from N instead of free ones (redis N, cluster N+1..3, memcached N+11..13,
 *                      dynamodb N+20, mongodb N+30)
 * `--write-env PATH`   also writes the lines there, when all is ready; removed at the end
 * `--only a,b`         only these kinds
 *
 * What is not installed is named on standard error and left out; `install.sh` installs it. What is installed and does
 * not start is an error, never left out.
 */
import { execFile, spawn } from 'node:child_process'
import { realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { KINDS, type Kind, type KindFacts, envValue, factsOf } from './kinds.ts'
import { findProgram, isInstalled } from './local.ts'
import { type Server, startServer } from './server.ts'
import { probe, redisCommand } from './wire.ts'

/** Servers that run, and what the tests need to know of them. */
export interface Services {
  /** Environment names and values: where each runs, and which version it is. */
  readonly env: Readonly<Record<string, string>>
  /** Kinds that are not installed here. */
  readonly missing: readonly Kind[]
  /** Stops all and removes their folders. A second call does nothing. */
  stop(): Promise<void>
}

/** Options of `startServices`. */
export interface ServicesOptions {
  /** Take ports counted from here instead of free ones. */
  readonly basePort?: number
  /** Only these kinds; by default every kind. */
  readonly only?: readonly Kind[]
}

/** A node of a cluster that is not formed yet is ready when it answers PING. */
async function clusterNodeReady(address: string): Promise<string> {
  const [host = '', port] = address.split(':')
  await redisCommand(host, Number(port), 'PING')
  return 'redis'
}

/** Makes one cluster of masters out of empty nodes, and waits until each of them sees all slots served. */
async function formCluster(addresses: readonly string[]): Promise<string> {
  const cli = findProgram('redis-cli')
  if (cli === undefined) throw new Error('redis-cli is not installed')
  await promisify(execFile)(cli, ['--cluster', 'create', ...addresses, '--cluster-yes'])
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      const versions = await Promise.all(addresses.map((address) => probe('redis-cluster', address)))
      return versions[0] ?? ''
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(50)
    }
  }
}

/** Starts the processes of one kind; each is pushed to `started` as soon as it runs, so that a failure can stop it. */
async function startKind(facts: KindFacts, basePort: number | undefined, started: Server[]): Promise<[string, string]> {
  const ready = facts.kind === 'redis-cluster' ? { ready: clusterNodeReady } : {}
  const servers: Server[] = []
  for (const offset of facts.offsets) {
    const port = basePort === undefined ? {} : { port: basePort + offset }
    const server = await startServer(facts.kind, { ...ready, ...port })
    servers.push(server)
    started.push(server)
  }
  const addresses = servers.map((server) => server.address)
  const version = facts.kind === 'redis-cluster' ? await formCluster(addresses) : (servers[0]?.version ?? '')
  return [envValue(facts, addresses), version]
}

/**
 * Starts every service that is installed here.
 *
 * @throws Error when an installed one does not start; those already started are stopped first.
 * @example
 * const services = await startServices()
 * services.env['KEEPFRESH_REDIS_URL'] // 'redis://127.0.0.1:14061'
 * await services.stop()
 */
export async function startServices(options: ServicesOptions = {}): Promise<Services> {
  const wanted = KINDS.filter((facts) => options.only?.includes(facts.kind) ?? true)
  const missing = wanted.filter((facts) => !isInstalled(facts.kind)).map((facts) => facts.kind)
  const started: Server[] = []
  const stop = async (): Promise<void> => {
    await Promise.all(started.splice(0).map((server) => server.stop()))
  }
  const outcomes = await Promise.allSettled(
    wanted
      .filter((facts) => !missing.includes(facts.kind))
      .map(async (facts): Promise<[string, string][]> => {
        const [where, version] = await startKind(facts, options.basePort, started)
        return [
          [facts.env, where],
          [facts.versionEnv, version],
        ]
      }),
  )
  const failures = outcomes.filter((outcome) => outcome.status === 'rejected').map((outcome) => outcome.reason)
  if (failures.length > 0) {
    await stop()
    throw new AggregateError(failures, `services did not start: ${failures.map(String).join('\n')}`)
  }
  const pairs = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? outcome.value : []))
  return { env: Object.fromEntries(pairs), missing, stop }
}

/** `export NAME='value'` lines, which a shell can read. */
export function exportLines(env: Readonly<Record<string, string>>): string {
  return Object.entries(env)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('')
}

/** Runs one command with the services' environment; answers its exit code. */
function runCommand(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  asked: Promise<NodeJS.Signals>,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = words
    const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, ...env } })
    // Of a Ctrl-C the terminal has told it already.
    void asked.then((signal) => signal === 'SIGINT' || child.kill(signal))
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
  })
}

/** Resolves with the first SIGINT, SIGTERM or SIGHUP. */
function untilAsked(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    // A timer keeps the process alive while nothing else does.
    const alive = setInterval(() => undefined, 2 ** 30)
    const end = (signal: NodeJS.Signals): void => {
      clearInterval(alive)
      resolve(signal)
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end)
  })
}

function basePortOf(text: string | undefined): { basePort?: number } {
  if (text === undefined) return {}
  const basePort = Number(text)
  if (!Number.isInteger(basePort) || basePort < 1024 || basePort > 55_000) {
    throw new TypeError('--base-port must be a whole number from 1024 to 55000')
  }
  return { basePort }
}

function onlyOf(text: string | undefined): { only?: readonly Kind[] } {
  if (text === undefined) return {}
  return { only: text.split(',').map((word) => factsOf(word.trim() as Kind).kind) }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'base-port': { type: 'string' },
      'write-env': { type: 'string' },
      only: { type: 'string' },
    },
  })
  const asked = untilAsked()
  const services = await startServices({ ...basePortOf(values['base-port']), ...onlyOf(values.only) })
  const envFile = values['write-env']
  try {
    for (const kind of services.missing) {
      console.error(`${kind}: not installed, left out (test/services/install.sh installs it)`)
    }
    const lines = exportLines(services.env)
    if (envFile !== undefined) {
      // Renamed into place, so that whoever waits for the file never reads half of it.
      writeFileSync(`${envFile}.new`, lines)
      renameSync(`${envFile}.new`, envFile)
    }
    if (positionals.length > 0) return await runCommand(positionals, services.env, asked)
    process.stdout.write(lines)
    console.error('ready; Ctrl-C stops them all')
    await asked
    return 0
  } finally {
    await services.stop()
    if (envFile !== undefined) rmSync(envFile, { force: true })
  }
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exit(await main())
}
