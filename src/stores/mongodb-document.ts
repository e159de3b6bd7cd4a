/**
 * An entry as a document, to be read by people, too:
 *
 *     { _id: SHA-256 of the key in base64url, key, createdAt, expiresAt, gone?: Date, keepUntil?, size, meta: its JSON, version,
 *       keepfresh: 2, body: Binary | chunks: { id, length } }
 *
 * 1. Instants are ms since the epoch, as in every store; `gone` is keepUntil, for the index by which the server removes. Only where there
 *    is no such date, or it says something else, there is `keepUntil`.
 * 2. `version` is 16 hexadecimal digits that no other write has, then 8 of the checksum over what an update changes, then 8 of that over
 *    the rest, which an update takes over; both are checked on every read, and every field's type.
 * 3. Few fields, and none within another: a server reads every one of them on every hit. Metadata is text: every server takes it, people
 *    can read it, and a hit seen before parses none (RELIABILITY 138: no name of a header is a field's name).
 * 4. A document of an earlier format is none, and makes room for the next one of its key; one of a later format is not ours to read; one
 *    without `keepfresh` is not ours at all.
 */
import { StoreError } from '../errors.ts'
import { crc32, crc32Text } from '../engine/crc32.ts'
import { NEVER, type EntryChange, type EntryHead, type ListedEntry } from '../engine/ports.ts'
import { decodeMetaText, encodeMetaText, hexOf, randomId } from '../engine/record.ts'
import { keyHash } from './key-hash.ts'
import type { Document } from './mongodb-driver.ts'
import { Recent } from './recent.ts'

const FORMAT = 2

/** MongoDB's limit for a document; not every server that speaks its protocol keeps it. */
const LARGEST = 16 * 1024 * 1024

/** Entries of this format. */
export const OURS: Document = { keepfresh: FORMAT }
/** Entries that this format or one before it has: of no more use where they expired, whoever wrote them. */
export const OURS_SO_FAR: Document = { keepfresh: { $gte: 1, $lte: FORMAT } }
/** Entries of whatever format. */
export const OURS_OF_ANY_FORMAT: Document = { keepfresh: { $gte: 1 } }

const VERSION = /^[0-9a-f]{32}$/
/** Where in a version its two checksums begin. */
const SUM = 16
const REST = 24

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
  const isWhole = body instanceof Uint8Array
  const size = isWhole ? body.length : body.size
  const meta = metaText(head, isWhole ? size : 0)
  return {
    _id: keyHash(key),
    key: key.isWellFormed() ? key : { json: JSON.stringify(key) },
    createdAt,
    expiresAt,
    ...lifetime(keepUntil, ttl),
    size,
    meta,
    version: freshId() + hexSum(changingSum(expiresAt, keepUntil, meta)) + hexSum(lastingSum(createdAt, size, body)),
    keepfresh: FORMAT,
    ...(isWhole ? { body } : { chunks: { id: body.id, length: body.length } }),
  }
}

/** What an update does to the document of this version; null where there can be none. */
export function changeOf(change: EntryChange, version: unknown, ttl: boolean): Document | null {
  if (typeof version !== 'string' || !VERSION.test(version)) return null
  const { expiresAt, keepUntil } = change
  const meta = metaText(change)
  const sum = hexSum(changingSum(expiresAt, keepUntil, meta))
  const life = lifetime(keepUntil, ttl)
  const $set = { meta, expiresAt, ...life, version: freshId() + sum + version.slice(REST) }
  const without = ['gone', 'keepUntil'].filter((name) => !(name in life))
  return without.length === 0 ? { $set } : { $set, $unset: Object.fromEntries(without.map((name) => [name, 1])) }
}

/** Rule 1. */
function lifetime(keepUntil: number, ttl: boolean): { gone?: Date; keepUntil?: number } {
  const gone = ttl ? goneAt(keepUntil) : null
  if (gone === null) return { keepUntil }
  return Object.is(gone.getTime(), keepUntil) ? { gone } : { gone, keepUntil }
}

/** The date from which on the server may remove what is of use until `keepUntil`; null: never. */
export function goneAt(keepUntil: number): Date | null {
  return keepUntil >= NEVER ? null : new Date(Math.max(0, keepUntil))
}

