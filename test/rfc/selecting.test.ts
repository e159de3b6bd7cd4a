/** RFC 9111 section 4.1: which stored response answers a request, by Vary. */
import { describe } from 'vitest'
import { hit, miss, rows, type Ask, type Fields, type Row, type Step } from './support.ts'

const FRESH = { 'cache-control': 'max-age=60' }
const asking = (headers: Record<string, string>, url = '/'): Ask => ({ headers, url })
const varying = (vary: string | readonly string[], headers: Record<string, string>, more: Fields = {}): Step =>
  miss({ ...FRESH, vary, ...more }, { ask: asking(headers) })

/** Whether a request with other headers is answered by what the first one stored. */
const same = (
  name: string,
  vary: string | readonly string[],
  a: Record<string, string>,
  b: Record<string, string>,
  is: boolean,
  more: Partial<Row> = {},
): Row => ({
  name,
  steps: [varying(vary, a), is ? hit({ ask: asking(b) }) : { from: 'origin', ask: asking(b) }],
  ...more,
})

describe('section 4.1: selecting headers', () => {
  rows([
    same('equal', 'X-A', { 'x-a': '1' }, { 'x-a': '1' }, true),
    same('different', 'X-A', { 'x-a': '1' }, { 'x-a': '2' }, false),
    same('names in any case', 'x-A', { 'X-a': '1' }, { 'x-a': '1' }, true),
    same('values in their own case', 'x-a', { 'x-a': 'a' }, { 'x-a': 'A' }, false),
    same('absent both times', 'x-a', {}, {}, true),
    same('absent, then present', 'x-a', {}, { 'x-a': '1' }, false),
    same('present, then absent', 'x-a', { 'x-a': '1' }, {}, false),
    same('absent is not empty', 'x-a', {}, { 'x-a': '' }, false),
    same('two names, both equal', 'x-a, x-b', { 'x-a': '1', 'x-b': '2' }, { 'x-b': '2', 'x-a': '1' }, true),
    same('two names, the second different', 'x-a, x-b', { 'x-a': '1', 'x-b': '2' }, { 'x-a': '1', 'x-b': '3' }, false),
    same('two names, values exchanged', 'x-a, x-b', { 'x-a': '1', 'x-b': '2' }, { 'x-a': '2', 'x-b': '1' }, false),
    same('two lines of Vary', ['x-a', 'x-b'], { 'x-a': '1', 'x-b': '2' }, { 'x-a': '1', 'x-b': '3' }, false),
    same('the same name twice', 'x-a, X-A', { 'x-a': '1' }, { 'x-a': '1' }, true),
    same('what is not named makes no difference', 'x-a', { 'x-a': '1', 'x-b': '1' }, { 'x-a': '1', 'x-b': '2' }, true),
    same('a Vary without names', '', { 'x-a': '1' }, { 'x-a': '2' }, true),
    same('white space between members of a list', 'accept', { accept: 'a,b' }, { accept: 'a ,  b' }, true),
    same('the order of members counts', 'accept', { accept: 'a, b' }, { accept: 'b, a' }, false),
    same(
      'languages in any case',
      'accept-language',
      { 'accept-language': 'DE-at' },
      { 'accept-language': 'de-AT' },
      true,
    ),
    same(
      'the order of languages counts',
      'accept-language',
      { 'accept-language': 'de, en' },
      { 'accept-language': 'en, de' },
      false,
    ),
    same('a comma inside quotes', 'x-a', { 'x-a': '"a,b"' }, { 'x-a': '"a, b"' }, false),
    same('Vary: * never', '*', {}, {}, false),
    same('nor among others', 'x-a, *', { 'x-a': '1' }, { 'x-a': '1' }, false),
    same('nor on a line of its own', ['x-a', '*'], { 'x-a': '1' }, { 'x-a': '1' }, false),
    same('nor a Vary that is malformed', 'x a', {}, {}, false),
    same('Vary: Cookie in a private cache', 'Cookie', { cookie: 'a=1' }, { cookie: 'a=2' }, false, {
      cache: 'private',
    }),
    same('Vary: Cookie, the same', 'Cookie', { cookie: 'a=1' }, { cookie: 'a=1' }, true, { cache: 'private' }),
    same('Vary: User-Agent', 'User-Agent', { 'user-agent': 'a' }, { 'user-agent': 'b' }, false),
    same('Vary: Range is about the request as any other', 'x-range', { 'x-range': 'a' }, { 'x-range': 'a' }, true),
  ])
})

