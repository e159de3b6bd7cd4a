/** The options of RedisStore: what there is, what is checked, and what they come to. */
import { OptionError } from '../errors.ts'
import { adapterOf } from './redis-adapters.ts'
import type { RedisClient, RedisClientLike } from './redis-client.ts'
import { checkOptions, givenOf, type OptionRule } from './options.ts'

export interface RedisClusterOptions {
  /** Nodes to ask for the others: URLs, or options of a client. User, password and TLS of the first URL serve for all nodes. */
  readonly rootNodes: readonly (string | object)[]
}

export interface RedisSentinelOptions {
  /** The name of the primary, as the sentinels know it. */
  readonly name: string
  readonly sentinelRootNodes: readonly { readonly host: string; readonly port: number }[]
}

export interface RedisOptions {
  /** `redis://user:password@host:port/db`, `rediss://` for TLS, or `unix:///path`. Default: localhost, port 6379. */
  readonly url?: string
  /** A client of `redis` (5 or later) or `ioredis` (5 or later), instead of one of ours. It is not closed by the store. */
  readonly client?: RedisClientLike
  /** A Redis Cluster. */
  readonly cluster?: RedisClusterOptions
  /** A primary found through Redis Sentinel. */
  readonly sentinel?: RedisSentinelOptions
  /** More options for `createClient`, `createCluster` or `createSentinel` of `redis`: credentials, TLS, a database... */
  readonly clientOptions?: Readonly<Record<string, unknown>>
  /** What the names of all keys begin with. Stores of different namespaces never see each other. Default `keepfresh`. */
  readonly namespace?: string
  /** Give entries a lifetime in Redis, so that it drops what is of no more use. Default true. */
  readonly ttl?: boolean
  /** Milliseconds that Redis keeps an entry beyond its use. Default 0. */
  readonly ttlOffset?: number
  /** Milliseconds to wait for a connection. Default 2000. */
  readonly connectTimeout?: number
  /** Milliseconds to wait for an answer. Default 2000. */
  readonly commandTimeout?: number
  /** Connect in the constructor, once: where that fails, every use of the store does. Default false. */
  readonly strict?: boolean
  /** Bodies up to this many bytes are in the value of their entry, longer ones in chunks. Default 64 KiB. */
  readonly inlineSize?: number
  /** Bytes in a chunk of a long body. Default 512 KiB. */
  readonly chunkSize?: number
  /** The largest body in bytes. Default Infinity. */
  readonly maxEntrySize?: number
}

export interface RedisSettings {
  readonly url: string | null
  readonly client: RedisClient | null
  readonly cluster: RedisClusterOptions | null
  readonly sentinel: RedisSentinelOptions | null
  readonly clientOptions: Readonly<Record<string, unknown>>
  readonly namespace: string
  readonly ttl: boolean
  readonly ttlOffset: number
  readonly connectTimeout: number
  readonly commandTimeout: number
  readonly strict: boolean
  readonly inlineSize: number
  readonly chunkSize: number
  readonly maxEntrySize: number
}

const TIMER: readonly [number, number] = [1, 2_147_483_647]
/** Redis takes values of up to 512 MB. */
const LARGEST = 256 * 1024 * 1024

const RULES: Readonly<Record<keyof RedisOptions, OptionRule>> = {
  url: { type: 'string' },
  client: { type: 'object' },
  cluster: { type: 'object' },
  sentinel: { type: 'object' },
  clientOptions: { type: 'object' },
  namespace: { type: 'string' },
  ttl: { type: 'boolean' },
  ttlOffset: { type: 'number', range: [0, Number.MAX_SAFE_INTEGER / 2] },
  connectTimeout: { type: 'number', range: TIMER },
  commandTimeout: { type: 'number', range: TIMER },
  strict: { type: 'boolean' },
  inlineSize: { type: 'number', range: [0, LARGEST] },
  chunkSize: { type: 'number', range: [64, LARGEST] },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
}

const DEFAULTS = {
  url: null,
  cluster: null,
  sentinel: null,
  clientOptions: {},
  namespace: 'keepfresh',
  ttl: true,
  ttlOffset: 0,
  connectTimeout: 2000,
  commandTimeout: 2000,
  strict: false,
  inlineSize: 64 * 1024,
  chunkSize: 512 * 1024,
  maxEntrySize: Infinity,
}

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong value, or options that exclude each other
 */
export function settingsOf(given: string | RedisOptions): RedisSettings {
  const options = typeof given === 'string' ? { url: given } : given
  checkOptions('RedisStore', options, RULES)
  const set = givenOf<RedisOptions>(options)
  const ways = (['url', 'client', 'cluster', 'sentinel'] as const).filter((name) => set[name] !== undefined)
  if (ways.length > 1) throw wrong(ways[1] ?? 'url', `give one of ${ways.map((way) => `\`${way}\``).join(' and ')}`)
  if (set.url !== undefined) checkUrl(set.url)
  if (set.namespace !== undefined) checkNamespace(set.namespace)
  if (set.cluster !== undefined) checkCluster(set.cluster)
  if (set.sentinel !== undefined) checkSentinel(set.sentinel)
  if (set.client !== undefined && set.clientOptions !== undefined) {
    throw wrong('clientOptions', 'they have no use with `client`, which has its own')
  }
  return { ...DEFAULTS, ...set, client: set.client === undefined ? null : adapterOf(set.client) }
}

function wrong(option: keyof RedisOptions, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `RedisStore: \`${option}\`: ${what}.`)
}

/** The URL is not in the message: it may have a password in it. */
function checkUrl(url: string): void {
  const known = ['redis:', 'rediss:', 'unix:'].some((scheme) => url.startsWith(`${scheme}//`))
  if (!known || !URL.canParse(url)) {
    throw wrong('url', 'it must be redis://host:port/db, rediss://host:port/db or unix:///path')
  }
}

function checkNamespace(namespace: string): void {
  if (namespace === '' || !namespace.isWellFormed()) throw wrong('namespace', 'it must be a text that is not empty')
  if (/[{}]/.test(namespace)) {
    throw wrong('namespace', 'it must not have { or } in it, by which a Redis Cluster finds the part of a key to hash')
  }
}

function checkCluster({ rootNodes }: RedisClusterOptions): void {
  if (!Array.isArray(rootNodes) || rootNodes.length === 0) {
    throw wrong('cluster', "it must have rootNodes, such as ['redis://10.0.0.1:6379']")
  }
  for (const node of rootNodes) if (typeof node === 'string') checkUrl(node)
}

function checkSentinel({ name, sentinelRootNodes }: RedisSentinelOptions): void {
  if (typeof name === 'string' && Array.isArray(sentinelRootNodes) && sentinelRootNodes.length > 0) return
  throw wrong('sentinel', "it must have a name and sentinelRootNodes, such as [{ host: '10.0.0.1', port: 26379 }]")
}
