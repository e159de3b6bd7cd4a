import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setFlagsFromString } from 'node:v8'
import { setImmediate } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { OptionError, StoreError } from '../errors.ts'
import type { EntryHead, StoredEntry } from '../engine/ports.ts'
import { passThrough } from '../../test/memory.ts'
import { SqliteStore, type SqliteOptions } from './sqlite.ts'

let dir = ''
const stores: SqliteStore[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'keepfresh-sqlite-'))
})
afterEach(() => {
  for (const store of stores.splice(0)) store.close()
  rmSync(dir, { recursive: true, force: true })
})

const file = (): string => join(dir, 'a.sqlite')
function make(options: SqliteOptions = {}): SqliteStore {
  const store = new SqliteStore({ path: file(), ...options })
  stores.push(store)
  return store
}
const head = (key: string, at = 1, expiresAt = 1000): EntryHead => ({
  key,
  meta: { kind: 'mark', key, at, mode: 'stale' },
  createdAt: at,
  expiresAt,
  keepUntil: 8_640_000_000_000_000,
})
const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
function stream(count: number, size: number, value: number, failure?: Error): ReadableStream<Uint8Array> {
  let n = 0
  return new ReadableStream({
    pull(controller) {
      if (n++ < count) controller.enqueue(fill(size, value))
      else if (failure === undefined) controller.close()
      else controller.error(failure)
    },
  })
}
async function all(entry: StoredEntry | undefined, start = 0, end = entry?.body.size ?? 0): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  if (entry !== undefined) for await (const part of entry.body.open(start, end)) parts.push(part)
  return Buffer.concat(parts)
}
async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action()
  } catch (error) {
    if (error instanceof StoreError || error instanceof OptionError) return error.code
    throw error
  }
  return 'none'
}
const raw = <T>(action: (database: DatabaseSync) => T): T => {
  const database = new DatabaseSync(file())
  try {
    return action(database)
  } finally {
    database.close()
  }
}
const chunks = (): number =>
  raw((database) => Number(database.prepare('SELECT count(*) AS n FROM chunks').get()?.['n']))

describe('entries', () => {
  it('a hit is synchronous and whole; empty bodies too; it survives the process', () => {
    const store = make()
    expect(store.read('a')).toBeUndefined()
    void store.write(head('a'), fill(5, 7))
    void store.write(head('empty'), new Uint8Array())
    expect(store.read('a')?.body.bytes).toEqual(fill(5, 7))
    expect(store.read('empty')?.body.bytes?.length).toBe(0)
    store.close()
    const again = make().read('a')
    expect(again).toMatchObject({ ...head('a'), body: { size: 5 } })
  })

  it('metadata of a repeated hit is the same object, and another after a change', () => {
    const store = make()
    void store.write(head('a'), fill(5, 7))
    // What is read once is not kept.
    void store.read('a')
    const second = store.read('a')
    expect(store.read('a')?.meta).toBe(second?.meta)
    void store.write(head('a', 2), fill(5, 7))
    expect(store.read('a')?.meta).toEqual(head('a', 2).meta)
  })

  it('update is compare-and-swap, and leaves the body alone', async () => {
    const store = make({ inlineSize: 10, chunkSize: 8 })
    await store.write(head('a'), stream(3, 10, 4))
    const version = store.read('a')?.version ?? ''
    const change = { meta: head('a', 9).meta, expiresAt: 5, keepUntil: 6 }
    expect(store.update('a', change, version)).toBe(true)
    expect(store.update('a', change, version)).toBe(false)
    expect(store.update('b', change, version)).toBe(false)
    expect(store.read('a')).toMatchObject({ ...change, createdAt: 1 })
    expect(await all(store.read('a'))).toEqual(Buffer.from(fill(30, 4)))
  })

  it('row 208: lists, sorts, counts, deletes expired; deletes many', async () => {
    const store = make()
    for (let n = 0; n < 700; n++) void store.write(head(`k${String(n).padStart(3, '0')}`, n, 1000 - n), fill(n % 50, 1))
    const keys = async (query = {}): Promise<string[]> => (await collected(store.entries(query))).map(({ key }) => key)
    expect((await keys()).length).toBe(700)
    expect(await keys({ order: 'created', descending: true, limit: 2 })).toEqual(['k699', 'k698'])
    expect(await keys({ order: 'expires', limit: 2 })).toEqual(['k699', 'k698'])
    expect((await keys({ order: 'size', descending: true, limit: 1 }))[0]).toBe('k699')
    expect(await keys({ order: 'key', limit: 1, createdBefore: 5 })).toEqual(['k000'])
    expect((await keys({ expiredAt: 400 })).length).toBe(100)
    expect((await keys({ freshAt: 400 })).length).toBe(600)
    expect(await store.deleteWhere({ expiredAt: 400 })).toBe(100)
    expect(await store.deleteWhere({ createdBefore: 10 })).toBe(10)
    expect(store.delete(['k010', 'k011', 'nothing'])).toBe(2)
    expect((await collected(store.keys())).length).toBe(588)
    expect(store.size().entries).toBe(588)
    await store.clear()
    expect(store.size().entries).toBe(0)
  })

  it('row 208, row 210: vacuum gives space back, which size() shows', async () => {
    const store = make()
    for (let n = 0; n < 50; n++) void store.write(head(`k${n}`), fill(60_000, n))
    const before = store.size().bytes
    await store.clear()
    store.vacuum()
    expect(store.size().bytes).toBeLessThan(before / 10)
    const memory = make({ memory: true })
    void memory.write(head('a'), fill(10, 1))
    expect(memory.size().bytes).toBeGreaterThan(0)
    expect(memory.limits.persistent).toBe(false)
  })

  it('row 207: bulk is one transaction; scopes do not interfere; an error changes nothing', async () => {
    const store = make()
    const scope = (name: string): Promise<void> =>
      store.bulk(async (batch) => {
        for (let n = 0; n < 500; n++) batch.write(head(`${name}${n}`), fill(3, n % 256))
        await Promise.resolve()
        if (name === 'bad') throw new RangeError(name)
      })
    const results = await Promise.allSettled([scope('a'), scope('bad'), scope('b')])
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(store.size().entries).toBe(1000)
  })
})

