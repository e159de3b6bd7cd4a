/** Row 79: what globs mean, and that they mean it in linear time. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OptionError } from '../errors.ts'
import { compilePattern } from './url-rules.ts'

const matches = (glob: string, url: string): boolean => compilePattern(glob, 'patterns')(url)

/** Globs and URLs of few letters, so that they often match. */
const letters = (of: string, lengths: { minLength?: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...of), ...lengths })
const port = fc.constantFrom('', '', ':80')
const globs = fc
  .tuple(letters('ab*.', { minLength: 1, maxLength: 5 }), port, fc.option(letters('ab*/', { maxLength: 7 })))
  .map(([host, at, path]) => host + at + (path === null ? '' : `/${path}`))
const urls = fc
  .tuple(
    letters('ab.', { minLength: 1, maxLength: 5 }),
    port,
    fc.option(letters('ab/', { maxLength: 8 })),
    fc.constantFrom('', '?a/b', '#a'),
  )
  .map(([host, at, path, end]) => `http://${host}${at}${path === null ? '' : `/${path}`}${end}`)

/** The rules of url-rules.ts as one expression: slow for some globs, but plain. */
function asRegExp(glob: string): RegExp {
  if (/^\*+$/.test(glob)) return /^/
  const slash = glob.indexOf('/')
  const host = slash < 0 ? glob : glob.slice(0, slash)
  const path = slash < 0 ? '' : glob.slice(slash).replace(/\/\**$/, '')
  const any = (text: string, run: string): string => text.replaceAll('.', '\\.').replaceAll(/\*+/g, run)
  const anyPort = /:\d+$/.test(host) || host === '*' ? '' : '(?::\\d+)?'
  return new RegExp(`^${any(host, '[^/]*')}${anyPort}${any(path, '.*')}(?:/.*)?$`)
}

function hostAndPath(url: string): string {
  const { groups } = /^http:\/\/(?<host>[^/?#]*)(?<path>[^?#]*)/.exec(url) ?? {}
  return `${groups?.['host']}${groups?.['path'] || '/'}`
}

describe('row 79: globs', () => {
  test('any glob and any URL: as the regular expression says', () => {
    let matched = 0
    fc.assert(
      fc.property(globs, urls, (glob, url) => {
        const expected = asRegExp(glob).test(hostAndPath(url))
        matched += Number(expected)
        expect([glob, url, matches(glob, url)]).toEqual([glob, url, expected])
      }),
      { numRuns: 20_000 },
    )
    expect(matched).toBeGreaterThan(500)
  })

  test.each([
    ['in the path', `a.test/${'*a'.repeat(30)}b`, `http://a.test/${'a'.repeat(8000)}`],
    ['in the host', `${'*a'.repeat(30)}b`, `http://${'a'.repeat(8000)}/`],
    [
      'in both, before a boundary',
      `${'*a'.repeat(30)}/${'*a'.repeat(30)}b`,
      `http://${'a'.repeat(4000)}/${'a'.repeat(4000)}`,
    ],
  ])('thirty stars %s against thousands of letters come to an end', (_title, glob, url) => {
    expect(matches(glob, url)).toBe(false)
    expect(matches(glob, url.replace(/(a)(\/?)$/, '$1b$2'))).toBe(true)
  })

  test.each([
    ['site.test/resource_*', 'http://site.test/resource_9/x', true],
    ['site.test/resource_*', 'http://site.test/resource/9', false],
    ['site.test/static*', 'http://site.test/static', true],
    ['site.test/static*', 'http://site.test/statics?x=1', true],
    ['site.test/static/*', 'http://site.test/static', true],
    ['site.test/static/**', 'http://site.test/statics', false],
    ['site.test/*.js', 'http://site.test/a/b.js', true],
  ])('a star at the end stands for what follows: %s, %s', (glob, url, expected) => {
    expect(matches(glob, url)).toBe(expected)
  })

  test.each([
    ['/api', 'http://site.test/api/x?y=1', true],
    ['/api/*', 'https://other.test:8443/api', true],
    ['/api', 'http://site.test/apis', false],
    ['/api', 'http://site.test/v1/api', false],
    ['/*.js', 'http://site.test/a/b.js', true],
    ['/', 'http://site.test', true],
    ['//site.test/api', 'http://other.test/api', false],
  ])('one that begins with a slash is a path on any host: %s, %s', (glob, url, expected) => {
    expect(matches(glob, url)).toBe(expected)
  })

  test.each(['a.test/b?c=1', 'https://a.test/b#c'])('%s, which no address could match, is an error at once', (glob) => {
    expect(() => compilePattern(glob, 'patterns')).toThrow('for the query give a RegExp or a function')
  })

  test.each(['', '  ', 'a b'])('%j is an error at once', (glob) => {
    expect(() => compilePattern(glob, 'patterns')).toThrow(OptionError)
  })
})
