/** What counts as plain data, in keys and in stored values. Data of another realm (a test runner's, an iframe's) is as plain as ours. */

/** Whether a prototype is that of object literals. */
export function isObjectPrototype(prototype: object): boolean {
  if (prototype === Object.prototype) return true
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, 'isPrototypeOf') &&
    Object.hasOwn(prototype, 'hasOwnProperty')
  )
}

/** Whether a value is an array, and not one of a class of its own. */
export function isPlainArray(value: object, prototype: unknown): value is unknown[] {
  if (!Array.isArray(value)) return false
  return prototype === Array.prototype || (Array.isArray(prototype) && Object.hasOwn(prototype, 'flatMap'))
}

/** Whether a symbol is a property that counts. */
export function hasSymbols(value: object): boolean {
  for (const symbol of Object.getOwnPropertySymbols(value))
    if (Object.prototype.propertyIsEnumerable.call(value, symbol)) return true
  return false
}

/** The name of the class of a value, for messages. */
export function nameOf(value: object): string {
  const constructor: unknown = value.constructor
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'an unnamed class'
}

/** Ten million digits take seconds to write and to read; as many in hexadecimal do not. */
export function isVast(value: bigint): boolean {
  return value > VAST || value < -VAST
}

const VAST = 1n << 65_536n
