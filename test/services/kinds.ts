/**
 * What services there are, as data: the name a test asks for, the environment names that say where one runs and what
 * it is, and the port it takes under `--base-port`. Nothing here opens a socket or starts a process.
 */

/** The name by which a test asks for a service. */
export type Kind = 'redis' | 'redis-cluster' | 'memcached' | 'dynamodb' | 'mongodb'

/** How one kind of service is named, addressed and numbered. */
export interface KindFacts {
  readonly kind: Kind
  /** The environment name that says where it runs. */
  readonly env: string
  /** The environment name of what answered there: `redis 7.0.15`. Set by the starter, or by vitest's global setup. */
  readonly versionEnv: string
  /** Offsets from `--base-port`: as many processes as there are offsets. */
  readonly offsets: readonly number[]
  /** The scheme of its URL. */
  readonly scheme: string
}

/** Every kind, in the order in which they are started and listed. */
export const KINDS: readonly KindFacts[] = [
  {
    kind: 'redis',
    env: 'KEEPFRESH_REDIS_URL',
    versionEnv: 'KEEPFRESH_REDIS_VERSION',
    offsets: [0],
    scheme: 'redis',
  },
  {
    kind: 'redis-cluster',
    env: 'KEEPFRESH_REDIS_CLUSTER',
    versionEnv: 'KEEPFRESH_REDIS_CLUSTER_VERSION',
    offsets: [1, 2, 3],
    scheme: 'redis',
  },
  {
    kind: 'memcached',
    env: 'KEEPFRESH_MEMCACHED',
    versionEnv: 'KEEPFRESH_MEMCACHED_VERSION',
    offsets: [11, 12, 13],
    scheme: 'memcached',
  },
  {
    kind: 'dynamodb',
    env: 'KEEPFRESH_DYNAMODB_ENDPOINT',
    versionEnv: 'KEEPFRESH_DYNAMODB_VERSION',
    offsets: [20],
    scheme: 'http',
  },
  {
    kind: 'mongodb',
    env: 'KEEPFRESH_MONGODB_URL',
    versionEnv: 'KEEPFRESH_MONGODB_VERSION',
    offsets: [30],
    scheme: 'mongodb',
  },
]

/** The facts of one kind. */
export function factsOf(kind: Kind): KindFacts {
  const facts = KINDS.find((each) => each.kind === kind)
  if (facts === undefined) throw new TypeError(`no service is called '${kind}'`)
  return facts
}

/** The value of `facts.env` for servers at these `host:port`s: what the tests read back. */
export function envValue(facts: KindFacts, servers: readonly string[]): string {
  if (facts.offsets.length > 1) return servers.join(',')
  return `${facts.scheme}://${servers.join(',')}${facts.kind === 'mongodb' ? '/' : ''}`
}

/** The `host:port`s that a value of `facts.env` names: a URL's authority without credentials, or a list. */
export function serversOf(value: string): readonly string[] {
  const authority = value.replace(/^[a-z][a-z0-9+.-]*:\/\//i, '').replace(/[/?#].*$/, '')
  return authority
    .slice(authority.lastIndexOf('@') + 1)
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
}

/** The title of a suite that is skipped for want of a server; `why` is an environment name or `not installed`. */
export function skipTitle(kind: Kind, why: string): string {
  return `${kind} (${why}): skipped, no server`
}

/** What a title made by `skipTitle` says is missing, or undefined for any other title. */
export function readSkipTitle(title: string): string | undefined {
  const end = ': skipped, no server'
  return title.endsWith(end) ? title.slice(0, -end.length) : undefined
}
