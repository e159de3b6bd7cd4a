/** maxEntries and maxBytes of the file store (CHECKLIST row 213, RELIABILITY 163). */
import * as nodeFs from 'node:fs'
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import { sampleHead, sampleMeta } from '../testing/index.ts'
import { FileStore, type FileOptions } from './file.ts'

const root = mkdtempSync(join(tmpdir(), 'keepfresh-bounds-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let dir = ''
const stores: FileStore[] = []
beforeEach(() => {
  dir = mkdtempSync(join(root, 't-'))
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})
function make(options: FileOptions = {}): FileStore {
  const store = new FileStore({ dir, inlineSize: 1000, ...options })
  stores.push(store)
  return store
}
const keysOf = async (store: FileStore): Promise<string[]> =>
  (await Array.fromAsync(store.keys())).toSorted((a, b) => Number(a) - Number(b))

/** Makes the files of an entry look as if they were last used then. */
async function age(store: FileStore, times: Readonly<Record<string, number>>): Promise<void> {
  const paths = await Array.fromAsync(store.paths())
  const { readFileSync } = await import('node:fs')
  for (const path of paths) {
    const key = /"key":"([^"]*)"/.exec(readFileSync(path, 'latin1'))?.[1] ?? ''
    const time = times[key]
    if (time !== undefined) utimesSync(path, time, time)
  }
}

it('row 213: over maxEntries the longest unused goes first; a hit, a write and an update are uses', async () => {
  const store = make({ maxEntries: 5 })
  for (let n = 1; n <= 5; n++) await store.write(sampleHead(String(n)), new Uint8Array(n))
  await age(store, { 1: 1000, 2: 1001, 3: 1002, 4: 1003, 5: 1004 })
  await store.read('1')
  const second = await make().read('2')
  await store.update('2', { meta: sampleMeta('2'), expiresAt: 1, keepUntil: 2 }, second?.version ?? '')
  await store.write(sampleHead('3'), new Uint8Array(3))
  // The mark of a hit is not waited for.
  await expect.poll(async () => readsSince(dir, 1500)).toBe(3)
  await store.write(sampleHead('6'), new Uint8Array(6))
  expect((await store.size()).entries).toBe(5)
  expect(await keysOf(store)).toEqual(['1', '2', '3', '5', '6'])
  await store.write(sampleHead('7'), new Uint8Array(7))
  await store.size()
  expect(await keysOf(store)).toEqual(['1', '2', '3', '6', '7'])
})

/** How many entry files were used since. */
async function readsSince(at: string, seconds: number): Promise<number> {
  const { statSync } = await import('node:fs')
  const names = readdirSync(at, { recursive: true }).map((name) => join(at, String(name)))
  return names.filter((name) => name.endsWith('.kf') && statSync(name).mtimeMs > seconds * 1000).length
}

it('row 213: over maxBytes too, long bodies included; what was there when it was opened counts', async () => {
  const first = make()
  for (let n = 1; n <= 8; n++) await first.write(sampleHead(String(n)), new Uint8Array(9000))
  await age(first, { 1: 1000, 2: 1001, 3: 1002, 4: 1003, 5: 1004, 6: 1005, 7: 1006, 8: 1007 })
  const each = (await first.size()).bytes / 8
  expect(each).toBe(4096 + 12_288)
  const store = make({ maxBytes: each * 5 })
  await store.write(sampleHead('9'), new Uint8Array(10))
  const { bytes } = await store.size()
  expect(bytes).toBeLessThanOrEqual(each * 5)
  expect(await keysOf(store)).toEqual(['5', '6', '7', '8', '9'])
  expect(readdirSync(dir, { recursive: true }).filter((name) => String(name).endsWith('.body'))).toHaveLength(4)
})

it('row 213: what is larger than the bounds is not stored, and costs nobody else', async () => {
  const store = make({ maxBytes: 100_000, maxEntrySize: 50_000 })
  await store.write(sampleHead('1'), new Uint8Array(1000))
  for (const size of [50_001, 200_000]) {
    const error: unknown = await store.write(sampleHead('2'), new Uint8Array(size)).catch((thrown: unknown) => thrown)
    expect(error instanceof StoreError && error.code).toBe('ERR_STORE_FULL')
  }
  const tight = make({ maxBytes: 4096 })
  await expect(tight.write(sampleHead('2'), new Uint8Array(4000))).rejects.toThrow(/larger than/)
  expect(await keysOf(store)).toEqual(['1'])
  expect((await store.size()).entries).toBe(1)
})

