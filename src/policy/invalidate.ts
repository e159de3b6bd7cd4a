/** Invalidation (RFC 9111 section 4.4): what a successful unsafe request makes unusable. */
import { getHeader } from '../http/headers.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import { originOf, resolveReference } from '../http/uri.ts'
import { invalidatedGroups } from './groups.ts'

/** Methods known to be safe (RFC 9110 section 9.2.1, RFC 10008): any other may have changed something. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PROPFIND', 'REPORT', 'SEARCH'])

export function isSafe(method: string): boolean {
  return SAFE.has(method)
}

/** The URLs and groups; null: the request was safe, or failed. */
export function invalidation(
  request: RequestHead,
  response: ResponseHead,
): { urls: string[]; groups: string[] } | null {
  if (isSafe(request.method) || response.status < 200 || response.status > 399) return null
  const urls = new Set([request.url])
  for (const name of ['location', 'content-location']) {
    const reference = getHeader(response.headers, name)
    const url = reference === null ? null : resolveReference(request.url, reference)
    // Only of the same origin: else one site could empty another's cache (RELIABILITY 118).
    if (url !== null && originOf(url) === originOf(request.url)) urls.add(url)
  }
  return { urls: [...urls], groups: invalidatedGroups(response.headers) }
}
