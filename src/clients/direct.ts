/**
 * Asking an origin as Node's fetch does, byte for byte and over the same connections, without what fetch costs besides: more than half of a small
 * exchange (docs/decisions/0009-direct.md).
 *
 * Rule 1: only what fetch was seen to do. Before the first request of a scheme, fetch is given one for a dispatcher that sends nothing; what it
 *   would have sent is what is sent from then on.
 * Rule 2: only where nobody could tell: the fetch that would be called is Node's own, and the request is a GET or a HEAD with headers alone.
 *   Everything else is fetch's.
 */
import type { HeaderList } from '../http/message.ts'
import type { OriginResponse } from '../engine/ports.ts'
import { Call } from './direct-call.ts'
import {
  globalDispatcher,
  ofVersion,
  versionOf,
  type Dispatcher,
  type DispatchOptions,
  type HandlerVersion,
} from './dispatcher.ts'
import type { Incoming } from './incoming.ts'

export interface DirectRequest {
  readonly method: string
  readonly url: string
  readonly headers: HeaderList
  readonly signal: AbortSignal | null
  /** Has fetch give the answer, by way of a dispatcher, or of the one it would use anyway. */
  byFetch(dispatcher: Dispatcher | null): Promise<OriginResponse>
}

/** What fetch asks a dispatcher for a plain GET. */
interface Plain {
  readonly options: DispatchOptions
  readonly version: HandlerVersion
}

/** By scheme: the encodings that are accepted differ. Null: it could not be seen. */
const plain = new Map<string, Plain | null>()

/** The answer of the origin, by `fetch` where it must be, which is Node's. */
export function ask(fetch: typeof globalThis.fetch, request: DirectRequest): Promise<OriginResponse> {
  const { method, url, headers, signal, byFetch } = request
  const host = url.indexOf('//') + 2
  const scheme = url.slice(0, host)
  let known = plain.get(scheme)
  if (known === undefined) plain.set(scheme, (known = seen(fetch, scheme)))
  const pathAt = url.indexOf('/', host)
  const origin = url.slice(0, pathAt)
  const dispatcher = known === null ? null : globalDispatcher(known.version)
  // Node 22 leaves out a question mark that nothing follows.
  if (known === null || dispatcher === null || !mayBeAsked(origin) || url.endsWith('?')) return byFetch(null)
  if (signal?.aborted) return Promise.reject(signal.reason)
  const call = new Call({ method, url, signal, dispatcher, byFetch })
  const own = { origin, path: url.slice(pathAt), method, headers: fieldsOf(headers, known.options.headers) }
  try {
    dispatcher.dispatch({ ...known.options, ...own }, ofVersion(known.version, call))
  } catch (error) {
    call.onError(error)
  }
  return call.answer
}

/** Rule 1. */
function seen(fetch: typeof globalThis.fetch, scheme: string): Plain | null {
  const controller = new AbortController()
  let plainly: Plain | null = null
  const dispatcher: Dispatcher = {
    dispatch(options, handler) {
      // Copies, here and for each request: interceptors write into what they are given, credentials for one origin among it.
      plainly = { options: { ...options, headers: { ...options.headers } }, version: versionOf(handler) }
      return true
    },
  }
  const init: object = { dispatcher, signal: controller.signal }
  // It asks at once. Aborted then, it leaves no trace in Resource Timing.
  fetch(`${scheme}localhost/`, init).catch(() => undefined)
  controller.abort()
  return plainly
}

/** The request's own fields, then those fetch adds (Fetch standard, HTTP-network-or-cache fetch, steps 8.13 to 8.19). */
function fieldsOf(headers: HeaderList, added: DispatchOptions['headers']): DispatchOptions['headers'] {
  if (headers.length === 0) return { ...added }
  const fields: Record<string, string> = {}
  // Of several lines the last may have been empty.
  for (const [name, value] of headers) if (name !== 'host') fields[name] = value.endsWith(' ') ? value.trimEnd() : value
  const hasRange = fields['range'] !== undefined
  // What is decoded would be other bytes than those that were asked for.
  if (hasRange && fields['accept-encoding'] !== undefined) fields['accept-encoding'] += ', identity'
  for (const name in added) {
    const value = hasRange && name === 'accept-encoding' ? 'identity' : (added[name] ?? '')
    if (name.startsWith('sec-fetch-')) fields[name] = value
    else fields[name] ??= value
  }
  return fields
}

/** Ports above 1023 that the Fetch standard refuses ("bad port"); below, all but the two of HTTP are left to fetch. */
const REFUSED: ReadonlySet<number> = new Set([
  1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
])

function mayBeAsked(origin: string): boolean {
  const colon = origin.lastIndexOf(':')
  // That of the scheme, or one in an IPv6 address.
  if (colon < 6 || origin.endsWith(']')) return true
  const port = Number(origin.slice(colon + 1))
  return port === 80 || port === 443 || (port > 1023 && !REFUSED.has(port))
}

let native: typeof globalThis.fetch | null = null

/** Whether a fetch is Node's own: nobody has put another in its place. That of another realm (vm) has its dispatcher there. */
export function isNative(fetch: typeof globalThis.fetch): boolean {
  if (fetch === native) return true
  if (Reflect.getPrototypeOf(fetch) !== Function.prototype) return false
  if (!Function.prototype.toString.call(fetch).includes('internal/deps/undici/undici')) return false
  native = fetch
  return true
}

/** What a Request says where nobody said otherwise. */
const DEFAULTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['credentials', 'same-origin'],
  ['integrity', ''],
  ['keepalive', false],
  ['mode', 'cors'],
  ['referrer', 'about:client'],
  ['referrerPolicy', ''],
])

/** Whether a request is its method, URL and headers and nothing else. */
export function isPlain({ body, mode, rest }: Pick<Incoming, 'body' | 'mode' | 'rest'>, method: string): boolean {
  if (body !== null || mode !== 'default' || (method !== 'GET' && method !== 'HEAD')) return false
  for (const name in rest) if (!DEFAULTS.has(name) || rest[name] !== DEFAULTS.get(name)) return false
  return true
}
