/**
 * Sending a hit on a node:http response: whole, at hand, and prepared with its entry, so that only Age and the lifetime left are made
 * anew, once a second.
 *
 * Rule 1: what was set on the response before goes out, too, unless the stored answer has a field of that name.
 * Rule 2: the fields are given to node as the text they will be. It checks those that come one by one each time; these are checked
 *   when they are prepared, and what it would refuse goes the way on which it says so. Nor does it look at each for what it goes by
 *   itself where all it has to know is the length of the body.
 * Rule 3: whoever may look at the fields afterwards (a listener for the end of the response) finds them where node would have put
 *   them. Whoever has put a method of theirs in the place of node's, on the response or, as tracers do, for all responses, is called.
 */
import { OutgoingMessage, STATUS_CODES, type OutgoingHttpHeader, type ServerResponse } from 'node:http'
import type { ResponseEntry, StoredReply } from '../engine/reply.ts'
import { currentAge } from '../policy/age.ts'
import { isFieldName, isFieldValue } from './node-fields.ts'
import { begin, fieldsOf, NATIVE, statusLine, type FieldPart } from './node-send.ts'

interface Prepared {
  /** Our name in Cache-Status that the fields are right for: several caches may share a store. */
  readonly name: string | null
  /** The second of age the fields are right for. */
  readonly age: number
  readonly phrase: string
  /** Names and values in turn. */
  readonly fields: readonly FieldPart[]
  readonly text: HeadText | null
  /** Text of one byte a character where the body is short: node:http then sends head and body in one piece. */
  readonly body: Buffer | string
}

/** A head as text, but for the fields that node goes by itself. */
interface HeadText {
  /** The status line and field lines. */
  readonly lines: string
  /** Names and values in turn: those fields, and those that came on several lines, of which the server may want one. */
  readonly others: readonly FieldPart[]
  /** The names of all, in lower case. */
  readonly names: ReadonlySet<string>
  /** A date is among the lines. */
  readonly dated: boolean
  /** Bytes of the body, where their number is all that node has to go by: then it says so itself. Null: there is more. */
  readonly length: number | null
}

/** Bodies up to this many bytes are kept as text, too. */
const AS_TEXT = 16 * 1024

/** What node decides by how a message is framed. */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'trailer',
  'transfer-encoding',
])

/** What node goes by when no field names the length of a body that it knows; null: it knows none. */
const LENGTH = '_contentLength'

/** What makes a head of a first line and of fields, in node's own writeHead. */
type Native = OutgoingMessage & {
  readonly _storeHeader?: (this: OutgoingMessage, firstLine: string, fields?: readonly unknown[]) => void
  readonly _header?: unknown
  [LENGTH]?: number | null
  /** Somebody has taken the field away. */
  readonly _removedContLen?: boolean
  /** As they were written. */
  getRawHeaderNames?(): string[]
}

const { _storeHeader: storeHeader } = NATIVE as Native
const { writeHead } = NATIVE

/** Node names no way to give it fields as text: this one is used where it does what it has always done, tried on a message to nobody. */
function takesText(): boolean {
  // Not where somebody has put a method of theirs in its place for all responses.
  if (storeHeader === undefined || !String(writeHead).includes('this._storeHeader(')) return false
  const lines = 'HTTP/1.1 200 OK\r\na: b\r\ndate: today\r\n'
  try {
    const [one, other]: Native[] = [new OutgoingMessage(), new OutgoingMessage()]
    if (one === undefined || other === undefined || !saysLength(other)) return false
    one.sendDate = other.sendDate = false
    storeHeader.call(one, lines, ['content-length', '1'])
    other[LENGTH] = 1
    storeHeader.call(other, lines)
    return isHead(one, lines) && isHead(other, lines)
  } catch {
    // Another server than node's: it is asked by its public methods.
    return false
  }
}

/** Whether a head is made of these lines, the length of the body, and what is of the connection. */
function isHead({ _header: header }: Native, lines: string): boolean {
  const made = String(header)
  const rest = made.slice(lines.length).split('\r\n')
  const isKnown = rest.every((line) => /^(?:content-length: 1|connection: .*|keep-alive: .*)?$/i.test(line))
  return made.startsWith(lines) && made.endsWith('\r\n\r\n') && isKnown && /\r\ncontent-length: 1\r\n/i.test(made)
}

/** Whether node would name the length of a body that it knows (HTTP/1.0 has it end with the connection). */
function saysLength({ [LENGTH]: known, _removedContLen: removed, useChunkedEncodingByDefault }: Native): boolean {
  return known === null && removed === false && useChunkedEncodingByDefault
}

