/**
 * Where things are in the directory, and the directory itself.
 *
 * ```
 * keepfresh.json                    the mark: this directory is a keepfresh store
 * entries/ab/<62 digits>.kf         an entry, named by the SHA-256 of its key
 * entries/ab/<62 digits>.<id>.body  the long body of an entry
 * entries/ab/<62 digits>.<id>.tmp   an entry being written
 * locks/...                         leases, and what keeps changes of one entry apart
 * ```
 *
 * 1. A directory that holds anything but is not marked, or is marked by a later version, is left as it is.
 * 2. Only files with names like these are ever read, listed or removed; `entries` and `locks` themselves may be no symbolic links.
 */
import { hash, randomBytes } from 'node:crypto'
import { join, sep } from 'node:path'
import { StoreError } from '../errors.ts'
import { makeFolders } from './folders.ts'
import { fileError, FILE_MODE, FOLDER_MODE, reason, type FileSystem } from './file-system.ts'

const MARK = 'keepfresh.json'
const KIND = 'file store'
const FORMAT = 1
const DEFAULT_EXTENSION = '.kf'
export const MARK_DRAFT: RegExp = /^keepfresh\.json\.[0-9a-f]{16}\.tmp$/
const NAME = /^([0-9a-f]{62})(?:\.([0-9a-f]{16})\.(body|tmp))?$/
const ABOUT = 'Cached HTTP responses of keepfresh (docs/stores/file.md). It may be deleted as a whole at any time.'

/** A file of ours by its name. */
export interface OwnName {
  readonly kind: 'entry' | 'body' | 'temp'
  /** The SHA-256 of the key. */
  readonly digest: string
  /** Which body; empty for entries. */
  readonly id: string
}

export class Layout {
  readonly dir: string
  readonly entries: string
  readonly locks: string
  readonly mark: string
  readonly extension: string

  constructor(dir: string, extension: string) {
    this.dir = dir
    this.entries = join(dir, 'entries')
    this.locks = join(dir, 'locks')
    this.mark = join(dir, MARK)
    this.extension = extension
  }

  folder(digest: string): string {
    return join(this.entries, digest.slice(0, 2))
  }

  entry(digest: string): string {
    return `${this.#base(digest)}${this.extension}`
  }

  body(digest: string, id: string): string {
    return `${this.#base(digest)}.${id}.body`
  }

  temp(digest: string, id: string): string {
    return `${this.#base(digest)}.${id}.tmp`
  }

  lock(name: string): string {
    return join(this.locks, name)
  }

  /** What a file in the folder `prefix` is by its name; null: not ours. */
  parse(prefix: string, file: string): OwnName | null {
    const isEntry = file.endsWith(this.extension)
    const match = NAME.exec(isEntry ? file.slice(0, -this.extension.length) : file)
    const [, rest = '', id = '', ending] = match ?? []
    if (match === null || isEntry !== (ending === undefined)) return null
    const kind = ending === undefined ? 'entry' : ending === 'body' ? 'body' : 'temp'
    return { kind, digest: prefix + rest, id }
  }

  #base(digest: string): string {
    return `${this.entries}${sep}${digest.slice(0, 2)}${sep}${digest.slice(2)}`
  }
}

/** What an entry is named by: nothing of the key can reach the file system. */
export function digestOf(key: string): string {
  // Lone surrogates have no bytes in UTF-8: they are told apart by another hash, of their escapes (key-hash.ts).
  return key.isWellFormed() ? hash('sha256', key) : hash('sha512', JSON.stringify(key)).slice(0, 64)
}

export function newId(): string {
  return randomBytes(8).toString('hex')
}

/**
 * Makes the directory, or makes sure that it is ours. Synchronous: it is done once.
 * @param extension null: what the directory has
 * @throws StoreError ERR_STORE_FORMAT where it is not ours, ERR_STORE_OPEN, ERR_STORE_READONLY
 */
