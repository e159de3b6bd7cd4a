/**
 * The codec of stored entries: metadata as JSON, and a frame of head and body for stores that keep one value a key.
 *
 * The frame, integers little-endian: magic 'KFR' and the format as a digit | u32 head length | u64 body size | 8 bytes version |
 * 8 bytes chunk id | u32 chunk length | head (JSON) | body, where the chunk length is 0 | u32 CRC-32 of everything before it.
 * A body of another chunk length is stored beside the frame, in chunks that the id names (stores/record-store.ts).
 *
 * 1. What is decoded is checked down to every field's type before anyone looks at it: a store is not trusted.
 * 2. Anything cut, changed or not ours is ERR_STORE_CORRUPT. A later version's frame is ERR_STORE_FORMAT: not broken, not ours to read.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from './crc32.ts'
import { isValidMeta } from './meta.ts'
import { plainMeta } from './plain-meta.ts'
import type { EntryHead, EntryMeta } from './ports.ts'

const VERSION = 0x31
const MAGIC = [0x4b, 0x46, 0x52] as const
const VERSION_AT = 16
const ID_AT = 24
const CHUNK_AT = 32
const CHECKSUM = 4

/** The bytes of a frame before its head: enough for `frameHeader`. */
export const FRAME_HEADER: number = 36

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The metadata as bytes.
 * @throws StoreError ERR_STORE_FAILED where it would not come back as it is (a number JSON has no word for)
 */
export function encodeMeta(meta: EntryMeta): Uint8Array<ArrayBuffer> {
  return encoder.encode(encodeMetaText(meta))
}

/**
 * The metadata as text, for stores that keep text: it has no lone surrogates.
 * @throws StoreError ERR_STORE_FAILED as `encodeMeta`
 */
export function encodeMetaText(meta: EntryMeta): string {
  return jsonOf(meta)
}

/**
 * The metadata from its text, trusted from then on.
 * @throws StoreError ERR_STORE_CORRUPT
 */
export function decodeMetaText(text: string): EntryMeta {
  const plain = plainMeta(text)
  if (plain !== null) return plain
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw corrupt('its metadata is no JSON', cause)
  }
  return checkedMeta(value)
}

/**
 * The metadata from its bytes, trusted from then on.
 * @throws StoreError ERR_STORE_CORRUPT
 */
export function decodeMeta(bytes: Uint8Array): EntryMeta {
  return checkedMeta(parse(bytes))
}

/** Where a body is that is not in its frame. */
export interface ChunkedAs {
  /** 8 bytes that name the chunks. */
  readonly id: Uint8Array
  /** Length of each chunk but the last, in bytes. */
  readonly length: number
  /** Length of the whole body in bytes. */
  readonly size: number
}

/** What the first FRAME_HEADER bytes of a frame say, unchecked by any checksum. */
export interface FrameHeader {
  readonly headLength: number
  /** Length of the body in bytes, wherever it is. */
  readonly size: number
  /** Different for any two writes: 16 hexadecimal digits. */
  readonly version: string
  /** Null: the body is in the frame. */
  readonly chunked: ChunkedAs | null
}

export interface Frame extends FrameHeader {
  readonly head: EntryHead
  /** A view of the frame; empty where the body is in chunks. */
  readonly body: Uint8Array
}

