/** Age (RFC 9111 section 4.2.3), in seconds. */
import { parseAge } from '../http/age-field.ts'
import { parseDate } from '../http/date.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderList } from '../http/message.ts'
import type { ResponseMeta } from './decision.ts'

/** corrected_initial_age. Dates are whole seconds: a Date of this very second is no age. */
export function initialAge(headers: HeaderList, requestTime: number, responseTime: number): number {
  const date = getHeader(headers, 'date')
  const dated = date === null ? null : parseDate(date, responseTime)
  const apparent = dated === null ? 0 : Math.max(0, Math.floor((responseTime - dated) / 1000))
  const corrected = (parseAge(headers) ?? 0) + Math.max(0, responseTime - requestTime) / 1000
  return Math.max(apparent, corrected)
}

/** current_age: never less than the initial age, whatever the clock did since (RELIABILITY 157). */
export function currentAge(meta: ResponseMeta, now: number): number {
  return meta.terms.initialAge + Math.max(0, now - meta.responseTime) / 1000
}
