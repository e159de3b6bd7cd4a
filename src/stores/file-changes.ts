/**
 * Writing, changing and removing entries.
 *
 * 1. A file is written under a name of its own, and renamed to the entry's when it is complete: that is the moment of the change.
 * 2. That moment, and everything that depends on what is there, is under the mutex of the entry: a change of metadata meets the
 *    version it was made for, and what was deleted does not come back.
 * 3. What a failure leaves is removed at once or, where that fails too, an hour later; it is never visible.
 */
import { StoreError } from '../errors.ts'
import type { EntryChange, EntryHead, Version } from '../engine/ports.ts'
import { bodyFileSize, tooLarge, writeBody } from './file-body.ts'
import { corruptFile, decodeEntry, encodeEntry, type EntryFile, type EntryOwn } from './file-entry.ts'
import { digestOf, newId, type Layout } from './file-layout.ts'
import type { Mutexes } from './file-mutex.ts'
import type { FileSettings } from './file-options.ts'
import type { EntryReader } from './file-reader.ts'
import { reason, type Files } from './file-system.ts'
import { pieces, storeBody } from './store-body.ts'

const EMPTY = new Uint8Array()

/** Told what a change made of the numbers of entries and of bytes on the disk. */
export type Balance = (entries: number, bytes: number) => void

/** What changes work on. */
export interface Ground {
  readonly files: Files
  readonly layout: Layout
  readonly reader: EntryReader
  readonly mutexes: Mutexes
  readonly settings: FileSettings
  /** Makes the directory anew, where it was removed under us. */
  readonly reopen: () => void
  /** Called before a change, for what is told of it after. */
  readonly account: () => Balance
}

export class Changes {
  readonly #ground: Ground
  readonly #flush: boolean
  /** Folders that are there, as far as we know. */
  readonly #folders = new Set<string>()

  constructor(ground: Ground) {
    this.#ground = ground
    this.#flush = ground.settings.durability === 'full'
  }

  async write(head: EntryHead, body: Uint8Array): Promise<void> {
    const { inlineSize, maxEntrySize, chunkSize } = this.#ground.settings
    if (body.length > maxEntrySize) throw tooLarge(head.key, maxEntrySize)
    if (body.length > inlineSize) return this.#long(head, slices(body, chunkSize))
    await this.#publish(head, { id: newId(), edition: 0, size: body.length, chunk: 0 }, body)
  }

  /** Consumes the stream, or cancels it where the store fails; rejects with the stream's own error where that fails. */
  writeStream(head: EntryHead, stream: ReadableStream<Uint8Array>): Promise<void> {
    const { settings } = this.#ground
    return storeBody(stream, {
      key: head.key,
      limits: settings,
      whole: (bytes) => this.write(head, bytes),
      long: (reader, ahead) => this.#long(head, pieces(reader, ahead, settings.chunkSize)),
    })
  }

  async #long(head: EntryHead, parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const { files, layout, settings } = this.#ground
    const digest = digestOf(head.key)
    const id = newId()
    const path = layout.body(digest, id)
    // Looked at again: a stream cannot be read twice, so that there is no second attempt.
    this.#folders.delete(layout.folder(digest))
    await this.#folder(digest)
    const limits = { key: head.key, limit: settings.maxEntrySize, flush: this.#flush }
    const size = await writeBody(files, path, id, parts, limits)
    await this.#publish(head, { id, edition: 0, size, chunk: settings.chunkSize }, EMPTY)
  }

