/**
 * The disk: every access goes through one object with the functions of node:fs, and every failure becomes a StoreError.
 *
 * 1. Errors keep the system's own as their cause; `reason` names it (ENOENT, EEXIST, ...), for those who can do something about it.
 * 2. Too many open files is a passing state: what opens one is tried again a few times. Of files that are open for a moment only, there
 *    is a bounded number at once; long bodies are open as long as their streams.
 * 3. Files are made with mode 0600, folders with 0700, and never through a symbolic link in the last place of the path.
 */
import type * as nodeFs from 'node:fs'
import type { Dirent, Stats } from 'node:fs'
import { constants } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { StoreError, type StoreErrorCode } from '../errors.ts'

/** The functions of node:fs that the file store uses; node:fs itself, or something in its place. */
export type FileSystem = Pick<
  typeof nodeFs,
  | 'open'
  | 'read'
  | 'write'
  | 'fsync'
  | 'fstat'
  | 'close'
  | 'lstat'
  | 'mkdir'
  | 'readdir'
  | 'rename'
  | 'unlink'
  | 'utimes'
  | 'copyFile'
  | 'openSync'
  | 'readSync'
  | 'fstatSync'
  | 'closeSync'
  | 'lstatSync'
  | 'mkdirSync'
  | 'readdirSync'
  | 'readFileSync'
  | 'writeFileSync'
  | 'renameSync'
  | 'unlinkSync'
>

/** O_NOFOLLOW is undefined on Windows, where making a link needs rights that may do more. */
const NO_FOLLOW = constants.O_NOFOLLOW ?? 0
export const READ: number = constants.O_RDONLY | NO_FOLLOW
const CREATE: number = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | NO_FOLLOW
export const FILE_MODE = 0o600
export const FOLDER_MODE = 0o700

/** Pauses in ms between attempts where files are short (EMFILE), or held by someone else (Windows). */
const PAUSES = [5, 15, 40]
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** The system's name for what went wrong, such as ENOENT. */
export function reason(error: unknown): string | undefined {
  const cause: unknown = error instanceof StoreError ? error.cause : error
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined
}

/** An error of node:fs as a StoreError. */
export function fileError(error: unknown, path: string, writing: boolean): StoreError {
  if (error instanceof StoreError) return error
  const message = error instanceof Error ? error.message : String(error)
  const what = `The file store could not ${writing ? 'write' : 'read'} ${path}: ${message}.`
  return new StoreError(codeFor(reason(error) ?? '', writing), what, { cause: error })
}

