/**
 * Which metadata may be believed. What this process made or its codec decoded is trusted; anything else a store hands over
 * (a custom store, a shared database) is checked field by field before policy looks at it (RELIABILITY B30, B40).
 */
import type { ResponseMeta, ValueMeta, Variant, VariantIndex, WrappedMeta } from '../policy/decision.ts'
import type { EntryMeta } from './ports.ts'

/** Its constructor gives back the object it is called with, so that a subclass puts its private field on that. */
// oxlint-disable-next-line typescript/no-extraneous-class -- what it returns is the point
class Given {
  constructor(given: object) {
    return given
  }
}

/** The mark of what is trusted: no copy has it, nobody else can set it, and it is set and found in a sixth of the time a WeakSet takes. */
class Trusted extends Given {
  // oxlint-disable-next-line no-unused-private-class-members -- its being there is what is asked
  readonly #mark: true = true

  static has(object: object): boolean {
    return #mark in object
  }

  static add<T extends object>(object: T): T {
    return Trusted.has(object) ? object : (new Trusted(object) as object as T)
  }
}

/** Marks metadata as made by this process; returns it. */
export function trust<T extends EntryMeta>(meta: T): T {
  return Trusted.add(meta)
}

export function isTrusted(meta: unknown): meta is EntryMeta {
  return typeof meta === 'object' && meta !== null && Trusted.has(meta)
}

/** Whether a value has the shape of metadata, all the way down; it is trusted from then on. */
export function isValidMeta(meta: unknown): meta is EntryMeta {
  if (typeof meta !== 'object' || meta === null) return false
  const { kind } = meta as Partial<EntryMeta>
  const valid =
    kind === 'response'
      ? isResponseMeta(meta)
      : kind === 'variants'
        ? isVariantIndex(meta)
        : kind === 'mark'
          ? isMark(meta)
          : isValueMeta(meta) || isWrappedMeta(meta)
  if (valid) Trusted.add(meta)
  return valid
}

function isMark(meta: object): boolean {
  const { key, at, mode } = meta as Record<string, unknown>
  return typeof key === 'string' && isNumber(at) && (mode === 'stale' || mode === 'revalidate' || mode === 'delete')
}

/** Whether metadata is that of a cached value of a function (keepfresh/memo). */
export function isValueMeta(meta: unknown): meta is ValueMeta {
  if (typeof meta !== 'object' || meta === null) return false
  const { kind, key, valueSize, failed, askedAt, took, tags } = meta as Partial<ValueMeta>
  return (
    kind === 'value' &&
    typeof key === 'string' &&
    typeof valueSize === 'number' &&
    Number.isInteger(valueSize) &&
    valueSize >= 0 &&
    typeof failed === 'boolean' &&
    isNumber(askedAt) &&
    isNumber(took) &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === 'string')
  )
}

/** Whether metadata is that of an entry which a wrapper changed (stores/wrap-store.ts). */
export function isWrappedMeta(meta: unknown): meta is WrappedMeta {
  if (typeof meta !== 'object' || meta === null) return false
  const { kind, key, by, data } = meta as Partial<WrappedMeta>
  return kind === 'wrapped' && typeof key === 'string' && typeof by === 'string' && typeof data === 'string'
}

function isVariantIndex(meta: object): boolean {
  const { key, variants } = meta as Partial<VariantIndex>
  return typeof key === 'string' && Array.isArray(variants) && variants.every(isVariant)
}

function isVariant(value: unknown): value is Variant {
  if (typeof value !== 'object' || value === null) return false
  const { key, selecting, date, etag } = value as Partial<Variant>
  return (
    typeof key === 'string' &&
    isPairs(selecting, isSelectingValue) &&
    isNumber(date) &&
    (etag === null || typeof etag === 'string')
  )
}

function isResponseMeta(meta: object): boolean {
  const m = meta as Partial<ResponseMeta>
  return (
    typeof m.key === 'string' &&
    typeof m.method === 'string' &&
    typeof m.url === 'string' &&
    isReason(m.statusText) &&
    isStatus(m.status) &&
    isNumber(m.requestTime) &&
    isNumber(m.responseTime) &&
    typeof m.decoded === 'boolean' &&
    isPairs(m.headers, isFieldValue) &&
    isPairs(m.selecting, isSelectingValue) &&
    Array.isArray(m.tags) &&
    m.tags.every((tag) => typeof tag === 'string') &&
    isTerms(m.terms) &&
    (m.total === null || isNumber(m.total)) &&
    (m.parts === null ||
      (Array.isArray(m.parts) && m.parts.every((part) => isNumber(part?.first) && isNumber(part?.last))))
  )
}

function isTerms(terms: unknown): boolean {
  if (typeof terms !== 'object' || terms === null) return false
  const t = terms as Record<string, unknown>
  return (
    [t['lifetime'], t['initialAge'], t['staleWhileRevalidate'], t['staleIfError']].every(isNumber) &&
    [t['noCache'], t['mustRevalidate'], t['immutable']].every((flag) => typeof flag === 'boolean') &&
    typeof t['source'] === 'string' &&
    (t['sliding'] === undefined || isNumber(t['sliding'])) &&
    (t['keep'] === undefined || isNumber(t['keep']))
  )
}

function isPairs(value: unknown, isValue: (value: unknown) => boolean): boolean {
  return (
    Array.isArray(value) &&
    value.every(
      (pair: unknown) =>
        Array.isArray(pair) &&
        pair.length === 2 &&
        typeof pair[0] === 'string' &&
        TOKEN.test(pair[0]) &&
        isValue(pair[1]),
    )
  )
}

/** RFC 9110 section 5.6.2: what a field name is made of. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i

/** RFC 9110 section 5.5: visible characters, spaces and tabs, in one byte each. A stored line break must never reach a header block (129). */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

function isFieldValue(value: unknown): boolean {
  return typeof value === 'string' && FIELD_VALUE.test(value)
}

/** A reason phrase, as fetch hands it over: in any characters, but on one line. */
function isReason(value: unknown): boolean {
  return typeof value === 'string' && !CONTROL.test(value)
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/

/** What a request had under a selecting header, or null; it goes into comparisons, never into a header block. */
function isSelectingValue(value: unknown): boolean {
  return value === null || (typeof value === 'string' && !/[\r\n\0]/.test(value))
}

/** The statuses a stored response may have: final ones. */
function isStatus(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value <= 599
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && !Number.isNaN(value)
}