export function openDirectory(fs: FileSystem, dir: string, extension: string | null): Layout {
  try {
    makeFolders(dir, FOLDER_MODE, fs)
    const found = readMark(fs, dir) ?? makeMark(fs, dir, extension ?? DEFAULT_EXTENSION)
    if (extension !== null && extension !== found) throw foreign(dir, `its entries end with ${found}, not ${extension}`)
    const layout = new Layout(dir, found)
    for (const folder of [layout.entries, layout.locks]) makeFolder(fs, folder)
    return layout
  } catch (error) {
    throw openError(error, dir)
  }
}

/** Makes a folder where there is none; a link to one elsewhere is not followed. */
function makeFolder(fs: FileSystem, path: string): void {
  makeFolders(path, FOLDER_MODE, fs)
  if (fs.lstatSync(path).isDirectory()) return
  throw new StoreError('ERR_STORE_OPEN', `The file store does not use ${path}: it is no folder, or a link to one.`)
}

/** The extension a marked directory has; null: there is no mark. */
function readMark(fs: FileSystem, dir: string): string | null {
  const path = join(dir, MARK)
  let text: string
  try {
    text = fs.readFileSync(path, 'utf8')
  } catch (error) {
    if (reason(error) === 'ENOENT') return null
    throw fileError(error, path, false)
  }
  const { keepfresh, format, extension } = parsed(text)
  if (keepfresh !== KIND || typeof format !== 'number') throw foreign(dir, `its ${MARK} is not of a file store`)
  if (format > FORMAT) throw newer(dir, format)
  if (typeof extension !== 'string') throw foreign(dir, `its ${MARK} is damaged`)
  return extension
}

function parsed(text: string): { keepfresh?: unknown; format?: unknown; extension?: unknown } {
  try {
    return Object(JSON.parse(text))
  } catch {
    // Not ours, then: the caller says so.
    return {}
  }
}

/** Marks an empty directory. Where others open it at the same time, all write the same. */
function makeMark(fs: FileSystem, dir: string, extension: string): string {
  const foreigners = fs.readdirSync(dir).filter((name) => !MARK_DRAFT.test(name))
  if (foreigners.length > 0) {
    // Another process may have marked and begun to use it since we looked.
    const marked = readMark(fs, dir)
    if (marked !== null) return marked
    throw foreign(dir, `it holds ${foreigners[0] ?? ''}${foreigners.length > 1 ? ' and more' : ''} and no ${MARK}`)
  }
  const draft = join(dir, `${MARK}.${newId()}.tmp`)
  const mark = { keepfresh: KIND, format: FORMAT, extension, about: ABOUT }
  try {
    fs.writeFileSync(draft, `${JSON.stringify(mark, null, 2)}\n`, { flag: 'wx', mode: FILE_MODE })
    fs.renameSync(draft, join(dir, MARK))
  } catch (error) {
    removeDraft(fs, draft)
    throw error
  }
  return extension
}

function removeDraft(fs: FileSystem, draft: string): void {
  try {
    fs.unlinkSync(draft)
  } catch {
    // It was not made, or cannot be removed; the error that led here is the one to report, and a draft is no hindrance.
  }
}

function openError(error: unknown, dir: string): StoreError {
  const mapped = fileError(error, dir, true)
  if (mapped === error || mapped.code === 'ERR_STORE_READONLY' || mapped.code === 'ERR_STORE_FULL') return mapped
  return new StoreError('ERR_STORE_OPEN', `The file store ${dir} cannot be opened: ${mapped.message}`, { cause: error })
}

function foreign(dir: string, what: string): StoreError {
  const message = `The directory ${dir} is not such a keepfresh store: ${what}. It was left as it is; choose another one.`
  return new StoreError('ERR_STORE_FORMAT', message)
}

function newer(dir: string, format: number): StoreError {
  const message = `The store ${dir} is of format ${format}; this version of keepfresh knows format ${FORMAT}. It was left as it is; use a newer keepfresh or another directory.`
  return new StoreError('ERR_STORE_FORMAT', message)
}
