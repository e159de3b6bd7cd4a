/**
 * Bytes to values. The format is in value-format.ts.
 *
 * 1. Nothing is evaluated, and nothing but the types listed there is made, whatever the bytes say.
 * 2. What does not fit the format, down to every field's type, is StoreError ERR_STORE_CORRUPT: a miss.
 * 3. Properties are defined, never assigned: a stored '__proto__' is a property like any other.
 */
import { StoreError } from '../errors.ts'
import { BYTE_TYPES } from './byte-types.ts'
import { ERROR_TYPES, JSON_FORM, TABLE_FORM } from './value-format.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of the bytes up to `end`. The value shares no memory with them.
 * @throws StoreError ERR_STORE_CORRUPT
 */
export function decodeValue(bytes: Uint8Array, end: number = bytes.length): unknown {
  if (end > 0 && bytes[0] === JSON_FORM) return parse(bytes.subarray(1, end))
  return decodeTable(bytes.subarray(0, end))
}

function decodeTable(bytes: Uint8Array): unknown {
  if (bytes[0] !== TABLE_FORM || bytes.length < 5) throw corrupt('it does not start as a value')
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1, true)
  if (bytes.length < 5 + length) throw corrupt('it is cut')
  const rows = parse(bytes.subarray(5, 5 + length))
  if (!Array.isArray(rows) || rows.length === 0) throw corrupt('it has no table')
  try {
    return new TableReader(rows, bytes.subarray(5 + length)).read()
  } catch (cause) {
    // What the types themselves refuse (an array whose property is its length) is as corrupt as what we do.
    throw cause instanceof StoreError ? cause : corrupt('a part of it does not fit', cause)
  }
}

/** First every node by itself, then what they contain: so that a value may contain itself, and no depth is too deep. */
class TableReader {
  readonly #rows: readonly unknown[]
  readonly #binary: Uint8Array
  #used = 0
  readonly #values: unknown[]

  constructor(rows: readonly unknown[], binary: Uint8Array) {
    this.#rows = rows
    this.#binary = binary
    this.#values = rows.map((row) => (Array.isArray(row) ? this.#shell(row) : plain(row)))
  }

