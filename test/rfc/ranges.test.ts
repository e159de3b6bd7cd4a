/** RFC 9111 sections 3.3 and 3.4; RFC 9110 sections 13.1.5, 14 and 15.3.7: parts of a representation. */
import { describe, expect, test } from 'vitest'
import { createCachedFetch } from '../../src/index.ts'
import { startOrigin } from '../../src/testing/index.ts'
import { at, hit, miss, rows, type Answer, type Ask, type Fields, type Row, type Step } from './support.ts'

const TEXT = 'abcdefghij'
const FRESH = { 'cache-control': 'max-age=60', etag: '"1"' }
const range = (value: string, more: Record<string, string> = {}): Ask => ({ headers: { range: value, ...more } })
const whole = (headers: Fields = {}): Step =>
  miss({ ...FRESH, ...headers }, { origin: { body: TEXT, headers: { ...FRESH, ...headers } } })

/** A step that asks for a part and gets it from the origin. */
const part = (first: number, last: number, headers: Fields = {}, total: number | '*' = 10): Step => ({
  ask: range(`bytes=${first}-${last}`),
  from: 'origin',
  origin: {
    status: 206,
    body: TEXT.slice(first, last + 1),
    headers: { ...FRESH, 'content-range': `bytes ${first}-${last}/${total}`, ...headers },
  },
  status: 206,
})

describe('RFC 9110 section 14: ranges of a stored whole', () => {
  const of = (value: string, body: string, contentRange: string | null, status = 206): Row => ({
    name: `${value} of ten bytes: ${status}`,
    steps: [
      whole({ 'content-length': '10' }),
      hit({
        ask: range(value),
        status,
        body,
        sees: { 'content-range': contentRange, 'content-length': String(body.length) },
      }),
    ],
  })
  rows([
    of('bytes=0-0', 'a', 'bytes 0-0/10'),
    of('bytes=2-4', 'cde', 'bytes 2-4/10'),
    of('bytes=7-', 'hij', 'bytes 7-9/10'),
    of('bytes=-3', 'hij', 'bytes 7-9/10'),
    of('bytes=-30', TEXT, 'bytes 0-9/10'),
    of('bytes=8-100', 'ij', 'bytes 8-9/10'),
    of('bytes=0-9', TEXT, 'bytes 0-9/10'),
    of('bytes=8-99999999999999999999', 'ij', 'bytes 8-9/10'),
    of('BYTES=2-4', 'cde', 'bytes 2-4/10'),
    of('bytes= 2-4 ', 'cde', 'bytes 2-4/10'),
    of('bytes=10-', '', 'bytes */10', 416),
    of('bytes=-0', '', 'bytes */10', 416),
    of('bytes=99-100', '', 'bytes */10', 416),
  ])
  const forwarded = (value: string): Row => ({
    name: `${value} is forwarded`,
    steps: [whole(), { ask: range(value), from: 'origin', sent: { range: value } }],
  })
  rows([
    forwarded('bytes=0-1,4-5'),
    forwarded('bytes=0-1, -1'),
    forwarded('lines=1-2'),
    forwarded('bytes=5-2'),
    forwarded('bytes=a-b'),
    forwarded('bytes=-'),
    forwarded('bytes'),
    {
      name: '14.2: Range on HEAD is ignored',
      steps: [whole(), hit({ ask: { method: 'HEAD', ...range('bytes=0-1') }, status: 200, body: '' })],
    },
    {
      name: '14.1.2: the first bytes of an empty representation: 416',
      steps: [
        miss(FRESH, { origin: { body: '', headers: FRESH } }),
        hit({ ask: range('bytes=0-'), status: 416, sees: { 'content-range': 'bytes */0' } }),
      ],
    },
    {
      name: '14.1.2: its last bytes: all there is',
      steps: [
        miss(FRESH, { origin: { body: '', headers: FRESH } }),
        hit({ ask: range('bytes=-5'), status: 200, body: '', sees: { 'content-range': null } }),
      ],
    },
    {
      name: '15.5.17: the 416 carries no freshness of the whole',
      steps: [
        whole({ expires: at(600) }),
        hit({ ask: range('bytes=10-'), status: 416, sees: { 'cache-control': null, expires: null } }),
      ],
    },
    {
      name: '13.2.2: If-None-Match is looked at first',
      steps: [whole(), hit({ ask: range('bytes=0-1', { 'if-none-match': '"1"' }), status: 304 })],
    },
    {
      name: '14.2: a stored 404 has no ranges',
      steps: [
        miss(FRESH, { origin: { status: 404, headers: FRESH } }),
        hit({ ask: range('bytes=0-1'), status: 404, body: 'body 1' }),
      ],
    },
    {
      name: '15.3.7: other fields come with the part',
      steps: [
        whole({ 'x-a': '1', 'content-type': 'text/x' }),
        hit({ ask: range('bytes=0-1'), sees: { 'x-a': '1', 'content-type': 'text/x', etag: '"1"' } }),
      ],
    },
  ])
})

