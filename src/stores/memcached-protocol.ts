/**
 * memcached's text protocol: requests as bytes, and an incremental parser of replies.
 *
 * Rule 1: every reply is a line, preceded by the values that were found, of at most MOST_KEYS. The parser needs no knowledge of the
 *   request; whether the reply suits the request is asked afterwards (`refusal`).
 * Rule 2: packets mean nothing: a reply may come byte by byte, or a hundred in one piece (RELIABILITY B39).
 * Rule 3: whatever is not a reply is a ProtocolError; the stream is out of step from then on and its connection of no more use.
 */

/** A value as retrieved: its key as the server has it, its bytes, and its version where it was asked for. */
export interface RetrievedValue {
  readonly key: string
  readonly data: Uint8Array
  /** A 64-bit number in decimal. */
  readonly cas: string | null
}

export interface Reply {
  /** The line that ends the reply, without its line break. */
  readonly line: string
  readonly values: readonly RetrievedValue[]
}

export interface Request {
  /** The command line, with its line break. */
  readonly text: string
  /** The value that follows it. */
  readonly data: Uint8Array | null
  /** The keys that values in the reply may have. */
  readonly keys: readonly string[]
  /** The lines that may end the reply, save for SERVER_ERROR. */
  readonly ends: RegExp
}

/** What came is not what memcached answers. */
export class ProtocolError extends Error {
  override readonly name: 'ProtocolError' = 'ProtocolError'
}

type Storage = 'set' | 'add' | 'cas'

const STORAGE: Readonly<Record<Storage, RegExp>> = {
  set: /^STORED$/,
  add: /^(NOT_)?STORED$/,
  cas: /^(STORED|EXISTS|NOT_FOUND)$/,
}
/** Keys that are asked for by one command: what they bring is one reply, which a server does not interrupt. */
export const MOST_KEYS: number = 100
const NONE: readonly string[] = []
const END = /^END$/
const DELETED = /^(DELETED|NOT_FOUND)$/
const TOUCHED = /^(TOUCHED|NOT_FOUND)$/
const LONGEST_LINE = 2048
/** The largest value that a server may announce, in bytes: far more than any server's item size. */
const LARGEST_VALUE = 256 * 1024 * 1024
const LINE_FEED = 10
const CARRIAGE_RETURN = 13

/** @param keys different ones, at most MOST_KEYS */
export function retrieval(command: 'get' | 'gets', keys: readonly string[]): Request {
  return { text: `${command} ${keys.join(' ')}\r\n`, data: null, keys, ends: END }
}

export function storage(command: Storage, key: string, data: Uint8Array, exptime: number, cas: string = ''): Request {
  const text = `${command} ${key} 0 ${exptime} ${data.length}${cas === '' ? '' : ` ${cas}`}\r\n`
  return { text, data, keys: NONE, ends: STORAGE[command] }
}

export function deletion(key: string): Request {
  return { text: `delete ${key}\r\n`, data: null, keys: NONE, ends: DELETED }
}

export function touching(key: string, exptime: number): Request {
  return { text: `touch ${key} ${exptime}\r\n`, data: null, keys: NONE, ends: TOUCHED }
}

export const VERSION: Request = { text: 'version\r\n', data: null, keys: NONE, ends: /^VERSION / }

/** Why a reply cannot be the answer to a request; null: it is. */
export function refusal({ keys, ends }: Request, { line, values }: Reply): string | null {
  if (values.length > keys.length || !values.every(({ key }) => keys.includes(key)))
    return 'a value that was not asked for'
  return ends.test(line) || line.startsWith('SERVER_ERROR') ? null : `\`${line.slice(0, 80)}\``
}

interface Announced {
  readonly key: string
  readonly cas: string | null
  /** Bytes of the value and the line break after it. */
  readonly total: number
  /** Collects a value that comes in several pieces. */
  parts: Uint8Array | null
  filled: number
}

/** Takes bytes as they come, and gives replies as they are complete. */
export class ReplyParser {
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  #announced: Announced | null = null
  #values: RetrievedValue[] = []

