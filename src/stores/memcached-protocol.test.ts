import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  deletion,
  ProtocolError,
  refusal,
  ReplyParser,
  retrieval,
  storage,
  touching,
  VERSION,
  type Reply,
} from './memcached-protocol.ts'

const line = (text: string): Reply => ({ line: text, values: [] })
const buffer = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Feeds pieces, and takes all replies there are after each. */
function parsed(pieces: readonly Buffer[]): { replies: Reply[]; parser: ReplyParser } {
  const parser = new ReplyParser()
  const replies: Reply[] = []
  for (const piece of pieces) {
    parser.feed(piece)
    for (let reply = parser.next(); reply !== null; reply = parser.next()) replies.push(reply)
  }
  return { replies, parser }
}

/** Cuts bytes at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b)
  return ends.map((end, n) => Buffer.from(bytes.subarray(ends[n - 1] ?? 0, end)))
}

const value = fc.record({
  key: fc.stringMatching(/^[!-~]{1,40}$/),
  // Bytes of the protocol itself are the ones to stumble over.
  data: fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .constantFrom('\r\n', 'END\r\n', '\r\nEND\r\nVALUE a 0 1\r\nx\r\n', '\n')
      .map((text) => new Uint8Array(buffer(text))),
  ),
  cas: fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String)),
})
const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.constantFrom('STORED', 'NOT_STORED', 'EXISTS', 'NOT_FOUND', 'DELETED', 'END', 'VERSION 1.6.18').map(line),
  fc.array(value, { minLength: 1, maxLength: 4 }).map((values) => ({ line: 'END', values })),
)

function wire({ line: end, values }: Reply): Buffer {
  const parts = values.flatMap(({ key, data, cas }) => [
    buffer(`VALUE ${key} 0 ${data.length}${cas === null ? '' : ` ${cas}`}\r\n`),
    data,
    buffer('\r\n'),
  ])
  return Buffer.concat([...parts, buffer(`${end}\r\n`)])
}

describe('the parser', () => {
  it('B39: replies are the same however the bytes are cut into packets', () => {
    const places = fc.array(fc.nat(), { maxLength: 30 })
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 8 }), places, (expected, at) => {
        const { replies, parser } = parsed(cut(Buffer.concat(expected.map(wire)), at))
        expect(replies).toEqual(expected)
        expect(parser.isIdle).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('B39: byte by byte, and nothing is idle in between', () => {
    const bytes = wire({ line: 'END', values: [{ key: 'k', data: new Uint8Array([13, 10, 69]), cas: '7' }] })
    const parser = new ReplyParser()
    for (const [at, byte] of bytes.entries()) {
      parser.feed(Buffer.of(byte))
      const found = parser.next()
      expect([found !== null, parser.isIdle]).toEqual(at === bytes.length - 1 ? [true, true] : [false, false])
    }
  })

  it('a value has a buffer of its own: it keeps no packet in memory, and may be transferred', () => {
    const small = wire({ line: 'END', values: [{ key: 'k', data: new Uint8Array([1, 2, 3]), cas: null }] })
    const packet = Buffer.concat([small, Buffer.from(`${'x'.repeat(1000)}\r\n`)])
    const parser = new ReplyParser()
    parser.feed(packet)
    const data = parser.next()?.values[0]?.data
    packet.fill(0)
    expect([data?.buffer.byteLength, [...(data ?? [])]]).toEqual([5, [1, 2, 3]])
  })

  it('145: whatever comes is a reply, half of one, or a ProtocolError', () => {
    const mutated = fc
      .tuple(
        fc.array(reply, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
      )
      .map(([replies, changes]) => {
        const bytes = Buffer.concat(replies.map(wire))
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        return bytes
      })
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 3000 }).map(Buffer.from)), (bytes) => {
        try {
          for (const found of parsed([bytes]).replies) expect(typeof found.line).toBe('string')
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError)
        }
      }),
      { numRuns: 5000 },
    )
  })

  it.each([
    ['a line without an end', 'x'.repeat(3000)],
    ['a line without CR', 'STORED\n'],
    ['an empty line feed', '\n'],
    ['a value longer than announced', 'VALUE k 0 2\r\nabc\r\nEND\r\n'],
    ['more values than are ever asked for', `${'VALUE k 0 1\r\na\r\n'.repeat(101)}END\r\n`],
    ['a negative length', 'VALUE k 0 -1\r\n'],
    ['a length beyond all memory', 'VALUE k 0 9999999999\r\n'],
    ['no length', 'VALUE k 0\r\n'],
    ['a key too long', `VALUE ${'k'.repeat(251)} 0 1\r\n`],
  ])('B39: %s is a ProtocolError', (_, text) => {
    expect(() => parsed([buffer(text)])).toThrow(ProtocolError)
  })
})

describe('requests', () => {
  it('are as the protocol has them', () => {
    expect([
      retrieval('gets', ['k']).text,
      retrieval('get', ['k', 'l']).text,
      storage('set', 'k', new Uint8Array(3), 60).text,
      storage('cas', 'k', new Uint8Array(0), -1, '18446744073709551615').text,
      deletion('k').text,
      touching('k', 9).text,
    ]).toEqual([
      'gets k\r\n',
      'get k l\r\n',
      'set k 0 60 3\r\n',
      'cas k 0 -1 0 18446744073709551615\r\n',
      'delete k\r\n',
      'touch k 9\r\n',
    ])
  })

  it('B39, B40: take no reply that is not to them', () => {
    const empty = { key: 'k', data: new Uint8Array(), cas: null }
    const found = { line: 'END', values: [empty] }
    expect([
      refusal(retrieval('get', ['k']), found),
      refusal(retrieval('get', ['j', 'k']), found),
      refusal(retrieval('get', ['k']), line('END')),
      refusal(storage('add', 'k', new Uint8Array(), 0), line('NOT_STORED')),
      refusal(VERSION, line('SERVER_ERROR out of memory')),
    ]).toEqual([null, null, null, null, null])
    for (const [request, answer] of [
      [retrieval('get', ['other']), found],
      [retrieval('get', ['k']), { line: 'END', values: [empty, empty] }],
      [deletion('k'), found],
      [retrieval('get', ['k']), line('STORED')],
      [storage('set', 'k', new Uint8Array(), 0), line('NOT_STORED')],
      [storage('set', 'k', new Uint8Array(), 0), line('ERROR')],
      [deletion('k'), line('CLIENT_ERROR bad command line format')],
    ] as const) {
      expect(refusal(request, answer)).not.toBe(null)
    }
  })
})
