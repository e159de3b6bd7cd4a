/** RFC 9111 sections 4.3.1, 4.3.2; RFC 9110 sections 8.8 and 13: conditions that a cache sends, and those it answers. */
import { describe } from 'vitest'
import { at, hit, miss, rows, validated, type Ask, type Fields, type Row, type Step } from './support.ts'

const FRESH = { 'cache-control': 'max-age=60' }
const asking = (headers: Record<string, string>, method = 'GET'): Ask => ({ headers, method })

describe('section 4.3.1: what is sent', () => {
  const sent = (name: string, headers: Fields, conditions: Fields): Row => ({
    name,
    steps: [
      miss({ 'cache-control': 'max-age=10', ...headers }),
      { after: 20, from: 'origin', sent: conditions, origin: { headers: FRESH } },
    ],
  })
  rows([
    sent('ETag as If-None-Match', { etag: '"1"' }, { 'if-none-match': '"1"', 'if-modified-since': null }),
    sent('a weak one as it is', { etag: 'W/"1"' }, { 'if-none-match': 'W/"1"' }),
    sent('with its commas and spaces', { etag: '"a, b"' }, { 'if-none-match': '"a, b"' }),
    sent(
      'Last-Modified as If-Modified-Since',
      { 'last-modified': at(-100) },
      { 'if-modified-since': at(-100), 'if-none-match': null },
    ),
    sent(
      'in the form in which it came',
      { 'last-modified': 'Tuesday, 15-Jan-30 12:00:00 GMT' },
      { 'if-modified-since': 'Tuesday, 15-Jan-30 12:00:00 GMT' },
    ),
    sent(
      'both where there are both',
      { etag: '"1"', 'last-modified': at(-100) },
      { 'if-none-match': '"1"', 'if-modified-since': at(-100) },
    ),
    sent('nothing where there is nothing', { 'x-a': '1' }, { 'if-none-match': null, 'if-modified-since': null }),
    sent(
      'neither If-Match nor If-Unmodified-Since',
      { etag: '"1"', 'last-modified': at(-100) },
      { 'if-match': null, 'if-unmodified-since': null, 'if-range': null },
    ),
  ])
  rows([
    {
      name: 'ours in place of those of the caller',
      steps: [
        miss({ 'cache-control': 'max-age=10', etag: '"1"' }),
        {
          after: 20,
          ask: asking({ 'if-none-match': '"0"' }),
          from: 'validated',
          origin: { status: 304, headers: { etag: '"1"' } },
          sent: { 'if-none-match': '"1"' },
          status: 200,
          body: 'body 1',
        },
      ],
    },
    {
      name: 'and those of the caller are answered by what came',
      steps: [
        miss({ 'cache-control': 'max-age=10', etag: '"1"' }),
        {
          after: 20,
          ask: asking({ 'if-none-match': '"2"' }),
          from: 'origin',
          origin: { headers: { ...FRESH, etag: '"2"', 'content-length': '6' } },
          status: 304,
          body: '',
        },
        hit({ status: 200, body: 'body 2' }),
      ],
    },
    {
      name: 'those of a caller are forwarded where nothing is stored, and the 304 is its own',
      steps: [
        {
          ask: asking({ 'if-none-match': '"1"' }),
          from: 'origin',
          origin: { status: 304, headers: { etag: '"1"', ...FRESH } },
          sent: { 'if-none-match': '"1"' },
          status: 304,
        },
        { from: 'origin', sent: { 'if-none-match': null } },
      ],
    },
    {
      name: 'a 200 to them is stored',
      steps: [
        { ask: asking({ 'if-none-match': '"0"' }), from: 'origin', origin: { headers: { ...FRESH, etag: '"1"' } } },
        hit(),
      ],
    },
    {
      name: 'validating leaves the other fields of the request as they are',
      steps: [
        miss({ 'cache-control': 'max-age=10', etag: '"1"' }),
        validated({ etag: '"1"' }, { after: 20, ask: asking({ 'x-a': '1' }), sent: { 'x-a': '1' } }),
      ],
    },
  ])
})

