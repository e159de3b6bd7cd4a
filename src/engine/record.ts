/**
 * The codec of stored entries: metadata as JSON, and a frame of head and body for stores that keep one value a key.
 *
 * The frame, integers little-endian: magic 'KFR' and the version as a digit | u32 head length | u64 body length | head (JSON) |
 * body | u32 CRC-32 of everything before it.
 *
 * 1. What is decoded is checked down to every field's type before anyone looks at it: a store is not trusted.
 * 2. Anything cut, changed or not ours is ERR_STORE_CORRUPT. A later version's frame is ERR_STORE_FORMAT: not broken, not ours to read.
 */
import { StoreError } from '../errors.ts'
import { crc32 } from './crc32.ts'
import { isValidMeta } from './meta.ts'
import type { EntryHead, EntryMeta } from './ports.ts'

const VERSION = 0x31
const MAGIC = [0x4b, 0x46, 0x52] as const
const FIXED = 16
const CHECKSUM = 4

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The metadata as bytes.
 * @throws StoreError ERR_STORE_FAILED where it would not come back as it is (a number JSON has no word for)
 */
export function encodeMeta(meta: EntryMeta): Uint8Array<ArrayBuffer> {
  return encoder.encode(JSON.stringify(meta, refuseLossy))
}

/**
 * The metadata from its bytes, trusted from then on.
 * @throws StoreError ERR_STORE_CORRUPT
 */
export function decodeMeta(bytes: Uint8Array): EntryMeta {
  return checkedMeta(parse(bytes))
}

/** Head and body in one frame. */
export function encodeRecord(head: EntryHead, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const { key, meta, createdAt, expiresAt, keepUntil } = head
  const json = encoder.encode(JSON.stringify({ key, meta, createdAt, expiresAt, keepUntil }, refuseLossy))
  const frame = new Uint8Array(FIXED + json.length + body.length + CHECKSUM)
  const view = new DataView(frame.buffer)
  frame.set(MAGIC)
  frame[3] = VERSION
  view.setUint32(4, json.length, true)
  view.setBigUint64(8, BigInt(body.length), true)
  frame.set(json, FIXED)
  frame.set(body, FIXED + json.length)
  const end = frame.length - CHECKSUM
  view.setUint32(end, crc32(frame.subarray(0, end)), true)
  return frame
}

/**
 * Head and body of a frame; the body is a view of `bytes`.
 * @throws StoreError ERR_STORE_CORRUPT, or ERR_STORE_FORMAT for a later version's frame
 */
export function decodeRecord(bytes: Uint8Array): { head: EntryHead; body: Uint8Array } {
  if (bytes.length < FIXED + CHECKSUM || MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw corrupt('it does not start as a record')
  }
  const version = bytes[3] ?? 0
  if (version > VERSION && version <= 0x39) {
    const message = `The record is of format ${version - 0x30}; this version of keepfresh reads format 1. Use a newer keepfresh or another store.`
    throw new StoreError('ERR_STORE_FORMAT', message)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const end = bytes.length - CHECKSUM
  const headLength = view.getUint32(4, true)
  if (BigInt(FIXED + headLength + CHECKSUM) + view.getBigUint64(8, true) !== BigInt(bytes.length))
    throw corrupt('its length is wrong')
  if (version !== VERSION || view.getUint32(end, true) !== crc32(bytes.subarray(0, end)))
    throw corrupt('its checksum is wrong')
  const bodyStart = FIXED + headLength
  return { head: checkedHead(parse(bytes.subarray(FIXED, bodyStart))), body: bytes.subarray(bodyStart, end) }
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

/** JSON turns NaN and the infinities into null without a word; here it is an error. */
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