describe('RFC 9110 section 13.1.5: If-Range', () => {
  const held = (name: string, stored: Fields, condition: string, is: boolean): Row => ({
    name,
    steps: [
      whole(stored),
      hit({ ask: range('bytes=0-1', { 'if-range': condition }), status: is ? 206 : 200, body: is ? 'ab' : TEXT }),
    ],
  })
  rows([
    held('the strong tag', {}, '"1"', true),
    held('another', {}, '"2"', false),
    held('a weak one never', { etag: 'W/"1"' }, 'W/"1"', false),
    held('nor weakly equal', {}, 'W/"1"', false),
    held('nor a weak one that is stored', { etag: 'W/"1"' }, '"1"', false),
    held('the very Last-Modified', { 'last-modified': at(-100) }, at(-100), true),
    held('one second before Date is strong', { 'last-modified': at(-1) }, at(-1), true),
    held('the second of Date is not: a weak date never', { 'last-modified': at(0) }, at(0), false),
    held('a later date is not the same', { 'last-modified': at(-100) }, at(-50), false),
    held('an earlier one neither', { 'last-modified': at(-100) }, at(-150), false),
    held('a date where there is none', {}, at(-100), false),
    held('what is neither tag nor date', { 'last-modified': at(-100) }, 'x', false),
    held('what is neither, though it is the Last-Modified', { 'last-modified': 'x' }, 'x', false),
    {
      name: 'without Range it means nothing',
      steps: [whole(), hit({ ask: { headers: { 'if-range': '"2"' } }, status: 200, body: TEXT })],
    },
    {
      name: 'a range that cannot be satisfied, and a tag that differs: the whole',
      steps: [whole(), hit({ ask: range('bytes=99-', { 'if-range': '"2"' }), status: 200, body: TEXT })],
    },
  ])
})

describe('section 3.3: parts that are stored', () => {
  const inside = (value: string, body: string): Step => hit({ ask: range(value), status: 206, body })
  rows([
    { name: 'a part answers itself', steps: [part(2, 5), inside('bytes=2-5', 'cdef')] },
    {
      name: 'and what lies in it',
      steps: [
        part(2, 5),
        hit({
          ask: range('bytes=3-4'),
          status: 206,
          body: 'de',
          sees: { 'content-range': 'bytes 3-4/10', 'content-length': '2' },
        }),
      ],
    },
    { name: 'not what reaches beyond', steps: [part(2, 5), part(4, 7)] },
    { name: 'nor a request for the whole', steps: [part(2, 5), { from: 'origin', sent: { range: null } }] },
    { name: 'nor an open end', steps: [part(2, 5), { ask: range('bytes=2-'), from: 'origin' }] },
    { name: 'an open end within a part at the end', steps: [part(6, 9), inside('bytes=8-', 'ij')] },
    { name: 'the last bytes, where the length is known', steps: [part(6, 9), inside('bytes=-2', 'ij')] },
    { name: 'not where it is not', steps: [part(6, 9, {}, '*'), { ask: range('bytes=-2'), from: 'origin' }] },
    { name: 'a HEAD is not answered by a part', steps: [part(0, 8), { ask: { method: 'HEAD' }, from: 'origin' }] },
    {
      name: 'RFC 9110 section 15.3.7.3: a part that is all of it is the whole',
      steps: [part(0, 9), hit({ status: 200, body: TEXT }), hit({ ask: { method: 'HEAD' }, status: 200, body: '' })],
    },
    { name: 'a whole that comes later answers ranges', steps: [part(2, 5), whole(), inside('bytes=0-1', 'ab')] },
    {
      name: '14.4: a 206 without Content-Range is not stored',
      steps: [part(2, 5, { 'content-range': null }), part(2, 5)],
    },
    ...['bytes 2-5', 'bytes 5-2/10', 'bytes 2-10/10', 'lines 2-5/10', 'bytes 2-5/x', 'bytes */10'].map(
      (value): Row => ({
        name: `14.4: nor with Content-Range: ${value}`,
        steps: [part(2, 5, { 'content-range': value }), part(2, 5)],
      }),
    ),
    {
      name: '14.4: nor one whose body is not what it says',
      steps: [
        { ...part(2, 5), origin: { status: 206, body: 'xyz', headers: { ...FRESH, 'content-range': 'bytes 2-5/10' } } },
        part(2, 5),
      ],
    },
    {
      name: '15.3.7.2: nor several parts in one',
      steps: [
        {
          ...part(2, 5),
          ask: range('bytes=2-5'),
          origin: {
            status: 206,
            body: 'cdef',
            headers: { ...FRESH, 'content-range': 'bytes 2-5/10', 'content-type': 'multipart/byteranges; boundary=x' },
          },
        },
        part(2, 5),
      ],
    },
    {
      name: 'a request for several ranges is not stored',
      steps: [
        {
          ask: range('bytes=0-1,4-5'),
          from: 'origin',
          origin: { status: 206, headers: { ...FRESH, 'content-type': 'multipart/byteranges; boundary=x' } },
        },
        { from: 'origin' },
      ],
    },
    {
      name: '15.5.17: a 416 is not the answer to anything else',
      steps: [
        {
          ask: range('bytes=99-'),
          from: 'origin',
          origin: { status: 416, headers: { ...FRESH, 'content-range': 'bytes */10' } },
        },
        { from: 'origin', status: 200 },
      ],
    },
    {
      name: 'a 200 to a range request is the whole',
      steps: [
        { ask: range('bytes=0-1'), from: 'origin', origin: { body: TEXT, headers: FRESH }, status: 200 },
        hit({ body: TEXT }),
        inside('bytes=4-5', 'ef'),
      ],
    },
    { name: 'no-store counts for parts', steps: [part(2, 5, { 'cache-control': 'no-store' }), part(2, 5)] },
  ])
})

