/**
 * Long bodies, in items of their own: written before the entry that names them, retired after it.
 *
 * 1. The chunks of a write that came to no end, or whose process was killed, have an end of their own from the start. The end is
 *    taken away when an entry names them that has none.
 * 2. What was retired stays retired: whoever gives chunks a longer life, late, must not bring them back.
 */
import { StoreError } from '../errors.ts'
import type { StoredBody } from '../engine/ports.ts'
import { hexOf, randomId, type ChunkedAs } from '../engine/record.ts'
import { CHECKSUM, chunkedBody, summed, unsummed } from './chunks.ts'
import { each, type DynamoBatches } from './dynamodb-batch.ts'
import type { DynamoConnection } from './dynamodb-connection.ts'
import { countOf, number } from './dynamodb-items.ts'
import type { DynamoLifetimes } from './dynamodb-lifetimes.ts'
import type { DynamoNames } from './dynamodb-names.ts'
import type { DynamoSettings } from './dynamodb-options.ts'
import { pieces, type BodyReader } from './store-body.ts'

const IS_LIVING = 'attribute_exists(#key) AND attribute_not_exists(#retired)'

export class DynamoBodies {
  readonly #settings: DynamoSettings
  readonly #connection: DynamoConnection
  readonly #names: DynamoNames
  readonly #batches: DynamoBatches
  readonly #lifetimes: DynamoLifetimes

  constructor(
    settings: DynamoSettings,
    connection: DynamoConnection,
    names: DynamoNames,
    batches: DynamoBatches,
    lifetimes: DynamoLifetimes,
  ) {
    this.#settings = settings
    this.#connection = connection
    this.#names = names
    this.#batches = batches
    this.#lifetimes = lifetimes
  }

  /**
   * Writes what was read `ahead` and what the reader still gives.
   * @param check called with the number of bytes so far; what it throws ends the write, and nothing of it stays
   */
  async write(
    key: string,
    until: number,
    reader: BodyReader,
    ahead: readonly Uint8Array[],
    check: (size: number) => void,
  ): Promise<ChunkedAs> {
    const id = randomId()
    const length = this.#settings.chunkSize - CHECKSUM
    const names: string[] = []
    let size = 0
    try {
      for await (const piece of pieces(reader, ahead, length)) {
        size += piece.length
        check(size)
        const n = names.length
        const name = this.#names.chunk(key, hexOf(id), n)
        names.push(name)
        await this.#put(name, summed(piece, n), until)
      }
    } catch (error) {
      await this.#discard(names)
      throw error
    }
    return { id, length, size }
  }

  async #put(name: string, value: Uint8Array, until: number): Promise<void> {
    const ttl = this.#lifetimes.ttl(until)
    const Item = {
      ...this.#names.keyOf(name),
      [this.#names.value]: { B: value },
      until: number(until),
      ...(ttl === undefined ? {} : { [this.#names.ttl]: ttl }),
    }
    await this.#connection.call('PutItem', { Item })
  }

  /** Nobody has seen these. What cannot be deleted now has an end; the error that led here is the one to report. */
  async #discard(names: readonly string[]): Promise<void> {
    try {
      await this.#batches.delete(names)
    } catch {
      // Rule 1.
    }
  }

  /** A body in chunks, read one at a time. */
  open(key: string, ref: ChunkedAs): StoredBody {
    const id = hexOf(ref.id)
    return chunkedBody(ref.size, ref.length, async (n) => {
      const { Item } = await this.#connection.call('GetItem', {
        Key: this.#names.keyOf(this.#names.chunk(key, id, n)),
        ConsistentRead: this.#settings.consistentRead,
      })
      const expected = Math.min(ref.length, ref.size - n * ref.length)
      const piece = unsummed(Item?.[this.#names.value]?.B, n, expected)
      if (piece !== null) return piece
      throw new StoreError('ERR_STORE_CORRUPT', `Part ${n} of the body of ${key} is gone or damaged.`)
    })
  }

  /** Gives the chunks of a living entry another end. */
  async keep(key: string, ref: ChunkedAs, until: number): Promise<void> {
    const { set, remove } = this.#lifetimes.change(until)
    await each(this.#namesOf(key, ref), (name) =>
      this.#connection.attempt('UpdateItem', this.#names.change(name, set, remove, IS_LIVING)),
    )
  }

  /** No entry names these any more. */
  retire(key: string, ref: ChunkedAs): Promise<void> {
    return this.retireNamed(this.#namesOf(key, ref))
  }

  async retireNamed(names: readonly string[]): Promise<void> {
    const { set, remove } = this.#lifetimes.change(this.#lifetimes.ofRetired())
    const retired = { ...set, retired: number(1) }
    await each(names, (name) =>
      this.#connection.attempt('UpdateItem', this.#names.change(name, retired, remove, IS_LIVING)),
    )
  }

  #namesOf(key: string, ref: ChunkedAs): string[] {
    const id = hexOf(ref.id)
    return Array.from({ length: countOf(ref) }, (_, n) => this.#names.chunk(key, id, n))
  }
}
