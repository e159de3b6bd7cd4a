/**
 * A second, slow reading of RFC 9111, made from its text alone: it shares no line with src/ and parses nothing. It is told in plain data what
 * a message says (arbitraries.ts writes the same as header fields, in any spelling) and answers what a cache may do with it.
 *
 * Instants and durations are whole seconds. `may` reads "may be answered without asking the origin".
 */

/** The argument of a directive: none, delta-seconds, field names, or something that fits no directive. */
export type Argument = null | number | readonly string[] | 'junk'
export type Directive = readonly [name: string, argument: Argument]

/** A date in a field: an instant, absent, or unreadable. */
export type When = number | null | 'junk'

export interface Tag {
  readonly weak: boolean
  readonly opaque: string
}

export interface Said {
  readonly control: readonly Directive[]
  readonly date: When
  readonly age: number | null | 'junk'
  readonly expires: When
  readonly modified: When
  readonly etag: Tag | null
  /** Names, lower case; null: no Vary; 'junk': not a list of names. */
  readonly vary: readonly string[] | null | 'junk'
  readonly cookie: boolean
  readonly xa: string | null
}

export interface Answered extends Said {
  readonly status: number
}

export interface Asks {
  readonly control: readonly Directive[]
  readonly pragma: boolean
  readonly authorization: boolean
  readonly cookie: boolean
  /** The field that responses may vary on. */
  readonly lang: string | null
}

/** What is kept of an exchange. */
export interface Kept {
  readonly said: Answered
  readonly asked: Asks
  /** When it was asked for, and when it came. */
  readonly sent: number
  readonly came: number
  /** The Vary that it was stored with: a 304 that names less leaves it selected as it was, which is safe. */
  readonly by: Said['vary']
}

const LIMIT = 2 ** 31

const firstOf = (control: readonly Directive[], name: string): Directive | undefined =>
  control.find(([word]) => word === name)
const has = (control: readonly Directive[], name: string): boolean => control.some(([word]) => word === name)
/** A directive that permits something, and takes no argument. */
const permits = (control: readonly Directive[], name: string): boolean =>
  control.some(([word, argument]) => word === name && argument === null)
/** no-cache or private for the whole response: without names of fields, or with what are none. */
const forAll = (control: readonly Directive[], name: string): boolean =>
  control.some(([word, argument]) => word === name && (!Array.isArray(argument) || argument.length === 0))
const forFields = (control: readonly Directive[], name: string): string[] =>
  control.flatMap(([word, argument]) => (word === name && Array.isArray(argument) ? [...argument] : []))
/** Section 1.2.2, 4.2.1: delta-seconds; what is none is 0. Undefined: not said. */
const seconds = (control: readonly Directive[], name: string): number | undefined => {
  const said = firstOf(control, name)
  return said === undefined ? undefined : typeof said[1] === 'number' ? Math.min(said[1], LIMIT) : 0
}

/** must-revalidate with an argument is not the directive; it can only be read as the stricter no-cache. */
const strangeRevalidate = (control: readonly Directive[]): boolean =>
  control.some(([word, argument]) => word === 'must-revalidate' && argument !== null)

// Section 4.2.1

const dateOf = ({ said, came }: Kept): number => (typeof said.date === 'number' ? said.date : came)

function explicit(kept: Kept, shared: boolean): number | undefined {
  const { control, expires } = kept.said
  const own = shared ? seconds(control, 's-maxage') : undefined
  if (own !== undefined) return own
  const limit = seconds(control, 'max-age')
  if (limit !== undefined) return limit
  if (expires === null) return undefined
  return expires === 'junk' ? 0 : Math.max(0, expires - dateOf(kept))
}

const BY_DEFAULT = [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 451, 501]

export function lifetime(kept: Kept, shared: boolean): number {
  const said = explicit(kept, shared)
  if (said !== undefined) return said
  const { control, modified, status } = kept.said
  // Section 4.2.2: no heuristic without a date to reckon from, nor for a status that is not cacheable by default unless marked so.
  if (!BY_DEFAULT.includes(status) && !permits(control, 'public')) return 0
  if (typeof modified !== 'number' || modified >= dateOf(kept)) return 0
  return Math.min((dateOf(kept) - modified) * 0.1, 7 * 86_400)
}

// Section 4.2.3

export function age(kept: Kept, now: number): number {
  const apparent = typeof kept.said.date === 'number' ? Math.max(0, kept.came - kept.said.date) : 0
  const value = typeof kept.said.age === 'number' ? Math.min(kept.said.age, LIMIT) : 0
  const corrected = value + (kept.came - kept.sent)
  return Math.max(apparent, corrected) + (now - kept.came)
}

// Section 3

const KNOWN = [200, 203, 204, 300, 301, 302, 307, 308, 400, 401, 403, 404, 405, 410, 414, 451, 500, 501, 503]

