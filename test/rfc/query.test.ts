/** QUERY (RFC 10008), and No-Vary-Search. */
import { describe } from 'vitest'
import { hit, miss, rows, validated, type Ask, type Fields, type Row, type Step } from './support.ts'

const FRESH: Fields = { 'cache-control': 'max-age=60' }
const query = (body: string, type = 'application/sql', more: Partial<Ask> = {}): Ask => ({
  method: 'QUERY',
  body,
  ...more,
  headers: { 'content-type': type, ...more.headers },
})
const asked = (ask: Ask, headers: Fields = FRESH): Step => miss(headers, { ask })

describe('QUERY: the content is part of the key', () => {
  rows([
    { name: 'the same query', steps: [asked(query('a')), hit({ ask: query('a') })] },
    { name: 'another content', steps: [asked(query('a')), { ask: query('b'), from: 'origin' }] },
    { name: 'another media type', steps: [asked(query('a')), { ask: query('a', 'text/plain'), from: 'origin' }] },
    {
      name: 'another parameter of it',
      steps: [
        asked(query('a', 'text/plain;charset=utf-8')),
        { ask: query('a', 'text/plain;charset=latin1'), from: 'origin' },
      ],
    },
    {
      name: 'another content coding',
      steps: [
        asked(query('a')),
        { ask: query('a', 'application/sql', { headers: { 'content-encoding': 'br' } }), from: 'origin' },
      ],
    },
    {
      name: 'another URL',
      steps: [asked(query('a')), { ask: query('a', 'application/sql', { url: '/other' }), from: 'origin' }],
    },
    { name: 'GET is another method', steps: [asked(query('a')), { ask: {}, from: 'origin' }] },
    { name: 'and not answered by it', steps: [asked({}), { ask: query('a'), from: 'origin' }] },
    { name: 'QUERY is safe: it invalidates nothing', steps: [asked({}), asked(query('a')), hit()] },
    {
      name: 'an unsafe method invalidates it',
      steps: [asked(query('a')), { ask: { method: 'POST' }, from: 'origin' }, { ask: query('a'), from: 'origin' }],
    },
    {
      name: 'it is validated',
      steps: [
        asked(query('a'), { 'cache-control': 'max-age=10', etag: '"1"' }),
        validated({ etag: '"1"' }, { ask: query('a'), after: 20 }),
        hit({ ask: query('a') }),
      ],
    },
    {
      name: 'JSON whose members are in another order is the same',
      steps: [
        asked(query('{"a":1,"b":2}', 'application/json')),
        hit({ ask: query('{"b":2,"a":1}', 'application/json') }),
      ],
    },
  ])
})

describe('No-Vary-Search', () => {
  const same = (rule: string, a: string, b: string, is: boolean): Row => ({
    name: `${rule}: ${a} and ${b} are ${is ? 'one' : 'two'}`,
    steps: [
      asked({ url: `/${a}` }, { ...FRESH, 'no-vary-search': rule }),
      is ? hit({ ask: { url: `/${b}` }, body: 'body 1' }) : { ask: { url: `/${b}` }, from: 'origin' },
    ],
  })
  rows([
    same('key-order', '?a=1&b=2', '?b=2&a=1', true),
    same('key-order', '?a=1&b=2', '?b=2&a=3', false),
    same('key-order', '?a=1&a=2', '?a=2&a=1', false),
    same('key-order=?0', '?a=1&b=2', '?b=2&a=1', false),
    same('key-order=1', '?a=1&b=2', '?b=2&a=1', false),
    same('params', '?a=1', '?b=2', true),
    same('params', '?a=1', '', true),
    same('params=?0', '?a=1', '?a=2', false),
    same('params=("a")', '?a=1&b=2', '?a=3&b=2', true),
    same('params=("a")', '?a=1&b=2', '?b=2', true),
    same('params=("a")', '?a=1&b=2', '?a=1&b=3', false),
    same('params=("a")', '?A=1', '?A=2', false),
    same('params=("a" "b")', '?a=1&b=2&c=3', '?c=3', true),
    same('params=("a b")', '?a+b=1', '?a%20b=2', true),
    same('params=("a+b")', '?a%20b=1', '?a%20b=2', true),
    same('params=("%C3%A9")', '?é=1', '?%C3%A9=2', true),
    same('params, except=("a")', '?a=1&b=2', '?a=1&b=3', true),
    same('params, except=("a")', '?a=1&b=2', '?a=2&b=2', false),
    same('params, except=("a" "b")', '?a=1&b=2', '?b=2&a=1', false),
    same('params, except=("a" "b"), key-order', '?a=1&b=2&c=3', '?c=4&b=2&a=1', true),
    same('params=("a"), key-order', '?c=1&a=1&b=2', '?b=2&c=1', true),
    same('except=("a")', '?b=1', '?b=2', false),
    same('params=("a"), except=("b")', '?a=1', '?a=2', false),
    same('params=a', '?a=1', '?a=2', false),
    same('params=(a)', '?a=1', '?a=2', false),
    same('params="a"', '?a=1', '?a=2', false),
    same('params=("a"', '?a=1', '?a=2', false),
    same('params, except=a', '?b=1', '?b=2', false),
    same('params=()', '?a=1', '?a=2', false),
    same('params=("a"), unknown=1', '?a=1', '?a=2', true),
  ])
})
