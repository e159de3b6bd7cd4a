/**
 * Many keys by few SELECTs, each with the same number of places, so that it is prepared once.
 *
 * 1. Places that are left are filled with a key that has one already.
 * 2. Each key of a SELECT that fails is read by itself, since the damage is in one row and not in all of them.
 */
import type { ReadOutcome, StoredEntry } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { groupsOf } from './groups-of.ts'
import { outcomeNow } from './read-many.ts'
import { keyOf, nameOf } from './sqlite-key.ts'
import { Query, type SqliteDatabase, type SqlValue } from './sqlite-driver.ts'

const PLACES = 32
const SELECT = `SELECT key, id, version, created, expires, keep, size, chunk, crc, sum, meta, body
  FROM entries WHERE key IN (${Array.from({ length: PLACES }, () => '?').join(', ')})`

/** How single entries are had. */
export interface Reading {
  /** Runs it with the open database. @throws StoreError */
  run<T>(action: (database: SqliteDatabase) => T): T
  /** The entry of a row without its key. @throws StoreError */
  entryOf(key: string, row: readonly SqlValue[]): StoredEntry
  /** @throws StoreError */
  read(key: string): StoredEntry | undefined
}

export class SqliteMany {
  readonly #reading: Reading
  /** Of the database that is open now. */
  #query: { readonly database: SqliteDatabase; readonly rows: Query } | null = null

  constructor(reading: Reading) {
    this.#reading = reading
  }

  /** @throws StoreError where the database cannot be opened, or is closed */
  read(keys: readonly string[]): readonly ReadOutcome[] {
    const found = new Map<string, ReadOutcome>()
    for (const group of groupsOf([...new Set(keys)], PLACES)) this.#readInto(found, group)
    return keys.map((key) => found.get(key))
  }

  #readInto(found: Map<string, ReadOutcome>, keys: readonly string[]): void {
    const { run, entryOf, read } = this.#reading
    const rows = run((database) => this.#rows(database, keys))
    if (rows instanceof StoreError)
      for (const key of keys)
        found.set(
          key,
          outcomeNow(() => read(key)),
        )
    else
      for (const [name, ...row] of rows) {
        const key = keyOf(String(name))
        const outcome = outcomeNow(() => entryOf(key, row))
        found.set(key, outcome)
      }
  }

  #rows(database: SqliteDatabase, keys: readonly string[]): readonly SqlValue[][] | StoreError {
    if (this.#query?.database !== database) this.#query = { database, rows: new Query(database, SELECT) }
    const { rows } = this.#query
    const names = Array.from({ length: PLACES }, (_, n) => nameOf(keys[n] ?? keys[0] ?? ''))
    return outcomeNow(() => rows.all(...names))
  }

  /** Lets go of the database. */
  close(): void {
    this.#query = null
  }
}
