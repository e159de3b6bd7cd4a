/**
 * The memory in front of a tiered store: what is in it, since when, and as which version of the far store's.
 */
import type { Clock, EntryHead, EntryMeta, StoredEntry, Version } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import type { MemoryStore } from './memory.ts'

/** What is known of an entry in memory. */
export interface Tag {
  readonly version: Version
  /** When the far store was known to have it. */
  readonly at: number
  /** Written from here, and the channel has not told of that yet. */
  isUntold: boolean
}

interface Kept extends Tag {
  /** The entry as handed out, made at the first hit. */
  entry: StoredEntry | null
}

export class Near {
  readonly #memory: MemoryStore
  readonly #clock: Clock
  readonly #nameOf: ((key: string) => string) | null
  readonly #tags = new WeakMap<EntryMeta, Kept>()
  /** What is in memory, by the names of a channel that has names of its own for keys. */
  readonly #keys = new Map<string, string>()

  /** @param nameOf null: names are keys */
  constructor(memory: MemoryStore, clock: Clock, nameOf: ((key: string) => string) | null) {
    this.#memory = memory
    this.#clock = clock
    this.#nameOf = nameOf
    if (nameOf !== null) memory.watchEvictions((key) => void this.#keys.delete(nameOf(key)))
  }

  /** What the far store was known to have less than `bound` ms ago. */
  read(key: string, bound: number): StoredEntry | undefined {
    const near = this.#memory.read(key)
    const tag = near === undefined ? undefined : this.#tags.get(near.meta)
    if (near === undefined || tag === undefined || this.#clock.now() - tag.at >= bound) return undefined
    return (tag.entry ??= { ...near, version: tag.version })
  }

  /** What is known of the entry under a key. */
  tag(key: string): Tag | undefined {
    const near = this.#memory.read(key)
    return near && this.#tags.get(near.meta)
  }

  /** The entry, however old, if it is of this version. */
  ofVersion(key: string, version: Version): StoredEntry | null {
    const near = this.#memory.read(key)
    return near !== undefined && this.#tags.get(near.meta)?.version === version ? near : null
  }

  /** Puts a copy into memory, where it fits there; nothing else stays under its key. */
  keep(head: EntryHead, bytes: Uint8Array | null, tag: Tag): void {
    const { key, meta, createdAt, expiresAt, keepUntil } = head
    if (bytes === null || bytes.length > this.#memory.limits.maxEntrySize) return this.drop([key])
    try {
      // A copy: what the far store handed out may be a view of something larger.
      this.#memory.write({ key, meta, createdAt, expiresAt, keepUntil }, new Uint8Array(bytes))
      this.#tags.set(meta, { ...tag, entry: null })
      if (this.#nameOf !== null) this.#keys.set(this.#nameOf(key), key)
    } catch (error) {
      // Too large for the memory as a whole: it is read from the far store, which has it.
      this.drop([key])
      if (!(error instanceof StoreError && error.code === 'ERR_STORE_FULL')) throw error
    }
  }

  /** Null: all. */
  drop(keys: readonly string[] | null): void {
    if (keys === null) {
      this.#memory.clear()
      this.#keys.clear()
      return
    }
    this.#memory.delete(keys)
    if (this.#nameOf !== null) for (const key of keys) this.#keys.delete(this.#nameOf(key))
  }

  /** The keys, of those in memory, that have these names. */
  keysOf(names: readonly string[]): readonly string[] {
    return this.#nameOf === null ? names : names.flatMap((name) => this.#keys.get(name) ?? [])
  }

  close(): void {
    this.#memory.close()
    this.#keys.clear()
  }
}
