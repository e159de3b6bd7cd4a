/** What encryption and signatures must refuse, and what they must hide: both wrappers by the same cases. */
import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EntryHead, ListableStore, LockingStore, Store, StoredEntry } from '../engine/ports.ts'
import { isListable, isLocking } from '../engine/ports.ts'
import { isWrappedMeta } from '../engine/meta.ts'
import { FaultyStore } from '../testing/faulty-store.ts'
import { sampleHead, sampleMeta } from '../testing/samples.ts'
import { MemoryStore } from './memory.ts'
import { SqliteStore } from './sqlite.ts'
import { encrypted, type EncryptOptions } from './wrap-encrypt.ts'
import { signed } from './wrap-sign.ts'

const [first, second, naming] = [randomBytes(32), randomBytes(32), randomBytes(32)]
const text = (words: string): Uint8Array => new TextEncoder().encode(words)

interface Case {
  readonly name: string
  readonly wrap: (store: MemoryStore, ...keys: Uint8Array[]) => ListableStore
  readonly nameOf: (inner: MemoryStore, key: string) => Promise<string>
}

const CASES: readonly Case[] = [
  { name: 'encrypted', wrap: (store, ...keys) => encrypted(store, { keys }), nameOf: async (_, key) => key },
  {
    name: 'encrypted, keys hidden',
    wrap: (store, ...keys) => encrypted(store, { keys, hideKeys: naming }),
    nameOf: async (inner, key) => {
      const before = new Set(await Array.fromAsync(inner.keys()))
      const probe = new MemoryStore()
      await encrypted(probe, { keys: [first], hideKeys: naming }).write(sampleHead(key), new Uint8Array())
      const [name = ''] = await Array.fromAsync(probe.keys())
      expect(before.has(name)).toBe(true)
      return name
    },
  },
  { name: 'signed', wrap: (store, ...secrets) => signed(store, { secrets }), nameOf: async (_, key) => key },
]

function innerEntry(inner: MemoryStore, name: string): StoredEntry {
  const entry = inner.read(name)
  if (entry === undefined) throw new Error('nothing is there')
  return entry
}

function dataOf(meta: unknown): string {
  if (!isWrappedMeta(meta)) throw new Error('it is not wrapped')
  return meta.data
}