  read(): unknown {
    this.#rows.forEach((row, at) => {
      if (Array.isArray(row)) this.#fill(this.#values[at], row)
    })
    return this.#values[0]
  }

  #shell(row: readonly unknown[]): unknown {
    const [tag, a, b, c] = row
    switch (tag) {
      case 'u':
        return undefined
      case '#':
        return special(a)
      case 'i':
        return bigint(text(a))
      case 'd':
        return new Date(a === null ? Number.NaN : number(a))
      case 'r':
        return regExp(text(a), text(b), number(c))
      case 'U':
        return url(text(a))
      case 'P':
        return new URLSearchParams(text(a))
      case 'b':
        return this.#bytes(text(a), number(b), number(c))
      default:
        return container(tag, a)
    }
  }

  #bytes(name: string, offset: number, length: number): unknown {
    const type = BYTE_TYPES.get(name)
    if (type === undefined || !Number.isInteger(offset) || !Number.isInteger(length))
      throw corrupt('its bytes are of no known type')
    // Each byte belongs to one value: a few that were named many times over would be a huge value from a small entry.
    if (offset !== this.#used || length < 0 || offset + length > this.#binary.length || length % type.width !== 0)
      throw corrupt('its bytes are cut')
    this.#used += length
    // A copy: aligned, and nobody else's.
    return type.make(new Uint8Array(this.#binary.subarray(offset, offset + length)))
  }

  #fill(value: unknown, [tag, a, b]: readonly unknown[]): void {
    if (tag === 'a') list(a).forEach((place, index) => ((value as unknown[])[index] = this.#at(place)))
    else if (tag === 'o' || tag === 'O') this.#define(value as object, a, true)
    else if (tag === 'A') {
      this.#define(value as object, b, true)
      if ((value as unknown[]).length !== a) throw corrupt('an array is longer than it says')
    } else if (tag === 'e') {
      this.#define(value as object, b, false)
      restack(value as Error)
    } else if (tag === 's') for (const place of list(a)) (value as Set<unknown>).add(this.#at(place))
    else if (tag === 'm') {
      const places = list(a)
      for (let i = 0; i < places.length; i += 2)
        (value as Map<unknown, unknown>).set(this.#at(places[i]), this.#at(places[i + 1]))
    }
  }

  #define(target: object, properties: unknown, enumerable: boolean): void {
    const pairs = list(properties)
    for (let i = 0; i < pairs.length; i += 2) {
      const name = text(pairs[i])
      const value = this.#at(pairs[i + 1])
      // An error's own message, cause and name are not enumerable; what else it carries is.
      const shown = enumerable || !['name', 'message', 'cause', 'errors'].includes(name)
      Object.defineProperty(target, name, { value, enumerable: shown, writable: true, configurable: true })
    }
  }

  #at(place: unknown): unknown {
    if (typeof place !== 'number' || !(place in this.#values)) throw corrupt('a part of it is missing')
    return this.#values[place]
  }
}

function container(tag: unknown, a: unknown): unknown {
  switch (tag) {
    case 'a':
      return []
    case 'A':
      if (typeof a !== 'number' || !Number.isInteger(a) || a < 0 || a > 0xffff_ffff)
        throw corrupt('the length of an array is wrong')
      return sparse(a)
    case 'o':
      return {}
    case 'O':
      return Object.create(null)
    case 'm':
      return new Map()
    case 's':
      return new Set()
    case 'e':
      return error(text(a))
    default:
      throw corrupt('a part of it is of no known type')
  }
}

function sparse(length: number): unknown[] {
  const array: unknown[] = []
  array.length = length
  return array
}

function error(type: string): Error {
  const make = ERROR_TYPES.get(type)
  if (make === undefined) throw corrupt('an error is of no known type')
  return make()
}

/** The stack of the reader says nothing about where it was thrown. */
function restack(made: Error): void {
  const value = `${made.name}: ${made.message}`
  Object.defineProperty(made, 'stack', { value, writable: true, configurable: true, enumerable: false })
}

function special(value: unknown): number {
  if (value === '-0') return -0
  if (value === 'NaN') return Number.NaN
  if (value === 'Infinity') return Infinity
  if (value === '-Infinity') return -Infinity
  throw corrupt('a number is none')
}

/** Longer numbers are written in hexadecimal (plain.ts): millions of decimal digits would take seconds to read. */
const BIGINT = /^(-?)(\d{1,20000}|0x[\da-f]+)$/

function bigint(value: string): bigint {
  const [, sign, digits] = BIGINT.exec(value) ?? []
  if (digits === undefined) throw corrupt('a bigint is none')
  return sign === '-' ? -BigInt(digits) : BigInt(digits)
}

function regExp(source: string, flags: string, lastIndex: number): RegExp {
  try {
    const made = new RegExp(source, flags)
    made.lastIndex = lastIndex
    return made
  } catch (cause) {
    throw corrupt('a regular expression is none', cause)
  }
}

function url(href: string): URL {
  const made = URL.parse(href)
  if (made === null) throw corrupt('a URL is none')
  return made
}

function plain(row: unknown): unknown {
  if (typeof row === 'object' && row !== null) throw corrupt('a part of it is no list')
  return row
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw corrupt('a text is none')
  return value
}

function number(value: unknown): number {
  if (typeof value !== 'number') throw corrupt('a number is none')
  return value
}

function list(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw corrupt('a list is none')
  return value
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(bytes))
  } catch (cause) {
    throw corrupt('it is no JSON', cause)
  }
}

function corrupt(what: string, cause?: unknown): StoreError {
  return new StoreError(
    'ERR_STORE_CORRUPT',
    `The stored value is corrupt: ${what}.`,
    cause === undefined ? undefined : { cause },
  )
}
