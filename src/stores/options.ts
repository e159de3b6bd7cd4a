/** Checking a store's options: unknown names and wrong values are refused where they are given. */
import { isOptionsObject, nearest, OptionError } from '../errors.ts'
import type { Clock, Store } from '../engine/ports.ts'

/** What an option may be; `range` for whole numbers, both ends included. */
export interface OptionRule {
  readonly type: 'string' | 'number' | 'boolean' | 'function' | 'object' | 'any'
  readonly range?: readonly [least: number, most: number]
  /** The least of numbers that need not be whole. */
  readonly from?: number
  /** Accepted strings. */
  readonly among?: readonly string[]
  /** Methods that an object must have. */
  readonly has?: readonly string[]
}

/**
 * Checks options against their rules; `undefined` counts as not given.
 * @throws OptionError ERR_OPTION_UNKNOWN with the nearest known name, ERR_OPTION_VALUE with what is accepted
 */
export function checkOptions(store: string, options: unknown, rules: Readonly<Record<string, OptionRule>>): void {
  if (!isOptionsObject(options)) {
    const known = Object.keys(rules).join(', ')
    throw new OptionError(
      'ERR_OPTION_VALUE',
      'options',
      `${store} takes an object of options (${known}), not ${kindOf(options)}.`,
    )
  }
  for (const [name, value] of Object.entries(options)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (rule === undefined) throw unknownOption(store, name, Object.keys(rules))
    if (value !== undefined) checkOption(store, name, value, rule)
  }
}

/** The options that are given: `undefined` is no value. */
export function givenOf<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T
}

function unknownOption(store: string, name: string, known: readonly string[]): OptionError {
  const near = nearest(name, known)
  const hint = near === undefined ? `Options are: ${known.join(', ')}.` : `Did you mean \`${near}\`?`
  return new OptionError('ERR_OPTION_UNKNOWN', name, `${store} has no option \`${name}\`. ${hint}`)
}

function checkOption(store: string, name: string, value: unknown, { type, range, from, among, has }: OptionRule): void {
  const refused = (accepted: string): OptionError => wrong(store, name, `must be ${accepted}`)
  if (type !== 'any' && (typeof value !== type || value === null)) {
    throw refused(`${type === 'object' ? 'an' : 'a'} ${type}, not ${kindOf(value)}`)
  }
  if (has !== undefined && !hasMethods(value, has)) throw refused(`an object with ${has.join(', ')}`)
  if (among !== undefined && !among.includes(String(value))) throw refused(`one of ${among.join(', ')}`)
  if (from !== undefined && !(Number(value) >= from))
    throw refused(`a number of at least ${from}, not ${String(value)}`)
  if (range === undefined || typeof value !== 'number') return
  const whole = Number.isSafeInteger(value) || value === Infinity
  if (!whole || value < range[0] || value > range[1]) {
    throw refused(`a whole number from ${range[0]} to ${range[1]}, not ${value}`)
  }
}

/** What a value is; nothing of what is in it, which may be a secret. */
function kindOf(value: unknown): string {
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value
  const [kind = 'object'] = Object.prototype.toString.call(value).slice('[object '.length).split(']')
  return kind === 'Object' ? 'object' : kind
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    names.every((name) => typeof Reflect.get(value, name) === 'function')
  )
}

const STORE = ['read', 'write', 'update', 'delete', 'close'] as const

/** @throws OptionError for what is no store */
export function checkStore(
  where: string,
  option: string,
  value: unknown,
  more: readonly string[] = [],
): asserts value is Store {
  const methods = [...STORE, ...more]
  if (!hasMethods(value, methods) || typeof Reflect.get(value as object, 'limits') !== 'object')
    throw wrong(
      where,
      option,
      `must be a store (an object with ${methods.join(', ')} and limits), not ${kindOf(value)}`,
    )
}

/** What tests give in place of the time. */
export const CLOCK_RULE: OptionRule = { type: 'object', has: ['now'] }

/** @throws OptionError */
export function checkClock(where: string, clock: unknown): asserts clock is Clock {
  checkOption(where, 'clock', clock, CLOCK_RULE)
}

/**
 * A store's options are one argument; a second one would be lost without a word.
 * @throws OptionError
 */
export function checkSingle(where: string, count: number, form: string): void {
  if (count > 1)
    throw new OptionError('ERR_OPTION_VALUE', 'options', `${where} takes one argument: give all options as ${form}.`)
}

/** That an option's value is not accepted: `what` follows its name. */
export function wrong(where: string, option: string, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `${where}: \`${option}\` ${what}.`)
}
