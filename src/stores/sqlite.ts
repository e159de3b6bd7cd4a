/**
 * A store in one SQLite file, for any number of processes.
 *
 * 1. A short body is in the row of its entry: a hit is one SELECT, a write one INSERT, both synchronous.
 * 2. A long body is in chunks; it becomes an entry with its last transaction (sqlite-stream.ts).
 * 3. Every read checks the checksum of what it returns; chunks are checked as they stream.
 * 4. A reader of a replaced long body reads on: its chunks stay until its streams have ended; another process's reader may see
 *    its stream fail, but never other bytes.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from '../engine/crc32.ts'
import type {
  EntryChange,
  EntryHead,
  ListableStore,
  ListedEntry,
  ListQuery,
  LockingStore,
  MaybePromise,
  StoredBody,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'
import { encodeMetaText } from '../engine/record.ts'
import { rmSync } from 'node:fs'
import { chunkedBody, chunkSum, inlineBody } from './chunks.ts'
import { connect, patiently, transaction } from './sqlite-connection.ts'
import { storeError, type SqliteDatabase } from './sqlite-driver.ts'
import { listed } from './sqlite-listing.ts'
import { SqliteLocks } from './sqlite-locks.ts'
import { settingsOf, type SqliteOptions, type SqliteSettings } from './sqlite-options.ts'
import { corruptEntry, headSum, isMeta, MetaMemory } from './sqlite-row.ts'
import { inSlices } from './sqlite-slices.ts'
import { prepareAll, type Statements } from './sqlite-statements.ts'
import { tooLarge, writeStream } from './sqlite-stream.ts'

export type { SqliteOptions } from './sqlite-options.ts'
export type { SqliteDatabase, SqliteDriver, SqliteStatement, SqlValue } from './sqlite-driver.ts'

/** How old an unfinished body must be, in ms, to count as abandoned by a process that died. */
const ABANDONED = 3_600_000
const EMPTY = new Uint8Array()

/** Changes that `bulk` collects and makes in one transaction. */
export interface SqliteBatch {
  write(head: EntryHead, body: Uint8Array): void
  delete(keys: readonly string[]): void
}

interface Connection {
  readonly database: SqliteDatabase
  readonly statements: Statements
  locks: SqliteLocks | null
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
export class SqliteStore implements ListableStore, LockingStore {
  readonly name = 'sqlite' as const
  readonly limits: StoreLimits
  /** The file, as an absolute path; `:memory:` where there is none. */
  readonly path: string
  readonly #settings: SqliteSettings
  readonly #memory = new MetaMemory()
  /** Streams open now, by entry id: their chunks are not collected. */
  readonly #held = new Map<number, number>()
  #connection: Connection | null = null
  #closed = false
  #collecting: Promise<void> | null = null

  /**
   * @param options the file, or all options
   * @throws OptionError for a wrong option; with `strict`, StoreError where the file cannot be opened
   */
  constructor(options: string | SqliteOptions = {}) {
    this.#settings = settingsOf(options)
    const { path, inlineSize, maxEntrySize, memory, strict } = this.#settings
    this.path = path
    this.limits = { maxEntrySize, inlineSize, persistent: !memory, shared: false }
    if (strict) this.#open()
  }

