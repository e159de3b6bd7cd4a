/** The Age field (RFC 9111 section 5.1): the first member counts, an invalid one is ignored. */
import { MAX_DELTA } from './cache-control.ts'
import { splitList } from './lists.ts'
import { getHeader } from './headers.ts'
import type { HeaderList } from './message.ts'

/** Seconds; null where there is no usable value. */
export function parseAge(list: HeaderList): number | null {
  const value = getHeader(list, 'age')
  if (value === null) return null
  const [first = ''] = splitList(value)
  return /^[0-9]+$/.test(first) ? Math.min(Number(first), MAX_DELTA) : null
}
