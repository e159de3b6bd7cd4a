/** Checking a store's options: unknown names and wrong values are refused where they are given. */
import { nearest, OptionError } from '../errors.ts'

/** What an option may be; `range` for whole numbers, both ends included. */
export interface OptionRule {
  readonly type: 'string' | 'number' | 'boolean' | 'function' | 'object' | 'any'
  readonly range?: readonly [least: number, most: number]
  /** Accepted strings. */
  readonly among?: readonly string[]
}

/**
 * Checks options against their rules; `undefined` counts as not given.
 * @throws OptionError ERR_OPTION_UNKNOWN with the nearest known name, ERR_OPTION_VALUE with what is accepted
 */
export function checkOptions(store: string, options: unknown, rules: Readonly<Record<string, OptionRule>>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new OptionError('ERR_OPTION_VALUE', 'options', `${store} takes an object of options.`)
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

function checkOption(store: string, name: string, value: unknown, { type, range, among }: OptionRule): void {
  const refused = (accepted: string): OptionError => wrong(store, name, `must be ${accepted}`)
  if (type !== 'any' && (typeof value !== type || value === null)) {
    throw refused(`${type === 'object' ? 'an' : 'a'} ${type}, not ${value === null ? 'null' : typeof value}`)
  }
  if (among !== undefined && !among.includes(String(value))) throw refused(`one of ${among.join(', ')}`)
  if (range === undefined || typeof value !== 'number') return
  const whole = Number.isSafeInteger(value) || value === Infinity
  if (!whole || value < range[0] || value > range[1]) {
    throw refused(`a whole number from ${range[0]} to ${range[1]}, not ${value}`)
  }
}

/** That an option's value is not accepted: `what` follows its name. */
export function wrong(where: string, option: string, what: string): OptionError {
  return new OptionError('ERR_OPTION_VALUE', option, `${where}: \`${option}\` ${what}.`)
}