/** Section 3.5: in these words a response is for all. */
const sharedByWord = (control: readonly Directive[]): boolean => {
  const own = firstOf(control, 's-maxage')
  const junk = [firstOf(control, 'max-age'), own].some((said) => said !== undefined && typeof said[1] !== 'number')
  const allows = own !== undefined && typeof own[1] === 'number' && !(own[1] === 0 && junk)
  return permits(control, 'public') || permits(control, 'must-revalidate') || allows
}

/** A 401 or 403 is about who asks. */
const refuses = (status: number, asks: Asks): boolean =>
  (status === 401 || status === 403) && (asks.authorization || asks.cookie)

/** What a shared cache holds back beyond section 3: cookies and credentials (section 7.3). */
function guarded(kept: Kept): boolean {
  const { said, asked } = kept
  const named = [...forFields(said.control, 'no-cache'), ...forFields(said.control, 'private')]
  if (said.cookie && !named.includes('set-cookie')) return true
  if (asked.cookie && explicit(kept, true) === undefined) return true
  if (refuses(said.status, asked)) return true
  return Array.isArray(said.vary) && said.vary.some((name) => name === 'cookie' || name === 'authorization')
}

function forbidsStoring(kept: Kept, shared: boolean): boolean {
  const { said, asked } = kept
  const understood = KNOWN.includes(said.status)
  if (permits(said.control, 'must-understand') && !understood) return true
  if (said.vary === 'junk' || said.vary?.includes('*')) return true
  if (!shared) return false
  if (forAll(said.control, 'private')) return true
  return (asked.authorization && !sharedByWord(said.control)) || guarded(kept)
}

export function mayStore(kept: Kept, shared: boolean): boolean {
  const { said, asked } = kept
  if (said.status === 304 || has(asked.control, 'no-store')) return false
  // RFC 6585, RFC 9110 sections 15.5.8, 15.5.13, 15.5.17, 15.5.18: answers to this one request.
  if ([407, 412, 416, 417, 428, 429, 431, 511].includes(said.status)) return false
  // Section 5.2.2.3: must-understand lifts no-store for who understands.
  if (has(said.control, 'no-store') && !permits(said.control, 'must-understand')) return false
  if (forbidsStoring(kept, shared)) return false
  const { control } = said
  return (
    permits(control, 'public') ||
    (!shared && forAll(control, 'private')) ||
    explicit(kept, shared) !== undefined ||
    BY_DEFAULT.includes(said.status)
  )
}

/** Whether there is any use in storing it: it is fresh, can be validated, or may be used stale. */
export function isOfUse(kept: Kept, shared: boolean): boolean {
  const { control, etag, modified } = kept.said
  const stale = (seconds(control, 'stale-while-revalidate') ?? 0) + (seconds(control, 'stale-if-error') ?? 0)
  return lifetime(kept, shared) > age(kept, kept.came) || etag !== null || modified !== null || stale > 0
}

// Section 4

export type May = 'yes' | 'no' | 'gateway-timeout'

export function may(kept: Kept, asks: Asks, now: number, shared: boolean): May {
  const wanted = asks.control
  const only = has(wanted, 'only-if-cached')
  const no: May = only ? 'gateway-timeout' : 'no'
  if (has(wanted, 'no-store')) return no
  const { control } = kept.said
  if (!selects(kept, asks, shared)) return no
  // Sections 4, 5.2.2.4, 5.2.1.4, 5.4
  if (forAll(control, 'no-cache') || strangeRevalidate(control)) return no
  if (has(control, 'no-store') && !permits(control, 'must-understand')) return no
  if (has(wanted, 'no-cache')) return no
  if (asks.pragma && wanted.length === 0) return no
  const current = age(kept, now)
  const left = lifetime(kept, shared) - current
  const limit = seconds(wanted, 'max-age')
  const reserve = seconds(wanted, 'min-fresh')
  // max-age=0 asks for a validation, however young the answer.
  if (limit !== undefined && (current > limit || limit === 0)) return no
  if (reserve !== undefined && left < reserve) return no
  if (left > 0) return 'yes'
  return mayBeStale(kept, wanted, -left, shared, only) ? 'yes' : no
}

/** Sections 4.1, 3.5: whether what is kept is for this request at all. */
export function selects({ said, asked, by }: Kept, asks: Asks, shared: boolean): boolean {
  if (Array.isArray(by) && !by.every((name) => alike(name, asks, asked))) return false
  return !shared || (!refuses(said.status, asks) && (!asks.authorization || sharedByWord(said.control)))
}

/** Whether two requests say the same in a field. */
function alike(name: string, a: Asks, b: Asks): boolean {
  return name === 'lang'
    ? a.lang === b.lang
    : name === 'cookie'
      ? a.cookie === b.cookie
      : a.authorization === b.authorization
}

