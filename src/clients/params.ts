/** Query parameters and URLs as a session takes them (feature S2). */
import { OptionError } from '../errors.ts'

type Scalar = string | number | boolean | bigint

/** A record (arrays repeat the name), pairs, URLSearchParams, or a query string. Repeated names are kept. */
export type Params =
  | string
  | URLSearchParams
  | readonly (readonly [name: string, value: Scalar])[]
  | Readonly<Record<string, Scalar | readonly Scalar[] | null | undefined>>

/** The parameters as URLSearchParams; null and undefined values are left out. */
export function searchParams(params: Params): URLSearchParams {
  if (typeof params === 'string' || params instanceof URLSearchParams) return new URLSearchParams(params)
  const result = new URLSearchParams()
  const pairs: Iterable<readonly [string, unknown]> = isPairs(params) ? params : Object.entries(params)
  for (const [name, value] of pairs) {
    for (const one of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (one !== null && one !== undefined) result.append(name, String(one))
    }
  }
  return result
}

function isPairs(params: object): params is readonly (readonly [string, Scalar])[] {
  return Array.isArray(params)
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
      `baseUrl: '${String(baseUrl)}' is not an absolute URL such as 'https://api.example.com/v1/'`,
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
  for (const [name, value] of searchParams(params)) if (!given.has(name, value)) target.searchParams.append(name, value)
  return target
}

/** A URL under the base: '/users' and 'users' are both below its path, as in aiohttp. Absolute URLs pass. */
export function resolveUrl(url: string | URL, base: URL | null, params: Params | undefined): URL {
  const target = parse(url, base)
  if (params !== undefined) for (const [name, value] of searchParams(params)) target.searchParams.append(name, value)
  return target
}

function parse(url: string | URL, base: URL | null): URL {
  if (url instanceof URL) return new URL(url)
  const relative = base !== null && !/^[a-z][a-z0-9+.-]*:/i.test(url) && !url.startsWith('//')
  try {
    return relative ? new URL(url.replace(/^\/+/, ''), base) : new URL(url, base ?? undefined)
  } catch (error) {
    const hint = base === null ? '; give an absolute URL, or the session a baseUrl' : ''
    throw new OptionError('ERR_URL', 'url', `'${url}' is not a URL${hint}`, { cause: error })
  }
}
