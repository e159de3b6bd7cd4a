/** A fetch call taken apart: what the engine must know, and how to ask the origin the same thing again. */
import type { HeaderLine, HeaderList } from '../http/message.ts'
import type { ReplyInfo } from '../engine/exchange.ts'
import type { CacheMode } from '../policy/decision.ts'
import type { RequestCacheOptions } from './options.ts'

/** The init of a cached fetch: everything fetch takes, and what is ours. */
export type CachedRequestInit = RequestInit & {
  /** One of the six modes of the Fetch standard. (Named here, since the types of older versions of Node lack it.) */
  cache?: CacheMode
  /** Cache options for this request. */
  httpCache?: RequestCacheOptions
  /** @internal Called for every hop, live or cached: how a session keeps its cookie jar. */
  onHop?: HopHooks
}

/** Sees every hop of a request; may add headers to it. */
export interface HopHooks {
  request(url: string, headers: Headers): void | Promise<void>
  response(url: string, headers: Headers, info: ReplyInfo): void | Promise<void>
}

export type FetchInput = string | URL | Request

export interface Incoming {
  readonly method: string
  /** Absolute, serialised, without a fragment. */
  readonly url: string
  readonly headers: HeaderList
  readonly signal: AbortSignal | null
  readonly mode: CacheMode
  readonly redirect: 'follow' | 'manual' | 'error'
  readonly options: RequestCacheOptions | undefined
  readonly hooks: HopHooks | null
  readonly body: BodySource
  /** The init fields to pass on untouched: dispatcher, next, cf, agent, duplex, ... */
  readonly rest: Readonly<Record<string, unknown>>
}

export type BodySource = RequestInit['body'] | null

const NO_HEADERS: HeaderList = Object.freeze([])

const MODES: ReadonlySet<string> = new Set([
  'default',
  'no-store',
  'reload',
  'no-cache',
  'force-cache',
  'only-if-cached',
])

/** Methods the Fetch standard writes in upper case; any other is taken as given. */
const NORMALIZED: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT'])

/** null: not a request for us (another scheme, credentials in the URL): fetch itself shall answer or refuse. */
export function takeApart(input: FetchInput, init: CachedRequestInit | undefined): Incoming | null {
  const request = typeof input === 'object' && 'headers' in input ? input : null
  const url = new URL(request ? request.url : String(input))
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '') return null
  const { method, headers, signal, cache, redirect, body, httpCache, onHop, ...rest } = init ?? {}
  const mode = cache ?? request?.cache ?? 'default'
  if (!MODES.has(mode))
    throw new TypeError(`cache: '${mode}' is not a cache mode of fetch; give one of ${[...MODES].join(', ')}`)
  const following = redirect ?? request?.redirect ?? 'follow'
  if (!isRedirectMode(following))
    throw new TypeError(`redirect: '${String(following)}' is not one of follow, manual and error`)
  return {
    method: normalizedMethod(method ?? request?.method ?? 'GET'),
    url: withoutFragment(url.href),
    headers: headerList(headers ?? request?.headers),
    signal: signal === undefined ? (request?.signal ?? null) : signal,
    mode: mode as CacheMode,
    redirect: following,
    options: httpCache,
    hooks: onHop ?? null,
    body: body ?? request?.body ?? null,
    rest: request ? { ...fieldsOf(request), ...rest } : rest,
  }
}

function isRedirectMode(mode: string): mode is Incoming['redirect'] {
  return mode === 'follow' || mode === 'manual' || mode === 'error'
}

/** A GET with nothing to it. */
export function plainIncoming(url: string): Incoming {
  return { ...PLAIN, url }
}

const PLAIN: Omit<Incoming, 'url'> = {
  method: 'GET',
  headers: NO_HEADERS,
  signal: null,
  mode: 'default',
  redirect: 'follow',
  options: undefined,
  hooks: null,
  body: null,
  rest: {},
}

/** Of a serialised URL. (Setting `hash` would have it parsed once more.) */
export function withoutFragment(href: string): string {
  const at = href.indexOf('#')
  return at < 0 ? href : href.slice(0, at)
}

function normalizedMethod(method: string): string {
  const upper = method.toUpperCase()
  return NORMALIZED.has(upper) ? upper : method
}

/** What a Request says besides the fields above, where it differs from the defaults. */
function fieldsOf(request: Request): Record<string, unknown> {
  const { credentials, integrity, keepalive, mode, referrer, referrerPolicy } = request
  return { credentials, integrity, keepalive, mode, referrer, referrerPolicy }
}

export function headerList(init: ConstructorParameters<typeof Headers>[0]): HeaderList {
  if (init === undefined) return NO_HEADERS
  const list: HeaderLine[] = []
  for (const [name, value] of new Headers(init)) list.push([name, value])
  return list.length === 0 ? NO_HEADERS : list
}

/** A request body as bytes, with the content type fetch would give it. Streams are read to their end (row 55). */
export async function bodyBytes(body: BodySource): Promise<{ bytes: Uint8Array<ArrayBuffer>; type: string | null }> {
  const carrier = new Response(body as ConstructorParameters<typeof Response>[0])
  const type = carrier.headers.get('content-type')
  return { bytes: new Uint8Array(await carrier.arrayBuffer()), type }
}
