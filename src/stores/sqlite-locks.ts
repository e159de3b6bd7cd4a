/** Leases in a table of their own, made when the first is wanted; instants are by the machine's clock, which all its processes share. */
import type { SqliteDatabase, SqliteStatement } from './sqlite-driver.ts'

const TABLE =
  'CREATE TABLE IF NOT EXISTS locks(name TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID'

/** Ended leases that nobody gave back are removed once in so many locks. */
const SWEEP = 1000

export class SqliteLocks {
  readonly #take: SqliteStatement
  readonly #renew: SqliteStatement
  readonly #drop: SqliteStatement
  readonly #sweep: SqliteStatement
  #taken = 0

  constructor(database: SqliteDatabase) {
    database.exec(TABLE)
    this.#take = database.prepare(
      `INSERT INTO locks(name, owner, until) VALUES(?, ?, ?)
       ON CONFLICT(name) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE until <= ?`,
    )
    this.#renew = database.prepare('UPDATE locks SET until = ? WHERE name = ? AND owner = ? AND until > ?')
    this.#drop = database.prepare('DELETE FROM locks WHERE name = ? AND owner = ?')
    this.#sweep = database.prepare('DELETE FROM locks WHERE until <= ?')
  }

  take(name: string, owner: string, lease: number): boolean {
    const now = Date.now()
    if (this.#taken++ % SWEEP === 0) this.#sweep.run(now)
    return Number(this.#take.run(name, owner, now + lease, now).changes) === 1
  }

  renew(name: string, owner: string, lease: number): boolean {
    const now = Date.now()
    return Number(this.#renew.run(now + lease, name, owner, now).changes) === 1
  }

  drop(name: string, owner: string): boolean {
    return Number(this.#drop.run(name, owner).changes) === 1
  }
}