describe('section 4.1: several variants', () => {
  const de = { 'x-lang': 'de' }
  const en = { 'x-lang': 'en' }
  const gzip = { 'accept-encoding': 'gzip' }
  const identity = { 'accept-encoding': 'identity' }
  rows([
    {
      name: 'each answers its own requests',
      steps: [
        varying('x-lang', de),
        varying('x-lang', en),
        hit({ ask: asking(de), body: 'body 1' }),
        hit({ ask: asking(en), body: 'body 2' }),
      ],
    },
    {
      name: 'each is fresh by its own terms',
      steps: [
        varying('x-lang', de, { 'cache-control': 'max-age=10' }),
        varying('x-lang', en),
        { ask: asking(de), after: 20, from: 'origin', origin: { headers: { ...FRESH, vary: 'x-lang' } } },
        hit({ ask: asking(en), body: 'body 2' }),
        hit({ ask: asking(de), body: 'body 3' }),
      ],
    },
    {
      name: 'an entry for the absent header beside one for a value',
      steps: [
        varying('x-lang', {}),
        varying('x-lang', de),
        hit({ ask: {}, body: 'body 1' }),
        hit({ ask: asking(de), body: 'body 2' }),
      ],
    },
    {
      name: 'the tags of other variants are sent, and the one that a 304 names is used (section 4.3.1)',
      steps: [
        varying('x-lang', de, { etag: '"de"' }),
        varying('x-lang', en, { etag: '"en"' }),
        {
          ask: asking({ 'x-lang': 'de-AT' }),
          from: 'validated',
          origin: { status: 304, headers: { etag: '"de"', vary: 'x-lang' } },
          sent: { 'if-none-match': '"en", "de"' },
          body: 'body 1',
        },
        hit({ ask: asking({ 'x-lang': 'de-AT' }), body: 'body 1' }),
        hit({ ask: asking(en), body: 'body 2' }),
      ],
    },
    {
      name: 'not weak ones, which several codings may share (RFC 9110 section 8.8.1)',
      steps: [
        varying('accept-encoding', gzip, { etag: 'W/"1"', 'content-encoding': 'gzip' }),
        {
          ...varying('accept-encoding', identity, { etag: 'W/"1"' }),
          sent: { 'if-none-match': null },
        },
        hit({ ask: asking(gzip), sees: { 'content-encoding': 'gzip' }, body: 'body 1' }),
        hit({ ask: asking(identity), sees: { 'content-encoding': null }, body: 'body 2' }),
      ],
    },
    {
      name: 'of weak and strong ones, the strong',
      steps: [
        varying('accept-encoding', gzip, { etag: 'W/"1"' }),
        varying('accept-encoding', identity, { etag: '"1"' }),
        {
          ask: asking({ 'accept-encoding': 'br' }),
          from: 'validated',
          origin: { status: 304, headers: { etag: '"1"', vary: 'accept-encoding' } },
          sent: { 'if-none-match': '"1"' },
          body: 'body 2',
        },
      ],
    },
    {
      name: 'a response that no longer varies answers them all',
      steps: [
        varying('x-lang', de),
        miss(FRESH, { ask: asking(en) }),
        hit({ ask: asking(de), body: 'body 2' }),
        hit({ ask: asking({ 'x-lang': 'fr' }), body: 'body 2' }),
      ],
    },
    {
      name: 'a response that begins to vary answers its own requests only',
      steps: [
        miss({ 'cache-control': 'max-age=10' }, { ask: asking(de) }),
        { ...varying('x-lang', de), after: 20 },
        { from: 'origin', ask: asking(en) },
        hit({ ask: asking(de), body: 'body 2' }),
      ],
    },
    {
      name: 'HEAD and GET alike',
      steps: [
        varying('x-lang', de),
        hit({ ask: { ...asking(de), method: 'HEAD' }, body: '' }),
        { from: 'origin', ask: { ...asking(en), method: 'HEAD' } },
      ],
    },
  ])
})
