/** What properties draw from: directives as text, and whole messages as data (oracle.ts) with the header fields that say the same. */
import fc from 'fast-check'
import type { HeaderLine, HeaderList } from '../../src/http/message.ts'
import type { Answered, Argument, Asks, Conditions, Directive, Said, Tag, When } from './oracle.ts'

export const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null })

/** Directives of responses, as text; some are malformed, some of requests, some unknown. */
export const directive: fc.Arbitrary<string> = fc.constantFrom(
  'no-store',
  'no-cache',
  'private',
  'public',
  'must-revalidate',
  'proxy-revalidate',
  'immutable',
  'must-understand',
  'max-age=0',
  'max-age=10',
  'max-age=30',
  'max-age=x',
  's-maxage=20',
  's-maxage=x',
  'stale-while-revalidate=15',
  'stale-if-error=15',
  'max-stale',
  'max-stale=10',
  'min-fresh=5',
  'only-if-cached',
  'no-cache="x-a"',
  'private="x-b"',
  'ext="no-store"',
  '"',
)

/** A Cache-Control value of a few of them. */
export const control: fc.Arbitrary<string> = fc.array(directive, { maxLength: 4 }).map((list) => list.join(', '))

// Messages as data

/** The instant that the seconds of oracle.ts count from: Wed, 16 Jan 2030 12:00:00 GMT. */
export const BASE: number = Date.UTC(2030, 0, 16, 12)

const delta = fc.constantFrom<Argument>(0, 1, 5, 10, 20, 60, 2 ** 31, 2 ** 40, null, 'junk')
const fields = fc.constantFrom<Argument>(null, null, ['x-a'], ['set-cookie'], ['x-a', 'x-b'], [], 'junk')
const flag = fc.constantFrom<Argument>(null, null, null, 'junk')
const named = (name: string, argument: fc.Arbitrary<Argument>): fc.Arbitrary<Directive> =>
  argument.map((value): Directive => [name, value])

const responseDirective = fc.oneof(
  ...['max-age', 'max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'].map((name) => named(name, delta)),
  ...['private', 'no-cache'].map((name) => named(name, fields)),
  ...['public', 'must-revalidate', 'proxy-revalidate', 'must-understand', 'no-store', 'immutable', 'unknown'].map(
    (name) => named(name, flag),
  ),
)
const requestDirective = fc.oneof(
  ...['max-age', 'max-stale', 'min-fresh', 'stale-if-error'].map((name) => named(name, delta)),
  ...['no-cache', 'only-if-cached', 'no-transform', 'unknown'].map((name) => named(name, fc.constant(null))),
)

const when = (...seconds: number[]): fc.Arbitrary<When> => fc.constantFrom<When>(null, null, 'junk', ...seconds)
const tag = fc.record<Tag>({ weak: fc.boolean(), opaque: fc.constantFrom('1', '2') })

const said = {
  control: fc.array(responseDirective, { maxLength: 4 }),
  date: when(0, 0, 0, -7, 30),
  age: fc.constantFrom<Said['age']>(null, null, 0, 3, 50, 2 ** 40, 'junk'),
  expires: when(-10, 0, 12, 200, 4e9),
  modified: when(-1000, -100, 0, 20),
  etag: optional(tag),
  vary: fc.constantFrom<Said['vary']>(
    null,
    null,
    ['lang'],
    ['lang', 'cookie'],
    ['authorization'],
    ['*', 'lang'],
    'junk',
  ),
  cookie: fc.constantFrom(false, false, false, true),
  xa: optional(fc.constantFrom('1', '2')),
}
const STATUSES = [200, 200, 200, 200, 203, 299, 301, 302, 307, 401, 403, 404, 407, 412, 429, 451, 500, 503, 599]

export const answered: fc.Arbitrary<Answered> = fc.record({ ...said, status: fc.constantFrom(...STATUSES) })
/** What a 304 says: often the tag that is stored. */
export const confirmed: fc.Arbitrary<Said> = fc.record({ ...said, date: when(40, 40, 35) })
export const asks: fc.Arbitrary<Asks> = fc.record({
  control: fc.array(requestDirective, { maxLength: 2 }),
  pragma: fc.constantFrom(false, false, true),
  authorization: fc.constantFrom(false, false, false, true),
  cookie: fc.constantFrom(false, false, true),
  lang: optional(fc.constantFrom('de', 'en')),
})

export const conditions: fc.Arbitrary<Conditions> = fc.record({
  noneMatch: fc.oneof(fc.constantFrom<'*' | null>(null, null, '*'), fc.array(tag, { minLength: 1, maxLength: 3 })),
  since: when(-1001, -1000, -100, -7, 0, 20),
  range: optional(
    fc.oneof(
      fc.record({ suffix: fc.nat(12) }),
      fc
        .tuple(fc.nat(12), optional(fc.nat(12)))
        .map(([first, more]) => ({ first, last: more === null ? null : first + more })),
    ),
  ),
  ifRange: fc.oneof(fc.constantFrom<When>(null, null, 'junk', -1000, -100, 0), tag),
})

