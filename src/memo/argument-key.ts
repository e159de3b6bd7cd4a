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
import { byteTypeOf, bytesOf } from './byte-types.ts'
import type { Id } from './entry.ts'
import { hasSymbols, isObjectPrototype, isPlainArray, isVast, nameOf } from './plain.ts'

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
  return `~${encode(value, 0)}`
}

/**
 * The key of a list of arguments. One argument has the key of its value; none, or several, have keys of their own.
 * @throws OptionError ERR_KEY for what has no value identity
 */
export function keyOfArguments(args: readonly unknown[]): Id {
  if (args.length === 1) {
    const only = args[0]
    return typeof only === 'object' && only !== null ? `~${encode(only, 1)}` : keyOf(only)
  }
  let text = '~('
  for (let index = 0; index < args.length; index++) text += `${index === 0 ? '' : ','}${encode(args[index], index + 1)}`
  return `${text})`
}

/** The key as text, as stores and events have it. */
export function textOf(id: Id): string {
  return typeof id === 'number' ? `~n${id}` : id
}

/** The key whose text it is. */
export function idOf(text: string): Id {
  return text.startsWith('~n') ? Number(text.slice(2)) : text
}

/**
 * What goes wrong on the way (a getter that throws, an object that only looks like a Map) is a key that cannot be made.
 * @param argument which it is, from 1; 0: it is the key itself
 */
function encode(value: unknown, argument: number): string {
  // What most arguments are needs no more.
  if (typeof value === 'string') return quoted(value)
  if (typeof value === 'number') return numbered(value)
  try {
    return new Encoder(argument).encode(value, 0)
  } catch (cause) {
    if (cause instanceof OptionError) throw cause
    throw new OptionError('ERR_KEY', 'key', `${nameOfArgument(argument)} could not be read: ${String(cause)}`, {
      cause,
    })
  }
}

function nameOfArgument(argument: number): string {
  return argument === 0 ? 'the key' : `argument ${argument}`
}

function numbered(value: number): string {
  return Object.is(value, -0) ? 'z' : `n${value}`
}

/** JSON, which has most texts as they are. */
function quoted(text: string): string {
  return AS_IT_IS.test(text) ? `"${text}"` : JSON.stringify(text)
}

const AS_IT_IS = /^[ !#-[\]-~]*$/

class Encoder {
  readonly #argument: number
  /** What is being encoded, outermost first. */
  readonly #open: object[] = []
  #length = 0

  constructor(argument: number) {
    this.#argument = argument
  }

  encode(value: unknown, depth: number): string {
    switch (typeof value) {
      case 'string':
        return this.#measured(quoted(value))
      case 'number':
        return numbered(value)
      case 'bigint':
        return this.#measured(isVast(value) ? `x${value.toString(16)}` : `i${value}`)
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
    this.#count(text.length)
    return text
  }

  #count(characters: number): void {
    this.#length += characters
    if (this.#length > MAX_LENGTH) throw this.#refusal('a value of more than 16 million characters')
  }

  #object(value: object, depth: number): string {
    if (depth >= MAX_DEPTH) throw this.#refusal(`a value nested more than ${MAX_DEPTH} deep`)
    if (this.#open.includes(value)) throw this.#refusal('a value that contains itself')
    this.#open.push(value)
    const text = this.#contents(value, depth + 1)
    this.#open.pop()
    this.#length += 2
    return text
  }

  #contents(value: object, depth: number): string {
    const prototype: object | null = Object.getPrototypeOf(value)
    if (isPlainArray(value, prototype)) return this.#array(value, depth)
    if (prototype === null || isObjectPrototype(prototype))
      return `{${this.#properties(value, Object.keys(value), depth)}}`
    const own = (value as { [cacheKey]?: unknown })[cacheKey]
    if (typeof own === 'function') {
      return `@${JSON.stringify(nameOf(value))}(${this.encode(Reflect.apply(own, value, []), depth)})`
    }
    const type = byteTypeOf(prototype)
    if (type !== undefined) return `B${type}(${this.#hex(bytesOf(value))})`
    const text = this.#builtIn(value, prototype, depth)
    if (text === null) throw this.#refusal(`an instance of ${nameOf(value)}`)
    if (Object.keys(value).length > 0 || hasSymbols(value))
      throw this.#refusal(`an instance of ${nameOf(value)} with properties of its own`)
    return text
  }

  /** Bytes by what they are, not by where they lie: a view has the key of its copy. */
  #hex(bytes: Uint8Array): string {
    this.#count(2 * bytes.length)
    let text = ''
    for (const byte of bytes) text += HEX[byte]
    return text
  }

  /** Holes are told from undefined, and properties that are no elements count. */
  #array(array: readonly unknown[], depth: number): string {
    // Before they are walked: an array of four thousand million holes is small.
    this.#count(array.length)
    let text = ''
    let present = 0
    for (let index = 0; index < array.length; index++) {
      const there = index in array
      if (there) present += 1
      text += `${index === 0 ? '' : ','}${there ? this.encode(array[index], depth) : 'h'}`
    }
    const names = Object.keys(array)
    const more = this.#properties(array, names.length === present ? [] : names.slice(present), depth)
    return more === '' ? `[${text}]` : `[${text};${more}]`
  }

  #properties(value: object, names: string[], depth: number): string {
    if (hasSymbols(value)) throw this.#refusal('an object with a symbol as a property')
    if (!isSorted(names)) names.sort()
    let text = ''
    for (const name of names) {
      const encoded = this.encode(Reflect.get(value, name), depth)
      text += `${text === '' ? '' : ','}${this.#measured(quoted(name))}:${encoded}`
    }
    return text
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
      `${nameOfArgument(this.#argument)} is or contains ${what}, which has no value to make a key of; give the option key, a function that returns what tells one call from another`,
    )
  }
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Whether sorting, which is what costs most, would change nothing. */
function isSorted(names: readonly string[]): boolean {
  for (let index = 1; index < names.length; index++) if ((names[index - 1] ?? '') > (names[index] ?? '')) return false
  return true
}
