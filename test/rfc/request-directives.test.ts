/** RFC 9111 sections 5.2.1 and 5.4: what a request says to a cache. */
import { describe } from 'vitest'
import { hit, miss, rows, validated, type Ask, type Fields, type Row, type Step } from './support.ts'

const FRESH: Fields = { 'cache-control': 'max-age=60', etag: '"1"' }
const says = (value: string, more: Record<string, string> = {}): Ask => ({
  headers: { 'cache-control': value, ...more },
})

interface Case {
  readonly says: string
  /** Seconds since it was stored, fresh for 60. */
  readonly after: number
  readonly from: 'store' | 'validated' | 'cache' | 'origin'
  readonly stored?: Fields
  readonly cache?: Row['cache']
}

const table = (list: readonly Case[]): void =>
  rows(
    list.map(({ says: value, after, from, stored = {}, cache = 'both' }): Row => {
      const first = miss({ ...FRESH, ...stored })
      const ask = says(value)
      const next: Step = from === 'validated' ? validated({ etag: '"1"' }, { ask, after }) : { ask, after, from }
      const what = stored['cache-control'] === undefined ? '' : ` (stored: ${String(stored['cache-control'])})`
      return { name: `${value}${what}, after ${after} s: ${from}`, cache, steps: [first, next] }
    }),
  )

describe('5.2.1.1: max-age', () => {
  table([
    { says: 'max-age=30', after: 30, from: 'store' },
    { says: 'max-age=30', after: 31, from: 'validated' },
    { says: 'max-age=0', after: 1, from: 'validated' },
    // Also in the very millisecond in which the answer came.
    { says: 'max-age=0', after: 0, from: 'validated' },
    { says: 'max-age=600', after: 61, from: 'validated' },
    { says: 'max-age="30"', after: 31, from: 'validated' },
    { says: 'max-age=x', after: 1, from: 'validated' },
    { says: 'max-age', after: 1, from: 'validated' },
    { says: 'Max-Age=30', after: 31, from: 'validated' },
    { says: 'max-age=5', after: 0, stored: { age: '10' }, from: 'validated' },
    { says: `max-age=${'9'.repeat(30)}`, after: 30, from: 'store' },
    { says: 's-maxage=5', after: 10, from: 'store' },
    // A limit on the age is no limit on staleness: max-stale does not lengthen it.
    { says: 'max-age=10, max-stale=5', after: 10, from: 'store' },
    { says: 'max-age=10, max-stale=5', after: 12, from: 'validated' },
    { says: 'max-age=70, max-stale=10', after: 70, from: 'store' },
    { says: 'max-age=70, max-stale=10', after: 71, from: 'validated' },
    { says: 'max-age=600, max-stale=10', after: 71, from: 'validated' },
    // Who says nothing of max-stale wants nothing stale, though it might be had while it is revalidated.
    {
      says: 'max-age=600',
      after: 61,
      stored: { 'cache-control': 'max-age=60, stale-while-revalidate=60' },
      from: 'validated',
    },
  ])
})

describe('5.2.1.2: max-stale', () => {
  table([
    { says: 'max-stale=10', after: 70, from: 'store' },
    { says: 'max-stale=10', after: 71, from: 'validated' },
    { says: 'max-stale', after: 100_000, from: 'store' },
    { says: 'max-stale=x', after: 61, from: 'validated' },
    { says: 'max-stale=-1', after: 61, from: 'validated' },
    { says: 'max-stale=', after: 61, from: 'validated' },
    { says: 'max-stale="10"', after: 70, from: 'store' },
    { says: 'max-stale', after: 61, stored: { 'cache-control': 'max-age=60, must-revalidate' }, from: 'validated' },
    {
      says: 'max-stale',
      after: 61,
      stored: { 'cache-control': 'max-age=60, proxy-revalidate' },
      cache: 'shared',
      from: 'validated',
    },
    {
      says: 'max-stale',
      after: 61,
      stored: { 'cache-control': 'max-age=60, proxy-revalidate' },
      cache: 'private',
      from: 'store',
    },
    { says: 'max-stale', after: 61, stored: { 'cache-control': 's-maxage=60' }, cache: 'shared', from: 'validated' },
    { says: 'max-stale', after: 1, stored: { 'cache-control': 'max-age=60, no-cache' }, from: 'validated' },
    { says: 'max-stale, no-cache', after: 1, from: 'validated' },
    { says: 'max-stale=100, min-fresh=10', after: 10, from: 'store' },
    {
      says: 'max-stale=5',
      after: 66,
      stored: { 'cache-control': 'max-age=60, stale-while-revalidate=60' },
      from: 'validated',
    },
    { says: 'max-stale=5, max-stale', after: 66, from: 'validated' },
    { says: 'max-stale=x, max-stale', after: 66, from: 'validated' },
  ])
  rows([
    {
      name: 'a stale answer says how old it is',
      steps: [miss(FRESH), hit({ ask: says('max-stale'), after: 90, sees: { age: '90' } })],
    },
  ])
})

describe('5.2.1.3: min-fresh', () => {
  table([
    { says: 'min-fresh=10', after: 50, from: 'store' },
    { says: 'min-fresh=10', after: 51, from: 'validated' },
    { says: 'min-fresh=61', after: 0, from: 'validated' },
    { says: 'min-fresh=0', after: 59, from: 'store' },
    { says: 'min-fresh=30, min-fresh=0', after: 50, from: 'validated' },
    { says: `min-fresh=${'9'.repeat(30)}`, after: 0, from: 'validated' },
  ])
})

