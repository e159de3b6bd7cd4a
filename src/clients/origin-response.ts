/** The answers of origins as the engine takes them, from what fetch gives. */
import { getHeader, hasHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList } from '../http/message.ts'
import type { OriginResponse } from '../engine/ports.ts'

/** Encodings fetch decodes by itself (RFC 9110 section 8.4.1). */
const DECODED = /^(?:x-)?(?:gzip|deflate|br|zstd|compress)/i

/** @throws TypeError for what fetch would never resolve to */
export function checkResponse(response: unknown): asserts response is Response {
  if (typeof response !== 'object' || response === null || !('headers' in response && 'status' in response))
    throw new TypeError('the given fetch did not resolve to a Response')
  const { body, bodyUsed } = response as Partial<Response>
  if (body !== null && typeof body?.getReader !== 'function')
    throw new TypeError('the given fetch resolved to a Response whose body is no ReadableStream')
  if (bodyUsed || body?.locked)
    throw new TypeError(
      'the given fetch resolved to a Response whose body has been read: it must give a new one each time',
    )
}

export function plainResponse(response: Response): OriginResponse {
  const headers: HeaderLine[] = []
  // Each line comes as an array of its own: no second one is made of it.
  for (const line of response.headers) headers.push(line)
  const encoding = getHeader(headers, 'content-encoding')
  return {
    status: response.status,
    statusText: response.statusText,
    headers,
    body: response.body,
    decoded: isDecoded(encoding),
    undelimited: response.body !== null && isUndelimited(headers),
    owner: response,
  }
}

/** Of a Content-Encoding: whether fetch undoes it. */
export function isDecoded(encoding: string | null): boolean {
  return encoding !== null && DECODED.test(encoding)
}

/** RFC 9112 section 6.3 rule 8: fetch shows a connection that was reset like one that was closed (RELIABILITY 4). */
export function isUndelimited(headers: HeaderList): boolean {
  const connection = getHeader(headers, 'connection')
  if (connection === null || !CLOSE.test(connection)) return false
  return !hasHeader(headers, 'content-length') && !hasHeader(headers, 'transfer-encoding')
}

const CLOSE = /(?:^|[,\s])close(?:[,\s]|$)/i
