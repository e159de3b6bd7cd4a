/** RFC 9213: targeted fields, in a shared cache that is told to obey CDN-Cache-Control. */
import { describe } from 'vitest'
import { at, hit, miss, rows, type Fields, type Row } from './support.ts'

/** Seconds for which a response is fresh in a shared cache; 0: not at all. */
const fresh = (name: string, headers: Fields, seconds: number, more: Partial<Row> = {}): Row => ({
  name: `${name}: ${seconds} s`,
  cache: 'shared',
  steps: [
    miss(headers),
    ...(seconds > 0 ? [hit({ after: seconds - 1 })] : []),
    { from: 'origin', after: seconds > 0 ? 1 : 0 },
  ],
  ...more,
})
const cdn = (value: string | readonly string[], control: string | null = 'no-store', more: Fields = {}): Fields => ({
  'cdn-cache-control': value,
  'cache-control': control,
  ...more,
})

describe('section 2.2: in the place of Cache-Control', () => {
  rows([
    fresh('a targeted lifetime beats Cache-Control', cdn('max-age=60', 'max-age=10'), 60),
    fresh('and no-store there', cdn('max-age=60'), 60),
    fresh('and private there', cdn('max-age=60', 'private'), 60),
    fresh('and s-maxage there', cdn('max-age=60', 's-maxage=600'), 60),
    fresh('and Expires', cdn('max-age=60', null, { expires: at(600) }), 60),
    fresh('a targeted no-store beats a lifetime there', cdn('no-store', 'max-age=60'), 0),
    fresh('a targeted private, too', cdn('private', 'max-age=60'), 0),
    fresh('a targeted no-cache, too', cdn('no-cache', 'max-age=60'), 0),
    fresh('a targeted s-maxage beats a targeted max-age', cdn('max-age=10, s-maxage=60'), 60),
    fresh('where there is no targeted lifetime, that of Cache-Control is none', cdn('public', 'max-age=60'), 0),
    fresh('nor is Expires', cdn('public', null, { expires: at(60) }), 0),
    fresh('a heuristic is', cdn('public', 'max-age=5', { 'last-modified': at(-1000) }), 100),
    fresh('Age counts', cdn('max-age=60', null, { age: '20' }), 40),
    fresh('an unknown directive alone is a field that is there', cdn('unknown', 'max-age=60'), 0),
    fresh('several lines are one dictionary', cdn(['max-age=60', 'public']), 60),
    {
      name: 'a private cache does not look at it',
      cache: 'private',
      steps: [miss(cdn('max-age=60')), { from: 'origin' }],
    },
    {
      name: 'no-store there is none of a private cache’s business',
      cache: 'private',
      steps: [miss(cdn('no-store', 'max-age=60')), hit()],
    },
    {
      name: 'the field itself is passed on',
      cache: 'shared',
      steps: [miss(cdn('max-age=60')), hit({ sees: { 'cdn-cache-control': 'max-age=60' } })],
    },
    {
      name: 'must-revalidate there forbids stale answers',
      cache: 'shared',
      options: { staleIfError: true },
      steps: [
        miss(cdn('max-age=10, must-revalidate', 'max-age=600')),
        { after: 20, from: 'origin', origin: { status: 500 }, status: 500 },
      ],
    },
    {
      name: 'stale-if-error there',
      cache: 'shared',
      steps: [miss(cdn('max-age=10, stale-if-error=60')), { after: 20, from: 'stale', origin: { status: 500 } }],
    },
  ])
  const mine = { options: { targets: ['example-cache-control', 'cdn-cache-control'] } }
  rows([
    fresh(
      'the first of the list that is there',
      { 'example-cache-control': 'max-age=60', 'cdn-cache-control': 'max-age=10' },
      60,
      mine,
    ),
    fresh('the next where the first is not there', { 'cdn-cache-control': 'max-age=60' }, 60, mine),
    fresh(
      'the next where the first is not valid',
      { 'example-cache-control': 'max-age=', 'cdn-cache-control': 'max-age=60' },
      60,
      mine,
    ),
    fresh(
      'the next where the first is empty',
      { 'example-cache-control': '', 'cdn-cache-control': 'max-age=60' },
      60,
      mine,
    ),
    fresh('not both together', { 'example-cache-control': 'public', 'cdn-cache-control': 'max-age=60' }, 0, mine),
  ])
})

describe('section 2.1: a dictionary structured field', () => {
  rows([
    ...[
      'max-age =60',
      'max-age= 60',
      'max-age=60,',
      ',max-age=60',
      'max-age=60, , public',
      'MAX-AGE=60',
      'Max-Age=60',
      'max-age=60, &',
      'max-age="60',
      'max-age=60 public',
      "max-age='60'",
      'max-age=60;',
    ].map((value) => fresh(`${value} does not parse, and is ignored`, cdn(value, 'max-age=30'), 30)),
    fresh('an empty field is ignored', cdn('', 'max-age=30'), 30),
    fresh('the last of two lifetimes counts', cdn('max-age=10, max-age=60'), 60),
    fresh('parameters mean nothing', cdn('max-age=60;a=1;b'), 60),
    fresh('white space around commas', cdn('max-age=60 \t,\t public'), 60),
    fresh('no-store=?0 is no no-store', cdn('max-age=60, no-store=?0'), 60),
    fresh('no-store=?1 is', cdn('max-age=60, no-store=?1', 'max-age=30'), 0),
    fresh('private=?0 is no private', cdn('private=?0, max-age=60'), 60),
    fresh('a lifetime as a String is none: the field is ignored', cdn('max-age="60"', 'max-age=30'), 30),
    fresh('as a Decimal, likewise', cdn('max-age=60.0', 'max-age=30'), 30),
    fresh('as a Token', cdn('max-age=x60', 'max-age=30'), 30),
    fresh('as a Boolean', cdn('max-age', 'max-age=30'), 30),
    fresh('as an Inner List', cdn('max-age=(60)', 'max-age=30'), 30),
    fresh('a negative Integer is a lifetime of nothing', cdn('max-age=-60', 'max-age=30'), 0),
    fresh('an Inner List is no list of fields: private', cdn('max-age=60, private=("x-a")', 'max-age=30'), 0),
    fresh('no-store', cdn('max-age=60, no-store=()', 'max-age=30'), 0),
    fresh('and no-cache count without it', cdn('max-age=60, no-cache=("x-a")', 'max-age=30'), 0),
    fresh('fields of private as a String', cdn('max-age=60, private="x-a"'), 60),
  ])
})
