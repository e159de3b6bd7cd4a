/**
 * The SQLite library behind the store: which one, what is asked of it, and what its errors mean.
 *
 * node:sqlite is the measure; better-sqlite3 and bun:sqlite have the same prepare, exec and close. Rows are read as arrays,
 * in whichever way the library offers them.
 */
import { StoreError, type StoreErrorCode } from '../errors.ts'

/** What SQLite takes and gives. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** A prepared statement of node:sqlite, better-sqlite3 or bun:sqlite. */
export interface SqliteStatement {
  get(...values: SqlValue[]): unknown
  all(...values: SqlValue[]): unknown[]
  run(...values: SqlValue[]): { readonly changes: number | bigint; readonly lastInsertRowid: number | bigint }
  /** node:sqlite: rows as arrays. */
  setReturnArrays?(enabled: boolean): void
  /** better-sqlite3: rows as arrays. */
  raw?(enabled: boolean): unknown
}

/** An open database. */
export interface SqliteDatabase {
  prepare(sql: string): SqliteStatement
  exec(sql: string): unknown
  close(): void
}

/** `DatabaseSync` of node:sqlite, `Database` of better-sqlite3 or bun:sqlite, or a class like them. */
export type SqliteDriver = new (path: string, options?: Record<string, unknown>) => SqliteDatabase

/**
 * The library of this runtime.
 * @throws StoreError ERR_STORE_OPEN where there is none
 */
export function builtinDriver(): SqliteDriver {
  for (const id of ['node:sqlite', 'bun:sqlite']) {
    const module = process.getBuiltinModule(id) as { DatabaseSync?: SqliteDriver; Database?: SqliteDriver } | undefined
    const driver = module?.DatabaseSync ?? module?.Database
    if (driver !== undefined) return driver
  }
  const message =
    'This runtime has no node:sqlite (Node.js 22.13 or newer has). Pass one as `driver`, for example better-sqlite3.'
  throw new StoreError('ERR_STORE_OPEN', message)
}

/** A prepared SELECT whose rows are arrays. */
export class Query {
  readonly #statement: SqliteStatement
  readonly #arrays: boolean

  constructor(database: SqliteDatabase, sql: string) {
    this.#statement = database.prepare(sql)
    this.#arrays = true
    if (this.#statement.setReturnArrays !== undefined) this.#statement.setReturnArrays(true)
    else if (this.#statement.raw !== undefined && !('values' in this.#statement)) this.#statement.raw(true)
    else this.#arrays = false
  }

  get(...values: SqlValue[]): SqlValue[] | undefined {
    const row = this.#statement.get(...values)
    return row === undefined || row === null ? undefined : this.#row(row)
  }

  all(...values: SqlValue[]): SqlValue[][] {
    return this.#statement.all(...values).map((row) => this.#row(row))
  }

  #row(row: unknown): SqlValue[] {
    return this.#arrays ? (row as SqlValue[]) : Object.values(row as Record<string, SqlValue>)
  }
}

const PRIMARY: Readonly<Record<string, number>> = {
  SQLITE_BUSY: 5,
  SQLITE_LOCKED: 6,
  SQLITE_READONLY: 8,
  SQLITE_IOERR: 10,
  SQLITE_CORRUPT: 11,
  SQLITE_FULL: 13,
  SQLITE_CANTOPEN: 14,
  SQLITE_NOTADB: 26,
}

/** SQLite's primary result code of an error, or 0: node:sqlite has it in `errcode`, bun in `errno`, better-sqlite3 as a name in `code`. */
export function resultCode(error: unknown): number {
  if (typeof error !== 'object' || error === null) return 0
  const { errcode, errno, code } = error as { errcode?: unknown; errno?: unknown; code?: unknown }
  if (typeof errcode === 'number') return errcode & 0xff
  const name = typeof code === 'string' ? /^SQLITE_[A-Z]+/.exec(code)?.[0] : undefined
  if (name === undefined) return 0
  return PRIMARY[name] ?? (typeof errno === 'number' ? errno & 0xff : 0)
}

export function isBusy(error: unknown): boolean {
  const code = resultCode(error)
  return code === 5 || code === 6
}

const MEANING: Readonly<Record<number, readonly [code: StoreErrorCode, sentence: string]>> = {
  5: ['ERR_STORE_BUSY', 'another connection holds the lock for longer than busyTimeout'],
  6: ['ERR_STORE_BUSY', 'a table is locked by another statement'],
  8: ['ERR_STORE_READONLY', 'it is read-only'],
  11: ['ERR_STORE_CORRUPT', 'the database file is damaged; clear() makes it anew'],
  13: ['ERR_STORE_FULL', 'the disk (or the limit set for the database) is full'],
  14: ['ERR_STORE_OPEN', 'the database file cannot be opened'],
  26: ['ERR_STORE_CORRUPT', 'the file is no longer a SQLite database; clear() makes it anew'],
}

/** The StoreError an error of SQLite means. */
export function storeError(error: unknown, path: string): StoreError {
  if (error instanceof StoreError) return error
  const [code, sentence] = MEANING[resultCode(error)] ?? ['ERR_STORE_FAILED', 'SQLite reports an error']
  const detail = error instanceof Error ? error.message : String(error)
  return new StoreError(code, `The SQLite store ${path}: ${sentence} (${detail}).`, { cause: error })
}