  /** @throws StoreError */
  read(key: string): StoredEntry | undefined {
    return this.#run(({ read }) => {
      const row = read.get(key)
      if (row === undefined) return undefined
      const [id, version, created, expires, keep, size, chunk, crc, sum, meta, body] = row
      const head = { key, createdAt: Number(created), expiresAt: Number(expires), keepUntil: Number(keep) }
      if (!isMeta(meta) || headSum(head.createdAt, head.expiresAt, head.keepUntil, Number(size), meta) !== crc) {
        throw corruptEntry(key, this.path, 'the checksum of its head is wrong')
      }
      return {
        ...head,
        meta: this.#memory.decode(key, Number(id), Number(version), Number(crc), meta),
        version: `${String(id)}.${String(version)}`,
        body: this.#body(key, Number(id), Number(size), Number(chunk), Number(sum), body),
      }
    })
  }

  #body(key: string, id: number, size: number, chunk: number, sum: number, body: unknown): StoredBody {
    if (chunk > 0)
      return chunkedBody(
        size,
        chunk,
        (n) => this.#chunk(key, id, size, chunk, n),
        () => this.#hold(id),
      )
    const bytes = body instanceof Uint8Array ? body : EMPTY
    if (bytes.length !== size || crc32(bytes) !== sum)
      throw corruptEntry(key, this.path, 'the checksum of its body is wrong')
    return inlineBody(bytes)
  }

  #chunk(key: string, id: number, size: number, length: number, n: number): Uint8Array {
    return this.#run(({ chunk, exists }) => {
      const [crc, data] = chunk.get(id, n) ?? []
      if (
        data instanceof Uint8Array &&
        data.length === Math.min(length, size - n * length) &&
        chunkSum(data, n) === crc
      )
        return data
      if (data !== undefined || exists.get(id) !== undefined)
        throw corruptEntry(key, this.path, `chunk ${n} is missing or its checksum wrong`)
      throw new StoreError(
        'ERR_STORE_FAILED',
        `The entry ${key} was replaced or deleted by another process while its body was read.`,
      )
    })
  }

  #hold(id: number): () => void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = (this.#held.get(id) ?? 1) - 1
      if (left > 0) return void this.#held.set(id, left)
      this.#held.delete(id)
      if (!this.#closed && !this.#settings.readOnly) this.#collectSoon()
    }
  }

  /** @throws StoreError; with a stream, rejects with the stream's own error where that fails */
  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): MaybePromise<void> {
    if (body instanceof Uint8Array) return this.#writeWhole(head, body)
    const { inlineSize, chunkSize, maxEntrySize } = this.#settings
    return writeStream(
      {
        inlineSize,
        chunkSize,
        maxEntrySize,
        writeWhole: (entry, bytes) => this.#writeWhole(entry, bytes),
        change: (action) => this.#change(action),
        collect: () => this.#collect().catch(() => undefined),
      },
      head,
      body,
    )
  }

  #writeWhole(head: EntryHead, body: Uint8Array): void {
    if (body.length > this.#settings.inlineSize) this.#change((statements) => this.#insert(statements, head, body))
    else this.#run((statements) => this.#insert(statements, head, body))
    this.#collectSoon()
  }

  /** One statement where the body is short; for a long one the caller opens a transaction. */
  #insert({ replace, addChunk }: Statements, head: EntryHead, body: Uint8Array): void {
    const { inlineSize, chunkSize, maxEntrySize } = this.#settings
    if (body.length > maxEntrySize) throw tooLarge(head.key, maxEntrySize)
    const { key, createdAt, expiresAt, keepUntil } = head
    const meta = encodeMetaText(head.meta)
    const crc = headSum(createdAt, expiresAt, keepUntil, body.length, meta)
    const chunk = body.length > inlineSize ? chunkSize : 0
    const row = [key, 0, createdAt, expiresAt, keepUntil, body.length, chunk, crc]
    if (chunk === 0) return void replace.run(...row, crc32(body), meta, body)
    const id = Number(replace.run(...row, 0, meta, null).lastInsertRowid)
    for (let n = 0; n * chunk < body.length; n++) {
      const data = body.subarray(n * chunk, (n + 1) * chunk)
      addChunk.run(id, n, chunkSum(data, n), data)
    }
  }

  /** @throws StoreError */
  update(key: string, change: EntryChange, version: Version): boolean {
    const [id = NaN, count = NaN] = String(version).split('.').map(Number)
    return this.#run(({ unchanged, update }) => {
      const row = unchanged.get(key, id, count)
      if (row === undefined) return false
      const meta = encodeMetaText(change.meta)
      const crc = headSum(Number(row[0]), change.expiresAt, change.keepUntil, Number(row[1]), meta)
      return Number(update.run(meta, change.expiresAt, change.keepUntil, crc, key, id, count).changes) === 1
    })
  }

  /** @throws StoreError */
  delete(keys: readonly string[]): number {
    const one = ({ deleteKey }: Statements, key: string): number => {
      this.#memory.forget(key)
      return Number(deleteKey.run(key).changes)
    }
    const [first] = keys
    if (first === undefined) return this.#run(() => 0)
    const count =
      keys.length === 1
        ? this.#run((statements) => one(statements, first))
        : this.#change((statements) => keys.reduce((sum, key) => sum + one(statements, key), 0))
    if (count > 0) this.#collectSoon()
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
    return this.#run((_, database) => {
      const locks = this.#connection?.locks ?? new SqliteLocks(database)
      if (this.#connection !== null) this.#connection.locks = locks
      return action(locks)
    })
  }

  async *keys(): AsyncGenerator<string, void, undefined> {
    for await (const { key } of this.entries({ order: 'key' })) yield key
  }

  entries(query: ListQuery = {}): AsyncGenerator<ListedEntry, void, undefined> {
    return listed((read) => this.#run((_, database) => read(database)), query)
  }

  /** Entries, and the bytes of the database (without its write-ahead log). */
  size(): StoreSize {
    return this.#run(({ count, pages }) => ({
      entries: Number(count.get()?.[0] ?? 0),
      bytes: Number(pages.get()?.[0] ?? 0),
    }))
  }

  /** Deletes every entry there is now. A damaged database is removed and made anew. */
  async clear(): Promise<void> {
    try {
      await this.deleteWhere({})
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'ERR_STORE_CORRUPT' || this.path === ':memory:') throw error
      this.#recreate()
    }
  }

  async deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    const { expiredAt = Infinity, createdBefore = Infinity } = query
    let count = 0
    this.#memory.clear()
    if (query.expiredAt !== undefined && query.createdBefore === undefined) {
      await inSlices((n) => {
        const changes = this.#run(({ deleteExpired }) => Number(deleteExpired.run(expiredAt, n).changes))
        count += changes
        return changes === n
      }, 16)
    } else {
      const last = this.#run(({ newest }) => Number(newest.get()?.[0] ?? 0))
      let from = 0
      await inSlices((n) => {
        const end = this.#run(({ windowEnd }) => windowEnd.get(from, last, n)?.[0])
        if (typeof end !== 'number') return false
        count += this.#run(({ deleteWindow }) => Number(deleteWindow.run(from, end, expiredAt, createdBefore).changes))
        from = end
        return true
      }, 16)
    }
    await this.#collect()
    return count
  }

  /** Gives free space back to the disk. Holds the event loop and the file while it works. */
  vacuum(): void {
    this.#run((_, database) => database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)'))
  }

  /**
   * Collects the changes `action` makes through its batch, and makes them in one transaction when it has ended; none where it
   * fails. Any number of scopes may be open at once.
   */
  async bulk<T>(action: (batch: SqliteBatch) => MaybePromise<T>): Promise<T> {
    const changes: ((statements: Statements) => void)[] = []
    const result = await action({
      write: (head, body) => void changes.push((statements) => this.#insert(statements, head, body)),
      delete: (keys) => void changes.push(({ deleteKey }) => keys.forEach((key) => deleteKey.run(key))),
    })
    this.#change((statements) => changes.forEach((change) => change(statements)))
    this.#memory.clear()
    this.#collectSoon()
    return result
  }

  close(): void {
    this.#closed = true
    this.#memory.clear()
    const connection = this.#connection
    this.#connection = null
    connection?.database.close()
  }

  #open(): Connection {
    const database = connect(this.#settings)
    try {
      this.#connection = { database, statements: prepareAll(database), locks: null }
    } catch (error) {
      database.close()
      throw storeError(error, this.path)
    }
    if (!this.#settings.readOnly) this.#collectAbandoned()
    return this.#connection
  }

  /** Runs statements that need no transaction of their own, with SQLite's errors as StoreError. */
  #run<T>(action: (statements: Statements, database: SqliteDatabase) => T): T {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', `The SQLite store ${this.path} is closed.`)
    const { statements, database } = this.#connection ?? this.#open()
    try {
      return action(statements, database)
    } catch (error) {
      throw storeError(error, this.path)
    }
  }

  #change<T>(action: (statements: Statements) => T): T {
    return this.#run((statements, database) =>
      transaction(database, this.#settings.busyTimeout, () => action(statements)),
    )
  }

  #collectAbandoned(): void {
    try {
      const before = Date.now() - ABANDONED
      this.#run(({ abandoned, deleteAbandoned }) => {
        if (abandoned.get(before) !== undefined)
          patiently(this.#settings.busyTimeout, () => deleteAbandoned.run(before))
      })
      this.#collectSoon()
    } catch (error) {
      // Housekeeping must not keep the file from being read: it is left to the next who opens it.
      if (!(error instanceof StoreError)) throw error
    }
  }

  /** Collects in the background, if there is something to collect. */
  #collectSoon(): void {
    if (this.#collecting !== null) return
    try {
      if (this.#run(({ garbage }) => garbage.get(0) === undefined)) return
    } catch {
      // The change before this one is made and must not be reported as failed; the next use meets the same error.
      return
    }
    // What fails here stays listed in the table of garbage, for the next collection.
    this.#collect().catch(() => undefined)
  }

  /** Removes the chunks of deleted entries, save those being read. */
  #collect(): Promise<void> {
    if (this.#collecting !== null) return this.#collecting
    let passed = 0
    const step = (n: number): boolean => {
      if (this.#closed) return false
      return this.#run(({ garbage, deleteChunks, deleteGarbage }) => {
        const entry = garbage.get(passed)?.[0]
        if (typeof entry !== 'number') return false
        if (this.#held.has(entry)) passed = entry
        else if (Number(deleteChunks.run(entry, n).changes) < n) deleteGarbage.run(entry)
        return true
      })
    }
    const work = inSlices(step, 1).finally(() => {
      this.#collecting = null
    })
    this.#collecting = work
    return work
  }

  /** Row 209: the file is beyond repair. It was ours when it was opened. */
  #recreate(): void {
    this.#connection?.database.close()
    this.#connection = null
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(this.path + suffix, { force: true })
    this.#open()
  }
}
