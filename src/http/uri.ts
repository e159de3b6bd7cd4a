/** References of Location and Content-Location resolved against the target (RFC 3986 section 5.2), for http and https only. */

/** The absolute URL of a reference, without its fragment; null where it is not http(s). */
export function resolveReference(base: string, reference: string): string | null {
  const ref = reference.trim().split('#', 1)[0] ?? ''
  if (/^[a-z][a-z0-9+.-]*:/i.test(ref)) return /^https?:\/\/[^/?]/i.test(ref) ? canonicalOrigin(ref) : null
  const origin = originOf(base)
  if (ref.startsWith('//')) return canonicalOrigin(`${base.slice(0, base.indexOf(':'))}:${ref}`)
  const rest = base.slice(origin.length).split('#', 1)[0] ?? ''
  const query = rest.indexOf('?')
  const path = query < 0 ? rest : rest.slice(0, query)
  if (ref === '') return origin + rest
  if (ref.startsWith('?')) return origin + (path || '/') + ref
  const merged = ref.startsWith('/') ? ref : path.slice(0, path.lastIndexOf('/') + 1) + ref
  const mark = merged.indexOf('?')
  const tail = mark < 0 ? '' : merged.slice(mark)
  return origin + removeDotSegments(mark < 0 ? merged : merged.slice(0, mark)) + tail
}

/** Scheme and authority of an absolute URL. */
export function originOf(url: string): string {
  const start = url.indexOf('://') + 3
  const end = url.slice(start).search(/[/?#]/)
  return end < 0 ? url : url.slice(0, start + end)
}

function canonicalOrigin(url: string): string {
  const origin = originOf(url)
  const rest = url.slice(origin.length)
  const lower = origin
    .toLowerCase()
    .replace(/^(http:\/\/.*):80$/, '$1')
    .replace(/^(https:\/\/.*):443$/, '$1')
  return lower + (rest.startsWith('/') ? rest : `/${rest}`)
}

function removeDotSegments(path: string): string {
  const out: string[] = []
  const segments = path.split('/').slice(1)
  segments.forEach((segment, index) => {
    const last = index === segments.length - 1
    if (segment === '..') out.pop()
    else if (segment !== '.') out.push(segment)
    if (last && (segment === '..' || segment === '.')) out.push('')
  })
  return `/${out.join('/')}`
}
