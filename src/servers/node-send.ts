/** Sending any stored reply on a node:http response. Hits that are whole and at hand have a way of their own (node-whole.ts). */
import { ServerResponse } from 'node:http'
import type { HeaderLine, HeaderList } from '../http/message.ts'
import type { StoredReply } from '../engine/reply.ts'
import type { ReplyBody } from '../engine/exchange.ts'
import { lengthForHead, statusOf } from './answering.ts'
import { setPhrase } from './node-before.ts'
import type { Sender } from './node-capture.ts'

/** What nobody has put anything over. */
export const NATIVE: ServerResponse = ServerResponse.prototype

/**
 * Sends status and fields. Only node's own method is known to take them in one piece: what middlewares have put in its place
 * (compression, sessions, loggers) and that of HTTP/2 find them set one by one.
 * @param fields names and values in turn; the values of several lines of one name together: node:http then makes one line
 *   of those that the server has for unique (option `uniqueHeaders`)
 */
export function begin(
  response: ServerResponse,
  status: number,
  phrase: string,
  fields: readonly FieldPart[],
  sender: Sender = senderOf(response),
): void {
  // A phrase that something further out had set is not this answer's.
  setPhrase(response, phrase)
  if (response.writeHead === NATIVE.writeHead) return void sender.writeHead.call(response, status, fields)
  for (let at = 0; at + 1 < fields.length; at += 2) response.setHeader(String(fields[at]), fields[at + 1] ?? '')
  response.statusCode = status
  sender.writeHead.call(response, status)
}

/**
 * In place of an answer that cannot be sent (fields that no response of its kind may have): an error, with nothing of it. Where it is too
 * late for that, its connection is broken off.
 */
export function sendFailure(response: ServerResponse, sender: Sender = senderOf(response)): void {
  if (response.headersSent) return void response.destroy()
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  begin(response, 500, '', [], sender)
  sender.end.call(response)
  // HTTP/2 has taken the end of what could not be sent for its own.
  if (!response.writableFinished && !response.headersSent) response.destroy()
}

/** Our member of Cache-Status; null: none is wanted. */
export function statusLine(reply: StoredReply, name: string | null): string | null {
  return name === null ? null : statusOf(name, reply.info, reply)
}

/** A name, or what is said under it. */
export type FieldPart = string | readonly string[]

/** Fields as node:http takes them fastest: names and values in turn, those of one name together. */
export function gathered(lines: HeaderList): FieldPart[] {
  const fields: FieldPart[] = []
  /** Where the values of a name are. */
  const places = new Map<string, number>()
  for (const [name, value] of lines) {
    const place = places.get(name)
    const known = place === undefined ? undefined : fields[place]
    if (place !== undefined && known !== undefined) fields[place] = [known, value].flat()
    else places.set(name, fields.push(name, value) - 1)
  }
  return fields
}

/** The fields of a stored answer as they are sent. */
export function fieldsOf(headers: HeaderList, length: number | null, status: string | null): FieldPart[] {
  const lines: HeaderLine[] = headers.filter(([name]) => name !== 'content-length' || length === null)
  if (length !== null) lines.push(['content-length', String(length)])
  if (status !== null) lines.push(['cache-status', status])
  return gathered(lines)
}

/** Sends any stored reply; resolves when all of it was handed to the response, or the visitor has left. */
export async function sendReply(
  response: ServerResponse,
  reply: StoredReply,
  name: string | null,
  sender: Sender = senderOf(response),
): Promise<void> {
  const { head, body } = reply
  // 205 has no body by its meaning, not by how it is framed (RFC 9110 section 15.3.6).
  const length = body?.size ?? lengthForHead(reply) ?? (head.status === 205 ? 0 : null)
  const fields = fieldsOf(head.headers, length, statusLine(reply, name))
  try {
    begin(response, head.status, head.statusText, fields, sender)
  } catch (error) {
    sendFailure(response, sender)
    throw error
  }
  if (body === null) sender.end.call(response)
  else if (body.bytes !== null) {
    const { bytes } = body
    sender.end.call(response, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
  } else await pump(response, body, sender)
}

/** The methods of a response as they are now: what is put in their place later does not touch an answer on its way. */
export function senderOf({ writeHead, write, end, flushHeaders }: ServerResponse): Sender {
  return { writeHead, write, end, flushHeaders } as Sender
}

async function pump(response: ServerResponse, body: ReplyBody, sender: Sender): Promise<void> {
  const reader = body.stream().getReader()
  const wake: { up: (() => void) | null } = { up: null }
  // It may have left before there was anything to send: nothing would tell us any more.
  const visitor = { gone: response.destroyed }
  response.once('close', () => {
    visitor.gone = true
    wake.up?.()
  })
  response.on('drain', () => wake.up?.())
  try {
    while (!visitor.gone) {
      const { done, value } = await reader.read()
      if (done) return void sender.end.call(response)
      if (!sender.write.call(response, value, 'utf8') && !visitor.gone)
        await new Promise<void>((resolve) => (wake.up = resolve))
    }
    await reader.cancel()
  } catch (error) {
    // The status is out: all that is left is to break off, so that nobody takes the part for the whole.
    response.destroy(error instanceof Error ? error : new Error(String(error)))
  }
}
