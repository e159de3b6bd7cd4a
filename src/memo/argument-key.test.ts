import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../errors.ts'
import { cacheKey, idOf, keyOf, keyOfArguments, textOf } from './argument-key.ts'

/** Texts that look like parts of keys. */
const tricky = fc.oneof(
  fc.constantFrom(
    '',
    '~',
    '~n1',
    '~s',
    '~s~',
    '~z',
    'n1',
    '"',
    '",',
    '[',
    ']',
    '{',
    '}',
    '(',
    ',',
    ':',
    ';',
    'u',
    'h',
    'N',
    '1',
    '\\',
    '\ud800',
    '\\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 4 }),
)
const leaf = fc.oneof(
  tricky,
  fc.constantFrom<unknown>(
    0,
    -0,
    1,
    -1,
    1n,
    0n,
    Number.NaN,
    Infinity,
    -Infinity,
    true,
    false,
    null,
    undefined,
    1e21,
    0.1,
  ),
  fc.double(),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }).filter((date) => !Number.isNaN(date.getTime())),
  fc.uint8Array({ maxLength: 3 }),
  fc.int8Array({ maxLength: 3 }),
  fc.constantFrom<unknown>(/a/g, /a/i, new URL('http://a/'), new URLSearchParams('a=1')),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(tricky, tie('value'), { maxKeys: 3, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 2 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 2 }).map((items) => new Set(items)),
  ),
}))

/** The same value made anew, its properties and members in the opposite order. */
function reversed(of: unknown): unknown {
  if (Array.isArray(of)) return of.map(reversed)
  if (of instanceof Map) return new Map([...of].toReversed().map(([k, v]) => [reversed(k), reversed(v)]))
  if (of instanceof Set) return new Set([...of].toReversed().map(reversed))
  if (of instanceof Date) return new Date(of.getTime())
  if (of instanceof Uint8Array || of instanceof Int8Array) return of.slice()
  if (typeof of !== 'object' || of === null || Object.getPrototypeOf(of) !== Object.prototype) return of
  const made = {}
  for (const name of Object.keys(of).toReversed())
    Object.defineProperty(made, name, {
      value: reversed(Reflect.get(of, name)),
      enumerable: true,
      writable: true,
      configurable: true,
    })
  return made
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8)
  structuredClone(buffer, { transfer: [buffer] })
  return buffer
}