/** Null: not tried yet. */
let textIsTaken: boolean | null = null

const prepared = new WeakMap<ResponseEntry, Prepared>()

/**
 * Sends a fresh, whole answer that is at hand: the hit path.
 * @param name our name in Cache-Status; null: none
 */
export function sendWhole(response: ServerResponse, reply: StoredReply, bytes: Uint8Array, name: string | null): void {
  const { entry } = reply
  const age = Math.floor(currentAge(entry.meta, reply.now))
  let ready = prepared.get(entry)
  if (ready === undefined || ready.age !== age || ready.name !== name)
    prepared.set(entry, (ready = prepare(reply, bytes, age, name)))
  const { status } = entry.meta
  if (response.writeHead !== NATIVE.writeHead || response.end !== NATIVE.end) {
    begin(response, status, ready.phrase, ready.fields)
    response.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    return
  }
  if (ready.text === null || !beginAsText(response, status, ready.phrase, ready.text))
    response.writeHead(status, ready.phrase, ready.fields as OutgoingHttpHeader[])
  if (typeof ready.body === 'string') response.end(ready.body, 'latin1')
  else response.end(ready.body)
}

/** False: it is not to be done so here, and nothing was done. */
function beginAsText(
  response: ServerResponse & Native,
  status: number,
  phrase: string,
  { lines, others, names, dated, length }: HeadText,
): boolean {
  const { _storeHeader: own } = response
  if (storeHeader === undefined || own !== storeHeader || NATIVE.writeHead !== writeHead || response.headersSent)
    return false
  const set = response.getRawHeaderNames?.() ?? response.getHeaderNames()
  if (set.length > 0 && isWatched(response)) return false
  response.statusCode = status
  response.statusMessage = phrase
  if (dated) response.sendDate = false
  if (set.length > 0) storeHeader.call(response, lines, [...before(response, set, names), ...others])
  else if (length === null || !saysLength(response)) storeHeader.call(response, lines, others)
  else {
    response[LENGTH] = length
    storeHeader.call(response, lines)
  }
  return true
}

/** Whether anybody but node waits for the end of the response. */
function isWatched(response: ServerResponse): boolean {
  return response.listenerCount('finish') > 1 || response.listenerCount('close') > 0
}

/** Fields that were set before and are not the answer's. */
function before(response: ServerResponse, set: readonly string[], names: ReadonlySet<string>): unknown[] {
  const fields: unknown[] = []
  for (const name of set) if (!names.has(name.toLowerCase())) fields.push(name, response.getHeader(name))
  return fields
}

function prepare(reply: StoredReply, bytes: Uint8Array, age: number, name: string | null): Prepared {
  const { status, statusText } = reply.entry.meta
  const phrase = statusText === '' ? (STATUS_CODES[status] ?? '') : statusText
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const body = bytes.length <= AS_TEXT ? buffer.toString('latin1') : buffer
  const fields = fieldsOf(reply.head.headers, bytes.length, statusLine(reply, name))
  textIsTaken ??= takesText()
  return {
    name,
    age,
    phrase,
    fields,
    text: textIsTaken ? textOf(status, phrase, fields, bytes.length) : null,
    body,
  }
}

/** Null: node would refuse it, or sends no body with this status. */
function textOf(status: number, phrase: string, fields: readonly FieldPart[], bytes: number): HeadText | null {
  if (!isSendable(status, phrase, fields)) return null
  const others: FieldPart[] = []
  const names = new Set<string>()
  let lines = `HTTP/1.1 ${status} ${phrase}\r\n`
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const name = String(fields[at])
    const value = fields[at + 1] ?? ''
    names.add(name)
    if (FRAMING.has(name) || typeof value !== 'string') others.push(name, value)
    else lines += `${name}: ${value}\r\n`
  }
  const [only, more] = [others[0], others.length > 2]
  const length = only === 'content-length' && !more ? bytes : null
  return { lines, others, names, dated: names.has('date') && !others.includes('date'), length }
}

/** What writeHead would refuse goes that way, to be refused. */
function isSendable(status: number, phrase: string, fields: readonly FieldPart[]): boolean {
  if (status < 200 || status > 999 || status === 204 || status === 304) return false
  return (
    isFieldValue(phrase) && fields.every((each, at) => [each].flat().every(at % 2 === 0 ? isFieldName : isFieldValue))
  )
}
