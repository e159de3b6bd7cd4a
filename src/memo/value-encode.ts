/** Values to bytes, with their types (feature F3). The format is in value-format.ts. */
import { byteTypeOf, bytesOf } from './byte-types.ts'
import { hasSymbols, isObjectPrototype, isPlainArray, isVast, nameOf } from './plain.ts'
import { ERROR_TYPES, JSON_FORM, TABLE_FORM } from './value-format.ts'

/** A value that no store could give back as it is: a function, a symbol, an instance of a class. */
export class NotStorable extends Error {
  override readonly name: 'NotStorable' = 'NotStorable'
}

const encoder = new TextEncoder()
/** JSON.stringify recurses: deeper values take the form that does not. */
const MAX_JSON_DEPTH = 200

/**
 * The value as bytes.
 * @throws NotStorable, naming what cannot be stored and where it is
 */
export function encodeValue(value: unknown): Uint8Array<ArrayBuffer> {
  try {
    return isPlainJson(value) ? encodeJson(value) : new TableWriter().write(value)
  } catch (cause) {
    if (cause instanceof NotStorable) throw cause
    // A getter that throws, an object that only looks like a Map, a text longer than texts can be.
    throw new NotStorable(`the value could not be read: ${String(cause)}`, { cause })
  }
}

function encodeJson(value: unknown): Uint8Array<ArrayBuffer> {
  const text = encoder.encode(JSON.stringify(value))
  const frame = new Uint8Array(text.length + 1)
  frame[0] = JSON_FORM
  frame.set(text, 1)
  return frame
}

/** Whether JSON gives the value back exactly as it is: tree-shaped plain data. */
function isPlainJson(root: unknown): boolean {
  const seen = new Set<object>()
  const check = (value: unknown, depth: number): boolean => {
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return true
    if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
    // What occurs twice would come back as two.
    if (typeof value !== 'object' || depth > MAX_JSON_DEPTH || seen.has(value)) return false
    seen.add(value)
    const prototype: object | null = Object.getPrototypeOf(value)
    if (isPlainArray(value, prototype)) {
      if (Object.keys(value).length !== value.length || hasSymbols(value)) return false
      for (let index = 0; index < value.length; index++)
        if (!(index in value) || !check(value[index], depth + 1)) return false
      return true
    }
    if (prototype === null || !isObjectPrototype(prototype) || hasSymbols(value)) return false
    for (const name of Object.keys(value)) if (!check(Reflect.get(value, name), depth + 1)) return false
    return true
  }
  return check(root, 0)
}

type Row = string | number | boolean | null | readonly unknown[]

/** Breadth first, with a queue in place of recursion: depth costs nothing, and a value that contains itself ends. */
class TableWriter {
  readonly #rows: Row[] = []
  readonly #places = new Map<unknown, number>()
  readonly #queue: { readonly value: object; readonly at: number; readonly path: string }[] = []
  readonly #chunks: Uint8Array[] = []
  #offset = 0

