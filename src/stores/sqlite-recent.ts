/**
 * Entries that are read again and again, kept as they were read: a hit then asks SQLite but whether anything was changed meanwhile, which
 * takes half of the time of reading the row.
 *
 * 1. What is kept counts for as long as nobody has changed anything: this connection by its own count of changes, any other by
 *    `PRAGMA data_version`.
 * 2. Kept is what was read twice with no change in between, up to a bound in bytes. Two generations: the older one is forgotten whole, but
 *    for what was read again.
 * 3. Keeping a row costs one more reading of it. Once there is no more room, one in sixteen reads may make some: where more is read over and
 *    over than there is room for, a part of it stays, and the rest costs what it would cost without.
 */
import type { StoredEntry } from '../engine/ports.ts'
import type { SqlValue } from './sqlite-driver.ts'
import { isMeta } from './sqlite-row.ts'
import type { Statements } from './sqlite-statements.ts'

/** Bytes in a generation; more than a quarter of it is not kept. */
const BYTES = 4 * 1024 * 1024
/** What an entry takes beside its body and metadata, about. */
const OVERHEAD = 1024
const SEEN = 4096
/** Reads for each that may make room. */
const SHARE = 16

interface Kept {
  readonly entry: StoredEntry
  readonly bytes: number
}

export class SqliteRecent {
  #young = new Map<string, Kept>()
  #old = new Map<string, Kept>()
  #bytes = 0
  /** Something was forgotten for want of room. */
  #isFull = false
  /** Reads since the last one that was kept, up to a share. */
  #reads = 0
  /** Ids read since the last change, and its number, each in the slot of its last digits. */
  readonly #seen = new Float64Array(SEEN)
  /** Of the time when what is kept was read. */
  #changes = -1
  #version: unknown = null

  /** The entry, where it is kept and still what a reading would give. */
  get(key: string, { changes, dataVersion }: Statements): StoredEntry | undefined {
    if (changes.count !== this.#changes) return undefined
    if (this.#reads < SHARE) this.#reads++
    const young = this.#young.get(key)
    const kept = young ?? this.#old.get(key)
    if (kept === undefined || dataVersion.get()?.[0] !== this.#version) return undefined
    if (young === undefined) {
      this.#old.delete(key)
      this.#put(key, kept)
    }
    return kept.entry
  }

  /**
   * Whether a row that was just read is one to keep. It is read once more then: what is kept must not be older than the number it is
   * compared with.
   */
  isDue(row: readonly SqlValue[], { changes, dataVersion }: Statements): boolean {
    if (bytesOf(row) > BYTES / 4) return false
    const id = Number(row[0])
    if (this.#isFull && this.#reads < SHARE && changes.count === this.#changes) return false
    const mark = id * SEEN + (changes.count % SEEN)
    if (changes.count !== this.#changes) this.#begin(changes.count, this.#version)
    else if (this.#seen[id % SEEN] === mark) {
      const version = dataVersion.get()?.[0]
      if (version === this.#version) return true
      this.#begin(changes.count, version)
    }
    this.#seen[id % SEEN] = mark
    return false
  }

  #begin(changes: number, version: unknown): void {
    this.clear()
    this.#changes = changes
    this.#version = version
  }

  /** Keeps what was made of a row. */
  keep(entry: StoredEntry, row: readonly SqlValue[]): void {
    const bytes = bytesOf(row)
    if (bytes > BYTES / 4) return
    this.#reads = 0
    this.#put(entry.key, { entry, bytes })
  }

  #put(key: string, kept: Kept): void {
    if (this.#bytes + kept.bytes > BYTES) {
      if (this.#old.size > 0) this.#isFull = true
      this.#old = this.#young
      this.#young = new Map()
      this.#bytes = 0
    }
    this.#young.set(key, kept)
    this.#bytes += kept.bytes
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#bytes = 0
    this.#isFull = false
    this.#reads = 0
    this.#changes = -1
  }
}

/** What the entry of a row takes; Infinity: its body is in chunks, of which there is nothing to keep. */
function bytesOf(row: readonly SqlValue[]): number {
  const meta = row[9]
  return Number(row[6]) > 0 ? Infinity : Number(row[5]) + (isMeta(meta) ? meta.length : 0) + OVERHEAD
}