  /** Makes an entry visible, and removes the body of the one it replaces; its own body where that fails. */
  async #publish(head: EntryHead, own: EntryOwn, body: Uint8Array): Promise<void> {
    const { files, layout, account, settings } = this.#ground
    const digest = digestOf(head.key)
    const balance = account()
    let old: EntryFile | null
    let taken: number
    try {
      const bytes = encodeEntry(head, own, body)
      taken = this.#space(bytes.length, own)
      if (taken > settings.maxBytes) throw tooLarge(head.key, settings.maxBytes)
      old = await this.#replace(digest, bytes)
    } catch (error) {
      // A disk that is far away may report a failure of what it did: then the body is in use.
      if (own.chunk > 0 && (await this.#present(digest))?.id !== own.id)
        await files.discard(layout.body(digest, own.id))
      throw error
    }
    balance(old === null ? 1 : 0, taken - (old === null ? 0 : this.#spaceOf(old)))
    await this.#discardBody(digest, old)
    if (this.#flush) await files.flushFolder(layout.folder(digest))
  }

  /** Puts a file in place of the entry there is, which it returns. */
  async #replace(digest: string, bytes: Uint8Array): Promise<EntryFile | null> {
    const { files, layout, mutexes } = this.#ground
    const temp = layout.temp(digest, newId())
    await this.#making(digest, () => files.save(temp, bytes, this.#flush))
    try {
      return await mutexes.run(digest, async (check) => {
        const present = await this.#present(digest)
        check()
        await files.rename(temp, layout.entry(digest))
        return present
      })
    } catch (error) {
      await files.discard(temp)
      throw error
    }
  }

  /**
   * Changes metadata; false where the version is gone.
   * @throws StoreError
   */
  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    const { files, layout, mutexes } = this.#ground
    const digest = digestOf(key)
    const path = layout.entry(digest)
    const done = await mutexes.run(digest, async (check) => {
      const bytes = await files.load(path)
      if (bytes === null) return false
      const entry = decodeEntry(bytes, path)
      if (entry.version !== version || entry.head.key !== key) return false
      if (bytes.length !== entry.bodyAt + entry.bodyLength) throw corruptFile(path, 'its length is wrong')
      const own = { ...entry, edition: entry.edition + 1 }
      const head = { ...entry.head, meta: change.meta, expiresAt: change.expiresAt, keepUntil: change.keepUntil }
      const temp = layout.temp(digest, newId())
      await files.save(temp, encodeEntry(head, own, bytes.subarray(entry.bodyAt), entry.bodySum), this.#flush)
      try {
        check()
        await files.rename(temp, path)
      } catch (error) {
        await files.discard(temp)
        throw error
      }
      return true
    })
    if (done && this.#flush) await files.flushFolder(layout.folder(digest))
    return done
  }

  /**
   * Removes an entry if it is `wanted`; null stands for one that cannot be read. Whether it was removed.
   * @throws StoreError
   */
  async remove(digest: string, wanted: (entry: EntryFile | null) => boolean = () => true): Promise<boolean> {
    const { files, layout, mutexes, account } = this.#ground
    const path = layout.entry(digest)
    const balance = account()
    const found = await mutexes.run(digest, async (check) => {
      const entry = await this.#present(digest)
      if (!wanted(entry)) return { removed: false, entry }
      check()
      return { removed: await files.remove(path), entry }
    })
    if (!found.removed) return false
    await this.#discardBody(digest, found.entry)
    balance(-1, found.entry === null ? 0 : -this.#spaceOf(found.entry))
    return true
  }

  /** Makes removals last, where changes are flushed. */
  async flush(some: Iterable<string>): Promise<void> {
    if (!this.#flush) return
    const { files, layout } = this.#ground
    for (const folder of new Set(Array.from(some, (digest) => layout.folder(digest)))) await files.flushFolder(folder)
  }

  /** The entry there is, as far as it can be read. */
  async #present(digest: string): Promise<EntryFile | null> {
    try {
      return (await this.#ground.reader.lines(this.#ground.layout.entry(digest))) ?? null
    } catch (error) {
      // It is only asked for its body, which is collected later if it stays unknown here.
      if (error instanceof StoreError) return null
      throw error
    }
  }

  async #discardBody(digest: string, entry: EntryFile | null): Promise<void> {
    const { files, layout } = this.#ground
    if (entry !== null && entry.chunk > 0) await files.discard(layout.body(digest, entry.id))
  }

  #spaceOf(entry: EntryFile): number {
    return this.#space(entry.bodyAt + entry.bodyLength, entry)
  }

  #space(length: number, { size, chunk }: EntryOwn): number {
    const { blockBytes } = this.#ground.settings
    return space(length, blockBytes) + (chunk === 0 ? 0 : space(bodyFileSize(size, chunk), blockBytes))
  }

  /** Makes a file in the folder of an entry, and the folder where there is none. */
  async #making(digest: string, make: () => Promise<void>): Promise<void> {
    await this.#folder(digest)
    try {
      await make()
    } catch (error) {
      if (reason(error) !== 'ENOENT') throw error
      this.#folders.clear()
      await this.#folder(digest)
      await make()
    }
  }

  async #folder(digest: string): Promise<void> {
    const { files, layout, reopen } = this.#ground
    const path = layout.folder(digest)
    if (this.#folders.has(path)) return
    try {
      await files.mkdir(path)
    } catch (error) {
      if (reason(error) !== 'ENOENT') throw error
      reopen()
      await files.mkdir(path)
    }
    if ((await files.stat(path))?.isDirectory() !== true) {
      throw new StoreError('ERR_STORE_OPEN', `The file store does not use ${path}: it is no folder, or a link to one.`)
    }
    if (this.#flush) await files.flushFolder(layout.entries)
    this.#folders.add(path)
  }
}

/** What a file takes of the disk. */
export function space(size: number, block: number): number {
  return Math.ceil(size / block) * block
}

function* slices(body: Uint8Array, length: number): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < body.length; at += length) yield body.subarray(at, at + length)
}
