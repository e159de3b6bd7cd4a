/**
 * A store in a DynamoDB table, for any number of processes and machines.
 *
 * 1. A hit on a short body is one request. Long bodies are in items beside their entry (dynamodb-bodies.ts).
 * 2. DynamoDB may drop an entry when it is of no more use; whether it is, is decided by its reader, not by DynamoDB.
 * 3. What is not of our namespace and our shape is never read, counted or removed (dynamodb-names.ts), and no table is ever deleted.
 */
import {
  type BatchReadingStore,
  type Clock,
  type EntryChange,
  type EntryHead,
  type ListableStore,
  type ListedEntry,
  type ListQuery,
  type LockingStore,
  type ReadOutcome,
  type StoredEntry,
  type StoreLimits,
  type StoreSize,
  type Version,
} from '../engine/ports.ts'
import { randomId, type ChunkedAs } from '../engine/record.ts'
import { DynamoBatches } from './dynamodb-batch.ts'
import { DynamoBodies } from './dynamodb-bodies.ts'
import { DynamoConnection } from './dynamodb-connection.ts'
import { DynamoEntries } from './dynamodb-entries.ts'
import { DynamoLifetimes } from './dynamodb-lifetimes.ts'
import { DynamoListing } from './dynamodb-listing.ts'
import { DynamoLocks } from './dynamodb-locks.ts'
import { DynamoNames } from './dynamodb-names.ts'
import { LARGEST_VALUE, optionsOfUrl, settingsOf, type DynamoOptions } from './dynamodb-options.ts'
import { arranged } from './listing.ts'
import { deleteSelected } from './record-listing.ts'
import { checkSize, storeBody } from './store-body.ts'
import { SYSTEM_CLOCK } from './system-clock.ts'

export type { DynamoOptions } from './dynamodb-options.ts'
export type { DynamoClientLike } from './dynamodb-client.ts'

/** A body up to this many bytes has room beside any head that is worth the name. */
const SURELY_FITS = 64 * 1024
/** More than what a record and a checksum add to a head and a body. */
const RECORD = 64

/**
 * Entries in a DynamoDB table, which may hold other things, and other caches under other namespaces.
 *
 * Nothing is connected to before the first use. The package `@aws-sdk/client-dynamodb` must be installed
 * (`npm install @aws-sdk/client-dynamodb`), even where a client is given.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { DynamoStore } from 'keepfresh/dynamodb'
 *
 * const store = new DynamoStore({ table: 'http_cache', clientOptions: { region: 'eu-central-1' }, createIfNotExists: true })
 * const fetch = createCachedFetch({ store })
 * ```
 */
export class DynamoStore implements ListableStore, BatchReadingStore, LockingStore {
  readonly name = 'dynamodb'
  readonly limits: StoreLimits
  readonly #connection: DynamoConnection
  readonly #entries: DynamoEntries
  readonly #bodies: DynamoBodies
  readonly #lifetimes: DynamoLifetimes
  readonly #listing: DynamoListing
  readonly #locks: DynamoLocks

