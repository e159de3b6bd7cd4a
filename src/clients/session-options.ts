/** Options of a CachedSession and of one request through it (features S2-S13). */
import { isOptionsObject, nearest, OptionError } from '../errors.ts'
import type { CookieJar } from './cookies.ts'
import { parseSeconds } from './durations.ts'
import { headersOf, type CachedRequestInit } from './incoming.ts'
import type { CacheOptions } from './options.ts'
import { searchParams, type Params } from './params.ts'
import type { CachedResponse } from './response.ts'
import { shown } from './shown.ts'
import { checkNames, checkPlaced, isCacheOption } from './validate.ts'

/** A schema that follows the Standard Schema specification (zod, valibot, arktype, ...). */
export interface StandardSchema<T = unknown> {
  readonly '~standard': {
    validate(
      value: unknown,
    ):
      | { value: T; issues?: undefined }
      | { issues: readonly { message: string }[] }
      | Promise<{ value: T; issues?: undefined } | { issues: readonly { message: string }[] }>
  }
}

/** Called around every request of a session. */
export interface SessionHooks {
  /** Before the request; may change `init`. */
  request?: (url: URL, init: CachedRequestInit) => void | Promise<void>
  /** After the response, hit or miss. */
  response?: (response: CachedResponse) => void | Promise<void>
}

/** Options of a CachedSession: those of the cache, and those of a client. */
export interface SessionOptions extends CacheOptions {
  /** Base of relative URLs: '/users' is a path under it. Default none. */
  baseUrl?: string | URL
  /** Headers of every request; those of a request replace them by name. Default none. */
  headers?: ConstructorParameters<typeof Headers>[0]
  /** Query parameters of every request. Default none. */
  params?: Params
  /** HTTP basic authentication, for the base's origin (or, without a base, for every URL). Default none. */
  auth?: BasicAuth
  /** Seconds, or '30s', until a request is given up: in all (its body included), or until the headers. Default none. */
  timeout?: Timeout
  /** Throw HttpError for statuses of 400 and more, hits included: true, or what decides. Default false. */
  raiseForStatus?: boolean | ((response: CachedResponse) => boolean)
  hooks?: SessionHooks
  /** true: a jar from tough-cookie; or a jar. Default false: no cookies. */
  cookies?: boolean | CookieJar
  /** Cookies of stored responses go to the jar, too. Default true, and false in a shared cache. */
  restoreCookies?: boolean
}

export interface BasicAuth {
  readonly username: string
  readonly password: string
}

/** Seconds, or '30s': in all, or by phase. */
export type Timeout = number | string | { readonly total?: number | string; readonly headers?: number | string }

/** Options of one request through a session. */
export interface SessionRequest<T = unknown> extends Omit<CachedRequestInit, 'method' | 'body'> {
  params?: Params
  /** A JSON body. Only one of json, form and body. */
  json?: unknown
  /** A form body. */
  form?: Params
  body?: CachedRequestInit['body']
  auth?: BasicAuth
  timeout?: Timeout
  raiseForStatus?: boolean | ((response: CachedResponse) => boolean)
  /** Validates what `json()` returns, hits included. */
  schema?: StandardSchema<T>
}

/** A response of a session: `json()` is typed, and validated where there is a schema. */
export interface SessionResponse<T = unknown> extends CachedResponse {
  json(): Promise<T>
  /** This response, or HttpError for a status of 400 or more. */
  raiseForStatus(): this
  clone(): SessionResponse<T>
}

export const SESSION_OPTIONS = [
  'baseUrl',
  'headers',
  'params',
  'auth',
  'timeout',
  'raiseForStatus',
  'hooks',
  'cookies',
  'restoreCookies',
] as const

