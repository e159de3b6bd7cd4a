/** RFC 9111 section 4.2.4, RFC 5861, RFC 8246: serving stale, and not asking again. */
import { describe } from 'vitest'
import { hit, miss, rows, validated, type Answer, type Fields, type Row, type Step } from './support.ts'

const stored = (control: string, more: Fields = {}): Step => miss({ 'cache-control': control, etag: '"1"', ...more })
const failing = (origin: Answer, after: number, from: Step['from']): Step => ({
  after,
  origin,
  from,
  ...(from === 'origin' && typeof origin === 'object' ? { status: origin.status ?? 200 } : {}),
})

describe('section 4.2.4: stale responses', () => {
  const row = (name: string, control: string, step: Step, cache: Row['cache'] = 'both'): Row => ({
    name,
    cache,
    steps: [stored(control), step],
  })
  rows([
    row('are not served unasked when the origin fails', 'max-age=10', failing('fails', 20, 'error')),
    row('nor when it answers 500', 'max-age=10', failing({ status: 500 }, 20, 'origin')),
    row('nor under must-revalidate', 'max-age=10, must-revalidate', failing('fails', 20, 'error')),
    row('nor under no-cache', 'max-age=10, no-cache', failing('fails', 1, 'error')),
    row('must-revalidate leaves fresh ones alone', 'max-age=10, must-revalidate', hit({ after: 9 })),
    row('proxy-revalidate leaves fresh ones alone', 'max-age=10, proxy-revalidate', hit({ after: 9 })),
    row('s-maxage leaves fresh ones alone', 's-maxage=10', hit({ after: 9 }), 'shared'),
  ])
  rows([
    {
      name: '5.2.2.2: 504 where must-revalidate forbids stale and the origin cannot be reached',
      options: { serveStaleWhenDisconnected: true },
      steps: [
        stored('max-age=10, must-revalidate'),
        { after: 20, origin: 'fails', from: 'origin', status: 504, body: 'Not Cached\n' },
      ],
    },
    {
      name: '4.2.4: stale where nothing forbids it',
      options: { serveStaleWhenDisconnected: true },
      steps: [stored('max-age=10'), failing('fails', 20, 'stale')],
    },
    {
      name: '5.2.2.8: 504 under proxy-revalidate',
      cache: 'shared',
      options: { serveStaleWhenDisconnected: true },
      steps: [
        stored('max-age=10, proxy-revalidate'),
        { after: 20, origin: 'fails', from: 'origin', status: 504, body: 'Not Cached\n' },
      ],
    },
    {
      name: '5.2.2.8: which is nothing to a private cache',
      cache: 'private',
      options: { serveStaleWhenDisconnected: true },
      steps: [stored('max-age=10, proxy-revalidate'), failing('fails', 20, 'stale')],
    },
    {
      name: '5.2.2.10: 504 under s-maxage',
      cache: 'shared',
      options: { serveStaleWhenDisconnected: true },
      steps: [stored('s-maxage=10'), { after: 20, origin: 'fails', from: 'origin', status: 504, body: 'Not Cached\n' }],
    },
  ])
})

describe('RFC 5861 section 4: stale-if-error', () => {
  const row = (name: string, control: string, step: Step, cache: Row['cache'] = 'both'): Row => ({
    name,
    cache,
    steps: [stored(control), step],
  })
  rows([
    row('the origin fails', 'max-age=10, stale-if-error=20', failing('fails', 29, 'stale')),
    ...[500, 502, 503, 504].map((status) =>
      row(`the origin answers ${status}`, 'max-age=10, stale-if-error=20', failing({ status }, 29, 'stale')),
    ),
    ...[501, 505, 511, 599].map((status) =>
      row(`${status} is no error to it`, 'max-age=10, stale-if-error=20', failing({ status }, 20, 'origin')),
    ),
    {
      ...row('a user means any server error', 'max-age=10', failing({ status: 599 }, 20, 'stale')),
      options: { staleIfError: '1m' },
    },
    row('within its window', 'max-age=10, stale-if-error=20', failing({ status: 503 }, 30, 'stale')),
    row('not beyond', 'max-age=10, stale-if-error=20', failing({ status: 503 }, 31, 'origin')),
    row('not for a 404', 'max-age=10, stale-if-error=20', failing({ status: 404 }, 20, 'origin')),
    row('not for a 200', 'max-age=10, stale-if-error=20', failing({ status: 200 }, 20, 'origin')),
    row('as a quoted string', 'max-age=10, stale-if-error="20"', failing({ status: 503 }, 29, 'stale')),
    row('an argument that is none', 'max-age=10, stale-if-error=x', failing({ status: 503 }, 11, 'origin')),
    row('without an argument', 'max-age=10, stale-if-error', failing({ status: 503 }, 11, 'origin')),
    row(
      'not under must-revalidate',
      'max-age=10, stale-if-error=20, must-revalidate',
      failing({ status: 503 }, 20, 'origin'),
    ),
    row('not under no-cache', 'no-cache, stale-if-error=20', failing({ status: 503 }, 1, 'origin')),
    row(
      'not under s-maxage in a shared cache',
      's-maxage=10, stale-if-error=20',
      failing({ status: 503 }, 20, 'origin'),
      'shared',
    ),
    row('fresh responses are answered without asking', 'max-age=10, stale-if-error=20', hit({ after: 9 })),
    {
      name: 'a good answer ends it',
      steps: [
        stored('max-age=10, stale-if-error=20'),
        failing({ status: 503 }, 20, 'stale'),
        validated({ etag: '"1"', 'cache-control': 'max-age=10' }),
        hit({ after: 9 }),
      ],
    },
  ])
})

