/**
 * Reading entry files: a hit is one open and one read by the threads of the pool, and a close on this one.
 *
 * 1. Short files are read into buffers that are used again, and what is handed out is a copy; long ones whose length is remembered
 *    are read into a buffer of their own, of which the body is a part.
 * 2. The lines of files read lately are remembered: where they are the same bytes, nothing is parsed and no checksum needed.
 * 3. How many are open at once is bounded (Gate in file-system.ts).
 */
import { crc32 } from '../engine/crc32.ts'
import { corruptFile, decodeEntry, FIRST_LINE, linesLength, type EntryFile } from './file-entry.ts'
import { fileError, isShortage, READ, reason, type Files, type FileSystem } from './file-system.ts'
import { Recent } from './recent.ts'

const REMEMBERED = 1000
/** Longer lines are not remembered. */
const LONGEST = 8192
/** Longer files get a buffer of their own, where their length is known. */
const SHORT = 16_384
/** What a listing reads of a file at first: most lines are shorter. */
const LINES_GUESS = 4096

interface Remembered {
  readonly lines: Uint8Array
  readonly entry: EntryFile
}

/** An entry, and its body where it is in the same file; null: it is in another. */
export interface Loaded {
  readonly entry: EntryFile
  readonly bytes: Uint8Array | null
}

export class EntryReader {
  readonly #files: Files
  readonly #fs: FileSystem
  readonly #size: number
  readonly #free: Uint8Array[] = []
  readonly #known = new Recent<Remembered>(REMEMBERED)

  constructor(files: Files, inlineSize: number) {
    this.#files = files
    this.#fs = files.fs
    this.#size = Math.min(inlineSize, 1024 * 1024) + SHORT
  }

  /**
   * The entry in a file; undefined: there is no file.
   * @throws StoreError
   */
  load(path: string): Promise<Loaded | undefined> {
    return new Promise((resolve, reject) => {
      this.#files.gate.enter(() => this.#start(path, resolve, reject))
    })
  }

