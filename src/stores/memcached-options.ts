/** The options of MemcachedStore: what there is and what is checked. */
import type { ConnectionOptions } from 'node:tls'
import { OptionError } from '../errors.ts'
import type { StoreLimits } from '../engine/ports.ts'
import { CLIENT_RULES, type MemcachedClientOptions, type MemcachedCommands } from './memcached-client.ts'
import { NAMESPACE } from './memcached-keys.ts'
import { parseServers } from './memcached-servers.ts'
import { checkOptions, type OptionRule } from './options.ts'

export interface MemcachedOptions {
  /**
   * `'memcached://host:port,host:port/namespace'`, or a list of `'host:port'`, `'[::1]:port'` and paths of sockets. Every process must
   * name the same servers in the same way. Default `localhost:11211`.
   */
  readonly servers?: string | readonly string[]
  /** A client that is there already; it is not closed with the store. */
  readonly client?: MemcachedCommands
  /** What our keys start with: 1 to 150 characters of printable ASCII without spaces. Default `keepfresh`, or what the URL says. */
  readonly namespace?: string
  /** Milliseconds a command may take, connecting included. Default 2000. */
  readonly timeout?: number
  /** For servers that want a login (`-Y`). */
  readonly username?: string
  readonly password?: string
  /** For servers that want TLS (`-Z`): options of `tls.connect`. */
  readonly tls?: ConnectionOptions
  /** Bodies up to this many bytes are in the item of their entry, longer ones in chunks. Default 64 KiB, or chunkSize where that is less. */
  readonly inlineSize?: number
  /** Bytes in a chunk: less than the servers' item size (`-I`, 1 MiB) by 1 KiB at least. Default 900 KiB. */
  readonly chunkSize?: number
  /** The largest body in bytes. Default 32 MiB. */
  readonly maxEntrySize?: number
  /** Every server must have answered before anything is done, and one that is down is an error. Default false. */
  readonly strict?: boolean
}

export interface MemcachedSettings {
  readonly servers: string | readonly string[]
  readonly client: MemcachedCommands | null
  readonly namespace: string
  readonly connection: MemcachedClientOptions
  readonly limits: StoreLimits
  readonly chunkSize: number
  readonly strict: boolean
}

const KIB = 1024
const MIB = 1024 * KIB

const RULES = {
  servers: { type: 'any' },
  client: { type: 'object' },
  namespace: { type: 'string' },
  ...CLIENT_RULES,
  inlineSize: { type: 'number', range: [0, 128 * MIB] },
  chunkSize: { type: 'number', range: [KIB, 128 * MIB] },
  maxEntrySize: { type: 'number', range: [0, Infinity] },
  strict: { type: 'boolean' },
} as const satisfies Record<keyof MemcachedOptions, OptionRule>

const COMMANDS = ['get', 'gets', 'set', 'add', 'cas', 'delete', 'touch', 'versions'] as const
/** What decides where values go: nothing to say beside a client that is there. */
const OF_CONNECTIONS = ['servers', 'timeout', 'username', 'password', 'tls'] as const

/**
 * The options with their defaults.
 * @throws OptionError for an unknown name, a wrong type or value, or two that exclude each other
 */
export function settingsOf(given: string | MemcachedOptions): MemcachedSettings {
  const options: MemcachedOptions = typeof given === 'string' ? { servers: given } : given
  checkOptions('MemcachedStore', options, RULES)
  const { servers = 'localhost', client = null, strict = false } = options
  const { chunkSize = 900 * KIB, maxEntrySize = 32 * MIB } = options
  const { inlineSize = Math.min(64 * KIB, chunkSize) } = options
  if (typeof servers !== 'string' && !Array.isArray(servers)) throw wrong('servers', 'must be a string or an array')
  if (client !== null) checkClient(client, options)
  const named = parseServers(servers).namespace
  const namespace = options.namespace ?? named ?? 'keepfresh'
  if (!NAMESPACE.test(namespace)) {
    throw wrong('namespace', 'must be 1 to 150 characters of printable ASCII without spaces')
  }
  if (inlineSize > chunkSize) throw wrong('inlineSize', `must not be larger than chunkSize (${chunkSize} bytes)`)
  const limits = { maxEntrySize, inlineSize, persistent: true, shared: true }
  return { servers, client, namespace, connection: connectionOf(options), limits, chunkSize, strict }
}

function connectionOf({ timeout, username, password, tls }: MemcachedOptions): MemcachedClientOptions {
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls }),
  }
}

function checkClient(client: MemcachedCommands, options: MemcachedOptions): void {
  const lacking = COMMANDS.find((name) => typeof client[name] !== 'function')
  if (lacking !== undefined) {
    throw wrong('client', `must be a MemcachedClient, or have its methods: it has no \`${lacking}\``)
  }
  const useless = OF_CONNECTIONS.find((name) => options[name] !== undefined)
  if (useless !== undefined) throw wrong(useless, 'has no effect beside `client`, which has its own connections')
}

function wrong(option: string, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `MemcachedStore: \`${option}\` ${what}.`)
}
