/**
 * A caching client: fetch on one side, the engine on the other. createCachedFetch and CachedSession are thin coats over it.
 *
 * Rule 1: the hit path makes nothing but a key, a reply and a Response: `#memo` holds the keys of URLs seen before.
 * Rule 2: redirects are followed here, so that each hop is cached by its own rules (feature S8).
 * Rule 3: what is not for the cache goes to fetch as it came.
 */
import { StateError } from '../errors.ts'
import { getHeader } from '../http/headers.ts'
import type { HeaderLine, HeaderList, RequestHead } from '../http/message.ts'
import { Engine, type AlreadyRead } from '../engine/engine.ts'
import { diagnosticsChannel } from '../engine/events.ts'
import type { Effective, Exchange, Reply } from '../engine/exchange.ts'
import { hasPlainKeys, plainKey, primaryKey } from '../engine/key.ts'
import { isPlainEffective } from '../engine/plain-hit.ts'
import { chain, isPromise } from '../engine/maybe.ts'
import type { MaybePromise, Origin, OriginResponse, Store, StoredEntry } from '../engine/ports.ts'
import { redactUrl } from '../engine/redact.ts'
import { StoredReply, type ResponseEntry } from '../engine/reply.ts'
import { connect } from './broadcast.ts'
import { Calls } from './calls.ts'
import { clearOrigin, originToClear } from './clear-site-data.ts'
import { ask, isNative, isPlain } from './direct.ts'
import type { Dispatcher } from './dispatcher.ts'
import {
  bodyBytes,
  headerList,
  plainIncoming,
  takeApart,
  withoutFragment,
  type BodySource,
  type CachedRequestInit,
  type FetchInput,
  type HopHooks,
  type Incoming,
} from './incoming.ts'
import { hasIntegrity, integrityOf } from './integrity.ts'
import { checkResponse, plainResponse } from './origin-response.ts'
import { failed, isRedirect, MAX_REDIRECTS, nextHop } from './redirect.ts'
import { leaveBody, withOwnBody } from './request-body.ts'
import { LazyResponse, type CachedResponse } from './response.ts'
import { effectiveFor, type Settings } from './settings.ts'

/** URLs whose key is remembered. */
const MAX_MEMO = 10_000

