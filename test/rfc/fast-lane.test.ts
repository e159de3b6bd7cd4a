/**
 * The fast lane decides as policy does: the same turns, played through a client that takes it and through one that never can
 * (it stamps Cache-Status on what it hands out), give the same answers and the same requests to the origin.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { entryHead } from '../../src/engine/keeper.ts'
import { inlineBody } from '../../src/engine/bytes.ts'
import { isPlainHit } from '../../src/engine/plain-hit.ts'
import type { ResponseMeta } from '../../src/policy/decision.ts'
import { FOREVER, RFC_OPTIONS } from '../../src/policy/options.ts'
import { plan } from '../../src/policy/plan.ts'
import { at, Bench, HOST, START, type Answer, type Fields } from './support.ts'

const control = fc.constantFrom(
  null,
  'max-age=10',
  'max-age=10, no-cache',
  'max-age=0',
  'no-store',
  'max-age=10, must-revalidate',
  'max-age=10, immutable',
  'max-age=10, stale-while-revalidate=10',
  'max-age=10, stale-if-error=10',
  's-maxage=10',
  'private, max-age=10',
  'public',
  'max-age=10, no-cache="x-a"',
  'max-age=x',
  'max-age=2147483648',
)
const reply: fc.Arbitrary<Fields> = fc.record({
  'cache-control': control,
  etag: fc.constantFrom(null, '"1"', 'W/"1"'),
  'last-modified': fc.constantFrom(null, at(-100)),
  expires: fc.constantFrom(null, at(10), '0'),
  date: fc.constantFrom(at(0), null, at(-5), at(500)),
  age: fc.constantFrom(null, '5', '10', 'x'),
  vary: fc.constantFrom(null, null, 'x-a', '*', ''),
  'cache-groups': fc.constantFrom(null, null, '"g"'),
  'x-a': fc.constantFrom(null, '1'),
  'set-cookie': fc.constantFrom(null, 'a=1'),
})
const ask = fc.constantFrom<Record<string, string> | null>(
  null,
  null,
  null,
  { 'x-a': '1' },
  { 'cache-control': 'no-cache' },
  { range: 'bytes=0-1' },
  { 'if-none-match': '"1"' },
)
const turn = fc.record({
  after: fc.constantFrom(0, 1, 5, 9, 10, 15, -1, -100),
  ask,
  method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST'),
  reply,
  status: fc.constantFrom(200, 200, 203, 204, 206, 304, 404, 410, 500),
})
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never

async function play(turns: readonly Turn[], slow: boolean): Promise<unknown[]> {
  const bench = new Bench(slow ? { cacheStatus: true } : {})
  const seen: unknown[] = []
  for (const { after, ask: headers, method, reply: fields, status } of turns) {
    bench.clock.advance(after * 1000)
    bench.next = (request): Answer => {
      const conditional = request.headers.has('if-none-match') || request.headers.has('if-modified-since')
      if (status === 304) return conditional ? { status, headers: fields } : { headers: fields }
      return status === 206
        ? { status, body: 'bo', headers: { ...fields, 'content-range': 'bytes 0-1/6' } }
        : { status, headers: fields }
    }
    const response =
      headers === null && method === 'GET'
        ? await bench.cached(`${HOST}/`)
        : await bench.cached(`${HOST}/`, { method, ...(headers === null ? {} : { headers }) })
    const all = [...response.headers].filter(([name]) => name !== 'cache-status')
    seen.push([response.status, response.fromCache, response.revalidated, await response.text(), all])
    for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve))
  }
  return [seen, bench.log.map(({ method, headers }) => [method, [...headers]])]
}

test('the fast lane and policy give the same answers and ask the origin the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { minLength: 2, maxLength: 6 }), async (turns) => {
      expect(await play(turns, false)).toEqual(await play(turns, true))
    }),
    { numRuns: 1500 },
  )
})

const meta: fc.Arbitrary<ResponseMeta> = fc.record({
  kind: fc.constant('response' as const),
  key: fc.constant(`GET ${HOST}/`),
  method: fc.constantFrom('GET', 'HEAD', 'POST'),
  url: fc.constant(`${HOST}/`),
  selecting: fc.constantFrom([], [], [], [['accept', null] as const], [['accept', 'x'] as const]),
  status: fc.constantFrom(200, 204, 206, 301, 404, 500),
  statusText: fc.constant(''),
  headers: fc.constantFrom(
    [],
    [['etag', '"a"'] as const],
    [['cache-control', 'no-cache'] as const],
    [['vary', '*'] as const],
  ),
  requestTime: fc.integer({ min: START - 5000, max: START }),
  responseTime: fc.integer({ min: START, max: START + 5000 }),
  terms: fc.record({
    lifetime: fc.oneof(fc.constantFrom(0, 60, FOREVER, FOREVER, 2 ** 31), fc.double({ min: 0, max: 100, noNaN: true })),
    source: fc.constant('max-age' as const),
    initialAge: fc.oneof(fc.constantFrom(0, 0, 0, 2 ** 31), fc.double({ min: 0, max: 100, noNaN: true })),
    noCache: fc.boolean(),
    mustRevalidate: fc.boolean(),
    immutable: fc.boolean(),
    staleWhileRevalidate: fc.constantFrom(0, 30),
    staleIfError: fc.constantFrom(0, 30),
  }),
  tags: fc.constantFrom([], [], [], ['t']),
  parts: fc.constantFrom(null, null, null, [{ first: 0, last: 1 }]),
  total: fc.constantFrom(null, 10),
  decoded: fc.boolean(),
})
const DEMAND = { mode: 'default', refresh: false, forceRefresh: false, onlyIfCached: false } as const

test('for any metadata and instant, what the fast lane answers policy answers, whole and unconditionally; and it misses none of the plain ones', () => {
  let hits = 0
  fc.assert(
    fc.property(meta, fc.integer({ min: -100_000, max: 200_000 }), (stored, shift) => {
      const now = START + shift
      const entry = { ...entryHead(stored), version: 1, body: inlineBody(new Uint8Array(2)) }
      const request = { method: 'GET', url: stored.url, headers: [] }
      const decided = plan(
        request,
        DEMAND,
        { meta: stored, size: 2, invalidated: false, variants: [] },
        now,
        RFC_OPTIONS,
      )
      const whole = decided.kind === 'hit' && decided.answer.kind === 'whole'
      if (isPlainHit(entry, now)) {
        hits += 1
        expect(whole).toBe(true)
      } else if (whole) {
        const { selecting, tags, parts, method, responseTime } = stored
        expect(
          selecting.length > 0 || tags.length > 0 || parts !== null || method === 'HEAD' || now < responseTime,
        ).toBe(true)
      }
    }),
    { numRuns: 20_000 },
  )
  expect(hits).toBeGreaterThan(100)
})