describe('F1: the default key', () => {
  test('two values that share a key are equal by value and type (no collisions)', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        if (keyOf(a) === keyOf(b) || textOf(keyOf(a)) === textOf(keyOf(b))) expect(isDeepStrictEqual(a, b)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('equal values share a key, whatever the order of properties and members', () => {
    fc.assert(
      fc.property(value, (a) => void expect(keyOf(reversed(a))).toBe(keyOf(a))),
      { numRuns: 1000 },
    )
  })

  test('lists of arguments that share a key are equal', () => {
    const list = fc.array(value, { maxLength: 3 })
    fc.assert(
      fc.property(list, list, (a, b) => {
        if (keyOfArguments(a) === keyOfArguments(b)) expect(isDeepStrictEqual(a, b)).toBe(true)
      }),
      { numRuns: 3000 },
    )
  })

  test('the text of a key is as good as the key', () => {
    fc.assert(fc.property(value, (a) => void expect(Object.is(idOf(textOf(keyOf(a))), keyOf(a))).toBe(true)))
  })

  test('what is alike and not the same has keys of its own', () => {
    const alike: unknown[][] = [
      [],
      [undefined],
      [null],
      [''],
      ['undefined'],
      ['null'],
      [0],
      [-0],
      ['0'],
      [0n],
      [false],
      [Number.NaN],
      ['NaN'],
      [1],
      ['1'],
      [1n],
      [true],
      [new Date(1)],
      [new Date(Number.NaN)],
      [[1]],
      [['1']],
      [1, undefined],
      [undefined, 1],
      [{}],
      [{ a: undefined }],
      [[]],
      [[undefined]],
      // oxlint-disable-next-line no-sparse-arrays
      [[,]],
      [new Map()],
      [new Set()],
      [new Map([[1, 2]])],
      [[[1, 2]]],
      [new Set([1, 2])],
      [new Uint8Array([1])],
      [new Int8Array([1])],
      [new Uint8Array([1]).buffer],
      [Buffer.from([1])],
      [new Uint16Array([1])],
      [/a/],
      ['/a/'],
      [new URL('http://a/')],
      ['http://a/'],
      [1, 2],
      [[1, 2]],
      ['~(n1,n2)'],
      ['~n1'],
      ['~s'],
      ['~'],
      [Object.assign([1], { a: 1 })],
      [{ 0: 1 }],
    ]
    expect(new Set(alike.map(keyOfArguments)).size).toBe(alike.length)
  })

  test('a view has the key of its bytes, not of the buffer behind it', () => {
    const bytes = new Uint8Array([9, 1, 2, 9])
    expect(keyOf(bytes.subarray(1, 3))).toBe(keyOf(new Uint8Array([1, 2])))
  })

  class Plain {
    a = 1
  }
  class Base {
    b = 1
  }

  test.each([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['an instance of Plain', new Plain()],
    ['an instance of Promise', Promise.resolve()],
    ['an instance of WeakMap', new WeakMap()],
    ['an instance of AbortSignal', AbortSignal.abort()],
    ['an instance of Error', new Error('e')],
    ['an instance of Number', Object(1)],
    ['an object with a symbol', { [Symbol('s')]: 1 }],
    ['an instance of Date with properties', Object.assign(new Date(1), { a: 1 })],
    [
      'an instance of an unnamed class',
      Object.create({ constructor: Object.defineProperty(() => 1, 'name', { value: '' }) }),
    ],
    ['an instance of Base', Object.create({ constructor: Base, inherited: 1 })],
  ])('%s is refused, and the message says what and which argument', (what, refused) => {
    expect(() => keyOfArguments([1, { deep: [refused] }])).toThrow(
      expect.objectContaining({
        name: 'OptionError',
        code: 'ERR_KEY',
        option: 'key',
        message: expect.stringContaining(`argument 2 is or contains ${what}`),
      }),
    )
    expect(() => keyOf(refused)).toThrow(OptionError)
  })

  test('a value that contains itself, is too deep or too large is refused, not followed for ever', () => {
    const self: unknown[] = []
    self.push(self)
    expect(() => keyOf(self)).toThrow('contains itself')
    let deep: unknown = 1
    for (let i = 0; i < 10_000; i++) deep = [deep]
    expect(() => keyOf(deep)).toThrow('nested more than 200 deep')
    let wide: unknown = 'x'.repeat(100)
    for (let i = 0; i < 60; i++) wide = [wide, wide]
    expect(() => keyOf(wide)).toThrow('16 million')
  })

  test('what cannot be read is refused with its cause: getters and traps that throw, and what only looks like something', () => {
    const boom = (): never => {
      throw new Error('boom')
    }
    const hostile: unknown[] = [
      Object.defineProperty({}, 'a', { get: boom, enumerable: true }),
      new Proxy({}, { ownKeys: boom }),
      new Proxy([], { get: boom }),
      new Proxy({}, { getPrototypeOf: boom }),
      { toString: 1, deep: new Proxy(new Map(), {}) },
      Object.create(Map.prototype),
      Object.create(Set.prototype),
      Object.create(Date.prototype),
      Object.create(URL.prototype),
      Object.create(Uint8Array.prototype),
      Object.create(ArrayBuffer.prototype),
      detached(),
      Object.create({ [cacheKey]: boom }),
    ]
    for (const one of hostile)
      expect(() => keyOfArguments([one])).toThrow(
        expect.objectContaining({
          name: 'OptionError',
          code: 'ERR_KEY',
          message: expect.stringContaining('argument 1'),
        }),
      )
    const failing = Object.defineProperty({}, 'a', { get: boom, enumerable: true })
    expect(() => keyOf([failing])).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ message: 'boom' }) }),
    )
  })

  test('what is small and stands for something huge is refused, or keyed, at once', () => {
    const holes: unknown[] = []
    holes.length = 2 ** 32 - 1
    const endless = new Proxy([], { get: (_, name) => (name === 'length' ? 2 ** 40 : 1), has: () => true })
    for (const one of [holes, endless, new Uint8Array(64 * 1024 * 1024)]) expect(() => keyOf(one)).toThrow('16 million')
    // Written out in decimal, this takes a minute.
    const vast = 1n << 40_000_000n
    expect(keyOf([vast])).not.toBe(keyOf([vast + 1n]))
    expect(keyOf([vast])).not.toBe(keyOf([-vast]))
    let chain: object = {}
    class Link {
      [cacheKey](): unknown {
        return (chain = new Link())
      }
    }
    expect(() => keyOf(new Link())).toThrow('nested more than 200 deep')
    expect(chain).toBeInstanceOf(Link)
  })

  test('data of another realm is as plain as ours', () => {
    const foreign: unknown = runInNewContext(`({ list: [1, { a: 'b' }], nothing: null })`)
    expect(keyOf(foreign)).toBe(keyOf({ list: [1, { a: 'b' }], nothing: null }))
    class Own extends Array {}
    expect(() => keyOf(new Own())).toThrow('an instance of Own')
  })

  test('a proxy of plain data is what it shows', () => {
    expect(keyOf(new Proxy({ a: [1] }, {}))).toBe(keyOf({ a: [1] }))
    expect(keyOf(new Proxy([1, 2], {}))).toBe(keyOf([1, 2]))
  })

  test('names that mean something to objects mean nothing in a key', () => {
    const names = ['__proto__', 'constructor', 'prototype', 'toString', 'toJSON', 'valueOf', 'hasOwnProperty', 'length']
    const texts = names.flatMap((name) => [
      keyOf(JSON.parse(`{"${name}":{"polluted":1}}`)),
      keyOf(JSON.parse(`{"${name}":{"polluted":2}}`)),
      keyOf(JSON.parse(`{"a":{"${name}":1}}`)),
    ])
    expect(new Set(texts).size).toBe(texts.length)
    expect(({} as { polluted?: number }).polluted).toBe(undefined)
  })

  test('symbols on what is no plain object are refused as well', () => {
    for (const one of [new Map(), new Set(), new Date(0), /a/, [1]])
      expect(() => keyOf(Object.assign(one, { [Symbol('s')]: 1 }))).toThrow(OptionError)
  })

  test('a value that occurs twice is no circle', () => {
    const shared = { a: 1 }
    expect(keyOf([shared, shared])).toBe(keyOf([{ a: 1 }, { a: 1 }]))
  })

  test('a class says by cacheKey what its instances are', () => {
    class Money {
      readonly amount: number
      constructor(amount: number) {
        this.amount = amount
      }
      [cacheKey](): unknown {
        return this.amount
      }
    }
    expect(keyOf(new Money(1))).toBe(keyOf(new Money(1)))
    expect(new Set([keyOf(new Money(1)), keyOf(new Money(2)), keyOf(1), keyOf([1])]).size).toBe(4)
  })

  test('objects without a prototype, and with __proto__ as a name, are plain data', () => {
    expect(keyOf(Object.assign(Object.create(null), { a: 1 }))).toBe(keyOf({ a: 1 }))
    expect(keyOf(JSON.parse('{"__proto__":1}'))).not.toBe(keyOf({}))
  })
})
