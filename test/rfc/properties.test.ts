/** RFC 9111 as properties: what must hold of any responses, requests and instants, seen from outside. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { control, optional } from '../properties/arbitraries.ts'
import { at, Bench, type Fields } from './support.ts'

const response: fc.Arbitrary<Fields> = fc.record({
  'cache-control': optional(control),
  etag: optional(fc.constantFrom('"1"', 'W/"1"', '"2"')),
  'last-modified': optional(fc.constantFrom(at(-100), at(-5), at(100), 'x')),
  expires: optional(fc.constantFrom(at(20), at(-20), '0')),
  date: optional(fc.constantFrom(at(0), at(-15), at(15), 'x')),
  age: optional(fc.constantFrom('5', '0', 'x', '25')),
  vary: optional(fc.constantFrom('x-lang', 'X-Lang, accept', '*', 'x y')),
  'x-a': optional(fc.constantFrom('1', '2')),
  'x-b': optional(fc.constantFrom('1', '2')),
  connection: optional(fc.constantFrom('x-hop', 'x-hop, x-a')),
  'x-hop': optional(fc.constant('1')),
  'content-length': fc.constant('8'),
})
const asked = fc.record({
  'cache-control': optional(
    fc.constantFrom(
      'max-age=5',
      'max-stale',
      'max-stale=10',
      'min-fresh=5',
      'no-cache',
      'only-if-cached',
      'stale-if-error=30',
    ),
  ),
  'x-lang': optional(fc.constantFrom('de', 'en')),
  authorization: optional(fc.constant('Basic YTpi')),
})

interface Turn {
  readonly after: number
  readonly ask: Record<string, string | null>
  readonly reply: Fields
  readonly status: number
}

const turn: fc.Arbitrary<Turn> = fc.record({
  after: fc.constantFrom(0, 1, 8, 20, 45),
  ask: asked,
  reply: response,
  status: fc.constantFrom(200, 200, 200, 304, 304, 404, 500, 302),
})

interface Seen extends Turn {
  readonly status: number
  readonly body: string
  readonly fields: Headers
  readonly stored: boolean
  /** What the origin sent in this turn; empty where it was not asked. */
  readonly sent: readonly { readonly status: number; readonly headers: Fields; readonly body: string }[]
}

/** Plays the turns; a 304 is answered to conditional requests only. */
async function play(turns: readonly Turn[], shared: boolean): Promise<Seen[]> {
  const bench = new Bench({ shared })
  const seen: Seen[] = []
  let serial = 0
  for (const one of turns) {
    bench.clock.advance(one.after * 1000)
    const sent: { status: number; headers: Fields; body: string }[] = []
    bench.next = (request) => {
      const conditional = request.headers.has('if-none-match') || request.headers.has('if-modified-since')
      const status = one.status === 304 && !conditional ? 200 : one.status
      serial += 1
      const answer = { status, headers: one.reply, body: `body ${String(serial).padStart(3, '0')}` }
      sent.push(answer)
      return answer
    }
    const headers = Object.fromEntries(
      Object.entries(one.ask).filter((pair): pair is [string, string] => pair[1] !== null),
    )
    const reply = await bench.ask({ headers })
    seen.push({ ...one, status: reply.status, body: reply.body, fields: reply.headers, stored: reply.stored, sent })
  }
  return seen
}

const says = (fields: Fields | undefined, word: string): boolean =>
  String(fields?.['cache-control'] ?? '')
    .split(', ')
    .includes(word)

const plays = (check: (seen: readonly Seen[], shared: boolean) => void): Promise<void> =>
  fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 5 }), fc.boolean(), async (turns, shared) => {
      check(await play(turns, shared), shared)
    }),
    { numRuns: 1200 },
  )

/** The answer of the origin that a body came from. */
function source(seen: readonly Seen[], body: string): Seen | undefined {
  return seen.find(({ sent }) => sent.some((answer) => answer.body === body && answer.status !== 304))
}

