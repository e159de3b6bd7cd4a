/** Stored replies and purges as Fetch Responses, and Fetch messages as the engine sees them. */
import type { Reply } from '../engine/exchange.ts'
import type { ResponseEntry, StoredReply } from '../engine/reply.ts'
import type { HeaderLine, ResponseHead } from '../http/message.ts'
import { currentAge } from '../policy/age.ts'
import { lengthForHead, statusOf } from './answering.ts'

/** What a Response is made with here. */
export type Body = ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null

type Pairs = [name: string, value: string][]

/** The header lines of a Fetch message; their names are lower case by the standard. */
export function linesOf(headers: Headers): HeaderLine[] {
  return [...headers]
}

export function headOf({ status, statusText, headers }: Response): ResponseHead {
  return { status, statusText, headers: linesOf(headers) }
}

/** Statuses that come without a body (the Fetch standard's null body statuses). */
const NULL_BODY: ReadonlySet<number> = new Set([101, 103, 204, 205, 304])

export function isBodiless(method: string, status: number): boolean {
  return method === 'HEAD' || NULL_BODY.has(status)
}

interface Prepared {
  /** Our name in Cache-Status that the fields are right for: several caches may share a store. */
  readonly name: string | null
  /** The second of age the fields are right for. */
  readonly age: number
  /**
   * A plain object where no name comes twice: what runtimes take fastest. Never changed. Pairs where no type is said, too: servers that add one
   * to what the handler gave (@hono/node-server does) add it to pairs, but not to an object, and browsers would guess at what it is.
   */
  readonly fields: Pairs | Record<string, string>
  /** Text where the body is short and is text: servers then send head and body in one piece. Null: empty, and servers add no type to it. */
  readonly body: string | Uint8Array<ArrayBuffer> | null
}

/** Bodies up to this many bytes are kept as text, too. */
const AS_TEXT = 16 * 1024

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The same bytes as text; only where a type is said, which a Response would else make up for text. */
function asText(bytes: Uint8Array<ArrayBuffer>, fields: Pairs): Prepared['body'] {
  if (bytes.length === 0) return null
  if (bytes.length > AS_TEXT || !fields.some(([name]) => name === 'content-type')) return bytes
  try {
    return decoder.decode(bytes)
  } catch {
    // Not text.
    return bytes
  }
}

const prepared = new WeakMap<ResponseEntry, Prepared>()

/**
 * A fresh, whole answer that is at hand: the hit path.
 * @param name our name in Cache-Status; null: none
 */
export function wholeResponse(reply: StoredReply, bytes: Uint8Array, name: string | null): Response {
  const { entry } = reply
  const age = Math.floor(currentAge(entry.meta, reply.now))
  let ready = prepared.get(entry)
  if (ready === undefined || ready.age !== age || ready.name !== name) {
    const fields = fieldsOf(reply, bytes.length, name)
    const body = ready === undefined ? asText(bytes as Uint8Array<ArrayBuffer>, fields) : ready.body
    ready = { name, age, fields: simplified(fields), body }
    prepared.set(entry, ready)
  }
  const { status, statusText } = entry.meta
  return new Response(ready.body, { status, statusText, headers: ready.fields })
}

function simplified(fields: Pairs): Prepared['fields'] {
  const names = new Set(fields.map(([name]) => name))
  return names.size === fields.length && names.has('content-type') ? Object.fromEntries(fields) : fields
}

/** Any stored answer. */
export function storedResponse(reply: StoredReply, name: string | null): Response {
  const { head, body } = reply
  const length = body?.size ?? lengthForHead(reply)
  const init = { status: head.status, statusText: head.statusText, headers: fieldsOf(reply, length, name) }
  return new Response(body === null ? null : bodyOf(body), init)
}

function bodyOf(body: NonNullable<Reply['body']>): Body {
  if (body.bytes?.length === 0) return null
  return (body.bytes as Uint8Array<ArrayBuffer> | null) ?? body.stream()
}

function fieldsOf(reply: StoredReply, length: number | null, name: string | null): Pairs {
  const fields: Pairs = []
  for (const [field, value] of reply.head.headers) {
    if (field !== 'content-length' || length === null) fields.push([field, value])
  }
  if (length !== null) fields.push(['content-length', String(length)])
  if (name !== null) fields.push(['cache-status', statusOf(name, reply.info, reply)])
  return fields
}

/** A reply that the engine made itself: 504, nothing stored and the handler not to be asked. */
export function ownResponse({ head, body }: Reply): Response {
  const { status, statusText, headers } = head
  return new Response(body === null ? null : bodyOf(body), { status, statusText, headers: headers as Pairs })
}
