/**
 * Listing entries without their bodies, a page at a time: no statement stays open, so entries may change meanwhile.
 *
 * In the order of id, key or expiry an index leads to the next page. For other orders the ids are sorted once, beforehand.
 */
import { setImmediate } from 'node:timers/promises'
import type { ListedEntry, ListQuery } from '../engine/ports.ts'
import { groupsOf } from './groups-of.ts'
import { Query, type SqliteDatabase, type SqlValue } from './sqlite-driver.ts'
import { keyOf } from './sqlite-key.ts'
import { headSum, isMeta, metaOf } from './sqlite-row.ts'

const PAGE = 256
const FIELDS = 'id, key, version, created, expires, keep, size, crc, meta'

/** Runs a piece of reading on the open database; throws StoreError. */
export type Run = <T>(read: (database: SqliteDatabase) => T) => T

/** Entries by page; a corrupt one is skipped. */
export async function* listed(run: Run, query: ListQuery): AsyncGenerator<ListedEntry, void, undefined> {
  let left = query.limit ?? Infinity
  for await (const rows of query.order === 'created' || query.order === 'size'
    ? sorted(run, query, query.order)
    : indexed(run, query)) {
    for (const row of rows) {
      if (left <= 0) return
      const entry = listedEntry(row)
      if (entry === null) continue
      left--
      yield entry
    }
    if (left <= 0) return
    await setImmediate()
  }
}

async function* indexed(run: Run, query: ListQuery): AsyncGenerator<SqlValue[][], void, undefined> {
  const column = query.order === 'key' ? 'key' : query.order === 'expires' ? 'expires' : 'id'
  const place = column === 'key' ? 1 : column === 'expires' ? 4 : 0
  const { where, values } = condition(query)
  const [than, direction] = query.descending === true ? ['<', 'DESC'] : ['>', 'ASC']
  let after: SqlValue[] = []
  for (;;) {
    const from = after.length === 0 ? '' : ` AND (${column}, id) ${than} (?, ?)`
    const sql = `SELECT ${FIELDS} FROM entries WHERE ${where}${from} ORDER BY ${column} ${direction}, id ${direction} LIMIT ${PAGE}`
    const rows = run((database) => new Query(database, sql).all(...values, ...after))
    yield rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = [last[place] ?? null, last[0] ?? null]
  }
}

async function* sorted(
  run: Run,
  query: ListQuery,
  column: 'created' | 'size',
): AsyncGenerator<SqlValue[][], void, undefined> {
  const { where, values } = condition(query)
  const direction = query.descending === true ? 'DESC' : 'ASC'
  const sql = `SELECT id FROM entries WHERE ${where} ORDER BY ${column} ${direction}, id ${direction}`
  const ids = run((database) => new Query(database, sql).all(...values)).map((row) => row[0] ?? null)
  for (const page of groupsOf(ids, PAGE)) {
    yield run((database) => {
      const one = new Query(database, `SELECT ${FIELDS} FROM entries WHERE id = ? AND key IS NOT NULL`)
      return page.flatMap((id) => one.all(id))
    })
  }
}

function condition({ expiredAt, freshAt, createdBefore }: ListQuery): { where: string; values: number[] } {
  const parts = ['key IS NOT NULL']
  const values: number[] = []
  const add = (part: string, value: number | undefined): void => {
    if (value === undefined) return
    parts.push(part)
    values.push(value)
  }
  add('expires <= ?', expiredAt)
  add('expires > ?', freshAt)
  add('created < ?', createdBefore)
  return { where: parts.join(' AND '), values }
}

function listedEntry(row: SqlValue[]): ListedEntry | null {
  const [id, key, version, created, expires, keep, size, crc, meta] = row
  if (typeof key !== 'string' || !isMeta(meta)) return null
  const head = {
    key: keyOf(key),
    createdAt: Number(created),
    expiresAt: Number(expires),
    keepUntil: Number(keep),
    size: Number(size),
  }
  if (headSum(head.createdAt, head.expiresAt, head.keepUntil, head.size, meta) !== Number(crc)) return null
  try {
    return { ...head, meta: metaOf(meta), version: `${String(id)}.${String(version)}` }
  } catch {
    // Corrupt although its checksum holds: written by something else. Listings skip it; reading it reports it.
    return null
  }
}
