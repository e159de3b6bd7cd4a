/** RFC 9111 sections 4.2.1 to 4.2.3, 5.1, 5.3: for how long a response is fresh, and how old it is. */
import { describe } from 'vitest'
import { at, hit, miss, rows, type Fields, type Row } from './support.ts'

interface Case {
  readonly name: string
  readonly headers: Fields
  /** The seconds from its arrival during which it answers; 0: never. */
  readonly fresh: number
  readonly cache?: Row['cache']
  readonly takes?: number
}

/** Each case is a hit in the last second of its freshness, and asked for at its end. */
const fresh = (list: readonly Case[]): void =>
  rows(
    list.map(({ name, headers, fresh: seconds, cache = 'both', takes = 0 }): Row => {
      const first = miss(headers, { origin: { headers, takes } })
      const end = { from: 'origin', after: seconds === 0 ? 0 : 1 } as const
      const more = seconds === 0 ? [] : [hit({ after: seconds - 1 })]
      return { name: `${name}: ${seconds} s`, cache, steps: [first, ...more, end] }
    }),
  )

describe('section 4.2.1: the lifetime', () => {
  fresh([
    { name: 'max-age', headers: { 'cache-control': 'max-age=60' }, fresh: 60 },
    { name: 'max-age=1', headers: { 'cache-control': 'max-age=1' }, fresh: 1 },
    { name: 'max-age=0', headers: { 'cache-control': 'max-age=0' }, fresh: 0 },
    { name: 'max-age with leading zeros', headers: { 'cache-control': 'max-age=060' }, fresh: 60 },
    { name: 'MAX-AGE in any case', headers: { 'cache-control': 'MAX-age=60' }, fresh: 60 },
    { name: 'max-age as a quoted string', headers: { 'cache-control': 'max-age="60"' }, fresh: 60 },
    { name: 'max-age among empty members', headers: { 'cache-control': ',, max-age=60 ,\t,' }, fresh: 60 },
    { name: 'max-age beats Expires', headers: { 'cache-control': 'max-age=60', expires: at(600) }, fresh: 60 },
    {
      name: 'max-age beats Expires in the past',
      headers: { 'cache-control': 'max-age=60', expires: at(-1) },
      fresh: 60,
    },
    { name: 'max-age beats an invalid Expires', headers: { 'cache-control': 'max-age=60', expires: '0' }, fresh: 60 },
    {
      name: 's-maxage beats max-age (shared)',
      headers: { 'cache-control': 'max-age=600, s-maxage=60' },
      fresh: 60,
      cache: 'shared',
    },
    {
      name: 's-maxage beats Expires (shared)',
      headers: { 'cache-control': 's-maxage=60', expires: at(600) },
      fresh: 60,
      cache: 'shared',
    },
    {
      name: 's-maxage=0 beats max-age (shared)',
      headers: { 'cache-control': 's-maxage=0, max-age=60' },
      fresh: 0,
      cache: 'shared',
    },
    {
      name: 's-maxage is nothing to a private cache',
      headers: { 'cache-control': 's-maxage=600, max-age=60' },
      fresh: 60,
      cache: 'private',
    },
    {
      name: 'an invalid s-maxage is nothing to a private cache',
      headers: { 'cache-control': 's-maxage=x, max-age=60' },
      fresh: 60,
      cache: 'private',
    },
    {
      name: 's-maxage, then Expires, in a private cache',
      headers: { 'cache-control': 's-maxage=600', expires: at(60) },
      fresh: 60,
      cache: 'private',
    },
    { name: 'Expires after Date', headers: { expires: at(60) }, fresh: 60 },
    {
      name: 'Expires is measured against Date, not the clock',
      headers: { date: at(-100), expires: at(-40) },
      fresh: 0,
    },
    { name: 'Expires against an early Date, with age', headers: { date: at(-10), expires: at(50) }, fresh: 50 },
    { name: 'Expires against a late Date', headers: { date: at(100), expires: at(160) }, fresh: 60 },
    {
      name: 'Expires without Date is measured against its arrival',
      headers: { date: null, expires: at(60) },
      fresh: 60,
    },
    { name: 'Expires with an invalid Date, likewise', headers: { date: 'now', expires: at(60) }, fresh: 60 },
    { name: 'Expires in letters of any case', headers: { expires: at(60).toUpperCase() }, fresh: 60 },
    { name: 'Expires of the zone UTC is none', headers: { expires: at(60).replace('GMT', 'UTC') }, fresh: 0 },
    { name: 'Expires: 0', headers: { expires: '0' }, fresh: 0 },
    { name: 'Expires: -1', headers: { expires: '-1' }, fresh: 0 },
    { name: 'Expires equal to Date', headers: { expires: at(0) }, fresh: 0 },
    { name: 'Expires before Date', headers: { expires: at(-1) }, fresh: 0 },
    {
      name: 'an invalid Expires is in the past, whatever a heuristic says',
      headers: { expires: 'never', 'last-modified': at(-86_400) },
      fresh: 0,
    },
    { name: 'two different Expires', headers: { expires: [at(60), at(600)] }, fresh: 0 },
    { name: 'of two max-age the first counts', headers: { 'cache-control': 'max-age=60, max-age=600' }, fresh: 60 },
    { name: 'also on two lines', headers: { 'cache-control': ['max-age=60', 'max-age=600'] }, fresh: 60 },
    { name: 'the first, though shorter ones follow', headers: { 'cache-control': 'max-age=60, max-age=0' }, fresh: 60 },
    {
      name: 'of two s-maxage the first counts',
      headers: { 'cache-control': 's-maxage=60, s-maxage=600' },
      fresh: 60,
      cache: 'shared',
    },
  ])
})

