/** A Fetch request: where it goes in the cache, and the same one made anew for the handler. */
import type { HeaderList, RequestHead } from '../http/message.ts'
import { FORWARDED, type Address } from './addresses.ts'
import { conditionsOf } from './etag.ts'
import type { RouteSettings } from './settings.ts'
import { CONDITIONS, type ServerCache } from './server-cache.ts'

/** Null: not a request for us. */
export function addressOf(request: Request, cache: ServerCache, route: RouteSettings | undefined): Address | null {
  const { url } = request
  if (cache.settings.trustProxy || route !== undefined) return addressIn(request, cache, route)
  const known = cache.addresses.byUrl.get(url)
  if (known !== undefined) return known
  const address = addressIn(request, cache, route)
  if (address !== null) cache.addresses.byUrl.set(url, address)
  return address
}

function addressIn(request: Request, cache: ServerCache, route: RouteSettings | undefined): Address | null {
  const { url, headers } = request
  const { trustProxy } = cache.settings
  // What the URL parser has written: scheme://host/path?query#fragment.
  const start = url.indexOf('://') + 3
  const slash = url.indexOf('/', start)
  if (start < 3 || slash < 0 || !url.startsWith('http')) return null
  const hash = url.indexOf('#', slash)
  const target = hash < 0 ? url.slice(slash) : url.slice(slash, hash)
  const host = (trustProxy ? firstOf(headers.get('x-forwarded-host')) : null) ?? url.slice(start, slash)
  const scheme = (trustProxy ? firstOf(headers.get('x-forwarded-proto')) : null) ?? url.slice(0, start - 3)
  // A handler may put it in front of a name all the same (RELIABILITY 103).
  if (scheme !== 'http' && scheme !== 'https') return null
  return cache.addresses.of(target, host, scheme === 'https', route)
}

function firstOf(list: string | null): string | null {
  return list === null ? null : (list.split(',')[0]?.trim() ?? null)
}

/** A request as policy sees it. */
export function headOfRequest({ method, headers }: Request, url: string): RequestHead {
  return { method, url, headers: [...headers] }
}

/**
 * Whether a GET or a HEAD is the handler's own affair: it has a body, and so asks for more than its URL says, or it has conditions that
 * are not for a cache to judge (RFC 9111 section 4.3.2).
 */
export function isHandlersOwn({ method, headers }: Request): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  const length = headers.get('content-length')
  if ((length !== null && length !== '0') || headers.has('transfer-encoding')) return true
  return headers.has('if-match') || headers.has('if-unmodified-since')
}

/**
 * Whether Host is another name than that of the URL, as an absolute-form target makes it: the handler may go by either
 * (RELIABILITY 104). Where all names are one, it does not matter.
 */
export function namesAnotherHost({ url, headers }: Request, { settings }: ServerCache): boolean {
  const host = headers.get('host')
  if (host === null || settings.baseUrl !== null || settings.trustProxy) return false
  return URL.parse(`${url.slice(0, url.indexOf('://'))}://${host}`)?.host !== URL.parse(url)?.host
}

/** Whether a proxy is believed that names several hosts or schemes, of which a handler may go by any (RELIABILITY 103). */
export function namesSeveral({ headers }: Request, { settings }: ServerCache): boolean {
  return settings.trustProxy === true && FORWARDED.some((name) => headers.get(name)?.includes(','))
}

/** Whether it says who asks, in a field that is part of keys. */
export function hasIdentity(headers: Headers, names: readonly string[]): boolean {
  for (const name of names) if (headers.has(name)) return true
  return false
}

/** Whether it may be answered with something other than the whole. */
export function asksPart(headers: Headers): boolean {
  return headers.has('if-none-match') || headers.has('if-modified-since') || headers.has('range')
}

/** Whether a request says what it wants of a cache; policy knows what to make of it. */
export function hasDirectives(headers: Headers): boolean {
  return headers.has('cache-control') || headers.has('pragma')
}

function hasConditions({ headers }: Request): boolean {
  for (const name of CONDITIONS) if (headers.has(name)) return true
  return false
}

/** The same GET or HEAD without its conditions: the handler answers with the whole. */
export function withoutConditions(request: Request): Request {
  return hasConditions(request) ? remade(request, {}) : request
}

/** The same GET or HEAD with what the engine asks about what is stored in place of its own conditions. */
export function withConditions(request: Request, sent: RequestHead): Request {
  const conditions = conditionsOf(sent)
  return conditions.length === 0 ? withoutConditions(request) : remade(request, {}, conditions)
}

/** A request like the visitor's, for a run of the handler that outlives the visit. */
export function forRefresh(request: Request, sent: RequestHead): Request {
  return remade(request, { signal: null }, conditionsOf(sent))
}

/** Of the same class, so that the handler finds what it expects of one. */
function remade(request: Request, init: RequestInit, conditions: HeaderList = []): Request {
  const headers = new Headers(request.headers)
  for (const name of CONDITIONS) headers.delete(name)
  for (const [name, value] of conditions) headers.set(name, value)
  const Kind = request.constructor as new (input: Request, init: RequestInit) => Request
  return new Kind(request, { ...init, headers })
}