describe('section 4.3: ranges of what is stale', () => {
  const ten = { 'cache-control': 'max-age=10' }
  const confirms = { status: 304, headers: { etag: '"1"', ...ten } }
  rows([
    {
      name: 'a whole that the origin confirms',
      steps: [
        whole(ten),
        { ask: range('bytes=2-4'), after: 20, from: 'validated', origin: confirms, status: 206, body: 'cde' },
        hit({ status: 200, body: TEXT }),
      ],
    },
    {
      name: 'a part that the origin confirms',
      steps: [
        part(2, 5, ten),
        { ask: range('bytes=3-4'), after: 20, from: 'validated', origin: confirms, status: 206, body: 'de' },
        hit({ ask: range('bytes=2-5'), status: 206, body: 'cdef' }),
      ],
    },
    {
      name: 'which never becomes part of the old whole',
      steps: [
        whole(ten),
        { ...part(2, 5, { etag: '"2"' }), after: 20 },
        { from: 'origin', origin: { headers: { ...FRESH, etag: '"2"' } }, sent: { range: null } },
        hit({ sees: { etag: '"2"' } }),
      ],
    },
    {
      name: '4.3.3: a part with another validator: the whole is not answered again, though it is fresh',
      steps: [
        whole(),
        { ...part(2, 5, { etag: '"2"' }), ask: range('bytes=2-5', { 'cache-control': 'no-cache' }) },
        { from: 'origin', sent: { 'if-none-match': null } },
      ],
    },
    {
      name: '4.3.3: a part with the same one leaves it',
      steps: [
        whole(),
        { ...part(2, 5), ask: range('bytes=2-5', { 'cache-control': 'no-cache' }) },
        hit({ body: TEXT }),
      ],
    },
    {
      name: 'a whole that came with the range in vain',
      steps: [
        part(2, 5, ten),
        {
          ask: range('bytes=2-5'),
          after: 20,
          from: 'origin',
          origin: { body: TEXT, headers: { ...FRESH, etag: '"2"' } },
          status: 200,
        },
        hit({ ask: range('bytes=0-1'), status: 206, body: 'ab' }),
      ],
    },
    {
      name: 'a stale part is not given away when the origin fails',
      steps: [part(2, 5, ten), { ask: range('bytes=2-5'), after: 20, origin: 'fails', from: 'error' }],
    },
  ])
})

