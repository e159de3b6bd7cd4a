/**
 * A table as an HTTP cache on SQLite would have it, used with bare prepared statements: the floor of every SQLite number.
 * A rowid table with the body in the row, since a WITHOUT ROWID table drags bodies through its key tree.
 */
import { DatabaseSync } from 'node:sqlite'

export interface Row {
  readonly meta: Uint8Array
  readonly body: Uint8Array
  readonly expires_at: number
}

export interface RawTable {
  readonly db: DatabaseSync
  get(key: string): Row | undefined
  put(key: string, meta: Uint8Array, body: Uint8Array, expiresAt: number): void
  deleteExpired(now: number): number
  close(): void
}

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    meta BLOB NOT NULL, body BLOB NOT NULL
  );
  CREATE UNIQUE INDEX IF NOT EXISTS entry_key ON entry (key);
  CREATE INDEX IF NOT EXISTS entry_expires ON entry (expires_at);
`

export function openRawTable(file: string): RawTable {
  const db = new DatabaseSync(file)
  db.exec(SCHEMA)
  const select = db.prepare('SELECT meta, body, expires_at FROM entry WHERE key = ?')
  const insert = db.prepare('INSERT INTO entry (key, created_at, expires_at, meta, body) VALUES (?, ?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM entry WHERE expires_at <= ?')
  return {
    db,
    get: (key) => select.get(key) as unknown as Row | undefined,
    put: (key, meta, body, expiresAt) => void insert.run(key, Date.now(), expiresAt, meta, body),
    deleteExpired: (now) => Number(remove.run(now).changes),
    close: () => db.close(),
  }
}

/** About what a cache keeps beside a body: 400 bytes of status, times and headers. */
export function sampleMeta(key: string): Uint8Array {
  const headers = [
    ['cache-control', 'max-age=3600'],
    ['content-length', '1024'],
    ['content-type', 'text/plain; charset=utf-8'],
    ['date', 'Mon, 01 Jan 2024 00:00:00 GMT'],
    ['etag', '"text-1024"'],
  ]
  return Buffer.from(
    JSON.stringify({
      key,
      method: 'GET',
      status: 200,
      headers,
      requestTime: 1.7e12,
      responseTime: 1.7e12,
      lifetime: 3600,
    }),
  )
}
