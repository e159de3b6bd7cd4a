import { describe, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import { crc32, crc32ByTable } from './crc32.ts'
import { isTrusted } from './meta.ts'
import type { EntryMeta } from './ports.ts'
import { decodeMeta, decodeRecord, encodeMeta, encodeRecord } from './record.ts'

const meta: EntryMeta = {
  kind: 'response',
  key: 'k',
  method: 'GET',
  url: 'https://example.org/ü',
  selecting: [['accept', null]],
  status: 200,
  statusText: 'OK',
  headers: [['etag', '"ä\u00ff"']],
  requestTime: 1,
  responseTime: 2,
  terms: {
    lifetime: 60,
    source: 'max-age',
    initialAge: 0,
    noCache: false,
    mustRevalidate: false,
    immutable: false,
    staleWhileRevalidate: 0,
    staleIfError: 0,
  },
  tags: [],
  parts: [{ first: 0, last: 4 }],
  total: null,
  decoded: false,
}
const head = { key: 'k', meta, createdAt: 1, expiresAt: 2, keepUntil: 8_640_000_000_000_000 }
const body = new TextEncoder().encode('hello')

const code = (action: () => unknown): string => {
  try {
    action()
  } catch (error) {
    if (error instanceof StoreError) return error.code
    throw error
  }
  return 'none'
}

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

describe('crc32', () => {
  it('gives the check value of CRC-32/ISO-HDLC, by table as by zlib, in one go as in two', () => {
    const bytes = new TextEncoder().encode('123456789')
    expect(crc32(bytes)).toBe(0xcb_f4_39_26)
    expect(crc32ByTable(bytes)).toBe(0xcb_f4_39_26)
    expect(crc32(bytes.subarray(4), crc32(bytes.subarray(0, 4)))).toBe(0xcb_f4_39_26)
    expect(crc32ByTable(bytes.subarray(4), crc32ByTable(bytes.subarray(0, 4)))).toBe(0xcb_f4_39_26)
    expect(crc32(new Uint8Array())).toBe(0)
  })
})

describe('record', () => {
  it('brings metadata back as it was, and trusts it', () => {
    const back = decodeMeta(encodeMeta(meta))
    expect(back).toEqual(meta)
    expect(isTrusted(back)).toBe(true)
  })

  it('brings head and body back from any place in a buffer', () => {
    const frame = encodeRecord(head, body)
    const shifted = new Uint8Array(frame.length + 7)
    shifted.set(frame, 3)
    const back = decodeRecord(shifted.subarray(3, 3 + frame.length))
    expect(back.head).toEqual(head)
    expect(back.body).toEqual(body)
    expect(decodeRecord(encodeRecord(head, new Uint8Array())).body.length).toBe(0)
  })

  it('B42: every flipped byte and every cut is noticed', () => {
    const frame = encodeRecord(head, body)
    for (let at = 0; at < frame.length; at++) {
      const bad = frame.slice()
      bad[at] = (bad[at] ?? 0) ^ 0x40
      expect(code(() => decodeRecord(bad))).toBe('ERR_STORE_CORRUPT')
      expect(code(() => decodeRecord(frame.subarray(0, at)))).toBe('ERR_STORE_CORRUPT')
    }
  })

  it('B43: the frame of a later version is not called corrupt', () => {
    const frame = encodeRecord(head, body)
    frame[3] = 0x32
    expect(code(() => decodeRecord(frame))).toBe('ERR_STORE_FORMAT')
  })

  it('B40: metadata of the wrong shape is corrupt', () => {
    for (const bad of [
      null,
      [],
      {},
      { ...meta, status: '200' },
      { ...meta, headers: [['a', 'b\r\nc']] },
      { ...meta, kind: 'x' },
    ]) {
      expect(code(() => decodeMeta(json(bad)))).toBe('ERR_STORE_CORRUPT')
    }
    expect(code(() => decodeMeta(new Uint8Array([0xff])))).toBe('ERR_STORE_CORRUPT')
  })

  it('refuses a number that JSON would turn into null', () => {
    expect(code(() => encodeMeta({ ...meta, requestTime: Infinity }))).toBe('ERR_STORE_FAILED')
  })
})
