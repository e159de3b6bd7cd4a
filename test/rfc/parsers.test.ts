/** RFC 9110 sections 5.6.1, 8.8.3, 14.1 and RFC 9111 section 5.2: lists, tags, ranges, directives, one by one and at length. */
import { describe, expect, test } from 'vitest'
import { parseAge } from '../../src/http/age-field.ts'
import { parseCacheControl } from '../../src/http/cache-control.ts'
import { parseDate } from '../../src/http/date.ts'
import { parseETagList, strongMatch, weakMatch } from '../../src/http/etag.ts'
import { connectionHeaders } from '../../src/http/headers.ts'
import { splitList } from '../../src/http/lists.ts'
import { parseNoVarySearch, sameSearch } from '../../src/http/no-vary-search.ts'
import { parseContentRange, parseRange, resolveRange } from '../../src/http/range.ts'
import { parseDictionary, parseItem, parseList } from '../../src/http/structured-fields.ts'
import { resolveReference } from '../../src/http/uri.ts'
import { parseVary } from '../../src/http/vary.ts'
import { cacheGroups } from '../../src/policy/groups.ts'
import { RFC_OPTIONS } from '../../src/policy/options.ts'
import { selecting } from '../../src/policy/select.ts'

describe('RFC 9110 section 8.8.3: entity tags', () => {
  test.each<[string, '*' | string[]]>([
    ['*', '*'],
    [' * ', '*'],
    ['"a"', ['"a"']],
    ['"a", W/"b"', ['"a"', 'W/"b"']],
    ['"a","b"', ['"a"', '"b"']],
    [', ,"a" ,, "b",', ['"a"', '"b"']],
    ['"a,b", "c"', ['"a,b"', '"c"']],
    ['""', ['""']],
    ['"a\\", "b"', ['"a\\"', '"b"']],
    ['a, "b"', ['a', '"b"']],
    ['a b, "c"', ['a b', '"c"']],
    ['"a" x, "b"', ['"a" x', '"b"']],
    ['"open', ['"open']],
    ['"open, "b"', ['"open', '"b"']],
    ['', []],
    [' ,\t, ', []],
  ])('%j', (text, tags) => {
    expect(parseETagList(text)).toEqual(tags)
  })

  test.each<[string, string, boolean, boolean]>([
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
    ['"1"', '"2"', false, false],
  ])('section 8.8.3.2: %s and %s', (a, b, strong, weak) => {
    expect([strongMatch(a, b), weakMatch(a, b), strongMatch(b, a), weakMatch(b, a)]).toEqual([
      strong,
      weak,
      strong,
      weak,
    ])
  })
})

describe('RFC 9110 section 14: ranges', () => {
  test.each<[string, unknown]>([
    ['bytes=0-499', [{ first: 0, last: 499 }]],
    ['bytes=500-', [{ first: 500, last: null }]],
    ['bytes=-500', [{ suffix: 500 }]],
    ['bytes=0-0,-1', [{ first: 0, last: 0 }, { suffix: 1 }]],
    [
      'bytes= , 1-2 ,\t3-4,',
      [
        { first: 1, last: 2 },
        { first: 3, last: 4 },
      ],
    ],
    ['Bytes=1-1', [{ first: 1, last: 1 }]],
    ['bytes=2-1', null],
    ['bytes=1-2,4-3', null],
    ['bytes=', null],
    ['bytes=,', null],
    ['bytes=-', null],
    ['bytes=1', null],
    ['bytes=1-2-3', null],
    ['bytes=+1-2', null],
    ['bytes=1-2;', null],
    ['items=1-2', null],
    ['bytes:1-2', null],
    ['1-2', null],
  ])('%s', (text, ranges) => {
    expect(parseRange(text)?.ranges ?? null).toEqual(ranges)
  })

  test.each<[string, unknown]>([
    ['bytes 0-4/10', { first: 0, last: 4, total: 10 }],
    ['bytes 0-4/*', { first: 0, last: 4, total: null }],
    ['bytes */10', { unsatisfied: 10 }],
    ['bytes 4-0/10', null],
    ['bytes 0-10/10', null],
    ['bytes 0-4', null],
    ['bytes=0-4/10', null],
    ['bytes 0-4/10, bytes 5-9/10', null],
    ['bytes 0 - 4/10', null],
  ])('Content-Range: %s', (text, range) => {
    expect(parseContentRange(text)).toEqual(range)
  })

  test('section 14.1.2: what is satisfiable', () => {
    expect(resolveRange({ suffix: 20 }, 10)).toEqual({ first: 0, last: 9 })
    expect(resolveRange({ suffix: 0 }, 10)).toBeNull()
    expect(resolveRange({ first: 10, last: 12 }, 10)).toBeNull()
    expect(resolveRange({ first: 9, last: 12 }, 10)).toEqual({ first: 9, last: 9 })
  })
})