function metaText({ meta }: EntryChange, bodySize = 0): string {
  const text = encodeMetaText(meta)
  // As many bytes as it has characters, at least.
  if (text.length + bodySize > LARGEST) {
    throw new StoreError(
      'ERR_STORE_FULL',
      `A document is limited to 16 MB; its metadata alone has ${text.length} characters.`,
    )
  }
  return text
}

function changingSum(expiresAt: number, keepUntil: number, meta: string): number {
  numbers[0] = expiresAt
  numbers[1] = keepUntil
  return crc32Text(meta, crc32(numberBytes))
}

function lastingSum(createdAt: number, size: number, body: Uint8Array | ChunkedAs): number {
  numbers[0] = createdAt
  numbers[1] = size
  const seed = crc32(numberBytes)
  return body instanceof Uint8Array ? crc32(body, seed) : crc32Text(`${body.id}:${body.length}`, seed)
}

function hexSum(sum: number): string {
  return sum.toString(16).padStart(8, '0')
}

/** What is known of an entry of ours: that it is there; and, where it was read, its head of this version: a repeated hit parses no JSON. */
interface Known {
  readonly version: string
  readonly key: string
  readonly change: EntryChange
}

/** The entries read or written last, by `_id`. */
export class MetaMemory {
  readonly #known = new Recent<Known | null>()

  /** Whether there was an entry when we last looked. */
  has(id: string): boolean {
    return this.#known.has(id)
  }

  /** What was checked of this version of an entry. */
  get(id: string, version: string, key: string): EntryChange | undefined {
    const known = this.#known.get(id)
    return known?.version === version && known.key === key ? known.change : undefined
  }

  set(id: string, known: Known): void {
    this.#known.set(id, known)
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

/** Whether a document is of a format that there was before this one. */
export function isOutdated({ keepfresh }: Document): boolean {
  return typeof keepfresh === 'number' && keepfresh >= 1 && keepfresh < FORMAT
}

/**
 * The entry of a document.
 * @param memory where what it says may be known already
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's document
 */
export function decoded(document: Document, memory?: MetaMemory): Decoded {
  const { _id: id, createdAt, size, version, keepfresh } = document
  if (typeof keepfresh === 'number' && keepfresh > FORMAT) throw laterFormat(keepfresh)
  const areRight =
    keepfresh === FORMAT &&
    typeof id === 'string' &&
    typeof version === 'string' &&
    VERSION.test(version) &&
    typeof createdAt === 'number' &&
    typeof size === 'number'
  if (!areRight) throw corrupt(document, 'a field is missing or of the wrong type')
  const key = keyOf(document)
  const known = memory?.get(id, version, key)
  const change = known ?? checkedChange(document, id, key, version)
  if (known === undefined) memory?.set(id, { version, key, change })
  return { key, createdAt, ...change, version, size, body: bodyOf(document, createdAt, size, version) }
}

function keyOf(document: Document): string {
  const { key } = document
  if (typeof key === 'string') return key
  try {
    const text: unknown = JSON.parse(String((key as Partial<Document> | null)?.['json']))
    if (typeof text === 'string') return text
  } catch (cause) {
    throw corrupt(document, 'its key is no JSON', cause)
  }
  throw corrupt(document, 'its key is no text')
}

function checkedChange(document: Document, id: string, key: string, version: string): EntryChange {
  if (keyHash(key) !== id) throw corrupt(document, 'it is under the name of another key')
  const { expiresAt, gone, meta } = document
  const keepUntil = document['keepUntil'] ?? (gone instanceof Date ? gone.getTime() : undefined)
  if (typeof expiresAt !== 'number' || typeof keepUntil !== 'number') throw corrupt(document, 'an instant is missing')
  if (typeof meta !== 'string') throw corrupt(document, 'its metadata is no text')
  if (hexSum(changingSum(expiresAt, keepUntil, meta)) !== version.slice(SUM, REST)) {
    throw corrupt(document, 'the checksum of its metadata is wrong')
  }
  return { meta: decodeMetaText(meta), expiresAt, keepUntil }
}

function bodyOf(document: Document, createdAt: number, size: number, version: string): Uint8Array | ChunkedAs | null {
  const { body, chunks } = document
  if (body === undefined && chunks === undefined) return null
  const found = body instanceof Uint8Array ? body : chunkedAs(chunks, size)
  if (found === null) throw corrupt(document, 'its body is of the wrong type')
  const length = found instanceof Uint8Array ? found.length : found.size
  if (size !== length || hexSum(lastingSum(createdAt, size, found)) !== version.slice(REST)) {
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