/** Sections 4.2.4, 5.2.1.2; RFC 5861. */
function mayBeStale(
  { said: { control } }: Kept,
  wanted: readonly Directive[],
  past: number,
  shared: boolean,
  only: boolean,
): boolean {
  if (has(control, 'must-revalidate')) return false
  if (shared && (has(control, 'proxy-revalidate') || has(control, 's-maxage'))) return false
  // Who may not ask has an error for certain: RFC 5861 section 4.
  const onError = Math.max(seconds(control, 'stale-if-error') ?? 0, seconds(wanted, 'stale-if-error') ?? 0)
  if (only && onError > 0 && past <= onError) return true
  const said = firstOf(wanted, 'max-stale')
  if (said !== undefined) return past <= (said[1] === null ? Infinity : (seconds(wanted, 'max-stale') ?? 0))
  if (has(wanted, 'max-age')) return false
  const window = seconds(control, 'stale-while-revalidate') ?? 0
  return window > 0 && past <= window
}

// Sections 3.2 and 4.3.4

const strongDate = (kept: Kept): boolean =>
  typeof kept.said.modified === 'number' && dateOf(kept) - kept.said.modified >= 1

/** Whether a 304 is about what is kept. */
export function isAbout(said: Said, kept: Kept): boolean {
  const { etag, modified } = kept.said
  const sameDate = said.modified !== null && said.modified === modified
  if (said.etag === null) return said.modified === null || sameDate
  if (etag !== null && said.etag.opaque !== etag.opaque) return false
  if (!said.etag.weak) return etag !== null && !etag.weak ? true : sameDate && strongDate(kept)
  return etag !== null || sameDate
}

/** What is kept after a 304: each field that it carries takes the place of the stored one; but for the tag of the stored body. */
export function updated(kept: Kept, said: Said, asked: Asks, sent: number, came: number): Kept {
  const before = kept.said
  return {
    asked: { ...kept.asked, authorization: asked.authorization },
    sent,
    came,
    by: kept.by,
    said: {
      status: before.status,
      control: said.control.length > 0 ? said.control : before.control,
      date: said.date ?? came,
      age: said.age,
      expires: said.expires ?? before.expires,
      modified: said.modified ?? before.modified,
      etag: before.etag,
      vary: said.vary ?? before.vary,
      cookie: said.cookie || before.cookie,
      xa: said.xa ?? before.xa,
    },
  }
}

/** Whether what is kept may be kept after an update: not if it could not have been stored so. */
export function mayKeep(after: Kept, before: Kept, shared: boolean): boolean {
  const { said, asked } = after
  const names = Array.isArray(said.vary) ? said.vary : []
  const known = Array.isArray(before.said.vary) ? before.said.vary : []
  // A cookie in the request says nothing new of a stored response.
  const cookieless = { ...after, asked: { ...asked, cookie: false } }
  return !forbidsStoring(cookieless, shared) && names.every((name) => known.includes(name))
}

/** The fields of ours that a stored response still has (sections 5.2.2.4, 5.2.2.7). */
export function keepsField(kept: Kept, name: string, shared: boolean): boolean {
  const { control } = kept.said
  return !forFields(control, 'no-cache').includes(name) && !(shared && forFields(control, 'private').includes(name))
}

// Section 4.3.2; RFC 9110 sections 13.1, 13.2.2, 14

export type Span = { readonly first: number; readonly last: number | null } | { readonly suffix: number }

/** What a request asks of the response it is answered with. */
export interface Conditions {
  readonly noneMatch: '*' | readonly Tag[] | null
  readonly since: When
  readonly range: Span | null
  readonly ifRange: Tag | When
}

/** The status of the answer, and the first and last byte of a part. */
export type Reply = readonly [status: 200 | 304 | 416] | readonly [status: 206, first: number, last: number]

export function reply(kept: Kept, wants: Conditions, size: number): Reply {
  const { said } = kept
  if (said.status < 200 || said.status > 299) return [200]
  const { noneMatch, since, range } = wants
  if (noneMatch === '*') return [304]
  if (noneMatch !== null) {
    if (noneMatch.some((tag) => tag.opaque === said.etag?.opaque)) return [304]
  } else if (typeof since === 'number') {
    const changed = typeof said.modified === 'number' ? said.modified : dateOf(kept)
    if (changed <= since) return [304]
  }
  if (range === null || said.status !== 200 || !holds(kept, wants.ifRange)) return [200]
  if ('suffix' in range) {
    if (range.suffix === 0) return [416]
    return size === 0 ? [200] : [206, Math.max(0, size - range.suffix), size - 1]
  }
  if (range.first >= size) return [416]
  return [206, range.first, Math.min(range.last ?? Infinity, size - 1)]
}

/** Section 13.1.5: only by a strong validator. */
function holds(kept: Kept, ifRange: Conditions['ifRange']): boolean {
  const { etag, modified } = kept.said
  if (ifRange === null) return true
  if (ifRange === 'junk') return false
  if (typeof ifRange === 'number') return ifRange === modified && strongDate(kept)
  return etag !== null && !etag.weak && !ifRange.weak && etag.opaque === ifRange.opaque
}
