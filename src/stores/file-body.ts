/**
 * Long bodies: a file of the body's bytes, and behind them a checksum for every piece, four bytes each.
 *
 * 1. The file is written once, under a name no one knows yet, and never changed: who has it open reads it to its end, even when
 *    the entry is replaced or deleted meanwhile.
 * 2. Every piece is checked before a byte of it is handed out; which body it is of, and its number, are part of its checksum.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from '../engine/crc32.ts'
import type { StoredBody } from '../engine/ports.ts'
import { chunkedBody } from './chunks.ts'
import { corruptFile } from './file-entry.ts'
import { READ, reason, type Files } from './file-system.ts'

const SUM = 4

/** The size of the file of a body. */
export function bodyFileSize(size: number, chunk: number): number {
  return size + SUM * Math.ceil(size / chunk)
}

function sumOf(piece: Uint8Array, id: string, n: number): number {
  return crc32(piece, (Number.parseInt(id.slice(0, 8), 16) ^ n) >>> 0)
}

/**
 * Writes the file of a body; how long the body is. What could not be written whole is removed.
 * @param pieces all of the same length but the last
 * @throws StoreError ERR_STORE_FULL over `limit`; whatever `pieces` throws
 */
export function writeBody(
  files: Files,
  path: string,
  id: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { key, limit, flush }: { key: string; limit: number; flush: boolean },
): Promise<number> {
  return files.making(path, flush, async (file) => {
    const sums: number[] = []
    let size = 0
    for await (const piece of pieces) {
      if (size + piece.length > limit) throw tooLarge(key, limit)
      await files.write(file, path, piece, size)
      size += piece.length
      sums.push(sumOf(piece, id, sums.length))
    }
    const table = new DataView(new ArrayBuffer(SUM * sums.length))
    for (const [n, sum] of sums.entries()) table.setUint32(SUM * n, sum, true)
    await files.write(file, path, new Uint8Array(table.buffer), size)
    return size
  })
}

export function tooLarge(key: string, limit: number): StoreError {
  return new StoreError('ERR_STORE_FULL', `The body of ${key} is larger than maxEntrySize (${limit} bytes).`)
}

/** What all streams of a body share: the open file, as long as there is a stream or a read under way. */
class BodyFile {
  readonly #files: Files
  readonly #path: string
  readonly #id: string
  readonly #size: number
  readonly #chunk: number
  #users = 0
  #opened: Promise<number> | null = null

  constructor(files: Files, path: string, id: string, size: number, chunk: number) {
    this.#files = files
    this.#path = path
    this.#id = id
    this.#size = size
    this.#chunk = chunk
  }

  /** What it returns gives the file back; the last one closes it. */
  hold(): () => void {
    this.#users += 1
    let held = true
    return () => {
      if (!held) return
      held = false
      this.#users -= 1
      if (this.#users > 0 || this.#opened === null) return
      closeLater(this.#files, this.#path, this.#opened)
      this.#opened = null
      dropped.unregister(this)
    }
  }

  async read(n: number): Promise<Uint8Array> {
    // A stream may be cancelled while it reads: the number of a closed file could be another file's by then.
    const release = this.hold()
    try {
      return await this.#piece(await this.#file(), n)
    } finally {
      release()
    }
  }

  async #piece(file: number, n: number): Promise<Uint8Array> {
    const at = n * this.#chunk
    const piece = new Uint8Array(Math.min(this.#chunk, this.#size - at))
    const sum = new Uint8Array(SUM)
    const length = await this.#files.read(file, this.#path, piece, at)
    const sumLength = await this.#files.read(file, this.#path, sum, this.#size + SUM * n)
    if (length !== piece.length || sumLength !== SUM) throw corruptFile(this.#path, 'it is cut short')
    if (new DataView(sum.buffer).getUint32(0, true) !== sumOf(piece, this.#id, n)) {
      throw corruptFile(this.#path, `the checksum of piece ${n} is wrong`)
    }
    return piece
  }

  async #file(): Promise<number> {
    if (this.#opened === null) {
      this.#opened = this.#files.open(this.#path, READ)
      watch(this, this.#files, this.#path, this.#opened)
    }
    try {
      return await this.#opened
    } catch (error) {
      if (reason(error) !== 'ENOENT') throw error
      const message = `The body ${this.#path} is gone: its entry was replaced or deleted after it was read.`
      throw new StoreError('ERR_STORE_FAILED', message, { cause: error })
    }
  }
}

/** Closes the files of streams that were dropped without being read to the end or cancelled. */
const dropped = new FinalizationRegistry<() => void>((close) => close())

/** A function of its own, so that what closes the file does not hold on to `body`. */
function watch(body: BodyFile, files: Files, path: string, opened: Promise<number>): void {
  dropped.register(body, () => closeLater(files, path, opened), body)
}

function closeLater(files: Files, path: string, opened: Promise<number>): void {
  opened.then(
    (file) => files.closeRead(file, path),
    // A file that did not open needs no closing, and who wanted to read it was told.
    () => undefined,
  )
}

/**
 * A body in a file of its own.
 * @param guard called before every read; throws where the store is closed
 */
export function fileBody(
  files: Files,
  path: string,
  id: string,
  size: number,
  chunk: number,
  guard: () => void,
): StoredBody {
  const file = new BodyFile(files, path, id, size, chunk)
  const read = (n: number): Promise<Uint8Array> => {
    guard()
    return file.read(n)
  }
  return chunkedBody(size, chunk, read, () => file.hold())
}
