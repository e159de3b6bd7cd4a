/** What the file store makes of files that were cut, changed, lost or swapped (RELIABILITY C49, C51 to C54). */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import type { StoredEntry } from '../engine/ports.ts'
import { sampleHead, sampleMeta } from '../testing/index.ts'
import { FileStore, type FileOptions } from './file.ts'

const root = mkdtempSync(join(tmpdir(), 'keepfresh-damage-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const CHUNK = 4096
let dir = ''
const stores: FileStore[] = []
beforeEach(() => {
  dir = mkdtempSync(join(root, 't-'))
})
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
})
function make(options: FileOptions = {}): FileStore {
  const store = new FileStore({ dir, inlineSize: 1000, chunkSize: CHUNK, ...options })
  stores.push(store)
  return store
}
const patterned = (length: number, seed = 1): Uint8Array => Uint8Array.from({ length }, (_, n) => (n * seed) % 251)
const meta = sampleMeta('a', { headers: [['content-type', 'text/plain']], tags: [] })
const head = sampleHead('a', { meta })

const hex = (n: number): string => n.toString(16).padStart(8, '0')

/** What a read came to: the bytes handed out, and the code of the error, if there was one. */
async function outcome(
  store: FileStore,
  key = 'a',
): Promise<{ bytes: Uint8Array; code: string | null; read: boolean }> {
  const parts: Uint8Array[] = []
  let read = false
  const whole = (): Uint8Array => new Uint8Array(Buffer.concat(parts))
  try {
    const entry: StoredEntry | undefined = await store.read(key)
    if (entry === undefined) return { bytes: whole(), code: 'missing', read }
    read = true
    for await (const part of entry.body.open(0, entry.body.size)) parts.push(part)
    return { bytes: whole(), code: null, read }
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    return { bytes: whole(), code: error.code, read }
  }
}
const entryPath = async (): Promise<string> => (await Array.fromAsync(make().paths()))[0] ?? ''
function bodyPaths(): string[] {
  return readdirSync(dir, { recursive: true })
    .map((name) => join(dir, String(name)))
    .filter((name) => name.endsWith('.body'))
}

