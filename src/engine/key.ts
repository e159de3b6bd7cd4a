/**
 * The primary key of a request (features K1-K5): the method and the URL in clear, so that listings can be read,
 * then one labelled line for each further part. No part can contain a line break, so no two requests share a key by accident.
 *
 * Rule 1: the URL is what the WHATWG parser made of it; nothing else is normalised unless an option says so (RELIABILITY 102).
 * Rule 2: HEAD has the key of GET: it is answered from a stored GET (RFC 9111 section 2).
 * Rule 3: bodies, matched headers and identities enter as full SHA-256 digests, never in clear.
 * Rule 4: shared and private caches never share an entry, whatever store they have.
 */
import { OptionError } from '../errors.ts'
import { getHeader } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { canonicalBody } from './key-body.ts'
import { sha256 } from './digest.ts'
import type { KeyOptions } from './exchange.ts'
import { chain, isPromise } from './maybe.ts'
import type { MaybePromise } from './ports.ts'
import { SENSITIVE_PARAMS, splitQuery } from './redact.ts'

/** Headers that `matchHeaders: true` leaves out: they steer the transport, the cache or a part of the body, not the resource. */
const UNMATCHED: ReadonlySet<string> = new Set([
  'age',
  'cache-control',
  'connection',
  'content-length',
  'date',
  'expect',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'keep-alive',
  'pragma',
  'range',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])

/** In a shared cache RFC 9111 section 3.5 and the guards decide about these; they are no part of the key there. */
const SHARED_IDENTITY_EXEMPT: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** Whether the key of such a request is simply `METHOD url`: no option and no header adds a part. The hit path asks this once per client. */
export function hasPlainKeys(options: KeyOptions, shared: boolean): boolean {
  return (
    !shared &&
    !options.sortParams &&
    options.ignoredParams.size === 0 &&
    options.keyFn === null &&
    isEmptyMatch(options)
  )
}

function isEmptyMatch(options: KeyOptions): boolean {
  return options.matchHeaders !== true && options.matchHeaders.length === 0
}

/** What a query has that has a sensitive name, plain or escaped; one without it need not be taken apart. */
const SUSPICIOUS = new RegExp(['%', ...SENSITIVE_PARAMS].join('|'), 'i')

/** The key of a plain GET with no headers, by rules 1 and 2. `url` is absolute and serialised, without a fragment; null: not plain. */
export function plainKey(url: string): string | null {
  const query = url.indexOf('?')
  if (query < 0) return `GET ${url}`
  if (query === url.length - 1) return `GET ${url.slice(0, -1)}`
  if (!SUSPICIOUS.test(url)) return `GET ${url}`
  for (const { name } of splitQuery(url.slice(query + 1))) if (SENSITIVE_PARAMS.has(name)) return null
  return `GET ${url}`
}

const SHARED = '\nshared'

/** Whether a primary key says nothing but method, URL and kind of cache: then invalidating the URL finds it without a tag. */
export function isUrlKey(key: string): boolean {
  const end = key.indexOf('\n')
  return end < 0 || (end === key.length - SHARED.length && key.endsWith(SHARED))
}

/** The primary key. `body` is the request body where it is part of the key (allowed methods with a body), else null. */
export function primaryKey(
  request: RequestHead,
  body: Uint8Array | null,
  options: KeyOptions,
  shared: boolean,
): MaybePromise<string> {
  const key = defaultKey(request, body, options, shared)
  const { keyFn } = options
  return keyFn === null ? key : chain(key, (made) => chain(keyFn(request, made), checkedKey))
}

/** @throws OptionError: entries under what is no name would be anybody's */
function checkedKey(key: string): string {
  if (typeof key === 'string' && key !== '') return key
  throw new OptionError(
    'ERR_OPTION_VALUE',
    'keyFn',
    `keyFn must return a non-empty string, not ${key === '' ? '""' : String(key)}`,
  )
}

function defaultKey(
  request: RequestHead,
  body: Uint8Array | null,
  options: KeyOptions,
  shared: boolean,
): MaybePromise<string> {
  const method = request.method === 'HEAD' ? 'GET' : request.method
  const digests: MaybePromise<string>[] = []
  let key = `${method} ${keyUrl(request.url, options)}`
  if (shared) key += SHARED
  const sensitive = sensitiveValues(request.url, options)
  if (sensitive !== '') digests.push(labelled('params', sensitive))
  if (body !== null) {
    digests.push(
      labelled(
        'body',
        canonicalBody(body, getHeader(request.headers, 'content-type'), options.ignoredParams, options.contentRootKey),
      ),
    )
  }
  if (request.method === 'QUERY') digests.push(labelled('content', JSON.stringify(contentFields(request))))
  const matched = matchedHeaders(request, options)
  if (matched !== '') digests.push(labelled('headers', matched))
  const identity = identityOf(request, options, shared)
  if (identity !== '') digests.push(labelled('identity', identity))
  return append(key, digests)
}

