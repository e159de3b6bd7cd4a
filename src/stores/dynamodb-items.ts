/**
 * An entry as an item.
 *
 *     key       S   its name (dynamodb-names.ts)
 *     head      B   a record (engine/record.ts) that says where its body is, under a checksum
 *     version   B   the record's, 8 bytes: what changes are conditional on
 *     created   N   ms       what a scan selects by
 *     expires   N   ms
 *     value     B   the body and its checksum; only where it is in the item
 *     chunks    N   the number of its chunks; only where it is not
 *     until     N   ms, how long the chunks live; only where that ends
 *     ttl       N   seconds, for DynamoDB
 *
 * 1. The body is apart from the head, so that a listing, a deletion or a change of metadata moves no body.
 * 2. An item is not trusted: head and body are checked before anyone looks at them.
 */
import { StoreError } from '../errors.ts'
import { inlineBody } from '../engine/bytes.ts'
import { NEVER, type EntryHead, type StoredBody, type Version } from '../engine/ports.ts'
import { decodeRecord, encodeRecord, type ChunkedAs } from '../engine/record.ts'
import { unsummed } from './chunks.ts'
import type { Attribute, Item } from './dynamodb-client.ts'
import type { DynamoNames } from './dynamodb-names.ts'
import { Recent } from './recent.ts'

/** What of an item has to be read to know all about an entry but its body. */
export const ABOUT = '#key, #head, #chunks, #until'

/** The same, and the body where it is in the item. */
export const WHOLE: string = `${ABOUT}, #value`

/** All about a stored entry but its body's bytes. */
export interface Stored {
  readonly head: EntryHead
  readonly version: string
  /** The body: an id, its size, and the length of its chunks. */
  readonly ref: ChunkedAs
  /** The number of items the body is in beside that of the entry; 0: it is in that one. */
  readonly chunks: number
  /** How long the chunks live, ms. */
  readonly until: number
}

export function number(value: number): Attribute {
  return { N: String(value) }
}

/** What was decoded is kept at hand, by version, which no two records share: a repeated hit parses no JSON. */
export class DynamoItems {
  readonly #names: DynamoNames
  readonly #known = new Recent<Stored>()

  constructor(names: DynamoNames) {
    this.#names = names
  }

  /** @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's record */
  decode(key: string, item: Item): Stored {
    const known = this.#known.get(key)
    const stored = decodeItem(item, known)
    if (stored.head.key !== key) throw corrupt(key, 'it is of another key')
    if (known?.version !== stored.version) this.#known.set(key, stored)
    return stored
  }

  /** What was decoded before, if it was of this version. */
  known(key: string, version: Version): Stored | undefined {
    const known = this.#known.get(key)
    return known?.version === version ? known : undefined
  }

  /** The body in an entry's item. */
  inlineBody(key: string, item: Item, size: number): StoredBody {
    const bytes = unsummed(item[this.#names.value]?.B, 0, size)
    if (bytes === null) throw corrupt(key, 'its body is gone or damaged')
    return inlineBody(bytes)
  }

  forget(key: string): void {
    this.#known.delete(key)
  }

  clear(): void {
    this.#known.clear()
  }
}

/**
 * @param known what the item may be, decoded before: saves the parsing, not the checks
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's record
 */
export function decodeItem(item: Item, known?: Stored): Stored {
  const bytes = item['head']?.B
  if (bytes === undefined) throw corrupt('an item', 'it has no head')
  const record = decodeRecord(bytes, (version) => (known?.version === version ? known.head : undefined))
  if (known?.version === record.version) return known
  const { head, version, chunked } = record
  const chunks = Number(item['chunks']?.N ?? 0)
  if (chunked === null) throw corrupt(head.key, 'it does not say where its body is')
  if (chunks !== 0 && chunks !== countOf(chunked)) throw corrupt(head.key, 'its number of chunks is wrong')
  return { head, version, ref: chunked, chunks, until: Number(item['until']?.N ?? NEVER) }
}

/** The record of an entry, and its version apart. */
export function encodeHead(head: EntryHead, ref: ChunkedAs): { readonly head: Attribute; readonly version: Attribute } {
  const record = encodeRecord(head, ref)
  return { head: { B: record }, version: { B: record.slice(16, 24) } }
}

/** The number of chunks of a body. */
export function countOf({ size, length }: ChunkedAs): number {
  return Math.ceil(size / length)
}

function corrupt(key: string, what: string): StoreError {
  return new StoreError('ERR_STORE_CORRUPT', `The entry of ${key} in DynamoDB is corrupt: ${what}.`)
}