/** Ways to write the same: indexes into lists of spellings, taken one by one. */
export const spelling: fc.Arbitrary<readonly number[]> = fc.array(fc.nat(11), { minLength: 1, maxLength: 8 })

export class Writer {
  readonly #choices: readonly number[]
  #next = 0

  constructor(choices: readonly number[]) {
    this.#choices = choices
  }

  #pick<T>(...ways: readonly [T, ...T[]]): T {
    const choice = this.#choices[this.#next++ % this.#choices.length] ?? 0
    return ways[choice % ways.length] ?? ways[0]
  }

  response(message: Said): HeaderList {
    const { etag, age, vary, cookie, xa } = message
    return [
      ...this.#control(message.control),
      ...this.#date('date', message.date),
      ...this.#date('expires', message.expires),
      // Validators are compared as they are written.
      ...line(
        'last-modified',
        message.modified === 'junk' ? 'x' : message.modified === null ? null : imf(message.modified),
      ),
      ...line('etag', etag === null ? null : etagOf(etag)),
      ...line(
        'age',
        age === 'junk' ? this.#pick('-1', 'x', '1.5', '"1"') : age === null ? null : this.#pick(`${age}`, `0${age}, 9`),
      ),
      ...line('vary', vary === 'junk' ? this.#pick('a b', 'x;y', '"lang"') : vary === null ? null : this.#list(vary)),
      ...line('set-cookie', cookie ? 'a=b' : null),
      ...line('x-a', xa),
    ]
  }

  request(message: Asks): HeaderList {
    return [
      ...this.#control(message.control),
      ...line('pragma', message.pragma ? this.#pick('no-cache', 'No-Cache', 'x, no-cache') : null),
      ...line('authorization', message.authorization ? 'Basic YTpi' : null),
      ...line('cookie', message.cookie ? 'a=b' : null),
      ...line('lang', message.lang),
    ]
  }

  conditions({ noneMatch, since, range, ifRange }: Conditions): HeaderList {
    const span = range === null ? null : 'suffix' in range ? `-${range.suffix}` : `${range.first}-${range.last ?? ''}`
    return [
      ...line(
        'if-none-match',
        Array.isArray(noneMatch)
          ? noneMatch.map(etagOf).join(this.#pick(', ', ',', ' ,, '))
          : (noneMatch as '*' | null),
      ),
      ...this.#date('if-modified-since', since),
      ...line('range', span === null ? null : `${this.#pick('bytes', 'Bytes')}=${span}`),
      // A date must be the very one of Last-Modified.
      ...line(
        'if-range',
        typeof ifRange === 'number'
          ? imf(ifRange)
          : ifRange === 'junk'
            ? 'y'
            : ifRange === null
              ? null
              : etagOf(ifRange),
      ),
    ]
  }

  #control(directives: readonly Directive[]): HeaderLine[] {
    const texts = directives.map((one) => this.#directive(one))
    if (texts.length === 0) return []
    return this.#pick(false, false, true)
      ? texts.map((text): HeaderLine => ['cache-control', text])
      : [['cache-control', texts.join(this.#pick(', ', ',', ' ,\t', ',, '))]]
  }

  #directive([name, argument]: Directive): string {
    const word = this.#pick(
      name,
      name.toUpperCase(),
      name.replace(/^./, (c) => c.toUpperCase()),
    )
    if (argument === null) return word
    if (argument === 'junk') return word + this.#pick('=', '=""', '="x y"', '= 1', '="1', '=?', '="a,"b')
    if (typeof argument === 'number')
      return this.#pick(`${word}=${argument}`, `${word}="${argument}"`, `${word}=00${argument}`)
    return argument.length === 1
      ? this.#pick(`${word}="${argument}"`, `${word}=${argument}`)
      : `${word}="${this.#list(argument)}"`
  }

  #list(names: readonly string[]): string {
    return names.map((name) => this.#pick(name, name.toUpperCase())).join(this.#pick(', ', ',', ' , '))
  }

  /** The three forms of RFC 9110 section 5.6.7. */
  #date(name: string, at: When): HeaderLine[] {
    if (at === null) return []
    if (at === 'junk')
      return line(name, this.#pick('x', '0', 'Wed, 16 Jan 2030 12:00:00', 'Wed, 31 Feb 2030 12:00:00 GMT'))
    const utc = imf(at)
    const [, day = '', month = '', year = '', time = ''] = utc.split(' ')
    const near = Math.abs(at) < 1e6
    return line(
      name,
      this.#pick(
        utc,
        near ? `Wednesday, ${day}-${month}-${year.slice(2)} ${time} GMT` : utc,
        `Wed ${month} ${day.replace(/^0/, ' ')} ${time} ${year}`,
      ),
    )
  }
}

function etagOf({ weak, opaque }: Tag): string {
  return `${weak ? 'W/' : ''}"${opaque}"`
}

function imf(at: number): string {
  return new Date(BASE + at * 1000).toUTCString()
}

function line(name: string, value: string | null): HeaderLine[] {
  return value === null ? [] : [[name, value]]
}
