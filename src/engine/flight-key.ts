/** Under which key requests wait for each other (RELIABILITY 59, 60). */
import type { Exchange } from './exchange.ts'

/** Whether two requests may share one exchange: ranges are told apart, and conditions of the caller are its own affair. */
export function flightKeyOf(x: Exchange, key: string): string | null {
  let range = ''
  for (const [name, value] of x.request.headers) {
    if (name === 'range') range = `\nrange ${value}`
    else if (name.startsWith('if-')) return null
  }
  return x.request.method === 'HEAD' ? `${key}\nhead` : key + range
}
