/**
 * HTTP dates (RFC 9110 section 5.6.7): the preferred form and the two obsolete ones, nothing else. Senders are bound to the case of the
 * letters; a cache is to read them in any (RFC 9111 section 4.2).
 */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH_INDEX: ReadonlyMap<string, number> = new Map(MONTHS.map((name, index) => [name.toLowerCase(), index]))
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

const IMF = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([a-z]{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/i
const RFC850 =
  /^(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday), (\d{2})-([a-z]{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/i
const ASCTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([a-z]{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i

/** The last preferred date parsed: the responses of one second carry the same. */
let lastText = ''
let lastInstant: number | null = null

/** Milliseconds since the epoch, or null for anything that is not a date. `now` (ms) dates two-digit years. */
export function parseDate(value: string, now: number = 0): number | null {
  if (value === lastText) return lastInstant
  const imf = IMF.exec(value)
  if (imf) {
    lastText = value
    return (lastInstant = at(imf[3], imf[2], imf[1], imf[4], imf[5], imf[6]))
  }
  const asctime = ASCTIME.exec(value)
  if (asctime) return at(asctime[6], asctime[1], asctime[2], asctime[3], asctime[4], asctime[5])
  const rfc850 = RFC850.exec(value)
  if (!rfc850) return null
  const latest = new Date(now)
  latest.setUTCFullYear(latest.getUTCFullYear() + 50)
  const year = Math.floor(new Date(now).getUTCFullYear() / 100) * 100 + Number(rfc850[3])
  const instant = at(String(year), rfc850[2], rfc850[1], rfc850[4], rfc850[5], rfc850[6])
  // Section 5.6.7: what seems more than 50 years ahead is of the past year with the same last digits.
  if (instant === null || instant <= latest.getTime()) return instant
  return at(String(year - 100), rfc850[2], rfc850[1], rfc850[4], rfc850[5], rfc850[6])
}

type Text = string | undefined

function at(year: Text, month: Text, day: Text, hour: Text, minute: Text, second: Text): number | null {
  const monthIndex = MONTH_INDEX.get((month ?? '').toLowerCase())
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)]
  if (monthIndex === undefined || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return null
  const instant = new Date(0)
  instant.setUTCFullYear(Number(year), monthIndex, d)
  if (instant.getUTCDate() !== d) return null
  // A leap second is the last one of its minute.
  instant.setUTCHours(h, m, Math.min(s, 59))
  return instant.getTime()
}

/** The IMF-fixdate of an instant in ms. */
export function formatDate(ms: number): string {
  const date = new Date(ms)
  const two = (value: number): string => String(value).padStart(2, '0')
  const day = `${DAYS[date.getUTCDay()]}, ${two(date.getUTCDate())} ${MONTHS[date.getUTCMonth()]}`
  const year = String(date.getUTCFullYear()).padStart(4, '0')
  return `${day} ${year} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} GMT`
}
