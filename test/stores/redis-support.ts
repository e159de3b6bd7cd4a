/** What the suites of RedisStore share: namespaces of their own, and the clients it takes. */
import { randomUUID } from 'node:crypto'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { RedisStore, type RedisOptions } from '../../src/stores/redis.ts'
import type { Service } from '../services/registry.ts'

/** A namespace that no other test has. */
export function namespace(): string {
  return `keepfresh-test:${randomUUID()}`
}

/** A store that removes what it wrote when it is closed, and then ends what else is given. */
export class TidyStore extends RedisStore {
  readonly #end: () => unknown
  #isTidy = false
  constructor(options: RedisOptions, end: () => unknown = () => undefined) {
    super({ namespace: namespace(), ...options })
    this.#end = end
  }

  override async close(): Promise<void> {
    if (!this.#isTidy) {
      this.#isTidy = true
      await this.clear()
      await super.close()
      await this.#end()
    }
    await super.close()
  }
}

type Way = readonly [name: string, open: (options?: RedisOptions) => Promise<TidyStore>]

/** Every way to one server: clients of ours, and those that were given to us. */
export function waysToServer({ url }: Service): readonly Way[] {
  return [
    ['redis, by URL', async (options) => new TidyStore({ ...options, url })],
    [
      'redis, an existing client',
      async (options) => {
        const client = createClient({ url })
        await client.connect()
        return new TidyStore({ ...options, client }, () => client.close())
      },
    ],
    [
      'ioredis',
      async (options) => {
        const client = new Redis(url)
        return new TidyStore({ ...options, client }, () => client.quit())
      },
    ],
  ]
}

/** Every way to a cluster. */
export function waysToCluster({ servers }: Service): readonly Way[] {
  const rootNodes = servers.map((server) => ({ url: `redis://${server}` }))
  return [
    [
      'redis, its root nodes',
      async (options) =>
        new TidyStore({ ...options, cluster: { rootNodes: servers.map((each) => `redis://${each}`) } }),
    ],
    [
      'redis, an existing client',
      async (options) => {
        const client = createCluster({ rootNodes })
        await client.connect()
        return new TidyStore({ ...options, client }, () => client.close())
      },
    ],
    [
      'ioredis',
      async (options) => {
        const nodes = servers.map((server) => {
          const [host = '', port] = server.split(':')
          return { host, port: Number(port) }
        })
        const client = new Cluster(nodes)
        return new TidyStore({ ...options, client }, () => client.quit())
      },
    ],
  ]
}
