import { expect, it } from 'vitest'
import { Addresses } from './addresses.ts'
import { resolveServerOptions } from './settings.ts'

const addresses = (options = {}): Addresses => new Addresses(resolveServerOptions(options, 'test'))

it('row 249: remembers where a request goes by scheme, host and target', () => {
  const all = addresses()
  const first = all.of('/a?b', 'a.test', false, undefined)
  expect([first?.url, first?.plain]).toEqual(['http://a.test/a?b', true])
  expect(all.of('/a?b', 'a.test', true, undefined)?.url).toBe('https://a.test/a?b')
  expect(all.of('/a?b', 'b.test', false, undefined)?.url).toBe('http://b.test/a?b')
  expect(all.of('/a?b', 'a.test', false, undefined)).toBe(first)
})

it('117: a flood of paths or of hosts does not make it grow for ever, and gets right answers all along', () => {
  const all = addresses()
  for (let n = 0; n < 25_000; n++) {
    expect(all.of(`/${n}`, 'a.test', false, undefined)?.url).toBe(`http://a.test/${n}`)
    if (n % 2 === 0) expect(all.of('/', `h${n}.test`, false, undefined)?.url).toBe(`http://h${n}.test/`)
    all.of('/', `no host ${n}`, false, undefined)
  }
  expect(all.size).toBeLessThanOrEqual(10_000)
})

it('117: nor does one of very long paths or hosts, which are not remembered', () => {
  const all = addresses()
  for (let n = 0; n < 100; n++) {
    const [path, host] = [`/${'p'.repeat(15_000)}${n}`, `${'h.'.repeat(5000)}${n}.test`]
    expect(all.of(path, 'a.test', false, undefined)?.url).toBe(`http://a.test${path}`)
    all.of('/', host, false, undefined)
    all.byUrl.set(`http://a.test${path}`, { ...(all.of('/', 'a.test', false, undefined) ?? expect.unreachable()) })
  }
  expect(all.size).toBeLessThan(5)
})

it('104: what is no host, and what the URL parser would rewrite, has no address', () => {
  const all = addresses()
  for (const host of ['a.test/x', 'u@a.test', 'a%2etest', '', undefined])
    expect(all.of('/', host, false, undefined)).toBe(null)
  for (const target of ['/a/../b', '/a\\b', '/a#b', 'http://b.test/', '*', ''])
    expect(all.of(target, 'a.test', false, undefined)).toBe(null)
})

it('a base URL stands in for whatever the request says; fields that are part of the key leave it to each request', () => {
  expect(addresses({ baseUrl: 'https://x.test' }).of('/a', undefined, false, undefined)?.url).toBe('https://x.test/a')
  const matched = addresses({ matchHeaders: ['x-plan'] }).of('/a', 'a.test', false, undefined)
  expect([matched?.key, matched?.plain]).toEqual([null, false])
})
