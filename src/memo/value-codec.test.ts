import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StoreError } from '../errors.ts'
import { decodeValue } from './value-decode.ts'
import { encodeValue } from './value-encode.ts'

const round = (value: unknown): unknown => decodeValue(encodeValue(value))

const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 4 }),
  fc.constantFrom('__proto__', 'constructor', 'toJSON', 'length', '0'),
)
const leaf = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.constantFrom<unknown>(0, -0, Number.NaN, Infinity, -Infinity, true, false, null, undefined, '', 2 ** 53),
  fc.double(),
  fc.bigInt(),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 5 }),
  fc.float64Array({ maxLength: 3 }),
  fc.constantFrom<unknown>(
    new BigInt64Array([1n]),
    new Uint16Array([1, 2]),
    new Float32Array([0.5]),
    new DataView(new ArrayBuffer(3)),
    new ArrayBuffer(2),
    Buffer.from('bytes'),
  ),
  fc.constantFrom<unknown>(/a\/b/giu, new URL('http://a/b?c'), new URLSearchParams('a=1&a=2')),
)
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.sparseArray(tie('value'), { maxNumElements: 2, maxLength: 5 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4 }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map((pairs) => new Map(pairs)),
    fc.array(tie('value'), { maxLength: 3 }).map((items) => new Set(items)),
  ),
}))

