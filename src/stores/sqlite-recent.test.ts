/** What is kept of reads: never after a change, whoever made it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { EntryHead } from '../engine/ports.ts'
import { SqliteStore } from './sqlite.ts'

let dir = ''
let store: SqliteStore
const file = (): string => join(dir, 'a.sqlite')
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keepfresh-recent-'))
  store = new SqliteStore(file())
  for (const key of ['a', 'b']) void store.write(head(key), new Uint8Array([1]))
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})
const head = (key: string, expiresAt = 1000): EntryHead => ({
  key,
  meta: { kind: 'mark', key, at: 1, mode: 'stale' },
  createdAt: 1,
  expiresAt,
  keepUntil: 8_640_000_000_000_000,
})
/** The first byte of the body under a key, read until it is kept. */
function often(key: string): number | undefined {
  for (let n = 0; n < 4; n++) store.read(key)
  const entry = store.read(key)
  expect(store.read(key)).toBe(entry)
  return entry?.body.bytes?.[0]
}
/** node:sqlite, which counts how often an entry's row is asked for. */
class Counting extends DatabaseSync {
  override prepare(sql: string): ReturnType<DatabaseSync['prepare']> {
    const statement = super.prepare(sql)
    if (!sql.startsWith('SELECT id, version')) return statement
    const get = statement.get.bind(statement)
    statement.get = (...values: never[]) => {
      rows++
      return get(...values)
    }
    return statement
  }
}
let rows = 0
const read = (key: string): number | undefined => store.read(key)?.body.bytes?.[0]

it('what this store changes is seen at once', async () => {
  expect([often('a'), often('b')]).toEqual([1, 1])
  void store.write(head('a'), new Uint8Array([2]))
  expect([read('a'), read('b'), often('a'), often('b')]).toEqual([2, 1, 2, 1])
  store.writeSoon(head('a'), new Uint8Array([3]), () => undefined)
  expect([read('a'), often('a')]).toEqual([3, 3])
  expect(store.update('a', { ...head('a'), expiresAt: 5 }, store.read('a')?.version ?? '')).toBe(true)
  expect([store.read('a')?.expiresAt, often('a')]).toEqual([5, 3])
  await store.bulk((batch) => batch.write(head('a'), new Uint8Array([4])))
  expect([read('a'), often('a')]).toEqual([4, 4])
  await store.write(head('a'), new Response(new Uint8Array(100_000).fill(5)).body ?? new Uint8Array())
  expect([store.read('a')?.body.size, store.read('a')?.body.bytes]).toEqual([100_000, null])
  expect([store.delete(['b']), read('b')]).toEqual([1, undefined])
  void store.write(head('b'), new Uint8Array([6]))
  expect([often('b'), await store.deleteWhere({ expiredAt: 2000 }), read('b')]).toEqual([6, 2, undefined])
})

it('what another connection changes is seen at once', () => {
  expect([often('a'), often('b')]).toEqual([1, 1])
  const other = new SqliteStore(file())
  void other.write(head('a'), new Uint8Array([2]))
  expect([read('a'), read('b'), often('a')]).toEqual([2, 1, 2])
  expect([other.delete(['a']), read('a')]).toEqual([1, undefined])
  other.close()
})

it('what is not kept, being long or large, is read once a hit', async () => {
  const large = new SqliteStore({ path: file(), inlineSize: 4_000_000, driver: Counting })
  void large.write(head('inline'), new Uint8Array(2_000_000))
  await large.write(head('long'), new Uint8Array(5_000_000))
  for (const key of ['inline', 'long', 'a']) {
    for (let n = 0; n < 4; n++) large.read(key)
    rows = 0
    for (let n = 0; n < 10; n++) large.read(key)
    expect([key, rows]).toEqual([key, key === 'a' ? 0 : 10])
  }
  large.close()
})

it('B42: an entry that is damaged while it is kept is found out', () => {
  expect(often('a')).toBe(1)
  const database = new DatabaseSync(file())
  database.exec(`UPDATE entries SET body = x'ff' WHERE key = 'a'`)
  database.close()
  expect(() => store.read('a')).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }))
})

it('what was kept of a store that is closed is not given any more', () => {
  expect(often('a')).toBe(1)
  store.close()
  expect(() => store.read('a')).toThrow(expect.objectContaining({ code: 'ERR_STORE_CLOSED' }))
})

it('more than there is room for is read anew', () => {
  const many = new SqliteStore({ path: file(), driver: Counting })
  for (let n = 0; n < 400; n++) void many.write(head(`k${n}`), new Uint8Array(60_000).fill(n))
  const round = (): number => {
    rows = 0
    for (let n = 0; n < 400; n++) expect(many.read(`k${n}`)?.body.bytes?.[59_999]).toBe(n % 256)
    return rows
  }
  for (let n = 0; n < 3; n++) round()
  for (let n = 0; n < 6; n++) expect(round()).toBeLessThanOrEqual(400)
  many.close()
})

it('what is read much oftener than the rest stays, and what comes to be takes its place', () => {
  const many = new SqliteStore({ path: file(), driver: Counting })
  for (let n = 0; n < 400; n++) void many.write(head(`k${n}`), new Uint8Array(60_000).fill(n))
  /** Rows read for a hundred reads of ten, among a loop over all. */
  const loop = (from: number): number => {
    rows = 0
    for (let n = 0; n < 400; n++) {
      many.read(`k${n}`)
      for (let m = 0; m < 10; m++) many.read(`k${from + m}`)
    }
    return rows
  }
  for (const from of [0, 200]) {
    loop(from)
    loop(from)
    expect(loop(from)).toBeLessThan(700)
  }
  many.close()
})
