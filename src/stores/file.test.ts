import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import * as nodeFs from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it, test } from 'vitest'
import { OptionError, StoreError } from '../errors.ts'
import { NEVER, type StoredEntry } from '../engine/ports.ts'
import { sampleHead, sampleMeta, storeConformance } from '../testing/index.ts'
import { passThrough } from '../../test/memory.ts'
import { FileStore, type FileOptions, type FileSystem } from './file.ts'

const root = mkdtempSync(join(tmpdir(), 'keepfresh-file-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

storeConformance({ name: 'file', make: () => new FileStore(mkdtempSync(join(root, 'a-'))), describe, test })
storeConformance({
  name: 'file, sync, durable, bounded',
  make: () =>
    new FileStore({
      dir: mkdtempSync(join(root, 's-')),
      sync: true,
      durability: 'full',
      maxEntries: 1e6,
      strict: true,
    }),
  describe,
  test,
})

let dir = ''
const stores: FileStore[] = []
beforeEach(() => {
  dir = join(mkdtempSync(join(root, 't-')), 'cache')
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})

function make(options: FileOptions = {}): FileStore {
  const store = new FileStore({ dir, inlineSize: 1000, chunkSize: 4096, ...options })
  stores.push(store)
  return store
}
const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
function stream(count: number, size: number, value: number, failure?: unknown): ReadableStream<Uint8Array> {
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
  return new Uint8Array(Buffer.concat(parts))
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
const HEX = 'f'.repeat(62)
const ID = 'a'.repeat(16)
/** All files below the directory, as paths relative to it. */
const tree = (at = dir): string[] =>
  readdirSync(at, { recursive: true, withFileTypes: true })
    .filter((item) => !item.isDirectory())
    .map((item) => relative(at, join(item.parentPath, item.name)))
    .toSorted()
const pathsOf = async (store: FileStore): Promise<string[]> => (await Array.fromAsync(store.paths())).toSorted()
const pathOf = async (store: FileStore): Promise<string> => (await pathsOf(store))[0] ?? ''

describe('files', () => {
  it('row 211, 192: one readable file an entry, a long body beside it; paths() names them', async () => {
    const store = make()
    await store.write(
      sampleHead('GET http://a.test/', { meta: sampleMeta('GET http://a.test/') }),
      Buffer.from('hello'),
    )
    await store.write(sampleHead('long'), fill(5000, 65))
    const paths = await pathsOf(store)
    expect(paths).toHaveLength(2)
    for (const path of paths) expect(relative(dir, path)).toMatch(/^entries.[0-9a-f]{2}.[0-9a-f]{62}\.kf$/)
    const texts = paths.map((path) => readFileSync(path, 'utf8'))
    const short = texts.find((text) => text.endsWith('hello')) ?? ''
    const [first, own = '', meta = ''] = short.split('\n')
    expect(first).toMatch(/^keepfresh entry 1( [0-9a-f]{8}){5}$/)
    expect(JSON.parse(own)).toMatchObject({ key: 'GET http://a.test/', size: 5, createdAt: 1000 })
    expect(JSON.parse(meta)).toEqual(sampleMeta('GET http://a.test/'))
    const body = tree().find((name) => name.endsWith('.body')) ?? ''
    expect(readFileSync(join(dir, body)).subarray(0, 5000).equals(fill(5000, 65))).toBe(true)
    expect(JSON.parse(readFileSync(join(dir, 'keepfresh.json'), 'utf8'))).toMatchObject({ format: 1, extension: '.kf' })
  })

  it('row 212: files are 0600, folders 0700, and nothing else is left', async () => {
    const store = make({ durability: 'full' })
    await store.write(sampleHead('a'), fill(10, 1))
    await store.write(sampleHead('b'), stream(10, 1000, 1))
    await store.lock('l', 'o', 1000)
    for (const item of ['.', ...readdirSync(dir, { recursive: true })].map((name) => join(dir, String(name)))) {
      const stats = statSync(item)
      expect([item, stats.mode & 0o777]).toEqual([item, stats.isDirectory() ? 0o700 : 0o600])
    }
    await store.unlock('l', 'o')
    await store.close()
    expect(tree().map((name) => name.replace(/[0-9a-f]{2}.[0-9a-f]{62}(\.[0-9a-f]{16})?/, '*'))).toEqual([
      join('entries', '*.body'),
      join('entries', '*.kf'),
      join('entries', '*.kf'),
      'keepfresh.json',
    ])
  })

  it('141: no key gets out of the directory, and none meets another', async () => {
    const keys = [
      '../../etc/passwd',
      '/etc/passwd',
      'a\0b',
      'CON',
      'x'.repeat(5000),
      'Key',
      'key',
      'dot.',
      'space ',
      '',
    ]
    const store = make()
    for (const [n, key] of keys.entries()) await store.write(sampleHead(key), fill(3, n))
    for (const [n, key] of keys.entries()) expect((await store.read(key))?.body.bytes).toEqual(fill(3, n))
    expect((await pathsOf(store)).every((path) => path.startsWith(dir + sep))).toBe(true)
    expect(readdirSync(join(dir, '..'))).toEqual(['cache'])
  })

  it('B40: an entry in the file of another key is a miss', async () => {
    const store = make()
    await store.write(sampleHead('a'), fill(3, 1))
    const from = await pathOf(store)
    await store.write(sampleHead('b'), fill(3, 2))
    const to = (await pathsOf(store)).find((path) => path !== from) ?? ''
    renameSync(from, to)
    for (const sync of [false, true]) expect(await make({ sync }).read('b')).toBeUndefined()
    const report = await store.verify()
    expect(report).toEqual({ entries: 0, damaged: 1, leftovers: 0 })
  })

  it('141: links are not followed', async () => {
    const outside = join(dir, '..', 'outside')
    mkdirSync(outside)
    const store = make()
    await store.write(sampleHead('a'), fill(3, 1))
    const path = await pathOf(store)
    renameSync(path, join(outside, 'entry'))
    symlinkSync(join(outside, 'entry'), path)
    expect(await codeOf(() => store.read('a'))).toBe('ERR_STORE_CORRUPT')
    expect(await codeOf(() => make({ sync: true }).read('a'))).toBe('ERR_STORE_CORRUPT')
    await store.write(sampleHead('a'), fill(3, 2))
    expect((await store.read('a'))?.body.bytes).toEqual(fill(3, 2))
    expect(readdirSync(outside)).toEqual(['entry'])
    const folder = join(path, '..')
    rmSync(folder, { recursive: true })
    symlinkSync(outside, folder)
    expect(await codeOf(() => make().write(sampleHead('a'), fill(3, 3)))).toBe('ERR_STORE_OPEN')
    expect(readdirSync(outside)).toEqual(['entry'])
    await make().clear()
    expect(readdirSync(outside)).toEqual(['entry'])
  })

  it('row 197: a hit opens one file and reads it once, sync or not', async () => {
    await make().write(sampleHead('a'), fill(500, 1))
    const calls: string[] = []
    const fs = watched((name) => void calls.push(name))
    for (const [sync, expected] of [
      [false, ['open', 'read', 'closeSync']],
      [true, ['openSync', 'readSync', 'closeSync']],
    ] as const) {
      const store = make({ fs, sync })
      await store.read('a')
      calls.length = 0
      const found = store.read('a')
      expect(found instanceof Promise).toBe(!sync)
      expect((await found)?.body.bytes).toEqual(fill(500, 1))
      expect(calls).toEqual(expected)
    }
  })

  it('a repeated hit has the same metadata object; what it hands out is a copy', async () => {
    const store = make({ inlineSize: 100_000 })
    for (const size of [50, 50_000]) {
      await store.write(sampleHead('a'), fill(size, 7))
      const first = await store.read('a')
      first?.body.bytes?.fill(0)
      const second = await store.read('a')
      expect(second?.meta).toBe(first?.meta)
      expect(second?.body.bytes).toEqual(fill(size, 7))
    }
  })

  it('files longer than a buffer are read as well', async () => {
    const big = Uint8Array.from({ length: 3_000_000 }, (_, n) => n % 251)
    await make({ inlineSize: 4_000_000 }).write(
      sampleHead('a', { meta: sampleMeta('a', { tags: ['x'.repeat(20_000)] }) }),
      big,
    )
    for (const sync of [true, false]) {
      const store = make({ sync })
      for (let n = 0; n < 2; n++) expect((await store.read('a'))?.body.bytes).toEqual(big)
    }
    expect((await Array.fromAsync(make().entries()))[0]).toMatchObject({ key: 'a', size: 3_000_000 })
  })

  it('rule 3: update leaves the file of a long body alone, and is of one version only', async () => {
    const store = make()
    await store.write(sampleHead('a'), stream(10, 1000, 4))
    const body = tree().find((name) => name.endsWith('.body')) ?? ''
    const before = statSync(join(dir, body))
    const version = (await store.read('a'))?.version ?? ''
    const change = { meta: sampleMeta('a', { status: 203 }), expiresAt: 5, keepUntil: NEVER }
    const results = await Promise.all(Array.from({ length: 5 }, () => store.update('a', change, version)))
    expect(results.filter(Boolean)).toHaveLength(1)
    expect(await store.read('a')).toMatchObject({ ...change, createdAt: 1000 })
    expect(await all(await store.read('a'))).toEqual(fill(10_000, 4))
    expect(statSync(join(dir, body))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs })
  })

  it('rule 4, 68: who opened a body reads it to its end, whatever happens to the entry', async () => {
    const store = make()
    for (const change of [
      () => store.write(sampleHead('a'), stream(20, 1000, 2)),
      () => store.delete(['a']),
      () => store.clear(),
    ]) {
      await store.write(sampleHead('a'), stream(20, 1000, 1))
      const entry = await store.read('a')
      const reader = entry?.body.open(0, 20_000).getReader()
      let length = (await reader?.read())?.value?.length ?? 0
      await change()
      for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
        expect(part.value.every((byte) => byte === 1)).toBe(true)
        length += part.value.length
      }
      expect(length).toBe(20_000)
      expect(await codeOf(() => all(entry))).toBe('ERR_STORE_FAILED')
    }
  })

  it('replaced, failed and deleted bodies leave no files', async () => {
    const store = make({ maxEntrySize: 50_000 })
    const failure = Object.assign(new RangeError('lost'), { code: 'ENOENT' })
    await store.write(sampleHead('a'), stream(20, 1000, 1))
    await expect(store.write(sampleHead('a'), stream(20, 1000, 1, failure))).rejects.toBe(failure)
    await expect(store.write(sampleHead('a'), stream(0, 1000, 1, failure))).rejects.toBe(failure)
    expect(await codeOf(() => store.write(sampleHead('a'), stream(1e9, 1000, 1)))).toBe('ERR_STORE_FULL')
    expect(await codeOf(() => store.write(sampleHead('a'), fill(50_001, 1)))).toBe('ERR_STORE_FULL')
    expect(await all(await store.read('a'))).toEqual(fill(20_000, 1))
    await store.write(sampleHead('a'), stream(30, 1000, 2))
    expect(tree().filter((name) => name.startsWith('entries'))).toHaveLength(2)
    await store.write(sampleHead('a'), fill(5, 2))
    expect(tree().filter((name) => name.startsWith('entries'))).toHaveLength(1)
    expect(await store.delete(['a', 'a', 'missing'])).toBe(1)
    expect(tree().filter((name) => name.startsWith('entries'))).toHaveLength(0)
  })

  it('a giver may use its buffers again', async () => {
    const store = make()
    const buffer = Buffer.alloc(300)
    let n = 0
    const reusing = new ReadableStream<Uint8Array>(
      { pull: (controller) => (n < 6 ? controller.enqueue(buffer.fill(n++)) : controller.close()) },
      { highWaterMark: 0 },
    )
    await store.write(sampleHead('a'), reusing)
    expect([...(await all(await store.read('a')))].filter((_, at) => at % 300 === 0)).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('I6: streams read to the end, cancelled or failed close their file', async () => {
    const open = new Set<number>()
    const fs = watched(
      () => undefined,
      (name, args, result) => {
        if (name === 'open' && typeof result === 'number') open.add(result)
        if (name === 'close' || name === 'closeSync') open.delete(Number(args[0]))
      },
    )
    const store = make({ fs })
    await store.write(sampleHead('a'), stream(20, 1000, 1))
    await store.write(sampleHead('b'), fill(10, 1))
    const entry = await store.read('a')
    await all(entry)
    await all(entry, 5000, 5001)
    const reader = entry?.body.open(0, 20_000).getReader()
    await reader?.read()
    await reader?.cancel()
    const pending = entry?.body.open(0, 20_000).getReader()
    const read = pending?.read()
    await pending?.cancel()
    await read
    await Array.fromAsync(store.entries({ order: 'key' }))
    await store.verify()
    await expect.poll(() => open.size).toBe(0)
  })

  it('44: a thousand reads, writes and listings at once have few files open at a time', async () => {
    let open = 0
    let most = 0
    const fs = watched(
      () => undefined,
      (name, _, result) => {
        if (name === 'open' && typeof result === 'number') most = Math.max(most, (open += 1))
        if (name === 'close' || name === 'closeSync') open -= 1
      },
    )
    const store = make({ fs })
    const keys = Array.from({ length: 300 }, (_, n) => `k${n}`)
    await Promise.all(keys.map((key) => store.write(sampleHead(key), fill(100, 1))))
    await Promise.all([
      ...keys.map((key) => store.read(key)),
      ...keys.map((key) => store.write(sampleHead(key), fill(100, 2))),
      ...keys.map((key) => store.read(key)),
      Array.fromAsync(store.entries({ order: 'size' })),
      store.deleteWhere({ expiredAt: 0 }),
    ])
    expect(most).toBeLessThanOrEqual(64)
    expect((await store.read('k7'))?.body.bytes).toEqual(fill(100, 2))
  })

  it('D68: a quarter of a GiB passes through in bounded memory', async () => {
    const { size, growth } = await passThrough(
      make({ chunkSize: 256 * 1024 }),
      sampleHead('a'),
      stream(4096, 65_536, 3),
    )
    expect(size).toBe(268_435_456)
    expect(growth).toBeLessThan(150 * 1024 * 1024)
  })

  it('row 198: stores on one directory see the same data', async () => {
    const [a, b] = [make(), make({ sync: true })]
    await a.write(sampleHead('a'), fill(5, 1))
    expect((await b.read('a'))?.body.bytes).toEqual(fill(5, 1))
    await b.write(sampleHead('a'), fill(5, 2))
    expect((await a.read('a'))?.body.bytes).toEqual(fill(5, 2))
    await a.delete(['a'])
    expect(b.read('a')).toBeUndefined()
  })

  it('rows 195, 196: listings while entries change, clear, and keys used again', async () => {
    const store = make()
    for (let n = 0; n < 200; n++) await store.write(sampleHead(`k${n}`, { createdAt: n }), fill(n, 1))
    let seen = 0
    for await (const key of store.keys()) {
      seen += 1
      await store.delete([`k${199 - seen}`, key])
    }
    expect(seen).toBeGreaterThanOrEqual(100)
    await store.clear()
    expect(await store.size()).toEqual({ entries: 0, bytes: 0 })
    await store.write(sampleHead('k1'), fill(1, 1))
    expect(await Array.fromAsync(store.keys())).toEqual(['k1'])
  })

  it('listings and deleteWhere read no bodies', async () => {
    const store = make()
    for (let n = 0; n < 20; n++) await store.write(sampleHead(`k${n}`, { createdAt: n }), stream(100, 1000, 1))
    const read: number[] = []
    const fs = watched(
      () => undefined,
      (name, args) => void (name === 'read' && read.push(Number(args[4]) + Number(args[2]))),
    )
    const other = make({ fs })
    expect(await Array.fromAsync(other.entries({ order: 'created', limit: 3 }))).toHaveLength(3)
    expect(await other.deleteWhere({ createdBefore: 10 })).toBe(10)
    expect(Math.max(...read)).toBeLessThan(4096)
    expect(tree().filter((name) => name.endsWith('.body'))).toHaveLength(10)
  })

  it('size() counts what is on the disk, in blocks', async () => {
    const store = make({ blockBytes: 1000 })
    await store.write(sampleHead('a'), fill(10, 1))
    await store.write(sampleHead('b'), stream(10, 1000, 1))
    expect(await store.size()).toEqual({ entries: 2, bytes: 2000 + 11_000 })
  })

  it('what cannot be written as it is is refused', async () => {
    const store = make()
    expect(await codeOf(() => store.write(sampleHead('a', { expiresAt: NaN }), fill(1, 1)))).toBe('ERR_STORE_FAILED')
    expect(await codeOf(() => store.write(sampleHead('a', { expiresAt: NaN }), stream(9, 999, 1)))).toBe(
      'ERR_STORE_FAILED',
    )
    expect(tree().filter((name) => name.startsWith('entries'))).toHaveLength(0)
  })

  it('a change under way when the store is closed is completed, and leaves nothing behind', async () => {
    const store = make()
    await store.write(sampleHead('a'), fill(1, 1))
    const [gate, bodies] = [Promise.withResolvers<void>(), 8]
    const writes = Array.from({ length: bodies }, (_, n) => {
      const late = new ReadableStream<Uint8Array>({
        async pull(controller) {
          await gate.promise
          controller.enqueue(fill(5000, n))
          controller.close()
        },
      })
      return store.write(sampleHead(`late ${n}`), late)
    })
    await store.close()
    gate.resolve()
    await Promise.all(writes)
    expect(tree().filter((name) => name.startsWith('locks/'))).toEqual([])
    const next = make()
    for (let n = 0; n < bodies; n++) expect((await next.read(`late ${n}`))?.body.size).toBe(5000)
  })

  it('the file that says who we are may go at any time, whoever is changing what', async () => {
    const store = make()
    for (let round = 0; round < 5; round++) {
      const writes = Array.from({ length: 12 }, (_, n) => store.write(sampleHead(`k${n}`), fill(10, round)))
      for (const name of tree()) if (name.endsWith('.owner')) rmSync(join(dir, name), { force: true })
      await Promise.all(writes)
    }
    expect(await store.size()).toMatchObject({ entries: 12 })
  })

  it('row 192: keys that differ in a lone surrogate only are different', async () => {
    const store = make()
    const keys = ['\ud800', '\ud801', '\ufffd']
    for (const [n, key] of keys.entries()) await store.write(sampleHead(key), fill(n + 1, 1))
    for (const [n, key] of keys.entries()) expect((await store.read(key))?.body.size).toBe(n + 1)
  })

  it('closed is closed, streams included', async () => {
    const store = make()
    await store.write(sampleHead('a'), stream(20, 1000, 1))
    const entry = await store.read('a')
    const reader = entry?.body.open(0, 20_000).getReader()
    await reader?.read()
    await store.close()
    await store.close()
    for (const use of [
      () => store.read('a'),
      () => store.update('a', { meta: sampleMeta('a'), expiresAt: 1, keepUntil: 1 }, 'x'),
      () => store.size(),
      () => store.clear(),
      () => store.lock('a', 'b', 1),
      () => store.keys().next(),
      () => reader?.read(),
    ]) {
      expect(await codeOf(use)).toBe('ERR_STORE_CLOSED')
    }
  })
})

/** node:fs, telling what is called and what came of it. */
function watched(
  called: (name: string) => void,
  answered: (name: string, args: readonly unknown[], result: unknown) => void = () => undefined,
): FileSystem {
  return new Proxy(nodeFs, {
    get(target, name, receiver) {
      const original: unknown = Reflect.get(target, name, receiver)
      if (typeof original !== 'function' || typeof name !== 'string') return original
      return (...args: unknown[]) => {
        called(name)
        const done: unknown = args.at(-1)
        if (typeof done === 'function') {
          args[args.length - 1] = (error: unknown, result: unknown) => {
            answered(name, args, result)
            done(error, result)
          }
        }
        const result: unknown = original.apply(target, args)
        if (typeof done !== 'function') answered(name, args, result)
        return result
      }
    },
  })
}

const refused = async (files: Record<string, string>): Promise<void> => {
  mkdirSync(dir)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
  const store = make()
  for (const use of [
    () => store.read('a'),
    () => store.write(sampleHead('a'), fill(1, 1)),
    () => store.clear(),
    () => new FileStore({ dir, strict: true }),
  ]) {
    expect(await codeOf(use)).toBe('ERR_STORE_FORMAT')
  }
  expect(Object.fromEntries(tree().map((name) => [name, readFileSync(join(dir, name), 'utf8')]))).toEqual(files)
  rmSync(dir, { recursive: true })
}

describe('the directory', () => {
  it('row 211, 156: one that is not ours is refused and left as it is', async () => {
    await refused({ 'thesis.doc': 'years of work' })
    await refused({ 'keepfresh.json': '{"keepfresh":"file store","format":2,"extension":".kf"}' })
    await refused({ 'keepfresh.json': '{"keepfresh":"something else","format":1}' })
    await refused({ 'keepfresh.json': 'no json' })
    await refused({ 'keepfresh.json': '{"keepfresh":"file store","format":1}' })
  })

  it('row 211: foreign files in our directory survive clear, verify and everything else', async () => {
    const store = make()
    await store.write(sampleHead('a'), fill(1, 1))
    const folder = join(await pathOf(store), '..')
    const foreign = [
      join(dir, 'notes.txt'),
      join(dir, 'entries', 'notes.txt'),
      join(folder, 'notes.txt'),
      join(folder, `${HEX}.txt`),
      join(folder, `${HEX}x.kf`),
      join(folder, `${HEX}.short.body`),
      join(dir, 'locks', 'notes.busy'),
    ]
    mkdirSync(join(dir, 'entries', 'mine'))
    foreign.push(join(dir, 'entries', 'mine', `${HEX}.kf`))
    for (const path of foreign) {
      writeFileSync(path, 'mine')
      utimesSync(path, 1, 1)
    }
    mkdirSync(join(folder, `${HEX}.kf`))
    await store.verify()
    await store.clear()
    expect((await store.size()).entries).toBe(0)
    for (const path of foreign) expect(readFileSync(path, 'utf8')).toBe('mine')
    expect(existsSync(join(folder, `${HEX}.kf`))).toBe(true)
  })

  it('row 211: another extension, for a directory as a whole', async () => {
    const store = make({ extension: 'http' })
    await store.write(sampleHead('a'), fill(1, 1))
    expect(await pathOf(store)).toMatch(/\.http$/)
    expect((await make().read('a'))?.body.size).toBe(1)
    expect(await codeOf(() => make({ extension: '.kf' }).read('a'))).toBe('ERR_STORE_FORMAT')
  })

  it('36: it is made when first used; one that is gone is made anew, its entries missing', async () => {
    const store = make()
    expect(existsSync(dir)).toBe(false)
    for (let n = 0; n < 3; n++) await store.write(sampleHead(`k${n}`), fill(1, 1))
    rmSync(dir, { recursive: true })
    expect(await store.read('k1')).toBeUndefined()
    expect(await Array.fromAsync(store.keys())).toEqual([])
    expect(await store.delete(['k1'])).toBe(0)
    await store.write(sampleHead('k1'), fill(2, 1))
    await store.write(sampleHead('k2'), stream(20, 1000, 1))
    expect((await make().read('k1'))?.body.size).toBe(2)
    rmSync(dir, { recursive: true })
    await store.write(sampleHead('k2'), stream(20, 1000, 1))
    expect((await make().read('k2'))?.body.size).toBe(20_000)
    rmSync(dir, { recursive: true })
    expect(await store.lock('l', 'o', 1000)).toBe(true)
  })

  it('D66: a directory that cannot be is ERR_STORE_OPEN, and is tried again', async () => {
    writeFileSync(dir, 'a file')
    const store = make()
    expect(await codeOf(() => store.read('a'))).toBe('ERR_STORE_OPEN')
    expect(await codeOf(() => new FileStore({ dir: join(dir, 'below'), strict: true }))).toBe('ERR_STORE_OPEN')
    expect(readFileSync(dir, 'utf8')).toBe('a file')
    rmSync(dir)
    await store.write(sampleHead('a'), fill(1, 1))
  })

  it('50: on a full disk entries are still deleted, by whoever comes, and room is made', async () => {
    const first = make()
    for (const key of ['a', 'b', 'c', 'd']) await first.write(sampleHead(key), fill(10, 1))
    await first.write(sampleHead('long'), stream(20, 1000, 1))
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
    let isFull = true
    const fs = new Proxy(nodeFs, {
      get(target, name, receiver) {
        const original: unknown = Reflect.get(target, name, receiver)
        if (typeof original !== 'function' || (name !== 'write' && name !== 'copyFile')) return original
        return (...args: unknown[]) => {
          const done: unknown = args.at(-1)
          if (isFull && typeof done === 'function') return setImmediate(() => done(full))
          return original.apply(target, args) as unknown
        }
      },
    })
    const store = make({ fs })
    expect(await codeOf(() => store.write(sampleHead('a'), fill(10, 2)))).toBe('ERR_STORE_FULL')
    expect((await store.read('a'))?.body.bytes).toEqual(fill(10, 1))
    expect(await store.delete(['a', 'nothing'])).toBe(1)
    expect(await store.deleteWhere({ createdBefore: Infinity })).toBe(4)
    await store.clear()
    expect(tree().filter((name) => name.includes('.'))).toEqual(['keepfresh.json', expect.stringMatching(/\.owner$/)])
    isFull = false
    await store.write(sampleHead('a'), fill(10, 3))
    expect((await store.read('a'))?.body.bytes).toEqual(fill(10, 3))
  })

  it('44: a parent that says it is not there, although it is, does not hang (as node:fs does below /proc)', async () => {
    const none = Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' })
    const mkdirAbove = (path: string): void => {
      if (path !== root) throw none
      throw Object.assign(new Error('EEXIST: file already exists'), { code: 'EEXIST' })
    }
    const store = make({ dir: join(root, 'none', 'below'), fs: { ...nodeFs, mkdirSync: mkdirAbove as never } })
    expect(await codeOf(() => store.read('a'))).toBe('ERR_STORE_OPEN')
    if (existsSync('/proc/self')) {
      expect(await codeOf(() => new FileStore({ dir: '/proc/none/below', strict: true }))).toBe('ERR_STORE_OPEN')
    }
  })

  it('D66: a directory that can only be read is read; changes are ERR_STORE_READONLY', async () => {
    await make().write(sampleHead('a'), fill(5, 1))
    await make().write(sampleHead('b'), stream(20, 1000, 1))
    const failure = Object.assign(new Error('read-only'), { code: 'EROFS' })
    const changing = new Set(['copyFile', 'rename', 'unlink', 'mkdir', 'utimes', 'write'])
    const fs = new Proxy(nodeFs, {
      get(target, name, receiver) {
        const original: unknown = Reflect.get(target, name, receiver)
        if (typeof original !== 'function') return original
        return (...args: unknown[]) => {
          const done: unknown = args.at(-1)
          const writes =
            changing.has(String(name)) || (name === 'open' && (Number(args[1]) & nodeFs.constants.O_CREAT) > 0)
          if (writes && typeof done === 'function') return setImmediate(() => done(failure))
          return original.apply(target, args) as unknown
        }
      },
    })
    const store = make({ fs })
    expect((await store.read('a'))?.body.bytes).toEqual(fill(5, 1))
    expect(await all(await store.read('b'))).toEqual(fill(20_000, 1))
    expect(await Array.fromAsync(store.keys())).toHaveLength(2)
    for (const use of [
      () => store.write(sampleHead('a'), fill(5, 2)),
      () => store.write(sampleHead('a'), stream(20, 1000, 2)),
      () => store.delete(['a']),
      () => store.clear(),
      () => store.lock('l', 'o', 1000),
    ]) {
      expect(await codeOf(use)).toBe('ERR_STORE_READONLY')
    }
    expect((await store.read('a'))?.body.bytes).toEqual(fill(5, 1))
  })

  it('C56, 48: what crashes left is collected when it is an hour old, by whoever opens it next', async () => {
    const store = make()
    await store.write(sampleHead('short'), fill(10, 1))
    await store.write(sampleHead('long'), stream(10, 1000, 1))
    await store.lock('ended', 'o', 1)
    await store.close()
    const kept = tree().filter((name) => name.startsWith('entries'))
    const folders = kept.map((name) => join(dir, name, '..'))
    const base = (kept.find((name) => name.endsWith('.body')) ?? '').replace(/\.[0-9a-f]{16}\.body$/, '')
    const left = [
      ...folders.map((folder) => join(folder, `${HEX}.${ID}.tmp`)),
      join(folders[0] ?? '', `${HEX}.${ID}.body`),
      join(dir, `${base}.${ID}.body`),
      join(dir, `keepfresh.json.${ID}.tmp`),
      ...['busy', 'dead', 'owner', 'tmp'].map((ending) => join(dir, 'locks', `${ID}.${ending}`)),
    ]
    for (const path of left) writeFileSync(path, 'left')
    const young = join(folders[0] ?? '', `${HEX}.${'b'.repeat(16)}.tmp`)
    const old = Date.now() / 1000 - 7200
    for (const name of tree()) utimesSync(join(dir, name), old, old)
    for (const name of tree(join(dir, 'locks')).filter((file) => file.endsWith('.lease'))) {
      writeFileSync(join(dir, 'locks', name), JSON.stringify({ owner: 'o', until: Date.now() - 7_200_000 }))
    }
    writeFileSync(young, 'being written')
    const next = make()
    await next.read('short')
    await expect.poll(() => left.filter((path) => existsSync(path))).toEqual([])
    await next.close()
    expect(tree()).toEqual([...kept, relative(dir, young), 'keepfresh.json'].toSorted())
    expect(await all(await make().read('long'))).toEqual(fill(10_000, 1))
    // Not again within the hour.
    utimesSync(young, old, old)
    const third = make()
    await third.read('short')
    await third.close()
    expect(existsSync(young)).toBe(true)
    expect(await make().verify()).toEqual({ entries: 2, damaged: 0, leftovers: 1 })
  })
})

describe('leases', () => {
  it('B11: by the clock given; files of their own, which neither listings nor clear see', async () => {
    let now = 1000
    const store = make({ clock: { now: () => now } })
    const other = make({ clock: { now: () => now } })
    expect(await store.lock('l', 'a', 100)).toBe(true)
    expect(await other.lock('l', 'b', 100)).toBe(false)
    expect((await store.size()).entries).toBe(0)
    await store.clear()
    now = 1099
    expect(await other.lock('l', 'b', 100)).toBe(false)
    expect(await store.renew('l', 'a', 50)).toBe(true)
    now = 1148
    expect(await store.renew('l', 'a', 0)).toBe(true)
    expect(await store.renew('l', 'a', 100)).toBe(false)
    expect(await store.unlock('l', 'a')).toBe(false)
    expect(await other.lock('l', 'b', 100)).toBe(true)
    expect(await store.unlock('l', 'a')).toBe(false)
    expect(await other.unlock('l', 'b')).toBe(true)
    expect(await store.lock('../x', 'a', 100)).toBe(true)
    for (const name of tree(join(dir, 'locks')))
      if (name.endsWith('.lease')) writeFileSync(join(dir, 'locks', name), '{')
    expect(await store.lock('../x', 'b', 100)).toBe(true)
  })

  it('a mutex of a process that is no more is taken over; that of a live one is waited for', async () => {
    const store = make({ busyTimeout: 60 })
    await store.write(sampleHead('a'), fill(1, 1))
    const [owner = ''] = tree(join(dir, 'locks')).filter((name) => name.endsWith('.owner'))
    const mine = readFileSync(join(dir, 'locks', owner), 'utf8')
    const mutex = join(
      dir,
      'locks',
      `${relative(join(dir, 'entries'), await pathOf(store))
        .replace(sep, '')
        .slice(0, 64)}.busy`,
    )
    writeFileSync(mutex, mine)
    expect(await codeOf(() => store.write(sampleHead('a'), fill(1, 2)))).toBe('ERR_STORE_BUSY')
    expect(await codeOf(() => store.update('a', { meta: sampleMeta('a'), expiresAt: 1, keepUntil: 1 }, 'x'))).toBe(
      'ERR_STORE_BUSY',
    )
    expect((await store.read('a'))?.body.bytes).toEqual(fill(1, 1))
    // No process has this number: it is over the largest.
    writeFileSync(mutex, mine.replace(/^\d+/, '4194305'))
    await store.write(sampleHead('a'), fill(1, 3))
    expect((await store.read('a'))?.body.bytes).toEqual(fill(1, 3))
    expect(existsSync(mutex)).toBe(false)
  })
})

const wrong = (options: object): Promise<string> => codeOf(() => new FileStore(options))

describe('options', () => {
  it('row 211: the directory', () => {
    expect(new FileStore('~/x').dir).toBe(join(homedir(), 'x'))
    expect(new FileStore().dir).toBe(join(process.cwd(), 'http_cache'))
    expect(new FileStore({ dir: 'x', useTemp: true }).dir).toBe(join(tmpdir(), 'x'))
    expect(new FileStore({ dir: join(root, 'y'), useTemp: true }).dir).toBe(join(root, 'y'))
    expect(new FileStore({ dir: 'x', useCacheDir: true }).dir).not.toBe(new FileStore('x').dir)
  })

  it('unknown names and wrong values are the caller\u2019s fault', async () => {
    expect(await wrong({ maxByte: 5 })).toBe('ERR_OPTION_UNKNOWN')
    expect(() => new FileStore({ maxByte: 5 } as object)).toThrow(/`maxBytes`/)
    for (const options of [
      { dir: '' },
      { dir: 'a\0b' },
      { sync: 1 },
      { maxBytes: 0 },
      { maxEntries: 1.5 },
      { chunkSize: 0 },
      { durability: 'most' },
      { extension: '../x' },
      { extension: '.body' },
      { extension: '' },
      { fs: null },
    ]) {
      expect([options, await wrong(options)]).toEqual([options, 'ERR_OPTION_VALUE'])
    }
    expect(new FileStore({ maxBytes: 5 }).limits).toEqual({
      maxEntrySize: 5,
      inlineSize: 65_536,
      persistent: true,
      shared: false,
    })
  })
})
