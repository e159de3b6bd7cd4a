/**
 * An entry file: three lines of text, then the body, where it is short.
 *
 * ```
 * keepfresh entry 1 <own> <meta> <body> <body sum> <sum>     lengths in bytes and CRC-32s, eight hexadecimal digits each
 * {"key":...,"id":...,"edition":0,"createdAt":...,...}       own: what the store knows of the entry
 * {"kind":"response",...}                                    meta
 * the body, where `chunk` is 0; else it is in the file `<...>.<id>.body`
 * ```
 *
 * 1. `sum` is over the three lines but itself, `body sum` over the body: a listing checks what it reads without reading bodies.
 * 2. `id` is new with every write, `edition` counts the changes of metadata since: together they are the version.
 * 3. Anything cut, changed or not ours is ERR_STORE_CORRUPT. A later format is ERR_STORE_FORMAT.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from '../engine/crc32.ts'
import type { EntryHead, EntryMeta } from '../engine/ports.ts'
import { decodeMeta, encodeMeta } from '../engine/record.ts'

const MAGIC = 'keepfresh entry '
const FORMAT = 1
/** The length of the first line, with its end. */
export const FIRST_LINE = 63
const SUM_AT = FIRST_LINE - 9
const LINE = /^keepfresh entry 1 ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8}) ([0-9a-f]{8})\n$/
const NEWLINE = 10

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** What the store knows of an entry besides its head. */
export interface EntryOwn {
  readonly id: string
  readonly edition: number
  /** Length of the body in bytes. */
  readonly size: number
  /** The length of the pieces of a body in a file of its own; 0: the body is in the entry file. */
  readonly chunk: number
}

/** An entry file without its body. */
export interface EntryFile extends EntryOwn {
  readonly head: EntryHead
  readonly version: string
  /** Where the body starts: the length of the three lines. */
  readonly bodyAt: number
  /** Length of the body in this file. */
  readonly bodyLength: number
  readonly bodySum: number
}

/** The bytes of an entry file. `bodySum`: of a body that is only copied, so that damage to it stays visible. */
export function encodeEntry(
  { key, meta, createdAt, expiresAt, keepUntil }: EntryHead,
  own: EntryOwn,
  body: Uint8Array,
  bodySum: number = crc32(body),
): Uint8Array<ArrayBuffer> {
  for (const instant of [createdAt, expiresAt, keepUntil]) {
    if (!Number.isFinite(instant))
      throw new StoreError('ERR_STORE_FAILED', `The entry ${key} cannot be stored: ${instant} is no instant.`)
  }
  const { id, edition, size, chunk } = own
  const ownLine = encoder.encode(JSON.stringify({ key, id, edition, createdAt, expiresAt, keepUntil, size, chunk }))
  const metaLine = encodeMeta(meta)
  const lengths = [ownLine.length, metaLine.length, body.length, bodySum].map(hexadecimal).join(' ')
  const bodyAt = FIRST_LINE + ownLine.length + metaLine.length + 2
  const bytes = new Uint8Array(bodyAt + body.length)
  bytes.set(encoder.encode(`${MAGIC}${FORMAT} ${lengths} ........\n`))
  bytes.set(ownLine, FIRST_LINE)
  bytes[FIRST_LINE + ownLine.length] = NEWLINE
  bytes.set(metaLine, FIRST_LINE + ownLine.length + 1)
  bytes[bodyAt - 1] = NEWLINE
  bytes.set(body, bodyAt)
  bytes.set(encoder.encode(hexadecimal(sumOf(bytes, bodyAt))), SUM_AT)
  return bytes
}

/** The length of the three lines by the first of them; 0 where it does not read as one. */
export function linesLength(bytes: Uint8Array): number {
  const line = LINE.exec(latin1(bytes, FIRST_LINE))
  return line === null ? 0 : FIRST_LINE + lengthIn(line, 1) + lengthIn(line, 2) + 2
}

/**
 * The three lines at the start of `bytes`.
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for the file of a later version
 */
export function decodeEntry(bytes: Uint8Array, path: string): EntryFile {
  const first = latin1(bytes, FIRST_LINE)
  const line = LINE.exec(first)
  if (line === null) throw notOurs(first, path)
  const ownEnd = FIRST_LINE + lengthIn(line, 1)
  const bodyAt = ownEnd + lengthIn(line, 2) + 2
  if (bytes.length < bodyAt) throw corruptFile(path, 'it is cut short')
  if (sumOf(bytes, bodyAt) !== lengthIn(line, 5)) throw corruptFile(path, 'the checksum of its metadata is wrong')
  const own = ownIn(bytes.subarray(FIRST_LINE, ownEnd), path)
  const bodyLength = lengthIn(line, 3)
  if (bodyLength !== (own.chunk === 0 ? own.size : 0)) throw corruptFile(path, 'its lengths do not agree')
  const meta = metaIn(bytes.subarray(ownEnd + 1, bodyAt - 1), path)
  const { id, edition, size, chunk, key, createdAt, expiresAt, keepUntil } = own
  const head = { key, meta, createdAt, expiresAt, keepUntil }
  const version = `${id}.${edition}`
  return { head, id, edition, version, size, chunk, bodyAt, bodyLength, bodySum: lengthIn(line, 4) }
}

export function corruptFile(path: string, what: string, cause?: unknown): StoreError {
  const message = `The stored entry ${path} is corrupt: ${what}.`
  return new StoreError('ERR_STORE_CORRUPT', message, cause === undefined ? undefined : { cause })
}

function notOurs(first: string, path: string): StoreError {
  const format = Number(/^keepfresh entry (\d{1,4}) /.exec(first)?.[1] ?? 0)
  if (format <= FORMAT) return corruptFile(path, 'it does not start as an entry')
  const message = `The entry ${path} is of format ${format}; this version of keepfresh reads format ${FORMAT}.`
  return new StoreError('ERR_STORE_FORMAT', message)
}

type OwnLine = EntryOwn & Omit<EntryHead, 'meta'>

function ownIn(bytes: Uint8Array, path: string): OwnLine {
  let own: Partial<Record<keyof OwnLine, unknown>>
  try {
    own = Object(JSON.parse(decoder.decode(bytes)))
  } catch (cause) {
    throw corruptFile(path, 'its second line is no JSON', cause)
  }
  const { key, id, edition, createdAt, expiresAt, keepUntil, size, chunk } = own
  if (
    typeof key === 'string' &&
    typeof id === 'string' &&
    /^[0-9a-f]{16}$/.test(id) &&
    isCount(edition) &&
    isCount(size) &&
    isCount(chunk) &&
    typeof createdAt === 'number' &&
    typeof expiresAt === 'number' &&
    typeof keepUntil === 'number'
  ) {
    return { key, id, edition, createdAt, expiresAt, keepUntil, size, chunk }
  }
  throw corruptFile(path, 'a field of its second line has the wrong type')
}

function metaIn(bytes: Uint8Array, path: string): EntryMeta {
  try {
    return decodeMeta(bytes)
  } catch (cause) {
    throw corruptFile(path, 'its third line is no metadata', cause)
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** Over the first line without the sum in it, and the other two. */
function sumOf(bytes: Uint8Array, bodyAt: number): number {
  return crc32(bytes.subarray(FIRST_LINE, bodyAt), crc32(bytes.subarray(0, SUM_AT)))
}

function hexadecimal(value: number): string {
  return value.toString(16).padStart(8, '0')
}

function lengthIn(line: RegExpExecArray, n: number): number {
  return Number.parseInt(line[n] ?? '', 16)
}

function latin1(bytes: Uint8Array, length: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(length, bytes.length)).toString('latin1')
}
