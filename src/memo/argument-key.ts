/**
 * Keys from arguments: the same text for the same value, another text for any other value.
 *
 * 1. Two arguments share a key only if they are equal by value and type: 1 and '1', undefined and absent, 0 and -0, a Date and its
 *    number all differ. The order of properties, of a Map's entries and of a Set's members does not count.
 * 2. What has no value of its own (a function, a symbol, a promise, an instance of a class) is refused, not guessed at.
 * 3. The commonest keys cost nothing: a single string is its own key, a single number is a key as a number.
 *
 * The text: a string that does not start with '~' stands for itself; everything else is '~' and an encoding whose first character says
 * what it is. Encodings are separated by ',' and enclosed in brackets; strings inside are JSON, so that no text can look like two values.
 */
import { OptionError } from '../errors.ts'
import type { Id } from './entry.ts'

/**
 * The method by which an instance of a class says what it is by value: return anything that can be a key.
 *
 * @example
 * ```ts
 * import { cacheKey, memoize } from 'keepfresh/memo'
 *
 * class Money {
 *   constructor(
 *     readonly amount: number,
 *     readonly currency: string,
 *   ) {}
 *   [cacheKey]() {
 *     return [this.amount, this.currency]
 *   }
 * }
 *
 * const inEuros = memoize(async ({ amount }: Money) => amount * 0.9)
 * await inEuros(new Money(10, 'USD'))
 * await inEuros(new Money(10, 'USD'))
 * console.log(inEuros.stats().hits) // 1
 * ```
 */
export const cacheKey: unique symbol = Symbol.for('keepfresh.cacheKey') as typeof cacheKey

const MAX_DEPTH = 200
const MAX_LENGTH = 16 * 1024 * 1024

/**
 * The key of one value.
 * @throws OptionError ERR_KEY for what has no value identity
 */
export function keyOf(value: unknown): Id {
  if (typeof value === 'string') return value.charCodeAt(0) === 126 ? `~s${value}` : value
  if (typeof value === 'number') return value === 0 && 1 / value < 0 ? '~z' : value
  return `~${encode(value, 'the key')}`
}

/**
 * The key of a list of arguments. One argument has the key of its value; none, or several, have keys of their own.
 * @throws OptionError ERR_KEY for what has no value identity
 */
export function keyOfArguments(args: readonly unknown[]): Id {
  if (args.length === 1) {
    const only = args[0]
    return typeof only === 'object' && only !== null ? `~${encode(only, 'argument 1')}` : keyOf(only)
  }
  return `~(${args.map((arg, index) => encode(arg, `argument ${index + 1}`)).join(',')})`
}

/** The key as text, as stores and events have it. */
export function textOf(id: Id): string {
  return typeof id === 'number' ? `~n${id}` : id
}

/** The key whose text it is. */
export function idOf(text: string): Id {
  return text.startsWith('~n') ? Number(text.slice(2)) : text
}

function encode(value: unknown, where: string): string {
  const encoder = new Encoder(where)
  return encoder.encode(value, 0)
}

class Encoder {
  readonly #where: string
  readonly #open = new Set<object>()
  #length = 0

  constructor(where: string) {
    this.#where = where
  }

  encode(value: unknown, depth: number): string {
    switch (typeof value) {
      case 'string':
        return this.#measured(JSON.stringify(value))
      case 'number':
        return Object.is(value, -0) ? 'z' : `n${value}`
      case 'bigint':
        return this.#measured(`i${value}`)
      case 'boolean':
        return value ? 'T' : 'F'
      case 'undefined':
        return 'u'
      case 'object':
        return value === null ? 'N' : this.#object(value, depth)
      default:
        throw this.#refusal(`a ${typeof value}`)
    }
  }

  /** A value that contains itself many times over is a small object and a huge key. */
  #measured(text: string): string {
    this.#length += text.length
    if (this.#length > MAX_LENGTH) throw this.#refusal('a value of more than 16 million characters')
    return text
  }

  #object(value: object, depth: number): string {
    if (depth >= MAX_DEPTH) throw this.#refusal(`a value nested more than ${MAX_DEPTH} deep`)
    if (this.#open.has(value)) throw this.#refusal('a value that contains itself')
    this.#open.add(value)
    const text = this.#contents(value, depth + 1)
    this.#open.delete(value)
    this.#length += 2
    return text
  }

