/**
 * Putting, changing and removing documents so that whoever does it learns whose chunks are of no more use.
 *
 * 1. One key is one command. Of many, short ones go by one command for all; those with chunks each by one of its own, which says what
 *    it removed: what another process replaces meanwhile loses no chunks, and leaves none.
 * 2. A server that cannot answer with a part of a document (FerretDB 1) answers with all of it.
 */
import type { MongoConnection } from './mongodb-connection.ts'
import type { Collections, Document } from './mongodb-driver.ts'
import { isDuplicate, isNotImplemented } from './mongodb-errors.ts'
import type { MongoIndexes } from './mongodb-indexes.ts'

const AT_ONCE = 500
/** Two who put the first document of a key at once: the later one finds the other's on its next try. */
const TRIES = 5

type FindAndModify = (collections: Collections, options: Document) => Promise<Document | null>

export class MongoReplacing {
  readonly #connection: MongoConnection
  readonly #indexes: MongoIndexes
  #projects = true

  constructor(connection: MongoConnection, indexes: MongoIndexes) {
    this.#connection = connection
    this.#indexes = indexes
  }

  /**
   * Puts a document in place of the one of its `_id`; what was there.
   * @param isKnown whether one is expected there; where it is not, inserting is tried first, which is what a server does best
   */
  async put(document: Document, isKnown: boolean): Promise<Document | null> {
    for (let tries = isKnown ? 1 : 0; ; tries++) {
      try {
        return tries === 0 ? await this.#insert(document) : await this.#replace(document)
      } catch (error) {
        if (tries === TRIES || !(error instanceof Error) || !isDuplicate(error.cause)) throw error
      }
    }
  }

  #insert(document: Document): Promise<null> {
    const insert = (collections: Collections): Promise<unknown> => {
      this.#indexes.want(collections)
      return collections.entries.insertOne(document)
    }
    return this.#connection.run(insert, () => null)
  }

  #replace({ _id, ...rest }: Document): Promise<Document | null> {
    return this.#ask((collections, options) => {
      this.#indexes.want(collections)
      return collections.entries.findOneAndReplace({ _id }, rest, { upsert: true, ...options })
    })
  }

  /** Changes the document that the filter finds; what was there. */
  change(filter: Document, change: Document): Promise<Document | null> {
    return this.#ask(({ entries }, options) => entries.findOneAndUpdate(filter, change, options))
  }

  /** Removes documents by their `_id` where the condition holds; `dropped` is told of those that were removed. */
  async remove(
    ids: readonly unknown[],
    condition: Document,
    dropped: (documents: readonly Document[]) => Promise<void>,
  ): Promise<number> {
    let count = 0
    for (let from = 0; from < ids.length; from += AT_ONCE) {
      const some = ids.slice(from, from + AT_ONCE)
      if (some.length > 1) count += await this.#removeShort(some, condition)
      const long = some.length > 1 ? await this.#withChunks(some, condition) : some
      const results = await Promise.allSettled(long.map((_id) => this.#removeOne({ ...condition, _id })))
      const removed: Document[] = []
      for (const result of results)
        if (result.status === 'fulfilled' && result.value !== null) removed.push(result.value)
      count += removed.length
      await dropped(removed)
      const failed = results.find((result) => result.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
    return count
  }

  async #removeShort(ids: readonly unknown[], condition: Document): Promise<number> {
    const short = { ...condition, _id: { $in: ids }, chunks: { $exists: false } }
    const { deletedCount } = await this.#connection.ask(({ entries }) => entries.deleteMany(short))
    return deletedCount
  }

  async #withChunks(ids: readonly unknown[], condition: Document): Promise<readonly unknown[]> {
    const filter = { ...condition, _id: { $in: ids }, chunks: { $exists: true } }
    const options = { projection: { _id: 1 }, batchSize: AT_ONCE + 1 }
    const found = await this.#connection.ask(async ({ entries }) => {
      const cursor = entries.find(filter, options)
      return (await cursor.hasNext()) ? cursor.readBufferedDocuments() : []
    })
    return found.map((document) => document['_id'])
  }

  #removeOne(filter: Document): Promise<Document | null> {
    return this.#ask(({ entries }, options) => entries.findOneAndDelete(filter, options))
  }

  /** Rule 2. */
  async #ask(action: FindAndModify): Promise<Document | null> {
    if (this.#projects) {
      try {
        return await this.#connection.ask((collections) => action(collections, { projection: { chunks: 1 } }))
      } catch (error) {
        if (!(error instanceof Error) || !isNotImplemented(error.cause)) throw error
        this.#projects = false
      }
    }
    return this.#connection.ask((collections) => action(collections, {}))
  }
}
