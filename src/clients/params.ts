/** Query parameters and URLs as a session takes them (feature S2). */
import { OptionError } from '../errors.ts'
import { shown } from './shown.ts'

type Scalar = string | number | boolean | bigint

/** A record (arrays repeat the name), pairs, URLSearchParams, or a query string. Repeated names are kept. */
export type Params =
  | string
  | URLSearchParams
  | readonly (readonly [name: string, value: Scalar])[]
  | Readonly<Record<string, Scalar | readonly Scalar[] | null | undefined>>

/**
 * The parameters as URLSearchParams; null and undefined values are left out.
 * @throws OptionError for what is no parameters, or a value that is no scalar
 */
export function searchParams(params: Params, option: 'params' | 'form' = 'params'): URLSearchParams {
  if (typeof params === 'string' || params instanceof URLSearchParams) return new URLSearchParams(params)
  if (typeof params !== 'object' || params === null) throw wrong(option, String(params))
  const result = new URLSearchParams()
  for (const pair of pairsOf(params)) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrong(option, 'a list that is not of pairs')
    const [name, value] = pair as [unknown, unknown]
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one === null || one === undefined) continue
      if (!SCALARS.has(typeof one)) throw wrong(option, `${typeof one} as the value of '${String(name)}'`)
      result.append(String(name), String(one))
    }
  }
  return result
}

const SCALARS: ReadonlySet<string> = new Set(['string', 'number', 'boolean', 'bigint'])

/** An array of pairs, and whatever else yields them: a Map. */
function pairsOf(params: object): Iterable<unknown> {
  return Symbol.iterator in params ? (params as Iterable<unknown>) : Object.entries(params)
}

function wrong(option: string, given: string): OptionError {
  const forms = 'a query string, URLSearchParams, pairs, or an object of strings, numbers, booleans and arrays of them'
  return new OptionError('ERR_OPTION_VALUE', option, `${option} must be ${forms}, not ${given}`)
}

/** The base of relative URLs: absolute, taken as a folder whether or not it ends with a slash. */
export function parseBaseUrl(baseUrl: string | URL): URL {
  let base: URL
  try {
    base = new URL(baseUrl)
  } catch (error) {
    throw new OptionError(
      'ERR_URL',
      'baseUrl',
      `baseUrl: ${shown(baseUrl)} is not an absolute URL such as 'https://api.example.com/v1/'`,
      { cause: error },
    )
  }
  if (base.protocol !== 'http:' && base.protocol !== 'https:') {
    throw new OptionError('ERR_URL', 'baseUrl', `baseUrl: '${base.href}' is not http or https`)
  }
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  base.search = ''
  base.hash = ''
  return base
}

/** The parameters that a session gives to every URL: those it has already, as the URL of a response does, are not given twice. */
export function withDefaults(target: URL, params: Params): URL {
  const given = new URLSearchParams(target.search)
  const missing = [...searchParams(params)].filter(([name, value]) => !given.has(name, value))
  return append(target, new URLSearchParams(missing).toString())
}

/** A URL under the base: '/users' and 'users' are both below its path, as in aiohttp. Absolute URLs pass. */
export function resolveUrl(url: string | URL, base: URL | null, params: Params | undefined): URL {
  const target = parse(url, base)
  if (params === undefined) return target
  return append(target, typeof params === 'string' ? params.replace(/^\?/, '') : searchParams(params).toString())
}

/** What a URL has already stays as it is written: there are servers to which `?a` is not `?a=`. */
function append(target: URL, query: string): URL {
  if (query !== '') target.search = target.search === '' ? query : `${target.search}&${query}`
  return target
}

function parse(url: string | URL, base: URL | null): URL {
  if (url instanceof URL) return new URL(url)
  if (typeof url !== 'string') throw new OptionError('ERR_URL', 'url', `a URL is a string or a URL, not ${typeof url}`)
  const relative = base !== null && !/^[a-z][a-z0-9+.-]*:/i.test(url) && !url.startsWith('//')
  try {
    // './': what is below the base may have a colon in it.
    return relative ? new URL(`./${url.replace(/^\/+/, '')}`, base) : new URL(url, base ?? undefined)
  } catch (error) {
    const hint = base === null ? '; give an absolute URL, or the session a baseUrl' : ''
    throw new OptionError('ERR_URL', 'url', `'${url}' is not a URL${hint}`, { cause: error })
  }
}
