import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, test } from 'vitest'
import { StoreError } from '../errors.ts'
import { FRAME_HEADER } from '../engine/record.ts'
import { sampleHead } from '../testing/samples.ts'
import { storeConformance } from '../testing/store-conformance.ts'
import { ListableRecordStore, type ListableBackend } from './record-listing.ts'
import type { BatchBackend } from './record-store.ts'

/** The least a key-value server does: a Map of bytes, and one of chunks. */
class MapBackend implements ListableBackend {
  readonly name = 'map'
  readonly limits = { maxEntrySize: Infinity, inlineSize: 1000, persistent: false, shared: false }
  readonly chunkSize = 65_536
  readonly values = new Map<string, Uint8Array>()
  readonly chunks = new Map<string, Uint8Array>()
  readonly lifetimes = new Map<string, number | null>()
  get(key: string): Uint8Array | undefined {
    return this.values.get(key)
  }
  set(key: string, value: Uint8Array, ttl: number | null): Uint8Array | undefined {
    const before = this.values.get(key)
    this.values.set(key, value.slice())
    this.lifetimes.set(key, ttl)
    return before?.slice(0, FRAME_HEADER)
  }
  replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): boolean {
    const before = this.values.get(key)
    if (before === undefined || !Buffer.from(before.subarray(16, 24)).equals(version)) return false
    this.set(key, value, ttl)
    return true
  }
  remove(keys: readonly string[]): (Uint8Array | undefined)[] {
    return keys.map((key) => {
      const before = this.values.get(key)
      this.values.delete(key)
      return before
    })
  }
  getChunk(key: string, id: string, n: number): Uint8Array | undefined {
    return this.chunks.get(`${key} ${id} ${n}`)
  }
  setChunk(key: string, id: string, n: number, value: Uint8Array): void {
    this.chunks.set(`${key} ${id} ${n}`, value.slice())
  }
  keepChunks(): void {}
  dropChunks(key: string, id: string, count: number): void | Promise<void> {
    for (let n = 0; n < count; n++) this.chunks.delete(`${key} ${id} ${n}`)
  }
  async *heads(): AsyncGenerator<Uint8Array[]> {
    yield [...this.values.values()]
  }
  bytes(): number {
    return [...this.values.values(), ...this.chunks.values()].reduce((sum, { length }) => sum + length, 0)
  }
  clear(): void {
    this.values.clear()
    this.chunks.clear()
  }
  close(): void {}
}

/** The same, of many keys at once; one of them it may fail to bring. */
class BatchMapBackend extends MapBackend implements BatchBackend {
  failing: string | null = null
  singles = 0
  override get(key: string): Uint8Array | undefined {
    this.singles++
    return super.get(key)
  }
  async getMany(keys: readonly string[]): Promise<(Uint8Array | StoreError | undefined)[]> {
    return keys.map((key) =>
      key === this.failing ? new StoreError('ERR_STORE_BUSY', 'its server is busy') : this.values.get(key),
    )
  }
}

/** The same, slow to say that chunks are gone: who reads one meanwhile fails before the change is done. */
class SlowMapBackend extends MapBackend {
  override async dropChunks(key: string, id: string, count: number): Promise<void> {
    super.dropChunks(key, id, count)
    await setTimeout(5)
  }
}

storeConformance({
  name: 'records over a Map that is slow to drop chunks',
  make: () => new ListableRecordStore(new SlowMapBackend()),
  describe,
  test,
})
storeConformance({
  name: 'records over a Map that brings many values at once',
  make: () => new ListableRecordStore(new BatchMapBackend()),
  describe,
  test,
})
storeConformance({ name: 'records over a Map', make: () => new ListableRecordStore(new MapBackend()), describe, test })

const body = (size: number): ReadableStream<Uint8Array> => new Blob([new Uint8Array(size).fill(7)]).stream()
const failing = (after: number): ReadableStream<Uint8Array> => {
  let given = 0
  return new ReadableStream({
    pull(controller) {
      if (given >= after) throw new Error('broke off')
      given += 50_000
      controller.enqueue(new Uint8Array(50_000))
    },
  })
}