describe('section 4.2.1: lifetimes that are none make it stale', () => {
  fresh(
    [
      'max-age',
      'max-age=',
      'max-age=x',
      'max-age=-1',
      'max-age=60.5',
      'max-age=+60',
      'max-age=60s',
      'max-age= 60',
      'max-age =60',
      'max-age\t=60',
      'max-age=\t60',
      "max-age='60'",
      'max-age="60',
      'max-age=60;x',
      'max-age=6e1',
      'max-age=0x60',
      'max-age="6 0"',
    ].map((value) => ({ name: value, headers: { 'cache-control': value, expires: at(60) }, fresh: 0 })),
  )
  fresh([
    {
      name: 's-maxage=x in a shared cache',
      headers: { 'cache-control': 's-maxage=x, max-age=60' },
      fresh: 0,
      cache: 'shared',
    },
  ])
})

describe('section 1.2.2: delta-seconds beyond 2^31', () => {
  const huge = 2 ** 31
  fresh([
    { name: 'max-age of 2^31', headers: { 'cache-control': `max-age=${huge}` }, fresh: huge },
    { name: 'max-age of 2^31 - 1', headers: { 'cache-control': `max-age=${huge - 1}` }, fresh: huge - 1 },
    { name: 'max-age of 2^31 + 1', headers: { 'cache-control': `max-age=${huge + 1}` }, fresh: huge },
    { name: 'max-age of 2^63', headers: { 'cache-control': 'max-age=9223372036854775808' }, fresh: huge },
    { name: 'max-age of 40 digits', headers: { 'cache-control': `max-age=${'9'.repeat(40)}` }, fresh: huge },
    { name: 'Age of 2^31', headers: { 'cache-control': 'max-age=60', age: String(huge) }, fresh: 0 },
    { name: 'Age of 40 digits', headers: { 'cache-control': 'max-age=60', age: '9'.repeat(40) }, fresh: 0 },
    {
      name: 'Age and max-age both beyond',
      headers: { 'cache-control': `max-age=${'9'.repeat(20)}`, age: '9'.repeat(20) },
      fresh: 0,
    },
  ])
})

