/** RFC 9111 sections 3.2 and 4.3.3 to 4.3.5: what a 304 or a HEAD changes of a stored response, and what never. */
import { describe } from 'vitest'
import { at, hit, miss, rows, validated, type Answer, type Fields, type Row, type Step } from './support.ts'

const TEN: Fields = { 'cache-control': 'max-age=10', etag: '"1"' }
const stored = (headers: Fields = {}): Step => miss({ ...TEN, ...headers })
const again = (headers: Fields, more: Partial<Step> = {}): Step =>
  validated({ etag: '"1"', ...headers }, { after: 20, ...more })

describe('section 3.2: header fields', () => {
  const update = (name: string, before: Fields, by: Fields, sees: Fields, cache: Row['cache'] = 'both'): Row => ({
    name,
    cache,
    steps: [stored(before), again({ 'cache-control': 'max-age=10', ...by }, { sees }), hit({ sees })],
  })
  rows([
    update('3.2: a field of the 304 replaces the stored one', { 'x-a': '1' }, { 'x-a': '2' }, { 'x-a': '2' }),
    update('3.2: all lines of it', { 'x-a': ['1', '2'] }, { 'x-a': '3' }, { 'x-a': '3' }),
    update('3.2: by all lines of the 304', { 'x-a': '1' }, { 'x-a': ['2', '3'] }, { 'x-a': '2, 3' }),
    update('3.2: a new field is added', {}, { 'x-new': '1' }, { 'x-new': '1' }),
    update(
      '3.2: what the 304 does not carry stays',
      { 'x-a': '1', 'content-type': 'text/x' },
      {},
      { 'x-a': '1', 'content-type': 'text/x' },
    ),
    update(
      '3.2: Content-* is no reason to leave a field alone',
      { 'content-foo': '1', 'content-security-policy': 'a' },
      { 'content-foo': '2', 'content-security-policy': 'b' },
      { 'content-foo': '2', 'content-security-policy': 'b' },
    ),
    update(
      '3.2: Content-Type is replaced',
      { 'content-type': 'text/a' },
      { 'content-type': 'text/b' },
      { 'content-type': 'text/b' },
    ),
    update(
      '3.2: Content-Length never',
      { 'content-length': '6' },
      { 'content-length': '10' },
      { 'content-length': '6' },
    ),
    update('3.2: nor is one added', {}, { 'content-length': '0' }, { 'content-length': null }),
    update('3.2: Content-Range never', {}, { 'content-range': 'bytes 0-1/2' }, { 'content-range': null }),
    update(
      '3.2: Content-Encoding never: the stored body has its own',
      {},
      { 'content-encoding': 'br' },
      { 'content-encoding': null },
    ),
    update(
      'RFC 9530: nor Content-Digest, which is of the empty content of the 304',
      { 'content-digest': 'sha-256=:stored:', 'repr-digest': 'sha-256=:a:' },
      { 'content-digest': 'sha-256=:empty:', 'repr-digest': 'sha-256=:b:' },
      { 'content-digest': 'sha-256=:stored:', 'repr-digest': 'sha-256=:b:' },
    ),
    ...['keep-alive', 'transfer-encoding', 'te', 'upgrade', 'proxy-authenticate', 'proxy-connection'].map((name) =>
      update(`3.1: ${name} never`, {}, { [name]: 'x' }, { [name]: null }),
    ),
    update(
      '3.1: nor what Connection of the 304 names',
      { 'x-hop': 'stored' },
      { connection: 'x-hop', 'x-hop': 'new' },
      { 'x-hop': 'stored', connection: null },
    ),
    update(
      '3.1: what Connection of the 200 named may come as end-to-end with the 304',
      { 'content-length': '6', connection: 'x-hop', 'x-hop': '1' },
      { 'x-hop': '2' },
      { 'x-hop': '2' },
    ),
    update(
      '5.2.2.4: fields that no-cache of the 304 names',
      { 'x-a': '1' },
      { 'cache-control': 'max-age=10, no-cache="x-a"', 'x-a': '2' },
      { 'x-a': null },
    ),
    update(
      '5.2.2.7: and private, in a shared cache',
      { 'x-a': '1' },
      { 'cache-control': 'max-age=10, private="x-a"', 'x-a': '2' },
      { 'x-a': null },
      'shared',
    ),
    update(
      '3.2: Expires is replaced',
      { 'cache-control': null, expires: at(10) },
      { 'cache-control': null, expires: at(40) },
      { expires: at(40) },
    ),
    update(
      '7.3: Set-Cookie, in a private cache',
      { 'set-cookie': 'a=1' },
      { 'set-cookie': 'a=2' },
      { 'set-cookie': 'a=2' },
      'private',
    ),
  ])
})

