/** HTTP dates (RFC 9110 section 5.6.7): the preferred form and the two obsolete ones, case-sensitive, nothing else. */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

const IMF = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const RFC850 =
  /^(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday), (\d{2})-([A-Z][a-z]{2})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/
const ASCTIME = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/

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
  const monthIndex = MONTHS.indexOf(month ?? '')
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second)]
  if (monthIndex < 0 || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return null
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
