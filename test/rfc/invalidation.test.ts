/** RFC 9111 section 4.4 and RFC 9875: what makes stored responses invalid. */
import { describe } from 'vitest'
import { hit, miss, rows, validated, type Answer, type Fields, type Row, type Step } from './support.ts'

const FRESH = { 'cache-control': 'max-age=600' }
const stored = (url: string, headers: Fields = {}): Step => miss({ ...FRESH, ...headers }, { ask: { url } })
const sends = (method: string, url: string, origin: Answer = {}): Step => ({
  ask: { method, url },
  from: 'origin',
  origin,
})
const gone = (url: string): Step => ({ ask: { url }, from: 'origin' })
const still = (url: string): Step => hit({ ask: { url } })

describe('section 4.4', () => {
  const unsafe = (method: string, status: number, is: boolean): Row => ({
    name: `${method} with ${status} ${is ? 'invalidates' : 'leaves'} the target`,
    steps: [stored('/a'), sends(method, '/a', { status, body: 'done' }), is ? gone('/a') : still('/a')],
  })
  rows([
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'MKCOL', 'PURGE', 'patch'].map((method) => unsafe(method, 200, true)),
    ...[201, 202, 204, 205, 301, 302, 303, 307, 308].map((status) => unsafe('POST', status, true)),
    ...[400, 401, 403, 404, 409, 412, 429, 500, 503].map((status) => unsafe('POST', status, false)),
    ...['OPTIONS', 'PROPFIND', 'SEARCH', 'REPORT'].map((method) => unsafe(method, 200, false)),
    {
      name: 'a failed connection invalidates nothing',
      steps: [stored('/a'), { ask: { method: 'POST', url: '/a' }, origin: 'fails', from: 'error' }, still('/a')],
    },
    ...(
      [
        ['http://origin.test/x/../a', '/a'],
        ['//origin.test/./a', '/a'],
        ['/x/%2e%2E/a', '/a'],
        ['\\\\origin.test\\a', '/a'],
        ['/a b', '/a%20b'],
        ['/{a}?b="\'', '/%7Ba%7D?b=%22%27'],
        ['/\xc3\xa9', '/%C3%A9'],
      ] as const
    ).map(([location, url]): Row => ({
      name: `Location: ${location} is ${url}`,
      steps: [stored(url), sends('POST', '/p', { status: 201, headers: { location } }), gone(url)],
    })),
    {
      name: 'what another query answers for it (No-Vary-Search) is invalidated with it',
      steps: [
        stored('/a?x=1', { 'no-vary-search': 'params=("x")' }),
        stored('/a?y=1&x=1', { 'no-vary-search': 'params=("x")' }),
        still('/a?x=2'),
        sends('POST', '/a?x=2'),
        gone('/a?x=2'),
        gone('/a?x=1'),
        still('/a?y=1&x=1'),
      ],
    },
    { name: 'other URLs are left alone', steps: [stored('/a'), stored('/b'), sends('POST', '/a'), still('/b')] },
    {
      name: 'the query belongs to the target',
      steps: [stored('/a?x=1'), stored('/a?x=2'), sends('POST', '/a?x=1'), gone('/a?x=1'), still('/a?x=2')],
    },
    {
      name: 'Location of the same origin',
      steps: [stored('/b'), sends('POST', '/a', { status: 201, headers: { location: '/b' } }), gone('/b')],
    },
    {
      name: 'as a whole URL',
      steps: [
        stored('/b'),
        sends('POST', '/a', { status: 201, headers: { location: 'http://origin.test/b' } }),
        gone('/b'),
      ],
    },
    {
      name: 'as a whole URL with the default port',
      steps: [
        stored('/b'),
        sends('POST', '/a', { status: 201, headers: { location: 'http://ORIGIN.test:80/b' } }),
        gone('/b'),
      ],
    },
    {
      name: 'relative to the target',
      steps: [stored('/x/b'), sends('POST', '/x/a', { status: 201, headers: { location: '../x/./b' } }), gone('/x/b')],
    },
    {
      name: 'Content-Location of the same origin',
      steps: [stored('/b'), sends('PUT', '/a', { headers: { 'content-location': '/b' } }), gone('/b')],
    },
    {
      name: 'not of another host',
      steps: [
        stored('http://other.test/b'),
        sends('POST', '/a', { headers: { location: 'http://other.test/b' } }),
        still('http://other.test/b'),
      ],
    },
    {
      name: 'nor of another port',
      steps: [
        stored('http://origin.test:81/b'),
        sends('POST', '/a', { headers: { location: 'http://origin.test:81/b' } }),
        still('http://origin.test:81/b'),
      ],
    },
    {
      name: 'nor of another scheme',
      steps: [
        stored('https://origin.test/b'),
        sends('POST', '/a', { headers: { location: 'https://origin.test/b' } }),
        still('https://origin.test/b'),
      ],
    },
    {
      name: 'nor of another host by a reference without scheme',
      steps: [
        stored('http://other.test/b'),
        sends('POST', '/a', { headers: { 'content-location': '//other.test/b' } }),
        still('http://other.test/b'),
      ],
    },
    {
      name: 'Location of an error means nothing',
      steps: [stored('/b'), sends('POST', '/a', { status: 500, headers: { location: '/b' } }), still('/b')],
    },
    {
      name: 'nor does that of a GET',
      steps: [stored('/b'), sends('GET', '/a', { status: 302, headers: { location: '/b' } }), still('/b')],
    },
    {
      name: 'all variants go',
      steps: [
        miss({ ...FRESH, vary: 'x-a' }, { ask: { url: '/a', headers: { 'x-a': '1' } } }),
        miss({ ...FRESH, vary: 'x-a' }, { ask: { url: '/a', headers: { 'x-a': '2' } } }),
        sends('DELETE', '/a'),
        { ask: { url: '/a', headers: { 'x-a': '1' } }, from: 'origin' },
        { ask: { url: '/a', headers: { 'x-a': '2' } }, from: 'origin' },
      ],
    },
    {
      name: 'a stored HEAD goes, too',
      steps: [
        miss(FRESH, { ask: { url: '/a', method: 'HEAD' }, body: '' }),
        sends('DELETE', '/a'),
        { ask: { url: '/a', method: 'HEAD' }, from: 'origin' },
      ],
    },
    {
      name: 'no-store in the request makes no difference',
      steps: [
        stored('/a'),
        { ask: { method: 'POST', url: '/a', headers: { 'cache-control': 'no-store' } }, from: 'origin' },
        gone('/a'),
      ],
    },
  ])
})