describe('sections 3.4 and 4.1: parts of what varies', () => {
  const varied = (first: number, last: number, language: string): Step => ({
    ...part(first, last, { vary: 'accept-language', etag: `"${language}"` }),
    ask: range(`bytes=${first}-${last}`, { 'accept-language': language }),
  })
  const same = (language: string, first: number, last: number): Answer => ({
    status: 206,
    body: (language === 'en' ? TEXT : TEXT.toUpperCase()).slice(first, last + 1),
    headers: { ...FRESH, vary: 'accept-language', 'content-range': `bytes ${first}-${last}/10` },
  })
  const asks = (language: string): Step => ({ ask: { headers: { 'accept-language': language } }, from: 'origin' })
  rows([
    {
      name: 'all together, they are not the whole of another',
      steps: [varied(0, 4, 'en'), varied(5, 9, 'en'), asks('de')],
    },
    {
      name: 'nor its parts',
      steps: [varied(0, 4, 'en'), varied(5, 9, 'en'), varied(0, 4, 'de')],
    },
    {
      name: 'one tag for two of them puts nothing together',
      steps: [
        { ...varied(0, 4, 'en'), origin: same('en', 0, 4) },
        { ...varied(5, 9, 'de'), origin: same('de', 5, 9) },
        { ask: range('bytes=3-6', { 'accept-language': 'de' }), from: 'origin' },
      ],
    },
    {
      name: 'put together, they answer ranges of who asks alike',
      steps: [
        varied(0, 4, 'en'),
        varied(5, 9, 'en'),
        hit({ ask: range('bytes=3-6', { 'accept-language': 'en' }), status: 206, body: 'defg' }),
      ],
    },
  ])
})

describe('section 3.4: parts put together', () => {
  const joined = (value: string, body: string): Step => hit({ ask: range(value), status: 206, body })
  const strong = { etag: null, 'last-modified': at(-100) }
  rows([
    { name: 'neighbours with one strong tag', steps: [part(0, 4), part(5, 7), joined('bytes=3-6', 'defg')] },
    { name: 'overlapping ones', steps: [part(0, 4), part(3, 7), joined('bytes=0-7', 'abcdefgh')] },
    { name: 'apart they stay apart', steps: [part(0, 1), part(5, 6), { ask: range('bytes=1-5'), from: 'origin' }] },
    {
      name: 'apart each answers itself',
      steps: [part(0, 1), part(5, 6), joined('bytes=0-1', 'ab'), joined('bytes=5-6', 'fg')],
    },
    {
      name: 'all together are the whole: a 200',
      steps: [
        part(0, 4),
        part(5, 9),
        hit({ status: 200, body: TEXT, sees: { 'content-range': null, 'content-length': '10' } }),
      ],
    },
    { name: 'in any order', steps: [part(5, 9), part(0, 4), hit({ status: 200, body: TEXT })] },
    {
      name: 'not with another tag: the newer part stays',
      steps: [part(0, 4), part(5, 7, { etag: '"2"' }), joined('bytes=5-7', 'fgh'), part(0, 4)],
    },
    { name: 'not with another length', steps: [part(0, 4), part(5, 7, {}, 8), { from: 'origin' }] },
    {
      name: 'nor with one that what is stored goes beyond',
      steps: [part(2, 5, {}, '*'), part(0, 1, {}, 4), { ask: range('bytes=2-3'), from: 'origin' }],
    },
    {
      name: 'not with a weak one',
      steps: [part(0, 4, { etag: 'W/"1"' }), part(5, 9, { etag: 'W/"1"' }), { from: 'origin' }],
    },
    { name: 'not without any', steps: [part(0, 4, { etag: null }), part(5, 9, { etag: null }), { from: 'origin' }] },
    { name: 'with one strong date', steps: [part(0, 4, strong), part(5, 9, strong), hit({ status: 200, body: TEXT })] },
    {
      name: 'not with a weak date',
      steps: [
        part(0, 4, { etag: null, 'last-modified': at(0) }),
        part(5, 9, { etag: null, 'last-modified': at(0) }),
        { from: 'origin' },
      ],
    },
    {
      name: 'RFC 9110 15.3.7.3: fields that the newer part left out are kept',
      steps: [
        part(0, 4, { 'content-type': 'text/x', 'x-a': '1' }),
        part(5, 9, { 'x-a': '2' }),
        hit({ body: TEXT, sees: { 'content-type': 'text/x', 'x-a': '2' } }),
      ],
    },
  ])
})

test('section 3.3: who has read a part to its end finds it, and what is within it, in the store', async () => {
  const origin = await startOrigin()
  const headers = { 'cache-control': 'max-age=60', 'content-range': 'bytes 5-9/10' }
  origin.route('/part', () => ({ status: 206, headers, body: TEXT.slice(5) }))
  const cached = createCachedFetch()
  const ask = (wanted: string): Promise<Response> => cached(`${origin.url}/part`, { headers: { range: wanted } })
  expect(await (await ask('bytes=-5')).text()).toBe('fghij')
  const seen = []
  for (const wanted of ['bytes=-5', 'bytes=6-8', 'bytes=7-', 'bytes=-1']) seen.push(await (await ask(wanted)).text())
  expect([seen, origin.count()]).toEqual([['fghij', 'ghi', 'hij', 'j'], 1])
  await origin.close()
})
