/** Clients of the `ioredis` package, and what looks like them: one server, sentinels, a cluster. */
import { ioredisLink, type RedisServer } from './redis-links.ts'
import type { ClientState, Ioredis, RedisClient, RedisCommand } from './redis-client.ts'

type Listener = (...args: unknown[]) => void

interface IoredisDetails {
  readonly isCluster?: unknown
  readonly options?: { readonly keyPrefix?: unknown; readonly host?: unknown; readonly port?: unknown }
  nodes?(role: 'master'): readonly Ioredis[]
}

function sendTo(client: Ioredis, command: RedisCommand): Promise<unknown> {
  const [name = '', ...args] = command
  return client.callBuffer(String(name).toLowerCase(), ...args)
}

export class IoredisAdapter implements RedisClient {
  readonly spread: boolean
  readonly keyPrefix: string
  readonly #client: Ioredis & IoredisDetails

  constructor(client: Ioredis & IoredisDetails) {
    this.#client = client
    this.spread = client.isCluster === true
    const prefix = client.options?.keyPrefix
    this.keyPrefix = typeof prefix === 'string' ? prefix : ''
  }

  get state(): ClientState {
    const { status } = this.#client
    if (status === 'ready') return 'ready'
    return status === 'end' ? 'absent' : 'waiting'
  }

  send(_key: string, command: RedisCommand): Promise<unknown> {
    return sendTo(this.#client, command)
  }

  async primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]> {
    return this.#nodes().map((node) => (command: RedisCommand) => sendTo(node, command))
  }

  async servers(): Promise<readonly RedisServer[]> {
    return this.#nodes().map((node) => {
      const { host, port } = node.options ?? {}
      return { id: `${String(host)}:${String(port)}`, link: () => ioredisLink(node) }
    })
  }

  #nodes(): readonly (Ioredis & IoredisDetails)[] {
    return this.spread ? (this.#client.nodes?.('master') ?? []) : [this.#client]
  }

  on(event: string, listener: Listener): void {
    this.#client.on(event, listener)
  }

  off(event: string, listener: Listener): void {
    this.#client.off(event, listener)
  }

  wake(): void {
    if (this.#client.status !== 'wait') return
    // Why it failed is in its `error` event, which the one who waits listens to.
    this.#client.connect().catch(() => undefined)
  }
}
