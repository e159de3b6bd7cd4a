/**
 * The indexes, made with the first write of a client.
 *
 * 1. They make the store quick and tidy, never right: what a server does not have, it goes without (FerretDB 1 has no TTL index).
 * 2. With `ttl: false` the index by which the server removes entries is removed; entries written then have no date for it.
 */
import type { MongoConnection } from './mongodb-connection.ts'
import type { Collection, Collections } from './mongodb-driver.ts'
import { isAnswer } from './mongodb-errors.ts'

const TTL = 'keepfresh_gone'

export class MongoIndexes {
  readonly #connection: MongoConnection
  readonly #ttl: boolean
  #madeFor: Collections | null = null

  constructor(connection: MongoConnection, ttl: boolean) {
    this.#connection = connection
    this.#ttl = ttl
  }

  /** Has them made, once a client. What fails for want of a connection is tried again with a later write. */
  want(collections: Collections): void {
    if (this.#madeFor === collections) return
    this.#madeFor = collections
    this.#make(collections).catch(() => {
      this.#madeFor = null
    })
  }

  async #make({ entries, chunks, locks }: Collections): Promise<void> {
    const make = (collection: Collection, keys: Readonly<Record<string, 1>>, options: object): Promise<void> =>
      this.#tolerant(() => collection.createIndex(keys, { ...options }))
    const expiring = { name: TTL, expireAfterSeconds: 0 }
    await make(entries, { keepfresh: 1, expiresAt: 1 }, { name: 'keepfresh_expiresAt' })
    if (this.#ttl) await make(entries, { gone: 1 }, expiring)
    else await this.#tolerant(() => entries.dropIndex(TTL))
    await make(chunks, { gone: 1 }, expiring)
    await make(locks, { gone: 1 }, expiring)
  }

  /** Rule 1: what the server answers is as good as done; a connection that fails is not. */
  async #tolerant(action: () => Promise<unknown>): Promise<void> {
    try {
      await this.#connection.ask(action)
    } catch (error) {
      if (!(error instanceof Error) || !isAnswer(error.cause)) throw error
    }
  }
}
