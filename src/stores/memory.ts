/** Entries in memory, least recently used out first. Replaced below by the policy-driven version once it lands. */
import { StoreError } from '../errors.ts'
import type {
  EntryChange,
  EntryHead,
  ListableStore,
  ListedEntry,
  ListQuery,
  StoredBody,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'

export interface MemoryStoreOptions {
  maxEntries?: number
  maxBytes?: number
  maxEntrySize?: number
}

const OVERHEAD = 512

interface Slot {
  entry: StoredEntry
  cost: number
}

export class MemoryStore implements ListableStore {
  readonly name = 'memory' as const
  readonly limits: StoreLimits
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #slots = new Map<string, Slot>()
  #bytes = 0
  #version = 0
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    const { maxEntries = 10_000, maxBytes = 64 * 1024 * 1024 } = options
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.limits = { maxEntrySize: options.maxEntrySize ?? maxBytes / 4, inlineSize: 256 * 1024, persistent: false }
  }

  read(key: string): StoredEntry | undefined {
    this.#open()
    const slot = this.#slots.get(key)
    return slot?.entry
  }

  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): void | Promise<void> {
    this.#open()
    return body instanceof Uint8Array ? this.#put(head, body) : this.#collect(head, body)
  }

  async #collect(head: EntryHead, body: ReadableStream<Uint8Array>): Promise<void> {
    const reader = body.getReader()
    const chunks: Uint8Array[] = []
    let size = 0
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.length
      if (size > this.limits.maxEntrySize) {
        const error = new StoreError('ERR_STORE_FULL', 'the body is larger than maxEntrySize')
        await reader.cancel(error)
        throw error
      }
      chunks.push(value)
    }
    const whole = new Uint8Array(size)
    let at = 0
    for (const chunk of chunks) {
      whole.set(chunk, at)
      at += chunk.length
    }
    this.#open()
    this.#put(head, whole)
  }

  #put(head: EntryHead, bytes: Uint8Array): void {
    this.#remove(head.key)
    const slot: Slot = {
      entry: { ...head, version: ++this.#version, body: bodyOf(bytes) },
      cost: bytes.length + OVERHEAD,
    }
    this.#slots.set(head.key, slot)
    this.#bytes += slot.cost
    while (this.#slots.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const [oldest] = this.#slots.keys()
      if (oldest === undefined) return
      this.#remove(oldest)
    }
  }

  #remove(key: string): boolean {
    const slot = this.#slots.get(key)
    if (!slot) return false
    this.#slots.delete(key)
    this.#bytes -= slot.cost
    return true
  }

  update(key: string, change: EntryChange, version: Version): boolean {
    this.#open()
    const slot = this.#slots.get(key)
    if (!slot || slot.entry.version !== version) return false
    slot.entry = { ...slot.entry, ...change, version: ++this.#version }
    return true
  }

  delete(keys: readonly string[]): number {
    this.#open()
    return keys.filter((key) => this.#remove(key)).length
  }

  async *keys(): AsyncGenerator<string> {
    this.#open()
    for (const key of Array.from(this.#slots.keys())) yield key
  }

  async *entries(query: ListQuery = {}): AsyncGenerator<ListedEntry> {
    this.#open()
    const { expiredAt, freshAt, createdBefore, order = 'created', descending = false, limit = Infinity } = query
    const rows = [...this.#slots.values()]
      .map(({ entry: { body, ...rest } }) => ({ ...rest, size: body.size }))
      .filter(
        (row) =>
          (expiredAt === undefined || row.expiresAt <= expiredAt) && (freshAt === undefined || row.expiresAt > freshAt),
      )
      .filter((row) => createdBefore === undefined || row.createdAt < createdBefore)
    const by = { created: 'createdAt', expires: 'expiresAt', size: 'size', key: 'key' } as const
    const field = by[order]
    rows.sort((a, b) => (a[field] < b[field] ? -1 : a[field] > b[field] ? 1 : 0))
    if (descending) rows.reverse()
    yield* rows.slice(0, limit)
  }

  size(): StoreSize {
    this.#open()
    return { entries: this.#slots.size, bytes: this.#bytes }
  }

  clear(): void {
    this.#open()
    this.#slots.clear()
    this.#bytes = 0
  }

  async deleteWhere({ expiredAt, createdBefore }: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    this.#open()
    let count = 0
    for (const [key, { entry }] of this.#slots) {
      if (expiredAt !== undefined && entry.expiresAt > expiredAt) continue
      if (createdBefore !== undefined && entry.createdAt >= createdBefore) continue
      if (this.#remove(key)) count += 1
    }
    return count
  }

  close(): void {
    this.#closed = true
    this.#slots.clear()
  }

  #open(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', 'the memory store is closed')
  }
}

function bodyOf(bytes: Uint8Array): StoredBody {
  return {
    size: bytes.length,
    bytes,
    open(start, end) {
      let at = start
      return new ReadableStream<Uint8Array>({
        pull(controller) {
          if (at < end) {
            const chunk = bytes.slice(at, Math.min(end, at + 65_536))
            at += chunk.length
            controller.enqueue(chunk)
          }
          if (at >= end) controller.close()
        },
      })
    },
  }
}