  /** Whether all that came was whole replies, and all of them were taken. */
  get isIdle(): boolean {
    return this.#at === this.#bytes.length && this.#announced === null && this.#values.length === 0
  }

  feed(bytes: Buffer): void {
    // What is left is part of a line: values are taken as they come.
    this.#bytes = this.#at === this.#bytes.length ? bytes : Buffer.concat([this.#bytes.subarray(this.#at), bytes])
    this.#at = 0
  }

  /**
   * The next reply, or null until more has come.
   * @throws ProtocolError
   */
  next(): Reply | null {
    for (;;) {
      if (this.#announced !== null && !this.#readValue(this.#announced)) return null
      const line = this.#readLine()
      if (line === null) return null
      if (!line.startsWith('VALUE ')) return this.#end(line)
      if (this.#values.length >= MOST_KEYS) throw new ProtocolError('more values than were asked for')
      this.#announced = announcement(line)
    }
  }

  #end(line: string): Reply {
    const reply = { line, values: this.#values }
    this.#values = []
    return reply
  }

  #readLine(): string | null {
    if (this.#readEnd()) return 'END'
    const end = this.#bytes.indexOf(LINE_FEED, this.#at)
    const length = (end < 0 ? this.#bytes.length : end) - this.#at
    if (length > LONGEST_LINE) throw new ProtocolError('a line without an end')
    if (end < 0) return null
    if (this.#bytes[end - 1] !== CARRIAGE_RETURN || length === 0) throw new ProtocolError('a line without CR LF')
    const line = this.#bytes.toString('latin1', this.#at, end - 1)
    this.#at = end + 1
    return line
  }

  /** The line that ends nearly every reply: nothing has to be looked for, and no text made. */
  #readEnd(): boolean {
    const bytes = this.#bytes
    const at = this.#at
    if (bytes[at] !== 0x45 || bytes[at + 1] !== 0x4e || bytes[at + 2] !== 0x44) return false
    if (bytes[at + 3] !== CARRIAGE_RETURN || bytes[at + 4] !== LINE_FEED) return false
    this.#at = at + 5
    return true
  }

  /** Whether the value is complete. */
  #readValue(announced: Announced): boolean {
    const { total } = announced
    const whole = announced.parts === null ? this.#takeWhole(total) : null
    const bytes = whole ?? this.#collect(announced)
    if (bytes === null) return false
    if (bytes[total - 2] !== CARRIAGE_RETURN || bytes[total - 1] !== LINE_FEED) {
      throw new ProtocolError('a value longer or shorter than announced')
    }
    this.#values.push({ key: announced.key, cas: announced.cas, data: bytes.subarray(0, total - 2) })
    this.#announced = null
    return true
  }

  /** A copy: what else came in the packet must neither be kept in memory by this value, nor go when its buffer is transferred. */
  #takeWhole(total: number): Uint8Array | null {
    if (this.#bytes.length - this.#at < total) return null
    const from = this.#bytes.byteOffset + this.#at
    this.#at += total
    return new Uint8Array(this.#bytes.buffer.slice(from, from + total))
  }

  #collect(announced: Announced): Uint8Array | null {
    const parts = (announced.parts ??= new Uint8Array(Buffer.allocUnsafeSlow(announced.total).buffer))
    const piece = this.#bytes.subarray(this.#at, this.#at + announced.total - announced.filled)
    parts.set(piece, announced.filled)
    announced.filled += piece.length
    this.#at += piece.length
    return announced.filled === announced.total ? parts : null
  }
}

/** `VALUE key flags bytes [cas]` */
function announcement(line: string): Announced {
  const match = /^VALUE (\S{1,250}) \d{1,10} (\d{1,10})(?: (\d{1,20}))?$/.exec(line)
  const length = Number(match?.[2])
  if (match?.[1] === undefined || length > LARGEST_VALUE) throw new ProtocolError(`\`${line.slice(0, 80)}\``)
  return { key: match[1], cas: match[3] ?? null, total: length + 2, parts: null, filled: 0 }
}
