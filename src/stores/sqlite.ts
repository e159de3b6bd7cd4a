/**
 * A store in one SQLite file, for any number of processes.
 *
 * 1. A short body is in the row of its entry: a hit is one SELECT, a write one INSERT, both synchronous. Writes that nobody waits for
 *    are made together (sqlite-writes.ts).
 * 2. A long body is in chunks; it becomes an entry with its last transaction (sqlite-stream.ts).
 * 3. Every row that is read is checked against its checksum; chunks are checked as they stream. What is read again and again is kept for as
 *    long as nobody changes anything (sqlite-recent.ts).
 * 4. A reader of a replaced long body reads on: its chunks stay until its streams have ended; another process's reader may see
 *    its stream fail, but never other bytes.
 */
import { StoreError } from '../errors.ts'
import { inlineBody } from '../engine/bytes.ts'
import { crc32 } from '../engine/crc32.ts'
import type {
  BatchReadingStore,
  EntryChange,
  EntryHead,
  GatheringStore,
  ListableStore,
  ListedEntry,
  ListQuery,
  LockingStore,
  MaybePromise,
  ReadOutcome,
  StoredBody,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'
import { encodeMetaText } from '../engine/record.ts'
import { chunkedBody, chunkSum } from './chunks.ts'
import { SqliteAccess } from './sqlite-access.ts'
import type { SqliteDatabase, SqlValue } from './sqlite-driver.ts'
import { SqliteGarbage } from './sqlite-garbage.ts'
import { nameOf } from './sqlite-key.ts'
import { listed } from './sqlite-listing.ts'
import { SqliteLocks } from './sqlite-locks.ts'
import { SqliteMany } from './sqlite-many.ts'
import { checkSingle } from './options.ts'
import { settingsOf, type SqliteOptions, type SqliteSettings } from './sqlite-options.ts'
import { purge } from './sqlite-purge.ts'
import { SqliteRecent } from './sqlite-recent.ts'
import { corruptEntry, headSum, isMeta, MetaMemory } from './sqlite-row.ts'
import type { Statements } from './sqlite-statements.ts'
import { readChunk, writeLong } from './sqlite-stream.ts'
import { growth, SqliteWrites } from './sqlite-writes.ts'
import { checkSize, storeBody } from './store-body.ts'

export type { SqliteOptions } from './sqlite-options.ts'
export type { SqliteDatabase, SqliteDriver, SqliteStatement, SqlValue } from './sqlite-driver.ts'

const EMPTY = new Uint8Array()

/** Changes that `bulk` collects and makes in one transaction. */
export interface SqliteBatch {
  write(head: EntryHead, body: Uint8Array): void
  delete(keys: readonly string[]): void
}

/**
 * Entries in one SQLite file that any number of processes may share; the database is opened at the first use. On Node.js it needs
 * nothing installed (docs/stores/sqlite.md).
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const store = new SqliteStore({ path: 'http.db', busyTimeout: 1000 })
 * await using fetch = createCachedFetch({ store, autoClose: true })
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.ok) // true
 * ```
 */
export class SqliteStore implements ListableStore, BatchReadingStore, GatheringStore, LockingStore {
  readonly name = 'sqlite' as const
  readonly limits: StoreLimits
  /** The file, as an absolute path; `:memory:` where there is none. */
  readonly path: string
  readonly #settings: SqliteSettings
  readonly #access: SqliteAccess
  readonly #garbage: SqliteGarbage
  readonly #writes: SqliteWrites
  readonly #memory = new MetaMemory()
  readonly #recent = new SqliteRecent()
  readonly #many: SqliteMany = new SqliteMany({
    run: (action) => this.#access.run((_, database) => action(database)),
    entryOf: (key, row) => this.#entryOf(key, row),
    read: (key) => this.read(key),
  })
  /** For the database that is open now. */
  #locking: { readonly database: SqliteDatabase; readonly locks: SqliteLocks } | null = null

  /**
   * @param options the file, or all options
   * @throws OptionError for a wrong option; with `strict`, StoreError where the file cannot be opened
   */
  constructor(options: string | SqliteOptions = {}) {
    checkSingle('SqliteStore', arguments.length, "{ path: 'http.db', ... }")
    this.#settings = settingsOf(options)
    const { path, inlineSize, maxEntrySize, memory, strict, readOnly, busyTimeout } = this.#settings
    this.path = path
    this.limits = { maxEntrySize, inlineSize, persistent: !memory, shared: false }
    this.#access = new SqliteAccess(this.#settings, () => {
      // A database made anew counts its ids from the start.
      this.#memory.clear()
      this.#recent.clear()
      if (!readOnly) this.#garbage.collectAbandoned(busyTimeout)
    })
    this.#garbage = new SqliteGarbage(this.#access)
    this.#writes = new SqliteWrites(this.#access, memory ? null : path, () => this.#garbage.collectSometime())
    if (strict) this.#access.open()
  }

  /** @throws StoreError */
  read(key: string): StoredEntry | undefined {
    this.#writes.flushFor(key)
    return this.#access.run((statements) => this.#recent.get(key, statements) ?? this.#read(key, statements))
  }

  #read(key: string, statements: Statements): StoredEntry | undefined {
    const name = nameOf(key)
    const row = statements.read.get(name)
    if (row === undefined) return undefined
    if (!this.#recent.isDue(row, statements)) return this.#entryOf(key, row)
    const again = statements.read.get(name)
    if (again === undefined) return undefined
    const entry = this.#entryOf(key, again)
    this.#recent.keep(entry, again)
    return entry
  }

  /** @throws StoreError */
  readMany(keys: readonly string[]): readonly ReadOutcome[] {
    this.#writes.flush()
    return this.#many.read(keys)
  }

  #entryOf(key: string, row: readonly SqlValue[]): StoredEntry {
    const [id, version, created, expires, keep, size, chunk, crc, sum, meta, body] = row
    const createdAt = Number(created)
    const expiresAt = Number(expires)
    const keepUntil = Number(keep)
    if (!isMeta(meta) || headSum(createdAt, expiresAt, keepUntil, Number(size), meta) !== crc) {
      throw corruptEntry(key, this.path, 'the checksum of its head is wrong')
    }
    return {
      key,
      meta: this.#memory.decode(Number(id), Number(version), crc, meta),
      createdAt,
      expiresAt,
      keepUntil,
      version: `${String(id)}.${String(version)}`,
      body: this.#body(key, Number(id), Number(size), Number(chunk), Number(sum), body),
    }
  }

  #body(key: string, id: number, size: number, chunk: number, sum: number, body: unknown): StoredBody {
    if (chunk > 0) {
      const long = { key, id, size, chunk }
      const read = (n: number): Uint8Array => readChunk(this.#access, this.path, long, n)
      return chunkedBody(size, chunk, read, (stream) => this.#garbage.hold(id, stream))
    }
    const bytes = body instanceof Uint8Array ? body : EMPTY
    if (bytes.length !== size || crc32(bytes) !== sum)
      throw corruptEntry(key, this.path, 'the checksum of its body is wrong')
    return inlineBody(bytes)
  }

  /** @throws StoreError; with a stream, rejects with the stream's own error where that fails */
  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): MaybePromise<void> {
    if (body instanceof Uint8Array) return this.#writeWhole(head, body)
    const written = storeBody(body, {
      key: head.key,
      limits: this.limits,
      whole: (bytes) => this.#writeWhole(head, bytes),
      long: (...source) =>
        writeLong(this.#access, head, source, {
          chunkSize: this.#settings.chunkSize,
          limits: this.limits,
          publishing: () => this.#writes.flushFor(head.key),
        }),
    })
    return written.finally(() => this.#garbage.collectSoon())
  }

  #writeWhole(head: EntryHead, body: Uint8Array): void {
    checkSize(head.key, body.length, this.limits)
    this.#writes.flushFor(head.key)
    const insert = this.#inserting(head, body)
    if (body.length > this.#settings.inlineSize) this.#access.change(insert)
    else this.#access.run(insert)
    this.#access.grew(growth(body.length))
    this.#garbage.collectSoon()
  }

  /** @throws StoreError */
  writeSoon(head: EntryHead, body: Uint8Array, failed: (error: unknown) => void): void {
    const { inlineSize, readOnly } = this.#settings
    // What cannot be written at all is told at once.
    if (body.length > inlineSize || readOnly) return this.#writeWhole(head, body)
    checkSize(head.key, body.length, this.limits)
    this.#access.open()
    this.#writes.add(head.key, body.length, this.#inserting(head, body), failed)
  }

  /** One statement where the body is short; for a long one the caller opens a transaction. */
  #inserting(head: EntryHead, body: Uint8Array): (statements: Statements) => void {
    const { inlineSize, chunkSize } = this.#settings
    const { key, createdAt, expiresAt, keepUntil } = head
    const meta = encodeMetaText(head.meta)
    const crc = headSum(createdAt, expiresAt, keepUntil, body.length, meta)
    const chunk = body.length > inlineSize ? chunkSize : 0
    const row = [nameOf(key), 0, createdAt, expiresAt, keepUntil, body.length, chunk, crc]
    if (chunk === 0) return ({ replace }) => void replace.run(...row, crc32(body), meta, body)
    return ({ replace, addChunk }) => {
      const id = Number(replace.run(...row, 0, meta, null).lastInsertRowid)
      for (let n = 0; n * chunk < body.length; n++) {
        const data = body.subarray(n * chunk, (n + 1) * chunk)
        addChunk.run(id, n, chunkSum(data, n), data)
      }
    }
  }

  flush(): void {
    this.#writes.flush()
  }

  /** @throws StoreError */
  update(key: string, change: EntryChange, version: Version): boolean {
    this.#writes.flushFor(key)
    const [id = NaN, count = NaN] = String(version).split('.').map(Number)
    const isDone = this.#access.run(({ unchanged, update }) => {
      const row = unchanged.get(nameOf(key), id, count)
      if (row === undefined) return false
      const meta = encodeMetaText(change.meta)
      const crc = headSum(Number(row[0]), change.expiresAt, change.keepUntil, Number(row[1]), meta)
      return Number(update.run(meta, change.expiresAt, change.keepUntil, crc, nameOf(key), id, count).changes) === 1
    })
    if (isDone) this.#access.grew(growth(0))
    return isDone
  }

  /** @throws StoreError */
  delete(keys: readonly string[]): number {
    for (const key of keys) this.#writes.flushFor(key)
    const one = ({ deleteKey }: Statements, key: string): number => Number(deleteKey.run(nameOf(key)).changes)
    const [first] = keys
    if (first === undefined) return this.#access.run(() => 0)
    const count =
      keys.length === 1
        ? this.#access.run((statements) => one(statements, first))
        : this.#access.change((statements) => keys.reduce((sum, key) => sum + one(statements, key), 0))
    if (count > 0) {
      this.#access.grew(count * growth(0))
      this.#garbage.collectSoon()
    }
    return count
  }

  /** @throws StoreError */
  lock(name: string, owner: string, lease: number): boolean {
    return this.#locks((locks) => locks.take(name, owner, lease))
  }

  /** @throws StoreError */
  renew(name: string, owner: string, lease: number): boolean {
    return this.#locks((locks) => locks.renew(name, owner, lease))
  }

  /** @throws StoreError */
  unlock(name: string, owner: string): boolean {
    return this.#locks((locks) => locks.drop(name, owner))
  }

  #locks<T>(action: (locks: SqliteLocks) => T): T {
    return this.#access.run((_, database) => {
      if (this.#locking?.database !== database) this.#locking = { database, locks: new SqliteLocks(database) }
      return action(this.#locking.locks)
    })
  }

  async *keys(): AsyncGenerator<string, void, undefined> {
    for await (const { key } of this.entries({ order: 'key' })) yield key
  }

  entries(query: ListQuery = {}): AsyncGenerator<ListedEntry, void, undefined> {
    this.#writes.flush()
    return listed((read) => this.#access.run((_, database) => read(database)), query)
  }

  /** Entries, and the bytes of the database (without its write-ahead log). */
  size(): StoreSize {
    this.#writes.flush()
    return this.#access.run(({ count, pages }) => ({
      entries: Number(count.get()?.[0] ?? 0),
      bytes: Number(pages.get()?.[0] ?? 0),
    }))
  }

  /** Deletes every entry there is now. A damaged database of ours is removed and made anew. */
  async clear(): Promise<void> {
    try {
      await this.deleteWhere({})
    } catch (error) {
      const isDamaged = error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT'
      if (!isDamaged || !this.#access.recreate()) throw error
    }
  }

  async deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    this.#writes.flush()
    const count = await purge(this.#access, query)
    await this.#garbage.collect()
    return count
  }

  /** Gives free space back to the disk. Holds the event loop and the file while it works. */
  vacuum(): void {
    this.#writes.flush()
    this.#access.vacuum()
  }

  /**
   * Collects the changes `action` makes through its batch, and makes them in one transaction when it has ended; none where it
   * fails. Any number of scopes may be open at once.
   */
  async bulk<T>(action: (batch: SqliteBatch) => MaybePromise<T>): Promise<T> {
    const changes: ((statements: Statements) => void)[] = []
    let bytes = 0
    const result = await action({
      write: (head, body) => {
        checkSize(head.key, body.length, this.limits)
        changes.push(this.#inserting(head, body))
        bytes += growth(body.length)
      },
      delete: (keys) => void changes.push(({ deleteKey }) => keys.forEach((key) => deleteKey.run(nameOf(key)))),
    })
    this.#writes.flush()
    this.#access.change((statements) => changes.forEach((change) => change(statements)))
    this.#access.grew(bytes)
    this.#garbage.collectSoon()
    return result
  }

  close(): void {
    this.#writes.flush()
    this.#memory.clear()
    this.#recent.clear()
    this.#locking = null
    this.#many.close()
    this.#access.close()
  }
}
