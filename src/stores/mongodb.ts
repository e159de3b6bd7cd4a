/**
 * A store in MongoDB, or what speaks its protocol, for any number of processes and machines.
 *
 * 1. An entry is one flat document that people can read (mongodb-document.ts). A hit on a short body is one round trip, as is its write.
 * 2. A long body is in chunks beside it, written before it (mongodb-chunks.ts).
 * 3. Whether an entry is of use is decided by its reader: that the server removes what is not is a service, never relied upon.
 * 4. Every `_id` and every value compared is a string or a number of ours: no caller's text becomes a condition (RELIABILITY 138).
 * 5. Documents that are not of our format are never listed, counted or cleared.
 */
import { inlineBody } from '../engine/bytes.ts'
import type {
  BatchReadingStore,
  EntryChange,
  EntryHead,
  ListableStore,
  ListedEntry,
  ListQuery,
  LockingStore,
  ReadOutcome,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'
import { chunkedBody } from './chunks.ts'
import { keyHash } from './key-hash.ts'
import { MongoChunks } from './mongodb-chunks.ts'
import { MongoConnection } from './mongodb-connection.ts'
import {
  changeOf,
  corrupt,
  decoded,
  documentOf,
  isOutdated,
  MetaMemory,
  OURS,
  OURS_OF_ANY_FORMAT,
  OURS_SO_FAR,
  chunkedAs,
  type ChunkedAs,
} from './mongodb-document.ts'
import type { Document } from './mongodb-driver.ts'
import { isRefusal } from './mongodb-errors.ts'
import { MongoIndexes } from './mongodb-indexes.ts'
import { batches, conditionOf, listed } from './mongodb-listing.ts'
import { MongoLocks } from './mongodb-locks.ts'
import { settingsOf, type MongoOptions, type MongoSettings } from './mongodb-options.ts'
import { MongoReplacing } from './mongodb-replacing.ts'
import { outcomeNow } from './read-many.ts'
import { checkSize, storeBody, type BodyReader } from './store-body.ts'

export type { MongoOptions } from './mongodb-options.ts'
export type { MongoClientLike } from './mongodb-driver.ts'

/**
 * Entries in MongoDB.
 *
 * It connects at the first use, by itself and again where it has to. The package `mongodb` must be installed (`npm install mongodb`).
 * Close the store, or the fetch it was made for: the driver's sockets keep a process alive.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { MongoStore } from 'keepfresh/mongodb'
 *
 * const fetch = createCachedFetch({ store: new MongoStore('mongodb://localhost:27017/http_cache') })
 * ```
 */
export class MongoStore implements ListableStore, BatchReadingStore, LockingStore {
  readonly name = 'mongodb' as const
  readonly limits: StoreLimits
  readonly #settings: MongoSettings
  readonly #connection: MongoConnection
  readonly #memory = new MetaMemory()
  readonly #chunks: MongoChunks
  readonly #locks: MongoLocks
  readonly #replacing: MongoReplacing

  /**
   * @param options a URL, or all options; without any, localhost
   * @throws OptionError for a wrong option
   */
  constructor(options: string | MongoOptions = {}) {
    const settings = settingsOf(options)
    const { maxEntrySize, inlineSize, ttl } = settings
    this.limits = { maxEntrySize, inlineSize, persistent: true, shared: true }
    this.#settings = settings
    this.#connection = new MongoConnection(settings)
    this.#chunks = new MongoChunks(this.#connection, ttl)
    this.#locks = new MongoLocks(this.#connection)
    this.#replacing = new MongoReplacing(this.#connection, new MongoIndexes(this.#connection, ttl))
  }

  /**
   * Connects, and resolves when the server has answered.
   * @throws StoreError ERR_STORE_OPEN where it cannot be reached or refuses us, ERR_STORE_TIMEOUT where it is silent; StateError
   *   ERR_MISSING_PEER where `mongodb` is not installed
   */
  async ready(): Promise<void> {
    this.#connection.assertOpen()
    await this.#connection.ready()
  }

  /** @throws StoreError */
  read(key: string): Promise<StoredEntry | undefined> {
    const id = keyHash(key)
    return this.#connection.run(
      ({ entries }) => entries.findOne({ _id: id }),
      (document) => (document === null ? undefined : this.#entryOf(document)),
    )
  }

  /** @throws StoreError */
  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    this.#connection.assertOpen()
    const ids = keys.map(keyHash)
    const found = new Map<unknown, ReadOutcome>()
    for await (const documents of batches(this.#connection, { _id: { $in: [...new Set(ids)] } }, {})) {
      for (const document of documents)
        found.set(
          document['_id'],
          outcomeNow(() => this.#entryOf(document)),
        )
    }
    return ids.map((id) => found.get(id))
  }

  #entryOf(document: Document): StoredEntry | undefined {
    if (isOutdated(document)) return undefined
    const { body, size: _, ...entry } = decoded(document, this.#memory)
    if (body === null) throw corrupt(document, 'it has no body')
    return { ...entry, body: body instanceof Uint8Array ? inlineBody(body) : this.#chunkedBody(entry.key, body) }
  }

  #chunkedBody(key: string, chunked: ChunkedAs): StoredEntry['body'] {
    return chunkedBody(chunked.size, chunked.length, (n) => this.#chunks.read(key, chunked, n))
  }

  /** @throws StoreError; with a stream, rejects with the stream's own error where that fails */
  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    this.#connection.assertOpen()
    await storeBody(body, {
      key: head.key,
      limits: this.limits,
      whole: (bytes) => this.#publish(head, bytes),
      long: (reader, ahead) => this.#publishChunked(head, reader, ahead),
    })
  }

  async #publish(head: EntryHead, body: Uint8Array | ChunkedAs): Promise<void> {
    const id = keyHash(head.key)
    const before = await this.#replacing.put(documentOf(head, body, this.#settings.ttl), this.#memory.has(id))
    this.#memory.note(id)
    if (before !== null) await this.#drop([before])
  }

  /** The chunks of documents that are not there any more. */
  async #drop(documents: readonly Document[]): Promise<void> {
    const ids = documents.flatMap((document) => chunkedAs(document['chunks'])?.id ?? [])
    await this.#chunks.drop(ids)
  }

  async #publishChunked(head: EntryHead, reader: BodyReader, ahead: readonly Uint8Array[]): Promise<void> {
    const count = (size: number): void => checkSize(head.key, size, this.limits)
    const chunked = await this.#chunks.write(reader, ahead, this.#settings.chunkSize, count)
    try {
      await this.#publish(head, chunked)
    } catch (error) {
      // Where the answer was lost, the entry may be there.
      if (isRefusal(error)) await this.#chunks.discard(chunked.id)
      throw error
    }
    await this.#chunks.keep(chunked.id, head.keepUntil)
  }

  /** @throws StoreError */
  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    this.#connection.assertOpen()
    const changes = changeOf(change, version, this.#settings.ttl)
    if (changes === null) return false
    const before = await this.#replacing.change({ _id: keyHash(key), ...OURS, version }, changes)
    if (before === null) return false
    const chunked = chunkedAs(before['chunks'])
    // Chunks must not go before the document that names them.
    if (chunked !== null) await this.#chunks.keep(chunked.id, change.keepUntil)
    return true
  }

  /** @throws StoreError */
  async delete(keys: readonly string[]): Promise<number> {
    this.#connection.assertOpen()
    const ids = [...new Set(keys.map(keyHash))]
    for (const id of ids) this.#memory.delete(id)
    return this.#replacing.remove(ids, {}, (gone) => this.#drop(gone))
  }

  async *keys(): AsyncGenerator<string, void, undefined> {
    for await (const { key } of this.entries()) yield key
  }

  /** Entries in the order and number asked for, which the server sees to; without an order, in that of their `_id`. */
  entries(query: ListQuery = {}): AsyncGenerator<ListedEntry, void, undefined> {
    return listed(this.#connection, query)
  }

  /** Entries, and the bytes of their documents and chunks, before the server compresses them. */
  async size(): Promise<StoreSize> {
    return this.#connection.ask(async ({ database, entries, names: [first, second] }) => {
      const count = await entries.countDocuments(OURS)
      let bytes = 0
      for (const collStats of [first, second]) {
        const { size } = await database.command({ collStats })
        bytes += typeof size === 'number' ? size : 0
      }
      return { entries: count, bytes }
    })
  }

  /** Deletes every entry of ours, also of other formats, and what nobody needs any more; documents of others stay. */
  async clear(): Promise<void> {
    await this.#removeAll(OURS_OF_ANY_FORMAT)
  }

  /** @throws StoreError */
  deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    return this.#removeAll({ ...conditionOf(query), ...OURS_SO_FAR })
  }

  async #removeAll(condition: Document): Promise<number> {
    this.#memory.clear()
    let count = 0
    for await (const documents of batches(this.#connection, condition, { projection: { _id: 1 } })) {
      const ids = documents.map((document) => document['_id'])
      count += await this.#replacing.remove(ids, condition, (gone) => this.#drop(gone))
    }
    await this.#chunks.sweep()
    return count
  }

  /** @throws StoreError */
  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    this.#connection.assertOpen()
    return this.#locks.take(name, owner, lease)
  }

  /** @throws StoreError */
  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    this.#connection.assertOpen()
    return this.#locks.renew(name, owner, lease)
  }

  /** @throws StoreError */
  async unlock(name: string, owner: string): Promise<boolean> {
    this.#connection.assertOpen()
    return this.#locks.drop(name, owner)
  }

  /** Waits for what is under way, then closes the client, if it is ours. */
  async close(): Promise<void> {
    this.#chunks.stop()
    this.#memory.clear()
    await this.#connection.close()
  }
}
