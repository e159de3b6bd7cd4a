/**
 * Cache-Control (RFC 9111 section 5.2): the directives of requests and responses, parsed once a value.
 *
 * Rule 1: names are case-insensitive; token and quoted-string arguments are both understood (section 5.2).
 * Rule 2: in doubt the stricter reading: `private`, `no-cache` and `no-store` count in any shape (RELIABILITY 75, 76, 89).
 * Rule 3: an invalid lifetime is a lifetime of 0, and of repeated ones the first counts (section 4.2.1).
 * Rule 4: permissive directives with an argument permit nothing (RELIABILITY 74).
 */
import { splitList, trim, unquote } from './lists.ts'

export interface CacheControl {
  /** Any directive at all. */
  readonly present: boolean
  /** Seconds; null where absent. */
  readonly maxAge: number | null
  readonly sMaxage: number | null
  /** A lifetime directive was not a number. */
  readonly invalid: boolean
  /** Seconds; UNLIMITED without an argument. */
  readonly maxStale: number | null
  readonly minFresh: number | null
  readonly noStore: boolean
  /** `no-cache` without field names. */
  readonly noCache: boolean
  readonly noCacheFields: readonly string[]
  /** `private` without field names. */
  readonly private: boolean
  readonly privateFields: readonly string[]
  readonly public: boolean
  readonly mustRevalidate: boolean
  readonly proxyRevalidate: boolean
  readonly mustUnderstand: boolean
  readonly onlyIfCached: boolean
  readonly immutable: boolean
  readonly noTransform: boolean
  readonly staleWhileRevalidate: number | null
  readonly staleIfError: number | null
}

/** `max-stale` without an argument: any age. */
export const UNLIMITED = 4_000_000_000_000

/** Delta-seconds above this are this (section 1.2.2). */
export const MAX_DELTA = 2_147_483_648

type Mutable = {
  -readonly [K in keyof CacheControl]: CacheControl[K] extends readonly string[] ? string[] : CacheControl[K]
}

const EMPTY: CacheControl = Object.freeze(emptyDirectives())

const MAX_REMEMBERED = 500
const remembered = new Map<string, CacheControl>()

/** The directives of a combined field value; the same frozen object for the same value while it is remembered. */
export function parseCacheControl(value: string | null): CacheControl {
  if (value === null || value === '') return EMPTY
  const known = remembered.get(value)
  if (known) return known
  const parsed = Object.freeze(parse(value))
  if (value.length <= 1000) {
    if (remembered.size >= MAX_REMEMBERED) remembered.clear()
    remembered.set(value, parsed)
  }
  return parsed
}

/** The directives of a list of (name, argument) pairs that another syntax gave (RFC 9213). */
export function fromDirectives(directives: Iterable<readonly [name: string, argument: string | null]>): CacheControl {
  const result = emptyDirectives()
  for (const [name, argument] of directives) apply(result, name, argument)
  return Object.freeze(result)
}

function parse(value: string): Mutable {
  const result = emptyDirectives()
  for (const member of splitList(value)) {
    const equals = member.indexOf('=')
    const name = trim(equals < 0 ? member : member.slice(0, equals)).toLowerCase()
    // White space around `=` is no part of the grammar: such a directive is not the one it looks like, unless it restricts (rule 2).
    const exact = equals < 0 || !/[ \t]=|=[ \t]/.test(member.slice(Math.max(0, equals - 1), equals + 2))
    apply(
      result,
      name,
      equals < 0 ? null : exact ? trim(member.slice(equals + 1)) : `${trim(member.slice(equals + 1))} `,
    )
  }
  return result
}

function apply(result: Mutable, name: string, argument: string | null): void {
  result.present = true
  switch (name) {
    case 'max-age':
      result.maxAge = lifetime(result, result.maxAge, argument)
      return
    case 's-maxage':
      result.sMaxage = lifetime(result, result.sMaxage, argument)
      return
    case 'max-stale':
      result.maxStale ??= argument === null ? UNLIMITED : (delta(argument) ?? 0)
      return
    case 'min-fresh':
      result.minFresh ??= delta(argument) ?? 0
      return
    case 'stale-while-revalidate':
      result.staleWhileRevalidate ??= delta(argument) ?? 0
      return
    case 'stale-if-error':
      result.staleIfError ??= delta(argument) ?? 0
      return
    case 'no-cache':
    case 'private':
      return applyFields(result, name, argument)
    default:
      applyFlag(result, name, argument)
  }
}

function applyFlag(result: Mutable, name: string, argument: string | null): void {
  switch (name) {
    case 'no-store':
      result.noStore = true
      return
    case 'must-revalidate':
      // It restricts, and permits (section 3.5): with an argument only the restriction counts, in its strictest form (RELIABILITY 74).
      if (argument === null) result.mustRevalidate = true
      else result.noCache = true
      return
    case 'proxy-revalidate':
      result.proxyRevalidate = true
      return
    case 'only-if-cached':
      result.onlyIfCached = true
      return
    case 'no-transform':
      result.noTransform = true
      return
    case 'must-understand':
      result.mustUnderstand ||= argument === null
      return
    case 'public':
      result.public ||= argument === null
      return
    case 'immutable':
      result.immutable ||= argument === null
      return
    default:
    // Unknown directives are ignored (section 5.2.3).
  }
}

/** With field names only those fields are meant; anything unclear, or both forms, is the unqualified directive. */
function applyFields(result: Mutable, name: 'no-cache' | 'private', argument: string | null): void {
  const fields = argument === null ? [] : splitList(unquote(argument.trim())).map((field) => field.toLowerCase())
  const named =
    fields.length > 0 &&
    fields.every((field) => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(field)) &&
    unquote(argument ?? '').trim() === unquote(argument ?? '')
  if (name === 'no-cache') {
    if (named) result.noCacheFields.push(...fields)
    else result.noCache = true
  } else if (named) result.privateFields.push(...fields)
  else result.private = true
}

/** Of repeated lifetimes the first counts, as section 4.2.1 prefers. */
function lifetime(result: Mutable, known: number | null, argument: string | null): number {
  if (known !== null) return known
  const seconds = delta(argument)
  if (seconds === null) result.invalid = true
  return seconds ?? 0
}

function delta(argument: string | null): number | null {
  const text = argument === null ? '' : unquote(argument)
  return /^[0-9]+$/.test(text) ? Math.min(Number(text), MAX_DELTA) : null
}

function emptyDirectives(): Mutable {
  return {
    present: false,
    maxAge: null,
    sMaxage: null,
    invalid: false,
    maxStale: null,
    minFresh: null,
    noStore: false,
    noCache: false,
    noCacheFields: [],
    private: false,
    privateFields: [],
    public: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    onlyIfCached: false,
    immutable: false,
    noTransform: false,
    staleWhileRevalidate: null,
    staleIfError: null,
  }
}
