/**
 * A store in one directory, a file an entry, for any number of processes (feature B3).
 *
 * 1. The file of an entry is three lines of text, and the body where it is short (file-entry.ts): a hit reads one file.
 * 2. A long body is in a file of its own that never changes (file-body.ts); the entry file is what makes it visible.
 * 3. Changes become visible by renaming a complete file, one at a time for each entry (file-changes.ts).
 * 4. Nothing is believed that was read: everything handed out is checked, and the key in the file is compared.
 * 5. Only files that this store made are ever removed, and only in a directory that bears its mark (file-layout.ts).
 */
import { StoreError } from '../errors.ts'
import { inlineBody } from '../engine/bytes.ts'
import type {
  BatchReadingStore,
  EntryChange,
  EntryHead,
  ListableStore,
  ListedEntry,
  ListQuery,
  LockingStore,
  MaybePromise,
  ReadOutcome,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'
import { bodyFileSize, fileBody } from './file-body.ts'
import { Bounds } from './file-bounds.ts'
import { Changes, space } from './file-changes.ts'
import { corruptFile, type EntryFile } from './file-entry.ts'
import { digestOf, openDirectory, type Layout } from './file-layout.ts'
import { Leases } from './file-leases.ts'
import { Leftovers } from './file-leftovers.ts'
import { Mutexes } from './file-mutex.ts'
import { checkSingle } from './options.ts'
import { settingsOf, type FileOptions, type FileSettings } from './file-options.ts'
import { EntryReader, type Loaded } from './file-reader.ts'
import { Files, reason } from './file-system.ts'
import { selects } from './listing.ts'
import { outcomeOf } from './read-many.ts'
import { digests, groups, inParallel, Lister, unreadable } from './file-walk.ts'

export type { FileOptions } from './file-options.ts'
export type { FileSystem } from './file-system.ts'

/** What `verify` found. */
export interface FileReport {
  /** Entries that are whole. */
  readonly entries: number
  /** Damaged entries, which were removed. */
  readonly damaged: number
  /** Leftovers of crashes, which were removed. */
  readonly leftovers: number
}

/** What there is once the directory is open. */
interface Parts {
  readonly layout: Layout
  readonly files: Files
  readonly reader: EntryReader
  readonly mutexes: Mutexes
  readonly changes: Changes
  readonly lister: Lister
  readonly leases: Leases
  readonly leftovers: Leftovers
  readonly bounds: Bounds
}

/** How often a read looks again where the entry is replaced between its file and its body's. */
const LOOKS = 3

/**
 * Entries as files in a directory.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { FileStore } from 'keepfresh/file'
 *
 * const fetch = createCachedFetch({ store: new FileStore('~/.cache/my-app/http') })
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.ok) // true
 * ```
 */
export class FileStore implements ListableStore, BatchReadingStore, LockingStore {
  readonly name = 'file' as const
  readonly limits: StoreLimits
  /** The directory, as an absolute path. */
  readonly dir: string
  readonly #settings: FileSettings
  #parts: Parts | null = null
  #collecting: Promise<void> = Promise.resolve()
  #closed = false

  /**
   * @param options the directory, or all options
   * @throws OptionError for a wrong option; with `strict`, StoreError where the directory cannot be opened
   */
  constructor(options: string | FileOptions = {}) {
    checkSingle('FileStore', arguments.length, "{ dir: 'http_cache', ... }")
    this.#settings = settingsOf(options)
    const { dir, inlineSize, maxEntrySize, strict } = this.#settings
    this.dir = dir
    this.limits = { maxEntrySize, inlineSize, persistent: true, shared: false }
    if (strict) this.#open()
  }

  /**
   * At once with `sync`, where the body is short; else by a promise.
   * @throws StoreError ERR_STORE_CORRUPT for a damaged entry; ERR_STORE_OPEN, ERR_STORE_FAILED
   */
  read(key: string): MaybePromise<StoredEntry | undefined> {
    const parts = this.#ready()
    const digest = digestOf(key)
    const path = parts.layout.entry(digest)
    if (this.#settings.sync) return this.#entryOf(parts, key, digest, path, parts.reader.loadSync(path))
    return parts.reader.load(path).then((found) => this.#entryOf(parts, key, digest, path, found))
  }

  /** A few files at a time, however many are asked for. @throws StoreError */
  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    this.#ready()
    const outcomes: ReadOutcome[] = Array.from(keys, () => undefined)
    await inParallel(keys.entries(), async ([index, key]) => {
      outcomes[index] = await outcomeOf(() => this.read(key))
    })
    return outcomes
  }

  #entryOf(
    parts: Parts,
    key: string,
    digest: string,
    path: string,
    found: Loaded | undefined,
  ): MaybePromise<StoredEntry | undefined> {
    if (found === undefined || found.entry.head.key !== key) return undefined
    if (parts.bounds.active) parts.bounds.used(path)
    const { entry, bytes } = found
    if (bytes === null) return this.#long(parts, key, digest, entry)
    return { ...entry.head, version: entry.version, body: inlineBody(bytes) }
  }

  /** Looks whether the body is there, before anyone is promised one; looks again where the entry was replaced in between. */
  async #long(
    parts: Parts,
    key: string,
    digest: string,
    entry: EntryFile,
    looks: number = LOOKS,
  ): Promise<StoredEntry | undefined> {
    const { files, layout, reader } = parts
    const found = await files.stat(layout.body(digest, entry.id))
    if (found?.size === bodyFileSize(entry.size, entry.chunk)) return this.#longEntry(parts, digest, entry)
    const path = layout.entry(digest)
    const again = await reader.load(path)
    if (again?.entry.id === entry.id) throw corruptFile(path, 'its body is gone or cut short')
    if (looks === 0)
      throw new StoreError('ERR_STORE_FAILED', `The entry ${path} is replaced faster than it can be read.`)
    if (again === undefined || again.bytes !== null) return this.#entryOf(parts, key, digest, path, again)
    return this.#long(parts, key, digest, again.entry, looks - 1)
  }

  #longEntry({ files, layout }: Parts, digest: string, { head, version, id, size, chunk }: EntryFile): StoredEntry {
    const body = fileBody(files, layout.body(digest, id), id, size, chunk, () => this.#ready())
    return { ...head, version, body }
  }

  /** @throws StoreError; with a stream, rejects with the stream's own error where that fails */
  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<void> {
    const { changes, bounds } = this.#ready()
    if (body instanceof Uint8Array) await changes.write(head, body)
    else await changes.writeStream(head, body)
    await bounds.enforce()
  }

  /** @throws StoreError */
  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    return this.#ready().changes.update(key, change, version)
  }

  /** @throws StoreError */
  async delete(keys: readonly string[]): Promise<number> {
    const { changes } = this.#ready()
    return this.#removeAll(keys.map(digestOf), (digest) => changes.remove(digest))
  }

  async #removeAll(some: readonly string[], remove: (digest: string) => Promise<boolean>): Promise<number> {
    const removed: string[] = []
    await inParallel(some, async (digest) => {
      if (!this.#closed && (await remove(digest))) removed.push(digest)
    })
    await this.#parts?.changes.flush(removed)
    return removed.length
  }

  /** In no particular order. */
  async *keys(): AsyncGenerator<string, void, undefined> {
    for await (const { key } of this.entries()) yield key
  }

  /** Entries without their bodies; without `order`, as they come. */
  async *entries(query: ListQuery = {}): AsyncGenerator<ListedEntry, void, undefined> {
    yield* this.#ready().lister.entries(query)
  }

  /** The paths of all entry files. The body of an entry is in its file, or beside it in the one named `.body`. */
  async *paths(): AsyncGenerator<string, void, undefined> {
    const { files, layout } = this.#ready()
    for await (const some of digests(files, layout)) for (const digest of some) yield layout.entry(digest)
  }

  /** Counts entries, and what they occupy on the disk in blocks of `blockBytes`. */
  async size(): Promise<StoreSize> {
    const { files, layout, bounds } = this.#ready()
    await bounds.settled()
    let entries = 0
    let bytes = 0
    const { blockBytes } = this.#settings
    const add = async (path: string): Promise<boolean> => {
      const found = await files.stat(path)
      bytes += space(found?.size ?? 0, blockBytes)
      return found !== null
    }
    for await (const folder of groups(files, layout)) {
      await inParallel(folder, async ({ digest, entry, bodies, temps }) => {
        if (entry && (await add(layout.entry(digest)))) entries += 1
        for (const id of bodies) await add(layout.body(digest, id))
        for (const id of temps) await add(layout.temp(digest, id))
      })
    }
    return { entries, bytes }
  }

  /** Deletes every entry there is now, damaged ones, too. Files that are not entries stay where they are. */
  async clear(): Promise<void> {
    const { files, layout, changes } = this.#ready()
    for await (const some of digests(files, layout)) await this.#removeAll(some, (digest) => changes.remove(digest))
  }

  async deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    const { files, layout, changes, reader } = this.#ready()
    let count = 0
    for await (const some of digests(files, layout)) {
      count += await this.#removeAll(some, async (digest) => {
        const entry = await reader.lines(layout.entry(digest)).catch(unreadable)
        if (entry === undefined || !selects(query, entry.head)) return false
        // Looked at again by the one who removes it: it may have been refreshed meanwhile.
        return changes.remove(digest, (present) => present !== null && selects(query, present.head))
      })
    }
    return count
  }

  /**
   * Reads everything, removes damaged entries and leftovers of crashes. Others may go on using the store.
   * @throws StoreError where the directory cannot be read
   */
  async verify(): Promise<FileReport> {
    const { files, layout, changes, leftovers } = this.#ready()
    let entries = 0
    let damaged = 0
    for await (const some of digests(files, layout)) {
      await inParallel(some, async (digest) => {
        const state = await this.#stateOf(digest)
        if (state === 'whole') entries += 1
        else if (state !== 'gone' && (await changes.remove(digest, (present) => (present?.version ?? null) === state)))
          damaged += 1
      })
    }
    return { entries, damaged, leftovers: await leftovers.collect() }
  }

  /** 'whole', 'gone', or for a damaged entry its version, null where that cannot be read. */
  async #stateOf(digest: string): Promise<string | null> {
    const parts = this.#ready()
    const path = parts.layout.entry(digest)
    let version: string | null = null
    try {
      const found = await parts.reader.load(path)
      if (found === undefined) return 'gone'
      version = found.entry.version
      if (digestOf(found.entry.head.key) !== digest) return version
      const entry =
        found.bytes === null ? await this.#long(parts, found.entry.head.key, digest, found.entry) : undefined
      if (entry === undefined) return 'whole'
      version = String(entry.version)
      for await (const _ of entry.body.open(0, entry.body.size)) if (this.#closed) return 'gone'
      return 'whole'
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      // Replaced or deleted while it was read.
      if (error.code === 'ERR_STORE_FAILED' && reason(error) === 'ENOENT') return 'gone'
      if (error.code !== 'ERR_STORE_CORRUPT') throw error
      // Damage beyond the lines leaves them readable: then only that version is removed.
      return version ?? (await parts.reader.lines(path).catch(unreadable))?.version ?? null
    }
  }

  /** @throws StoreError */
  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#ready().leases.lock(name, owner, lease)
  }

  /** @throws StoreError */
  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#ready().leases.renew(name, owner, lease)
  }

  /** @throws StoreError */
  async unlock(name: string, owner: string): Promise<boolean> {
    return this.#ready().leases.unlock(name, owner)
  }

  /** Ends housekeeping; changes that are under way are completed. */
  async close(): Promise<void> {
    this.#closed = true
    const parts = this.#parts
    this.#parts = null
    if (parts === null) return
    parts.leftovers.stop()
    parts.bounds.stop()
    await Promise.all([parts.bounds.settled(), this.#collecting])
    await parts.mutexes.close()
    parts.reader.clear()
  }

  #ready(): Parts {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', `The file store ${this.dir} is closed.`)
    return this.#parts ?? this.#open()
  }

  #open(): Parts {
    const settings = this.#settings
    const { fs, dir, extension } = settings
    const layout = openDirectory(fs, dir, extension)
    const files = new Files(fs)
    const reader = new EntryReader(files, settings.inlineSize)
    const reopen = (): void => void openDirectory(fs, dir, layout.extension)
    const mutexes = new Mutexes(files, layout, settings.busyTimeout, reopen)
    const leases = new Leases(files, layout, mutexes, settings.clock)
    const leftovers = new Leftovers(files, layout, reader, leases)
    const changes = new Changes({
      files,
      layout,
      reader,
      mutexes,
      settings,
      reopen,
      account: () => bounds.account(),
    })
    const bounds = new Bounds(files, layout, settings, (digest) => changes.remove(digest))
    const lister = new Lister(files, layout, reader)
    this.#parts = { layout, files, reader, mutexes, changes, lister, leases, leftovers, bounds }
    // Housekeeping must not keep the store from being used: what it could not do is left to the next who opens it.
    this.#collecting = leftovers.collectIfDue().catch(() => undefined)
    return this.#parts
  }
}
