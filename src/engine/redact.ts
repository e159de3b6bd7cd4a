/**
 * What may never be stored in clear (feature K3, RELIABILITY 81, 83): credentials in headers, URLs and bodies.
 *
 * Rule 1: an *ignored* name (option `ignoredParams`) counts for nothing: requests that differ only in it share an entry.
 * Rule 2: a *sensitive* name (the list below) counts, but only by its digest: requests that differ in it never share an entry.
 * Rule 3: either way the value itself is in no key and no stored record.
 */

const REDACTED = 'REDACTED'

/** Request headers whose values are credentials. */
export const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'proxy-authorization',
  'x-api-key',
  'x-auth-token',
  'x-api-token',
  'x-access-token',
])

/** Query and form parameters whose values are credentials. */
export const SENSITIVE_PARAMS: ReadonlySet<string> = new Set(['access_token', 'api_key', 'apikey'])

/** One `name=value` of a raw query, with the name decoded for comparison. */
interface RawParam {
  readonly raw: string
  readonly name: string
}

export function splitQuery(query: string): RawParam[] {
  return query
    .split('&')
    .filter((raw) => raw !== '')
    .map((raw) => ({ raw, name: decodeName(raw) }))
}

/** The decoded, lower-case name of a raw `name=value`. */
function decodeName(raw: string): string {
  const end = raw.indexOf('=')
  const name = (end < 0 ? raw : raw.slice(0, end)).replaceAll('+', ' ')
  try {
    return decodeURIComponent(name).toLowerCase()
  } catch {
    // A malformed escape: the name is what it is.
    return name.toLowerCase()
  }
}

/** The URL with the values of ignored and sensitive parameters replaced; every other byte as it was. */
export function redactUrl(url: string, ignored: ReadonlySet<string>): string {
  const start = url.indexOf('?')
  if (start < 0) return url
  let changed = false
  const params = splitQuery(url.slice(start + 1)).map(({ raw, name }) => {
    if (!ignored.has(name) && !SENSITIVE_PARAMS.has(name)) return raw
    changed = true
    const end = raw.indexOf('=')
    return end < 0 ? raw : `${raw.slice(0, end)}=${REDACTED}`
  })
  return changed ? `${url.slice(0, start)}?${params.join('&')}` : url
}