describe('RFC 9875: cache groups', () => {
  const post = (headers: Fields, url = '/x', status = 200): Step => sends('POST', url, { status, headers })
  const grouped = (groups: string, url = '/a'): Step => stored(url, { 'cache-groups': groups, etag: '"1"' })
  const renewed = (url = '/a'): Step => validated({ etag: '"1"' }, { ask: { url } })
  const fresh = (url = '/a'): Step => hit({ ask: { url } })
  rows([
    {
      name: 'a group that is invalidated',
      steps: [grouped('"g"'), post({ 'cache-group-invalidation': '"g"' }), { ...renewed(), after: 1 }, fresh()],
    },
    {
      name: 'one of several',
      steps: [grouped('"f", "g", "h"'), post({ 'cache-group-invalidation': '"x", "g"' }), renewed()],
    },
    {
      name: '4.4: nothing of it is answered before it is validated, though the origin fails',
      steps: [
        stored('/a', { 'cache-control': 'max-age=600, stale-if-error=600', 'cache-groups': '"g"', etag: '"1"' }),
        post({ 'cache-group-invalidation': '"g"' }),
        { ask: { url: '/a' }, origin: 'fails', from: 'error' },
        { ask: { url: '/a' }, origin: { status: 503 }, from: 'origin', status: 503 },
        { ...renewed(), body: 'body 1' },
      ],
    },
    {
      name: '4.4: nor where stale answers are given when the origin cannot be reached',
      options: { serveStaleWhenDisconnected: true },
      steps: [
        grouped('"g"'),
        post({ 'cache-group-invalidation': '"g"' }),
        { ask: { url: '/a' }, origin: 'fails', from: 'origin', status: 504, body: 'Not Cached\n' },
      ],
    },
    {
      name: '4.4: nor to who takes what is stored however old',
      steps: [
        grouped('"g"'),
        post({ 'cache-group-invalidation': '"g"' }),
        { ask: { url: '/a', cache: 'only-if-cached' }, from: 'cache' },
        validated({ etag: '"1"' }, { ask: { url: '/a', cache: 'force-cache' }, after: 1 }),
        hit({ ask: { url: '/a', cache: 'only-if-cached' } }),
      ],
    },
    {
      name: 'a group that a 304 named',
      steps: [
        stored('/a', { 'cache-control': 'max-age=10', 'cache-groups': '"f"', etag: '"1"' }),
        validated(
          { etag: '"1"', 'cache-control': 'max-age=600', 'cache-groups': '"g"' },
          { ask: { url: '/a' }, after: 20 },
        ),
        post({ 'cache-group-invalidation': '"g"' }),
        renewed(),
      ],
    },
    { name: 'another group', steps: [grouped('"g"'), post({ 'cache-group-invalidation': '"G"' }), fresh()] },
    {
      name: 'all members of a group',
      steps: [
        grouped('"g"', '/a'),
        grouped('"g"', '/b'),
        post({ 'cache-group-invalidation': '"g"' }),
        renewed('/a'),
        renewed('/b'),
      ],
    },
    {
      name: 'not those of another origin',
      steps: [
        grouped('"g"', 'http://other.test/a'),
        post({ 'cache-group-invalidation': '"g"' }),
        fresh('http://other.test/a'),
      ],
    },
    {
      name: 'not by a safe method',
      steps: [
        grouped('"g"'),
        { ask: { url: '/x' }, from: 'origin', origin: { headers: { 'cache-group-invalidation': '"g"' } } },
        fresh(),
      ],
    },
    {
      name: 'not by a field that is no list',
      steps: [grouped('"g"'), post({ 'cache-group-invalidation': '"g", ' }), fresh()],
    },
    { name: 'not by tokens', steps: [grouped('"g"'), post({ 'cache-group-invalidation': 'g' }), fresh()] },
    {
      name: 'groups that are no strings are none',
      steps: [grouped('g, 1, ("g")'), post({ 'cache-group-invalidation': '"g"' }), fresh()],
    },
    {
      name: 'parameters mean nothing',
      steps: [grouped('"g";a=1'), post({ 'cache-group-invalidation': '"g";b' }), renewed()],
    },
    {
      name: 'lines are one list',
      steps: [
        stored('/a', { 'cache-groups': ['"f"', '"g"'], etag: '"1"' }),
        post({ 'cache-group-invalidation': ['"x"', '"g"'] }),
        renewed(),
      ],
    },
    {
      name: 'at least 32 groups of 32 characters',
      steps: [
        grouped(Array.from({ length: 32 }, (_, n) => `"${String(n).padStart(32, 'x')}"`).join(', ')),
        post({ 'cache-group-invalidation': `"${'31'.padStart(32, 'x')}"` }),
        renewed(),
      ],
    },
  ])
})