describe('chunks', () => {
  it('B45: long bodies are in chunks, and none stays behind when an entry is replaced, deleted or its write fails', async () => {
    const backend = new MapBackend()
    const store = new ListableRecordStore(backend)
    await store.write(sampleHead('k'), body(200_000))
    expect(backend.chunks.size).toBe(4)
    await store.write(sampleHead('k'), body(70_000))
    expect(backend.chunks.size).toBe(2)
    await store.write(sampleHead('k'), body(10))
    expect(backend.chunks.size).toBe(0)
    await store.write(sampleHead('k'), body(200_000))
    await expect(store.write(sampleHead('k'), failing(300_000))).rejects.toThrow('broke off')
    expect(backend.chunks.size).toBe(4)
    await store.delete(['k'])
    expect([backend.chunks.size, backend.values.size]).toEqual([0, 0])
  })

  it('51, 145: of a damaged frame no chunks are dropped: it may claim any number of them', async () => {
    const backend = new MapBackend()
    const store = new ListableRecordStore(backend)
    await store.write(sampleHead('k'), body(200_000))
    const frame = backend.values.get('k') ?? new Uint8Array()
    backend.values.set('k', frame.with(14, 1))
    await expect(store.read('k')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    expect(await store.delete(['k'])).toBe(1)
    expect(backend.chunks.size).toBe(4)
  })

  it('B9: of a backend that gives the beginning of what was there, however long, the chunks are dropped', async () => {
    for (const length of [36, 40, 100]) {
      const backend = new MapBackend()
      const remove = backend.remove.bind(backend)
      backend.remove = (keys) => remove(keys).map((frame) => frame?.slice(0, length))
      const store = new ListableRecordStore(backend)
      await store.write(sampleHead('k'), body(200_000))
      expect(await store.delete(['k'])).toBe(1)
      expect([length, backend.chunks.size]).toEqual([length, 0])
    }
  })

  it('51, 52: a chunk that is gone, cut or changed fails the stream, whatever its place', async () => {
    const backend = new MapBackend()
    const store = new ListableRecordStore(backend)
    for (const harm of [
      (key: string) => backend.chunks.delete(key),
      (key: string, value: Uint8Array) => backend.chunks.set(key, value.slice(0, -10)),
      (key: string, value: Uint8Array) => backend.chunks.set(key, value.with(5, 9)),
      (key: string, _: Uint8Array, other: Uint8Array) => backend.chunks.set(key, other),
    ]) {
      await store.write(sampleHead('k'), body(200_000))
      const [, second, third] = [...backend.chunks]
      if (second === undefined || third === undefined) throw new Error('no chunks')
      harm(second[0], second[1], third[1])
      const entry = await store.read('k')
      const read = new Response(entry?.body.open(0, 200_000)).bytes()
      await expect(read).rejects.toSatisfy((error) => error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT')
      await store.delete(['k'])
      backend.chunks.clear()
    }
  })

  it('40: the value of another key is corrupt, foreign bytes are corrupt', async () => {
    const backend = new MapBackend()
    const store = new ListableRecordStore(backend)
    await store.write(sampleHead('a'), new Uint8Array(3))
    backend.values.set('b', backend.values.get('a') ?? new Uint8Array())
    backend.values.set('c', new TextEncoder().encode('not ours at all, but long enough to be a header'))
    await expect(store.read('b')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    await expect(store.read('c')).rejects.toMatchObject({ code: 'ERR_STORE_CORRUPT' })
    // A write over foreign bytes is a write.
    await store.write(sampleHead('c'), new Uint8Array(1))
    expect((await store.read('c'))?.body.size).toBe(1)
  })

  it('46: lifetimes are counted from now to keepUntil, and none where there is no end', async () => {
    const backend = new MapBackend()
    const store = new ListableRecordStore(backend, { now: () => 1_000_000 })
    await store.write(sampleHead('a', { keepUntil: 1_500_000 }), new Uint8Array())
    await store.write(sampleHead('b'), new Uint8Array())
    expect([backend.lifetimes.get('a'), backend.lifetimes.get('b')]).toEqual([500_000, null])
  })
})

describe('readMany', () => {
  const codeOf = (outcome: unknown): unknown =>
    outcome instanceof StoreError ? outcome.code : outcome === undefined ? null : 'found'

  it.each([
    ['one by one', new MapBackend()],
    ['at once', new BatchMapBackend()],
  ])('B30: %s, a damaged entry, one of another key and one of a later format cost nobody else', async (_, backend) => {
    const store = new ListableRecordStore(backend)
    for (const key of ['a', 'b', 'c', 'd', 'e']) await store.write(sampleHead(key), new Uint8Array(10))
    const [b, c, d] = ['b', 'c', 'd'].map((key) => backend.values.get(key)?.slice() ?? new Uint8Array())
    if (b) b[b.length - 1] = (b[b.length - 1] ?? 0) ^ 1
    if (d) d[3] = 0x39
    backend.values.set('b', b ?? new Uint8Array())
    backend.values.set('e', c ?? new Uint8Array())
    backend.values.set('d', d ?? new Uint8Array())
    const outcomes = await store.readMany(['a', 'b', 'missing', 'c', 'd', 'e'])
    expect(outcomes.map(codeOf)).toEqual([
      'found',
      'ERR_STORE_CORRUPT',
      null,
      'found',
      'ERR_STORE_FORMAT',
      'ERR_STORE_CORRUPT',
    ])
  })

  it('a value that the server could not bring is that key\u2019s fault only', async () => {
    const backend = new BatchMapBackend()
    const store = new ListableRecordStore(backend)
    for (const key of ['a', 'b']) await store.write(sampleHead(key), new Uint8Array(10))
    backend.failing = 'a'
    expect((await store.readMany(['a', 'b'])).map(codeOf)).toEqual(['ERR_STORE_BUSY', 'found'])
    expect(backend.singles).toBe(0)
  })

  it('a database that fails as a whole fails it as a whole', async () => {
    const backend = new BatchMapBackend()
    const store = new ListableRecordStore(backend)
    backend.getMany = (): Promise<never> => Promise.reject(new Error('down'))
    await expect(store.readMany(['a', 'b'])).rejects.toThrow('down')
  })
})
