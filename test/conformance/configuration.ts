/** What is run: a cache type and a store, as a cached fetch or as the cache of a server edge. */
import { KINDS, type KindFacts } from '../services/kinds.ts'

export type CacheType = 'private' | 'shared'
export type StoreName = (typeof STORES)[number]
export type SubjectName = 'keepfresh' | 'undici' | 'bare'

export type EdgeName = (typeof EDGES)[number]

export interface Configuration {
  /** That of an edge is shared. */
  readonly type: CacheType
  readonly store: StoreName
  /** The server edge in front of a reverse proxy; absent: the cached fetch. */
  readonly edge?: EdgeName
}

/** The server edges: node:http, Express, Fastify, Koa, Hono, and `cached(handler)`. */
export const EDGES = ['node', 'express', 'fastify', 'koa', 'hono', 'handler'] as const

/** The stores the suite runs over: those without a server always, the others where the environment names theirs. */
export const STORES = ['memory', 'sqlite', 'file', 'tiered', 'redis', 'memcached', 'mongodb', 'dynamodb'] as const

/** The service of test/services that a store needs. */
function factsOf(store: StoreName): KindFacts | undefined {
  return KINDS.find(({ kind }) => kind === store)
}

/** Where a store's server is; null: the environment names none, or it needs none. */
export function serverOf(store: StoreName): string | null {
  const facts = factsOf(store)
  return facts === undefined ? null : process.env[facts.env] || null
}

/** What answers there, with its version; null: not known, or the store needs no server. */
export function versionOf(store: StoreName): string | null {
  const facts = factsOf(store)
  return facts === undefined ? null : process.env[facts.versionEnv] || null
}

/** Stores whose server is not there. */
export const MISSING: readonly StoreName[] = STORES.filter(
  (store) => factsOf(store) !== undefined && serverOf(store) === null,
)

const FETCHES: readonly Configuration[] = STORES.flatMap((store) => [
  { type: 'private', store },
  { type: 'shared', store },
])

/** An edge on a store. */
function edgeOn(edge: EdgeName, store: StoreName): Configuration {
  return { type: 'shared', store, edge }
}

/** The edges on memory: what they add to the shared cache does not depend on the store. */
const ON_MEMORY: readonly Configuration[] = EDGES.map((edge) => edgeOn(edge, 'memory'))

export const CONFIGURATIONS: readonly Configuration[] = [...FETCHES, ...ON_MEMORY]

/** Run only by name: `--store mongodb`. */
const BY_NAME: ReadonlySet<StoreName> = new Set(['mongodb'])

/** Of a store that is too slow for all tests: the groups in which entries are replaced, changed, combined and removed. The others ask about decisions, which no store takes. */
export const GROUPS_OF: Readonly<Partial<Record<StoreName, ReadonlySet<string>>>> = {
  mongodb: new Set([
    'cc-response',
    'stale',
    'vary',
    'conditional-lm',
    'conditional-inm',
    'update304',
    'updateHEAD',
    'invalidation',
    'partial',
    'other',
  ]),
}

/** Stores that every run is meant for, and whose server is not there. */
export const LEFT_OUT: readonly StoreName[] = MISSING.filter((store) => !BY_NAME.has(store))

/** Those that can be run here: all that are meant for every run, or those of the store or edge that is named; both: that edge on that store. */
export function runnable(named: { readonly store?: StoreName; readonly edge?: EdgeName }): readonly Configuration[] {
  const { store, edge } = named
  const there = (each: Configuration): boolean => !MISSING.includes(each.store)
  if (edge !== undefined) return [edgeOn(edge, store ?? 'memory')].filter(there)
  if (store !== undefined) return FETCHES.filter((each) => each.store === store && there(each))
  return CONFIGURATIONS.filter((each) => !BY_NAME.has(each.store) && there(each))
}

/** `private/memory`, `edge/koa`, `edge/koa/redis` and so on. */
export function nameOf({ type, store, edge }: Configuration): string {
  if (edge === undefined) return `${type}/${store}`
  return store === 'memory' ? `edge/${edge}` : `edge/${edge}/${store}`
}

/** Whether a name in expected-failures.json (`private`, `shared/sqlite`, `edge`, `edge/koa`, ...) covers the configuration. */
export function covers(name: string, configuration: Configuration): boolean {
  const { type, edge } = configuration
  if (edge !== undefined) return name === 'edge' || name === `edge/${edge}`
  return name === type || name === nameOf(configuration)
}

/** All names that `covers` understands. */
export const CONFIGURATION_NAMES: ReadonlySet<string> = new Set(
  CONFIGURATIONS.flatMap((each) => [each.edge === undefined ? each.type : 'edge', nameOf(each)]),
)
