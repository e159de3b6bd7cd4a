/** Errors of a cache of values: whose fault, and what next. */
import { StateError } from '../errors.ts'

export function closed(name: string): StateError {
  return new StateError(
    'ERR_CACHE_CLOSED',
    `The cache${name === '' ? '' : ` ${name}`} is closed; make a new one, or close it later.`,
  )
}

export function reentrant(key: string): StateError {
  return new StateError(
    'ERR_REENTRANT',
    `The function that computes the value of ${key} asks for this very value, directly or through others: it would wait for itself for ever. ` +
      'Ask for another key, or call the plain function.',
  )
}

/** The reason a call rejects with that took longer than hardTimeout. */
export function tooSlow(key: string, seconds: number): DOMException {
  return new DOMException(`The function took longer than hardTimeout (${seconds} s) for ${key}.`, 'TimeoutError')
}

/** A function yields more items than are kept: those who read it go on, and nobody else is given a part of it. */
export class TooLong extends RangeError {
  override readonly name: 'TooLong' = 'TooLong'
}

export function tooLong(maxItems: number): TooLong {
  return new TooLong(`The function yields more than ${maxItems} items (maxItems): what it yields is not kept.`)
}
