/**
 * References of Location and Content-Location resolved against the target (RFC 3986 section 5.2), for http and https only, and spelt as the
 * WHATWG URL parser spells the URLs of requests: else what they name would not be found.
 */

/** The absolute URL of a reference, without its fragment; null where it is not http(s). */
export function resolveReference(base: string, reference: string): string | null {
  const ref = reference.trim().split('#', 1)[0] ?? ''
  if (/^[a-z][a-z0-9+.-]*:/i.test(ref)) return /^https?:\/\/[^/?]/i.test(ref) ? canonical(ref) : null
  const origin = originOf(base)
  if (/^[/\\]{2}/.test(ref)) return canonical(`${base.slice(0, base.indexOf(':'))}://${ref.slice(2)}`)
  const rest = base.slice(origin.length).split('#', 1)[0] ?? ''
  const query = rest.indexOf('?')
  const path = query < 0 ? rest : rest.slice(0, query)
  if (ref === '') return origin + rest
  if (ref.startsWith('?')) return origin + (path || '/') + escaped(ref, QUERY)
  const merged = /^[/\\]/.test(ref) ? ref : path.slice(0, path.lastIndexOf('/') + 1) + ref
  return origin + canonicalPath(merged)
}

/** Scheme and authority of an absolute URL. */
export function originOf(url: string): string {
  const start = url.indexOf('://') + 3
  const end = url.slice(start).search(/[/?#\\]/)
  return end < 0 ? url : url.slice(0, start + end)
}

function canonical(url: string): string {
  const origin = originOf(url)
  const lower = origin
    .toLowerCase()
    .replace(/^(http:\/\/.*):80$/, '$1')
    .replace(/^(https:\/\/.*):443$/, '$1')
  const rest = url.slice(origin.length)
  return lower + canonicalPath(/^[/\\]/.test(rest) ? rest : `/${rest}`)
}

/** A path from the root, and the query behind it. */
function canonicalPath(rest: string): string {
  const query = rest.indexOf('?')
  const path = removeDotSegments((query < 0 ? rest : rest.slice(0, query)).replaceAll('\\', '/'))
  return escaped(path, PATH) + (query < 0 ? '' : escaped(rest.slice(query), QUERY))
}

function removeDotSegments(path: string): string {
  const out: string[] = []
  const segments = path.split('/').slice(1)
  segments.forEach((segment, index) => {
    const dots = segment.length <= 6 ? segment.toLowerCase().replaceAll('%2e', '.') : ''
    if (dots === '..') out.pop()
    else if (dots !== '.') out.push(segment)
    if (index === segments.length - 1 && (dots === '..' || dots === '.')) out.push('')
  })
  return `/${out.join('/')}`
}

/** What is percent-encoded in the path of an http URL, and in its query (WHATWG URL section 1.3). */
const PATH = /[^!$-;=@-\]_a-z|~%]/gu
const QUERY = /[^!$-&(-;=?-~]/gu

/** Characters of one byte are bytes as received; others are text, in UTF-8. */
function escaped(text: string, pattern: RegExp): string {
  return text.replaceAll(pattern, (char) => {
    const code = char.codePointAt(0) ?? 0
    if (code > 0xff) return encodeURIComponent(code >= 0xd800 && code <= 0xdfff ? '\ufffd' : char)
    return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
  })
}
