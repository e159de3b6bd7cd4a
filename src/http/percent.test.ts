import fc from 'fast-check'
import { expect, test } from 'vitest'
import { percentDecode } from './percent.ts'

const escaped = (bytes: Iterable<number>): string =>
  Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')

test('bytes are what the decoder of the platform makes of them, UTF-8 or not', () => {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  // Bytes near the borders of the grammar: whole characters, cut ones, surrogates, overlong forms, and beyond the last.
  const near = fc.constantFrom(
    0,
    0x41,
    0x7f,
    0x80,
    0x8f,
    0x90,
    0x9f,
    0xa0,
    0xbf,
    0xc1,
    0xc2,
    0xdf,
    0xe0,
    0xe1,
    0xed,
    0xef,
    0xf0,
    0xf1,
    0xf4,
    0xf5,
    0xff,
  )
  const bytes = fc.array(fc.oneof(near, fc.integer({ min: 0, max: 255 })), { maxLength: 8 })
  fc.assert(
    fc.property(bytes, (some) => {
      expect(percentDecode(escaped(some))).toBe(decoder.decode(Uint8Array.from(some)))
    }),
    { numRuns: 3000 },
  )
})

test('queries are what the parser of forms makes of them', () => {
  const text = fc.string({ unit: fc.constantFrom('%', '4', '1', 'F', 'f', 'a', '+', 'z') })
  fc.assert(
    fc.property(text, (value) => {
      expect(percentDecode(value.replaceAll('+', ' '))).toBe(new URLSearchParams(`x=${value}`).get('x'))
    }),
    { numRuns: 2000 },
  )
})
