/** A fetch call taken apart: what the engine must know, and how to ask the origin the same thing again. */
import { OptionError } from '../errors.ts'
import type { HeaderLine, HeaderList } from '../http/message.ts'
import type { ReplyInfo } from '../engine/exchange.ts'
import type { CacheMode } from '../policy/decision.ts'
import type { RequestCacheOptions } from './options.ts'
import { shown } from './shown.ts'

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
export function takeApart(input: FetchInput, init: CachedRequestInit | null | undefined): Incoming | null {
  checkInit(init)
  const request = isRequest(input) ? input : null
  const url = parsed(request ? request.url : input)
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '') return null
  const { method, headers, signal, cache, redirect, body, httpCache, onHop, ...rest } = init ?? {}
  const mode = cache ?? request?.cache ?? 'default'
  if (!MODES.has(mode))
    throw wrong('cache', `${shown(mode)} is not a cache mode of fetch; give one of ${[...MODES].join(', ')}`)
  const following = redirect ?? request?.redirect ?? 'follow'
  if (!isRedirectMode(following)) throw wrong('redirect', `${shown(following)} is not one of follow, manual and error`)
  if (signal != null && typeof signal.throwIfAborted !== 'function')
    throw wrong('signal', `${shown(signal)} is no AbortSignal`)
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

function wrong(option: string, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `${option}: ${what}`)
}

/**
 * As fetch: an object, or none.
 * @throws OptionError
 */
export function checkInit(init: unknown): void {
  if (init !== undefined && (typeof init !== 'object' || Array.isArray(init)))
    throw wrong('init', `the options of a request are an object such as { method: 'POST' }, not ${shown(init)}`)
}

/** No instanceof: there are Requests of other packages. */
function isRequest(input: unknown): input is Request {
  return typeof input === 'object' && input !== null && 'headers' in input && 'url' in input
}

function parsed(url: unknown): URL {
  const text = typeof url === 'string' ? url : textOf(url)
  // In a page, a relative URL is one of that page.
  const made = URL.parse(text) ?? URL.parse(text, (globalThis as { location?: { href?: string } }).location?.href)
  if (made !== null) return made
  throw new OptionError(
    'ERR_URL',
    'url',
    `${shown(url)} is not a URL: give an absolute one, as a string or a URL, or a Request`,
  )
}

/** As fetch: a URL, a Location and whatever else says what it is. Of a number no part of an address could be meant. */
function textOf(url: unknown): string {
  try {
    return typeof url === 'object' ? String(url) : ''
  } catch {
    // It cannot be said: it is shown by what it is.
    return ''
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

function normalizedMethod(method: unknown): string {
  if (typeof method === 'string') {
    const upper = method.toUpperCase()
    if (NORMALIZED.has(upper)) return upper
    if (TOKEN.test(method)) return method
  }
  throw wrong('method', `${shown(method)} is no method; give a name such as 'GET'`)
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[\w!#$%&'*+\-.^`|~]+$/

/** What a Request says besides the fields above, where it differs from the defaults. */
function fieldsOf(request: Request): Record<string, unknown> {
  const { credentials, integrity, keepalive, mode, referrer, referrerPolicy } = request
  return { credentials, integrity, keepalive, mode, referrer, referrerPolicy }
}

export function headerList(init: ConstructorParameters<typeof Headers>[0]): HeaderList {
  if (init === undefined) return NO_HEADERS
  const list: HeaderLine[] = []
  for (const [name, value] of headersOf(init)) list.push([name, value])
  return list.length === 0 ? NO_HEADERS : list
}

/**
 * Headers in any of their forms. What Headers would refuse is told of as an option; the values are not shown: there are credentials among them.
 * @throws OptionError
 */
export function headersOf(given: ConstructorParameters<typeof Headers>[0]): Headers {
  try {
    return new Headers(given)
  } catch (cause) {
    const forms = "headers must be an object such as { accept: 'text/html' }, pairs of names and values, or Headers"
    const said = cause instanceof Error ? cause.message : String(cause)
    const why = /header value/.test(said) ? 'a value has a character that no header may have' : said
    throw new OptionError('ERR_OPTION_VALUE', 'headers', `${forms}: ${why}`, { cause })
  }
}

/** What is locked is refused where it is read. */
function isFree(body: BodySource): body is ReadableStream<Uint8Array<ArrayBuffer>> {
  return body instanceof ReadableStream && !body.locked
}

/** An abort cancels the stream and fails who reads it, with the signal's reason. */
function untilAborted(body: ReadableStream<Uint8Array<ArrayBuffer>>, signal: AbortSignal): typeof body {
  return body.pipeThrough(new TransformStream(), { signal })
}

function carrierOf(body: BodySource): Response {
  try {
    return new Response(body as ConstructorParameters<typeof Response>[0])
  } catch (cause) {
    throw new OptionError('ERR_OPTION_VALUE', 'body', `body cannot be sent: ${String(cause)}`, { cause })
  }
}

/** A request body as bytes, with the content type fetch would give it. Streams are read to their end (row 55), or until `signal` aborts. */
export async function bodyBytes(
  body: BodySource,
  signal: AbortSignal | null,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; type: string | null }> {
  const carrier = carrierOf(signal !== null && isFree(body) ? untilAborted(body, signal) : body)
  const type = carrier.headers.get('content-type')
  return { bytes: new Uint8Array(await carrier.arrayBuffer()), type }
}