describe('section 4.3.4: freshness after a 304', () => {
  rows([
    {
      name: '4.3.4: is that of the 304',
      steps: [
        stored(),
        again({ 'cache-control': 'max-age=60' }),
        hit({ after: 59 }),
        validated({ etag: '"1"' }, { after: 1 }),
      ],
    },
    {
      name: '4.3.4: or that of the stored Cache-Control, counted anew',
      steps: [stored(), again({}), hit({ after: 9 }), validated({ etag: '"1"' }, { after: 1 })],
    },
    {
      name: '4.3.4: counted anew also where the 304 has no Date (RFC 9110 6.6.1)',
      steps: [stored(), again({ date: null }), hit({ after: 9, sees: { age: '9', date: at(20) } })],
    },
    {
      name: '4.3.4: or an invalid one',
      steps: [stored(), again({ date: 'x' }), hit({ after: 9, sees: { age: '9' } })],
    },
    {
      name: '4.2.3: the Age of the 304 counts',
      steps: [
        stored(),
        again({ age: '4' }),
        hit({ after: 5, sees: { age: '9' } }),
        validated({ etag: '"1"' }, { after: 1 }),
      ],
    },
    {
      name: '4.2.3: the Age of the stored response no longer does',
      steps: [stored({ age: '5' }), again({}), hit({ after: 9, sees: { age: '9' } })],
    },
    {
      name: '4.3.4: a 304 that says max-age=0 is validated again',
      steps: [stored(), again({ 'cache-control': 'max-age=0' }), validated({ etag: '"1"' })],
    },
    {
      name: '4.3.4: one that says no-cache, too',
      steps: [stored(), again({ 'cache-control': 'max-age=60, no-cache' }), validated({ etag: '"1"' })],
    },
    {
      name: '4.3.4: heuristics count from the 304',
      steps: [
        miss({ 'last-modified': at(-100) }),
        validated({}, { after: 20 }),
        hit({ after: 11 }),
        validated({}, { after: 1 }),
      ],
    },
    {
      name: '4.3.4: a stored Expires that is past stays past',
      steps: [
        miss({ expires: at(10), etag: '"1"' }),
        validated({ etag: '"1"' }, { after: 20 }),
        validated({ etag: '"1"' }),
      ],
    },
  ])
})

