/** Options that one edge has beside those of all: checked here, the rest where they all are. */
import { OptionError } from '../errors.ts'

/** Keeps the runtime alive until a promise is settled: Workers and serverless functions end with their answer. */
export type WaitUntil = (work: Promise<unknown>) => void

/** @throws OptionError */
export function checkFunction(value: unknown, name: string): void {
  if (value !== undefined && typeof value !== 'function')
    throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be a function`)
}

/** The context of Workers among a handler's arguments, whichever it is; null: there is none. */
export function waitUntilAmong(values: readonly unknown[]): WaitUntil | null {
  for (const value of values) {
    const context = value as { waitUntil?: unknown } | null | undefined
    if (typeof context === 'object' && typeof context?.waitUntil === 'function') {
      const { waitUntil } = context
      return (work) => void Reflect.apply(waitUntil, context, [work])
    }
  }
  return null
}
