/** The short way through metadata and the whole one: where the short one answers, both say the same. */
import { expect, it } from 'vitest'
import type { ResponseMeta } from '../policy/decision.ts'
import { isTrusted, isValidMeta } from './meta.ts'
import { plainMeta } from './plain-meta.ts'
import { decodeMetaText } from './record.ts'

const PLAIN: ResponseMeta = {
  kind: 'response',
  key: 'GET https://example.org/ü?a=1',
  method: 'GET',
  url: 'https://example.org/ü?a=1',
  selecting: [],
  status: 200,
  statusText: 'OK, fine',
  headers: [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['etag', '"a\\b\u00ff"'],
    ['x-empty', ''],
  ],
  requestTime: 1_700_000_000_000,
  responseTime: 1_700_000_000_123,
  terms: {
    lifetime: 60.5,
    source: 'max-age',
    initialAge: 0.013,
    noCache: false,
    mustRevalidate: false,
    immutable: false,
    staleWhileRevalidate: 0,
    staleIfError: 0,
  },
  tags: [],
  parts: null,
  total: null,
  decoded: true,
}

/** What the whole way makes of a text: null where it refuses it. */
function whole(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return isValidMeta(value) ? value : null
  } catch {
    return null
  }
}

it('takes what the cache writes for a plain response, as it is', () => {
  for (const meta of [PLAIN, { ...PLAIN, headers: [], status: 404, decoded: false }, { ...PLAIN, total: 600_000 }]) {
    const found = plainMeta(JSON.stringify(meta))
    expect(found).toEqual(meta)
    expect(Object.keys(found ?? {})).toEqual(Object.keys(meta))
    expect(isTrusted(found)).toBe(true)
    expect(decodeMetaText(JSON.stringify(meta))).toEqual(meta)
  }
})

it('leaves everything else to the whole way', () => {
  const others: object[] = [
    { ...PLAIN, selecting: [['accept', null]] },
    { ...PLAIN, tags: ['a'] },
    { ...PLAIN, parts: [{ first: 0, last: 1 }], total: 2 },
    { ...PLAIN, headers: [['x', 'a\tb']] },
    { ...PLAIN, url: 'https://example.org/"' },
    { ...PLAIN, extra: 1 },
    { kind: 'mark', key: 'k', at: 1, mode: 'stale' },
  ]
  for (const meta of others) {
    expect(plainMeta(JSON.stringify(meta))).toBe(null)
    expect(decodeMetaText(JSON.stringify(meta))).toEqual(meta)
  }
})

it('145: text of any length is read, or is corrupt', () => {
  for (const value of ['a'.repeat(65_536), 'a'.repeat(20_000_000)]) {
    const text = JSON.stringify({ ...PLAIN, headers: [['x', value]] })
    expect(decodeMetaText(text)).toMatchObject({ headers: [['x', value]] })
    expect(() => decodeMetaText(text.slice(0, -1))).toThrow('corrupt')
  }
})

it('B30, 129: accepts nothing that the whole way refuses', () => {
  const wrong: object[] = [
    { ...PLAIN, headers: [['x', 'a\r\nset-cookie: b']] },
    { ...PLAIN, headers: [['x y', 'a']] },
    { ...PLAIN, headers: [['', 'a']] },
    { ...PLAIN, headers: [['x', '\u0100']] },
    { ...PLAIN, headers: [['x', '\u007f']] },
    { ...PLAIN, headers: [['x']] },
    { ...PLAIN, headers: [['x', null]] },
    { ...PLAIN, statusText: 'a\nb' },
    { ...PLAIN, statusText: '\u007f' },
    { ...PLAIN, status: 199 },
    { ...PLAIN, status: 600 },
    { ...PLAIN, status: 200.5 },
    { ...PLAIN, requestTime: '1' },
    { ...PLAIN, terms: { ...PLAIN.terms, lifetime: null } },
    { ...PLAIN, terms: { ...PLAIN.terms, noCache: 'no' } },
    { ...PLAIN, terms: { ...PLAIN.terms, keep: '1' } },
    { ...PLAIN, terms: {} },
    { ...PLAIN, terms: [] },
    { ...PLAIN, decoded: 1 },
  ]
  for (const meta of wrong) {
    const text = JSON.stringify(meta)
    expect(whole(text), text).toBe(null)
    expect(plainMeta(text), text).toBe(null)
    expect(() => decodeMetaText(text)).toThrow('corrupt')
  }
})

it('agrees with the whole way on text with any character left out, doubled or changed', () => {
  const text = JSON.stringify(PLAIN)
  const characters = ['"', '\\', ',', '[', ']', '{', '}', '0', '-', 'e', ' ', '\n', '\u007f', '\u0100', ':', 'null']
  for (let at = 0; at <= text.length; at++) {
    const [before, after] = [text.slice(0, at), text.slice(at + 1)]
    for (const changed of [
      before + after,
      ...characters.flatMap((c) => [before + c + after, before + c + text.slice(at)]),
    ]) {
      const found = plainMeta(changed)
      if (found !== null) expect(found, changed).toEqual(whole(changed))
    }
  }
})
