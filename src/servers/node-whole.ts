/**
 * Sending a hit on a node:http response: whole, at hand, and prepared with its entry, so that only Age and the lifetime left are made
 * anew, once a second.
 *
 * Rule 1: what was set on the response before goes out, too, unless the stored answer has a field of that name.
 * Rule 2: the fields are given to node as the text they will be. It checks those that come one by one each time; these are checked
 *   when they are prepared, and what it would refuse goes the way on which it says so.
 * Rule 3: whoever may look at the fields afterwards (a listener for the end of the response) finds them where node would have put
 *   them. Whoever has put a method of theirs in the place of node's, on the response or, as tracers do, for all responses, is called.
 */
import { OutgoingMessage, STATUS_CODES, type ServerResponse } from 'node:http'
import type { ResponseEntry, StoredReply } from '../engine/reply.ts'
import { currentAge } from '../policy/age.ts'
import { isFieldName, isFieldValue } from './node-fields.ts'
import { begin, fieldsOf, NATIVE, statusLine } from './node-send.ts'

interface Prepared {
  /** Our name in Cache-Status that the fields are right for: several caches may share a store. */
  readonly name: string | null
  /** The second of age the fields are right for. */
  readonly age: number
  readonly phrase: string
  /** Names and values in turn. */
  readonly fields: readonly string[]
  readonly text: HeadText | null
  /** Text of one byte a character where the body is short: node:http then sends head and body in one piece. */
  readonly body: Buffer | string
}

/** A head as text, but for the fields that node goes by itself. */
interface HeadText {
  /** The status line and field lines. */
  readonly lines: string
  /** Names and values in turn: those fields. */
  readonly others: readonly string[]
  /** The names of all, in lower case. */
  readonly names: ReadonlySet<string>
}

/** Bodies up to this many bytes are kept as text, too. */
const AS_TEXT = 16 * 1024

/** What node decides by how a message is framed. */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'expect',
  'keep-alive',
  'trailer',
  'transfer-encoding',
])

/** What makes a head of a first line and of fields, in node's own writeHead. */
type Native = OutgoingMessage & {
  readonly _storeHeader?: (this: OutgoingMessage, firstLine: string, fields: readonly unknown[]) => void
  readonly _header?: unknown
  /** As they were written. */
  getRawHeaderNames?(): string[]
}

const { _storeHeader: storeHeader } = NATIVE as Native
const { writeHead } = NATIVE

/** Node names no way to give it fields as text: this one is used where it does what it has always done, tried on a message to nobody. */
function takesText(): boolean {
  // Not where somebody has put a method of theirs in its place for all responses.
  if (storeHeader === undefined || !String(writeHead).includes('this._storeHeader(')) return false
  try {
    const message: Native = new OutgoingMessage()
    storeHeader.call(message, 'HTTP/1.1 200 OK\r\na: b\r\n', ['date', 'today', 'content-length', '1'])
    const { _header: header } = message
    const made = String(header)
    const rest = made.replace('HTTP/1.1 200 OK\r\na: b\r\ndate: today\r\ncontent-length: 1\r\n', '')
    return rest.length < made.length && /^(?:Connection: [^\r\n]*\r\n|Keep-Alive: [^\r\n]*\r\n)*\r\n$/.test(rest)
  } catch {
    // Another server than node's: it is asked by its public methods.
    return false
  }
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
    response.writeHead(status, ready.phrase, ready.fields as string[])
  if (typeof ready.body === 'string') response.end(ready.body, 'latin1')
  else response.end(ready.body)
}

/** False: it is not to be done so here, and nothing was done. */
function beginAsText(
  response: ServerResponse & Native,
  status: number,
  phrase: string,
  { lines, others, names }: HeadText,
): boolean {
  const { _storeHeader: own } = response
  if (storeHeader === undefined || own !== storeHeader || NATIVE.writeHead !== writeHead || response.headersSent)
    return false
  const set = response.getRawHeaderNames?.() ?? response.getHeaderNames()
  if (set.length > 0 && isWatched(response)) return false
  response.statusCode = status
  response.statusMessage = phrase
  storeHeader.call(response, lines, set.length === 0 ? others : [...before(response, set, names), ...others])
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
    text: textIsTaken ? textOf(status, phrase, fields) : null,
    body,
  }
}

/** Null: node would refuse it, or sends no body with this status. */
function textOf(status: number, phrase: string, fields: readonly string[]): HeadText | null {
  if (!isSendable(status, phrase, fields)) return null
  const others: string[] = []
  const names = new Set<string>()
  let lines = `HTTP/1.1 ${status} ${phrase}\r\n`
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [name = '', value = ''] = fields.slice(at, at + 2)
    names.add(name)
    if (FRAMING.has(name)) others.push(name, value)
    else lines += `${name}: ${value}\r\n`
  }
  return { lines, others, names }
}

/** What writeHead would refuse goes that way, to be refused. */
function isSendable(status: number, phrase: string, fields: readonly string[]): boolean {
  if (status < 200 || status > 999 || status === 204 || status === 304) return false
  return isFieldValue(phrase) && fields.every((each, at) => (at % 2 === 0 ? isFieldName(each) : isFieldValue(each)))
}
