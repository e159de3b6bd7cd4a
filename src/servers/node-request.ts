/** What a node:http request says: its fields, the name it was asked under, who asks; and the conditions the handler is not to see. */
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { HeaderLine, HeaderList } from '../http/message.ts'
import type { ServerSettings } from './options.ts'
import { isSignedIn } from './signed-in.ts'

/** What a visitor's conditions were, before they were hidden from the handler. */
const originals = new WeakMap<IncomingMessage, HeaderList>()
const HIDDEN = ['if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'range']

export function originalConditions(request: IncomingMessage): HeaderList {
  return originals.get(request) ?? []
}

/** The handler answers with the whole: frameworks would answer conditions themselves. */
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
}

/** The fields of a request, every line. */
export function requestLines({ rawHeaders }: IncomingMessage): HeaderLine[] {
  const lines: HeaderLine[] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    lines.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? ''])
  }
  return lines
}

/** The name it was asked under. */
export function hostOf({ headers }: IncomingMessage, { trustProxy }: ServerSettings): string | undefined {
  const forwarded = trustProxy ? headers['x-forwarded-host'] : undefined
  const host = typeof forwarded === 'string' ? forwarded.split(',')[0]?.trim() : headers.host
  return host ?? (typeof headers[':authority'] === 'string' ? headers[':authority'] : undefined)
}

export function isSecure({ socket, headers }: IncomingMessage, { trustProxy }: ServerSettings): boolean {
  const forwarded = trustProxy ? headers['x-forwarded-proto'] : undefined
  if (typeof forwarded === 'string') return forwarded.split(',')[0]?.trim() === 'https'
  return (socket as TLSSocket).encrypted === true
}

/** What sessions and authentication of Connect and Express leave on a request. */
export function askedBySomebody(request: IncomingMessage): boolean {
  const { user, session } = request as { user?: unknown; session?: unknown }
  return isSignedIn(user, session)
}

/** A GET with a body asks for more than its URL says: it is the handler's own affair (RELIABILITY 106). */
export function hasBody({ method, headers }: IncomingMessage): boolean {
  if (method !== 'GET' && method !== 'HEAD') return false
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0'
}