  /**
   * @param options a table, or all options
   * @param clock ms since the epoch; by it items get their lifetimes, and leases end
   * @throws OptionError for a wrong option
   */
  constructor(options: string | DynamoOptions = {}, clock: Clock = SYSTEM_CLOCK) {
    const settings = settingsOf(options)
    const { maxEntrySize, inlineSize, consistentRead } = settings
    this.limits = { maxEntrySize, inlineSize, persistent: true, shared: true }
    const names = new DynamoNames(settings)
    this.#connection = new DynamoConnection(settings)
    this.#lifetimes = new DynamoLifetimes(settings, clock)
    const batches = new DynamoBatches(this.#connection, names, consistentRead)
    this.#bodies = new DynamoBodies(settings, this.#connection, names, batches, this.#lifetimes)
    this.#entries = new DynamoEntries(this.#connection, names, batches, this.#bodies, this.#lifetimes, consistentRead)
    this.#listing = new DynamoListing(names, batches, this.#bodies, clock)
    this.#locks = new DynamoLocks(this.#connection, names, this.#lifetimes)
  }

  /**
   * Looks at the table, makes it where it is missing and `createIfNotExists` is set, and resolves when it can be used.
   * @throws StoreError ERR_STORE_OPEN where it is missing or we may not use it, ERR_STORE_FORMAT where it has other keys,
   *   ERR_STORE_TIMEOUT; StateError ERR_MISSING_PEER where the SDK is not installed
   */
  ready(): Promise<void> {
    return this.#connection.ready()
  }

  read(key: string): Promise<StoredEntry | undefined> {
    return this.#entries.read(key)
  }

  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    this.#connection.assertOpen()
    return this.#entries.readMany(keys)
  }

  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    this.#connection.assertOpen()
    const { maxEntrySize } = this.limits
    const size = body instanceof Uint8Array ? body.length : undefined
    await storeBody(body, {
      key: head.key,
      limits: { maxEntrySize, inlineSize: inlineLimit(head, this.limits, size) },
      whole: (bytes) => this.#entries.publish(head, inItem(bytes), bytes),
      long: async (reader, ahead) => {
        const until = this.#lifetimes.ofNewChunks(head.keepUntil)
        const check = (length: number): void => checkSize(head.key, length, this.limits)
        await this.#entries.publish(head, await this.#bodies.write(head.key, until, reader, ahead, check), null)
      },
    })
  }

  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    this.#connection.assertOpen()
    return this.#entries.update(key, change, version)
  }

  async delete(keys: readonly string[]): Promise<number> {
    this.#connection.assertOpen()
    return this.#entries.delete([...new Set(keys)])
  }

  async *keys(): AsyncGenerator<string> {
    for await (const { key } of this.entries()) yield key
  }

  entries(query: ListQuery = {}): AsyncGenerator<ListedEntry> {
    return arranged(this.#listing.listed(query), query)
  }

  /** Reads, and is billed for, the whole table. `bytes` is what entries and their bodies take. */
  async size(): Promise<StoreSize> {
    let entries = 0
    let bytes = 0
    for await (const { size, meta } of this.#listing.listed({})) {
      entries++
      bytes += size + JSON.stringify(meta).length
    }
    return { entries, bytes }
  }

  /** Deletes what is of this store and its namespace, never the table. Who reads a long body meanwhile meets an error. */
  async clear(): Promise<void> {
    this.#connection.assertOpen()
    await this.#listing.clear()
  }

  /** Reads, and is billed for, the whole table; also removes what killed processes left behind. */
  async deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    this.#connection.assertOpen()
    return deleteSelected(this.#listing.purged(query), (keys) => this.delete(keys))
  }

  /** @throws StoreError */
  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#locks.lock(name, owner, lease)
  }

  /** @throws StoreError */
  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#locks.renew(name, owner, lease)
  }

  /** @throws StoreError */
  async unlock(name: string, owner: string): Promise<boolean> {
    return this.#locks.unlock(name, owner)
  }

  /** Waits for requests under way; a client that was given stays open. */
  async close(): Promise<void> {
    this.#entries.close()
    await this.#connection.close()
  }
}

/**
 * A store by URL: `dynamodb:table?region=eu-central-1`, with `endpoint`, `profile`, `namespace` and `createIfNotExists=true` as more
 * parameters. With an endpoint on this machine (DynamoDB Local) any region and credentials will do, and none need be set.
 * @throws OptionError ERR_STORE_URL, ERR_OPTION_VALUE
 * @example
 * ```ts
 * const store = dynamoStoreFromUrl('dynamodb:http_cache?endpoint=http://127.0.0.1:8000&createIfNotExists=true')
 * ```
 */
export function dynamoStoreFromUrl(url: string): DynamoStore {
  return new DynamoStore(optionsOfUrl(url))
}

/** A body in the item of its entry is one chunk, however short. */
function inItem({ length }: Uint8Array): ChunkedAs {
  return { id: randomId(), length: Math.max(1, length), size: length }
}

/** The longest body that goes into the item of its entry: `inlineSize`, or less beside a large head. */
function inlineLimit(head: EntryHead, { inlineSize }: StoreLimits, size: number = inlineSize): number {
  if (size <= SURELY_FITS) return inlineSize
  return Math.max(0, Math.min(inlineSize, LARGEST_VALUE - RECORD - Buffer.byteLength(JSON.stringify(head))))
}