/** Checks the options a cache does not have. */
export function checkSessionOptions({
  headers,
  params,
  auth,
  timeout,
  raiseForStatus,
  hooks,
  cookies,
  restoreCookies,
}: SessionOptions): void {
  if (headers !== undefined) headersOf(headers)
  if (params !== undefined) searchParams(params)
  if (auth !== undefined) checkAuth(auth)
  if (timeout !== undefined) timeoutParts(timeout)
  checkRaise(raiseForStatus)
  checkHooks(hooks)
  expect(restoreCookies === undefined || typeof restoreCookies === 'boolean', 'restoreCookies', 'true or false')
  const jar =
    typeof cookies === 'object' &&
    cookies !== null &&
    typeof cookies.setCookie === 'function' &&
    typeof cookies.getCookieString === 'function'
  expect(
    cookies === undefined || typeof cookies === 'boolean' || jar,
    'cookies',
    'true, false or a jar with setCookie and getCookieString',
  )
}

function checkRaise(raise: unknown): void {
  const fine = raise === undefined || typeof raise === 'boolean' || typeof raise === 'function'
  expect(fine, 'raiseForStatus', 'true, false or a function')
}

function checkHooks(hooks: unknown): void {
  if (hooks === undefined) return
  checkNames(hooks as object, ['request', 'response'], 'hooks')
  for (const [name, hook] of Object.entries(hooks as object))
    expect(hook === undefined || typeof hook === 'function', `hooks.${name}`, 'a function')
}

/**
 * Checks what one request of a session is given. Names that nobody knows go to fetch, which may: what is nearly one of ours, or of fetch, is
 * none of those.
 * @throws OptionError
 */
export function checkRequest(request: SessionRequest, { fetch }: Pick<CacheOptions, 'fetch'>): void {
  if (!isOptionsObject(request))
    throw new OptionError('ERR_OPTION_VALUE', 'request', `a request takes an object of options, not ${shown(request)}`)
  checkPlaced(request)
  checkRaise(request.raiseForStatus)
  const { schema, auth, timeout, body } = request
  // Of a session's own options null is no value; it would be taken for what the session has.
  if (auth !== undefined) checkAuth(auth)
  if (timeout !== undefined) timeoutParts(timeout)
  // fetch would send '[object Object]'.
  const isPlain = isOptionsObject(body) && !(Symbol.asyncIterator in body) && !hasText(body)
  const fine = !isPlain && !Array.isArray(body) && typeof body !== 'symbol'
  expect(fine, 'body', 'what fetch can send; an object or an array is given as json or form')
  const validates = typeof schema?.['~standard']?.validate === 'function'
  expect(schema === undefined || validates, 'schema', 'a Standard Schema: zod, valibot, arktype, ...')
  for (const name of Object.keys(request)) {
    if (KNOWN.includes(name)) continue
    // A fetch of the user's own may know what the global one cannot.
    const hint = hintFor(name) ?? (fetch === undefined ? UNKNOWN_TO_FETCH[name] : undefined)
    if (hint !== undefined)
      throw new OptionError('ERR_OPTION_UNKNOWN', name, `a request: unknown option ${name}; here it is ${hint}`)
    if (name.length < 4) continue
    const near = nearest(name, KNOWN)
    if (near !== undefined && isSlip(name, near))
      throw new OptionError('ERR_OPTION_UNKNOWN', name, `a request: unknown option ${name}; did you mean ${near}?`)
  }
}

/** Whether an object has a text of its own. */
function hasText(value: object): boolean {
  return 'toString' in value && value.toString !== Object.prototype.toString
}