describe('section 4.3.2: what is answered from the store', () => {
  const answered = (
    name: string,
    stored: Fields,
    headers: Record<string, string>,
    status: 200 | 304,
    more: { status?: number; method?: string } = {},
  ): Row => ({
    name: `${name}: ${status}`,
    steps: [
      miss({ ...FRESH, ...stored }, { origin: { status: more.status ?? 200, headers: { ...FRESH, ...stored } } }),
      hit({
        ask: asking(headers, more.method),
        status: status === 304 ? 304 : (more.status ?? 200),
        ...(status === 304 ? { body: '' } : {}),
      }),
    ],
  })
  const etag = { etag: '"1"' }
  const modified = { 'last-modified': at(-100) }
  rows([
    answered('If-None-Match: the tag', etag, { 'if-none-match': '"1"' }, 304),
    answered('another', etag, { 'if-none-match': '"2"' }, 200),
    answered('*', etag, { 'if-none-match': '*' }, 304),
    answered('* where there is no tag', {}, { 'if-none-match': '*' }, 304),
    answered('a tag where there is none', {}, { 'if-none-match': '"1"' }, 200),
    answered('one of a list', etag, { 'if-none-match': '"0", "1"' }, 304),
    answered('one of a list without spaces', etag, { 'if-none-match': '"0","1"' }, 304),
    answered('one after empty members', etag, { 'if-none-match': ', ,"1"' }, 304),
    answered('none of a list', etag, { 'if-none-match': '"0", "2"' }, 200),
    answered('weakly: W/ in the request', etag, { 'if-none-match': 'W/"1"' }, 304),
    answered('weakly: W/ in the store', { etag: 'W/"1"' }, { 'if-none-match': '"1"' }, 304),
    answered('weakly: both', { etag: 'W/"1"' }, { 'if-none-match': 'W/"1"' }, 304),
    answered('a tag with a comma', { etag: '"a,b"' }, { 'if-none-match': '"a,b"' }, 304),
    answered('half of such a tag', { etag: '"a,b"' }, { 'if-none-match': '"a"' }, 200),
    answered('tags in their own case', { etag: '"a"' }, { 'if-none-match': '"A"' }, 200),
    answered('w/ is no weakness', { etag: '"1"' }, { 'if-none-match': 'w/"1"' }, 200),
    answered('the empty tag', { etag: '""' }, { 'if-none-match': '""' }, 304),
    answered('* within quotes is a tag', etag, { 'if-none-match': '"*"' }, 200),
    answered('If-Modified-Since: the same', modified, { 'if-modified-since': at(-100) }, 304),
    answered('later', modified, { 'if-modified-since': at(-50) }, 304),
    answered('earlier', modified, { 'if-modified-since': at(-101) }, 200),
    answered('in RFC 850 form', modified, { 'if-modified-since': 'Wednesday, 16-Jan-30 12:00:00 GMT' }, 304),
    answered('in asctime form', modified, { 'if-modified-since': 'Wed Jan 16 12:00:00 2030' }, 304),
    answered('no date', modified, { 'if-modified-since': 'yesterday' }, 200),
    answered('two dates', modified, { 'if-modified-since': `${at(-50)}, ${at(-40)}` }, 200),
    answered('without Last-Modified Date counts: later', {}, { 'if-modified-since': at(10) }, 304),
    answered('without Last-Modified Date counts: earlier', {}, { 'if-modified-since': at(-10) }, 200),
    answered('without either, the time it was received', { date: null }, { 'if-modified-since': at(10) }, 304),
    answered(
      'If-None-Match beats If-Modified-Since (false, true)',
      { ...etag, ...modified },
      { 'if-none-match': '"0"', 'if-modified-since': at(0) },
      200,
    ),
    answered(
      'If-None-Match beats If-Modified-Since (true, false)',
      { ...etag, ...modified },
      { 'if-none-match': '"1"', 'if-modified-since': at(-1000) },
      304,
    ),
    answered('HEAD', etag, { 'if-none-match': '"1"' }, 304, { method: 'HEAD' }),
    answered('RFC 9110 13.2.1: not for a 404', etag, { 'if-none-match': '"1"' }, 200, { status: 404 }),
    answered('RFC 9110 13.2.1: not for a 301', etag, { 'if-none-match': '*' }, 200, { status: 301 }),
    answered('for a 203', etag, { 'if-none-match': '"1"' }, 304, { status: 203 }),
  ])
  const seen: Step['sees'] = {
    etag: '"1"',
    'cache-control': 'max-age=60',
    vary: 'x-a',
    'content-location': '/c',
    expires: at(60),
    age: '5',
    date: at(0),
    'content-length': null,
    'content-type': null,
  }
  rows([
    {
      name: 'RFC 9110 15.4.5: the fields of a 304',
      steps: [
        miss({
          ...FRESH,
          etag: '"1"',
          vary: 'x-a',
          'content-location': '/c',
          expires: at(60),
          'content-type': 'text/x',
          'content-length': '6',
        }),
        hit({ after: 5, ask: asking({ 'if-none-match': '"1"' }), status: 304, sees: seen }),
      ],
    },
    ...[{ 'if-match': '"1"' }, { 'if-match': '*' }, { 'if-unmodified-since': at(0) }].map((headers): Row => ({
      name: `4.3.2: ${Object.keys(headers)[0]} is for the origin`,
      steps: [
        miss({ ...FRESH, etag: '"1"' }),
        {
          ask: asking(headers as unknown as Record<string, string>),
          from: 'origin',
          sent: headers as Fields,
          origin: { status: 412 },
          status: 412,
        },
        hit({ body: 'body 1' }),
      ],
    })),
    {
      name: 'a stale response is no ground for a 304',
      steps: [
        miss({ 'cache-control': 'max-age=10', etag: '"1"' }),
        {
          after: 20,
          ask: asking({ 'if-none-match': '"1"' }),
          from: 'origin',
          origin: { headers: { ...FRESH, etag: '"2"' } },
          status: 200,
        },
      ],
    },
    {
      name: 'one that the origin confirms is',
      steps: [
        miss({ 'cache-control': 'max-age=10', etag: '"1"' }),
        {
          after: 20,
          ask: asking({ 'if-none-match': '"1"' }),
          from: 'validated',
          origin: { status: 304, headers: { etag: '"1"' } },
          status: 304,
        },
        hit({ status: 200, body: 'body 1' }),
      ],
    },
  ])
})