describe('long bodies', () => {
  it('come back whole and in part, and their chunks go with them', async () => {
    const store = make({ inlineSize: 100, chunkSize: 64 })
    const bytes = Uint8Array.from({ length: 1000 }, (_, n) => n % 251)
    await store.write(head('a'), new Blob([bytes]).stream())
    void store.write(head('b'), bytes)
    for (const key of ['a', 'b']) {
      const entry = store.read(key)
      expect(entry?.body.bytes).toBeNull()
      expect(await all(entry)).toEqual(Buffer.from(bytes))
      for (const [start, end] of [
        [0, 1],
        [63, 65],
        [64, 128],
        [999, 1000],
        [10, 10],
        [0, 640],
      ] as const) {
        expect(await all(entry, start, end)).toEqual(Buffer.from(bytes.subarray(start, end)))
      }
    }
    await store.write(head('a'), stream(1, 10, 1))
    expect(store.read('a')?.body.bytes).toEqual(fill(10, 1))
    await store.clear()
    expect(chunks()).toBe(0)
  })

  it('a failing stream stores nothing, keeps what was there and rejects with its own error', async () => {
    const store = make({ inlineSize: 100, chunkSize: 64 })
    void store.write(head('a'), fill(5, 7))
    const failure = new RangeError('lost')
    await expect(store.write(head('a'), stream(20, 50, 1, failure))).rejects.toBe(failure)
    await expect(store.write(head('a'), stream(1, 50, 1, failure))).rejects.toBe(failure)
    expect(store.read('a')?.body.bytes).toEqual(fill(5, 7))
    expect(store.size().entries).toBe(1)
    await store.deleteWhere({ expiredAt: 0 })
    expect(chunks()).toBe(0)
  })

  it('a body over maxEntrySize is refused and its stream cancelled', async () => {
    const store = make({ inlineSize: 10, chunkSize: 8, maxEntrySize: 20 })
    expect(await codeOf(() => store.write(head('a'), stream(1e9, 7, 1)))).toBe('ERR_STORE_FULL')
    expect(await codeOf(() => store.write(head('a'), fill(21, 1)))).toBe('ERR_STORE_FULL')
    expect(store.read('a')).toBeUndefined()
  })

  it('C47: who reads a replaced body reads on, or fails; never a mix', async () => {
    const store = make({ inlineSize: 100, chunkSize: 64 })
    await store.write(head('a'), stream(20, 50, 1))
    const old = store.read('a')
    const reader = old?.body.open(0, 1000).getReader()
    const first = await reader?.read()
    await store.write(head('a'), stream(20, 50, 2))
    let length = first?.value?.length ?? 0
    for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
      expect(part.value.every((byte) => byte === 1)).toBe(true)
      length += part.value.length
    }
    expect(length).toBe(1000)
    await store.deleteWhere({ expiredAt: 0 })
    expect(chunks()).toBe(16)
    expect(await codeOf(() => all(old))).toBe('ERR_STORE_FAILED')
    expect(await all(store.read('a'))).toEqual(Buffer.from(fill(1000, 2)))
  })

  it('C47: a replaced body that was left half-read is let go of, and its chunks removed', async () => {
    setFlagsFromString('--expose-gc')
    const collectMemory = runInNewContext('gc') as () => void
    const store = make({ inlineSize: 100, chunkSize: 64 })
    await store.write(head('a'), stream(20, 50, 1))
    const leave = async (): Promise<void> => {
      const stopped = store.read('a')?.body.open(0, 1000).getReader()
      await stopped?.read()
      await stopped?.cancel()
      const forgotten = store.read('a')?.body.open(0, 1000).getReader()
      await forgotten?.read()
    }
    await leave()
    store.delete(['a'])
    await store.deleteWhere({ expiredAt: 0 })
    expect(chunks()).toBe(16)
    await vi.waitFor(() => {
      collectMemory()
      expect(chunks()).toBe(0)
    })
  })

  it('what a crash left is collected when it is an hour old', async () => {
    const store = make({ inlineSize: 10, chunkSize: 8 })
    await store.write(head('a'), stream(3, 10, 4))
    store.close()
    const insert = `INSERT INTO entries(key, created, expires, keep, size, chunk, crc, sum, meta) VALUES(NULL, ?, 0, 0, 0, 8, 0, 0, x'') RETURNING id`
    raw((database) => {
      for (const age of [4_000_000, 1000]) {
        const id = database.prepare(insert).get(Date.now() - age)?.['id'] ?? null
        database.prepare('INSERT INTO chunks VALUES(?, 0, 0, ?)').run(id, fill(8, 1))
      }
    })
    await make().deleteWhere({ expiredAt: 0 })
    expect(chunks()).toBe(4 + 1)
  })

  it('D68: a quarter of a GiB passes through in bounded memory', async () => {
    const { size, growth } = await passThrough(make(), head('a'), stream(4096, 65_536, 3))
    expect(size).toBe(268_435_456)
    expect(growth).toBeLessThan(150 * 1024 * 1024)
  })
})