describe('RFC 9111 section 5.2: directives', () => {
  test('section 5.2: tokens and quoted strings are the same', () => {
    for (const [a, b] of [
      ['max-age=5', 'max-age="5"'],
      ['no-cache=x-a', 'no-cache="x-a"'],
      ['private="a, b"', 'private="a\\, b"'],
      ['min-fresh=1', 'min-fresh="\\1"'],
    ] as const)
      expect(parseCacheControl(a)).toEqual(parseCacheControl(b))
  })

  test.each<[string, readonly string[], boolean]>([
    ['no-cache="a, B"', ['a', 'b'], false],
    ['no-cache="a", no-cache="b"', ['a', 'b'], false],
    ['no-cache, no-cache="a"', ['a'], true],
    ['no-cache=""', [], true],
    ['no-cache=', [], true],
    ['no-cache=" "', [], true],
    ['no-cache="a b"', [], true],
    ['no-cache="a', [], true],
    ['no-cache=?', [], true],
  ])('section 5.2.2.4: %s', (value, fields, all) => {
    const { noCache, noCacheFields } = parseCacheControl(value)
    expect([noCacheFields, noCache]).toEqual([fields, all])
  })
})

describe('length: what is quadratic does not come to an end here', () => {
  const UNITS = [
    '"',
    '\\"',
    ',',
    ' ',
    '\t',
    ' ,',
    '",',
    'a ',
    'a;',
    'a=',
    '=',
    '(',
    '1;a',
    '%"',
    ':',
    'W/"',
    'W/',
    '-',
    '1-2,',
    'no-cache="x",',
    'private=a,',
    '*,',
    '&a=',
    '%41',
    '../',
    './',
    '/',
    '?',
    '\\',
  ]
  const PARSERS: Record<string, (text: string) => unknown> = {
    parseCacheControl,
    parseETagList,
    splitList,
    parseDate: (text) => parseDate(text, 0),
    parseRange: (text) => parseRange(`bytes=${text}`),
    parseContentRange: (text) => parseContentRange(`bytes ${text}`),
    parseVary,
    parseAge: (text) => parseAge([['age', text]]),
    connectionHeaders: (text) => connectionHeaders([['connection', text]]).size,
    parseDictionary,
    parseList,
    parseItem,
    parseNoVarySearch,
    sameSearch: (text) =>
      sameSearch(text, `${text}b`, { orderMatters: false, ignored: new Set(['b']), except: new Set() }),
    resolveReference: (text) => resolveReference('http://a.test/b', text),
    cacheGroups: (text) => cacheGroups([['cache-groups', text]]),
    acceptLanguage: (text) =>
      selecting(
        ['accept-language'],
        { method: 'GET', url: '', headers: [['accept-language', text]] },
        { ...RFC_OPTIONS, normalizeVary: true },
      ),
  }
  test.each(Object.entries(PARSERS))('%s', (_name, parse) => {
    for (const unit of UNITS) {
      const text = unit.repeat(Math.ceil(500_000 / unit.length))
      for (const value of [text, `a${text}b`, `"${text}`, `${text}"`, `a=(${text}`]) parse(value)
    }
  })
})
