/** What a node:http request says: its fields, the name it was asked under, who asks; and the conditions the handler is not to see. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { HeaderLine, HeaderList, RequestHead } from '../http/message.ts'
import { FORWARDED } from './addresses.ts'
import { conditionsOf } from './etag.ts'
import { isSignedIn } from './signed-in.ts'

/** What a visitor's conditions were, before they were hidden from the handler. */
const originals = new WeakMap<IncomingMessage, HeaderList>()
const HIDDEN = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'range']

export function originalConditions(request: IncomingMessage): HeaderList {
  return originals.get(request) ?? []
}

/** The handler answers with the whole: frameworks would answer conditions themselves, and proxies pass them on, by raw lines even. */
export function hideConditions(request: IncomingMessage): void {
  const { headers } = request
  const own: HeaderLine[] = []
  for (const name of HIDDEN) {
    const value = headers[name]
    if (typeof value !== 'string') continue
    own.push([name, value])
    delete headers[name]
  }
  if (own.length > 0 || !originals.has(request)) originals.set(request, own)
  if (own.length > 0) hideLines(request)
}

/** In the two other forms a request has its fields in. */
function hideLines({ rawHeaders, headersDistinct }: IncomingMessage): void {
  // In place: Node makes headersDistinct from as many raw lines as came, and HTTP/2 has neither it nor a setter for the other.
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2)
    if (HIDDEN.includes((rawHeaders[at] ?? '').toLowerCase())) rawHeaders.splice(at, 2)
  if (headersDistinct !== undefined) for (const name of HIDDEN) delete headersDistinct[name]
}

/**
 * What the engine asks instead, about what is stored: a handler that knows conditions spares itself the body.
 * @param sent the request as the engine forwards it
 * @returns whether it asks anything
 */
export function askConditionally(request: IncomingMessage, sent: RequestHead): boolean {
  const own = conditionsOf(sent)
  for (const [name, value] of own) {
    request.headers[name] = value
    request.rawHeaders.push(name, value)
    if (request.headersDistinct !== undefined) request.headersDistinct[name] = [value]
  }
  return own.length > 0
}

/** A request with the visitor's own conditions, whatever its handler was asked. */
export function visitorsHead(request: IncomingMessage, url: string): RequestHead {
  const head = headOf(request, url)
  const own = originals.get(request)
  if (own === undefined) return head
  return { ...head, headers: [...head.headers.filter(([name]) => !HIDDEN.includes(name)), ...own] }
}

/**
 * The fields of a request, every line: as they came, and as those in front have left them (a gateway that hands over no raw lines at
 * all, a token moved from a cookie into Authorization, a plan that only the server may name). What was taken away there counts still.
 */
export function requestLines({ rawHeaders, headers }: IncomingMessage): HeaderLine[] {
  const lines: HeaderLine[] = []
  /** Where the only line of a name is; -1: there are several. */
  const places = new Map<string, number>()
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    // HTTP/2 has the request line among the fields.
    if (name.startsWith(':')) continue
    places.set(name, places.has(name) ? -1 : lines.length)
    lines.push([name, rawHeaders[at + 1] ?? ''])
  }
  for (const name in headers) {
    const value = headers[name]
    if (value === undefined || name.startsWith(':')) continue
    const place = places.get(name)
    if (place === undefined) for (const one of typeof value === 'string' ? [value] : value) lines.push([name, one])
    else if (place >= 0 && typeof value === 'string') lines[place] = [name, value]
  }
  return lines
}

/** The name and scheme a visitor is taken to have asked by; undefined: those of the request itself. */
export interface AskedBy {
  readonly host?: string | undefined
  /** Null: the scheme is neither http nor https. */
  readonly secure?: boolean | null | undefined
}

const AS_IT_CAME: AskedBy = Object.freeze({})

/** What a handler of Express goes by: the proxy, where `trust proxy` believes whoever has sent this; bare node:http believes nobody. */
export function askedOfExpress(request: IncomingMessage, app: unknown = (request as { app?: unknown }).app): AskedBy {
  // Read, not asked for: to other frameworks that have an `app`, its `get` adds a route.
  const { settings } = (app ?? {}) as { settings?: Readonly<Record<string, unknown>> }
  const trust = settings?.['trust proxy fn']
  const trusted = typeof trust === 'function' && trust(request.socket.remoteAddress, 0) === true
  return trusted ? forwarded(request) : AS_IT_CAME
}

/**
 * The name and scheme a proxy in front was asked by, where it is to be believed.
 * @param place of several, that of the first proxy, which Express and Koa go by, or of the last one, as Fastify does
 */
export function forwarded({ headers }: IncomingMessage, place: 0 | -1 = 0): AskedBy {
  const scheme = member(headers['x-forwarded-proto'], place)
  return {
    host: member(headers['x-forwarded-host'], place),
    secure: scheme === undefined ? undefined : isHttps(scheme),
  }
}

/** An empty field is as good as none. */
function member(list: string | string[] | undefined, place: number): string | undefined {
  return typeof list === 'string' && list !== '' ? list.split(',').at(place)?.trim() : undefined
}

/** Null: neither http nor https, though a handler may put it in front of a name all the same (RELIABILITY 103). */
export function isHttps(scheme: string): boolean | null {
  return scheme === 'https' || (scheme === 'http' ? false : null)
}

/** Whether proxies have added to what the visitor had sent: which member a handler goes by is then its own affair. */
export function namesSeveral({ headers }: IncomingMessage): boolean {
  return FORWARDED.some((name) => headers[name]?.includes(','))
}

export function isEncrypted({ socket }: IncomingMessage): boolean {
  return (socket as TLSSocket).encrypted === true
}

/** What sessions and authentication of Connect and Express leave on a request. */
export function askedBySomebody(request: IncomingMessage): boolean {
  const { user, session } = request as { user?: unknown; session?: unknown }
  return isSignedIn(user, session)
}

/** A request as policy sees it. */
export function headOf(request: IncomingMessage, url: string): RequestHead {
  return { method: request.method ?? 'GET', url, headers: requestLines(request) }
}
