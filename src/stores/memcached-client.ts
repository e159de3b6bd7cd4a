/**
 * A client of one or several memcached servers: binary values, consistent hashing, one pipelined connection a server.
 * Why it is ours: docs/decisions/0004-memcached-client.md.
 *
 * Rule 1: a key belongs to one server. While that is down its commands fail, at once; no other server takes its keys, since what it
 *   still holds would come back, and be wrong, with it.
 * Rule 2: no caller's bytes reach a command line: a key that is not printable ASCII without spaces is refused (RELIABILITY 136).
 */
import type { ConnectionOptions } from 'node:tls'
import { OptionError, StoreError } from '../errors.ts'
import { groupsOf } from './groups-of.ts'
import { MemcachedConnection } from './memcached-connection.ts'
import { Generations } from './generations.ts'
import {
  deletion,
  MOST_KEYS,
  retrieval,
  storage,
  touching,
  VERSION,
  type Reply,
  type Request,
} from './memcached-protocol.ts'
import { HashRing } from './memcached-ring.ts'
import { parseServers } from './memcached-servers.ts'
import { checkOptions, type OptionRule } from './options.ts'
import { outcomeOf } from './read-many.ts'

/** A value and its version, for `cas`. */
export interface VersionedValue {
  readonly data: Uint8Array
  readonly cas: string
}

/**
 * What the store needs of a client; MemcachedClient has it, and another may be wrapped in an object that has.
 *
 * `exptime` is memcached's: 0 never, up to 30 days in seconds from now, beyond that seconds since 1970, below 0 at once.
 * Keys are at most 250 characters of printable ASCII without spaces. Failures reject, with any error.
 */
export interface MemcachedCommands {
  get(key: string): Promise<Uint8Array | undefined>
  gets(key: string): Promise<VersionedValue | undefined>
  set(key: string, value: Uint8Array, exptime: number): Promise<void>
  /** False: there is a value. */
  add(key: string, value: Uint8Array, exptime: number): Promise<boolean>
  /** False: the value is not of that version any more, or gone. */
  cas(key: string, value: Uint8Array, exptime: number, cas: string): Promise<boolean>
  /** False: there was none. */
  delete(key: string): Promise<boolean>
  /** Sets when a value expires; false: there was none. */
  touch(key: string, exptime: number): Promise<boolean>
  /** The version of each server, by its name; rejects where one does not answer. */
  versions(): Promise<ReadonlyMap<string, string>>
}

/** What a command for many keys brings for one of them: its value, nothing, or why it could not be asked for. */
export type Found = Uint8Array | StoreError | undefined

/** A client that asks for many keys at once; of one without `getMany` they are asked for one by one. */
export interface MemcachedBatchCommands extends MemcachedCommands {
  /** What there is under each key, in their order. A server that fails costs its own keys only. */
  getMany(keys: readonly string[]): Promise<readonly Found[]>
}

/** `getMany` of any client. */
export function getManyOf(client: MemcachedCommands, keys: readonly string[]): Promise<readonly Found[]> {
  if ('getMany' in client) return (client as MemcachedBatchCommands).getMany(keys)
  return Promise.all(keys.map((key) => outcomeOf(() => client.get(key))))
}

export interface MemcachedClientOptions {
  /** Milliseconds a command may take, connecting included. Default 2000. */
  readonly timeout?: number
  /** For servers with `-Y`: the user's name; also from the URL. */
  readonly username?: string
  readonly password?: string
  /** For servers with `-Z`: options of `tls.connect`; `{}` suffices where the certificate is publicly trusted. */
  readonly tls?: ConnectionOptions
}

/** What is checked of them; shared with the store. */
export const CLIENT_RULES: Readonly<Record<keyof MemcachedClientOptions, OptionRule>> = {
  timeout: { type: 'number', range: [1, 3_600_000] },
  username: { type: 'string' },
  password: { type: 'string' },
  tls: { type: 'object' },
}

const KEY = /^[\x21-\x7e]{1,250}$/
const DEFAULT_TIMEOUT = 2000

/**
 * @example
 * ```ts
 * const client = new MemcachedClient(['10.0.0.1:11211', '10.0.0.2:11211'])
 * await client.set('k', new Uint8Array([1, 2, 3]), 60)
 * await client.get('k') // Uint8Array [1, 2, 3]
 * await client.close()
 * ```
 */
export class MemcachedClient implements MemcachedBatchCommands {
  readonly #connections: readonly MemcachedConnection[]
  readonly #ring: HashRing | null
  /** Where the keys asked for lately are: each of them was checked. */
  readonly #known = new Generations<string, MemcachedConnection>()