const inNode = (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node !== undefined

const NO_HISTORY: readonly CachedResponse[] = Object.freeze([])

interface Known {
  readonly url: string
  readonly key: string
}

/** What a hop is performed with; its body is bytes where it had to be read. */
interface Prepared {
  readonly exchange: Exchange
  readonly body: BodySource
}

/** A known URL, and what the store said of it. */
export interface LookedUp extends Known {
  readonly found: AlreadyRead
}

export class CacheClient {
  #settings: Settings
  readonly store: Store
  readonly engine: Engine
  /** Set by a session while some scope has the cache disabled: whether this call is in one. */
  isDisabled: (() => boolean) | null = null
  readonly #memo = new Map<string, Known>()
  readonly #now: () => number
  #fast: boolean
  readonly #disconnect: (() => void) | null
  readonly #calls = new Calls()
  /** That the store's package is not installed: no fault of a store, but of an installation, and told to whoever asks (row 6). */
  #missing: StateError | null = null
  #closed = false
  #closing: Promise<void> | null = null

  constructor(settings: Settings, store: Store) {
    const { clock, readTimeout, writeTimeout, collapseTimeout, lockLease, readAhead, backgroundFill } = settings
    this.#settings = settings
    this.store = store
    this.engine = new Engine({
      store,
      clock,
      random: Math.random,
      readTimeout,
      writeTimeout,
      collapseTimeout,
      lease: (settings.singleFlight ?? (store.limits.shared ? 'store' : 'process')) === 'store' ? lockLease : null,
      readAhead,
      backgroundFill,
    })
    this.engine.events.channel = diagnosticsChannel()
    this.engine.events.on('error', ({ error: { cause } }) => {
      if (cause instanceof StateError && cause.code === 'ERR_MISSING_PEER') this.#missing = cause
    })
    if (settings.cleanup !== null) this.engine.clean(settings.cleanup)
    this.#disconnect = settings.broadcast === null ? null : connect(this, settings.broadcast)
    this.#now = () => clock.now()
    this.#fast = isFast(settings)
  }

  get settings(): Settings {
    return this.#settings
  }

  /** Puts other rules in force for later requests (row 15); the store, the clock and what is stored stay as they are. */
  configure({ plain, rules }: Pick<Settings, 'plain' | 'rules'>): void {
    this.#settings = { ...this.#settings, plain, rules }
    this.#fast = isFast(this.#settings)
    this.#memo.clear()
  }

  /** @throws StateError ERR_SESSION_CLOSED */
  fetch(input: FetchInput, init?: CachedRequestInit): Promise<CachedResponse> {
    if (this.#closed)
      return Promise.reject(new StateError('ERR_SESSION_CLOSED', 'the cached fetch is closed: make a new one'))
    if (init !== undefined || typeof input !== 'string' || !this.#fast || this.isDisabled !== null) {
      return this.answer(input, init)
    }
    const known = this.#memo.get(input) ?? this.#learn(input)
    if (known === null) return this.answer(input, init)
    const found = this.engine.quick(known.key, leadsOn)
    if (found instanceof StoredReply) return Promise.resolve(this.#hit(input, known, found))
    const { read, alone } = found
    return isPromise(read) && alone === true
      ? this.#soon(input, known, read)
      : this.answer(input, init, { ...known, found })
  }

  #hit(input: string, known: Known, reply: StoredReply): CachedResponse {
    this.#remember(input, known)
    return new LazyResponse(reply, known.url, NO_HISTORY, this.#now)
  }

  /** The fast lane of a store that is a server or files: a plain hit makes no promise more than this one. */
  #soon(input: string, known: Known, read: Promise<StoredEntry | undefined>): Promise<CachedResponse> {
    this.#calls.begin()
    return read.then((entry) => {
      try {
        const reply = this.engine.plain(known.key, entry, leadsOn)
        if (reply !== null) return this.#hit(input, known, reply)
        return this.answer(input, undefined, { ...known, found: { read: entry } })
      } finally {
        this.#calls.end()
      }
    })
  }

  /** As fetch, for who was let in before close(): closing fails nothing that was begun (calls.ts). */
  answer(input: FetchInput, init: CachedRequestInit | undefined, looked?: LookedUp): Promise<CachedResponse> {
    return this.#calls.run(() => this.#answer(input, init, looked))
  }

  #answer(input: FetchInput, init: CachedRequestInit | undefined, looked?: LookedUp): Promise<CachedResponse> {
    if (looked) return this.#followed(plainIncoming(looked.url), looked)
    const asked = takeApart(input, init)
    if (asked === null) return this.#foreign(input, init)
    const integrity = integrityOf(input, init)
    const first = withOwnBody(integrity === '' ? asked : { ...asked, rest: { ...asked.rest, integrity: '' } }, input)
    const answer = isPromise(first) ? first.then((request) => this.#followed(request)) : this.#followed(first)
    return integrity === '' ? answer : checked(answer, integrity)
  }

  async #followed(first: Incoming, looked?: LookedUp): Promise<CachedResponse> {
    if (first.signal?.aborted) leaveBody(first.body, first.signal.reason)
    first.signal?.throwIfAborted()
    const history: CachedResponse[] = []
    let request = first
    for (;;) {
      // What `quick` read is the first hop's: one read a look-up (row 197).
      const known = history.length === 0 ? looked : undefined
      const sent = request.hooks === null ? request : await withHook(request, request.hooks)
      const made = this.#exchange(sent, known?.key)
      const { exchange, body } = isPromise(made) ? await made : made
      const reply = await this.engine.handle(exchange, known?.found)
      const before = history.length === 0 ? NO_HISTORY : [...history]
      const response = new LazyResponse(reply, request.url, before, this.#now)
      if (request.hooks !== null) await request.hooks.response(request.url, response.headers, reply.info)
      if (!isRedirect(reply.head.status) || request.redirect === 'manual') return response
      if (request.redirect === 'error') throw failed('unexpected redirect')
      const location = getHeader(reply.head.headers, 'location')
      if (location === null) return response
      if (history.length >= MAX_REDIRECTS) throw failed('redirect count exceeded')
      history.push(response)
      request = nextHop(request, reply.head.status, location, body)
      // RFC 9110 section 15.4: what is stored may lead round in a circle that the origin has left. The second time it is asked.
      if (request.mode === 'default' && history.some(({ url }) => url === request.url))
        request = { ...request, mode: 'no-cache' }
    }
  }

  /** The address of a URL that was not seen before; null: none that the fast lane knows. */
  #learn(input: string): Known | null {
    const url = URL.parse(input)
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null
    if (url.username !== '' || url.password !== '') return null
    const href = withoutFragment(url.href)
    const key = plainKey(href)
    if (key === null) return null
    return { url: href, key }
  }

  /** Of what was a hit once: a URL that is asked for but once is not worth its room. */
  #remember(input: string, known: Known): void {
    if (this.#memo.has(input)) return
    if (this.#memo.size >= MAX_MEMO) this.#memo.clear()
    this.#memo.set(input, known)
  }

  /** `key`: of a request whose URL says it all, where it is known. */
  #exchange(incoming: Incoming, key?: string): MaybePromise<Prepared> {
    const effective = this.#effective(incoming)
    const { method, body } = incoming
    if (body !== null && effective.enabled && effective.policy.methods.has(method))
      return this.#withBody(incoming, body, effective)
    return this.#prepared(incoming, null, effective, key)
  }

  /** The body is part of the key: it is read. */
  async #withBody(incoming: Incoming, body: BodySource, effective: Effective): Promise<Prepared> {
    const { bytes, type } = await bodyBytes(body, incoming.signal)
    const typed = type === null || getHeader(incoming.headers, 'content-type') !== null
    const headers: HeaderList = typed ? incoming.headers : [...incoming.headers, ['content-type', type]]
    return this.#prepared({ ...incoming, headers, body: bytes }, bytes, effective)
  }

  #prepared(
    incoming: Incoming,
    bytes: Uint8Array | null,
    effective: Effective,
    known?: string,
  ): MaybePromise<Prepared> {
    const { method, url, headers, body, signal } = incoming
    const request: RequestHead = { method, url, headers }
    return chain(known ?? primaryKey(request, bytes, effective.key, effective.policy.shared), (key) => ({
      exchange: {
        request,
        key,
        effective,
        origin: this.#origin(incoming, effective),
        signal,
        redactUrl: (given) => redactUrl(given, effective.key.ignoredParams),
      },
      body,
    }))
  }

  #effective(incoming: Incoming): Effective {
    const effective = effectiveFor(this.settings, incoming.url, incoming.options, incoming.mode)
    if (this.isDisabled?.()) return { ...effective, enabled: false }
    return incoming.redirect === 'follow' ? withRedirects(effective) : effective
  }

  /** The exchange a request would be, without performing it: what the inspection API looks up. */
  async exchangeFor(input: FetchInput, init?: CachedRequestInit): Promise<Exchange> {
    // Looking something up uses nobody's Request.
    const spare = input instanceof Request && input.body !== null && !input.bodyUsed
    const incoming = takeApart(spare ? input.clone() : input, init)
    if (incoming === null) throw new TypeError(`${String(input)} is not an http(s) URL without credentials`)
    const { exchange, body } = await this.#exchange({ ...incoming, signal: null })
    // What was not read for the key would be held for it, as the Request's own is read.
    if (spare) leaveBody(body, undefined)
    return exchange
  }

  #origin(incoming: Incoming, effective: Effective): Origin {
    return async (request, signal): Promise<OriginResponse> => {
      if (effective.enabled) this.assertInstalled()
      const answer = await this.#asked(incoming, request, signal)
      const origin = this.#clears(answer, request.url, effective)
      if (origin !== null) await clearOrigin(this.engine, origin, this.#settings.writeTimeout)
      return answer
    }
  }

  #asked(incoming: Incoming, request: RequestHead, signal: AbortSignal | null): Promise<OriginResponse> {
    const { method, url, headers } = request
    const fetch = this.#fetchFunction()
    const byFetch = (dispatcher: Dispatcher | null): Promise<OriginResponse> =>
      this.#byFetch(fetch, incoming, request, signal, dispatcher)
    const isDirect = this.settings.fetch === null && isPlain(incoming, method) && isNative(fetch)
    return isDirect ? ask(fetch, { method, url, headers, signal, byFetch }) : byFetch(null)
  }

  async #byFetch(
    fetch: typeof globalThis.fetch,
    { body, mode, rest }: Incoming,
    request: RequestHead,
    signal: AbortSignal | null,
    dispatcher: Dispatcher | null,
  ): Promise<OriginResponse> {
    // Only what differs from fetch's defaults: each field it must convert costs a miss microseconds.
    const init: Record<string, unknown> = { ...rest, redirect: 'manual' }
    if (request.method !== 'GET') init['method'] = request.method
    if (request.headers.length > 0) init['headers'] = request.headers as HeaderLine[]
    if (body !== null) init['body'] = body
    if (body instanceof ReadableStream) init['duplex'] = 'half'
    if (signal !== null) init['signal'] = signal
    if (dispatcher !== null) init['dispatcher'] = dispatcher
    const cache = modeFor(mode, request)
    if (cache !== null) init['cache'] = cache
    const response = await fetch(request.url, init)
    checkResponse(response)
    return plainResponse(response)
  }

  /** Row 248: the origin whose part of the cache a response has cleared. */
  #clears({ headers }: OriginResponse, url: string, { enabled, readOnly, policy }: Effective): string | null {
    if (policy.shared || !policy.cacheControl || !enabled || readOnly || !this.#settings.clearSiteData) return null
    return originToClear(url, getHeader(headers, 'clear-site-data'))
  }

  #fetchFunction(): typeof globalThis.fetch {
    return this.settings.fetch ?? realFetch.current ?? globalThis.fetch
  }

  /** Another scheme, or a URL fetch will refuse: fetch itself answers. */
  async #foreign(input: FetchInput, init: CachedRequestInit | undefined): Promise<CachedResponse> {
    const { httpCache: _, onHop: __, ...rest } = init ?? {}
    const response = await this.#fetchFunction()(input, rest)
    const info = {
      outcome: 'bypass',
      reason: 'key-unavailable',
      key: null,
      fromCache: false,
      revalidated: false,
      collapsed: false,
      stored: false,
      refused: 'key-unavailable',
      meta: null,
      now: this.#now(),
    } as const
    const { status, statusText } = response
    const reply: Reply = { head: { status, statusText, headers: headerList(response.headers) }, body: null, info }
    return new LazyResponse(reply, response.url, NO_HISTORY, this.#now, response)
  }

  /** @throws StateError ERR_MISSING_PEER */
  assertInstalled(): void {
    if (this.#missing !== null) throw this.#missing
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Whoever closes it, and however often, waits for the same end. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#closed = true
    this.#memo.clear()
    await this.#calls.drained(this.#settings.readTimeout)
    this.#disconnect?.()
    await this.engine.drained()
    await this.engine.stop()
    if (this.settings.autoClose) await this.store.close()
  }
}

