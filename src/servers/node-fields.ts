/** What the fields of a node:http request say that matters before anything is looked up, in one pass over them. */
import type { IncomingHttpHeaders } from 'node:http'

/** Bits of `FieldScan.of`. */
export const ASKS_PART = 1
export const HAS_DIRECTIVES = 2
export const HAS_IDENTITY = 4
export const IS_AUTHORIZED = 8
export const HAS_BODY = 16
export const IS_FORWARDED = 32
export const HAS_PRECONDITION = 64

const BITS: readonly (readonly [bit: number, names: readonly string[]])[] = [
  [ASKS_PART, ['if-none-match', 'if-modified-since', 'range', 'expect']],
  [HAS_DIRECTIVES, ['cache-control', 'pragma']],
  [IS_AUTHORIZED, ['authorization']],
  [HAS_BODY, ['transfer-encoding', 'content-length']],
  [IS_FORWARDED, ['x-forwarded-host', 'x-forwarded-proto']],
  [HAS_PRECONDITION, ['if-match', 'if-unmodified-since']],
]

export class FieldScan {
  readonly #bits = new Map<string, number>()
  /** By length and first letter, whether a name may be one of ours: most are not, and cost no more than this. */
  readonly #candidates = new Uint8Array(64 * 32)

  /** @param identities names of fields that tell identities apart in keys, lower case */
  constructor(identities: readonly string[]) {
    for (const name of identities) this.#bits.set(name, HAS_IDENTITY)
    for (const [bit, names] of BITS) for (const name of names) this.#bits.set(name, bit)
    for (const name of this.#bits.keys()) this.#candidates[slot(name)] = 1
  }

  of(headers: IncomingHttpHeaders): number {
    let bits = 0
    for (const name in headers) {
      if (this.#candidates[slot(name)] === 1 && headers[name] !== undefined) bits |= this.#bits.get(name) ?? 0
    }
    return (bits & HAS_BODY) !== 0 && isEmpty(headers) ? bits & ~HAS_BODY : bits
  }
}

function isEmpty(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] === undefined && headers['content-length'] === '0'
}

function slot(name: string): number {
  return ((name.length & 63) << 5) | (name.charCodeAt(0) & 31)
}

/** Two names in one request: one may be the key's, the other what the handler goes by (RFC 9112 section 3.2; RELIABILITY 104). */
export function hasTwoHosts(rawHeaders: readonly string[]): boolean {
  let hosts = 0
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === 'host') hosts += 1
  return hosts > 1
}

/** The name a request was asked under; undefined: none, or two of them (HTTP/2 has `:authority`, and Host beside it must be the same). */
export function hostOf(headers: IncomingHttpHeaders): string | undefined {
  const authority = headers[':authority']
  if (authority === undefined) return headers.host
  return typeof authority === 'string' && (headers.host ?? authority) === authority ? authority : undefined
}

/** Whether node:http sends a field of that name (RFC 9110 section 5.6.2). */
export function isFieldName(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~\w]+$/.test(name)
}

/** Whether node:http sends a field, or a reason phrase, that says this. */
export function isFieldValue(value: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(value)
}