describe('writes that nobody waits for', () => {
  /** What failed, by key. */
  const failures = new Map<string, unknown>()
  const soon = (store: SqliteStore, key: string, size = 5): void =>
    store.writeSoon(head(key), fill(size, 1), (error) => failures.set(key, error))
  beforeEach(() => failures.clear())

  const names = (): unknown[] =>
    raw((database) => database.prepare('SELECT key FROM entries ORDER BY key').all()).map((row) => Object(row).key)

  it('are made in one transaction when the turn is over', async () => {
    const store = make()
    store.size()
    for (const key of ['a', 'b', 'c']) soon(store, key)
    expect(names()).toEqual([])
    await setImmediate()
    expect(names()).toEqual(['a', 'b', 'c'])
  })

  it('are there for whoever looks, changes or lists before that', async () => {
    const store = make()
    soon(store, 'a')
    expect(store.read('other')).toBeUndefined()
    expect(names()).toEqual([])
    expect(store.read('a')?.body.size).toBe(5)
    expect(names()).toEqual(['a'])
    soon(store, 'b')
    expect(store.delete(['b'])).toBe(1)
    soon(store, 'c')
    expect(store.size().entries).toBe(2)
    soon(store, 'd')
    const { version = '' } = store.read('a') ?? {}
    expect(store.update('a', { ...head('a'), expiresAt: 5 }, version)).toBe(true)
    soon(store, 'e')
    expect(await Array.fromAsync(store.keys())).toEqual(['a', 'c', 'd', 'e'])
    soon(store, 'f')
    await store.clear()
    expect(names()).toEqual([])
  })

  it('are there for other stores of the same file, and thread, too', async () => {
    const [store, other] = [make(), make()]
    soon(store, 'a')
    expect(other.read('a')?.body.size).toBe(5)
    soon(store, 'b')
    expect(other.size().entries).toBe(2)
    soon(store, 'c')
    expect(other.delete(['c'])).toBe(1)
    soon(store, 'd', 1)
    soon(other, 'd', 2)
    expect(store.read('d')?.body.size).toBe(2)
    const apart = [make({ memory: true }), make({ memory: true })] as const
    soon(apart[0], 'a')
    expect([apart[1].read('a'), apart[0].read('a')?.body.size]).toEqual([undefined, 5])
  })

  it('are older than a long body that is done after them', async () => {
    const store = make({ inlineSize: 10, chunkSize: 8 })
    let end = (): void => undefined
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(fill(30, 1))
        end = () => controller.close()
      },
    })
    const long = store.write(head('a'), body)
    await setImmediate()
    soon(store, 'a')
    end()
    await long
    await setImmediate()
    expect(store.read('a')?.body.size).toBe(30)
  })

  it('fail at once where nothing may be written', () => {
    make().size()
    const store = make({ readOnly: true })
    expect(() => soon(store, 'a')).toThrow(expect.objectContaining({ code: 'ERR_STORE_READONLY' }))
  })

  it('of one key: the last one stays', () => {
    const store = make()
    for (const size of [1, 2, 3]) soon(store, 'a', size)
    expect(store.read('a')?.body.size).toBe(3)
    soon(store, 'a', 4)
    void store.write(head('a'), fill(5, 1))
    store.close()
    expect(make().read('a')?.body.size).toBe(5)
  })

  it('are made at once where they are many or long', () => {
    const store = make()
    for (let n = 0; n < 128; n++) soon(store, `k${n}`)
    expect(names()).toHaveLength(128)
    for (let n = 0; n < 16; n++) soon(store, `long${n}`, 65_536)
    expect(names()).toHaveLength(144)
  })

  it('fail apart: one that the database refuses takes no other with it', async () => {
    const store = make()
    store.size()
    raw((database) =>
      database.exec(
        `CREATE TRIGGER refuse BEFORE INSERT ON entries WHEN new.key = 'b' BEGIN SELECT RAISE(ABORT, 'no'); END`,
      ),
    )
    for (const key of ['a', 'b', 'c']) soon(store, key)
    await setImmediate()
    expect([...failures.keys()]).toEqual(['b'])
    expect(failures.get('b')).toBeInstanceOf(StoreError)
    expect(names()).toEqual(['a', 'c'])
    // Who hears of it finds the others made.
    let deleted = 0
    store.writeSoon(head('b'), fill(5, 1), () => (deleted = store.delete(['d'])))
    soon(store, 'd')
    await setImmediate()
    expect([deleted, names()]).toEqual([1, ['a', 'c']])
  })

  it('wait for other processes once, and fail together where those hold the file', async () => {
    const store = make({ busyTimeout: 20 })
    store.size()
    const other = new DatabaseSync(file())
    other.exec('BEGIN IMMEDIATE')
    for (const key of ['a', 'b']) soon(store, key)
    await setImmediate()
    other.exec('ROLLBACK')
    other.close()
    expect([...failures.keys()]).toEqual(['a', 'b'])
    for (const error of failures.values()) expect(error).toMatchObject({ code: 'ERR_STORE_BUSY' })
  })

  it('are made when the process exits in the middle of a turn', async () => {
    const writer = child(`${LONG}
      store.writeSoon(head('a'), fill(5, 1), () => undefined)
      process.exit(0)`)
    await once(writer, 'exit')
    expect(make().read('a')?.body.size).toBe(5)
  })
})

