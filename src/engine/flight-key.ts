/** Under which key requests wait for each other (RELIABILITY 59, 60). */
import { selecting } from '../policy/select.ts'
import { sha256 } from './digest.ts'
import type { Exchange } from './exchange.ts'
import type { Found } from './lookup.ts'
import { chain } from './maybe.ts'
import type { MaybePromise } from './ports.ts'
import { selectingView } from './selecting.ts'

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

/**
 * The same where variants are known: who wants one of them waits for nobody who wants another (RFC 9111 section 4.1). By a digest: it names
 * locks in stores that others read.
 */
export function withVariant(x: Exchange, flightKey: string, { entry, others }: Found): MaybePromise<string> {
  const known = [entry?.meta.selecting ?? [], ...others.map((variant) => variant.selecting)].flat()
  if (known.length === 0) return flightKey
  const names = [...new Set(known.map(([name]) => name))].toSorted()
  const { key, policy } = x.effective
  return chain(selectingView(x.request, names, key.ignoredParams), (view) =>
    chain(sha256(JSON.stringify(selecting(names, view, policy))), (hex) => `${flightKey}\nvariant ${hex}`),
  )
}