  #contents(value: object, depth: number): string {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (Array.isArray(value) && prototype === Array.prototype) return this.#array(value, depth)
    if (prototype === null || prototype === Object.prototype || isForeignObject(prototype))
      return `{${this.#properties(value, Object.keys(value), depth)}}`
    const own = (value as { [cacheKey]?: unknown })[cacheKey]
    if (typeof own === 'function') {
      return `@${JSON.stringify(nameOf(value))}(${this.encode(Reflect.apply(own, value, []), depth)})`
    }
    const bytes = encodeBytes(value, prototype)
    if (bytes !== null) return this.#measured(bytes)
    const text = this.#builtIn(value, prototype, depth)
    if (text === null) throw this.#refusal(`an instance of ${nameOf(value)}`)
    if (Object.keys(value).length > 0) throw this.#refusal(`an instance of ${nameOf(value)} with properties of its own`)
    return text
  }

  /** Holes are told from undefined, and properties that are no elements count. */
  #array(array: readonly unknown[], depth: number): string {
    const items: string[] = []
    let present = 0
    for (let index = 0; index < array.length; index++) {
      const there = index in array
      if (there) present += 1
      items.push(there ? this.encode(array[index], depth) : 'h')
      if ((this.#length += 1) > MAX_LENGTH) throw this.#refusal('an array of more than 16 million items')
    }
    const names = Object.keys(array)
    const more = names.length === present ? '' : `;${this.#properties(array, names.slice(present), depth)}`
    if (more === '') this.#refuseSymbols(array)
    return `[${items.join(',')}${more}]`
  }

  #properties(value: object, names: readonly string[], depth: number): string {
    this.#refuseSymbols(value)
    return names
      .toSorted()
      .map((name) => `${this.#measured(JSON.stringify(name))}:${this.encode(Reflect.get(value, name), depth)}`)
      .join(',')
  }

  #refuseSymbols(value: object): void {
    for (const symbol of Object.getOwnPropertySymbols(value)) {
      if (Object.prototype.propertyIsEnumerable.call(value, symbol))
        throw this.#refusal('an object with a symbol as a property')
    }
  }

  #builtIn(value: object, prototype: unknown, depth: number): string | null {
    switch (prototype) {
      case Date.prototype:
        return `d${(value as Date).getTime()}`
      case Map.prototype: {
        const pairs = Array.from(
          value as Map<unknown, unknown>,
          ([k, v]) => `${this.encode(k, depth)}:${this.encode(v, depth)}`,
        )
        return `M{${pairs.toSorted().join(',')}}`
      }
      case Set.prototype:
        return `S[${Array.from(value as Set<unknown>, (item) => this.encode(item, depth))
          .toSorted()
          .join(',')}]`
      case RegExp.prototype: {
        const { source, flags, lastIndex } = value as RegExp
        return this.#measured(`r${JSON.stringify([source, flags, lastIndex])}`)
      }
      case globalThis.URL?.prototype:
        return this.#measured(`U${JSON.stringify((value as URL).href)}`)
      case globalThis.URLSearchParams?.prototype:
        return this.#measured(`P${JSON.stringify(String(value))}`)
      default:
        return null
    }
  }

  #refusal(what: string): OptionError {
    return new OptionError(
      'ERR_KEY',
      'key',
      `${this.#where} is or contains ${what}, which has no value to make a key of; give the option key, a function that returns what tells one call from another`,
    )
  }
}

/** Object.prototype of another realm. */
function isForeignObject(prototype: unknown): boolean {
  return (
    typeof prototype === 'object' &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'isPrototypeOf') &&
    Object.hasOwn(prototype, 'hasOwnProperty')
  )
}

function nameOf(value: object): string {
  const constructor: unknown = value.constructor
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'an unnamed class'
}

const VIEWS = new Map<unknown, string>(
  [
    Int8Array,
    Uint8Array,
    Uint8ClampedArray,
    Int16Array,
    Uint16Array,
    Int32Array,
    Uint32Array,
    Float32Array,
    Float64Array,
    BigInt64Array,
    BigUint64Array,
    DataView,
  ].map((view) => [view.prototype, view.name]),
)
const buffer = (globalThis as { Buffer?: { prototype: object } }).Buffer
if (buffer) VIEWS.set(buffer.prototype, 'Buffer')

/** Bytes by what they are, not by where they lie: a view has the key of its copy. */
function encodeBytes(value: object, prototype: unknown): string | null {
  const view = VIEWS.get(prototype)
  if (view !== undefined) {
    const { buffer: source, byteOffset, byteLength } = value as Uint8Array
    return `B${view}(${hex(new Uint8Array(source, byteOffset, byteLength))})`
  }
  if (prototype === ArrayBuffer.prototype) return `BArrayBuffer(${hex(new Uint8Array(value as ArrayBuffer))})`
  return null
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}
