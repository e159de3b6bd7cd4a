/** Every statement the store prepares, once per connection. */
import { Query, type SqliteDatabase, type SqliteStatement } from './sqlite-driver.ts'

/** A statement that changes something. */
export type Change = Pick<SqliteStatement, 'run'>

export interface Statements {
  /** How often one of them that changes something was run. */
  readonly changes: { readonly count: number }
  /** Another number whenever another connection has changed something. */
  readonly dataVersion: Query
  readonly read: Query
  readonly chunk: Query
  readonly exists: Query
  readonly unchanged: Query
  readonly abandoned: Query
  readonly garbage: Query
  readonly count: Query
  readonly pages: Query
  readonly newest: Query
  readonly windowEnd: Query
  readonly replace: Change
  readonly reserve: Change
  readonly touch: Change
  readonly addChunk: Change
  readonly publish: Change
  readonly update: Change
  readonly deleteKey: Change
  readonly deleteId: Change
  readonly deleteAbandoned: Change
  readonly deleteExpired: Change
  readonly deleteWindow: Change
  readonly deleteChunks: Change
  readonly deleteGarbage: Change
}

const COLUMNS = 'key, version, created, expires, keep, size, chunk, crc, sum, meta, body'

export function prepareAll(database: SqliteDatabase): Statements {
  const query = (sql: string): Query => new Query(database, sql)
  const changes = { count: 0 }
  const change = (sql: string): Change => {
    const statement = database.prepare(sql)
    return {
      run: (...values) => {
        changes.count++
        return statement.run(...values)
      },
    }
  }
  return {
    changes,
    dataVersion: query('PRAGMA data_version'),
    read: query(
      'SELECT id, version, created, expires, keep, size, chunk, crc, sum, meta, body FROM entries WHERE key = ?',
    ),
    chunk: query('SELECT crc, data FROM chunks WHERE entry = ? AND n = ?'),
    exists: query('SELECT id FROM entries WHERE id = ? AND key IS NOT NULL'),
    unchanged: query('SELECT created, size FROM entries WHERE key = ? AND id = ? AND version = ?'),
    abandoned: query('SELECT id FROM entries WHERE key IS NULL AND created < ? LIMIT 1'),
    garbage: query('SELECT entry FROM garbage WHERE entry > ? ORDER BY entry LIMIT 1'),
    count: query('SELECT count(key) FROM entries'),
    pages: query('SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()'),
    newest: query('SELECT ifnull(max(id), 0) FROM entries'),
    windowEnd: query('SELECT max(id) FROM (SELECT id FROM entries WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)'),
    replace: change(`INSERT OR REPLACE INTO entries(${COLUMNS}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
    reserve: change(`INSERT INTO entries(${COLUMNS}) VALUES(NULL, 0, ?, ?, ?, 0, ?, 0, 0, x'', NULL)`),
    touch: change('UPDATE entries SET created = ? WHERE id = ? AND key IS NULL'),
    addChunk: change('INSERT INTO chunks(entry, n, crc, data) VALUES(?, ?, ?, ?)'),
    publish: change(
      'UPDATE entries SET key = ?, created = ?, expires = ?, keep = ?, size = ?, crc = ?, meta = ? WHERE id = ? AND key IS NULL',
    ),
    update: change(
      'UPDATE entries SET meta = ?, expires = ?, keep = ?, crc = ?, version = version + 1 WHERE key = ? AND id = ? AND version = ?',
    ),
    deleteKey: change('DELETE FROM entries WHERE key = ?'),
    deleteId: change('DELETE FROM entries WHERE id = ?'),
    deleteAbandoned: change('DELETE FROM entries WHERE key IS NULL AND created < ?'),
    deleteExpired: change(
      'DELETE FROM entries WHERE id IN (SELECT id FROM entries WHERE expires <= ? AND created < ? AND key IS NOT NULL LIMIT ?)',
    ),
    deleteWindow: change(
      'DELETE FROM entries WHERE id > ? AND id <= ? AND key IS NOT NULL AND expires <= ? AND created < ?',
    ),
    deleteChunks: change(
      'DELETE FROM chunks WHERE rowid IN (SELECT rowid FROM chunks WHERE entry = ? ORDER BY n LIMIT ?)',
    ),
    deleteGarbage: change('DELETE FROM garbage WHERE entry = ?'),
  }
}
