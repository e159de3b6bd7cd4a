/** What handlers give to node:http, read as node:http reads it: chunks, encodings, callbacks, and fields in any of their forms. */
import { ServerResponse, type OutgoingHttpHeader, type OutgoingHttpHeaders } from 'node:http'
import type { HeaderLine, ResponseHead } from '../http/message.ts'
import { phraseOf, setPhrase } from './node-before.ts'
import { isFieldName, isFieldValue } from './node-fields.ts'

export type Callback = (error?: Error | null) => void
export type Chunk = string | Uint8Array

/** The arguments of `write` and `end`. */
export interface Given {
  readonly chunk: Chunk | undefined
  readonly encoding: BufferEncoding | undefined
  readonly done: Callback | undefined
}

/** @throws TypeError as node's own `write` does; 'write' */
export function writeArguments(args: readonly unknown[]): Given & { readonly chunk: Chunk } {
  const [chunk, encoding] = args
  if (chunk === null) throw coded(new TypeError('May not write null values to stream'), 'ERR_STREAM_NULL_VALUES')
  return { chunk: checked(chunk), encoding: encodingOf(chunk, encoding), done: callbackAmong(args) }
}

/** An end may be without a chunk. @throws TypeError as node's own `end` does */
export function endArguments(args: readonly unknown[]): Given {
  const [chunk, encoding] = args
  const none = typeof chunk === 'function' || chunk === '' || !chunk
  return {
    chunk: none ? undefined : checked(chunk),
    encoding: none ? undefined : encodingOf(chunk, encoding),
    done: callbackAmong(args),
  }
}

function callbackAmong(args: readonly unknown[]): Callback | undefined {
  return args.find((arg) => typeof arg === 'function') as Callback | undefined
}

function checked(chunk: unknown): Chunk {
  if (typeof chunk === 'string' || chunk instanceof Uint8Array) return chunk
  const message = `The "chunk" argument must be of type string or an instance of Buffer or Uint8Array, not ${typeof chunk}`
  throw coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE')
}

function encodingOf(chunk: unknown, encoding: unknown): BufferEncoding | undefined {
  if (typeof chunk !== 'string' || typeof encoding !== 'string' || encoding === '') return undefined
  if (Buffer.isEncoding(encoding)) return encoding
  throw coded(new TypeError(`Unknown encoding: ${encoding}`), 'ERR_UNKNOWN_ENCODING')
}

/** An error as node would have made it. */
export function coded<E extends Error>(error: E, code: string): E {
  return Object.assign(error, { code })
}

export function bytesOf(chunk: Chunk, encoding: BufferEncoding | undefined): Uint8Array {
  return typeof chunk === 'string' ? Buffer.from(chunk, encoding ?? 'utf8') : chunk
}

type Fields = OutgoingHttpHeaders | readonly OutgoingHttpHeader[]

/** The fields among the arguments of `writeHead`. */
function fieldsAmong([, second, third]: readonly unknown[]): Fields | undefined {
  const given = typeof second === 'string' ? third : (second ?? third)
  return typeof given === 'object' && given !== null ? (given as Fields) : undefined
}

/** Status and fields as they will be sent: those set one by one, and over them those given to writeHead. */
export function headOf(response: ServerResponse, args: readonly unknown[]): ResponseHead {
  const [status, second] = args
  const headers = linesOf(response.getHeaders())
  const given = fieldsAmong(args)
  const more = given === undefined ? [] : linesOf(given)
  const replaced = new Set(more.map(([name]) => name))
  return {
    // As node makes a number of it.
    status: Number(status ?? response.statusCode) | 0,
    statusText: typeof second === 'string' ? second : phraseOf(response),
    headers: more.length === 0 ? headers : [...headers.filter(([name]) => !replaced.has(name)), ...more],
  }
}

/** Whether node:http would send it: what it refuses is not kept either. */
export function isSendable({ status, statusText, headers }: ResponseHead): boolean {
  if (!Number.isInteger(status) || status < 100 || status > 999 || !isFieldValue(statusText)) return false
  return headers.every(([name, value]) => isFieldName(name) && isFieldValue(value))
}

/**
 * What is given to `writeHead` is what the response says of itself from then on, as with node's own, and a head that node would refuse
 * is refused where it is given. What was set by `setHeader` was looked at there. HTTP/2 has rules of its own: it says so when it is sent.
 * @returns what is left for node's own `writeHead`
 * @throws TypeError or RangeError, node's own
 */
