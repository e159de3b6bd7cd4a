/** Properties of policy: what must hold for any request, any response, any instant. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDate } from '../../src/http/date.ts'
import type { HeaderLine, HeaderList } from '../../src/http/message.ts'
import { currentAge } from '../../src/policy/age.ts'
import { answer } from '../../src/policy/answer.ts'
import { merged } from '../../src/policy/conditional.ts'
import type { Demand, Outcome, Part, ResponseMeta } from '../../src/policy/decision.ts'
import { freshUntil } from '../../src/policy/freshness.ts'
import { keepUntil } from '../../src/policy/keep.ts'
import { RFC_OPTIONS, type PolicyOptions } from '../../src/policy/options.ts'
import { mergeParts } from '../../src/policy/partial.ts'
import { plan } from '../../src/policy/plan.ts'
import { matches, selecting } from '../../src/policy/select.ts'
import { settle } from '../../src/policy/settle.ts'
import { control } from './arbitraries.ts'

const NOW = Date.UTC(2026, 0, 1)
const DEMAND: Demand = { mode: 'default', refresh: false, forceRefresh: false, onlyIfCached: false }
const SHARED: PolicyOptions = { ...RFC_OPTIONS, shared: true }

const cacheControl = control.map((value): HeaderLine => ['cache-control', value])
const other = fc.oneof(
  fc.constantFrom<HeaderLine>(
    ['etag', '"a"'],
    ['etag', 'W/"a"'],
    ['age', '30'],
    ['age', '-1'],
    ['vary', 'accept'],
    ['vary', '*'],
    ['vary', ','],
    ['expires', '0'],
    ['pragma', 'no-cache'],
    ['set-cookie', 'a=b'],
    ['authorization', 'x'],
    ['cookie', 'a=b'],
    ['range', 'bytes=0-1'],
    ['if-none-match', '"a"'],
    ['if-none-match', '*'],
  ),
  fc.integer({ min: -7200, max: 7200 }).map((s): HeaderLine => ['date', formatDate(NOW + s * 1000)]),
  fc.integer({ min: -7200, max: 7200 }).map((s): HeaderLine => ['expires', formatDate(NOW + s * 1000)]),
  fc.integer({ min: -720_000, max: 7200 }).map((s): HeaderLine => ['last-modified', formatDate(NOW + s * 1000)]),
  fc
    .tuple(fc.constantFrom('x-a', 'content-type', 'link', 'connection'), fc.string())
    .map(([name, value]): HeaderLine => [name, value]),
)
const headers: fc.Arbitrary<HeaderList> = fc
  .tuple(cacheControl, fc.array(other, { maxLength: 6 }))
  .map(([first, rest]) => [first, ...rest])
const status = fc.constantFrom(200, 203, 204, 206, 301, 302, 304, 307, 400, 404, 407, 410, 500, 503, 599)
const options = fc.constantFrom(RFC_OPTIONS, SHARED)

function settled(
  request: HeaderList,
  response: HeaderList,
  code: number,
  with_: PolicyOptions,
  stored: ResponseMeta | null = null,
): Outcome {
  const head = { method: 'GET', url: 'http://a.test/', headers: request }
  return settle({
    request: head,
    stored,
    response: { status: code, statusText: '', headers: response },
    requestTime: NOW,
    responseTime: NOW + 100,
    options: with_,
    random: 0,
  })
}

function metaOf(outcome: Outcome): ResponseMeta | null {
  if (outcome.kind !== 'store') return null
  return {
    kind: 'response',
    key: 'k',
    method: 'GET',
    url: 'http://a.test/',
    selecting: [],
    status: 200,
    statusText: '',
    headers: outcome.headers,
    requestTime: NOW,
    responseTime: NOW + 100,
    terms: outcome.terms,
    tags: [],
    parts: null,
    total: null,
    decoded: false,
  }
}

const stored = fc
  .tuple(headers, options)
  .map(([list, with_]) => metaOf(settled([], list, 200, with_)))
  .filter((meta) => meta !== null)
const request = (list: HeaderList): { method: string; url: string; headers: HeaderList } => ({
  method: 'GET',
  url: 'http://a.test/',
  headers: list,
})
const planned = (
  meta: ResponseMeta,
  list: HeaderList,
  now: number,
  with_: PolicyOptions = RFC_OPTIONS,
): ReturnType<typeof plan> =>
  plan(request(list), DEMAND, { meta, size: 10, invalidated: false, variants: [] }, now, with_)
const has = (list: HeaderList, word: string): boolean =>
  list.some(([name, value]) => name === 'cache-control' && value.split(', ').includes(word))

test('settle and plan answer for any headers, statuses and instants', () => {
  fc.assert(
    fc.property(
      headers,
      headers,
      status,
      options,
      fc.integer({ min: -1e7, max: 1e7 }),
      (ask, reply, code, with_, shift) => {
        const meta = metaOf(settled(ask, reply, code, with_))
        if (meta) planned(meta, ask, NOW + shift, with_)
      },
    ),
    { numRuns: 2000 },
  )
})

test('section 3: no-store is never stored, unless must-understand is understood', () => {
  fc.assert(
    fc.property(headers, status, options, (reply, code, with_) => {
      if (!has(reply, 'no-store') || has(reply, 'must-understand')) return
      expect(settled([], reply, code, with_).kind).not.toBe('store')
    }),
  )
})

test('E75: a shared cache never stores private, E77: nor what sets a cookie', () => {
  fc.assert(
    fc.property(headers, status, (reply, code) => {
      const outcome = settled([], reply, code, SHARED)
      if (has(reply, 'private') || reply.some(([name]) => name === 'set-cookie')) expect(outcome.kind).not.toBe('store')
    }),
  )
})

test('E73, E74: with Authorization, a shared cache stores only what valid public, must-revalidate or s-maxage allows', () => {
  fc.assert(
    fc.property(headers, (reply) => {
      if (settled([['authorization', 'x']], reply, 200, SHARED).kind !== 'store') return
      expect(['public', 'must-revalidate', 's-maxage=20'].some((word) => has(reply, word))).toBe(true)
    }),
  )
})

test('E80: what varies on everything, or malformed, is not stored', () => {
  fc.assert(
    fc.property(headers, options, (reply, with_) => {
      if (reply.some(([name, value]) => name === 'vary' && value.includes('*')))
        expect(settled([], reply, 200, with_).kind).not.toBe('store')
    }),
  )
})

test('407 and 304 are never stored', () => {
  fc.assert(
    fc.property(headers, fc.constantFrom(407, 304), options, (reply, code, with_) => {
      expect(settled([], reply, code, with_).kind).not.toBe('store')
    }),
  )
})

test('section 4.2: no hit at or after the end of freshness, and none with no-cache', () => {
  fc.assert(
    fc.property(stored, headers, fc.integer({ min: 0, max: 1e6 }), (meta, ask, seconds) => {
      const now = NOW + 100 + seconds * 1000
      const decided = planned(meta, ask, now)
      if (decided.kind !== 'hit') return
      expect(now < freshUntil(meta)).toBe(true)
      expect(meta.terms.noCache).toBe(false)
    }),
  )
})

test('section 4.2.4: never stale under must-revalidate', () => {
  fc.assert(
    fc.property(stored, headers, fc.integer({ min: 0, max: 1e6 }), (meta, ask, seconds) => {
      if (meta.terms.mustRevalidate) expect(planned(meta, ask, NOW + seconds * 1000).kind).not.toBe('stale')
    }),
  )
})

test('E3: request directives narrow: what is revalidated without them is no hit with them', () => {
  fc.assert(
    fc.property(stored, cacheControl, fc.integer({ min: 0, max: 1e5 }), (meta, ask, seconds) => {
      const now = NOW + 100 + seconds * 1000
      if (planned(meta, [], now).kind !== 'hit') expect(planned(meta, [ask], now).kind).not.toBe('hit')
    }),
  )
})

test('section 4.2.3: age never falls as time goes on, is never negative, and never below the initial age', () => {
  fc.assert(
    fc.property(stored, fc.integer({ min: -1e9, max: 1e9 }), fc.nat(1e9), (meta, shift, more) => {
      const age = currentAge(meta, NOW + shift)
      expect(age).toBeGreaterThanOrEqual(Math.max(0, meta.terms.initialAge))
      expect(currentAge(meta, NOW + shift + more)).toBeGreaterThanOrEqual(age)
    }),
  )
})

test('F92: a Date in the future lengthens nothing', () => {
  fc.assert(
    fc.property(fc.nat(1e6), (ahead) => {
      const meta = metaOf(
        settled(
          [],
          [
            ['cache-control', 'max-age=60'],
            ['date', formatDate(NOW + ahead * 1000)],
          ],
          200,
          RFC_OPTIONS,
        ),
      )
      expect(meta === null ? 0 : freshUntil(meta)).toBeLessThanOrEqual(NOW + 100 + 60_000)
    }),
  )
})

test('an entry is kept at least as long as it is fresh', () => {
  fc.assert(
    fc.property(stored, (meta) => {
      expect(keepUntil(meta)).toBeGreaterThanOrEqual(Math.min(freshUntil(meta), 8.64e15))
    }),
  )
})

test('section 3.2: merging a 304 twice is merging it once, and never doubles a line', () => {
  fc.assert(
    fc.property(headers, headers, (before, update) => {
      const once = merged(before, update)
      expect(merged(once, update)).toEqual(once)
      for (const name of ['content-length', 'content-encoding', 'content-range', 'etag']) {
        expect(once.filter(([n]) => n === name)).toEqual(before.filter(([n]) => n === name))
      }
    }),
  )
})

test('E3: the clamps hold for what the origin limits', () => {
  fc.assert(
    fc.property(fc.nat(1e6), fc.nat(1e5), fc.nat(1e5), (seconds, a, b) => {
      const [minTtl, maxTtl] = [Math.min(a, b), Math.max(a, b)]
      const outcome = settled(
        [],
        [
          ['cache-control', `max-age=${seconds}`],
          ['etag', '"a"'],
        ],
        200,
        { ...RFC_OPTIONS, minTtl, maxTtl },
      )
      if (outcome.kind === 'store') expect(outcome.terms.lifetime).toBe(Math.max(minTtl, Math.min(maxTtl, seconds)))
    }),
  )
})

test('A24: a range answer lies in the body', () => {
  fc.assert(
    fc.property(stored, fc.nat(100), fc.option(fc.nat(100), { nil: '' }), fc.nat(50), (meta, first, last, size) => {
      const reply = answer(request([['range', `bytes=${first}-${last}`]]), meta, size)
      if (reply.kind === 'range')
        expect(reply.first <= reply.last && reply.last < size && reply.offset === reply.first).toBe(true)
    }),
  )
})

test('section 3.4: merged parts are ascending, apart, and hold exactly what was put in', () => {
  const part = fc.tuple(fc.nat(60), fc.nat(20)).map(([first, length]): Part => ({ first, last: first + length }))
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (list) => {
      const all = list.reduce<Part[]>((parts, one) => mergeParts(parts, one), [])
      for (let at = 1; at < all.length; at++)
        expect((all[at]?.first ?? 0) - (all[at - 1]?.last ?? 0)).toBeGreaterThan(1)
      for (let position = 0; position <= 90; position++) {
        const within = (parts: readonly Part[]): boolean =>
          parts.some(({ first, last }) => first <= position && position <= last)
        expect(within(all)).toBe(within(list))
      }
    }),
  )
})

test('section 4.1: a request matches its own selecting headers, and no other value', () => {
  const value = fc.option(fc.constantFrom('a', 'b', 'a, b', 'A'), { nil: null })
  const ask = (field: string | null): HeaderList => (field === null ? [] : [['x', field]])
  fc.assert(
    fc.property(value, value, (a, b) => {
      const chosen = selecting(['x'], request(ask(a)), RFC_OPTIONS)
      expect(matches(chosen, request(ask(a)), RFC_OPTIONS)).toBe(true)
      expect(matches(chosen, request(ask(b)), RFC_OPTIONS)).toBe(a === b)
    }),
  )
})