/** What other clients take and no fetch knows: it would be lost without a word. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  allow_redirects: "redirect: 'manual'",
  data: 'json, form or body',
  qs: 'params',
  query: 'params',
  raise_for_status: 'raiseForStatus',
  searchParams: 'params',
  throwHttpErrors: 'raiseForStatus',
}

const OF_A_SESSION = 'an option of the session'
const OF_A_DISPATCHER = 'a matter of the dispatcher (undici), or of a fetch of your own'

/** The same where the fetch is the global one, which knows none of these. */
const UNKNOWN_TO_FETCH: Readonly<Record<string, string>> = {
  baseUrl: OF_A_SESSION,
  cert: OF_A_DISPATCHER,
  cookies: `${OF_A_SESSION}: the jar`,
  files: 'body: a FormData',
  hooks: OF_A_SESSION,
  maxAge: 'httpCache: { expireAfter }',
  prefixUrl: 'baseUrl of the session',
  proxies: OF_A_DISPATCHER,
  ssl: OF_A_DISPATCHER,
  stream: 'not needed: bodies always stream, as response.body',
  ttl: 'httpCache: { expireAfter }',
  verify: OF_A_DISPATCHER,
}

/** What a name of another client is here; options of the cache may be written as they are there. */
function hintFor(name: string): string | undefined {
  if (Object.hasOwn(ELSEWHERE, name)) return ELSEWHERE[name]
  const camel = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return camel !== name && isCacheOption(camel) ? `httpCache: { ${camel} }` : undefined
}

/** Whether a name is another with a letter too few, too many, or in the wrong place or case. */
function isSlip(name: string, known: string): boolean {
  const letters = (text: string): string => [...text.toLowerCase()].toSorted().join('')
  const [own, other] = [letters(name), letters(known)]
  if (own === other) return true
  const [short, long] = own.length < other.length ? [own, other] : [other, own]
  return long.length - short.length === 1 && [...long].some((_, at) => long.slice(0, at) + long.slice(at + 1) === short)
}

export function checkAuth(auth: BasicAuth): void {
  const fine =
    typeof auth === 'object' && auth !== null && typeof auth.username === 'string' && typeof auth.password === 'string'
  expect(fine && !auth.username.includes(':'), 'auth', '{ username, password }, the username without a colon')
}

const TIMEOUTS = ['total', 'headers']

/**
 * The limits of a timeout, in seconds.
 * @throws OptionError
 */
export function timeoutParts(timeout: Timeout): { readonly total?: number; readonly headers?: number } {
  const isObject = typeof timeout === 'object' && timeout !== null && !(timeout instanceof Date)
  const given = Object.entries(isObject ? timeout : { total: timeout }).filter(([, part]) => part !== undefined)
  const parts = given.map(([name, part]): [string, number] => {
    const option = isObject ? `timeout.${name}` : 'timeout'
    const seconds = typeof part === 'string' ? parseSeconds(part, option) : part
    if (!(typeof seconds === 'number' && seconds > 0)) {
      const message = `${option} must be above 0, in seconds or as '30s', not ${shown(part)}`
      throw new OptionError('ERR_OPTION_VALUE', 'timeout', message)
    }
    return [name, Number(seconds)]
  })
  const fine = given.length > 0 && given.every(([name]) => TIMEOUTS.includes(name))
  expect(fine, 'timeout', `seconds above 0, '30s', or { total, headers }; not ${shown(timeout)}`)
  return Object.fromEntries(parts)
}

function expect(fine: boolean, option: string, forms: string): void {
  if (!fine) throw new OptionError('ERR_OPTION_VALUE', option, `${option} must be ${forms}`)
}

/** What fetch takes, and `httpCache`. */
const OF_FETCH = [
  'headers',
  'signal',
  'cache',
  'redirect',
  'credentials',
  'integrity',
  'keepalive',
  'mode',
  'referrer',
  'referrerPolicy',
  'priority',
  'duplex',
  'dispatcher',
  'httpCache',
  'onHop',
  'method',
] as const

const REQUEST_OPTIONS = ['params', 'json', 'form', 'body', 'auth', 'timeout', 'raiseForStatus', 'schema'] as const

const KNOWN: readonly string[] = [...REQUEST_OPTIONS, ...OF_FETCH]

/** The init for fetch that is left when a session has taken its own options. */
export function fetchInit(request: SessionRequest): CachedRequestInit {
  const init: Record<string, unknown> = { ...request }
  for (const name of REQUEST_OPTIONS) delete init[name]
  return init
}