/** Whether nothing but the URL makes the key of a plain GET, and nothing but the entry decides over it. */
function isFast({ rules, plain }: Settings): boolean {
  return rules.length === 0 && isPlainEffective(plain) && hasPlainKeys(plain.key, plain.policy.shared)
}

/** Whether it is followed, and so not yet the answer. */
function leadsOn({ meta }: ResponseEntry): boolean {
  return isRedirect(meta.status)
}

/** The fetch that was global before install() put a cached one in its place: what a cached fetch wraps then. */
export const realFetch: { current: typeof globalThis.fetch | null } = { current: null }

/** @throws TypeError as fetch does, for a body that is not the one asked for */
async function checked(answer: Promise<CachedResponse>, integrity: string): Promise<CachedResponse> {
  const response = await answer
  const bytes = new Uint8Array(await response.arrayBuffer())
  if (response.body === null || !(await hasIntegrity(bytes, integrity))) throw failed('integrity mismatch')
  return LazyResponse.withBody(response, bytes)
}

async function withHook(incoming: Incoming, hooks: HopHooks): Promise<Incoming> {
  const headers = new Headers(incoming.headers as [string, string][])
  await hooks.request(incoming.url, headers)
  return { ...incoming, headers: headerList(headers) }
}

const redirectStatuses = [301, 302, 303, 307, 308]
const following = new WeakMap<Effective, Effective>()

/** Where statuses are listed, redirects that are followed count as part of what they lead to (rows 159-164). */
function withRedirects(effective: Effective): Effective {
  const { statuses } = effective.policy
  if (statuses === null) return effective
  let known = following.get(effective)
  if (known === undefined) {
    known = { ...effective, policy: { ...effective.policy, statuses: new Set([...statuses, ...redirectStatuses]) } }
    following.set(effective, known)
  }
  return known
}

/**
 * The cache mode for the wrapped fetch. Node's fetch has no cache, but in the default mode it adds `Cache-Control: no-cache`
 * to conditional requests, as the Fetch standard says; force-cache is the one mode that adds nothing.
 */
function modeFor(mode: Incoming['mode'], request: RequestHead): Incoming['mode'] | null {
  if (mode !== 'default') return mode === 'only-if-cached' ? null : mode
  return inNode && request.headers.some(([name]) => name.startsWith('if-')) ? 'force-cache' : null
}
