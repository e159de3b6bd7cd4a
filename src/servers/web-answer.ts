/** A handler's Response on its way to the visitor: as it came but for Cache-Status, Date and a missing ETag, or as a 304. */
import type { Reply } from '../engine/exchange.ts'
import type { HeaderList, ResponseHead } from '../http/message.ts'
import { ownFields } from './gate.ts'
import { isUnchanged, notModifiedHeaders, statusOf } from './answering.ts'
import { isBodiless, linesOf, type Body } from './web-reply.ts'

/**
 * @param body what takes the place of its body; undefined: nothing does
 * @param name our name in Cache-Status; null: none
 */
export function answerWith(
  { method, headers }: Request,
  own: Response,
  { head, info }: Pick<Reply, 'head' | 'info'>,
  name: string | null,
  body?: Body,
): Response {
  // A socket that was opened, or an error of fetch: nothing that could be made anew.
  if (own.status < 200) return own
  const fields = fieldsOf(own, head, info, name)
  if ((method === 'GET' || method === 'HEAD') && isUnchanged(linesOf(headers), head, info.now)) {
    const unread = body === undefined ? own.body : body
    if (unread instanceof ReadableStream) void readOut(unread, info)
    return notModified({ ...head, headers: linesOf(own.headers) }, fields)
  }
  if (body === undefined && fields.length === 0) return own
  if (isBodiless(method, own.status)) return dressed(own, null, fields)
  return dressed(own, body === undefined ? own.body : body, fields)
}

/** A body whose visitor has it already: read for the store alone, as long as that wants it. */
async function readOut(body: ReadableStream, info: Reply['info']): Promise<void> {
  const reader = body.getReader()
  try {
    for (let done = false; !done && info.stored;) ({ done } = await reader.read())
    await reader.cancel()
  } catch {
    // It broke off: the store has heard of it from its own side, and nobody else wanted it.
  }
}

function fieldsOf(own: Response, head: ResponseHead, info: Reply['info'], name: string | null): HeaderList {
  const fields = ownFields(info, head, (field) => own.headers.has(field))
  if (name === null) return fields
  const before = own.headers.get('cache-status')
  const said = statusOf(name, info, null)
  return [...fields, ['cache-status', before === null ? said : `${before}, ${said}`]]
}

function notModified({ headers }: ResponseHead, fields: HeaderList): Response {
  const names = new Set(fields.map(([name]) => name))
  const kept = notModifiedHeaders(headers).filter(([name]) => !names.has(name) && name !== 'transfer-encoding')
  return new Response(null, { status: 304, headers: [...kept, ...fields] as [string, string][] })
}

/**
 * Responses by their bodies: undici empties the unread body of a response that was collected, also where another response has taken it
 * over (RELIABILITY 14). Whoever has the body has its response.
 */
const owners = new WeakMap<ReadableStream, Response>()

/** Keeps a response as long as its body is there. To be called before its body is all that is left of it. */
export function keepWhole(response: Response): void {
  if (response.body !== null) owners.set(response.body, response)
}

/** A handler's response with another body, and with fields beside its own. */
export function dressed(response: Response, body: Body, fields: HeaderList): Response {
  keepWhole(response)
  const made = new Response(body, response)
  for (const [name, value] of fields) made.headers.set(name, value)
  return made
}
