/** What is run: a cache type and a store. */

export type CacheType = 'private' | 'shared'
export type StoreName = (typeof STORES)[number]
export type SubjectName = 'keepfresh' | 'undici' | 'bare'

export interface Configuration {
  readonly type: CacheType
  readonly store: StoreName
}

/** The stores the suite runs over: those without a server always, the others where the environment names theirs. */
export const STORES = ['memory', 'sqlite', 'file', 'tiered', 'redis', 'memcached', 'mongodb', 'dynamodb'] as const

const SERVERS: Readonly<Partial<Record<StoreName, string>>> = {
  redis: 'KEEPFRESH_REDIS_URL',
  memcached: 'KEEPFRESH_MEMCACHED',
  mongodb: 'KEEPFRESH_MONGODB_URL',
  dynamodb: 'KEEPFRESH_DYNAMODB_ENDPOINT',
}

/** Where a store's server is; null: the environment names none, or it needs none. */
export function serverOf(store: StoreName): string | null {
  const name = SERVERS[store]
  return name === undefined ? null : (process.env[name] ?? null)
}

/** Stores whose server is not there. */
export const MISSING: readonly StoreName[] = STORES.filter(
  (store) => SERVERS[store] !== undefined && serverOf(store) === null,
)

export const CONFIGURATIONS: readonly Configuration[] = STORES.flatMap((store) => [
  { type: 'private', store },
  { type: 'shared', store },
])

/**
 * Run only by name (`--store redis`): hundreds of tests at once, each with answers that must come in their time, ask more of a server or a disk
 * that shares two cores with them than it always gives; what then fails is late, and is told from what is wrong by running it again.
 */
const BY_NAME: ReadonlySet<StoreName> = new Set(['file', 'redis', 'memcached', 'mongodb', 'dynamodb'])

/** Those that can be run here. */
export function runnable(named: string | undefined): readonly Configuration[] {
  return CONFIGURATIONS.filter(
    ({ store }) => !MISSING.includes(store) && (named === undefined ? !BY_NAME.has(store) : store === named),
  )
}

/** `private/memory` and so on. */
export function nameOf(configuration: Configuration): string {
  return `${configuration.type}/${configuration.store}`
}

/** Whether a name in expected-failures.json (`private`, `shared/sqlite`, ...) covers the configuration. */
export function covers(name: string, configuration: Configuration): boolean {
  return name === configuration.type || name === nameOf(configuration)
}

/** All names that `covers` understands. */
export const CONFIGURATION_NAMES: ReadonlySet<string> = new Set(
  CONFIGURATIONS.flatMap((configuration) => [configuration.type, nameOf(configuration)]),
)