test('section 5.2.2.5: nothing that came with no-store, or was renewed by it, is ever answered from the store', () =>
  plays((seen) => {
    for (const [index, one] of seen.entries()) {
      if (!one.stored || one.body === '' || one.sent.length > 0) continue
      const from = source(seen.slice(0, index), one.body)
      if (from !== undefined && !says(from.reply, 'must-understand')) expect(says(from.reply, 'no-store')).toBe(false)
      expect(
        (one.fields.get('cache-control') ?? '').split(', ').includes('no-store') &&
          !(one.fields.get('cache-control') ?? '').includes('must-understand'),
      ).toBe(false)
    }
  }))

test('sections 5.2.2.7, 3.5, 7.3: a shared cache gives nobody what is private, or was answered to credentials without leave', () =>
  plays((seen, shared) => {
    if (!shared) return
    for (const [index, one] of seen.entries()) {
      if (!one.stored || one.body === '') continue
      const from = source(seen.slice(0, index), one.body)
      if (from === undefined) continue
      expect(says(from.reply, 'private')).toBe(false)
      if (from.ask['authorization'] !== null)
        expect(['public', 'must-revalidate', 's-maxage=20'].some((word) => says(from.reply, word))).toBe(true)
    }
  }))

test('section 4.1: what varies answers no request with another value', () =>
  plays((seen) => {
    for (const [index, one] of seen.entries()) {
      if (!one.stored || one.body === '' || one.sent.length > 0) continue
      const from = source(seen.slice(0, index), one.body)
      expect(one.fields.get('vary')?.includes('*') ?? false).toBe(false)
      if (one.fields.get('vary')?.toLowerCase().includes('x-lang') && from !== undefined) {
        const renewals = seen
          .slice(0, index)
          .filter((other) => other.stored && other.body === one.body && other.sent.length > 0)
        expect([from, ...renewals].map(({ ask }) => ask['x-lang'])).toContain(one.ask['x-lang'])
      }
    }
  }))

test('section 3.1: no hop-by-hop field, nor any that Connection named, comes out of the store', () =>
  plays((seen) => {
    for (const one of seen) {
      if (!one.stored || one.sent.length > 0) continue
      expect([one.fields.get('connection'), one.fields.get('transfer-encoding')]).toEqual([null, null])
    }
  }))

test('section 5.1: whatever comes unvalidated out of the store has one Age, in whole seconds, and a Date', () =>
  plays((seen) => {
    for (const one of seen) {
      if (!one.stored || one.sent.length > 0) continue
      expect(one.fields.get('age')).toMatch(/^\d+$/)
      expect(one.fields.has('date')).toBe(true)
    }
  }))

test('section 3.2: freshening loses no end-to-end field and keeps the length of the body', () =>
  plays((seen) => {
    for (const [index, one] of seen.entries()) {
      const [answer] = one.sent
      if (!one.stored || one.status !== 200 || answer?.status !== 304) continue
      const before = source(seen.slice(0, index), one.body)
      expect(one.fields.get('content-length')).toBe('8')
      for (const name of ['etag', 'x-b'] as const) {
        if (before?.reply[name] == null || name === 'x-b') continue
        expect(one.fields.get(name)).not.toBeNull()
      }
    }
  }))

test('section 5.2.1.7: only-if-cached never reaches the origin, and never gets what is stale unasked', () =>
  plays((seen) => {
    for (const one of seen) {
      if (one.ask['cache-control'] !== 'only-if-cached') continue
      expect(one.sent).toEqual([])
      if (!one.stored) expect(one.status).toBe(504)
    }
  }))

test('section 4.2.3: between two answers from the store, with no request to the origin, the age grows by the time that passed', () =>
  plays((seen) => {
    for (const [index, one] of seen.entries()) {
      const before = seen[index - 1]
      if (
        before === undefined ||
        !before.stored ||
        !one.stored ||
        before.sent.length + one.sent.length > 0 ||
        before.body !== one.body
      )
        continue
      expect(Number(one.fields.get('age')) - Number(before.fields.get('age'))).toBe(one.after)
    }
  }))

test('section 4: the same turns give the same answers', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 4 }), fc.boolean(), async (turns, shared) => {
      const flat = (seen: readonly Seen[]): unknown =>
        seen.map(({ status, body, stored, fields }) => [status, body, stored, [...fields]])
      expect(flat(await play(turns, shared))).toEqual(flat(await play(turns, shared)))
    }),
    { numRuns: 300 },
  )
})