describe('RFC 5861 section 3: stale-while-revalidate', () => {
  const swr = 'max-age=10, stale-while-revalidate=20'
  rows([
    {
      name: 'stale at once, validated behind, fresh after',
      steps: [
        stored(swr),
        {
          after: 20,
          from: 'stale',
          origin: { status: 304, headers: { etag: '"1"' } },
          sent: { 'if-none-match': '"1"' },
          sees: { age: '20' },
        },
        hit({ after: 9, sees: { age: '9' } }),
      ],
    },
    {
      name: 'a new response behind takes its place',
      steps: [
        stored(swr),
        { after: 20, from: 'stale', origin: { headers: { 'cache-control': 'max-age=10' } }, body: 'body 1' },
        hit({ body: 'body 2' }),
      ],
    },
    {
      name: 'in the last second of its window',
      steps: [stored(swr), { after: 30, from: 'stale', origin: { status: 304, headers: { etag: '"1"' } } }],
    },
    { name: 'not beyond', steps: [stored(swr), validated({ etag: '"1"' }, { after: 31 })] },
    { name: 'not while it is fresh', steps: [stored(swr), hit({ after: 9 })] },
    {
      name: 'not under must-revalidate',
      steps: [stored(`${swr}, must-revalidate`), validated({ etag: '"1"' }, { after: 20 })],
    },
    { name: 'not under no-cache', steps: [stored(`${swr}, no-cache`), validated({ etag: '"1"' }, { after: 20 })] },
    {
      name: 'not under proxy-revalidate in a shared cache',
      cache: 'shared',
      steps: [stored(`${swr}, proxy-revalidate`), validated({ etag: '"1"' }, { after: 20 })],
    },
    {
      name: '5.2.2.10: nor under s-maxage there, which means proxy-revalidate, too',
      cache: 'shared',
      steps: [
        stored('s-maxage=10, stale-while-revalidate=20'),
        validated({ etag: '"1"' }, { after: 20, ask: { headers: { 'cache-control': 'max-stale' } } }),
      ],
    },
    {
      name: 'not where the request wants no-cache',
      steps: [
        stored(swr),
        validated({ etag: '"1"' }, { after: 20, ask: { headers: { 'cache-control': 'no-cache' } } }),
      ],
    },
    {
      name: 'not where the request limits the age',
      steps: [
        stored(swr),
        validated({ etag: '"1"' }, { after: 20, ask: { headers: { 'cache-control': 'max-age=5' } } }),
      ],
    },
    {
      name: 'an argument that is none',
      steps: [stored('max-age=10, stale-while-revalidate=x'), validated({ etag: '"1"' }, { after: 11 })],
    },
    {
      name: 'beside max-age=0',
      steps: [
        stored('max-age=0, stale-while-revalidate=20'),
        { after: 5, from: 'stale', origin: { status: 304, headers: { etag: '"1"' } } },
      ],
    },
  ])
})

describe('RFC 8246: immutable', () => {
  rows([
    { name: 'is no lifetime', steps: [miss({ 'cache-control': 'immutable' }), { from: 'origin' }] },
    {
      name: 'ends with freshness',
      steps: [stored('max-age=10, immutable'), hit({ after: 9 }), validated({ etag: '"1"' }, { after: 1 })],
    },
    { name: 'with an argument it is none, and harms nothing', steps: [stored('max-age=10, immutable=x'), hit()] },
    {
      name: 'does not hold against no-cache of the response',
      steps: [stored('max-age=10, immutable, no-cache'), validated({ etag: '"1"' })],
    },
  ])
})
