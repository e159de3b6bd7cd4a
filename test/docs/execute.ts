/** Runs compiled examples, each in a process and an empty folder of its own, and says how each ended. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { factsOf, type Kind, serversOf } from '../services/kinds.ts'
import { expectedOutput, missingOutput } from './blocks.ts'
import type { Module } from './compile.ts'

const TIMEOUT = 20_000
const PRELOAD: string = new URL('preload.ts', import.meta.url).href
const VITEST: string = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))

/** How an example ended; `said` is what it printed, or which server it wants. */
export interface Ending {
  readonly module: Module
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly said: string
}

/** The services an example may want: what in its text says so, and the port it takes them to be at. */
const SERVICES: readonly { readonly kind: Kind; readonly port: number; readonly pattern: RegExp }[] = [
  { kind: 'redis-cluster', port: 7000, pattern: /\bcluster: \{|new Cluster\(/ },
  { kind: 'redis', port: 6379, pattern: /\bredis:\/\/|RedisStore\(|'ioredis'|from 'redis'|redisCoherence\(/ },
  { kind: 'memcached', port: 11_211, pattern: /\bmemcached:\/\/|Memcached\w+\(/ },
  { kind: 'mongodb', port: 27_017, pattern: /\bmongodb:\/\/|MongoStore\(|from 'mongodb'/ },
  { kind: 'dynamodb', port: 8000, pattern: /\bdynamodb:|DynamoStore\(|DynamoDBClient\(/ },
]

function addressOf(kind: Kind): string | undefined {
  return serversOf(process.env[factsOf(kind).env] ?? '')[0]
}

/** Everything an example is made of. */
function textOf(module: Module): string {
  return module.parts.map(({ block }) => block.code).join('\n')
}

/** The services it wants that the environment does not name. */
function missingServices(module: Module): string[] {
  const text = textOf(module)
  return SERVICES.filter(({ kind, pattern }) => pattern.test(text) && addressOf(kind) === undefined).map(
    ({ kind }) => `${kind} (${factsOf(kind).env})`,
  )
}

/** The paths it names as routes, to be asked for if it starts a server. */
function pathsOf(module: Module): string[] {
  const routes = [...textOf(module).matchAll(/\.(?:get|all|use|route)\(\s*'(?<path>\/[^'*(]*)'/g)]
  return ['/', ...routes.map(({ groups = {} }) => (groups['path'] ?? '/').replace(/:\w+/g, '1'))]
}

function environmentOf(module: Module, site: string, folder: string): NodeJS.ProcessEnv {
  const named = SERVICES.flatMap(({ kind, port }) => {
    const address = addressOf(kind)
    return address === undefined ? [] : [[String(port), address]]
  })
  const dynamodb = addressOf('dynamodb')
  return {
    PATH: process.env['PATH'],
    // What an example keeps at home stays in its folder.
    HOME: folder,
    USERPROFILE: folder,
    XDG_CACHE_HOME: join(folder, '.cache'),
    NO_COLOR: '1',
    // 32 bytes, for examples of encryption and signatures.
    CACHE_KEY: '5c'.repeat(32),
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'example',
    AWS_SECRET_ACCESS_KEY: 'example',
    ...(dynamodb === undefined ? {} : { AWS_ENDPOINT_URL_DYNAMODB: `http://${dynamodb}` }),
    KEEPFRESH_DOCS_SETTING: JSON.stringify({ site, services: Object.fromEntries(named), paths: pathsOf(module) }),
  }
}

function why(code: number | null, isLate: boolean): string {
  if (isLate) return `still running after ${TIMEOUT / 1000} s`
  // Node's own code for this.
  if (code === 13) return 'a top-level await that nothing will ever end'
  return `ended with ${code}`
}

/** The command line of an example: Node, or vitest for what is a test. */
function commandOf(module: Module, folder: string): string[] {
  // Nothing is written but in its own folder: examples name paths of their readers' machines.
  const rights = ['--permission', '--allow-fs-read=*', `--allow-fs-write=${folder}`]
  const isTest = /from 'vitest'/.test(textOf(module))
  if (!isTest) return ['--enable-source-maps', ...rights, '--import', PRELOAD, module.script]
  const config = join(folder, 'vitest.config.mjs')
  writeFileSync(
    config,
    `export default ${JSON.stringify({ test: { include: [module.script], root: dirname(module.script) } })}`,
  )
  return [VITEST, 'run', '--config', config]
}

async function start(module: Module, site: string): Promise<Ending> {
  const folder = mkdtempSync(join(tmpdir(), 'keepfresh-docs-'))
  const child = spawn(process.execPath, commandOf(module, folder), {
    cwd: folder,
    env: environmentOf(module, site, folder),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [said, printed] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
    printed += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, TIMEOUT)
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  clearTimeout(timer)
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  if (code !== 0 || isLate) return { module, outcome: 'failed', said: `${why(code, isLate)}\n${said}` }
  const unsaid = missingOutput(expectedOutput(textOf(module)), printed)
  if (unsaid === undefined) return { module, outcome: 'passed', said }
  return { module, outcome: 'failed', said: `does not print ${unsaid}, but\n${said}` }
}

/** Runs one example, or says which server it would need. Under `KEEPFRESH_REQUIRE_SERVICES=1` a lack is a failure. */
export async function execute(module: Module, site: string): Promise<Ending> {
  const missing = missingServices(module)
  if (missing.length === 0) return start(module, site)
  const isRequired = !['', '0'].includes(process.env['KEEPFRESH_REQUIRE_SERVICES'] ?? '')
  return { module, outcome: isRequired ? 'failed' : 'skipped', said: `no server: ${missing.join(', ')}` }
}