describe('an entry file', () => {
  it('C51, C53: no byte of it can change without a miss, whether it was read before or not', async () => {
    const body = patterned(300)
    await make().write(head, body)
    const path = await entryPath()
    const bytes = readFileSync(path)
    const known = [make(), make({ sync: true })]
    for (let at = 0; at < bytes.length; at++) {
      writeFileSync(path, bytes)
      for (const store of known) expect((await outcome(store)).bytes).toEqual(body)
      const changed = new Uint8Array(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      writeFileSync(path, changed)
      for (const store of [...known, new FileStore(dir)]) {
        const { code, read } = await outcome(store)
        expect([at, code, read]).toEqual([
          at,
          at < 40 && code === 'ERR_STORE_FORMAT' ? code : 'ERR_STORE_CORRUPT',
          false,
        ])
      }
    }
  })

  it('C49, C52: cut anywhere, emptied, zeroed or too long, it is damaged', async () => {
    await make().write(head, patterned(300))
    const path = await entryPath()
    const bytes = readFileSync(path)
    const readers = [make(), make({ sync: true })]
    const damaged = async (changed: Uint8Array): Promise<void> => {
      writeFileSync(path, changed)
      for (const store of readers) expect((await outcome(store)).code).toBe('ERR_STORE_CORRUPT')
    }
    for (let length = 0; length < bytes.length; length++) await damaged(bytes.subarray(0, length))
    await damaged(new Uint8Array(bytes.length))
    await damaged(Buffer.concat([bytes, Buffer.from('x')]))
    await damaged(Buffer.concat([bytes, Buffer.alloc(200_000)]))
    await damaged(Buffer.from('keepfresh entry 1 ffffffff ffffffff ffffffff ffffffff ffffffff\n'))
    writeFileSync(path, bytes)
    for (const store of readers) expect((await outcome(store)).code).toBeNull()
  })

  it('C55: one of a later format is not misread, nor called damaged', async () => {
    await make().write(head, patterned(300))
    const path = await entryPath()
    writeFileSync(path, readFileSync(path, 'latin1').replace('entry 1 ', 'entry 2 '), 'latin1')
    expect((await outcome(make())).code).toBe('ERR_STORE_FORMAT')
    expect(await Array.fromAsync(make().keys())).toEqual([])
  })

  it('C53: right checksums over wrong contents are damage, too', async () => {
    const { crc32 } = await import('../engine/crc32.ts')
    await make().write(head, patterned(30))
    const path = await entryPath()
    const [, own = '', third = ''] = readFileSync(path, 'latin1').split('\n')
    const forged = (line: string, metaLine = third, bodyLength = 30): Uint8Array => {
      const body = patterned(bodyLength)
      const start = `keepfresh entry 1 ${hex(line.length)} ${hex(metaLine.length)} ${hex(bodyLength)} ${hex(crc32(body))}`
      const rest = Buffer.from(`${line}\n${metaLine}\n`, 'latin1')
      const sum = crc32(rest, crc32(Buffer.from(`${start} `)))
      return Buffer.concat([Buffer.from(`${start} ${hex(sum)}\n`), rest, body])
    }
    writeFileSync(path, forged(own))
    expect((await outcome(make())).code).toBeNull()
    for (const line of [
      'null',
      '7',
      '"x"',
      '[]',
      '{',
      ...['"key":"a"', '"createdAt":1000', '"edition":0', '"size":30', '"chunk":0'].map((part) =>
        own.replace(part, `${part.split(':')[0] ?? ''}:{}`),
      ),
      own.replace(/"id":"[^"]*"/, '"id":"../../../../x"'),
      own.replace('"size":30', '"size":31'),
      own.replace('"size":30', '"size":-1'),
      own.replace('"chunk":0', '"chunk":5'),
    ]) {
      writeFileSync(path, forged(line))
      expect([line, (await outcome(make())).code]).toEqual([line, 'ERR_STORE_CORRUPT'])
    }
    for (const line of ['null', '{}', '{"kind":"response"}', third.replace('"status":200', '"status":"x"')]) {
      writeFileSync(path, forged(own, line))
      expect([line, (await outcome(make())).code]).toEqual([line, 'ERR_STORE_CORRUPT'])
    }
  })

  it('C54, 54: listings pass over damage; delete and clear remove it; writing replaces it', async () => {
    const store = make()
    for (const key of ['a', 'b', 'c', 'd']) await store.write(sampleHead(key), patterned(2000))
    for (const path of await Array.fromAsync(store.paths())) writeFileSync(path, 'damaged')
    expect(await Array.fromAsync(store.entries())).toEqual([])
    expect(await Array.fromAsync(store.entries({ order: 'created' }))).toEqual([])
    expect(await store.deleteWhere({})).toBe(0)
    expect(await store.delete(['a'])).toBe(1)
    await store.write(sampleHead('b'), patterned(10))
    expect((await outcome(store, 'b')).bytes).toEqual(patterned(10))
    expect(await store.verify()).toEqual({ entries: 1, damaged: 2, leftovers: 0 })
    await store.clear()
    expect(await Array.fromAsync(store.paths())).toEqual([])
  })

  it('update keeps damage visible, and does not touch what it cannot read', async () => {
    const store = make()
    await store.write(head, patterned(300))
    const version = (await store.read('a'))?.version ?? ''
    const path = await entryPath()
    const bytes = readFileSync(path)
    const changed = new Uint8Array(bytes)
    changed[bytes.length - 1] = 77
    writeFileSync(path, changed)
    expect(await store.update('a', { meta, expiresAt: 1, keepUntil: 2 }, version)).toBe(true)
    expect((await outcome(store)).code).toBe('ERR_STORE_CORRUPT')
    writeFileSync(path, bytes.subarray(0, -1))
    await expect(store.update('a', { meta, expiresAt: 1, keepUntil: 2 }, version)).rejects.toThrow(/corrupt/)
  })
})

describe('the file of a long body', () => {
  it('C51: a changed byte fails the stream before its piece is handed out, and ranges elsewhere hold', async () => {
    const body = patterned(CHUNK * 3 + 100)
    await make().write(head, body)
    const [path = ''] = bodyPaths()
    const bytes = readFileSync(path)
    for (let at = 0; at < bytes.length; at += 61) {
      const changed = new Uint8Array(bytes)
      changed[at] = (changed[at] ?? 0) ^ 4
      writeFileSync(path, changed)
      const { bytes: got, code } = await outcome(make())
      expect([at, code]).toEqual([at, 'ERR_STORE_CORRUPT'])
      expect(got).toEqual(body.subarray(0, got.length))
      expect(got.length).toBeLessThanOrEqual(at)
      expect(got.length % CHUNK).toBe(0)
    }
    const changed = new Uint8Array(bytes)
    changed[0] = 99
    writeFileSync(path, changed)
    const parts = await Array.fromAsync((await make().read('a'))?.body.open(CHUNK + 5, CHUNK * 2 + 5) ?? [])
    expect(new Uint8Array(Buffer.concat(parts))).toEqual(body.subarray(CHUNK + 5, CHUNK * 2 + 5))
    expect(await make().verify()).toEqual({ entries: 0, damaged: 1, leftovers: 0 })
    expect(bodyPaths()).toEqual([])
  })

  it('C52: cut, deleted, emptied or too long, it is a miss before any byte is sent', async () => {
    await make().write(head, patterned(CHUNK * 3))
    const [path = ''] = bodyPaths()
    const bytes = readFileSync(path)
    for (const length of [0, 1, CHUNK, CHUNK * 3, bytes.length - 1, bytes.length + 1]) {
      writeFileSync(path, Buffer.concat([bytes, Buffer.from('x')]).subarray(0, length))
      for (const sync of [true, false])
        expect(await outcome(make({ sync }))).toMatchObject({ code: 'ERR_STORE_CORRUPT', read: false })
    }
    rmSync(path)
    for (const sync of [true, false])
      expect(await outcome(make({ sync }))).toMatchObject({ code: 'ERR_STORE_CORRUPT', read: false })
    writeFileSync(path, new Uint8Array(bytes.length))
    expect(await outcome(make())).toMatchObject({ code: 'ERR_STORE_CORRUPT', bytes: new Uint8Array() })
    expect(await make().verify()).toEqual({ entries: 0, damaged: 1, leftovers: 0 })
  })

  it('the file of another body of the same length does not pass, nor do its own pieces in another order', async () => {
    const store = make()
    await store.write(head, patterned(CHUNK * 2))
    const [path = ''] = bodyPaths()
    await store.write(sampleHead('b'), patterned(CHUNK * 2, 3))
    const other = bodyPaths().find((name) => name !== path) ?? ''
    const bytes = readFileSync(path)
    copyFileSync(other, path)
    expect(await outcome(store)).toMatchObject({ code: 'ERR_STORE_CORRUPT', bytes: new Uint8Array() })
    const end = CHUNK * 2
    const swapped = [
      bytes.subarray(CHUNK, end),
      bytes.subarray(0, CHUNK),
      bytes.subarray(end + 4),
      bytes.subarray(end, end + 4),
    ]
    writeFileSync(path, Buffer.concat(swapped))
    expect(await outcome(store)).toMatchObject({ code: 'ERR_STORE_CORRUPT', bytes: new Uint8Array() })
  })

  it('replaced between its entry and itself, it is looked for again', async () => {
    const store = make()
    await store.write(head, patterned(CHUNK * 2))
    const path = await entryPath()
    const old = readFileSync(path)
    await store.write(head, patterned(CHUNK * 3))
    const young = readFileSync(path)
    const nodeFs = await import('node:fs')
    for (const sync of [true, false]) {
      writeFileSync(path, old)
      const swap = (): void => writeFileSync(path, young)
      const reader = make({
        sync,
        fs: {
          ...nodeFs,
          lstat: Object.assign(
            (...args: Parameters<typeof nodeFs.lstat>) => (swap(), nodeFs.lstat(...args)),
            nodeFs.lstat,
          ),
        },
      })
      expect((await outcome(reader)).bytes).toEqual(patterned(CHUNK * 3))
    }
  })
})
