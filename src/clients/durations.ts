/**
 * Durations as users write them: seconds (a number), '90s' | '5m' | '1h' | '30d' | '2w' | '2h5m', a Date or an HTTP date, 'never' or -1.
 * 0 means do not store. Anything else is an OptionError at construction, not a surprise later.
 */
import { OptionError } from '../errors.ts'
import { parseDate } from '../http/date.ts'
import { FOREVER, type Expiry } from '../policy/options.ts'
import { shown } from './shown.ts'

/** An expiry: seconds, a duration string, an absolute Date or HTTP date, or never. */
export type Duration = number | string | Date

const LENGTHS = "seconds (a number), '90s', '5m', '1h', '30d', '2w', '2h5m'"
const FORMS: string = `${LENGTHS}, a Date, an HTTP date, 'never' or -1, or 0`

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }

export function parseExpiry(value: Duration, option: string): Expiry {
  if (value === 'never' || value === -1) return { kind: 'never' }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw wrong(value, option)
    return { kind: 'at', at: value.getTime() }
  }
  const seconds = typeof value === 'string' ? parseText(value) : value
  if (seconds !== null && Number.isFinite(seconds) && seconds >= 0)
    return { kind: 'seconds', seconds: Math.min(seconds, FOREVER) }
  const at = typeof value === 'string' ? parseDate(value) : null
  if (at !== null) return { kind: 'at', at }
  throw wrong(value, option)
}

/** A duration that can only be a length of time: seconds. */
export function parseSeconds(value: Duration, option: string): number {
  const expiry = parseExpiry(value, option)
  if (expiry.kind === 'at') throw wrong(value, option, `${LENGTHS}, 'never' or 0: a date is no length of time`)
  return expiry.kind === 'never' ? FOREVER : expiry.seconds
}

function parseText(text: string): number | null {
  if (!/^(?:\d+(?:\.\d+)?[wdhms])+$/.test(text)) return null
  let seconds = 0
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)([wdhms])/g))
    seconds += Number(amount) * (UNITS[unit] ?? 0)
  return seconds
}

function wrong(value: unknown, option: string, forms: string = FORMS): OptionError {
  // What environment variables and command lines give.
  const isCount = typeof value === 'string' && /^\d+$/.test(value)
  const hint = isCount
    ? ` (a number is ${value}, a text '${value}s')`
    : value === Infinity
      ? " (for ever is 'never')"
      : ''
  return new OptionError('ERR_DURATION', option, `${option}: ${shown(value)} is not a duration; give ${forms}${hint}`)
}