describe('F3: values keep their types', () => {
  test('any value comes back as it was', () => {
    fc.assert(
      fc.property(value, (v) => void expect(isDeepStrictEqual(round(v), v)).toBe(true)),
      { numRuns: 2000 },
    )
  })

  test.each<[string, unknown]>([
    ['undefined', undefined],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['hole', Object.assign([], { length: 3 })],
    ['array with a property', Object.assign(['a'], { index: 7 })],
    ['lone surrogate', '\ud800'],
    ['null prototype', Object.assign(Object.create(null), { a: 1 })],
  ])('%s', (_, v) => {
    const back = round(v)
    expect(isDeepStrictEqual(back, v)).toBe(true)
    expect(Object.is(back, v) || typeof v === 'object').toBe(true)
  })

  test('invalid Date', () => {
    // Not by isDeepStrictEqual, which says of two that they differ in Node 22.
    const back = round(new Date(Number.NaN))
    expect(back instanceof Date && Number.isNaN(back.getTime())).toBe(true)
  })

  test('plain data is JSON behind one byte', () => {
    expect(new TextDecoder().decode(encodeValue({ a: [1, 'b', null, true] }))).toBe('J{"a":[1,"b",null,true]}')
  })

  test('a value may contain itself, and what it contains twice stays one', () => {
    const self: Record<string, unknown> = { list: [] }
    self['self'] = self
    self['map'] = new Map([[self, self['list']]])
    const back = round(self) as typeof self
    expect(back['self']).toBe(back)
    expect((back['map'] as Map<unknown, unknown>).get(back)).toBe(back['list'])
  })

  test('no depth and no width is too much', () => {
    let deep: unknown = 'end'
    for (let i = 0; i < 20_000; i++) deep = { deep }
    let back = round(deep)
    for (let i = 0; i < 20_000; i++) back = (back as { deep: unknown }).deep
    expect(back).toBe('end')
    let shared: unknown = ['x']
    for (let i = 0; i < 100; i++) shared = [shared, shared]
    expect(encodeValue(shared).length).toBeLessThan(5000)
  })

  test('an error keeps its class, message, cause and properties, and leaves its stack behind', () => {
    const error = Object.assign(new RangeError('outer', { cause: new TypeError('inner') }), {
      code: 'E_CODE',
      at: new Date(5),
    })
    const back = round(error) as RangeError & { code: string; at: Date; cause: Error }
    expect(back).toBeInstanceOf(RangeError)
    expect([back.name, back.message, back.code, back.at]).toEqual(['RangeError', 'outer', 'E_CODE', new Date(5)])
    expect(back.cause).toBeInstanceOf(TypeError)
    expect(back.cause.message).toBe('inner')
    expect(back.stack).toBe('RangeError: outer')
    expect(Object.keys(back)).toEqual(['code', 'at'])
  })

  test('an error of a class of its own comes back as an Error of that name; AggregateError keeps its errors', () => {
    class HttpFailure extends Error {
      override name = 'HttpFailure'
      status = 503
    }
    const back = round(new HttpFailure('down')) as HttpFailure
    expect([back instanceof Error, back.name, back.message, back.status]).toEqual([true, 'HttpFailure', 'down', 503])
    const many = round(new AggregateError([new Error('a')], 'all')) as AggregateError
    expect(many).toBeInstanceOf(AggregateError)
    expect((many.errors[0] as Error).message).toBe('a')
  })

  test('a view of a large buffer is stored as what it shows, and shares no memory with what was stored', () => {
    const large = new Uint8Array(1_000_000)
    const bytes = encodeValue({ view: large.subarray(5, 8) })
    expect(bytes.length).toBeLessThan(100)
    const back = decodeValue(bytes) as { view: Uint8Array }
    back.view[0] = 7
    expect((decodeValue(bytes) as { view: Uint8Array }).view[0]).toBe(0)
  })

  test.each<[string, unknown]>([
    ['the value.a[1] is a function', { a: [1, () => 1] }],
    ['the value is a symbol', Symbol('s')],
    ['an entry of the value is an instance of Promise', new Map([['k', Promise.resolve()]])],
    [
      'the value is an instance of Own',
      new (class Own {
        a = 1
      })(),
    ],
    ['the value is an instance of Date with properties', Object.assign(new Date(0), { a: 1 })],
    ['the value has a symbol', { [Symbol('s')]: 1 }],
    ['the value is an instance of Number', Object(1)],
  ])('%s: refused, and the message says where', (message, refused) => {
    expect(() => encodeValue(refused)).toThrow(
      expect.objectContaining({ name: 'NotStorable', message: expect.stringContaining(message) }),
    )
  })

  test('what cannot be read is refused with its cause: getters and traps that throw, and what only looks like something', () => {
    const boom = (): never => {
      throw new Error('boom')
    }
    const buffer = new ArrayBuffer(8)
    structuredClone(buffer, { transfer: [buffer] })
    const hostile: unknown[] = [
      Object.defineProperty({}, 'a', { get: boom, enumerable: true }),
      { when: new Date(0), deep: Object.defineProperty({}, 'a', { get: boom, enumerable: true }) },
      new Proxy({}, { ownKeys: boom }),
      new Proxy({}, { getPrototypeOf: boom }),
      new Proxy(new Map(), {}),
      Object.create(Set.prototype),
      Object.create(Date.prototype),
      Object.create(URL.prototype),
      Object.create(Uint8Array.prototype),
      Object.create(ArrayBuffer.prototype),
      buffer,
      Object.create(Error.prototype, { constructor: { value: null } }),
      Object.assign(new Map(), { [Symbol('s')]: 1 }),
      () => 1,
    ]
    for (const one of hostile) expect(() => encodeValue(one)).toThrow(expect.objectContaining({ name: 'NotStorable' }))
    expect(() => encodeValue(hostile[0])).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ message: 'boom' }) }),
    )
  })

  test('a getter that says something else each time does no harm', () => {
    const answers: unknown[] = [1, new Date(0), () => 1, undefined]
    for (const start of answers.keys()) {
      let at = start
      const moody = Object.defineProperty({}, 'a', { get: () => answers[at++ % answers.length], enumerable: true })
      try {
        expect(Object.getPrototypeOf(round(moody))).toBe(Object.prototype)
      } catch (error) {
        expect(error).toMatchObject({ name: 'NotStorable' })
      }
    }
  })

  test('data of another realm comes back as plain data of this one', () => {
    const foreign: unknown = runInNewContext(`({ list: [1, { a: 'b' }] })`)
    expect(isDeepStrictEqual(round(foreign), { list: [1, { a: 'b' }] })).toBe(true)
    expect(
      isDeepStrictEqual(round({ foreign, when: new Date(1) }), {
        foreign: { list: [1, { a: 'b' }] },
        when: new Date(1),
      }),
    ).toBe(true)
  })

  test('a bigint of any size', () => {
    for (const vast of [1n << 65_536n, (1n << 65_536n) + 1n, 1n << 20_000_000n, -(1n << 20_000_000n) - 1n])
      expect(round([vast])).toEqual([vast])
  })

  test('a DOMException comes back with its name and message', () => {
    const back = round(new DOMException('too slow', 'TimeoutError')) as Error
    expect([back instanceof Error, back.name, back.message]).toEqual([true, 'TimeoutError', 'too slow'])
  })

  test('stored names do nothing: __proto__, constructor and toJSON are properties like any other', () => {
    const evil = JSON.parse(
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toJSON":"x","d":0}',
    ) as Record<string, unknown>
    for (const v of [evil, { ...evil, when: new Date(0), ['__proto__']: evil }]) {
      const back = round(v) as object
      expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
      expect(Object.hasOwn(back, '__proto__')).toBe(Object.hasOwn(v, '__proto__'))
      expect(({} as { polluted?: number }).polluted).toBe(undefined)
      expect(isDeepStrictEqual(back, v)).toBe(true)
    }
  })
})

