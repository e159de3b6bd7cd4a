/**
 * Clients of ours, of the `redis` package, which is loaded when the first one is made.
 *
 * 1. They do not connect again by themselves: the store does, when it is used, so that none of them keeps a process alive or works
 *    for nobody. (Sentinel's do: they have to follow a change of the primary.)
 * 2. They queue nothing while there is no connection.
 * 3. Their sockets do not keep the process alive.
 */
import { missingPeer } from './peer.ts'
import type { NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClient } from './redis-client.ts'
import { linkOf, ONCE, PLAIN, type NodeCopy } from './redis-links.ts'
import { NodeSentinel, NodeStandalone, OwnNodeCluster, type LinkTo } from './redis-node.ts'
import type { RedisSettings } from './redis-options.ts'

/** A client of ours, not connected yet. */
export interface OwnClient {
  readonly client: RedisClient
  connect(): Promise<unknown>
  destroy(): void
}

type Made<C> = C & { readonly isOpen: boolean; connect(): Promise<unknown>; destroy(): unknown; unref?(): void }

/** What we use of the package. */
interface RedisPackage {
  createClient(options: object): Made<NodeRedisClient> & NodeCopy
  createCluster(options: object): Made<NodeRedisCluster>
  createSentinel(options: object): Made<NodeRedisSentinel>
}

type Loose = Readonly<Record<string, unknown>>

/** @throws StateError ERR_MISSING_PEER */
async function load(): Promise<RedisPackage> {
  try {
    const { createClient, createCluster, createSentinel } = await import('redis')
    return { createClient, createCluster, createSentinel } as RedisPackage
  } catch (cause) {
    const message = 'RedisStore needs the package `redis`: npm install redis. Or give it a `client` of ioredis.'
    throw missingPeer(cause, message)
  }
}

/** Makes a client as the settings say. */
export async function makeClient(settings: RedisSettings): Promise<OwnClient> {
  const redis = await load()
  if (settings.cluster !== null) return makeCluster(redis, settings, settings.cluster.rootNodes)
  const { clientOptions, sentinel } = settings
  if (sentinel !== null) {
    const nodeClientOptions = connectionOptions(settings, clientOptions['nodeClientOptions'])
    const made = redis.createSentinel({ ...clientOptions, ...sentinel, nodeClientOptions })
    const linkTo: LinkTo = (node) => {
      const socket: Loose = isObject(nodeClientOptions['socket']) ? nodeClientOptions['socket'] : {}
      return linkOf(redis.createClient({ ...nodeClientOptions, ...PLAIN, socket: { ...socket, ...node, ...ONCE } }))
    }
    return own(made, new NodeSentinel(made, linkTo))
  }
  const options = connectionOptions(settings, clientOptions)
  const made = redis.createClient(settings.url === null ? options : { ...options, url: settings.url })
  made.unref?.()
  return own(made, new NodeStandalone(made))
}

function own(made: Made<object>, client: RedisClient): OwnClient {
  return {
    client,
    connect: () => made.connect(),
    destroy: () => {
      // Version 5 refuses to end twice. Some answer with a promise of their end; what fails then was given up anyway.
      if (made.isOpen) void Promise.resolve(made.destroy()).catch(() => undefined)
    },
  }
}

/** Options of one connection: what the caller says, and ours where it says nothing. */
function connectionOptions({ connectTimeout, sentinel }: RedisSettings, given: unknown): Loose {
  const options: Loose = isObject(given) ? given : {}
  const socket: Loose = isObject(options['socket']) ? options['socket'] : {}
  const ours = sentinel === null ? { connectTimeout, reconnectStrategy: false } : { connectTimeout }
  return { disableOfflineQueue: true, ...options, socket: { ...ours, ...socket } }
}

function makeCluster(redis: RedisPackage, settings: RedisSettings, roots: readonly (string | object)[]): OwnClient {
  const { clientOptions } = settings
  const defaults = connectionOptions(settings, clientOptions['defaults'])
  const made = redis.createCluster({
    // A node is connected to when it is needed: one that is down must not keep us from the others.
    minimizeConnections: true,
    ...clientOptions,
    rootNodes: roots.map((root) => (typeof root === 'string' ? { url: root } : root)),
    defaults: { ...credentialsOf(roots[0]), ...defaults, socket: { ...tlsOf(roots[0]), ...socketOf(defaults) } },
  })
  made.on('node-connect', () => {
    for (const { client } of made.masters as readonly { client?: { unref?(): void } }[]) client?.unref?.()
  })
  return own(made, new OwnNodeCluster(made))
}

function socketOf({ socket }: Loose): Loose {
  return isObject(socket) ? socket : {}
}

/** The library uses what is in a root node's URL for that node alone. */
function credentialsOf(root: string | object | undefined): Loose {
  if (typeof root !== 'string') return {}
  const { username, password } = new URL(root)
  return {
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  }
}

function tlsOf(root: string | object | undefined): Loose {
  return typeof root === 'string' && root.startsWith('rediss:') ? { tls: true } : {}
}

function isObject(value: unknown): value is Loose {
  return typeof value === 'object' && value !== null
}
