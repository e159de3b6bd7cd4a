/** RFC 9110 section 5.6.7: HTTP dates, and what is none. */
import { describe, expect, test } from 'vitest'
import { formatDate, parseDate } from '../../src/http/date.ts'
import { START } from './support.ts'

const DATE = Date.UTC(1994, 10, 6, 8, 49, 37)

describe('the three forms', () => {
  test.each<[string, number]>([
    ['Sun, 06 Nov 1994 08:49:37 GMT', DATE],
    ['Sunday, 06-Nov-94 08:49:37 GMT', DATE],
    ['Sun Nov  6 08:49:37 1994', DATE],
    ['Sun Nov 16 08:49:37 1994', Date.UTC(1994, 10, 16, 8, 49, 37)],
    ['Thu, 01 Jan 1970 00:00:00 GMT', 0],
    ['Wed, 31 Dec 1969 23:59:59 GMT', -1000],
    ['Thu, 29 Feb 2024 00:00:00 GMT', Date.UTC(2024, 1, 29)],
    ['Tue, 29 Feb 2000 00:00:00 GMT', Date.UTC(2000, 1, 29)],
    ['Fri, 31 Dec 9999 23:59:59 GMT', Date.UTC(9999, 11, 31, 23, 59, 59)],
    ['Sat, 01 Jan 0000 00:00:00 GMT', -62_167_219_200_000],
    ['Fri, 01 Jan 0099 00:00:00 GMT', new Date('0099-01-01T00:00:00Z').getTime()],
    // A leap second is the last of its minute.
    ['Sat, 31 Dec 2016 23:59:60 GMT', Date.UTC(2016, 11, 31, 23, 59, 59)],
    ['Saturday, 31-Dec-16 23:59:60 GMT', Date.UTC(2016, 11, 31, 23, 59, 59)],
    // The name of the day says nothing that the rest does not.
    ['Mon, 06 Nov 1994 08:49:37 GMT', DATE],
  ])('%s', (text, instant) => {
    expect(parseDate(text, START)).toBe(instant)
  })

  test('what is written is IMF-fixdate, whatever the locale', () => {
    expect(formatDate(DATE)).toBe('Sun, 06 Nov 1994 08:49:37 GMT')
    expect(formatDate(DATE + 999)).toBe('Sun, 06 Nov 1994 08:49:37 GMT')
    expect(formatDate(0)).toBe('Thu, 01 Jan 1970 00:00:00 GMT')
  })
})

describe('RFC 9111 section 4.2: a cache reads the letters in any case', () => {
  test.each([
    'sun, 06 Nov 1994 08:49:37 GMT',
    'SUN, 06 NOV 1994 08:49:37 GMT',
    'Sun, 06 nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 gmt',
    'Sun, 06 Nov 1994 08:49:37 gMT',
    'SUNDAY, 06-NOV-94 08:49:37 GMT',
    'sunday, 06-nov-94 08:49:37 gmt',
    'SUN NOV  6 08:49:37 1994',
    'sun nov  6 08:49:37 1994',
  ])('%s', (text) => {
    expect(parseDate(text, START)).toBe(DATE)
  })
})

describe('years of two digits: at most 50 years ahead', () => {
  test.each<[string, number]>([
    ['30', 2030],
    ['31', 2031],
    ['79', 2079],
    ['80', 1980],
    ['81', 1981],
    ['99', 1999],
    ['00', 2000],
    ['29', 2029],
  ])('in 2030, %s is %i', (digits, year) => {
    expect(parseDate(`Sunday, 06-Nov-${digits} 08:49:37 GMT`, START)).toBe(Date.UTC(year, 10, 6, 8, 49, 37))
  })

  test('to the second', () => {
    expect(parseDate('Sunday, 16-Jan-80 12:00:00 GMT', START)).toBe(Date.UTC(2080, 0, 16, 12))
    expect(parseDate('Sunday, 16-Jan-80 12:00:01 GMT', START)).toBe(Date.UTC(1980, 0, 16, 12, 0, 1))
  })
})

describe('no dates', () => {
  test.each([
    '',
    '0',
    '-1',
    'now',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 06 Nov 1994 08:49:37 EST',
    'Sun, 06 Nov 1994 08:49:37 GMT+1',
    'Sun, 06 Nov 1994 08:49:37  GMT',
    'Sun,  06 Nov 1994 08:49:37 GMT',
    'Sun,06 Nov 1994 08:49:37 GMT',
    'Sun 06 Nov 1994 08:49:37 GMT',
    'Son, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Okt 1994 08:49:37 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun,  6 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 06 Nov 19940 08:49:37 GMT',
    'Sun, 06 Nov 1994 8:49:37 GMT',
    'Sun, 06 Nov 1994 08:49 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 31 Nov 1994 08:49:37 GMT',
    'Sun, 32 Jan 1994 08:49:37 GMT',
    'Wed, 29 Feb 2023 00:00:00 GMT',
    'Thu, 29 Feb 1900 00:00:00 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT ',
    'Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06\u00a0Nov 1994 08:49:37 GMT',
    'Sun, 06-Nov-1994 08:49:37 GMT',
    'Sunday, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06-Nov-94 08:49:37 GMT',
    'Sunday, 6-Nov-94 08:49:37 GMT',
    'Sun Nov 6 08:49:37 1994',
    'Sun Nov 06 08:49:37 94',
    'Sun Nov  6 08:49:37 1994 GMT',
    'Sun Nov 31 08:49:37 1994',
    '1994-11-06T08:49:37Z',
    '784111777',
    '0x1',
    'Infinity',
    'Ｓun, 06 Nov 1994 08:49:37 GMT',
    '\u017fun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 utc',
    'Sun, ٠٦ Nov 1994 08:49:37 GMT',
  ])('%j', (text) => {
    expect(parseDate(text, START)).toBeNull()
  })
})
