/** RFC 9111 sections 3, 3.1, 3.5 and 5.2.2: what may be stored, and what of it. */
import { describe } from 'vitest'
import { at, hit, miss, rows, type Ask, type Fields, type Row } from './support.ts'

/** A response that says this is, or is not, a hit on the next request. */
const kept = (
  name: string,
  headers: Fields,
  is: boolean,
  more: Partial<Row> & { status?: number; ask?: Ask } = {},
): Row => {
  const { status = 200, ask = {}, ...row } = more
  const first = { from: 'origin', ask, origin: { status, headers } } as const
  return { name, steps: [first, is ? hit({ ask, status }) : { from: 'origin', ask }], ...row }
}
const control = (name: string, value: string, is: boolean, more: Parameters<typeof kept>[3] = {}): Row =>
  kept(name, { 'cache-control': value }, is, more)

const LONG_AGO = at(-864_000)
const AUTH: Ask = { headers: { authorization: 'Basic YTpi' } }

describe('section 3: status codes', () => {
  rows([
    ...[200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].map((status) =>
      kept(`RFC 9110 15.1: ${status} is heuristically cacheable`, { 'last-modified': LONG_AGO }, true, { status }),
    ),
    kept('RFC 7725 3: 451 is cacheable by default', { 'last-modified': LONG_AGO }, true, { status: 451 }),
    ...[
      201, 202, 302, 303, 307, 400, 401, 402, 403, 406, 408, 409, 411, 413, 415, 422, 425, 426, 500, 502, 503, 504, 505,
    ].map((status) =>
      kept(`RFC 9110 15.1: ${status} is not heuristically cacheable`, { 'last-modified': LONG_AGO }, false, { status }),
    ),
    ...[201, 202, 302, 303, 307, 400, 403, 422, 500, 502, 503, 504, 599, 299, 499].map((status) =>
      control(`3: ${status} with explicit freshness may be stored`, 'max-age=60', true, { status }),
    ),
    ...[428, 429, 431, 511].map((status) =>
      control(`RFC 6585: ${status} is never stored`, 'max-age=60', false, { status }),
    ),
    ...[412, 416, 417].map((status) =>
      control(`3: ${status} is about fields of its own request that no key holds: not stored`, 'max-age=60', false, {
        status,
      }),
    ),
    control('3: 302 with public and a date', 'public', true, {
      status: 302,
      name: '3: public makes 302 heuristically cacheable',
      steps: [
        miss(
          { 'cache-control': 'public', 'last-modified': LONG_AGO },
          { origin: { status: 302, headers: { 'cache-control': 'public', 'last-modified': LONG_AGO } } },
        ),
        hit({ status: 302 }),
      ],
    }),
  ])
})