function labelled(label: string, data: string | Uint8Array): MaybePromise<string> {
  return chain(sha256(data), (hex) => `\n${label} ${hex}`)
}

function append(key: string, parts: MaybePromise<string>[]): MaybePromise<string> {
  if (parts.some(isPromise)) return Promise.all(parts).then((lines) => key + lines.join(''))
  return key + parts.join('')
}

/** K2: a trailing `?` equals none; ignored parameters are gone, sensitive ones replaced; sorted by name, then value, where asked. */
function keyUrl(url: string, options: Pick<KeyOptions, 'sortParams' | 'ignoredParams'>): string {
  const start = url.indexOf('?')
  if (start < 0) return url
  const query = url.slice(start + 1)
  let params = splitQuery(query)
  const special = params.some(({ name }) => options.ignoredParams.has(name) || SENSITIVE_PARAMS.has(name))
  if (!special && !options.sortParams) return query === '' ? url.slice(0, start) : url
  params = params
    .filter(({ name }) => !options.ignoredParams.has(name))
    .map(({ raw, name }) => (SENSITIVE_PARAMS.has(name) ? { raw: encodeURIComponent(name), name } : { raw, name }))
  if (options.sortParams) params = sortParams(params)
  return params.length === 0 ? url.slice(0, start) : `${url.slice(0, start)}?${params.map(({ raw }) => raw).join('&')}`
}

function sortParams(params: { raw: string; name: string }[]): { raw: string; name: string }[] {
  return params.toSorted((a, b) => compare(rawName(a.raw), rawName(b.raw)) || compare(a.raw, b.raw))
}

function rawName(raw: string): string {
  return raw.split('=', 1)[0] ?? raw
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sensitiveValues(url: string, options: KeyOptions): string {
  const start = url.indexOf('?')
  if (start < 0) return ''
  const values = splitQuery(url.slice(start + 1))
    .filter(({ name }) => SENSITIVE_PARAMS.has(name) && !options.ignoredParams.has(name))
    .map(({ raw }) => raw)
  return values.length === 0 ? '' : JSON.stringify(values.toSorted())
}

function matchedHeaders(request: RequestHead, options: KeyOptions): string {
  if (isEmptyMatch(options)) return ''
  const identity = new Set(options.identityHeaders)
  const names =
    options.matchHeaders === true
      ? [...new Set(request.headers.map(([name]) => name))].filter(
          (name) => !UNMATCHED.has(name) && !identity.has(name),
        )
      : options.matchHeaders
  const pairs = names
    .filter((name) => !options.ignoredParams.has(name))
    .toSorted()
    .map((name) => [name, getHeader(request.headers, name)])
  return pairs.length === 0 ? '' : JSON.stringify(pairs)
}

/** Who asks (RELIABILITY 82, 85): the credentials of the request, null where there are none. */
function identityOf(request: RequestHead, options: KeyOptions, shared: boolean): string {
  if (request.headers.length === 0) return ''
  const pairs: [string, string][] = []
  for (const name of options.identityHeaders) {
    if (options.ignoredParams.has(name) || (shared && SHARED_IDENTITY_EXEMPT.has(name))) continue
    const value = getHeader(request.headers, name)
    if (value !== null) pairs.push([name, value])
  }
  return pairs.length === 0 ? '' : JSON.stringify(pairs)
}

/** What QUERY says of its content is part of the key, too (RFC 10008 section 2.7); a multipart boundary says nothing (row 56). */
function contentFields(request: RequestHead): readonly (string | null)[] {
  return ['content-type', 'content-encoding', 'content-language'].map((name) => {
    const value = getHeader(request.headers, name)
    return value !== null && /^multipart\//i.test(value) ? (value.split(';', 1)[0] ?? value) : value
  })
}

/** The keys an entry may live under beside the primary one. */
export const headKey = (primary: string): string => `${primary}\nhead`
export const variantKey = (primary: string, digest: string): string => `${primary}\nvary ${digest}`

/** The primary key of a variant's; null: it is no variant's. */
export function primaryOfVariant(key: string): string | null {
  const at = key.lastIndexOf('\nvary ')
  return at < 0 ? null : key.slice(0, at)
}
