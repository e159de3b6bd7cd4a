/**
 * What a store of records holds, where its values can be walked through: listing reads heads, never bodies.
 */
import { setImmediate } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { Clock, ListableStore, ListedEntry, ListQuery, MaybePromise, StoreSize } from '../engine/ports.ts'
import { decodeHead, frameHeader } from '../engine/record.ts'
import { arranged, selects, type Selection } from './listing.ts'
import { RecordStore, type RecordBackend } from './record-store.ts'

/** A key-value store that can be walked through. */
export interface ListableBackend extends RecordBackend {
  /** The first bytes of every entry's frame: at least header and head; in batches, each as large as one round trip brings. */
  heads(): AsyncIterable<readonly Uint8Array[]>
  /** Bytes used, as well as the server can tell. */
  bytes(): MaybePromise<number>
  /** Removes every entry and chunk of ours, and nothing else. */
  clear(): MaybePromise<void>
}

const DELETED_AT_ONCE = 500

/** Deletes what a selection names, in batches that leave the event loop free; how many. */
export async function deleteSelected(
  entries: AsyncIterable<ListedEntry>,
  remove: (keys: readonly string[]) => MaybePromise<number>,
): Promise<number> {
  let count = 0
  let batch: string[] = []
  const flush = async (): Promise<void> => {
    count += await remove(batch)
    batch = []
    await setImmediate()
  }
  for await (const { key } of entries) {
    batch.push(key)
    if (batch.length >= DELETED_AT_ONCE) await flush()
  }
  if (batch.length > 0) await flush()
  return count
}

export class ListableRecordStore extends RecordStore implements ListableStore {
  declare protected readonly backend: ListableBackend

  // oxlint-disable-next-line no-useless-constructor -- it narrows the backend's type
  constructor(backend: ListableBackend, clock?: Clock) {
    super(backend, clock)
  }

  async *keys(): AsyncGenerator<string> {
    for await (const { key } of this.#listed({})) yield key
  }

  entries(query: ListQuery = {}): AsyncGenerator<ListedEntry> {
    return arranged(this.#listed(query), query)
  }

  async *#listed(selection: Selection): AsyncGenerator<ListedEntry> {
    this.assertOpen()
    for await (const frames of this.backend.heads()) {
      for (const frame of frames) {
        const entry = listedOf(frame)
        if (entry !== null && selects(selection, entry)) yield entry
      }
    }
  }

  async size(): Promise<StoreSize> {
    let entries = 0
    for await (const _ of this.#listed({})) entries++
    return { entries, bytes: await this.backend.bytes() }
  }

  async clear(): Promise<void> {
    this.assertOpen()
    await this.backend.clear()
  }

  deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    return deleteSelected(this.#listed(query), (keys) => this.delete(keys))
  }
}

/** The entry at the start of a frame; null where there is none: a corrupt entry is skipped. */
function listedOf(frame: Uint8Array): ListedEntry | null {
  try {
    const header = frameHeader(frame)
    return { ...decodeHead(frame, header), version: header.version, size: header.size }
  } catch (error) {
    if (error instanceof StoreError) return null
    throw error
  }
}