describe('section 3: directives', () => {
  rows([
    control('5.2.2.5: no-store', 'no-store', false),
    control('5.2.2.5: no-store beside max-age', 'max-age=60, no-store', false),
    control('5.2.2.5: No-Store in any case', 'max-age=60, No-STORE', false),
    control('5.2.2.5: no-store with an argument', 'max-age=60, no-store=x', false),
    control('5.2.2.5: no-store after an empty member', 'max-age=60, , no-store', false),
    kept('5.2.2.5: no-store on a line of its own', { 'cache-control': ['max-age=60', 'no-store'] }, false),
    kept('5.2.2.5: no-store in front of Expires', { 'cache-control': 'no-store', expires: at(60) }, false),
    control(
      '5.2.3: no-store inside a quoted string of an extension is not a directive',
      'max-age=60, ext="no-store"',
      true,
    ),
    control('5.2.3: an unknown directive means nothing', 'max-age=60, unheard-of, x=1', true),
    control('5.2.3: a directive that only begins like no-store', 'max-age=60, no-store-ish', true),
    control(
      '5.2.2.3: must-understand with no-store, and a status that is understood',
      'max-age=60, must-understand, no-store',
      true,
    ),
    control(
      '5.2.2.3: must-understand with no-store, and a status that is not',
      'max-age=60, must-understand, no-store',
      false,
      { status: 299 },
    ),
    control('5.2.2.3: must-understand, and a status that is not understood', 'max-age=60, must-understand', false, {
      status: 299,
    }),
    control('5.2.2.3: must-understand is of a status, not of other rules', 'must-understand, no-store', false),
    control('5.2.2.7: private in a shared cache', 'private, max-age=60', false, { cache: 'shared' }),
    control('5.2.2.7: private in a private cache', 'private, max-age=60', true, { cache: 'private' }),
    control('5.2.2.7: Private in any case', 'max-age=60, PRIVATE', false, { cache: 'shared' }),
    control('5.2.2.7: private beside s-maxage', 's-maxage=60, private', false, { cache: 'shared' }),
    control('5.2.2.7: private with an empty argument is private', 'max-age=60, private=""', false, { cache: 'shared' }),
    control('5.2.2.7: private with fields that are none is private', 'max-age=60, private="a b"', false, {
      cache: 'shared',
    }),
    control('5.2.2.7: both forms of private', 'max-age=60, private, private="x"', false, { cache: 'shared' }),
    control('5.2.2.9: public adds nothing where there is freshness', 'public, max-age=60', true),
    control('5.2.2.10: s-maxage in a shared cache', 's-maxage=60', true, { cache: 'shared' }),
    control('5.2.2.10: s-maxage is ignored by a private cache', 's-maxage=60', false, { cache: 'private' }),
    control('3: no explicit freshness, no validator: nothing to reuse', 'x', false),
    kept('3: no header at all', {}, false),
    kept('3: Pragma in a response means nothing', { pragma: 'no-cache', 'cache-control': 'max-age=60' }, true),
    kept('3: Pragma: no-cache in a response forbids nothing', { pragma: 'no-cache', 'last-modified': LONG_AGO }, true),
    control('5.2.1.5: a request with no-store is not stored', 'max-age=60', false, {
      ask: { headers: { 'cache-control': 'no-store' } },
    }),
    control('5.2.1.5: nor one with No-Store among others', 'max-age=60', false, {
      ask: { headers: { 'cache-control': 'max-age=100, No-Store' } },
    }),
  ])
})

describe('section 3: methods', () => {
  const method = (name: string): Ask => ({ method: name })
  rows([
    ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'FOO'].map((name) =>
      control(`3: the answer to ${name} is not reused`, 'max-age=60', false, { ask: method(name) }),
    ),
    {
      name: '4: GET answers HEAD',
      steps: [
        miss({ 'cache-control': 'max-age=60', 'content-length': '6' }),
        hit({ ask: method('HEAD'), body: '', sees: { 'content-length': '6' } }),
      ],
    },
    {
      name: '4: HEAD does not answer GET',
      steps: [miss({ 'cache-control': 'max-age=60' }, { ask: method('HEAD'), body: '' }), { from: 'origin' }],
    },
    {
      name: 'RFC 9110 9.3.2: HEAD answers HEAD',
      steps: [
        miss({ 'cache-control': 'max-age=60' }, { ask: method('HEAD'), body: '' }),
        hit({ ask: method('HEAD'), body: '' }),
      ],
    },
    {
      name: '2: the query is part of the key',
      steps: [
        miss({ 'cache-control': 'max-age=60' }, { ask: { url: '/?a=1' } }),
        { from: 'origin', ask: { url: '/?a=2' } },
      ],
    },
    {
      name: '2: so is the host',
      steps: [miss({ 'cache-control': 'max-age=60' }), { from: 'origin', ask: { url: 'http://other.test/' } }],
    },
    {
      name: '2: and the scheme',
      steps: [miss({ 'cache-control': 'max-age=60' }), { from: 'origin', ask: { url: 'https://origin.test/' } }],
    },
    { name: '2: the fragment is not', steps: [miss({ 'cache-control': 'max-age=60' }), hit({ ask: { url: '/#x' } })] },
    {
      name: 'RFC 9110 9.3.3: POST with explicit freshness and a matching Content-Location answers a later GET',
      steps: [miss({ 'cache-control': 'max-age=60', 'content-location': '/' }, { ask: method('POST') }), hit()],
    },
    {
      name: 'RFC 5789 2: so does PATCH',
      steps: [miss({ 'cache-control': 'max-age=60', 'content-location': '/' }, { ask: method('PATCH') }), hit()],
    },
    {
      name: 'RFC 5789 2: and a later HEAD, by an empty reference',
      steps: [
        miss({ 'cache-control': 'max-age=60', 'content-location': '' }, { ask: method('PATCH') }),
        hit({ ask: method('HEAD') }),
      ],
    },
    {
      name: 'RFC 9110 9.3.4: the answer to PUT is not what PUT has put',
      steps: [
        miss({ 'cache-control': 'max-age=60', 'content-location': '/' }, { ask: method('PUT') }),
        { from: 'origin' },
      ],
    },
    {
      name: 'RFC 9110 9.3.3: not with another Content-Location',
      steps: [
        miss({ 'cache-control': 'max-age=60', 'content-location': '/other' }, { ask: method('POST') }),
        { from: 'origin' },
      ],
    },
    {
      name: 'RFC 9110 9.3.3: nor without explicit freshness',
      steps: [
        miss({ 'last-modified': LONG_AGO, 'content-location': '/' }, { ask: method('POST') }),
        { from: 'origin' },
      ],
    },
  ])
})