describe('what is wrong', () => {
  it('B42: no flipped byte is served: metadata, body, chunk', async () => {
    const store = make({ inlineSize: 100, chunkSize: 64 })
    await Promise.all(['a', 'b', 'c'].map((key) => store.write(head(key), fill(50, 1))))
    await store.write(head('d'), stream(3, 50, 1))
    await store.write(head('e'), stream(3, 50, 1))
    raw((database) => {
      database.exec(`UPDATE entries SET body = x'00' || substr(body, 2) WHERE key = 'a'`)
      database.exec(
        `UPDATE entries SET meta = CAST(replace(CAST(meta AS TEXT), 'stale', 'stAle') AS BLOB) WHERE key = 'b'`,
      )
      database.exec(`UPDATE entries SET expires = expires + 1 WHERE key = 'c'`)
      database.exec(
        `UPDATE chunks SET data = x'00' || substr(data, 2) WHERE n = 1 AND entry = (SELECT id FROM entries WHERE key = 'd')`,
      )
      database.exec(`DELETE FROM chunks WHERE n = 1 AND entry = (SELECT id FROM entries WHERE key = 'e')`)
    })
    for (const key of ['a', 'b', 'c']) expect(await codeOf(() => store.read(key))).toBe('ERR_STORE_CORRUPT')
    for (const key of ['d', 'e']) expect(await codeOf(() => all(store.read(key)))).toBe('ERR_STORE_CORRUPT')
    expect((await collected(store.keys())).toSorted()).toEqual(['a', 'd', 'e'])
  })

  it('row 209: clear() makes a damaged database anew', async () => {
    const store = make({ wal: false })
    for (let n = 0; n < 100; n++) void store.write(head(`k${n}`), fill(5000, n))
    store.close()
    const bytes = readFileSync(file())
    bytes.fill(0xaa, 4096)
    writeFileSync(file(), bytes)
    const again = make()
    expect(await codeOf(() => again.read('k1'))).toBe('ERR_STORE_CORRUPT')
    await again.clear()
    void again.write(head('a'), fill(5, 1))
    expect(again.read('a')?.body.size).toBe(5)
  })

  it('row 209, B43: clear() leaves a damaged database alone that is not known to be ours', async () => {
    raw((database) => {
      database.exec('CREATE TABLE precious(a); INSERT INTO precious VALUES(zeroblob(20000))')
    })
    const bytes = readFileSync(file())
    bytes.fill(0xaa, 100)
    writeFileSync(file(), bytes)
    const store = make()
    expect(await codeOf(() => store.clear())).toBe('ERR_STORE_CORRUPT')
    expect(await codeOf(() => store.write(head('a'), fill(5, 1)))).toBe('ERR_STORE_CORRUPT')
    expect(readFileSync(file()).equals(bytes)).toBe(true)
  })

  it('B43: files that are not ours, and newer ones, are left as they are', async () => {
    const untouched = async (): Promise<void> => {
      const before = readFileSync(file())
      expect(await codeOf(() => make().read('a'))).toBe('ERR_STORE_FORMAT')
      expect(await codeOf(() => make().write(head('a'), fill(1, 1)))).toBe('ERR_STORE_FORMAT')
      expect(readFileSync(file()).equals(before)).toBe(true)
      rmSync(file())
    }
    writeFileSync(file(), 'a text that someone needs')
    await untouched()
    writeFileSync(file(), fill(5000, 9))
    await untouched()
    raw((database) => database.exec('CREATE TABLE precious(a)'))
    await untouched()
    raw((database) => database.exec('PRAGMA journal_mode = WAL; CREATE TABLE precious(a)'))
    await untouched()
    raw((database) => database.exec('PRAGMA application_id = 77'))
    await untouched()
    make().size()
    for (const store of stores.splice(0)) store.close()
    raw((database) => database.exec('PRAGMA user_version = 2'))
    await untouched()
  })

  it('D66: a file that cannot be opened, read-only files, a lock that stays', async () => {
    writeFileSync(join(dir, 'file'), '')
    expect(await codeOf(() => make({ path: join(dir, 'file', 'a.sqlite') }).read('a'))).toBe('ERR_STORE_OPEN')
    expect(await codeOf(() => make({ path: join(dir, 'missing.sqlite'), readOnly: true }).read('a'))).toBe(
      'ERR_STORE_OPEN',
    )
    expect(() => make({ path: join(dir, 'file', 'a.sqlite'), strict: true })).toThrow(StoreError)
    await make().write(head('a'), fill(5, 7))
    const reader = make({ readOnly: true })
    expect(reader.read('a')?.body.size).toBe(5)
    expect(await codeOf(() => reader.write(head('b'), fill(1, 1)))).toBe('ERR_STORE_READONLY')
    const hurried = make({ busyTimeout: 20 })
    hurried.size()
    const other = new DatabaseSync(file())
    other.exec('BEGIN IMMEDIATE')
    expect(await codeOf(() => hurried.write(head('b'), fill(1, 1)))).toBe('ERR_STORE_BUSY')
    expect(await codeOf(() => hurried.write(head('b'), fill(100_000, 1)))).toBe('ERR_STORE_BUSY')
    expect(hurried.read('a')?.body.size).toBe(5)
    other.exec('ROLLBACK')
    other.close()
    await hurried.write(head('b'), fill(1, 1))
  })

  it('D66: a database that turns out to be read-only is read', async () => {
    await make().write(head('a'), fill(5, 7))
    const reader = make({ wal: false, open: { readOnly: true } })
    expect(reader.read('a')?.body.size).toBe(5)
    expect(await codeOf(() => reader.write(head('b'), fill(1, 1)))).toBe('ERR_STORE_READONLY')
  })

  it('D67: a full database is ERR_STORE_FULL, and what was there stays', async () => {
    const store = make({ driver: Limited })
    void store.write(head('a'), fill(5, 7))
    expect(await codeOf(() => store.write(head('a'), stream(100, 65_536, 1)))).toBe('ERR_STORE_FULL')
    expect(store.read('a')?.body.bytes).toEqual(fill(5, 7))
  })

  it('closed is closed', async () => {
    const store = make({ inlineSize: 10, chunkSize: 8 })
    await store.write(head('a'), stream(3, 10, 4))
    const entry = store.read('a')
    store.close()
    store.close()
    const uses = [
      () => store.read('a'),
      () => store.write(head('a'), fill(1, 1)),
      () => store.delete([]),
      () => store.size(),
      () => store.clear(),
      () => all(entry),
    ]
    for (const use of uses) expect(await codeOf(use)).toBe('ERR_STORE_CLOSED')
  })
})