  /**
   * @param servers as in the store's option `servers`
   * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE
   */
  constructor(servers: string | readonly string[], options: MemcachedClientOptions = {}) {
    checkOptions('MemcachedClient', options, CLIENT_RULES)
    const list = parseServers(servers)
    const username = options.username ?? list.username
    const settings = {
      timeout: options.timeout ?? DEFAULT_TIMEOUT,
      credentials: username === null ? null : { username, password: options.password ?? list.password ?? '' },
      tls: options.tls ?? null,
    }
    this.#connections = list.servers.map((server) => new MemcachedConnection(server, settings))
    this.#ring = list.servers.length === 1 ? null : new HashRing(list.servers.map(({ name }) => name))
  }

  /**
   * `host:port` of the server that has a key.
   * @throws OptionError ERR_KEY
   */
  serverOf(key: string): string {
    return this.#connectionOf(key).server.name
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#send(key, retrieval('get', [key]), ({ values }) => values[0]?.data)
  }

  async getMany(keys: readonly string[]): Promise<readonly Found[]> {
    const found = new Map<string, Found>()
    const groups = Map.groupBy(new Set(keys), (key) => this.#connectionOf(key))
    await Promise.all([...groups].map(([connection, some]) => retrieveInto(found, connection, some)))
    return keys.map((key) => found.get(key))
  }

  gets(key: string): Promise<VersionedValue | undefined> {
    return this.#send(key, retrieval('gets', [key]), ({ values: [value] }) => {
      if (value === undefined) return undefined
      // A server without versions gives 0 for all.
      if (value.cas !== null && value.cas !== '0') return { data: value.data, cas: value.cas }
      throw new StoreError(
        'ERR_STORE_FAILED',
        `memcached at ${this.serverOf(key)} runs without CAS (-C), which is needed.`,
      )
    })
  }

  set(key: string, value: Uint8Array, exptime: number): Promise<void> {
    return this.#send(key, storage('set', key, value, exptime), () => undefined)
  }

  add(key: string, value: Uint8Array, exptime: number): Promise<boolean> {
    return this.#send(key, storage('add', key, value, exptime), ({ line }) => line === 'STORED')
  }

  cas(key: string, value: Uint8Array, exptime: number, cas: string): Promise<boolean> {
    return this.#send(key, storage('cas', key, value, exptime, cas), ({ line }) => line === 'STORED')
  }

  delete(key: string): Promise<boolean> {
    return this.#send(key, deletion(key), ({ line }) => line === 'DELETED')
  }

  touch(key: string, exptime: number): Promise<boolean> {
    return this.#send(key, touching(key, exptime), ({ line }) => line === 'TOUCHED')
  }

  async versions(): Promise<ReadonlyMap<string, string>> {
    const versions = await Promise.all(
      this.#connections.map(async (connection) => {
        const { name } = connection.server
        const version = await connection.send(VERSION, (reply) => checked(reply, name).line.slice('VERSION '.length))
        return [name, version] as const
      }),
    )
    return new Map(versions)
  }

  /** Ends the connections once what was sent is answered. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()))
  }

  /** What `take` makes of the reply, unless the server says that it could not do it. */
  #send<T>(key: string, request: Request, take: (reply: Reply) => T): Promise<T> {
    try {
      const connection = this.#connectionOf(key)
      return connection.send(request, (reply) => take(checked(reply, connection.server.name)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** @throws OptionError ERR_KEY */
  #connectionOf(key: string): MemcachedConnection {
    const known = this.#known.get(key)
    if (known !== undefined) return known
    assertKey(key)
    const connection = this.#connections[this.#ring === null ? 0 : this.#ring.indexOf(key)]
    if (connection === undefined) throw new StoreError('ERR_STORE_FAILED', 'There is no memcached server.')
    this.#known.set(key, connection)
    return connection
  }
}

/** Puts into `found` what one server has of these keys, or, for each that could not be asked for, why. */
async function retrieveInto(
  found: Map<string, Found>,
  connection: MemcachedConnection,
  keys: readonly string[],
): Promise<void> {
  await Promise.all(
    groupsOf(keys, MOST_KEYS).map(async (group) => {
      try {
        await connection.send(retrieval('get', group), (reply) => {
          for (const { key, data } of checked(reply, connection.server.name).values) found.set(key, data)
        })
      } catch (error) {
        if (!(error instanceof StoreError)) throw error
        for (const key of group) found.set(key, error)
      }
    }),
  )
}

/** Rule 2. @throws OptionError ERR_KEY */
function assertKey(key: string): void {
  if (KEY.test(key)) return
  const message = 'A memcached key must be 1 to 250 characters of printable ASCII without spaces.'
  throw new OptionError('ERR_KEY', 'key', message)
}

/** @throws StoreError where the server says that it could not do it (B45) */
function checked(reply: Reply, server: string): Reply {
  if (!reply.line.startsWith('SERVER_ERROR')) return reply
  const full = /out of memory|too large/i.test(reply.line)
  throw new StoreError(full ? 'ERR_STORE_FULL' : 'ERR_STORE_FAILED', `memcached at ${server} answered: ${reply.line}`)
}