describe('section 3.5: Authorization in a shared cache', () => {
  const shared = { cache: 'shared', ask: AUTH } as const
  rows([
    control('3.5: max-age alone does not share it', 'max-age=60', false, shared),
    kept('3.5: nor does Expires', { expires: at(60) }, false, shared),
    control('3.5: nor immutable', 'max-age=60, immutable', false, shared),
    control('3.5: nor proxy-revalidate', 'max-age=60, proxy-revalidate', false, shared),
    control('3.5: nor no-cache', 'no-cache', false, shared),
    control('3.5: public does', 'max-age=60, public', true, shared),
    control('3.5: s-maxage does', 's-maxage=60', true, shared),
    control('3.5: must-revalidate does', 'max-age=60, must-revalidate', true, shared),
    control('3.5: an invalid s-maxage does not', 's-maxage=x, max-age=60', false, shared),
    control('3.5: public with an argument does not', 'max-age=60, public=yes', false, shared),
    control('3.5: a private cache stores it', 'max-age=60', true, { cache: 'private', ask: AUTH }),
    {
      // The RFC leaves it open: what somebody unknown was told may differ from what somebody known is.
      name: '3.5: what was stored without Authorization answers a request with it only by public and its like',
      cache: 'shared',
      steps: [
        miss({ 'cache-control': 'max-age=60' }),
        miss({ 'cache-control': 'max-age=60' }, { ask: AUTH }),
        miss({ 'cache-control': 'max-age=60, public' }, { ask: AUTH }),
        hit({ ask: AUTH }),
      ],
    },
    {
      name: '3.5: what was stored with it by public answers one without',
      cache: 'shared',
      steps: [miss({ 'cache-control': 'max-age=60, public' }, { ask: AUTH }), hit()],
    },
  ])
})

describe('section 5.2: a quote swallows no directive that follows', () => {
  const refused = [
    'max-age=60, x="a, no-store',
    'max-age=60, x="a, no-store, y="b"',
    'max-age=60, x"a, no-store, b"c',
    'max-age=60, x= "a, no-store, b"',
    'max-age=60, x="a, no-store, b"c',
    'max-age=60, x="a, no-store, b" c, y',
    'max-age=60, x="a\\", no-store',
  ]
  const strings = [
    'max-age=60, x="a, no-store"',
    'max-age=60, x="a\\", no-store"',
    'x="no-store, private" , max-age=60',
  ]
  rows([
    ...refused.map((value): Row => ({ name: value, steps: [miss({ 'cache-control': value }), { from: 'origin' }] })),
    ...strings.map((value): Row => ({ name: `${value}: a string`, steps: [miss({ 'cache-control': value }), hit()] })),
  ])
})