export function takeHead(response: ServerResponse, args: readonly unknown[]): readonly unknown[] {
  if (response.req.httpVersionMajor >= 2) return args
  const [status, second] = args.length === 0 ? [response.statusCode] : args
  const given = fieldsAmong(args)
  const statusText = typeof second === 'string' ? second : phraseOf(response)
  const head = { status: Number(status) | 0, statusText, headers: given === undefined ? [] : linesOf(given) }
  if (!isSendable(head) || !isComplete(given)) refuse(response, args)
  if (args.length === 0) return args
  response.statusCode = head.status
  setPhrase(response, statusText)
  if (given === undefined || response.getHeaderNames().length === 0) return args
  setAll(response, given)
  return [head.status]
}

/** Node says why; what it takes all the same is taken. */
function refuse(response: ServerResponse, args: readonly unknown[]): void {
  const twin = new ServerResponse(response.req)
  twin.statusMessage = response.statusMessage
  twin.writeHead(...((args.length === 0 ? [response.statusCode] : args) as Parameters<ServerResponse['writeHead']>))
}

/** Whether every name has a value. */
function isComplete(given: Fields | undefined): boolean {
  if (given === undefined) return true
  if (!Array.isArray(given)) return !Object.values(given).flat().includes(undefined)
  return (Array.isArray(given[0]) || given.length % 2 === 0) && !given.flat(2).includes(undefined)
}

/** Beside fields that were set one by one, those of writeHead are, too: in place of others of the same name. */
function setAll(response: ServerResponse, given: Fields): void {
  if (!Array.isArray(given)) {
    for (const [name, value] of Object.entries(given))
      if (name !== '' && value !== undefined) response.setHeader(name, value)
    return
  }
  // Pairs node takes only where there is nothing beside them.
  const flat = Array.isArray(given[0]) ? given.flat() : given
  for (let at = 0; at < flat.length; at += 2) response.removeHeader(flat[at])
  for (let at = 0; at < flat.length; at += 2) if (flat[at]) response.appendHeader(flat[at], flat[at + 1])
}

/** node:http takes pairs only where no field was set one by one: names and values in turn it always takes. */
export function besideOthers(args: readonly unknown[]): unknown[] {
  return args.map((arg) => (Array.isArray(arg) && Array.isArray(arg[0]) ? linesOf(arg as Fields).flat() : arg))
}

/** A field among the arguments of writeHead. */
export function givenField(args: readonly unknown[], wanted: string): unknown {
  const given = fieldsAmong(args)
  if (given === undefined) return undefined
  if (Array.isArray(given)) return linesOf(given).find(([name]) => name === wanted)?.[1]
  for (const name in given) {
    if (name.length === wanted.length && name.toLowerCase() === wanted) return (given as OutgoingHttpHeaders)[name]
  }
  return undefined
}

/** Header lines of what node:http takes: an object, a flat array, or an array of pairs. */
function linesOf(fields: Fields): HeaderLine[] {
  if (!Array.isArray(fields)) return Object.entries(fields).flatMap(([name, value]) => lines(name, value))
  if (Array.isArray(fields[0])) return (fields as [string, OutgoingHttpHeader][]).flatMap(([n, v]) => lines(n, v))
  const all: HeaderLine[] = []
  for (let at = 0; at + 1 < fields.length; at += 2) all.push(...lines(String(fields[at]), fields[at + 1]))
  return all
}

function lines(name: string, value: OutgoingHttpHeader | undefined): HeaderLine[] {
  if (value === undefined) return []
  const lower = name.toLowerCase()
  return Array.isArray(value) ? value.map((one): HeaderLine => [lower, String(one)]) : [[lower, String(value)]]
}

/**
 * Where a handler wants its lengths to be right, what it has given must not be more than it said, nor less in the end.
 * @throws Error ERR_HTTP_CONTENT_LENGTH_MISMATCH, as node would
 */
export function checkLength(response: ServerResponse, head: readonly unknown[], given: number, isAll: boolean): void {
  if (response.req.method === 'HEAD' || response.hasHeader('transfer-encoding')) return
  const said = givenField(head, 'content-length') ?? response.getHeader('content-length')
  if (said === undefined || (isAll ? given === Number(said) : given <= Number(said))) return
  const message = `Response body's content-length of ${given} byte(s) does not match the content-length of ${String(said)} byte(s) set in header`
  throw coded(new Error(message), 'ERR_HTTP_CONTENT_LENGTH_MISMATCH')
}
