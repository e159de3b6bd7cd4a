/**
 * An entry as a document, to be read by people, too:
 *
 *     { _id: SHA-256 of the key in base64url, key, createdAt, expiresAt, keepUntil, gone?: Date, size, meta: {...}, version,
 *       sum, crc, keepfresh: 1, body: Binary | chunks: { id, length } }
 *
 * 1. Instants are ms since the epoch, as in every store; `gone` is keepUntil once more, for the index by which the server removes.
 * 2. `sum` is over what an update changes, `crc` over the rest; both are checked on every read, and every field's type.
 * 3. Texts and metadata are in a form that every server takes (mongodb-value.ts).
 * 4. A document of a later format is not ours to read; one without `keepfresh` is not ours at all.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from '../engine/crc32.ts'
import { NEVER, type EntryChange, type EntryHead, type EntryMeta, type ListedEntry } from '../engine/ports.ts'
import { decodeMeta, encodeMeta, hexOf, randomId } from '../engine/record.ts'
import { keyHash } from './key-hash.ts'
import type { Document } from './mongodb-driver.ts'
import { packed, unpacked } from './mongodb-value.ts'
import { Recent } from './recent.ts'

export const FORMAT = 1

/** MongoDB's limit for a document; not every server that speaks its protocol keeps it. */
const LARGEST = 16 * 1024 * 1024

/** Entries of this format. */
export const OURS: Document = { keepfresh: FORMAT }
/** Entries of whatever format. */
export const OURS_OF_ANY_FORMAT: Document = { keepfresh: { $gte: 1 } }

/** Where a long body is: its chunks are named by `id`. */
export interface ChunkedAs {
  readonly id: string
  /** Bytes of each chunk but the last. */
  readonly length: number
  /** Bytes of the whole body. */
  readonly size: number
}

/** A document that was checked, but for its body. */
export interface Decoded extends ListedEntry {
  readonly version: string
  /** The body; or where it is; null where it was not asked for. */
  readonly body: Uint8Array | ChunkedAs | null
}

const numbers = new Float64Array(2)
const numberBytes = new Uint8Array(numbers.buffer)

/** A name that no other write has. */
export function freshId(): string {
  return hexOf(randomId())
}

/** The document of an entry. */
export function documentOf(head: EntryHead, body: Uint8Array | ChunkedAs, ttl: boolean): Document {
  const { key, createdAt, expiresAt, keepUntil } = head
  const size = body instanceof Uint8Array ? body.length : body.size
  const { meta, sum } = packedMeta(head, body instanceof Uint8Array ? size : 0)
  const gone = ttl ? goneAt(keepUntil) : null
  return {
    _id: keyHash(key),
    key: packed(key),
    createdAt,
    expiresAt,
    keepUntil,
    ...(gone === null ? {} : { gone }),
    size,
    meta,
    version: freshId(),
    sum,
    crc: bodySum(createdAt, size, body),
    keepfresh: FORMAT,
    ...(body instanceof Uint8Array ? { body } : { chunks: { id: body.id, length: body.length } }),
  }
}

/** What an update does to a document. */
export function changeOf(change: EntryChange, ttl: boolean): Document {
  const { expiresAt, keepUntil } = change
  const { meta, sum } = packedMeta(change)
  const gone = ttl ? goneAt(keepUntil) : null
  const fields = { meta, expiresAt, keepUntil, sum, version: freshId() }
  return gone === null ? { $set: fields, $unset: { gone: 1 } } : { $set: { ...fields, gone } }
}

/** The date from which on the server may remove what is of use until `keepUntil`; null: never. */
export function goneAt(keepUntil: number): Date | null {
  return keepUntil >= NEVER ? null : new Date(Math.max(0, keepUntil))
}

function packedMeta(head: EntryChange, bodySize = 0): { meta: unknown; sum: number } {
  const { meta, expiresAt, keepUntil } = head
  const bytes = encodeMeta(meta)
  if (bytes.length + bodySize > LARGEST) {
    throw new StoreError(
      'ERR_STORE_FULL',
      `A document is limited to 16 MB; its metadata alone has ${bytes.length} bytes.`,
    )
  }
  return { meta: packed(meta), sum: metaSum(expiresAt, keepUntil, bytes) }
}

function metaSum(expiresAt: number, keepUntil: number, meta: Uint8Array): number {
  numbers[0] = expiresAt
  numbers[1] = keepUntil
  return crc32(meta, crc32(numberBytes))
}

function bodySum(createdAt: number, size: number, body: Uint8Array | ChunkedAs): number {
  numbers[0] = createdAt
  numbers[1] = size
  const bytes = body instanceof Uint8Array ? body : Buffer.from(`${body.id}:${body.length}`)
  return crc32(bytes, crc32(numberBytes))
}

