/**
 * Opening the database: whose file it is, its tables, and waiting for other processes.
 *
 * 1. A file that is not ours is never altered: its header is read before SQLite opens it, its schema before anything is written. Where
 *    somebody has it open, SQLite itself reads the header: closing a file gives up every lock this process has on it, those of its other
 *    stores too, and whoever then closed it last elsewhere would take their log away.
 * 2. The tables and our mark (`application_id`) are made in one transaction, so that a file is either empty or ours.
 * 3. SQLite's own wait for locks does not cover the switch to WAL and recovery: those are retried here until busyTimeout.
 */
import { closeSync, existsSync, openSync, readSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { StoreError } from '../errors.ts'
import { makeFolders } from './folders.ts'
import {
  builtinDriver,
  isBusy,
  Query,
  resultCode,
  storeError,
  type SqliteDatabase,
  type SqliteDriver,
} from './sqlite-driver.ts'
import type { SqliteSettings } from './sqlite-options.ts'

/** 'KFSQ' in the header of the file: the database is ours. */
const APPLICATION = 0x4b_46_53_51
/** The version of the schema, in `user_version`. */
const SCHEMA_VERSION = 1
/** How much of the file SQLite keeps in memory: 16 MiB, in its words. Its own 2 MB lead to reading the pages of indexes again and again. */
const CACHE = -16_384
/** Bytes of the header of a database. */
const HEADER = 100

/**
 * `key` is NULL while a body streams in. `chunk` is the length of its chunks, 0 where the body is in the row. `crc` is over
 * instants, size and meta, `sum` over the body in the row; `body` is last, so that other columns are read without it.
 * The chunks of a deleted entry are left to the collector: deleting a long body takes long.
 */
const SCHEMA = `
  CREATE TABLE entries(
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE, version INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL, expires INTEGER NOT NULL, keep INTEGER NOT NULL, size INTEGER NOT NULL, chunk INTEGER NOT NULL,
    crc INTEGER NOT NULL, sum INTEGER NOT NULL, meta BLOB NOT NULL, body BLOB);
  CREATE INDEX entries_expires ON entries(expires);
  CREATE TABLE chunks(entry INTEGER NOT NULL, n INTEGER NOT NULL, crc INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE(entry, n));
  CREATE TABLE garbage(entry INTEGER PRIMARY KEY);
  CREATE TRIGGER entries_deleted AFTER DELETE ON entries WHEN old.chunk > 0 BEGIN
    INSERT OR IGNORE INTO garbage(entry) VALUES(old.id);
  END;
  PRAGMA application_id = ${APPLICATION};
  PRAGMA user_version = ${SCHEMA_VERSION};`

/**
 * An open database with our tables.
 * @throws StoreError ERR_STORE_OPEN, ERR_STORE_BUSY, ERR_STORE_READONLY or ERR_STORE_FORMAT
 */
export function connect(settings: SqliteSettings): SqliteDatabase {
  const { path, memory, readOnly, busyTimeout, open } = settings
  const isInUse = !memory && prepareFile(path, readOnly)
  const Driver = settings.driver ?? builtinDriver()
  let database: SqliteDatabase | undefined
  try {
    if (isInUse) look(Driver, settings)
    const opened = new Driver(path, {
      timeout: busyTimeout,
      ...(readOnly ? { readOnly, readonly: true } : {}),
      ...open,
    })
    database = opened
    patiently(busyTimeout, () => opened.exec(`PRAGMA busy_timeout = ${busyTimeout}`))
    if (!patiently(busyTimeout, () => isOurs(opened, path))) create(opened, settings)
    configure(opened, settings)
    return opened
  } catch (error) {
    database?.close()
    throw resultCode(error) === 26 ? foreign(path, 'it is no SQLite database', error) : openError(error, path)
  }
}

/** Runs `action`, again and again while the database is busy, for at most `timeout` ms; a synchronous wait, as SQLite's own. */
export function patiently<T>(timeout: number, action: () => T): T {
  const start = performance.now()
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      return action()
    } catch (error) {
      if (!isBusy(error) || performance.now() - start >= timeout) throw error
      // The jitter keeps processes that started together from meeting again.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pause * (0.5 + Math.random()))
    }
  }
}

/** Runs `action` in a transaction that has the write lock from the start. */
export function transaction<T>(database: SqliteDatabase, timeout: number, action: () => T): T {
  patiently(timeout, () => database.exec('BEGIN IMMEDIATE'))
  try {
    const result = action()
    patiently(timeout, () => database.exec('COMMIT'))
    return result
  } catch (error) {
    rollback(database)
    throw error
  }
}

function rollback(database: SqliteDatabase): void {
  try {
    database.exec('ROLLBACK')
  } catch {
    // SQLite has already rolled back (full disk, damaged file); the first error is the one that matters.
  }
}