  write(value: unknown): Uint8Array<ArrayBuffer> {
    this.#place(value, 'the value')
    // The queue grows while it is worked off.
    for (const next of this.#queue) this.#rows[next.at] = this.#row(next.value, next.path)
    const table = encoder.encode(JSON.stringify(this.#rows))
    const frame = new Uint8Array(5 + table.length + this.#offset)
    frame[0] = TABLE_FORM
    new DataView(frame.buffer).setUint32(1, table.length, true)
    frame.set(table, 5)
    let at = 5 + table.length
    for (const chunk of this.#chunks) {
      frame.set(chunk, at)
      at += chunk.length
    }
    return frame
  }

  /** The position of a value in the table. */
  #place(value: unknown, path: string): number {
    const known = this.#places.get(value)
    if (known !== undefined) return known
    const at = this.#rows.length
    // A Map takes 0 and -0 for one: they get a place each time.
    if (value !== 0) this.#places.set(value, at)
    this.#rows.push(null)
    if (typeof value === 'object' && value !== null) this.#queue.push({ value, at, path })
    else this.#rows[at] = primitive(value, path)
    return at
  }

  #row(value: object, path: string): Row {
    const prototype: object | null = Object.getPrototypeOf(value)
    if (isPlainArray(value, prototype)) return this.#array(value, path)
    if (prototype !== null && isObjectPrototype(prototype))
      return ['o', this.#properties(value, Object.keys(value), path)]
    if (prototype === null) return ['O', this.#properties(value, Object.keys(value), path)]
    if (value instanceof Error) return this.#error(value, path)
    const row = this.#collection(value, prototype, path) ?? this.#bytes(value, prototype) ?? leaf(value, prototype)
    if (row === null) throw new NotStorable(`${path} is an instance of ${nameOf(value)}, which cannot be stored`)
    if (row[0] !== 'b' && (Object.keys(value).length > 0 || hasSymbols(value)))
      throw new NotStorable(
        `${path} is an instance of ${nameOf(value)} with properties of its own, which would be lost`,
      )
    return row
  }

  #array(value: readonly unknown[], path: string): Row {
    const names = Object.keys(value)
    let dense = names.length === value.length
    for (let index = 0; dense && index < value.length; index++) dense = index in value
    if (!dense) return ['A', value.length, this.#properties(value, names, path)]
    return ['a', value.map((item, index) => this.#place(item, `${path}[${index}]`))]
  }

  #properties(value: object, names: readonly string[], path: string): (string | number)[] {
    if (hasSymbols(value)) throw new NotStorable(`${path} has a symbol as a property, which cannot be stored`)
    return names.flatMap((name) => [name, this.#place(Reflect.get(value, name), `${path}.${name}`)])
  }

  /** The stack is left out: it tells of this machine, and of a call that the reader never made. */
  #error(error: Error, path: string): Row {
    const type = ERROR_TYPES.has(error.constructor.name) ? error.constructor.name : 'Error'
    const names = new Set(Object.keys(error).filter((name) => name !== 'stack'))
    for (const name of ['name', 'message', 'cause', 'errors']) if (Object.hasOwn(error, name)) names.add(name)
    // Those of a DOMException are inherited.
    if (error.name !== type) names.add('name')
    if (error.message !== '') names.add('message')
    return ['e', type, this.#properties(error, [...names], path)]
  }

  #collection(value: object, prototype: unknown, path: string): readonly unknown[] | null {
    if (prototype === Map.prototype) {
      const pairs = Array.from(value as Map<unknown, unknown>)
      return [
        'm',
        pairs.flatMap(([key, item]) => [
          this.#place(key, `a key of ${path}`),
          this.#place(item, `an entry of ${path}`),
        ]),
      ]
    }
    if (prototype !== Set.prototype) return null
    return ['s', Array.from(value as Set<unknown>, (item) => this.#place(item, `a member of ${path}`))]
  }

  #bytes(value: object, prototype: unknown): readonly unknown[] | null {
    const name = byteTypeOf(prototype)
    if (name === undefined) return null
    const bytes = bytesOf(value)
    const row = ['b', name, this.#offset, bytes.length]
    this.#chunks.push(bytes)
    this.#offset += bytes.length
    return row
  }
}

function primitive(value: unknown, path: string): Row {
  switch (typeof value) {
    case 'undefined':
      return ['u']
    case 'bigint':
      return ['i', digits(value as bigint)]
    case 'number':
      if (Object.is(value, -0)) return ['#', '-0']
      return Number.isFinite(value) ? value : ['#', String(value)]
    case 'string':
    case 'boolean':
      return value
    case 'object':
      return null
    default:
      throw new NotStorable(`${path} is a ${typeof value}, which cannot be stored`)
  }
}

function digits(value: bigint): string {
  if (!isVast(value)) return String(value)
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`
}

function leaf(value: object, prototype: unknown): readonly unknown[] | null {
  switch (prototype) {
    case Date.prototype: {
      const time = (value as Date).getTime()
      return ['d', Number.isNaN(time) ? null : time]
    }
    case RegExp.prototype: {
      const { source, flags, lastIndex } = value as RegExp
      return ['r', source, flags, lastIndex]
    }
    case URL.prototype:
      return ['U', (value as URL).href]
    case URLSearchParams.prototype:
      return ['P', String(value)]
    default:
      return null
  }
}