/** 8 random bytes. */
export function randomId(): Uint8Array<ArrayBuffer> {
  return crypto.getRandomValues(new Uint8Array(8))
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

export function hexOf(bytes: Uint8Array): string {
  let hex = ''
  for (const byte of bytes) hex += HEX[byte] ?? ''
  return hex
}

/** Head and body in one frame, or the head and where the body is; of a new version. */
export function encodeRecord(head: EntryHead, body: Uint8Array | ChunkedAs): Uint8Array<ArrayBuffer> {
  const { key, meta, createdAt, expiresAt, keepUntil } = head
  const json = encoder.encode(jsonOf({ key, meta, createdAt, expiresAt, keepUntil }))
  const inline = body instanceof Uint8Array
  const frame = new Uint8Array(FRAME_HEADER + json.length + (inline ? body.length : 0) + CHECKSUM)
  const view = new DataView(frame.buffer)
  frame.set(MAGIC)
  frame[3] = VERSION
  view.setUint32(4, json.length, true)
  view.setBigUint64(8, BigInt(inline ? body.length : body.size), true)
  crypto.getRandomValues(frame.subarray(VERSION_AT, ID_AT))
  if (!inline) {
    frame.set(body.id, ID_AT)
    view.setUint32(CHUNK_AT, body.length, true)
  }
  frame.set(json, FRAME_HEADER)
  if (inline) frame.set(body, FRAME_HEADER + json.length)
  const end = frame.length - CHECKSUM
  view.setUint32(end, crc32(frame.subarray(0, end)), true)
  return frame
}

/**
 * The header of a frame, of which at least the first FRAME_HEADER bytes are given.
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's frame
 */
export function frameHeader(bytes: Uint8Array): FrameHeader {
  if (bytes.length < FRAME_HEADER || MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw corrupt('it does not start as a record')
  }
  const format = bytes[3] ?? 0
  if (format > VERSION && format <= 0x39) {
    const message = `The record is of format ${format - 0x30}; this version of keepfresh reads format 1. Use a newer keepfresh or another store.`
    throw new StoreError('ERR_STORE_FORMAT', message)
  }
  if (format !== VERSION) throw corrupt('its format is unknown')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = Number(view.getBigUint64(8, true))
  const length = view.getUint32(CHUNK_AT, true)
  return {
    headLength: view.getUint32(4, true),
    size,
    version: hexOf(bytes.subarray(VERSION_AT, ID_AT)),
    chunked: length === 0 ? null : { id: bytes.slice(ID_AT, CHUNK_AT), length, size },
  }
}

/** The bytes of the whole frame. */
export function frameLength({ headLength, size, chunked }: FrameHeader): number {
  return FRAME_HEADER + headLength + (chunked === null ? size : 0) + CHECKSUM
}

/**
 * Head and body of a frame; the body is a view of `bytes`.
 * @param known the head of the very same bytes, decoded before: saves the parsing, not the checks
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's frame
 */
export function decodeRecord(bytes: Uint8Array, known?: (version: string) => EntryHead | undefined): Frame {
  const header = frameHeader(bytes)
  const bodyStart = FRAME_HEADER + header.headLength
  const end = bytes.length - CHECKSUM
  if (bytes.length !== frameLength(header)) throw corrupt('its length is wrong')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(end, true) !== crc32(bytes.subarray(0, end))) throw corrupt('its checksum is wrong')
  const head = known?.(header.version) ?? checkedHead(parse(bytes.subarray(FRAME_HEADER, bodyStart)))
  return { ...header, head, body: bytes.subarray(bodyStart, end) }
}

/**
 * The head of a frame whose body was not read: the frame's first bytes, header and head complete. No checksum covers it, but its
 * every field's type is checked.
 * @throws StoreError ERR_STORE_CORRUPT or ERR_STORE_FORMAT
 */
export function decodeHead(bytes: Uint8Array, header: FrameHeader = frameHeader(bytes)): EntryHead {
  return checkedHead(parse(bytes.subarray(FRAME_HEADER, FRAME_HEADER + header.headLength)))
}

function checkedHead(value: unknown): EntryHead {
  if (typeof value !== 'object' || value === null) throw corrupt('its head is no object')
  const { key, meta, createdAt, expiresAt, keepUntil } = value as Partial<Record<keyof EntryHead, unknown>>
  if (typeof key !== 'string' || !isInstant(createdAt) || !isInstant(expiresAt) || !isInstant(keepUntil)) {
    throw corrupt('a field of its head has the wrong type')
  }
  return { key, meta: checkedMeta(meta), createdAt, expiresAt, keepUntil }
}

function checkedMeta(value: unknown): EntryMeta {
  if (!isValidMeta(value)) throw corrupt('a field of its metadata has the wrong type')
  return value
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number'
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch (cause) {
    throw corrupt('its metadata is no JSON', cause)
  }
}

/** The text of plain data. JSON turns NaN and the infinities into null without a word; here it is an error. */
function jsonOf(data: object): string {
  // Looked for apart: a replacer takes twice the time of all the rest.
  return isLossless(data) ? JSON.stringify(data) : JSON.stringify(data, refuseLossy)
}

function isLossless(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) return value.every(isLossless)
  for (const name in value) if (!isLossless((value as Readonly<Record<string, unknown>>)[name])) return false
  return true
}

function refuseLossy(name: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new StoreError(
      'ERR_STORE_FAILED',
      `The metadata cannot be stored: ${name} is ${value}, which is no finite number.`,
    )
  }
  return value
}

function corrupt(what: string, cause?: unknown): StoreError {
  return new StoreError(
    'ERR_STORE_CORRUPT',
    `The stored entry is corrupt: ${what}.`,
    cause === undefined ? undefined : { cause },
  )
}
