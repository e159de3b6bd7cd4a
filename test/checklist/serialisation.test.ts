/** Checklist rows 221, 225, 226, 229: what is stored is data, and bad data is a miss. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { CachedSession, type CacheEvent } from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { startOrigin, type LocalOrigin } from '../../src/testing/index.ts'
import { until } from '../engine/support.ts'

let origin: LocalOrigin
let path: string

beforeAll(async () => {
  origin = await startOrigin()
})
afterAll(() => origin.close())
beforeEach(() => {
  origin.reset()
  path = join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db')
})

/** Every blob column of every row of the database, changed by `change`. */
function tamper(change: (bytes: Uint8Array) => Uint8Array): number {
  const db = new DatabaseSync(path)
  let changed = 0
  const tables = db.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'").all()
  for (const { name } of tables) {
    const columns = db.prepare(`pragma table_info("${String(name)}")`).all()
    for (const column of columns) {
      const select = db.prepare(`select rowid as id, "${String(column['name'])}" as value from "${String(name)}"`)
      for (const { id, value } of select.all()) {
        if (!(value instanceof Uint8Array) || value.length === 0) continue
        const sql = `update "${String(name)}" set "${String(column['name'])}" = ? where rowid = ?`
        db.prepare(sql).run(change(value), id ?? null)
        changed += 1
      }
    }
  }
  db.close()
  return changed
}

async function fill(): Promise<void> {
  await using s = new CachedSession({ baseUrl: origin.url, store: `sqlite:${path}` })
  for (const url of ['/json', '/large/300000']) {
    await (await s.get(url)).text()
    await until(() => s.cache.has(url))
  }
}

async function read(): Promise<{ events: string[]; bodies: number[]; fromCache: boolean[] }> {
  const store = new SqliteStore(path)
  const events: string[] = []
  await using s = new CachedSession({ baseUrl: origin.url, store })
  await s.on('*', (event: CacheEvent) => events.push(event.type))
  const bodies: number[] = []
  const fromCache: boolean[] = []
  for (const url of ['/json', '/large/300000']) {
    const response = await s.get(url)
    bodies.push((await response.bytes()).length)
    fromCache.push(response.fromCache)
    await until(async () => (await s.cache.get(url))?.createdAt.getTime() === response.createdAt?.getTime())
  }
  await store.close()
  return { events, bodies, fromCache }
}

const DAMAGE: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ['flipped in its first byte', (bytes) => bytes.map((byte, at) => (at === 0 ? byte ^ 1 : byte))],
  ['flipped in its last byte', (bytes) => bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 0x80 : byte))],
  ['flipped in its middle', (bytes) => bytes.map((byte, at) => (at === bytes.length >> 1 ? byte ^ 4 : byte))],
  ['cut', (bytes) => bytes.slice(0, -1)],
  ['cut to nothing', () => new Uint8Array()],
  ['made longer', (bytes) => Uint8Array.from([...bytes, 0])],
  ['replaced by a program', () => Buffer.from('{"__proto__":{"toJSON":1},"constructor":"globalThis.owned=1"}')],
]

describe('rows 221, 225, 190, 5.3.7', () => {
  test.each(DAMAGE)(
    'an entry %s is a miss and an event, then replaced; nothing of it is run or served',
    async (_name, change) => {
      await fill()
      expect(tamper(change)).toBeGreaterThan(1)
      origin.reset()
      const first = await read()
      expect([first.bodies, first.fromCache]).toEqual([
        [32, 300_000],
        [false, false],
      ])
      expect(origin.count()).toBe(2)
      expect(first.events).toContain('error')
      const second = await read()
      expect([second.bodies, second.fromCache, second.events.includes('error')]).toEqual([
        [32, 300_000],
        [true, true],
        false,
      ])
      expect([origin.count(), 'owned' in globalThis]).toEqual([2, false])
    },
  )
})
