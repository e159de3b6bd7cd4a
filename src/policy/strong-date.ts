/** When Last-Modified is a strong validator (RFC 9110 section 8.8.2.2). */
import { parseDate } from '../http/date.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import { dateOf } from './freshness.ts'

/** Whether the Last-Modified of a response is at least a second older than its Date: nothing can have changed within that second since. */
export function hasStrongDate(headers: HeaderList, responseTime: number): boolean {
  const modified = getHeader(headers, 'last-modified')
  const at = modified === null ? null : parseDate(modified, responseTime)
  return at !== null && dateOf(headers, responseTime) - at >= 1000
}