describe('section 4.3.4: which stored response a 304 is about', () => {
  const callers = (headers: Record<string, string>): Pick<Step, 'ask' | 'after' | 'origin'> => ({
    ask: { headers },
    after: 20,
    origin: { status: 304 },
  })
  rows([
    { name: '4.3.4: the same strong ETag', steps: [stored(), again({ 'x-a': '1' }, { sees: { 'x-a': '1' } })] },
    {
      name: '4.3.4: the same weak ETag',
      steps: [miss({ ...TEN, etag: 'W/"1"' }), validated({ etag: 'W/"1"' }, { after: 20 }), hit()],
    },
    {
      name: '4.3.4: a weak ETag for a strong one that is stored',
      steps: [stored(), validated({ etag: 'W/"1"' }, { after: 20 }), hit()],
    },
    {
      name: '4.3.4: a 304 without validators, for the one response asked about',
      steps: [stored(), validated({}, { after: 20 }), hit({ after: 9 })],
    },
    {
      name: '4.3.4: nor one without a validator anywhere, to the tags of a caller: they are not of what is stored',
      steps: [
        miss({ 'cache-control': 'max-age=10' }),
        { ...callers({ 'if-none-match': '*' }), from: 'origin', status: 304, body: '' },
        { from: 'origin' },
      ],
    },
    {
      name: '4.3.4: nor to a date of theirs that is later than what is stored',
      steps: [
        miss({ 'cache-control': 'max-age=10' }),
        { ...callers({ 'if-modified-since': at(15) }), from: 'origin', status: 304, body: '' },
        { from: 'origin' },
      ],
    },
    {
      name: '4.3.4: but to an earlier one: what has not changed since then is what is stored',
      steps: [
        miss({ 'cache-control': 'max-age=10' }),
        { ...callers({ 'if-modified-since': at(-15) }), from: 'validated', status: 200, body: 'body 1' },
        hit({ after: 9 }),
      ],
    },
    {
      name: '4.3.4: the same Last-Modified',
      steps: [
        miss({ 'cache-control': 'max-age=10', 'last-modified': at(-100) }),
        validated({ 'last-modified': at(-100) }, { after: 20 }),
        hit(),
      ],
    },
    {
      name: '4.3.4: an ETag that came with the 304 beside the same Last-Modified',
      steps: [
        miss({ 'cache-control': 'max-age=10', 'last-modified': at(-100) }),
        validated({ 'last-modified': at(-100), etag: '"new"' }, { after: 20 }),
        hit(),
      ],
    },
    {
      name: '4.3.4: a strong ETag for a weak one that is stored, beside the same strong Last-Modified',
      steps: [
        miss({ ...TEN, etag: 'W/"1"', 'last-modified': at(-100) }),
        validated({ etag: '"1"', 'last-modified': at(-100) }, { after: 20 }),
        hit(),
      ],
    },
  ])
})

describe('section 4.3.3: other answers to a validation', () => {
  const gone = (name: string, origin: Answer, next: Step): Row => ({
    name,
    steps: [stored(), { after: 20, from: 'origin', origin }, next],
  })
  rows([
    gone(
      '4.3.3: a 200 takes the place of what is stored',
      { headers: { 'cache-control': 'max-age=60', etag: '"2"' } },
      hit({ after: 59, body: 'body 2', sees: { etag: '"2"' } }),
    ),
    gone('4.3.3: so does a 404', { status: 404, headers: { 'cache-control': 'max-age=60' } }, hit({ status: 404 })),
    gone(
      '4.3.3: one that may not be stored leaves nothing behind',
      { headers: { 'cache-control': 'no-store' } },
      { from: 'origin', sent: { 'if-none-match': null } },
    ),
    gone(
      '4.3.3: a 410 without freshness, likewise',
      { status: 410, headers: {} },
      { from: 'origin', sent: { 'if-none-match': null } },
    ),
    gone(
      '4.3.3: a 5xx may be forwarded, and what is stored stays',
      { status: 500 },
      validated({ etag: '"1"' }, { body: 'body 1' }),
    ),
    ...[408, 425, 429, 431].map((status) =>
      gone(
        `4.3.3: so may a ${status}, which is about the request`,
        { status },
        validated({ etag: '"1"' }, { body: 'body 1' }),
      ),
    ),
    ...[404, 410].map((status): Row => ({
      name: `a ${status} to who asked for the whole anew leaves nothing of what is gone, fresh or not`,
      steps: [stored(), { ask: { cache: 'reload' }, from: 'origin', origin: { status } }, { from: 'origin' }],
    })),
    ...[403, 408, 500].map((status): Row => ({
      name: `a ${status} to who asked for the whole anew takes nothing away`,
      steps: [stored(), { ask: { cache: 'reload' }, from: 'origin', origin: { status } }, hit({ body: 'body 1' })],
    })),
    gone(
      '4.3.3: fields of the 200 are its own',
      { headers: { 'cache-control': 'max-age=60' } },
      hit({ sees: { etag: null } }),
    ),
  ])
})

