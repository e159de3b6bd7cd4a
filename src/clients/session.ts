/**
 * CachedSession: an HTTP client with a cache, as requests-cache and aiohttp-client-cache have it.
 *
 * Its habit: what carries no freshness information is kept for `expireAfter`, by default for ever, status 200 only;
 * explicit Cache-Control is obeyed unless `cacheControl: false`.
 */
import { HttpError, OptionError, StateError } from '../errors.ts'
import type { CacheEvent, CacheEventOf, CacheEventType } from '../engine/events.ts'
import type { CacheStats } from '../engine/stats.ts'
import { ResponseCache } from './cache-view.ts'
import { Calls } from './calls.ts'
import type { CacheClient } from './client.ts'
import { cookieHooks, loadJar, type CookieJar } from './cookies.ts'
import { openClient, type ClientHandle } from './fetch.ts'
import { checkInit, headersOf, type CachedRequestInit, type FetchInput, type HopHooks } from './incoming.ts'
import { installFetch } from './install.ts'
import type { CacheOptions, RuleOptions } from './options.ts'
import { parseBaseUrl, resolveUrl, searchParams, withDefaults, type Params } from './params.ts'
import type { CachedResponse } from './response.ts'
import { DisabledScope } from './scope.ts'
import {
  checkAuth,
  checkRequest,
  checkSessionOptions,
  fetchInit,
  SESSION_OPTIONS,
  type BasicAuth,
  type SessionOptions,
  type SessionRequest,
  type SessionResponse,
  type StandardSchema,
  type Timeout,
} from './session-options.ts'
import { resolveOptions, type Settings } from './settings.ts'
import { fetchInTime } from './timeout.ts'
import { shown } from './shown.ts'
import { checkChanges, checkListening, fn } from './validate.ts'

/**
 * An HTTP client whose answers are cached.
 *
 * @throws OptionError for unknown or wrong options, at construction.
 *
 * @example
 * ```ts
 * import { CachedSession } from 'keepfresh'
 *
 * await using session = new CachedSession({ baseUrl: 'https://api.example.com', store: 'sqlite:http.db', expireAfter: '1h' })
 * const first = await session.get('/users', { params: { page: 2 } })
 * const users = await first.json()
 * const second = await session.get('/users', { params: { page: 2 } })
 * console.log(first.fromCache, second.fromCache) // false true
 * ```
 */
export class CachedSession {
  /** Headers of every request; may be changed at any time. */
  readonly headers: Headers
  /** What is stored: look into it, take things out of it. */
  readonly cache: ResponseCache
  #options: SessionOptions
  readonly #base: URL | null
  readonly #handle: ClientHandle
  readonly #scope = new DisabledScope()
  readonly #hops: HopHooks | null
  /** Settings that configure() changed since the last request. */
  #changed: Settings | null = null
  #uninstall: (() => void) | null = null
  readonly #calls = new Calls()
  /** Milliseconds that closing waits for them. */
  readonly #patience: number
  #closed = false
  #closing: Promise<void> | null = null

