/** The open database and its statements: opened at the first use, and its errors as StoreError. */
import { rmSync } from 'node:fs'
import { StoreError } from '../errors.ts'
import { SqliteCheckpoints } from './sqlite-checkpoints.ts'
import { connect, isOurFile, transaction } from './sqlite-connection.ts'
import { storeError, type SqliteDatabase } from './sqlite-driver.ts'
import type { SqliteSettings } from './sqlite-options.ts'
import { prepareAll, type Statements } from './sqlite-statements.ts'

interface Connection {
  readonly database: SqliteDatabase
  readonly statements: Statements
  /** Null: SQLite makes them itself. */
  readonly checkpoints: SqliteCheckpoints | null
}

export class SqliteAccess {
  readonly #settings: SqliteSettings
  readonly #opened: () => void
  #connection: Connection | null = null
  #closed = false

  /** @param opened called when the database was opened */
  constructor(settings: SqliteSettings, opened: () => void) {
    this.#settings = settings
    this.#opened = opened
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** @throws StoreError */
  open(): void {
    this.run(() => undefined)
  }

  #open(): Connection {
    const { path } = this.#settings
    const database = connect(this.#settings)
    try {
      this.#connection = {
        database,
        statements: prepareAll(database),
        checkpoints: checkpointsOf(database, this.#settings),
      }
    } catch (error) {
      database.close()
      throw storeError(error, path)
    }
    this.#opened()
    return this.#connection
  }

  /**
   * Runs statements that need no transaction of their own.
   * @throws StoreError
   */
  run<T>(action: (statements: Statements, database: SqliteDatabase) => T): T {
    const { path } = this.#settings
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', `The SQLite store ${path} is closed.`)
    const { statements, database } = this.#connection ?? this.#open()
    try {
      return action(statements, database)
    } catch (error) {
      throw storeError(error, path)
    }
  }

  /**
   * Runs statements in one transaction.
   * @throws StoreError
   */
  change<T>(action: (statements: Statements) => T): T {
    return this.run((statements, database) =>
      transaction(database, this.#settings.busyTimeout, () => action(statements)),
    )
  }

  /** About so many bytes were written. */
  grew(bytes: number): void {
    this.#connection?.checkpoints?.grew(bytes)
  }

  /** Long work waits here for the log to be copied, where it is long. */
  async caughtUp(): Promise<void> {
    await this.#connection?.checkpoints?.caughtUp()
  }

  /** Gives free space back to the disk. @throws StoreError */
  vacuum(): void {
    this.#connection?.checkpoints?.stop()
    this.run((_, database) => database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)'))
  }

  /** Row 209: makes a file that is beyond repair anew; false where it cannot be told to be ours, and is left as it is. */
  recreate(): boolean {
    const { path, memory, readOnly } = this.#settings
    if (memory || readOnly || !isOurFile(path)) return false
    this.#end()
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(path + suffix, { force: true })
    this.open()
    return true
  }

  close(): void {
    this.#closed = true
    this.#end()
  }

  #end(): void {
    const connection = this.#connection
    this.#connection = null
    connection?.checkpoints?.close()
    connection?.database.close()
  }
}

/** Only the library of the runtime is known to work in another thread, and only a log that is flushed makes anyone wait. */
function checkpointsOf(database: SqliteDatabase, settings: SqliteSettings): SqliteCheckpoints | null {
  const { path, driver, wal, memory, readOnly, fastSave } = settings
  return driver === null && wal && !memory && !readOnly && !fastSave ? new SqliteCheckpoints(database, path) : null
}