  #start(
    path: string,
    resolve: (found: Loaded | undefined | Promise<Loaded | undefined>) => void,
    reject: (error: unknown) => void,
  ): void {
    this.#fs.open(path, READ, (error, file) => {
      if (error === null) return this.#read(path, file, resolve, reject)
      this.#files.gate.leave()
      if (error.code === 'ENOENT') resolve(undefined)
      else if (isShortage(error)) resolve(this.#slowly(path))
      else reject(fileError(error, path, false))
    })
  }

  #read(
    path: string,
    file: number,
    resolve: (found: Loaded | undefined | Promise<Loaded | undefined>) => void,
    reject: (error: unknown) => void,
  ): void {
    const own = this.#ownBuffer(path)
    const buffer = own ?? this.#take()
    this.#fs.read(file, buffer, 0, buffer.length, 0, (failure, length) => {
      // At once: to hand it to another thread takes several times as long as closing a file that was only read.
      closeQuietly(this.#fs, file)
      this.#files.gate.leave()
      try {
        if (failure !== null) throw fileError(failure, path, false)
        resolve(this.#decode(path, buffer, length, own !== null) ?? this.#slowly(path))
      } catch (error) {
        reject(error)
      } finally {
        if (own === null) this.#free.push(buffer)
      }
    })
  }

  #take(): Uint8Array {
    return this.#free.pop() ?? unfilled(this.#size)
  }

  #ownBuffer(path: string): Uint8Array | null {
    const known = this.#known.get(path)
    if (known === undefined) return null
    const length = known.entry.bodyAt + known.entry.bodyLength
    // One more, to see where a file is longer than it should be.
    return length > SHORT ? unfilled(length + 1) : null
  }

  /** Files longer than a buffer, reads that came back short, and too many open files. */
  async #slowly(path: string): Promise<Loaded | undefined> {
    const bytes = await this.#files.load(path)
    if (bytes === null) return undefined
    const loaded = this.#decode(path, bytes, bytes.length, true)
    if (loaded === null) throw corruptFile(path, 'its length is wrong')
    return loaded
  }

  /** The same at once, holding the event loop. */
  loadSync(path: string): Loaded | undefined {
    const fs = this.#fs
    let file: number
    try {
      file = fs.openSync(path, READ)
    } catch (error) {
      if (reason(error) === 'ENOENT') return undefined
      throw fileError(error, path, false)
    }
    const own = this.#ownBuffer(path)
    const buffer = own ?? this.#take()
    try {
      const length = fs.readSync(file, buffer, 0, buffer.length, 0)
      const loaded = this.#decode(path, buffer, length, own !== null)
      if (loaded !== null) return loaded
      const whole = new Uint8Array(fs.fstatSync(file).size)
      let filled = 0
      for (let count = -1; count !== 0 && filled < whole.length; filled += count)
        count = fs.readSync(file, whole, filled, whole.length - filled, filled)
      const found = this.#decode(path, whole, filled, true)
      if (found === null) throw corruptFile(path, 'its length is wrong')
      return found
    } catch (error) {
      throw fileError(error, path, false)
    } finally {
      if (own === null) this.#free.push(buffer)
      closeQuietly(fs, file)
    }
  }

  /**
   * What is in the first `length` bytes of a buffer; null: not all of the file is there, or too much.
   * @param own whether the buffer can be kept
   */
  #decode(path: string, buffer: Uint8Array, length: number, own: boolean): Loaded | null {
    const known = this.#known.get(path)
    let entry: EntryFile
    if (known !== undefined && length >= known.lines.length && startsWith(buffer, known.lines)) entry = known.entry
    else {
      const bytes = buffer.subarray(0, length)
      // A first line that promises more than there is: all of the file has to be seen to say whether it is cut short.
      if (length >= FIRST_LINE && linesLength(bytes) > length) return null
      entry = decodeEntry(bytes, path)
      this.#remember(path, entry, bytes)
    }
    const { bodyAt, bodyLength, bodySum, chunk } = entry
    if (bodyAt + bodyLength !== length) return null
    if (chunk > 0) return { entry, bytes: null }
    const part = buffer.subarray(bodyAt, length)
    const body = own ? part : part.slice()
    if (crc32(body) !== bodySum) throw corruptFile(path, 'the checksum of its body is wrong')
    return { entry, bytes: body }
  }

  #remember(path: string, entry: EntryFile, bytes: Uint8Array): void {
    this.#known.delete(path)
    if (entry.bodyAt > LONGEST) return
    this.#known.set(path, { lines: new Uint8Array(bytes.subarray(0, entry.bodyAt)), entry })
  }

  /**
   * The entry in a file without its body, of which nothing is read; undefined: there is no file.
   * @throws StoreError
   */
  async lines(path: string): Promise<EntryFile | undefined> {
    const found = await this.#files.reading(path, async (file) => {
      const guess = new Uint8Array(LINES_GUESS)
      const length = await this.#files.readSome(file, path, guess, 0, 0)
      const wanted = linesLength(guess.subarray(0, length))
      if (wanted > 0 && wanted <= length) return decodeEntry(guess.subarray(0, length), path)
      const size = await this.#files.sizeOf(file, path)
      const bytes = new Uint8Array(Math.min(Math.max(wanted, FIRST_LINE), size))
      return decodeEntry(bytes.subarray(0, await this.#files.read(file, path, bytes, 0)), path)
    })
    return found ?? undefined
  }

  /** Forgets what it remembers. */
  clear(): void {
    this.#known.clear()
    this.#free.length = 0
  }
}

function unfilled(length: number): Uint8Array {
  // As a plain array of bytes: the `slice` of a Buffer is no copy.
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}

function startsWith(buffer: Uint8Array, lines: Uint8Array): boolean {
  return Buffer.compare(buffer.subarray(0, lines.length), lines) === 0
}

function closeQuietly(fs: FileSystem, file: number): void {
  try {
    fs.closeSync(file)
  } catch {
    // Nothing depends on it: what was read is checked.
  }
}
