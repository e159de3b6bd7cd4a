/** Which backends there are, and where their servers run: the environment says so, as test/services/start.ts sets it. */
import { execPath } from 'node:process'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { factsOf } from '../../test/services/kinds.ts'
import type { ServerKind, StoreKind } from './types.ts'

export interface Backend {
  readonly store: StoreKind
  readonly title: string
  /** The first words of the label of its floor: what ratios are of. */
  readonly floor: string
}

/** Every store that outlives the process, in the order of the tables. */
export const BACKENDS: readonly Backend[] = [
  { store: 'sqlite', title: 'SQLite', floor: 'floor: prepared SELECT + minimal object' },
  { store: 'file', title: 'Files', floor: 'floor: fs.promises.readFile' },
  { store: 'redis', title: 'Redis', floor: 'floor: redis GET' },
  { store: 'mongodb', title: 'MongoDB', floor: 'floor: mongodb findOne' },
  { store: 'dynamodb', title: 'DynamoDB', floor: 'floor: GetItem' },
  // The client is ours, and is not what it is measured by.
  { store: 'memcached', title: 'Memcached', floor: 'floor: bare sockets to memcached' },
]

const SERVERS: readonly ServerKind[] = ['redis', 'mongodb', 'dynamodb', 'memcached']

export function isServer(store: StoreKind): store is ServerKind {
  return SERVERS.some((kind) => kind === store)
}

/** Where the store's server runs: '' for a store that has none, null for a server that does not run. */
export function serverOf(store: StoreKind): string | null {
  return isServer(store) ? (process.env[factsOf(store).env] ?? null) : ''
}

/** What answers there, such as `redis 7.0.15`. */
export function serverVersion(store: StoreKind): string | null {
  return isServer(store) ? (process.env[factsOf(store).versionEnv] ?? null) : null
}

/** Set in a run that has had servers started for it: what it does not find then is not installed. */
const STARTED = 'KEEPFRESH_BENCH_STARTED'

/** Whether servers have yet to be started: the environment names none of these. */
export function wantsServers(kinds: readonly ServerKind[] = SERVERS): boolean {
  return process.env[STARTED] === undefined && kinds.every((kind) => serverOf(kind) === null)
}

/** Runs this very command again with servers of its own, started for as long as it takes; its exit code. */
export function rerunWithServers(kinds: readonly ServerKind[] = SERVERS): number {
  const starter = fileURLToPath(new URL('../../test/services/start.ts', import.meta.url))
  const only = kinds.join(',')
  const [, script = '', ...args] = process.argv
  const command = [starter, '--only', only, '--', execPath, script, ...args]
  const child = spawnSync(execPath, command, { stdio: 'inherit', env: { ...process.env, [STARTED]: '1' } })
  return child.status ?? 1
}
