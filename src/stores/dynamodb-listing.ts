/**
 * Walking through the table: listing, purging, clearing.
 *
 * 1. DynamoDB selects, and sends heads only. What it reads, and bills, is the whole table: it has no index of ours.
 * 2. What does not have the shape of ours is neither listed nor removed.
 * 3. A purge also removes chunks whose time is over, where DynamoDB has not yet, and retires those that no entry names: what a
 *    process left that was killed at the wrong moment, or an entry that DynamoDB dropped.
 */
import { StoreError } from '../errors.ts'
import type { Clock, ListedEntry } from '../engine/ports.ts'
import { hexOf } from '../engine/record.ts'
import type { DynamoBatches } from './dynamodb-batch.ts'
import type { DynamoBodies } from './dynamodb-bodies.ts'
import type { Item } from './dynamodb-client.ts'
import { ABOUT, decodeItem, number } from './dynamodb-items.ts'
import type { DynamoNames } from './dynamodb-names.ts'
import { selects, type Selection } from './listing.ts'

/** Names deleted in one go. */
const DELETED_AT_ONCE = 500

/** Chunks that a purge found: those whose time is over, and, by entry and body, those that have no end. */
class FoundChunks {
  readonly #names: DynamoNames
  readonly over: string[] = []
  readonly endless: Map<string, Map<string, string[]>> = new Map()

  constructor(names: DynamoNames) {
    this.#names = names
  }

  add(item: Item): void {
    const name = this.#names.nameOf(item)
    const chunk = this.#names.chunkOf(name)
    if (chunk === null) return
    if (item['until'] !== undefined) {
      this.over.push(name)
      return
    }
    const bodies = this.endless.get(chunk.entry) ?? new Map<string, string[]>()
    this.endless.set(chunk.entry, bodies)
    bodies.set(chunk.id, [...(bodies.get(chunk.id) ?? []), name])
  }
}

export class DynamoListing {
  readonly #names: DynamoNames
  readonly #batches: DynamoBatches
  readonly #bodies: DynamoBodies
  readonly #clock: Clock

  constructor(names: DynamoNames, batches: DynamoBatches, bodies: DynamoBodies, clock: Clock) {
    this.#names = names
    this.#batches = batches
    this.#bodies = bodies
    this.#clock = clock
  }

  /** The entries that a selection names, in no order. */
  async *listed(selection: Selection, chunks: FoundChunks | null = null): AsyncGenerator<ListedEntry> {
    const { filter, values } = this.#filter(selection)
    const dead = 'begins_with(#key, :chunks) AND (attribute_not_exists(#until) OR #until <= :now)'
    const more = { ':chunks': { S: this.#names.chunks }, ':now': number(this.#clock.now()) }
    const pages =
      chunks === null
        ? this.#batches.scan(filter, values, ABOUT)
        : this.#batches.scan(`(${filter}) OR (${dead})`, { ...values, ...more }, ABOUT)
    for await (const items of pages) {
      for (const item of items) {
        const entry = this.#entryOf(item)
        if (entry === null) chunks?.add(item)
        else if (selects(selection, entry)) yield entry
      }
    }
  }

  #filter({ expiredAt, freshAt, createdBefore }: Selection): { readonly filter: string; readonly values: Item } {
    const conditions = ['begins_with(#key, :entries)']
    const values: Record<string, Item[string]> = { ':entries': { S: this.#names.entries } }
    const add = (condition: string, name: string, instant: number | undefined): void => {
      // What is no number of DynamoDB's is left to the check of each entry.
      if (instant === undefined || !Number.isFinite(instant)) return
      conditions.push(condition)
      values[name] = number(instant)
    }
    add('#expires <= :expired', ':expired', expiredAt)
    add('#expires > :fresh', ':fresh', freshAt)
    add('#created < :before', ':before', createdBefore)
    return { filter: conditions.join(' AND '), values }
  }

  /** Null: it is no entry of ours, or a corrupt one, which is skipped. */
  #entryOf(item: Item): ListedEntry | null {
    const name = this.#names.nameOf(item)
    if (!this.#names.isEntry(name)) return null
    try {
      const { head, version, ref } = decodeItem(item)
      return this.#names.entry(head.key) === name ? { ...head, version, size: ref.size } : null
    } catch (error) {
      if (error instanceof StoreError) return null
      throw error
    }
  }

  /** As `listed`; what is found of chunks that are of no more use is removed at the end. */
  async *purged(selection: Selection): AsyncGenerator<ListedEntry> {
    const chunks = new FoundChunks(this.#names)
    yield* this.listed(selection, chunks)
    await this.#batches.delete(chunks.over)
    const entries = await this.#batches.get([...chunks.endless.keys()], ABOUT)
    for (const [entry, bodies] of chunks.endless) {
      const named = bodyOf(entries.get(entry))
      for (const [id, names] of bodies) if (id !== named) await this.#bodies.retireNamed(names)
    }
  }

  /** Deletes every entry and chunk. */
  async clear(): Promise<void> {
    const values = { ':entries': { S: this.#names.entries }, ':chunks': { S: this.#names.chunks } }
    const filter = 'begins_with(#key, :entries) OR begins_with(#key, :chunks)'
    let names: string[] = []
    for await (const items of this.#batches.scan(filter, values, '#key')) {
      for (const item of items) {
        const name = this.#names.nameOf(item)
        if (this.#names.isEntry(name) || this.#names.chunkOf(name) !== null) names.push(name)
      }
      if (names.length < DELETED_AT_ONCE) continue
      await this.#batches.delete(names)
      names = []
    }
    await this.#batches.delete(names)
  }
}

/** The id of the body an entry names; null where there is none. */
function bodyOf(item: Item | undefined): string | null {
  if (item === undefined) return null
  try {
    return hexOf(decodeItem(item).ref.id)
  } catch (error) {
    // It names no chunks that can be read.
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return null
    throw error
  }
}