describe('section 4.2.3: age', () => {
  const minute = { 'cache-control': 'max-age=60' }
  fresh([
    { name: 'Age counts', headers: { ...minute, age: '20' }, fresh: 40 },
    { name: 'Age of 0', headers: { ...minute, age: '0' }, fresh: 60 },
    { name: 'Age as old as the lifetime', headers: { ...minute, age: '60' }, fresh: 0 },
    { name: 'an early Date counts', headers: { ...minute, date: at(-20) }, fresh: 40 },
    { name: 'the greater of Age and Date (Age)', headers: { ...minute, date: at(-20), age: '30' }, fresh: 30 },
    { name: 'the greater of Age and Date (Date)', headers: { ...minute, date: at(-30), age: '20' }, fresh: 30 },
    { name: 'a Date in the future is no age, and no youth', headers: { ...minute, date: at(3600) }, fresh: 60 },
    { name: 'no Date', headers: { ...minute, date: null }, fresh: 60 },
    { name: 'an invalid Date', headers: { ...minute, date: 'yesterday' }, fresh: 60 },
    { name: 'two Dates', headers: { ...minute, date: [at(-10), at(-20)] }, fresh: 60 },
    { name: 'the time the exchange took counts', headers: { ...minute, date: null }, takes: 10, fresh: 50 },
    { name: 'on top of Age', headers: { ...minute, age: '20', date: null }, takes: 10, fresh: 30 },
    { name: 'Expires, and Age', headers: { expires: at(60), age: '20' }, fresh: 40 },
    { name: 'a heuristic lifetime, and Age', headers: { 'last-modified': at(-1000), age: '20' }, fresh: 80 },
    { name: 'of two Ages the first counts', headers: { ...minute, age: ['20', '50'] }, fresh: 40 },
    { name: 'as a list, too', headers: { ...minute, age: '20, 50' }, fresh: 40 },
    { name: 'a first Age that is invalid is ignored with the rest', headers: { ...minute, age: 'x, 50' }, fresh: 60 },
    ...['-1', '1.5', 'x', '', '+1', '0x10', '1 2', '"20"', '20s'].map((age) => ({
      name: `5.1: Age: ${age} is ignored`,
      headers: { ...minute, age },
      fresh: 60,
    })),
  ])
  rows([
    {
      name: '5.1: an answer from the store has an Age',
      steps: [miss(minute), hit({ after: 17, sees: { age: '17' } })],
    },
    { name: '5.1: of 0 at once', steps: [miss(minute), hit({ sees: { age: '0' } })] },
    { name: '5.1: in whole seconds', steps: [miss(minute), hit({ after: 1.9, sees: { age: '1' } })] },
    {
      name: '5.1: one Age, on top of what upstream said',
      steps: [miss({ ...minute, age: ['20', '50'] }), hit({ after: 5, sees: { age: '25' } })],
    },
    {
      name: '5.1: what upstream said invalidly is not repeated',
      steps: [miss({ ...minute, age: 'x' }), hit({ after: 5, sees: { age: '5' } })],
    },
    {
      name: '4.2.3: from an early Date',
      steps: [miss({ ...minute, date: at(-20) }), hit({ after: 5, sees: { age: '25' } })],
    },
    {
      name: '5.1: a HEAD from a stored GET has it, too',
      steps: [miss(minute), hit({ after: 5, ask: { method: 'HEAD' }, sees: { age: '5' } })],
    },
    {
      name: '4.2.3: an Age from upstream passes as it came on a miss',
      steps: [miss({ ...minute, age: '20' }, { sees: { age: '20' } })],
    },
  ])
})

describe('section 4.2.2: heuristics', () => {
  fresh([
    { name: 'a tenth of the time since Last-Modified', headers: { 'last-modified': at(-1000) }, fresh: 100 },
    { name: 'measured against Date', headers: { date: at(-50), 'last-modified': at(-1050) }, fresh: 50 },
    { name: 'at most a week', headers: { 'last-modified': at(-86_400 * 3650) }, fresh: 604_800 },
    { name: 'not where Expires says otherwise', headers: { expires: at(60), 'last-modified': at(-86_400) }, fresh: 60 },
    {
      name: 'nor where max-age does',
      headers: { 'cache-control': 'max-age=0', 'last-modified': at(-86_400) },
      fresh: 0,
    },
    { name: 'not from a Last-Modified in the future', headers: { 'last-modified': at(60) }, fresh: 0 },
    { name: 'nor from an invalid one', headers: { 'last-modified': 'long ago' }, fresh: 0 },
    { name: 'nor from an ETag', headers: { etag: '"1"' }, fresh: 0 },
    {
      name: 'private with Last-Modified, in a private cache',
      headers: { 'cache-control': 'private', 'last-modified': at(-1000) },
      fresh: 100,
      cache: 'private',
    },
    {
      name: 'no-cache with Last-Modified',
      headers: { 'cache-control': 'no-cache', 'last-modified': at(-1000) },
      fresh: 0,
    },
  ])
  rows([
    {
      name: '4.2.2: a query makes no difference',
      steps: [miss({ 'last-modified': at(-1000) }, { ask: { url: '/?q' } }), hit({ ask: { url: '/?q' }, after: 99 })],
    },
    {
      name: '4.2.2: no Warning is generated any more',
      steps: [miss({ 'last-modified': at(-86_400 * 100) }), hit({ after: 86_401, sees: { warning: null } })],
    },
  ])
})

describe('section 4.2: the clock', () => {
  rows([
    {
      name: 'a clock put back a little does not make it older',
      steps: [miss({ 'cache-control': 'max-age=60' }), hit({ after: -10, sees: { age: '0' } })],
    },
    {
      name: 'a clock far behind: its age cannot be told',
      steps: [
        miss({ 'cache-control': 'max-age=60', etag: '"1"' }),
        { after: -3600, from: 'validated', origin: { status: 304, headers: { etag: '"1"' } } },
      ],
    },
  ])
})