it('163: the account equals what is on the disk after thousands of changes', async () => {
  const maxEntries = 60
  const store = make({ maxEntries, maxBytes: 3_000_000 })
  let state = 7
  const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below
  for (let n = 0; n < 1500; n++) {
    const key = String(random(200))
    if (random(5) === 0) await store.delete([key])
    else await store.write(sampleHead(key), new Uint8Array([0, 1, 900, 5000, 40_000][random(5)] ?? 0))
    if (n % 250 !== 0) continue
    const { entries, bytes } = await store.size()
    expect(entries).toBeLessThanOrEqual(maxEntries)
    expect(bytes).toBeLessThanOrEqual(3_000_000)
  }
  const { entries } = await store.size()
  expect(entries).toBeGreaterThan(maxEntries / 2)
  expect((await keysOf(store)).length).toBe(entries)
})

/** node:fs with one function whose answers for the paths named so wait, while it is closed, for the gate to open. */
class Gate {
  readonly fs: NonNullable<FileOptions['fs']>
  closed = false
  readonly #waiting: (() => void)[] = []

  constructor(name: 'readdir' | 'unlink', paths: RegExp) {
    const real: unknown = nodeFs[name]
    if (typeof real !== 'function') throw new TypeError(name)
    const slow = (...args: unknown[]): void => {
      const done = args.pop() as (...answer: unknown[]) => void
      const tell = (...answer: unknown[]): void => {
        if (this.closed && paths.test(String(args[0]))) this.#waiting.push(() => done(...answer))
        else done(...answer)
      }
      Reflect.apply(real, nodeFs, [...args, tell])
    }
    this.fs = { ...nodeFs, [name]: slow }
  }

  get waiting(): number {
    return this.#waiting.length
  }

  open(): void {
    this.closed = false
    for (const tell of this.#waiting.splice(0)) tell()
  }
}

async function tenEntries(): Promise<void> {
  const other = make()
  for (let n = 1; n <= 10; n++) await other.write(sampleHead(String(n)), new Uint8Array(n))
}

it('163: what is deleted while a pass counts is not subtracted from what it did not count', async () => {
  await tenEntries()
  const gate = new Gate('readdir', /entries$/)
  const store = make({ maxEntries: 10, fs: gate.fs })
  gate.closed = true
  await store.write(sampleHead('11'), new Uint8Array(1))
  await expect.poll(() => gate.waiting).toBe(1)
  await store.delete(['1'])
  gate.open()
  expect((await store.size()).entries).toBe(10)
  await store.write(sampleHead('12'), new Uint8Array(1))
  expect((await store.size()).entries).toBeLessThanOrEqual(10)
})

it('163: nor is what was deleted before a pass counted, and is known to be after it', async () => {
  await tenEntries()
  const gate = new Gate('unlink', /\.kf$/)
  const store = make({ maxEntries: 10, fs: gate.fs })
  gate.closed = true
  const deleted = store.delete(['1'])
  await expect.poll(() => gate.waiting).toBe(1)
  await store.write(sampleHead('11'), new Uint8Array(1))
  expect((await store.size()).entries).toBe(10)
  gate.open()
  await deleted
  await store.write(sampleHead('12'), new Uint8Array(1))
  expect((await store.size()).entries).toBeLessThanOrEqual(10)
})

it('117: two stores, one of them unbounded, on one directory: the bound holds again with the next pass', async () => {
  const [bounded, other] = [make({ maxEntries: 20 }), make()]
  await bounded.write(sampleHead('0'), new Uint8Array(1))
  await bounded.size()
  for (let n = 1; n <= 40; n++) await other.write(sampleHead(String(n)), new Uint8Array(1))
  for (let n = 41; n <= 62; n++) await bounded.write(sampleHead(String(n)), new Uint8Array(1))
  expect((await bounded.size()).entries).toBeLessThanOrEqual(20)
})