class Limited extends DatabaseSync {
  constructor(path: string, options?: Record<string, unknown>) {
    super(path, options)
    this.exec('PRAGMA max_page_count = 200')
  }
}

const wrong = (options: object): Promise<string> => codeOf(() => new SqliteStore(options))

describe('options', () => {
  it('row 204, row 205: the path', () => {
    expect(existsSync(file())).toBe(false)
    make()
    expect(existsSync(file())).toBe(false)
    expect(new SqliteStore('~/x').path).toBe(join(homedir(), 'x.sqlite'))
    expect(new SqliteStore('a.db').path).toBe(join(process.cwd(), 'a.db'))
    expect(new SqliteStore({ path: 'x', useTemp: true }).path).toBe(join(tmpdir(), 'x.sqlite'))
    expect(new SqliteStore({ path: '/x/y', useTemp: true }).path).toBe('/x/y.sqlite')
    expect(new SqliteStore({ path: 'x', useCacheDir: true }).path).not.toBe(new SqliteStore('x').path)
    make({ path: join(dir, 'p', 'q', 'r') }).size()
    expect(existsSync(join(dir, 'p', 'q', 'r.sqlite'))).toBe(true)
  })

  it('row 206: wal, fastSave', () => {
    make({ wal: false, fastSave: true }).size()
    expect(raw((database) => database.prepare('PRAGMA journal_mode').get()?.['journal_mode'])).toBe('delete')
    make().size()
    expect(raw((database) => database.prepare('PRAGMA journal_mode').get()?.['journal_mode'])).toBe('wal')
  })

  it('unknown names and wrong values are the caller\u2019s fault', async () => {
    expect(await wrong({ busyTimout: 5 })).toBe('ERR_OPTION_UNKNOWN')
    expect(() => new SqliteStore({ busyTimout: 5 } as object)).toThrow(/`busyTimeout`/)
    for (const options of [
      { wal: 1 },
      { busyTimeout: -1 },
      { busyTimeout: 1.5 },
      { chunkSize: 0 },
      { path: '' },
      { driver: null },
      { memory: true, readOnly: true },
    ]) {
      expect(await wrong(options)).toBe('ERR_OPTION_VALUE')
    }
  })
})

