/** Properties of the parsers (RELIABILITY group F): any text gives an answer, and the strict one in doubt. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseAge } from '../../src/http/age-field.ts'
import { parseCacheControl } from '../../src/http/cache-control.ts'
import { formatDate, parseDate } from '../../src/http/date.ts'
import { parseETagList, strongMatch, weakMatch } from '../../src/http/etag.ts'
import { connectionHeaders, getHeader, withHeader } from '../../src/http/headers.ts'
import { splitList } from '../../src/http/lists.ts'
import { formatContentRange, parseContentRange, parseRange, resolveRange } from '../../src/http/range.ts'
import { parseDictionary, parseItem, parseList, serializeString } from '../../src/http/structured-fields.ts'
import { resolveReference } from '../../src/http/uri.ts'
import { parseVary } from '../../src/http/vary.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom('"', ',', '=', '\\', ' ', 'a', '1', '-', ';', '(', ')', '*', 'W', '/') }),
)

test('F88: no parser throws, whatever it is given', () => {
  fc.assert(
    fc.property(text, (value) => {
      parseCacheControl(value)
      parseDate(value)
      parseETagList(value)
      splitList(value)
      parseRange(value)
      parseContentRange(value)
      parseDictionary(value)
      parseList(value)
      parseItem(value)
      parseVary(value)
      parseAge([['age', value]])
      resolveReference('http://a.test/b', value)
      connectionHeaders([['connection', value]])
    }),
    { numRuns: 2000 },
  )
})

test.each(['"', ',', '\\"', '" ,', 'a="', '(', '1;'])('F88: 100 KB of %s comes to an end', (unit) => {
  const value = unit.repeat(100_000 / unit.length)
  for (const parse of [parseCacheControl, parseETagList, splitList, parseRange, parseDictionary, parseList, parseVary])
    parse(value)
})

test('F89: an unterminated quote never swallows a later no-store', () => {
  fc.assert(
    fc.property(
      fc.string().filter((value) => !value.includes('"')),
      (value) => {
        expect(parseCacheControl(`x="${value}, no-store`).noStore).toBe(true)
      },
    ),
  )
})

test('E75: private and no-store count in any case and place', () => {
  const cased = (word: string): fc.Arbitrary<string> =>
    fc
      .array(fc.boolean(), { minLength: word.length, maxLength: word.length })
      .map((upper) => [...word].map((c, at) => (upper[at] ? c.toUpperCase() : c)).join(''))
  fc.assert(
    fc.property(cased('private'), cased('no-store'), fc.constantFrom(', ', ',', ' ,\t'), (a, b, comma) => {
      const parsed = parseCacheControl(`max-age=1${comma}${a}${comma}${b}`)
      expect([parsed.private, parsed.noStore, parsed.maxAge]).toEqual([true, true, 1])
    }),
  )
})

test('F90: lifetimes are whole, never negative, never above 2^31', () => {
  fc.assert(
    fc.property(text, (value) => {
      const { maxAge } = parseCacheControl(`max-age=${value}`)
      expect(maxAge !== null && Number.isInteger(maxAge) && maxAge >= 0 && maxAge <= 2 ** 31).toBe(true)
    }),
  )
})

test('F96: repeated lines and comma lists are the same', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[a-z0-9=-]{1,8}$/), { minLength: 1 }), (members) => {
      const lines = members.map((member) => ['cache-control', member] as const)
      expect(getHeader(lines, 'cache-control')).toBe(members.join(', '))
    }),
  )
})

test('dates: what is written is read', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
      expect(parseDate(formatDate(seconds * 1000))).toBe(seconds * 1000)
    }),
  )
})

test('ranges: a resolved range lies in the representation, and comes back from Content-Range', () => {
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), fc.integer({ min: 1, max: 1e9 }), (a, b, total) => {
      for (const value of [`bytes=${a}-${b}`, `bytes=${a}-`, `bytes=-${b}`]) {
        const range = parseRange(value)?.ranges[0]
        const resolved = range && resolveRange(range, total)
        if (!resolved) continue
        expect(resolved.first >= 0 && resolved.first <= resolved.last && resolved.last < total).toBe(true)
        expect(parseContentRange(formatContentRange(resolved.first, resolved.last, total))).toEqual({
          ...resolved,
          total,
        })
      }
    }),
  )
})

test('structured strings: what is written is read', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) }),
      (value) => {
        expect(parseItem(serializeString(value))?.item).toEqual({ type: 'string', value })
      },
    ),
  )
})

test('entity tags: weak match is symmetric, strong match implies it', () => {
  const tag = fc
    .tuple(fc.boolean(), fc.constantFrom('"a"', '"b"', '"a,b"'))
    .map(([weak, value]) => (weak ? `W/${value}` : value))
  fc.assert(
    fc.property(tag, tag, (a, b) => {
      expect(weakMatch(a, b)).toBe(weakMatch(b, a))
      if (strongMatch(a, b)) expect(weakMatch(a, b)).toBe(true)
      expect(parseETagList(`${a}, ${b}`)).toEqual([a, b])
    }),
  )
})

test('F95: header names are plain data', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('__proto__', 'constructor', 'tostring', 'hasownproperty'),
      fc.string(),
      (name, value) => {
        expect(getHeader([], name)).toBe(null)
        expect(getHeader(withHeader([], name, value), name)).toBe(value)
        expect(parseVary(name)).toEqual([name])
      },
    ),
  )
})

test('references: they resolve as the URL parser has it, on the same origin', () => {
  const segment = fc.constantFrom('a', 'b', '..', '.', 'c%2fd')
  fc.assert(
    fc.property(fc.array(segment), fc.array(segment), fc.boolean(), (base, path, absolute) => {
      const from = `http://host.test/${base.filter((s) => !s.startsWith('.')).join('/')}`
      const reference = (absolute ? '/' : '') + path.join('/')
      expect(resolveReference(from, reference)).toBe(new URL(reference, from).href)
    }),
  )
})