describe('section 4.3.5: HEAD', () => {
  const head = { method: 'HEAD', headers: { 'cache-control': 'no-cache' } }
  const asked = (headers: Fields, more: Partial<Step> = {}): Step => ({
    ask: head,
    from: 'origin',
    origin: { headers },
    ...more,
  })
  rows([
    {
      name: '4.3.5: one that agrees freshens the stored GET',
      steps: [
        stored({ 'x-a': '1' }),
        asked({ etag: '"1"', 'cache-control': 'max-age=60', 'x-a': '2' }),
        hit({ after: 59, body: 'body 1', sees: { 'x-a': '2' } }),
      ],
    },
    {
      name: '4.3.5: with the same Content-Length',
      steps: [
        stored({ 'content-length': '6' }),
        asked({ etag: '"1"', 'cache-control': 'max-age=60', 'content-length': '6' }),
        hit({ after: 59, body: 'body 1' }),
      ],
    },
    {
      name: '4.3.5: another ETag: not reused',
      steps: [stored(), asked({ etag: '"2"', 'cache-control': 'max-age=60' }), { from: 'origin' }],
    },
    {
      name: '4.3.5: another Last-Modified: not reused, though the ETag is the same',
      steps: [stored({ 'last-modified': at(-100) }), asked({ ...TEN, 'last-modified': at(-50) }), { from: 'origin' }],
    },
    {
      name: '4.3.5: a Last-Modified that was not there: not reused',
      steps: [stored(), asked({ ...TEN, 'last-modified': at(-50) }), { from: 'origin' }],
    },
    {
      name: '4.3.5: another Content-Length: not reused',
      steps: [stored({ 'content-length': '6' }), asked({ ...TEN, 'content-length': '7' }), { from: 'origin' }],
    },
    {
      name: '4.3.5: a Content-Length that was not there, and is that of the body',
      steps: [stored(), asked({ ...TEN, 'content-length': '6' }), hit({ body: 'body 1' })],
    },
    {
      name: '4.3.5: only a 200 updates: a 404 to HEAD is not the GET',
      steps: [stored(), asked({}, { origin: { status: 404, headers: { 'x-a': '2' } } }), { from: 'origin' }],
    },
    {
      name: '4.3.5: a 405 says nothing about GET',
      steps: [stored(), asked({}, { origin: { status: 405 } }), hit({ sees: { 'x-a': null } })],
    },
    ...[400, 401, 403, 408, 429].map((status): Row => ({
      name: `4.3.5: nor does a ${status}`,
      steps: [stored(), asked({}, { origin: { status } }), hit()],
    })),
    {
      name: '4.3.5: a Content-Length that was not there, and is not that of the body: not reused',
      steps: [stored(), asked({ ...TEN, 'content-length': '7' }), { from: 'origin' }],
    },
    {
      name: '4.3.5: the length of another coding is not that of the body, and says nothing',
      steps: [
        stored({ 'content-encoding': 'odd' }),
        asked({ ...TEN, 'content-length': '700' }),
        hit({ body: 'body 1', sees: { 'content-encoding': 'odd' } }),
      ],
    },
    { name: '4.3.5: a 500 changes nothing', steps: [stored(), asked({}, { origin: { status: 500 } }), hit()] },
    {
      name: '4.3.5: a HEAD with no-store takes the stored GET with it',
      steps: [stored(), asked({ etag: '"1"', 'cache-control': 'no-store' }), { from: 'origin' }],
    },
    {
      name: '4.3.3: a 304 to HEAD freshens the stored GET',
      steps: [
        stored(),
        {
          ask: { method: 'HEAD' },
          after: 20,
          from: 'validated',
          origin: { status: 304, headers: { etag: '"1"', 'cache-control': 'max-age=60' } },
          status: 200,
          body: '',
        },
        hit({ after: 59, body: 'body 1' }),
      ],
    },
  ])
})
