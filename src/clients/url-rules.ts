/**
 * Rules by URL (feature E2): the first pattern that matches decides.
 *
 * Rule 1: a glob is matched against host and path; the scheme is ignored, the query too. `*` is any run of characters.
 * Rule 2: a glob ends at a boundary: `example.com/a` matches `/a`, `/a/b` and `/a?x`, never `/ab` or `example.com.evil.org`.
 * Rule 3: hosts are compared in lower case; a glob without a port matches any port.
 */
import { OptionError } from '../errors.ts'

/** What tells whether a URL is meant: a glob on host and path, a RegExp or URLPattern on the whole URL, or a function. */
export type UrlPatternLike = string | RegExp | { test(url: string): boolean } | ((url: URL) => boolean)

export type UrlMatcher = (url: string) => boolean

export function compilePattern(pattern: UrlPatternLike, option: string): UrlMatcher {
  if (typeof pattern === 'string') return compileGlob(pattern, option)
  if (pattern instanceof RegExp) {
    const whole = new RegExp(pattern.source, pattern.flags.replaceAll(/[gy]/g, ''))
    return (url) => whole.test(url)
  }
  if (typeof pattern === 'function') return (url) => pattern(new URL(url))
  if (typeof pattern === 'object' && pattern !== null && typeof pattern.test === 'function')
    return (url) => pattern.test(url)
  throw new OptionError(
    'ERR_PATTERN',
    option,
    `${option}: a pattern is a glob ('*.example.com/path'), a RegExp, a URLPattern or a function`,
  )
}

function compileGlob(glob: string, option: string): UrlMatcher {
  const bare = glob
    .trim()
    .replace(/^(?:https?|\*|https?\*):\/\//i, '')
    .replace(/^\/\//, '')
  if (bare === '' || /\s/.test(bare)) {
    throw new OptionError(
      'ERR_PATTERN',
      option,
      `${option}: '${glob}' is not a pattern; give host and path such as '*.example.com/static'`,
    )
  }
  if (/^\*+$/.test(bare)) return () => true
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  const path = slash < 0 ? '' : bare.slice(slash).replace(/\/?\**$/, '')
  const port = /:\d+$/.test(host) || host === '*' ? '' : '(?::\\d+)?'
  const pattern = new RegExp(`^${escape(host, '[^/]*')}${port}${escape(path, '.*')}(?:/.*)?$`)
  return (url) => pattern.test(hostAndPath(url))
}

function escape(text: string, any: string): string {
  return text
    .split(/\*+/)
    .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
    .join(any)
}

function hostAndPath(url: string): string {
  const rest = url.slice(url.indexOf('://') + 3)
  const end = rest.search(/[?#]/)
  const bare = end < 0 ? rest : rest.slice(0, end)
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  return host.slice(host.lastIndexOf('@') + 1) + (slash < 0 ? '/' : bare.slice(slash))
}