for (const { name, wrap, nameOf } of CASES) {
  describe(`${name}: what must not be believed`, () => {
    it('row 224: another key, or none of the keys, is corrupt; the entry is skipped in lists', async () => {
      const inner = new MemoryStore()
      await wrap(inner, first).write(sampleHead('k'), text('body'))
      const stranger = wrap(inner, second)
      await expect(async () => stranger.read('k')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      expect(await Array.fromAsync(stranger.entries())).toEqual([])
      // It can be replaced.
      await stranger.write(sampleHead('k'), text('new'))
      expect((await stranger.read('k'))?.body.bytes).toEqual(text('new'))
    })

    it('row 224: keys rotate: old entries are read and updated, new ones are of the new key', async () => {
      const inner = new MemoryStore()
      await wrap(inner, first).write(sampleHead('old'), text('old body'))
      const rotated = wrap(inner, second, first)
      await rotated.write(sampleHead('new'), text('new body'))
      const old = await rotated.read('old')
      expect(old?.body.bytes).toEqual(text('old body'))
      const change = { meta: sampleMeta('old', { status: 203 }), expiresAt: 5, keepUntil: 6 }
      expect(await wrap(inner, second, first).update('old', change, old?.version ?? '')).toBe(true)
      const after = await wrap(inner, first).read('old')
      expect([after?.meta, after?.expiresAt, after?.body.bytes]).toEqual([change.meta, 5, text('old body')])
      const last = wrap(inner, second)
      expect((await last.read('new'))?.body.bytes).toEqual(text('new body'))
      await expect(async () => last.read('old')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    })

    it('what was written without the wrapper is corrupt', async () => {
      const inner = new MemoryStore()
      await wrap(inner, first).write(sampleHead('k'), text('body'))
      inner.write(sampleHead(await nameOf(inner, 'k')), text('plain'))
      await expect(async () => wrap(inner, first).read('k')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    })

    it('143: every field of the head and every byte of the body counts', async () => {
      const inner = new MemoryStore()
      const store = wrap(inner, first)
      await store.write(sampleHead('k'), text('body'))
      const sound = innerEntry(inner, await nameOf(inner, 'k'))
      const body = sound.body.bytes ?? new Uint8Array()
      const changedData = fc
        .tuple(fc.nat(), fc.string({ minLength: 1, maxLength: 1, unit: 'grapheme-ascii' }))
        .map(([place, c]) => {
          const data = dataOf(sound.meta)
          const at = place % data.length
          return { head: { meta: { ...sound.meta, data: data.slice(0, at) + c + data.slice(at + 1) } }, body }
        })
      const cutData = fc.nat().map((n) => {
        const data = dataOf(sound.meta)
        return { head: { meta: { ...sound.meta, data: data.slice(0, n % data.length) } }, body }
      })
      const changedBody = fc
        .nat()
        .map((n) => ({ head: {}, body: body.with(n % body.length, (body[n % body.length] ?? 0) ^ 1) }))
      const harms = fc.oneof(
        changedData,
        cutData,
        changedBody,
        fc.constantFrom<{ head: Partial<EntryHead>; body: Uint8Array }>(
          { head: { createdAt: 1001 }, body },
          { head: { expiresAt: 9e12 }, body },
          { head: { keepUntil: 9e12 }, body },
          { head: {}, body: new Uint8Array() },
        ),
      )
      await fc.assert(
        fc.asyncProperty(harms, async (harm) => {
          const { key, meta, createdAt, expiresAt, keepUntil } = sound
          inner.write({ key, meta, createdAt, expiresAt, keepUntil, ...harm.head }, harm.body)
          const result = await Promise.resolve()
            .then(() => store.read('k'))
            .then(
              (entry) => entry,
              (error: unknown) => error,
            )
          const isSame =
            JSON.stringify(innerEntry(inner, key).meta) === JSON.stringify(meta) &&
            harm.body === body &&
            Object.keys(harm.head).every((field) => field === 'meta')
          if (isSame) return
          // Base64 has letters that mean nothing (line breaks) and unused last bits: an entry may be read, but then as it was written.
          if (result instanceof Error) expect(result).toMatchObject({ code: 'ERR_STORE_CORRUPT' })
          else
            expect(result).toMatchObject({
              meta: sampleMeta('k'),
              createdAt: 1000,
              expiresAt: 61_000,
              body: { bytes: text('body') },
            })
        }),
        { numRuns: 300 },
      )
    })

    it('143: head and body of different writes never go together, and no entry answers for another key', async () => {
      const inner = new MemoryStore()
      const store = wrap(inner, first)
      const shelf: StoredEntry[] = []
      for (const [key, words] of [
        ['a', 'first'],
        ['a', 'other'],
        ['b', 'third'],
      ] as const) {
        await store.write(sampleHead(key), text(words))
        shelf.push(innerEntry(inner, await nameOf(inner, key)))
      }
      const [a1, a2, b] = shelf
      if (a1 === undefined || a2 === undefined || b === undefined) throw new Error('unreachable')
      for (const [head, body, key] of [
        [a1, a2, 'a'],
        [a2, b, 'a'],
        [{ ...b, key: a1.key }, b, 'a'],
      ] as const) {
        inner.write(head, body.body.bytes ?? new Uint8Array())
        await expect(async () => store.read(key)).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
      }
    })

    const forSigned = name === 'signed' ? it : (): void => undefined
    forSigned('143: the signature covers which body it is for', async () => {
      const inner = new MemoryStore()
      const store = wrap(inner, first)
      await store.write(sampleHead('k'), text('first'))
      const one = innerEntry(inner, 'k')
      await store.write(sampleHead('k'), text('other'))
      const two = innerEntry(inner, 'k')
      const [id = '', , ...rest] = dataOf(one.meta).split(' ')
      const [, body = ''] = dataOf(two.meta).split(' ')
      const meta = { ...one.meta, data: [id, body, ...rest].join(' ') }
      inner.write({ ...two, meta }, two.body.bytes ?? new Uint8Array())
      await expect(async () => store.read('k')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    })

    it('a long body that was changed fails its stream', async () => {
      const inner = new SqliteStore(':memory:')
      const store = name === 'signed' ? signed(inner, { secrets: [first] }) : encrypted(inner, { keys: [first] })
      await store.write(sampleHead('k'), new Blob([randomBytes(1_000_000)]).stream())
      const sound = inner.read('k')
      if (sound === undefined) throw new Error('nothing is there')
      const bytes = await new Response(sound.body.open(0, sound.body.size)).bytes()
      inner.write(sound, bytes.with(900_000, (bytes[900_000] ?? 0) ^ 1))
      const entry = await store.read('k')
      expect(entry?.body.size).toBe(1_000_000)
      await expect(new Response(entry?.body.open(0, 1_000_000)).bytes()).rejects.toMatchObject({
        code: 'ERR_STORE_CORRUPT',
      })
      expect((await new Response(entry?.body.open(10, 500_000)).bytes()).length).toBe(499_990)
      inner.close()
    })
  })

  describe(`${name}: what it can`, () => {
    it('an update writes no body, and of what was just read needs no read', async () => {
      const inner = new MemoryStore()
      const writer = wrap(inner, first)
      await writer.write(sampleHead('k'), text('body'))
      const before = innerEntry(inner, await nameOf(inner, 'k'))
      const entry = await writer.read('k')
      const reads = inner.read.bind(inner)
      let count = 0
      inner.read = (key) => (count++, reads(key))
      expect(
        await writer.update(
          'k',
          { meta: sampleMeta('k', { status: 203 }), expiresAt: 1, keepUntil: 2 },
          entry?.version ?? '',
        ),
      ).toBe(true)
      expect(count).toBe(0)
      expect(reads(before.key)?.body.bytes).toBe(before.body.bytes)
    })

    it('over a synchronous store a hit is synchronous, and metadata that the store keeps at hand is opened once', async () => {
      const store = wrap(new MemoryStore(), first)
      await store.write(sampleHead('k'), text('body'))
      const [one, two] = [store.read('k'), store.read('k')]
      if (one instanceof Promise || two instanceof Promise) throw new Error('it waited')
      expect(one?.meta).toBe(two?.meta)
    })
  })
}

describe('encrypted: what it hides', () => {
  const visible = async (options: Partial<EncryptOptions>): Promise<string> => {
    const inner = new MemoryStore()
    const store = encrypted(inner, { keys: [first], ...options })
    await store.write(sampleHead('GET http://example.test/secret-path'), text('secret body'))
    const [listed] = await Array.fromAsync(inner.entries())
    const entry = innerEntry(inner, listed?.key ?? '')
    return JSON.stringify(listed) + Buffer.from(entry.body.bytes ?? []).toString('latin1')
  }

  it('row 228, 144: neither URL, headers nor body are in the store; nor keys, where they are hidden', async () => {
    const clear = await visible({})
    expect(clear).toContain('secret-path')
    const hidden = await visible({ hideKeys: naming })
    for (const secret of ['set-cookie', '__proto__', 'example.test/?', 'secret body', 'max-age']) {
      expect(clear).not.toContain(secret)
      expect(hidden).not.toContain(secret)
    }
    expect(hidden).not.toContain('secret-path')
  })

  it('the same entry twice is never the same bytes', async () => {
    expect(await visible({ hideKeys: naming })).not.toBe(await visible({ hideKeys: naming }))
  })

  it('hidden keys are listed, sorted and limited as they are, and locks have hidden names', async () => {
    const inner = new SqliteStore(':memory:')
    const store = encrypted(inner, { keys: [first], hideKeys: naming })
    for (const key of ['c', 'a', 'b']) await store.write(sampleHead(key), text(key))
    inner.write(sampleHead('plain'), text('not ours'))
    const keys = async (query: Parameters<ListableStore['entries']>[0]): Promise<string[]> =>
      (await Array.fromAsync(store.entries(query))).map(({ key }) => key)
    expect(await keys({ order: 'key' })).toEqual(['a', 'b', 'c'])
    expect(await keys({ order: 'key', descending: true, limit: 2 })).toEqual(['c', 'b'])
    expect((await Array.fromAsync(store.keys())).toSorted()).toEqual(['a', 'b', 'c'])
    expect(await store.lock('lock', 'me', 1000)).toBe(true)
    expect(await inner.lock('lock', 'you', 1000)).toBe(true)
    expect(await store.lock('lock', 'you', 1000)).toBe(false)
    inner.close()
  })
})

/** What a caller without types may give. */
const wrong = (options: unknown): never => options as never

describe('options of wrappers', () => {
  it('a wrong key, an empty list and an unknown option are refused without showing the key', () => {
    const store = new MemoryStore()
    for (const keys of [['short-secret'], [randomBytes(16)], [], 'text', [7]]) {
      expect(() => encrypted(store, wrong({ keys }))).toThrow(/encrypted: `keys`/)
    }
    expect(() => encrypted(store, { keys: ['short-secret'] })).not.toThrow(/short-secret/)
    expect(() => encrypted(store, { keys: [first], hideKeys: 'x' })).toThrow(/`hideKeys`/)
    expect(() => signed(store, { secrets: ['short'] })).toThrow(/`secrets` holds secrets of at least 16 bytes/)
    expect(() => signed(store, wrong({ secret: ['x'] }))).toThrow(/Did you mean `secrets`/)
  })

  it('a key is the same as bytes, as hexadecimal digits and as base64', async () => {
    const inner = new MemoryStore()
    await encrypted(inner, { keys: [first] }).write(sampleHead('k'), text('body'))
    for (const form of [first.toString('hex'), first.toString('base64'), first.toString('base64url')]) {
      expect((await encrypted(inner, { keys: [form] }).read('k'))?.body.bytes).toEqual(text('body'))
    }
  })

  it('a wrapped store can what the store can, and no more', () => {
    const both: ListableStore & LockingStore = encrypted(new SqliteStore(':memory:'), { keys: [first] })
    const lists: ListableStore = signed(new MemoryStore(), { secrets: [first] })
    const neither: Store = signed(new FaultyStore(new MemoryStore()), { secrets: [first] })
    expect([both, lists, neither].map((store) => [isListable(store), isLocking(store)])).toEqual([
      [true, true],
      [true, false],
      [false, false],
    ])
    expect([both.name, neither.name]).toEqual(['encrypted sqlite', 'signed faulty memory'])
    void both.close()
  })
})
