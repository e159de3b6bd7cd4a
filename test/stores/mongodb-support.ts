/** What the suites of MongoStore share: collections of their own, removed afterwards, and the ways to a server. */
import { randomUUID } from 'node:crypto'
import { MongoClient } from 'mongodb'
import { MongoStore, type MongoOptions } from '../../src/stores/mongodb.ts'

/** The database of all tests. */
export const DATABASE = 'keepfresh_test'

/** A collection that no other test has. */
export function freshCollection(): string {
  return `c${randomUUID().slice(0, 13)}`
}

/** Removes what a store made. */
export async function removeCollections(client: MongoClient, collection: string): Promise<void> {
  for (const name of [collection, `${collection}.chunks`, `${collection}.locks`]) {
    await client.db(DATABASE).dropCollection(name)
  }
}

/** A store that removes what it wrote when it is closed. */
export class TidyStore extends MongoStore {
  readonly collection: string
  readonly #url: string
  readonly #end: () => unknown
  #isTidy = false

  constructor(url: string, options: MongoOptions = {}, end: () => unknown = () => undefined) {
    const collection = options.collection ?? freshCollection()
    super({ database: DATABASE, ...(options.client === undefined ? { url } : {}), ...options, collection })
    this.collection = collection
    this.#url = url
    this.#end = end
  }

  override async close(): Promise<void> {
    await super.close()
    if (this.#isTidy) return
    this.#isTidy = true
    await this.#end()
    const client = new MongoClient(this.#url)
    await removeCollections(client, this.collection)
    await client.close()
  }
}

type Way = readonly [name: string, open: (options?: MongoOptions) => Promise<TidyStore>]

/** Every way to a server: a client of ours, and one that was given to us. */
export function waysTo(url: string): readonly Way[] {
  return [
    ['a client of ours', async (options) => new TidyStore(url, options)],
    [
      'an existing client',
      async (options) => {
        // Options that a user may have for other things must not change what we read.
        const client = new MongoClient(url, { promoteValues: false, useBigInt64: false, promoteBuffers: false })
        return new TidyStore(url, { ...options, client }, () => client.close())
      },
    ],
  ]
}