describe('5.2.1.4, 5.4: no-cache and Pragma', () => {
  table([
    { says: 'no-cache', after: 1, from: 'validated' },
    { says: 'NO-CACHE', after: 1, from: 'validated' },
    { says: 'no-cache="x"', after: 1, from: 'validated' },
    { says: 'max-age=100, no-cache', after: 1, from: 'validated' },
    { says: 'no-transform', after: 1, from: 'store' },
    { says: 'unknown, x=no-cache', after: 1, from: 'store' },
  ])
  const pragma = (value: string, more: Record<string, string> = {}): Ask => ({ headers: { pragma: value, ...more } })
  rows([
    { name: 'Pragma: no-cache', steps: [miss(FRESH), validated({ etag: '"1"' }, { ask: pragma('no-cache') })] },
    { name: 'Pragma: x, No-Cache', steps: [miss(FRESH), validated({ etag: '"1"' }, { ask: pragma('x, No-Cache') })] },
    {
      name: 'Pragma counts for nothing beside Cache-Control',
      steps: [miss(FRESH), hit({ ask: pragma('no-cache', { 'cache-control': 'max-age=60' }) })],
    },
    { name: 'other Pragmas mean nothing', steps: [miss(FRESH), hit({ ask: pragma('xno-cache') })] },
    {
      name: 'no-cache renews what is stored',
      steps: [miss(FRESH), validated({ etag: '"1"' }, { ask: says('no-cache'), after: 50 }), hit({ after: 59 })],
    },
    {
      name: 'no-cache without a validator: the whole',
      steps: [
        miss({ 'cache-control': 'max-age=60' }),
        { ask: says('no-cache'), from: 'origin', origin: { headers: { 'cache-control': 'max-age=60' } } },
        hit({ body: 'body 2' }),
      ],
    },
  ])
})

describe('5.2.1.5: no-store', () => {
  rows([
    {
      name: 'leaves what is stored',
      steps: [miss(FRESH), { ask: says('no-store'), from: 'origin' }, hit({ body: 'body 1' })],
    },
    {
      name: 'its answer is not stored',
      steps: [{ ask: says('no-store'), from: 'origin', origin: { headers: FRESH } }, { from: 'origin' }],
    },
  ])
})

describe('5.2.1.7: only-if-cached', () => {
  rows([
    { name: 'nothing stored: 504', steps: [{ ask: says('only-if-cached'), from: 'cache' }] },
    { name: 'fresh: the stored response', steps: [miss(FRESH), hit({ ask: says('Only-If-Cached') })] },
    { name: 'stale: 504', steps: [miss(FRESH), { ask: says('only-if-cached'), after: 61, from: 'cache' }] },
    {
      name: 'stale, with max-stale: the stored response',
      steps: [miss(FRESH), hit({ ask: says('only-if-cached, max-stale=10'), after: 70 })],
    },
    {
      name: 'no-cache stored: 504',
      steps: [
        miss({ ...FRESH, 'cache-control': 'max-age=60, no-cache' }),
        { ask: says('only-if-cached'), from: 'cache' },
      ],
    },
    {
      name: 'older than the request allows: 504',
      steps: [miss(FRESH), { ask: says('only-if-cached, max-age=5'), after: 6, from: 'cache' }],
    },
    { name: 'with no-cache: 504', steps: [miss(FRESH), { ask: says('only-if-cached, no-cache'), from: 'cache' }] },
    {
      name: 'an unsafe method is not forwarded either',
      steps: [{ ask: { method: 'POST', ...says('only-if-cached') }, from: 'cache' }],
    },
    {
      name: 'another variant: 504',
      steps: [miss({ ...FRESH, vary: 'x-a' }), { ask: says('only-if-cached', { 'x-a': '1' }), from: 'cache' }],
    },
    { name: 'the 504 is not stored', steps: [{ ask: says('only-if-cached'), from: 'cache' }, { from: 'origin' }] },
  ])
})

describe('RFC 5861 section 4: stale-if-error in a request', () => {
  rows([
    {
      name: 'the origin fails',
      steps: [
        miss(FRESH),
        { ask: says('stale-if-error=30'), after: 80, origin: 'fails', from: 'stale', sees: { age: '80' } },
      ],
    },
    ...[500, 502, 503, 504].map((status): Row => ({
      name: `the origin answers ${status}`,
      steps: [miss(FRESH), { ask: says('stale-if-error=30'), after: 80, origin: { status }, from: 'stale' }],
    })),
    {
      name: 'beyond its window: the error',
      steps: [
        miss(FRESH),
        { ask: says('stale-if-error=30'), after: 91, origin: { status: 500 }, from: 'origin', status: 500 },
      ],
    },
    {
      name: 'not against must-revalidate',
      steps: [
        miss({ ...FRESH, 'cache-control': 'max-age=60, must-revalidate' }),
        { ask: says('stale-if-error=30'), after: 80, origin: { status: 500 }, from: 'origin', status: 500 },
      ],
    },
    {
      name: 'nor against no-cache',
      steps: [
        miss({ ...FRESH, 'cache-control': 'max-age=60, no-cache' }),
        { ask: says('stale-if-error=30'), after: 10, origin: { status: 500 }, from: 'origin', status: 500 },
      ],
    },
    {
      name: 'nor for a 404',
      steps: [
        miss(FRESH),
        { ask: says('stale-if-error=30'), after: 80, origin: { status: 404 }, from: 'origin', status: 404 },
      ],
    },
  ])
})
