/**
 * Rules by URL (feature E2): the first pattern that matches decides.
 *
 * Rule 1: a glob is matched against host and path; the scheme is ignored, the query too. `*` is any run of characters.
 * Rule 2: a glob ends at a boundary: `example.com/a` matches `/a`, `/a/b` and `/a?x`, never `/ab` or `example.com.evil.org`; one that ends
 *   with a star does not: `example.com/a*` matches `/ab`, too.
 * Rule 3: hosts are compared in lower case; a glob without a port matches any port, one that begins with a slash any host.
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
  if (/[?#]/.test(bare)) {
    throw new OptionError(
      'ERR_PATTERN',
      option,
      `${option}: '${glob}' would match nothing: a glob is on host and path; for the query give a RegExp or a function`,
    )
  }
  if (/^\*+$/.test(bare)) return () => true
  const slash = bare.indexOf('/')
  const host = slash === 0 ? '*' : (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  const path = slash < 0 ? '' : bare.slice(slash).replace(/\/\**$/, '')
  const hosts = host.split(/\*+/)
  const paths = path.split(/\*+/)
  const anyPort = !/:\d+$/.test(host) && host !== '*'
  return (url) => {
    const [name, rest] = hostAndPath(url)
    const names = anyPort ? [name, name.replace(/:\d+$/, '')] : [name]
    return (
      names.some((one) => hasParts(one, hosts, (at) => at === one.length)) &&
      hasParts(rest, paths, (at) => at === rest.length || rest[at] === '/')
    )
  }
}

/**
 * Whether a text has these parts one after the other, from its beginning; `mayEnd` says where the last one may end. It never looks back, as a
 * pattern would: globs come from people.
 */
function hasParts(text: string, parts: readonly string[], mayEnd: (at: number) => boolean): boolean {
  const [first = '', ...rest] = parts
  const last = rest.pop()
  if (!text.startsWith(first)) return false
  let at = first.length
  if (last === undefined) return mayEnd(at)
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  if (last === '') return true
  for (let found = text.indexOf(last, at); found >= 0; found = text.indexOf(last, found + 1))
    if (mayEnd(found + last.length)) return true
  return false
}

function hostAndPath(url: string): [host: string, path: string] {
  const rest = url.slice(url.indexOf('://') + 3)
  const end = rest.search(/[?#]/)
  const bare = end < 0 ? rest : rest.slice(0, end)
  const slash = bare.indexOf('/')
  const host = (slash < 0 ? bare : bare.slice(0, slash)).toLowerCase()
  return [host.slice(host.lastIndexOf('@') + 1), slash < 0 ? '/' : bare.slice(slash)]
}