/** Makes its folder, and looks at its header; true: it may be in use, and is to be looked at by SQLite. */
function prepareFile(path: string, readOnly: boolean): boolean {
  try {
    if (!readOnly) makeFolders(dirname(path))
    const isInUse = existsSync(`${realpathSync(path)}-shm`)
    if (!isInUse) inspect(headerOf(path), path)
    return isInUse
  } catch (error) {
    if (error instanceof StoreError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' && !readOnly) return false
    throw new StoreError('ERR_STORE_OPEN', `The SQLite store ${path} cannot be opened: ${message}.`, { cause: error })
  }
}

/** Rule 1, in a file that may be in use. */
function look(Driver: SqliteDriver, { path, busyTimeout, open }: SqliteSettings): void {
  const database = new Driver(path, { timeout: busyTimeout, readOnly: true, readonly: true, ...open })
  try {
    patiently(busyTimeout, () => isOurs(database, path))
  } finally {
    database.close()
  }
}

/** The first bytes of the file; fewer where it is shorter. */
function headerOf(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(HEADER)
    return header.subarray(0, readSync(file, header, 0, HEADER, 0))
  } finally {
    closeSync(file)
  }
}

/** Offsets as in the SQLite file format, "The Database Header": user_version at 60, application_id at 68. */
function inspect(header: Buffer, path: string): void {
  if (header.length === 0) return
  if (!isDatabase(header)) throw foreign(path, 'it is no SQLite database')
  const application = header.readUInt32BE(68)
  if (application !== 0 && application !== APPLICATION) throw foreign(path, 'it is the database of another application')
  if (application === APPLICATION && header.readUInt32BE(60) > SCHEMA_VERSION)
    throw newer(path, header.readUInt32BE(60))
}

function isDatabase(header: Buffer): boolean {
  return header.length === HEADER && header.toString('latin1', 0, 16) === 'SQLite format 3\0'
}

/** Whether a file, however damaged, has our mark; false where there is none. */
export function isOurFile(path: string): boolean {
  try {
    const header = headerOf(path)
    return isDatabase(header) && header.readUInt32BE(68) === APPLICATION
  } catch {
    // It cannot be read: nothing can be told of it.
    return false
  }
}

/** True: ours and of our version. False: empty. */
function isOurs(database: SqliteDatabase, path: string): boolean {
  const one = (sql: string): number => Number(new Query(database, sql).get()?.[0] ?? 0)
  // The schema first: with a writer in between, the others are then at least as new.
  const tables = one('SELECT count(*) FROM sqlite_master')
  const application = one('PRAGMA application_id') >>> 0
  const version = one('PRAGMA user_version')
  if (application === APPLICATION && version === SCHEMA_VERSION) return true
  if (application === APPLICATION && version > SCHEMA_VERSION) throw newer(path, version)
  if (tables === 0 && application === 0 && version === 0) return false
  throw foreign(path, 'it is the database of another application')
}

function create(database: SqliteDatabase, { path, readOnly, busyTimeout }: SqliteSettings): void {
  if (readOnly)
    throw new StoreError(
      'ERR_STORE_OPEN',
      `The SQLite store ${path} is empty, and readOnly forbids to make its tables.`,
    )
  transaction(database, busyTimeout, () => {
    if (!isOurs(database, path)) database.exec(SCHEMA)
  })
}

function configure(database: SqliteDatabase, { memory, wal, fastSave, readOnly, busyTimeout }: SqliteSettings): void {
  // Replacing a row must run the trigger that hands its chunks to the collector.
  database.exec(`PRAGMA recursive_triggers = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = ${CACHE}`)
  if (readOnly) return
  database.exec(`PRAGMA synchronous = ${fastSave ? 'OFF' : 'NORMAL'}; PRAGMA journal_size_limit = ${64 * 1024 * 1024}`)
  if (memory) return
  try {
    if (wal) patiently(busyTimeout, () => new Query(database, 'PRAGMA journal_mode = WAL').get())
    else leaveWal(database, busyTimeout)
  } catch (error) {
    // A file without write permission can still be read; writes will say so.
    if (resultCode(error) !== 8) throw error
  }
}

/** While others use the file it stays as it is, and nobody waits for them to end. */
function leaveWal(database: SqliteDatabase, busyTimeout: number): void {
  database.exec('PRAGMA busy_timeout = 0')
  try {
    new Query(database, 'PRAGMA journal_mode = DELETE').get()
  } catch (error) {
    if (!isBusy(error)) throw error
  } finally {
    database.exec(`PRAGMA busy_timeout = ${busyTimeout}`)
  }
}

function openError(error: unknown, path: string): StoreError {
  const mapped = storeError(error, path)
  if (mapped.code !== 'ERR_STORE_FAILED') return mapped
  return new StoreError('ERR_STORE_OPEN', mapped.message, { cause: error })
}

function foreign(path: string, what: string, cause?: unknown): StoreError {
  const message = `The file ${path} is not a keepfresh store: ${what}. It was left as it is; choose another path.`
  return new StoreError('ERR_STORE_FORMAT', message, cause === undefined ? undefined : { cause })
}

function newer(path: string, version: number): StoreError {
  const message = `The store ${path} is of format ${version}; this version of keepfresh knows format ${SCHEMA_VERSION}. It was left as it is; use a newer keepfresh or another path.`
  return new StoreError('ERR_STORE_FORMAT', message)
}
