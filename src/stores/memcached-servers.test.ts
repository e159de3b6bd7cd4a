import { describe, expect, it } from 'vitest'
import { OptionError } from '../errors.ts'
import { parseServers } from './memcached-servers.ts'

const names = (given: string | readonly string[]): string[] => parseServers(given).servers.map(({ name }) => name)

describe('servers (B7, S3)', () => {
  it.each([
    ['localhost', ['localhost:11211']],
    ['a:1,b:2', ['a:1', 'b:2']],
    ['memcached://a:1,b', ['a:1', 'b:11211']],
    ['memcache://a/', ['a:11211']],
    ['memcached://[::1]:5,[fe80::1]', ['[::1]:5', '[fe80::1]:11211']],
    [
      ['a:1', 'memcached://b:2', ' c '],
      ['a:1', 'b:2', 'c:11211'],
    ],
    [['a:11211', 'a'], ['a:11211']],
    ['/run/memcached.sock', ['/run/memcached.sock']],
  ])('%j', (given, expected) => {
    expect(names(given)).toEqual(expected)
  })

  it('a URL may have a login and a namespace', () => {
    const { servers, ...rest } = parseServers('memcached://me:p%40ss@a:1,b:2/my%2Fapp')
    expect([servers.length, rest]).toEqual([2, { username: 'me', password: 'p@ss', namespace: 'my/app' }])
    const { servers: plain, ...nothing } = parseServers('memcached://a')
    expect([plain[0]?.target, nothing]).toEqual([
      { host: 'a', port: 11211 },
      { username: null, password: null, namespace: null },
    ])
  })

  it.each(
    ['', 'a:0', 'a:99999', 'a:x', 'redis://a:1', 'a b', 'a\r\nflush_all', 'memcached://a/%zz', [], ['']].map(
      (given) => [given],
    ),
  )('%j is refused', (given) => {
    expect(() => parseServers(given)).toThrow(OptionError)
  })
})
