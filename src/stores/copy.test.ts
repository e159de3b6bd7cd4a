import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { NEVER, type ListedEntry, type StoredEntry } from '../engine/ports.ts'
import { OptionError } from '../errors.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { sampleHead } from '../testing/samples.ts'
import { copyEntries, type CopyProgress } from './copy.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import { compressed } from './wrap-compress.ts'
import { encrypted } from './wrap-encrypt.ts'

const filled = async (count: number): Promise<MemoryStore> => {
  const store = new MemoryStore()
  for (let n = 0; n < count; n++) {
    const head = sampleHead(`k${n}`, { createdAt: n, expiresAt: n * 10, keepUntil: n % 2 === 0 ? NEVER : n * 100 })
    store.write(head, new Uint8Array(n * 10_000).fill(n))
  }
  return store
}

const told = async (entry: StoredEntry | undefined): Promise<unknown> => {
  if (entry === undefined) return undefined
  const { key, meta, createdAt, expiresAt, keepUntil, body } = entry
  const bytes = Buffer.from(await new Response(body.open(0, body.size)).bytes())
  return { key, meta, createdAt, expiresAt, keepUntil, bytes: bytes.toString('base64') }
}

describe('B12, row 236: copying a store', () => {
  it('every entry arrives as it is: there, and back into memory through two wrappers', async () => {
    const from = await filled(30)
    const wrapped = compressed(encrypted(new SqliteStore(':memory:'), { keys: [new Uint8Array(32)] }))
    const back = new MemoryStore()
    const bytes = (29 * 30 * 10_000) / 2
    expect(await copyEntries(from, wrapped)).toEqual({ copied: 30, skipped: 0, failed: 0, bytes })
    expect(await copyEntries(wrapped, back)).toEqual({ copied: 30, skipped: 0, failed: 0, bytes })
    for (let n = 0; n < 30; n++) expect(await told(back.read(`k${n}`))).toEqual(await told(from.read(`k${n}`)))
    await wrapped.close()
  })

  it('a long body is never held whole: what was read and is not written yet stays small', async () => {
    const from = new SqliteStore({ path: ':memory:', chunkSize: 65_536 })
    const size = 20_000_000
    await from.write(sampleHead('k'), new Blob([new Uint8Array(size)]).stream())
    let read = 0
    const read0 = from.read.bind(from)
    from.read = (key) => {
      const entry = read0(key)
      if (entry === undefined) return undefined
      const open = (start: number, end: number): ReadableStream<Uint8Array> =>
        entry.body
          .open(start, end)
          .pipeThrough(new TransformStream({ transform: (chunk, c) => ((read += chunk.length), c.enqueue(chunk)) }))
      return { ...entry, body: { size: entry.body.size, bytes: null, open } }
    }
    let written = 0
    let most = 0
    const to = new FaultyStore(new MemoryStore())
    to.write = async (_head, body) => {
      expect(body).toBeInstanceOf(ReadableStream)
      if (body instanceof Uint8Array) return
      for await (const chunk of body) {
        written += chunk.length
        most = Math.max(most, read - written)
      }
    }
    expect(await copyEntries(from, to)).toMatchObject({ copied: 1, bytes: size })
    expect([written, most < 1_000_000]).toEqual([size, true])
    from.close()
  })

  it('bodies that the target takes whole are given to it whole', async () => {
    const from = new SqliteStore({ path: ':memory:', inlineSize: 10, chunkSize: 4096 })
    await from.write(sampleHead('k'), new Uint8Array(50_000).fill(7))
    const to = new FaultyStore(new MemoryStore())
    const given: unknown[] = []
    to.write = (_head, body) => void given.push(body)
    await copyEntries(from, to)
    expect(given).toEqual([new Uint8Array(50_000).fill(7)])
    from.close()
  })

  it('corrupt entries and those that are gone are skipped, what fails is counted, and the rest is copied', async () => {
    const from = await filled(6)
    const read = from.read.bind(from)
    from.read = (key) => {
      if (key === 'k1') return undefined
      const entry = read(key)
      if (key !== 'k2' || entry === undefined) return entry
      // Half of the body, as after a crash.
      const open = (): ReadableStream<Uint8Array> => entry.body.open(0, 5000)
      return { ...entry, body: { size: entry.body.size, bytes: null, open } }
    }
    const inner = new MemoryStore()
    const to = new FaultyStore(inner).fail('write', 'reject', 2)
    const progress: CopyProgress[] = []
    const result = await copyEntries(from, to, { concurrency: 1, onProgress: (now) => progress.push(now) })
    expect(result).toEqual({ copied: 3, skipped: 2, failed: 1, bytes: 90_000 })
    expect(progress.map(({ key, outcome }) => `${key} ${outcome}`)).toEqual([
      'k0 copied',
      'k1 skipped',
      'k2 skipped',
      'k3 failed',
      'k4 copied',
      'k5 copied',
    ])
    expect(progress[2]?.error).toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    expect(progress[3]?.error).toMatchObject({ message: 'boom: write' })
    expect(progress.at(-1)).toMatchObject(result)
    expect(inner.read('k2')).toBe(undefined)
  })

  it('what is larger than the target takes fails, whether it is given whole or as a stream', async () => {
    const from = new MemoryStore({ maxBytes: 4_000_000 })
    for (const size of [10, 1001, 300_000]) from.write(sampleHead(String(size)), new Uint8Array(size))
    const to = new MemoryStore({ maxEntrySize: 1000 })
    expect(await copyEntries(from, to)).toMatchObject({ copied: 1, failed: 2 })
    expect(await Array.fromAsync(to.keys())).toEqual(['10'])
  })

  it('source and target may be one database: what is written there is not copied again', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'keepfresh-copy-'))
    const open = (): SqliteStore => new SqliteStore(join(dir, 'http.db'))
    const secret = (digits: string): string => digits.repeat(32)
    const [from, other] = [open(), open()]
    for (let n = 0; n < 300; n++) from.write(sampleHead(`k${n}`), new Uint8Array(n))
    expect(await copyEntries(from, other)).toMatchObject({ copied: 300, failed: 0 })
    const hidden = encrypted(other, { keys: [secret('ab')], hideKeys: secret('cd') })
    expect(await copyEntries(from, hidden)).toMatchObject({ copied: 300, failed: 0 })
    expect(await from.size()).toMatchObject({ entries: 600 })
    expect((await hidden.read('k299'))?.body.size).toBe(299)
    for (const store of [from, other]) store.close()
    rmSync(dir, { recursive: true })
  })

  it('a filter chooses, by what lists tell', async () => {
    const to = new MemoryStore()
    const filter = ({ size, expiresAt }: ListedEntry): boolean => size > 0 && expiresAt < 50
    expect(await copyEntries(await filled(10), to, { filter })).toMatchObject({ copied: 4, skipped: 0 })
  })

  it('a signal ends it with its reason; nothing is begun after that', async () => {
    const ended = new AbortController()
    const reason = new Error('enough')
    const to = new MemoryStore()
    const onProgress = ({ copied }: CopyProgress): void => {
      if (copied === 3) ended.abort(reason)
    }
    const copying = copyEntries(await filled(20), to, { concurrency: 2, signal: ended.signal, onProgress })
    await expect(copying).rejects.toBe(reason)
    const { entries } = to.size()
    expect(entries).toBeLessThan(6)
    await new Promise((resolve) => setImmediate(resolve))
    expect(to.size().entries).toBe(entries)
  })

  it('a signal ends a body that gives nothing more, and is told to its source', async () => {
    const ended = new AbortController()
    const reason = new Error('enough')
    const from = await filled(1)
    const read = from.read.bind(from)
    const cancelled = Promise.withResolvers<unknown>()
    const open = (): ReadableStream<Uint8Array> =>
      new ReadableStream({ pull: () => ended.abort(reason), cancel: cancelled.resolve })
    from.read = (key) => {
      const entry = read(key)
      return entry && { ...entry, body: { size: 1_000_000, bytes: null, open } }
    }
    await expect(copyEntries(from, new MemoryStore(), { signal: ended.signal })).rejects.toBe(reason)
    expect(await cancelled.promise).toBe(reason)
  })

  it('a closed store ends it, and so does what onProgress throws', async () => {
    const to = new MemoryStore()
    to.close()
    await expect(copyEntries(await filled(5), to)).rejects.toMatchObject({ code: 'ERR_STORE_CLOSED' })
    const onProgress = (): never => {
      throw new Error('mine')
    }
    await expect(copyEntries(await filled(5), new MemoryStore(), { onProgress })).rejects.toThrow('mine')
  })

  it('wrong options, and the same store twice, are refused', async () => {
    const store = new MemoryStore()
    await expect(copyEntries(store, store)).rejects.toThrow(OptionError)
    await expect(copyEntries(store, new MemoryStore(), { concurrency: 0 })).rejects.toThrow(/concurrency/)
    await expect(copyEntries(store, new MemoryStore(), JSON.parse('{"onProgres":1}'))).rejects.toThrow(/onProgress/)
  })
})
