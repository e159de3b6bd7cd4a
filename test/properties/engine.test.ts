/** Properties of the engine: the fast lane says only what policy says; keys never collide; redaction leaves nothing behind. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { entryHead } from '../../src/engine/keeper.ts'
import { primaryKey, plainKey } from '../../src/engine/key.ts'
import { inlineBody } from '../../src/engine/bytes.ts'
import { isPlainHit } from '../../src/engine/plain-hit.ts'
import { redactUrl } from '../../src/engine/redact.ts'
import type { KeyOptions } from '../../src/engine/exchange.ts'
import type { ResponseMeta } from '../../src/policy/decision.ts'
import { FOREVER, RFC_OPTIONS } from '../../src/policy/options.ts'
import { plan } from '../../src/policy/plan.ts'

const KEY: KeyOptions = {
  sortParams: false,
  ignoredParams: new Set(),
  matchHeaders: [],
  identityHeaders: ['authorization'],
  keyFn: null,
}
const NOW = 1_800_000_000_000

const meta: fc.Arbitrary<ResponseMeta> = fc.record({
  kind: fc.constant('response' as const),
  key: fc.constant('GET http://a.test/'),
  method: fc.constantFrom('GET', 'HEAD'),
  url: fc.constant('http://a.test/'),
  selecting: fc.constantFrom([], [['accept', null] as const]),
  status: fc.constantFrom(200, 301, 404),
  statusText: fc.constant(''),
  headers: fc.constantFrom([], [['etag', '"a"'] as const]),
  requestTime: fc.constant(NOW - 5),
  responseTime: fc.constant(NOW),
  terms: fc.record({
    lifetime: fc.constantFrom(0, 1, 60, FOREVER),
    source: fc.constant('max-age' as const),
    initialAge: fc.constantFrom(0, 0.5, 30),
    noCache: fc.boolean(),
    mustRevalidate: fc.boolean(),
    immutable: fc.boolean(),
    staleWhileRevalidate: fc.constantFrom(0, 30),
    staleIfError: fc.constant(0),
  }),
  tags: fc.constantFrom([], ['t']),
  parts: fc.constantFrom(null, [{ first: 0, last: 1 }]),
  total: fc.constant(null),
  decoded: fc.boolean(),
})

test('the fast lane hits only where policy hits with the whole entry', () => {
  fc.assert(
    fc.property(meta, fc.integer({ min: -100_000, max: 200_000 }), (stored, shift) => {
      const now = NOW + shift
      const entry = { ...entryHead(stored), version: 1, body: inlineBody(new Uint8Array(2)) }
      if (!isPlainHit(entry, now)) return
      const request = { method: 'GET', url: 'http://a.test/', headers: [] }
      const demand = { mode: 'default', refresh: false, forceRefresh: false, onlyIfCached: false } as const
      const decided = plan(
        request,
        demand,
        { meta: stored, size: 2, invalidated: false, variants: [] },
        now,
        RFC_OPTIONS,
      )
      expect([decided.kind, decided.kind === 'hit' && decided.answer.kind]).toEqual(['hit', 'whole'])
    }),
    { numRuns: 3000 },
  )
})

const part = fc.string({ unit: fc.constantFrom('a', 'b', '|', '&', '=', '1', ' ', '\n', '\0') })
const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'QUERY'),
  path: part.map((text) => encodeURIComponent(text)),
  query: part.map((text) => encodeURIComponent(text)),
  body: fc.option(
    part.map((text) => new TextEncoder().encode(text)),
    { nil: null },
  ),
  type: fc.constantFrom('application/json', 'application/x-www-form-urlencoded', 'text/plain'),
  user: fc.option(part, { nil: null }),
})

test('G100, G101: two different requests never share a key', async () => {
  await fc.assert(
    fc.asyncProperty(request, request, async (a, b) => {
      const keyOf = async (r: typeof a): Promise<string> => {
        const headers = [
          ['content-type', r.type] as const,
          ...(r.user === null ? [] : [['authorization', r.user] as const]),
        ]
        return primaryKey(
          { method: r.method, url: `http://a.test/${r.path}?q=${r.query}`, headers },
          r.body,
          KEY,
          false,
        )
      }
      const differ = a.method !== b.method || a.path !== b.path || a.query !== b.query || a.user !== b.user
      if (differ) expect(await keyOf(a)).not.toBe(await keyOf(b))
      else if (a.body === null || b.body === null) expect((await keyOf(a)) === (await keyOf(b))).toBe(a.body === b.body)
    }),
    { numRuns: 2000 },
  )
})

test('row 51: JSON bodies: key order means nothing, everything else does', async () => {
  const keyOf = async (value: unknown): Promise<string> =>
    primaryKey(
      { method: 'POST', url: 'http://a.test/', headers: [['content-type', 'application/json']] },
      new TextEncoder().encode(JSON.stringify(value)),
      KEY,
      false,
    )
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (object) => {
      const shuffled = Object.fromEntries(Object.entries(object).toReversed())
      expect(await keyOf(shuffled)).toBe(await keyOf(object))
    }),
  )
  const different = await Promise.all(
    [1, '1', null, 'None', [], {}, [1, 2], [2, 1], { a: '1&b=2' }, { a: '1', b: '2' }, 0, false].map(keyOf),
  )
  expect(new Set(different).size).toBe(different.length)
})

test('K2: the plain key of a URL is its key, and a trailing ? means nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.webUrl({ withQueryParameters: true }), async (text) => {
      const url = new URL(text).href
      const plain = plainKey(url)
      if (plain !== null) expect(await primaryKey({ method: 'GET', url, headers: [] }, null, KEY, false)).toBe(plain)
      if (!url.includes('?')) expect(plainKey(`${url}?`)).toBe(plain)
    }),
  )
})

test('K3: no value of an ignored or sensitive parameter is left in a URL or a key', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.stringMatching(/^SECRET[a-z0-9]{8}$/),
      fc.constantFrom('token', 'TOKEN', 'access_token', 'api%5Fkey'),
      async (secret, name) => {
        const url = `http://a.test/?x=1&${name}=${secret}&y=2`
        const ignored = new Set(['token'])
        expect(redactUrl(url, ignored)).not.toContain(secret)
        expect(redactUrl(url, ignored)).toContain('x=1')
        expect(
          await primaryKey({ method: 'GET', url, headers: [] }, null, { ...KEY, ignoredParams: ignored }, false),
        ).not.toContain(secret)
      },
    ),
  )
})