describe('B30, B40: bytes that are no value are ERR_STORE_CORRUPT, whatever they are', () => {
  const decodes = (bytes: Uint8Array): void => {
    try {
      decodeValue(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(StoreError)
      expect((error as StoreError).code).toBe('ERR_STORE_CORRUPT')
    }
  }

  test('cut, changed and random bytes', () => {
    const whole = encodeValue({
      a: new Map([[1n, new Date(3)]]),
      b: new Uint8Array(9),
      c: new Error('x'),
      d: /x/,
      e: new URL('http://a/'),
    })
    for (let length = 0; length < whole.length; length++) decodes(whole.subarray(0, length))
    for (let at = 0; at < whole.length; at++) for (const byte of [0, 0x22, 0x5d, 0x39]) decodes(whole.with(at, byte))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => decodes(bytes)))
  })

  test('a small entry is no huge value: bytes are nobody’s twice', () => {
    const table = Array.from({ length: 1000 }, () => ['b', 'Uint8Array', 0, 1000])
    const text = new TextEncoder().encode(JSON.stringify(table))
    const bytes = new Uint8Array(5 + text.length + 1000)
    bytes[0] = 0x54
    new DataView(bytes.buffer).setUint32(1, text.length, true)
    bytes.set(text, 5)
    expect(() => decodeValue(bytes)).toThrow(expect.objectContaining({ code: 'ERR_STORE_CORRUPT' }))
  })

  test('a number of millions of decimal digits, which nothing here writes, is not read', () => {
    const table = new TextEncoder().encode(JSON.stringify([['i', '9'.repeat(1_000_000)]]))
    const frame = new Uint8Array(5 + table.length)
    frame[0] = 0x54
    new DataView(frame.buffer).setUint32(1, table.length, true)
    frame.set(table, 5)
    expect(() => decodeValue(frame)).toThrow('a bigint is none')
    for (const most of [2n ** 65_536n, -(2n ** 65_536n), 2n ** 65_536n + 1n])
      expect(decodeValue(encodeValue(most))).toBe(most)
  })

  test('tables that say what is not so', () => {
    const rows = fc.array(
      fc.oneof(
        fc.jsonValue({ maxDepth: 1 }),
        fc.tuple(
          fc.constantFrom('u', '#', 'i', 'd', 'r', 'U', 'P', 'a', 'A', 'o', 'O', 'm', 's', 'b', 'e', '?'),
          fc.jsonValue({ maxDepth: 1 }),
          fc.jsonValue({ maxDepth: 1 }),
          fc.jsonValue({ maxDepth: 1 }),
        ),
      ),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(rows, (table) => {
        const text = new TextEncoder().encode(JSON.stringify(table))
        const bytes = new Uint8Array(5 + text.length)
        bytes[0] = 0x54
        new DataView(bytes.buffer).setUint32(1, text.length, true)
        bytes.set(text, 5)
        decodes(bytes)
      }),
      { numRuns: 3000 },
    )
  })
})
