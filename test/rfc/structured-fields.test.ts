/** RFC 9651 section 4.2: structured fields, parsed strictly. */
import { describe, expect, test } from 'vitest'
import {
  isInnerList,
  parseDictionary,
  parseItem,
  parseList,
  type Item,
  type Member,
} from '../../src/http/structured-fields.ts'

/** [type, value, parameters where there are any]; inner lists as arrays of those. */
function plain(member: Member): unknown {
  if (isInnerList(member)) return { list: member.items.map(plain), ...parametersOf(member) }
  return [member.item.type, member.item.value, ...Object.values(parametersOf(member))]
}

function parametersOf({ parameters }: Pick<Item, 'parameters'>): { parameters?: unknown } {
  return parameters.size === 0 ? {} : { parameters: [...parameters].map(([key, item]) => [key, item.value]) }
}

const BAD = [
  '',
  ' ',
  '"',
  '"a',
  'a"',
  '"a\\b"',
  '"\u007f"',
  '"é"',
  '"\t"',
  'é',
  '?',
  '?2',
  '?t',
  '??1',
  '?1 ?1',
  '-',
  '--1',
  '1.',
  '.1',
  '1.2345',
  '1..2',
  '1.1.1',
  '1e3',
  '+1',
  '0x1',
  '1234567890123456',
  '1234567890123.1',
  '1234567890123.',
  ':',
  ':a',
  ':é:',
  '::a',
  '@',
  '@1.5',
  '@x',
  '@1234567890123456',
  '%',
  '%a',
  '%"',
  '%"a',
  '%"%"',
  '%"%4"',
  '%"%AA"',
  '%"%ff"',
  '%"%c3%28"',
  '%"é"',
  ';',
  '1;',
  '1;A',
  '1;=1',
  '1;a=',
  '1;a;',
  '1 ;a',
  '1;a =1',
  '1;a= 1',
  '1,',
  '1 2',
  '\t1',
  '1\t',
  '(',
  ')',
  '()()',
  '(1',
  '((1))',
  '(1,2)',
  '(1\t2)',
  '("a""b")',
  '1\u0000',
  '{}',
  "'a'",
  '&',
  '#a',
] as const

describe('items', () => {
  test.each<[string, unknown]>([
    ['1', ['integer', 1]],
    ['  1  ', ['integer', 1]],
    ['-0', ['integer', -0]],
    ['-42', ['integer', -42]],
    ['00042', ['integer', 42]],
    ['999999999999999', ['integer', 999_999_999_999_999]],
    ['-999999999999999', ['integer', -999_999_999_999_999]],
    ['1.5', ['decimal', 1.5]],
    ['-1.125', ['decimal', -1.125]],
    ['123456789012.1', ['decimal', 123_456_789_012.1]],
    ['"a b"', ['string', 'a b']],
    ['""', ['string', '']],
    ['"a\\"b\\\\c"', ['string', 'a"b\\c']],
    ['"%c3"', ['string', '%c3']],
    ['a', ['token', 'a']],
    ['*', ['token', '*']],
    ["A/b:c.d!#$%&'*+-.^_`|~9", ['token', "A/b:c.d!#$%&'*+-.^_`|~9"]],
    ['?1', ['boolean', true]],
    ['?0', ['boolean', false]],
    [':aGVsbG8=:', ['binary', 'aGVsbG8=']],
    [':aGVsbG8:', ['binary', 'aGVsbG8']],
    ['::', ['binary', '']],
    ['@1659578233', ['date', 1_659_578_233]],
    ['@-1', ['date', -1]],
    ['%"a b"', ['display', 'a b']],
    ['%"f%c3%bc%22%25"', ['display', 'fü"%']],
    ['1;a', ['integer', 1, [['a', true]]]],
    [
      '1; a=2;b="x";  *c=?0',
      [
        'integer',
        1,
        [
          ['a', 2],
          ['b', 'x'],
          ['*c', false],
        ],
      ],
    ],
    [
      '1;a=1;b;a=2',
      [
        'integer',
        1,
        [
          ['a', 2],
          ['b', true],
        ],
      ],
    ],
    ['a;b_-.*9=1', ['token', 'a', [['b_-.*9', 1]]]],
  ])('%s', (text, wanted) => {
    const item = parseItem(text)
    if (item === null) throw new Error('refused')
    const [type, value, parameters] = plain(item) as [string, unknown, [string, unknown][] | undefined]
    const sorted = (list?: [string, unknown][]): unknown => list?.toSorted(([a], [b]) => (a < b ? -1 : 1))
    const [wantedType, wantedValue, wantedParameters] = wanted as [string, unknown, [string, unknown][] | undefined]
    expect([type, value, sorted(parameters)]).toEqual([wantedType, wantedValue, sorted(wantedParameters)])
  })

  test.each([...BAD, '1, 2', 'a=1', '(1)', '()', ':=aGVsbG8=:', ':a=GVsbG8:', ':aGVsb:', ':=:'])(
    'refused: %j',
    (text) => {
      expect(parseItem(text)).toBeNull()
    },
  )
})

