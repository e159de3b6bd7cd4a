/** Sending any stored reply on a node:http response. Hits that are whole and at hand have a way of their own (node-whole.ts). */
import { ServerResponse } from 'node:http'
import type { HeaderList } from '../http/message.ts'
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
 * @param fields names and values in turn
 */
export function begin(
  response: ServerResponse,
  status: number,
  phrase: string,
  fields: readonly string[],
  sender: Sender = senderOf(response),
): void {
  // A phrase that something further out had set is not this answer's.
  setPhrase(response, phrase)
  if (response.writeHead === NATIVE.writeHead) return void sender.writeHead.call(response, status, fields)
  const values = new Map<string, string[]>()
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name = '', value = ''] = fields.slice(at, at + 2)
    const known = values.get(name)
    if (known === undefined) values.set(name, [value])
    else known.push(value)
  }
  for (const [name, all] of values) response.setHeader(name, all.length > 1 ? all : (all[0] ?? ''))
  response.statusCode = status
  sender.writeHead.call(response, status)
}

/** Our member of Cache-Status; null: none is wanted. */
export function statusLine(reply: StoredReply, name: string | null): string | null {
  return name === null ? null : statusOf(name, reply.info, reply)
}

/** Fields as node:http takes them fastest: names and values in turn. */
export function fieldsOf(headers: HeaderList, length: number | null, status: string | null): string[] {
  const fields: string[] = []
  for (const [name, value] of headers) {
    if (name === 'content-length' && length !== null) continue
    fields.push(name, value)
  }
  if (length !== null) fields.push('content-length', String(length))
  if (status !== null) fields.push('cache-status', status)
  return fields
}

/** Sends any stored reply; resolves when all of it was handed to the response, or the visitor has left. */
export async function sendReply(
  response: ServerResponse,
  reply: StoredReply,
  name: string | null,
  sender: Sender = senderOf(response),
): Promise<void> {
  const { head, body } = reply
  const length = body?.size ?? lengthForHead(reply)
  const fields = fieldsOf(head.headers, length, statusLine(reply, name))
  begin(response, head.status, head.statusText, fields, sender)
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