/** What is known of an entry of ours: that it is there; and, where it was read, its head of this version: a repeated hit parses no JSON. */
interface Known {
  readonly version: string
  readonly sum: number
  readonly head: EntryChange
}

/** The entries read or written last, by `_id`. */
export class MetaMemory {
  readonly #known = new Recent<Known | null>()

  /** Whether there was an entry when we last looked. */
  has(id: string): boolean {
    return this.#known.has(id)
  }

  get(id: string, version: string, sum: number): EntryChange | undefined {
    const known = this.#known.get(id)
    return known?.version === version && known.sum === sum ? known.head : undefined
  }

  set(id: string, version: string, sum: number, head: EntryChange): void {
    this.#known.set(id, { version, sum, head })
  }

  /** There is an entry now, of which nothing else is known. */
  note(id: string): void {
    this.#known.set(id, null)
  }

  delete(id: string): void {
    this.#known.delete(id)
  }

  clear(): void {
    this.#known.clear()
  }
}

/**
 * The entry of a document.
 * @param memory where what it says may be known already
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's document
 */
export function decoded(document: Document, memory?: MetaMemory): Decoded {
  const { _id: id, createdAt, size, version, sum, crc, keepfresh } = document
  if (typeof keepfresh === 'number' && keepfresh > FORMAT) throw laterFormat(keepfresh)
  const areRight =
    keepfresh === FORMAT &&
    typeof id === 'string' &&
    typeof version === 'string' &&
    typeof createdAt === 'number' &&
    typeof size === 'number' &&
    typeof sum === 'number' &&
    typeof crc === 'number'
  if (!areRight) throw corrupt(document, 'a field is missing or of the wrong type')
  const key = keyOf(document)
  if (keyHash(key) !== id) throw corrupt(document, 'it is under the name of another key')
  const known = memory?.get(id, version, sum)
  const head = known ?? checkedHead(document, sum)
  if (known === undefined) memory?.set(id, version, sum, head)
  return { key, createdAt, ...head, version, size, body: bodyOf(document, createdAt, size, crc) }
}

function keyOf(document: Document): string {
  try {
    const key = unpacked(document['key'])
    if (typeof key === 'string') return key
  } catch (cause) {
    throw corrupt(document, 'its key is no JSON', cause)
  }
  throw corrupt(document, 'its key is no text')
}

function checkedHead(document: Document, sum: number): EntryChange {
  const { expiresAt, keepUntil } = document
  if (typeof expiresAt !== 'number' || typeof keepUntil !== 'number') throw corrupt(document, 'an instant is missing')
  const bytes = metaBytes(document)
  if (metaSum(expiresAt, keepUntil, bytes) !== sum) throw corrupt(document, 'the checksum of its metadata is wrong')
  return { meta: decodeMeta(bytes), expiresAt, keepUntil }
}

function metaBytes(document: Document): Uint8Array {
  try {
    return encodeMeta(unpacked(document['meta']) as EntryMeta)
  } catch (cause) {
    throw corrupt(document, 'its metadata has what JSON has no word for', cause)
  }
}

function bodyOf(document: Document, createdAt: number, size: number, crc: number): Uint8Array | ChunkedAs | null {
  const { body, chunks } = document
  if (body === undefined && chunks === undefined) return null
  const found = body instanceof Uint8Array ? body : chunkedAs(chunks, size)
  if (found === null) throw corrupt(document, 'its body is of the wrong type')
  if (size !== (found instanceof Uint8Array ? found.length : found.size) || bodySum(createdAt, size, found) !== crc) {
    throw corrupt(document, 'the checksum of its body is wrong')
  }
  return found
}

/** Where the chunks are that a field `chunks` names; null where it names none. */
export function chunkedAs(chunks: unknown, size: number = 0): ChunkedAs | null {
  if (typeof chunks !== 'object' || chunks === null) return null
  const { id, length } = chunks as Partial<ChunkedAs>
  if (typeof id !== 'string' || typeof length !== 'number' || !(length > 0)) return null
  return { id, length, size }
}

export function corrupt(document: Document, what: string, cause?: unknown): StoreError {
  const message = `The document ${String(document['_id'])} of the mongodb store is corrupt: ${what}.`
  return new StoreError('ERR_STORE_CORRUPT', message, cause === undefined ? undefined : { cause })
}

function laterFormat(format: number): StoreError {
  return new StoreError(
    'ERR_STORE_FORMAT',
    `The document is of format ${format}; this version of keepfresh reads format ${FORMAT}. Use a newer keepfresh or another collection.`,
  )
}
