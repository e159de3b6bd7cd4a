/** One step of a redirect, as the Fetch standard's HTTP-redirect fetch has it. */
import type { HeaderList } from '../http/message.ts'
import type { BodySource, Incoming } from './incoming.ts'

export const MAX_REDIRECTS = 20

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status)
}

/** Headers that describe a body, dropped with it. */
const BODY_HEADERS: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
])

/** Headers for one origin only, dropped on the way to another (row 166). */
const ORIGIN_HEADERS: ReadonlySet<string> = new Set(['authorization', 'cookie', 'host', 'proxy-authorization'])

/** The request for the next hop; a fetch-like TypeError where there can be none. */
export function nextHop(request: Incoming, status: number, location: string, body: BodySource): Incoming {
  const target = parse(location, request.url)
  if (target.protocol !== 'http:' && target.protocol !== 'https:')
    throw failed('the redirect leads to a URL that is not http(s)')
  target.hash = ''
  const toGet =
    (status === 303 && request.method !== 'GET' && request.method !== 'HEAD') ||
    (status <= 302 && request.method === 'POST')
  if (!toGet && body instanceof ReadableStream)
    throw failed('a streamed request body cannot be sent again to the redirect target')
  const crossOrigin = target.origin !== new URL(request.url).origin
  if (crossOrigin && request.rest['mode'] === 'same-origin')
    throw failed("the redirect leads to another origin, which mode 'same-origin' forbids")
  let headers: HeaderList = request.headers
  if (toGet) headers = headers.filter(([name]) => !BODY_HEADERS.has(name))
  if (crossOrigin) headers = headers.filter(([name]) => !ORIGIN_HEADERS.has(name))
  return { ...request, url: target.href, headers, method: toGet ? 'GET' : request.method, body: toGet ? null : body }
}

function parse(location: string, base: string): URL {
  try {
    return new URL(utf8(location), base)
  } catch (error) {
    throw failed(`the redirect location '${location}' is not a URL`, error)
  }
}

/** What is not ASCII in a field is bytes, one a character: of a Location, those of UTF-8, as fetch has it. */
function utf8(location: string): string {
  if (!/[^\0-\x7f]/.test(location)) return location
  const bytes = Uint8Array.from(location, (char) => char.charCodeAt(0))
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
}

/** A network error, in the words of fetch. */
export function failed(message: string, cause?: unknown): TypeError {
  return new TypeError('fetch failed', { cause: new Error(message, cause === undefined ? undefined : { cause }) })
}
