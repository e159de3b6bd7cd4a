/** Under which key requests wait for each other (RELIABILITY 59, 60). */
import type { Exchange } from './exchange.ts'

/** Reasons for which a request may wait for one already under way: the others demand an exchange of their own. */
export const JOINABLE: ReadonlySet<string> = new Set([
  'uri-miss',
  'vary-miss',
  'partial-miss',
  'filtered',
  'stale',
  'invalidated',
])

/** Whether two requests may share one exchange: ranges are told apart, and conditions of the caller are its own affair. */
export function flightKeyOf(x: Exchange, key: string): string | null {
  let range = ''
  for (const [name, value] of x.request.headers) {
    if (name === 'range') range = `\nrange ${value}`
    else if (name.startsWith('if-')) return null
  }
  return x.request.method === 'HEAD' ? `${key}\nhead` : key + range
}