/** A child that runs `code` with `SqliteStore`, `head` and `store` at hand. */
function child(code: string): ChildProcess {
  const url = new URL('sqlite.ts', import.meta.url).href
  const script = `import { SqliteStore } from ${JSON.stringify(url)}
    const head = ${head.toString()}
    const fill = (length, value) => new Uint8Array(length).fill(value)
    const store = new SqliteStore({ path: ${JSON.stringify(file())}, inlineSize: 1000, chunkSize: 4096, busyTimeout: 20000 })
    ${code}`
  return spawn(process.execPath, ['--no-warnings', '--experimental-strip-types', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}
const LONG = `const long = (value) => { let n = 0; return new ReadableStream({ pull(c) { if (n++ < 20) c.enqueue(fill(3000, value)); else c.close() } }) }`

describe('many processes', () => {
  it('C51, C52: six open, make, write and read one file at once', async () => {
    const children = Array.from({ length: 6 }, (_, n) =>
      child(`${LONG}
        for (let i = 0; i < 40; i++) {
          store.write(head('own-${n}-' + i), fill(100, ${n}))
          if (i % 4 === 0) await store.write(head('shared'), long(${n}))
          else store.write(head('shared-short'), fill(200, ${n}))
          const short = store.read('shared-short')
          if (short !== undefined && !short.body.bytes.every((byte) => byte === short.body.bytes[0])) process.exit(3)
          let first
          try {
            const entry = store.read('shared')
            if (entry !== undefined) for await (const part of entry.body.open(0, entry.body.size)) {
              first ??= part[0]
              if (!part.every((byte) => byte === first)) process.exit(4)
            }
          } catch (error) { if (error.code !== 'ERR_STORE_FAILED') throw error }
        }
        store.close()`),
    )
    const codes = await Promise.all(children.map(async (process) => (await once(process, 'exit'))[0] as number))
    expect(codes).toEqual([0, 0, 0, 0, 0, 0])
    const store = make()
    expect(store.size().entries).toBe(242)
    await store.deleteWhere({ expiredAt: 0 })
    expect(chunks()).toBe(15)
  })

  it('164: a second store of this process leaves the first its locks', async () => {
    const [first, second] = [make(), make()]
    /** What this process holds of the file itself, where the system tells. */
    const locks = (): number => {
      if (!existsSync('/proc/locks')) return 1
      const lines = readFileSync('/proc/locks', 'utf8').split('\n')
      return lines.filter((line) => line.includes(` ${process.pid} `) && line.includes(`:${statSync(file()).ino} `))
        .length
    }
    void first.write(head('a'), fill(5, 1))
    expect(locks()).toBe(1)
    expect(second.read('a')?.body.size).toBe(5)
    expect(locks()).toBe(1)
    second.close()
    expect(locks()).toBe(1)
    const other = child(`if (store.read('a') === undefined) process.exit(3); store.close()`)
    expect((await once(other, 'exit'))[0]).toBe(0)
    expect(first.read('a')?.body.size).toBe(5)
  })

  it('D67: killed while writing, ten times: what is there is whole', async () => {
    for (let cycle = 0; cycle < 10; cycle++) {
      const writer = child(`${LONG}
        for (let i = 0; ; i++) {
          await store.write(head('short'), fill(500, i % 256))
          await store.write(head('long'), long(i % 256))
          if (i === ${cycle}) process.stdout.write('go')
        }`)
      if (writer.stdout !== null) await once(writer.stdout, 'data')
      writer.kill('SIGKILL')
      await once(writer, 'exit')
      const store = make({ busyTimeout: 20_000 })
      const short = store.read('short')?.body.bytes ?? fill(0, 0)
      const long = await all(store.read('long'))
      expect([short.length, long.length]).toEqual([500, 60_000])
      expect(new Set(short).size).toBe(1)
      expect(new Set(long).size).toBe(1)
      store.close()
      expect(raw((database) => database.prepare('PRAGMA integrity_check').get()?.['integrity_check'])).toBe('ok')
    }
  })
})