  constructor(options: SessionOptions = {}) {
    const settings = resolveOptions(options, 'session', SESSION_OPTIONS)
    checkSessionOptions(options)
    this.#options = options
    this.#base = options.baseUrl === undefined ? null : parseBaseUrl(options.baseUrl)
    this.headers = headersOf(options.headers)
    this.#handle = openClient(settings)
    this.#patience = settings.readTimeout
    this.#hops = this.#cookieHooks(options, settings)
    // Libraries take a fetch without its session: `{ fetch: session.fetch }`.
    this.fetch = this.fetch.bind(this)
    this.cache = new ResponseCache(() => this.#client(), {
      prepare: (input, init) => this.#prepare(input, init),
      fetch: (input) => this.fetch(input),
    })
  }

  /** A request as this session would send it, for looking into its cache: base, headers, credentials and cookies (row 230). */
  async #prepare(input: FetchInput, given?: CachedRequestInit | null): Promise<[FetchInput, CachedRequestInit]> {
    const init = given ?? {}
    const { target, headers } = this.#outgoing(input, init)
    await this.#hops?.request(target instanceof Request ? target.url : target.href, headers)
    return [target, { ...init, headers }]
  }

  #cookieHooks({ cookies = false, restoreCookies }: SessionOptions, { clock, plain }: Settings): HopHooks | null {
    if (cookies === false) return null
    let jar: Promise<CookieJar> | null = null
    const given = (): Promise<CookieJar> => (jar ??= cookies === true ? loadJar() : Promise.resolve(cookies))
    return cookieHooks(given, () => clock.now(), restoreCookies ?? !plain.policy.shared)
  }

  /**
   * GET; see `request`.
   *
   * @example
   * ```ts
   * interface User {
   *   readonly id: number
   * }
   * const session = new CachedSession({ baseUrl: 'https://api.example.com' })
   * const response = await session.get<User>('/users/1', { timeout: 10, raiseForStatus: true })
   * const user = await response.json()
   * console.log(user.id, response.expiresAt)
   * ```
   */
  get<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('GET', url, request)
  }

  /** HEAD; see `request`. */
  head<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('HEAD', url, request)
  }

  /** OPTIONS; see `request`. */
  options<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('OPTIONS', url, request)
  }

  /** POST; see `request`. */
  post<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('POST', url, request)
  }

  /** PUT; see `request`. */
  put<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('PUT', url, request)
  }

  /** PATCH; see `request`. */
  patch<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('PATCH', url, request)
  }

  /** DELETE; see `request`. */
  delete<T = unknown>(url: string | URL, request?: SessionRequest<T>): Promise<SessionResponse<T>> {
    return this.request('DELETE', url, request)
  }

  /**
   * Any method.
   *
   * @throws what fetch throws; HttpError ERR_HTTP_STATUS where `raiseForStatus` says so; StateError ERR_SESSION_CLOSED after close()
   *
   * @example
   * ```ts
   * const session = new CachedSession({ baseUrl: 'https://api.example.com', allowedMethods: ['GET', 'POST'] })
   * const found = await session.request('POST', '/search', { json: { term: 'cache' } })
   * console.log(found.status) // 200
   * ```
   */
  request<T = unknown>(
    method: string,
    url: string | URL,
    request: SessionRequest<T> = {},
  ): Promise<SessionResponse<T>> {
    return this.#calls.run(() => this.#request(method, url, request))
  }

  async #request<T>(method: string, url: string | URL, request: SessionRequest<T>): Promise<SessionResponse<T>> {
    const client = await this.#client()
    checkRequest(request, this.#options)
    if (typeof method !== 'string')
      throw new OptionError(
        'ERR_OPTION_VALUE',
        'method',
        `method: ${shown(method)} is no method; give a name such as 'GET'`,
      )
    const target = this.#url(url, request.params)
    const init: CachedRequestInit = {
      ...fetchInit(request),
      method: method.toUpperCase(),
      headers: this.#headersFor(target, request),
    }
    addBody(init, request)
    await this.#options.hooks?.request?.(target, init)
    const response = await this.#send(client, target, init, request.timeout ?? this.#options.timeout)
    await this.#options.hooks?.response?.(response)
    const result = sessionResponse(response, request.schema)
    const raise = request.raiseForStatus ?? this.#options.raiseForStatus ?? false
    if (typeof raise === 'function' ? raise(result) : raise && result.status >= 400) throw new HttpError(result)
    return result
  }

  /**
   * The standard signature of fetch, through this session's cache, base and headers: for code that takes a fetch.
   *
   * @example
   * ```ts
   * const session = new CachedSession({ expireAfter: '1h' })
   * const load = async (call: typeof fetch): Promise<unknown> => (await call('https://api.example.com/users')).json()
   * await load((input, init) => session.fetch(input, init))
   * ```
   */
  fetch(input: FetchInput, init: CachedRequestInit = {}): Promise<CachedResponse> {
    return this.#calls.run(() => this.#fetch(input, init))
  }

  async #fetch(input: FetchInput, given: CachedRequestInit | null): Promise<CachedResponse> {
    const client = await this.#client()
    const init = given ?? {}
    const { target, headers } = this.#outgoing(input, init)
    return this.#send(client, target, { ...init, headers }, this.#options.timeout)
  }

  #outgoing(input: FetchInput, init: CachedRequestInit): { target: URL | Request; headers: Headers } {
    checkInit(init)
    const target = input instanceof Request ? input : this.#url(input, undefined)
    const url = target instanceof Request ? new URL(target.url) : target
    const own = init.headers ?? (target instanceof Request ? target.headers : undefined)
    return { target, headers: this.#headersFor(url, own === undefined ? {} : { headers: own }) }
  }

  #send(
    client: CacheClient,
    target: URL | Request,
    init: CachedRequestInit,
    timeout: Timeout | undefined,
  ): Promise<CachedResponse> {
    const hooked: CachedRequestInit = this.#hops === null ? init : { ...init, onHop: this.#hops }
    return timeout === undefined ? client.answer(target, hooked) : fetchInTime(client, target, hooked, timeout)
  }

  #url(url: string | URL, params: Params | undefined): URL {
    const target = resolveUrl(url, this.#base, undefined)
    if (this.#options.params !== undefined) withDefaults(target, this.#options.params)
    return params === undefined ? target : resolveUrl(target, null, params)
  }

  #headersFor(target: URL, request: { headers?: SessionRequest['headers']; auth?: BasicAuth }): Headers {
    const headers = new Headers(this.headers)
    const auth =
      request.auth ?? (this.#base === null || target.origin === this.#base.origin ? this.#options.auth : undefined)
    if (auth !== undefined) {
      checkAuth(auth)
      headers.set('authorization', basic(auth))
    } else if (target.username !== '' || target.password !== '') {
      // Credentials in a URL are moved where they are never stored (row 49).
      headers.set(
        'authorization',
        basic({ username: decodeURIComponent(target.username), password: decodeURIComponent(target.password) }),
      )
      target.username = ''
      target.password = ''
    }
    for (const [name, value] of headersOf(request.headers ?? undefined)) headers.set(name, value)
    return headers
  }

  #assertOpen(): void {
    if (this.#closed) throw new StateError('ERR_SESSION_CLOSED', 'the session is closed: make a new one')
  }

  async #client(): Promise<CacheClient> {
    this.#assertOpen()
    const client = this.#handle.client ?? (await this.#handle.ready())
    if (this.#changed !== null) client.configure(this.#changed)
    this.#changed = null
    return client
  }

  /**
   * Changes settings for the requests from now on (row 15); what is stored keeps the lifetime it was stored with.
   *
   * @throws OptionError for unknown or wrong options: then nothing is changed; StateError ERR_SESSION_CLOSED after close()
   *
   * @example
   * ```ts
   * const session = new CachedSession()
   * session.configure({ expireAfter: '5m', staleIfError: true })
   * ```
   */
  configure(changes: RuleOptions & Pick<CacheOptions, 'urlsExpireAfter' | 'allowedMethods'>): void {
    this.#assertOpen()
    checkChanges(changes)
    const options = { ...this.#options, ...changes }
    this.#changed = resolveOptions(options, 'session', SESSION_OPTIONS)
    this.#options = options
  }

  /**
   * Runs `body` with the cache disabled for this async context only: nothing is read, nothing is written. Nests.
   *
   * @example
   * ```ts
   * const session = new CachedSession()
   * await (await session.get('https://api.example.com/users')).json()
   * const response = await session.disabled(() => session.get('https://api.example.com/users'))
   * console.log(response.fromCache) // false
   * ```
   */
  disabled<T>(body: () => T): T {
    const enter = (client: CacheClient): void => {
      client.isDisabled ??= () => this.#scope.active
    }
    fn(body, 'body')
    if (this.#handle.client) enter(this.#handle.client)
    // A store that cannot be opened is what the requests in `body` report.
    else this.#handle.ready().then(enter, () => undefined)
    return this.#scope.run(body)
  }

  /**
   * Calls `listener` for events of a type, '*' for all; returns a function that stops it.
   *
   * @throws OptionError ERR_OPTION_UNKNOWN for a type there is none of, with the nearest known one
   *
   * @example
   * ```ts
   * const session = new CachedSession()
   * const stop = await session.on('hit', ({ key }) => console.log(key))
   * await session.get('https://api.example.com/users')
   * stop()
   * ```
   */
  on<T extends CacheEventType>(type: T, listener: (event: CacheEventOf<T>) => void): Promise<() => void>
  on(type: '*', listener: (event: CacheEvent) => void): Promise<() => void>
  async on(type: CacheEventType | '*', listener: (event: never) => void): Promise<() => void> {
    checkListening(type, listener)
    const { engine } = await this.#client()
    return engine.events.on(type as '*', listener as (event: CacheEvent) => void)
  }

  /**
   * Counters since the session was made.
   *
   * @example
   * ```ts
   * const session = new CachedSession()
   * await (await session.get('https://api.example.com/users')).json()
   * await (await session.get('https://api.example.com/users')).json()
   * const { hits, misses } = await session.stats()
   * console.log(hits, misses) // 1 1
   * ```
   */
  async stats(): Promise<CacheStats> {
    return (await this.#client()).engine.stats()
  }

  /**
   * Puts this session's fetch in the place of the global one, until uninstall() or close().
   *
   * @example
   * ```ts
   * const session = new CachedSession({ expireAfter: '1h' })
   * session.install()
   * await fetch('https://api.example.com/users') // any code that calls the global fetch is cached
   * session.uninstall()
   * ```
   */
  install(): void {
    this.#assertOpen()
    this.#uninstall ??= installFetch((input, init) => this.fetch(input, init))
  }

  uninstall(): void {
    this.#uninstall?.()
    this.#uninstall = null
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Closes the session, and its store where `autoClose` says so. Idempotent. Requests made from then on fail with ERR_SESSION_CLOSED; those
   * begun before are answered: it waits a moment (`storeTimeout`) for what the store has, and what takes longer comes from the network.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.uninstall()
    this.#closed = true
    await this.#calls.drained(this.#patience)
    await this.#handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function basic({ username, password }: BasicAuth): string {
  const bytes = new TextEncoder().encode(`${username}:${password}`)
  return `Basic ${btoa(String.fromCharCode(...bytes))}`
}

function addBody(init: CachedRequestInit, { json, form, body }: SessionRequest): void {
  const given = [json, form, body].filter((value) => value !== undefined)
  if (given.length > 1) throw new OptionError('ERR_OPTION_VALUE', 'json', 'give only one of json, form and body')
  if (json !== undefined) {
    const headers = new Headers(init.headers)
    if (!headers.has('content-type')) headers.set('content-type', 'application/json')
    init.headers = headers
    init.body = jsonText(json)
  } else if (form !== undefined) init.body = searchParams(form, 'form')
  else if (body !== undefined) init.body = body
}

function jsonText(json: unknown): string {
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(json)
  } catch (error) {
    // A BigInt, or an object that holds itself.
    cause = error
  }
  if (text !== undefined) return text
  const given = cause === undefined ? `not a ${typeof json}` : String(cause)
  throw new OptionError('ERR_OPTION_VALUE', 'json', `json must be what JSON can say: ${given}`, { cause })
}

/** Adds what a session's response has more, and its clones: a validated json(), and raiseForStatus(). */
function sessionResponse<T>(response: CachedResponse, schema: StandardSchema<T> | undefined): SessionResponse<T> {
  const plain = Object.getPrototypeOf(response) as CachedResponse
  const json = async (): Promise<T> => {
    const value: unknown = await plain.json.call(response)
    if (schema === undefined) return value as T
    const result = await schema['~standard'].validate(value)
    if (result.issues)
      throw new TypeError(
        `the JSON of ${response.url} does not fit the schema: ${result.issues.map(({ message }) => message).join('; ')}`,
      )
    return result.value
  }
  return Object.assign(response, {
    json,
    clone: () => sessionResponse(plain.clone.call(response), schema),
    raiseForStatus(this: SessionResponse<T>) {
      if (response.status >= 400) throw new HttpError(response)
      return this
    },
  })
}