function codeFor(name: string, writing: boolean): StoreErrorCode {
  if (FULL.has(name)) return 'ERR_STORE_FULL'
  // A link where an entry should be: not what we wrote, and not followed.
  if (name === 'ELOOP' && !writing) return 'ERR_STORE_CORRUPT'
  if (name === 'EROFS') return 'ERR_STORE_READONLY'
  if (name === 'EACCES' || name === 'EPERM') return writing ? 'ERR_STORE_READONLY' : 'ERR_STORE_OPEN'
  return name === 'ENOENT' || name === 'ENOTDIR' ? 'ERR_STORE_OPEN' : 'ERR_STORE_FAILED'
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void

const OPEN_AT_ONCE = 64

/** Lets a bounded number in; the others wait for their turn. */
class Gate {
  readonly #waiting: (() => void)[] = []
  #inside = 0

  enter(start: () => void): void {
    if (this.#inside >= OPEN_AT_ONCE) return void this.#waiting.push(start)
    this.#inside += 1
    start()
  }

  leave(): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#inside -= 1
    else next()
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    await new Promise<void>((start) => this.enter(start))
    try {
      return await action()
    } finally {
      this.leave()
    }
  }
}

/** The calls the store makes, as promises. */
export class Files {
  readonly fs: FileSystem
  /** For files that are open for a moment. */
  readonly gate: Gate = new Gate()
  constructor(fs: FileSystem) {
    this.fs = fs
  }

  #call<T>(path: string, writing: boolean, start: (done: Done<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const done: Done<T> = (error, value) => (error ? reject(fileError(error, path, writing)) : resolve(value))
      try {
        start(done)
      } catch (error) {
        reject(fileError(error, path, writing))
      }
    })
  }

  open(path: string, flags: number): Promise<number> {
    return again(isShortage, () =>
      this.#call<number>(path, flags !== READ, (done) => this.fs.open(path, flags, FILE_MODE, done)),
    )
  }

  /** Closes a file that was written; a failure may mean that what was written is lost. */
  close(file: number, path: string): Promise<void> {
    return this.#call<void>(path, true, (done) => this.fs.close(file, (error) => done(error ?? null)))
  }

  /** Closes a file that was read, or is given up: what was read is checked anyway, so that a failure has no consequence. */
  async closeRead(file: number, path: string): Promise<void> {
    await this.close(file, path).catch(() => undefined)
  }

  /** What one call reads: it may be less than there is. */
  readSome(file: number, path: string, buffer: Uint8Array, at: number, position: number): Promise<number> {
    return this.#call<number>(path, false, (done) =>
      this.fs.read(file, buffer, at, buffer.length - at, position + at, done),
    )
  }

  /** Reads until the buffer is full or the file ends; how many bytes there were. */
  async read(file: number, path: string, buffer: Uint8Array, position: number): Promise<number> {
    for (let filled = 0; ;) {
      const count = await this.readSome(file, path, buffer, filled, position)
      filled += count
      if (count === 0 || filled === buffer.length) return filled
    }
  }

  async write(file: number, path: string, bytes: Uint8Array, position: number): Promise<void> {
    for (let from = 0; from < bytes.length;) {
      const at = from
      from += await this.#call<number>(path, true, (done) =>
        this.fs.write(file, bytes, at, bytes.length - at, position + at, done),
      )
    }
  }

  fsync(file: number, path: string): Promise<void> {
    return this.#call<void>(path, true, (done) => this.fs.fsync(file, (error) => done(error)))
  }

  sizeOf(file: number, path: string): Promise<number> {
    return this.#call<number>(path, false, (done) => this.fs.fstat(file, (error, stats) => done(error, stats?.size)))
  }

  /** What there is under this name, null for nothing. */
  async stat(path: string): Promise<Stats | null> {
    return orMissing(this.#call<Stats>(path, false, (done) => this.fs.lstat(path, done)))
  }

  /** Makes a folder, if there is none; the one above must be there. */
  async mkdir(path: string): Promise<void> {
    try {
      await this.#call<void>(path, true, (done) => this.fs.mkdir(path, FOLDER_MODE, (error) => done(error)))
    } catch (error) {
      if (reason(error) !== 'EEXIST') throw error
    }
  }

  /** What is in a folder; nothing, where there is none. */
  async list(path: string): Promise<readonly Dirent[]> {
    const found = again(isShortage, () =>
      this.#call<Dirent[]>(path, false, (done) => this.fs.readdir(path, { withFileTypes: true }, done)),
    )
    return (await orMissing(found)) ?? []
  }

  /** Atomically, in place of what was there. */
  async rename(from: string, to: string): Promise<void> {
    await again(isHeld, () => this.#call<void>(to, true, (done) => this.fs.rename(from, to, (error) => done(error))))
  }

  /** Removes a file; false: there was none. */
  async remove(path: string): Promise<boolean> {
    const removal = again(isHeld, () =>
      this.#call<true>(path, true, (done) => this.fs.unlink(path, (error) => done(error, true))),
    )
    return (await orMissing(removal)) ?? false
  }

  /** Copies to a file that must not be there yet; false: it is. */
  copyNew(from: string, to: string): Promise<boolean> {
    return isNew(
      again(isShortage, () =>
        this.#call<void>(to, true, (done) =>
          this.fs.copyFile(from, to, constants.COPYFILE_EXCL, (error) => done(error)),
        ),
      ),
    )
  }

  /** Makes an empty file where there is none; false: there is one. A disk that is full takes it, too. */
  makeEmpty(path: string): Promise<boolean> {
    return isNew(this.making(path, false, async () => undefined))
  }

  /** Marks a file as used now. */
  touch(path: string, seconds: number): Promise<void> {
    return this.#call<void>(path, true, (done) => this.fs.utimes(path, seconds, seconds, (error) => done(error)))
  }

  /** A whole small file; null: there is none. */
  load(path: string): Promise<Uint8Array | null> {
    return this.reading(path, async (file) => {
      const bytes = new Uint8Array(await this.sizeOf(file, path))
      return bytes.subarray(0, await this.read(file, path, bytes, 0))
    })
  }

  /** Opens a file for as long as `use` takes; null: there is none. No one waits for the close. */
  async reading<T>(path: string, use: (file: number) => Promise<T>): Promise<T | null> {
    await new Promise<void>((start) => this.gate.enter(start))
    let file: number | null = null
    try {
      file = await orMissing(this.open(path, READ))
      return file === null ? null : await use(file)
    } finally {
      const closed = file === null ? Promise.resolve() : this.closeRead(file, path)
      void closed.then(() => this.gate.leave())
    }
  }

  /** Writes a new file, and flushes it where asked; what could not be written whole is removed. */
  async save(path: string, bytes: Uint8Array, flush: boolean): Promise<void> {
    await this.gate.run(() => this.making(path, flush, (file) => this.write(file, path, bytes, 0)))
  }

  /** Makes a new file for `fill` to write. Where that fails, the file is removed and the first error thrown. */
  async making<T>(path: string, flush: boolean, fill: (file: number) => Promise<T>): Promise<T> {
    const file = await this.open(path, CREATE)
    let open = true
    try {
      const result = await fill(file)
      if (flush) await this.fsync(file, path)
      open = false
      await this.close(file, path)
      return result
    } catch (error) {
      if (open) await this.closeRead(file, path)
      await this.discard(path)
      throw error
    }
  }

  /** Removes a file that no one can see any more. Where that fails it is left to be collected later. */
  async discard(path: string): Promise<void> {
    await this.remove(path).catch(() => false)
  }

  /** Flushes a folder, so that names made or removed in it last. Windows has no such thing. */
  async flushFolder(path: string): Promise<void> {
    if (process.platform === 'win32') return
    const file = await this.open(path, READ)
    try {
      await this.fsync(file, path)
    } finally {
      await this.closeRead(file, path)
    }
  }
}

/** Again, a few times, where it fails in a way that passes. */
async function again<T>(passes: (error: unknown) => boolean, action: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await action()
    } catch (error) {
      const pause = PAUSES[attempt]
      if (pause === undefined || !passes(error)) throw error
      await wait(pause)
    }
  }
}

async function isNew(making: Promise<void>): Promise<boolean> {
  try {
    await making
    return true
  } catch (error) {
    if (reason(error) === 'EEXIST') return false
    throw error
  }
}

async function orMissing<T>(result: Promise<T>): Promise<T | null> {
  try {
    return await result
  } catch (error) {
    if (reason(error) === 'ENOENT') return null
    throw error
  }
}

/** Windows refuses what is done to a file that someone has open. */
function isHeld(error: unknown): boolean {
  return process.platform === 'win32' && /^(EPERM|EACCES|EBUSY)$/.test(reason(error) ?? '')
}

export function isShortage(error: unknown): boolean {
  const name = reason(error)
  return name === 'EMFILE' || name === 'ENFILE'
}
