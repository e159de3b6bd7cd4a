/** A store of one's own: anything with get, set and delete. The conformance kit says whether it keeps the contract. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createCachedFetch } from 'keepfresh'
import { RecordStore, type RecordBackend } from 'keepfresh/custom'
import { startOrigin, storeConformance } from 'keepfresh/testing'

/** Stands for the client of a database: bytes under names, forgotten after a while. */
const database = new Map<string, Uint8Array>()

class DatabaseBackend implements RecordBackend {
  readonly name = 'my database'
  readonly limits = { maxEntrySize: Infinity, inlineSize: 64 * 1024, persistent: true, shared: false }
  readonly chunkSize = 512 * 1024

  get(key: string): Uint8Array | undefined {
    return database.get(`entry ${key}`)
  }
  set(key: string, value: Uint8Array, _ttl: number | null): Uint8Array | undefined {
    const before = this.get(key)
    database.set(`entry ${key}`, value) // A client would be given the ttl, in milliseconds.
    return before
  }
  replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): boolean {
    const before = this.get(key)
    if (before === undefined || !Buffer.from(version).equals(before.subarray(16, 24))) return false
    this.set(key, value, ttl)
    return true
  }
  remove(keys: readonly string[]): (Uint8Array | undefined)[] {
    const before = keys.map((key) => this.get(key))
    for (const key of keys) database.delete(`entry ${key}`)
    return before
  }
  getChunk(_key: string, id: string, n: number): Uint8Array | undefined {
    return database.get(`chunk ${id} ${n}`)
  }
  setChunk(_key: string, id: string, n: number, value: Uint8Array, _ttl: number | null): void {
    database.set(`chunk ${id} ${n}`, value)
  }
  keepChunks(): void {} // A database that forgets would be given the new ttl of the chunks.
  dropChunks(_key: string, id: string, count: number): void {
    for (let n = 0; n < count; n++) database.delete(`chunk ${id} ${n}`)
  }
  close(): void {}
}

const make = (): RecordStore => {
  database.clear()
  return new RecordStore(new DatabaseBackend())
}
storeConformance({ name: 'my database', make, describe, test })

test('it answers a cache', async () => {
  await using origin = await startOrigin()
  await using fetch = createCachedFetch({ store: make() })
  for (let n = 0; n < 2; n++) await (await fetch(`${origin.url}/cache/60`)).text()
  assert.equal(origin.requests.length, 1)
})
