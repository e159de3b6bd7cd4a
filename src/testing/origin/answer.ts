/** Puts an answer given as data on the wire: head, body with backpressure, trailers, and the ways to break off. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { OriginAnswer, OriginExchange, OriginHeaders } from './types.ts'

/**
 * Sends `answer` and resolves when its last byte is handed to the system, or the connection is cut as the answer says.
 * False: the client went away before that.
 */
export async function sendAnswer(exchange: OriginExchange, answer: OriginAnswer): Promise<boolean> {
  if (answer.delay !== undefined) await exchange.wait(answer.delay)
  if (answer.empty === true || answer.raw !== undefined) {
    return sendRaw(exchange, answer.raw ?? '', answer.cut ?? 'end')
  }
  const { response } = exchange
  response.statusCode = answer.status ?? 200
  if (answer.statusText !== undefined) response.statusMessage = answer.statusText
  setHeaders(exchange, answer.headers)
  const body = bodyOf(exchange, answer)
  if (answer.trailers !== undefined) response.setHeader('Trailer', Object.keys(answer.trailers).join(', '))
  if (answer.cut !== undefined) return cutAfter(exchange, body, answer.cut)
  if (answer.trailers === undefined && (typeof body === 'string' || body instanceof Uint8Array)) {
    return finish(exchange, body)
  }
  await pump(exchange, body)
  if (answer.trailers !== undefined) response.addTrailers(answer.trailers)
  return finish(exchange)
}

/** Sets header lines in order; a repeated name becomes repeated lines. */
function setHeaders(exchange: OriginExchange, headers: OriginHeaders | undefined): void {
  if (headers === undefined) return
  const seen = new Set<string>()
  for (const [name, value] of isPairs(headers) ? headers : Object.entries(headers)) {
    const lines = Array.isArray(value) ? value.map(String) : [String(value)]
    if (seen.has(name.toLowerCase())) exchange.response.appendHeader(name, lines)
    else exchange.response.setHeader(name, lines.length === 1 ? (lines[0] ?? '') : lines)
    seen.add(name.toLowerCase())
  }
}

function isPairs(headers: OriginHeaders): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers)
}

type Body = string | Uint8Array | AsyncIterable<Uint8Array>

function bodyOf({ response }: OriginExchange, answer: OriginAnswer): Body {
  if (answer.json === undefined) return answer.body ?? ''
  if (!response.hasHeader('content-type')) response.setHeader('Content-Type', 'application/json')
  return JSON.stringify(answer.json)
}

/** Writes chunk by chunk, waiting for the client to read; stops when it goes away. HEAD gets no body. */
async function pump(exchange: OriginExchange, body: Body): Promise<void> {
  const { response, signal } = exchange
  response.flushHeaders()
  if (exchange.request.method === 'HEAD') return
  if (typeof body === 'string' || body instanceof Uint8Array) {
    if (body.length > 0) response.write(body)
    return
  }
  for await (const chunk of body) {
    if (signal.aborted) return
    if (!response.write(chunk)) await once(response, 'drain', { signal })
  }
}

async function finish({ response, signal }: OriginExchange, body: string | Uint8Array = ''): Promise<boolean> {
  if (signal.aborted) return false
  const finished = once(response, 'finish', { signal })
  response.end(body)
  await finished
  return true
}

async function cutAfter(exchange: OriginExchange, body: Body, cut: 'reset' | 'end'): Promise<boolean> {
  const { response, signal } = exchange
  await pump(exchange, body)
  const { socket } = response
  if (socket === null || signal.aborted) return false
  // Every byte must be with the kernel before the connection goes: an empty write is called back after all others.
  await new Promise<void>((resolve) => socket.write('', () => resolve()))
  return hangUp(exchange, socket, cut)
}

async function sendRaw(exchange: OriginExchange, raw: string | Uint8Array, cut: 'reset' | 'end'): Promise<boolean> {
  const { response } = exchange
  const { socket } = response
  if (socket === null) return false
  // From here on node:http must not write on this socket.
  response.detachSocket(socket)
  const bytes = typeof raw === 'string' ? Buffer.from(raw, 'latin1') : raw
  if (bytes.length > 0) await new Promise<void>((resolve) => socket.write(bytes, () => resolve()))
  return hangUp(exchange, socket, cut)
}

async function hangUp(exchange: OriginExchange, socket: Socket, cut: 'reset' | 'end'): Promise<boolean> {
  if (cut === 'end') {
    socket.end()
    socket.destroySoon()
    return true
  }
  // A reset discards what the peer's kernel has not handed to the peer: give it a moment, so that the cut falls mid-body.
  await exchange.wait(20)
  socket.resetAndDestroy()
  return true
}