describe('lists', () => {
  test.each<[string, unknown]>([
    ['', []],
    ['  ', []],
    ['1', [['integer', 1]]],
    [
      '1,2',
      [
        ['integer', 1],
        ['integer', 2],
      ],
    ],
    [
      '1 \t,\t 2',
      [
        ['integer', 1],
        ['integer', 2],
      ],
    ],
    [
      '"a,b", c',
      [
        ['string', 'a,b'],
        ['token', 'c'],
      ],
    ],
    ['()', [{ list: [] }]],
    ['(  )', [{ list: [] }]],
    [
      '( 1  a );x, "b"',
      [
        {
          list: [
            ['integer', 1],
            ['token', 'a'],
          ],
          parameters: [['x', true]],
        },
        ['string', 'b'],
      ],
    ],
    [
      '(1;a 2;b=3)',
      [
        {
          list: [
            ['integer', 1, [['a', true]]],
            ['integer', 2, [['b', 3]]],
          ],
        },
      ],
    ],
  ])('%j', (text, wanted) => {
    expect(parseList(text)?.map(plain)).toEqual(wanted)
  })

  test.each([
    ...BAD.filter((text) => text.trim() !== '' && text !== '1\t'),
    ',',
    ',1',
    '1,,2',
    '1,',
    '1, ',
    '1;a,',
    'a=1',
  ])('refused: %j', (text) => {
    expect(parseList(text)).toBeNull()
  })
})

describe('dictionaries', () => {
  test.each<[string, Record<string, unknown>]>([
    ['', {}],
    ['a', { a: ['boolean', true] }],
    ['a;x=1', { a: ['boolean', true, [['x', 1]]] }],
    ['a=1, b="x" ,c', { a: ['integer', 1], b: ['string', 'x'], c: ['boolean', true] }],
    ['a=1,a=2', { a: ['integer', 2] }],
    ['a=1, a', { a: ['boolean', true] }],
    ['a=?0', { a: ['boolean', false] }],
    [
      'a=(1 2);y',
      {
        a: {
          list: [
            ['integer', 1],
            ['integer', 2],
          ],
          parameters: [['y', true]],
        },
      },
    ],
    ['*a=1', { '*a': ['integer', 1] }],
    ['__proto__=1', {}],
    ['constructor=1', { constructor: ['integer', 1] }],
  ])('%j', (text, wanted) => {
    const members = parseDictionary(text)
    if (text.startsWith('_')) return expect(members).toBeNull()
    expect([...(members ?? [])].map(([key, member]) => [key, plain(member)])).toEqual(Object.entries(wanted))
  })

  test.each([
    'A',
    'A=1',
    '1=1',
    '_a=1',
    '-a=1',
    'a=',
    'a =1',
    'a= 1',
    'a=1,',
    'a=1,,b',
    ',a',
    'a=1 b=2',
    'a=&',
    'a;',
    'a=1;',
    'é=1',
    '"a"=1',
    '(a)',
  ])('refused: %j', (text) => {
    expect(parseDictionary(text)).toBeNull()
  })
})