describe('section 3.1: fields', () => {
  const sees = (name: string, headers: Fields, wanted: Fields, cache: Row['cache'] = 'both'): Row => ({
    name,
    cache,
    steps: [miss({ 'cache-control': 'max-age=60', ...headers }), hit({ sees: wanted })],
  })
  rows([
    sees(
      '3.1: end-to-end fields are stored, unknown ones too',
      { 'x-any': 'a, b', 'content-type': 'text/x' },
      { 'x-any': 'a, b', 'content-type': 'text/x' },
    ),
    sees('3.1: repeated lines are kept in their order', { link: ['<a>', '<b>'] }, { link: '<a>, <b>' }),
    ...[
      'keep-alive',
      'proxy-connection',
      'te',
      'transfer-encoding',
      'upgrade',
      'proxy-authenticate',
      'proxy-authentication-info',
      'proxy-authorization',
      'connection',
    ].map((name) => sees(`3.1: ${name} is not stored`, { [name]: 'x' }, { [name]: null })),
    sees(
      '3.1: nor is what Connection names',
      { 'content-length': '6', connection: 'X-Hop, close, x-other', 'x-hop': '1', 'X-Other': '2', 'x-end': '3' },
      { 'x-hop': null, 'x-other': null, 'x-end': '3' },
    ),
    sees(
      '3.1: Connection on several lines',
      { connection: ['x-a', 'X-B'], 'x-a': '1', 'x-b': '2' },
      { 'x-a': null, 'x-b': null },
    ),
    sees(
      '5.2.2.4: fields named by no-cache are not reused',
      { 'cache-control': 'max-age=60, no-cache="X-A, x-b"', 'x-a': '1', 'x-b': '2', 'x-c': '3' },
      { 'x-a': null, 'x-b': null, 'x-c': '3' },
    ),
    sees('5.2.2.4: as a token, too', { 'cache-control': 'max-age=60, no-cache=x-a', 'x-a': '1' }, { 'x-a': null }),
    sees(
      '5.2.2.7: fields named by private are not stored by a shared cache',
      { 'cache-control': 'max-age=60, private="x-a"', 'x-a': '1', 'x-c': '3' },
      { 'x-a': null, 'x-c': '3' },
      'shared',
    ),
    sees(
      '5.2.2.7: a private cache stores them',
      { 'cache-control': 'max-age=60, private="x-a"', 'x-a': '1' },
      { 'x-a': '1' },
      'private',
    ),
    sees(
      '7.3: Set-Cookie is stored by a private cache',
      { 'set-cookie': ['a=1', 'b=2'] },
      { 'set-cookie': 'a=1, b=2' },
      'private',
    ),
    sees(
      'RFC 9110 6.6.1: a response without Date is stored with the time it was received',
      { date: null },
      { date: at(0) },
    ),
    sees('5.5: Warning is stored as any other field', { warning: '199 - "x"' }, { warning: '199 - "x"' }),
    sees(
      '7.3: a Set-Cookie that private names is not stored by a shared cache, the rest is',
      { 'cache-control': 'max-age=60, private="Set-Cookie"', 'set-cookie': 'a=1', 'x-a': '1' },
      { 'set-cookie': null, 'x-a': '1' },
      'shared',
    ),
    sees(
      '7.3: nor one that no-cache names, by any cache',
      { 'cache-control': 'max-age=60, no-cache="Set-Cookie"', 'set-cookie': 'a=1' },
      { 'set-cookie': null },
    ),
    kept(
      '7.3: else a response with Set-Cookie is not stored by a shared cache',
      { 'cache-control': 'max-age=60, private="x-a"', 'set-cookie': 'a=1' },
      false,
      { cache: 'shared' },
    ),
  ])
})
