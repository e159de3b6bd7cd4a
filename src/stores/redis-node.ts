/** Clients of the `redis` package: one server or a pool, a cluster, sentinels. */
import { isReply } from './redis-errors.ts'
import { nodeLink, notSupported, type RedisLink, type RedisServer } from './redis-links.ts'
import type {
  ClientState,
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisSentinel,
  RedisClient,
  RedisCommand,
} from './redis-client.ts'

/**
 * Bulk strings (`$`, 36) as Buffers. No timeout: the client's own makes an AbortSignal for each command, and covers only the wait
 * before it is sent; the store has one of its own (deadlines.ts).
 */
const OPTIONS = { typeMapping: { 36: Buffer }, timeout: undefined } as const

type Listener = (...args: unknown[]) => void

abstract class NodeAdapter<C extends NodeRedisClient | NodeRedisCluster | NodeRedisSentinel> implements RedisClient {
  readonly spread: boolean = false
  readonly keyPrefix = ''
  protected readonly client: C & { readonly isReady?: boolean }

  constructor(client: C) {
    this.client = client
  }

  get state(): ClientState {
    const { isOpen, isReady } = this.client
    // A pool, and the cluster of version 5, do not say whether they are ready.
    if (isReady ?? isOpen) return 'ready'
    return isOpen ? 'waiting' : 'absent'
  }

  abstract send(key: string, command: RedisCommand): Promise<unknown>
  abstract primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]>
  abstract servers(): Promise<readonly RedisServer[]>

  on(event: string, listener: Listener): void {
    this.client.on(event, listener)
  }

  off(event: string, listener: Listener): void {
    this.client.off(event, listener)
  }

  /** A client that was never connected is its owner's to connect. */
  wake(): void {}
}

export class NodeStandalone extends NodeAdapter<NodeRedisClient> {
  send(_key: string, command: RedisCommand): Promise<unknown> {
    return this.client.sendCommand(command, OPTIONS)
  }

  async primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]> {
    return [(command) => this.client.sendCommand(command, OPTIONS)]
  }

  async servers(): Promise<readonly RedisServer[]> {
    return [{ id: 'the server', link: () => nodeLink(this.client) }]
  }
}

/** Makes a connection to the server that a node names. */
export type LinkTo = (node: { readonly host: string; readonly port: number }) => RedisLink

export class NodeSentinel extends NodeAdapter<NodeRedisSentinel> {
  readonly #linkTo: LinkTo | null

  /** @param linkTo null: the client was given, and does not tell what it connects with */
  constructor(client: NodeRedisSentinel, linkTo: LinkTo | null = null) {
    super(client)
    this.#linkTo = linkTo
  }

  send(_key: string, command: RedisCommand): Promise<unknown> {
    return this.client.sendCommand(false, command, OPTIONS)
  }

  async primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]> {
    return [(command) => this.client.sendCommand(false, command, OPTIONS)]
  }

  async servers(): Promise<readonly RedisServer[]> {
    const linkTo = this.#linkTo
    if (linkTo === null) throw notSupported('a sentinel client of `redis`')
    const { host, port } = (this.client.getMasterNode() ?? {}) as { host?: unknown; port?: unknown }
    if (typeof host !== 'string' || typeof port !== 'number') throw new Error('there is no primary at the moment')
    return [{ id: `${host}:${port}`, link: () => linkTo({ host, port }) }]
  }

  /** It looks for the primary again when it is used, and otherwise only when a sentinel has news. */
  override wake(): void {
    // What comes of it is in its events, which the one who waits listens to.
    if (this.state === 'waiting') this.send('', ['PING']).catch(() => undefined)
  }
}

export class NodeCluster extends NodeAdapter<NodeRedisCluster> {
  override readonly spread = true

  send(key: string, command: RedisCommand): Promise<unknown> {
    return this.client.sendCommand(key, false, command, OPTIONS)
  }

  async primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]> {
    const nodes = await this.#nodes()
    return nodes.map(
      ({ node }) =>
        (command: RedisCommand) =>
          node.sendCommand(command, OPTIONS),
    )
  }

  async servers(): Promise<readonly RedisServer[]> {
    const nodes = await this.#nodes()
    return nodes.map(({ node, address }) => ({ id: address, link: () => nodeLink(node) }))
  }

  async #nodes(): Promise<readonly { readonly node: NodeRedisClient; readonly address: string }[]> {
    const { masters } = this.client
    const nodes = await Promise.all(masters.map((master) => this.client.nodeClient(master)))
    return nodes.flatMap((node, index) => {
      const { address } = (masters[index] ?? {}) as { address?: unknown }
      return isNode(node) ? [{ node, address: String(address ?? index) }] : []
    })
  }
}

/** How long a cluster client of ours is kept, at least, in ms, before a failing connection makes us ask anew who serves what. */
const REDISCOVER = 1000

/**
 * A cluster client of ours. Its connections are not made again by themselves, and what it knows of the slots is from when it was
 * opened: when one fails, it is given up, and the next one asks the cluster.
 */
export class OwnNodeCluster extends NodeCluster {
  readonly #since = performance.now()
  #isSpent = false

  override get state(): ClientState {
    return this.#isSpent ? 'absent' : super.state
  }

  override async send(key: string, command: RedisCommand): Promise<unknown> {
    try {
      return await super.send(key, command)
    } catch (error) {
      if (!isReply(error) && performance.now() - this.#since > REDISCOVER) this.#isSpent = true
      throw error
    }
  }
}

function isNode(value: unknown): value is NodeRedisClient {
  return typeof value === 'object' && value !== null && 'sendCommand' in value
}
