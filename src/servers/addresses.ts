/**
 * Where a request goes in the cache: its URL, its settings and, where the URL alone makes it, its key. Remembered by what the request
 * line and Host say, so that a hit parses no URL.
 */
import { primaryKey } from '../engine/key.ts'
import type { MaybePromise } from '../engine/ports.ts'
import type { HeaderList } from '../http/message.ts'
import type { RouteSettings, ServerSettings } from './options.ts'

export interface Address {
  /** Absolute, serialised, without a fragment. */
  readonly url: string
  readonly settings: RouteSettings
  /** The primary key; null: fields of the request are part of it. */
  readonly key: string | null
}

/** A host and perhaps a port: nothing that would become a part of a path or of another host. */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Addresses remembered for each route. */
const MAX_KNOWN = 10_000

export class Addresses {
  readonly #settings: ServerSettings
  readonly #plain = new Map<string, Address>()
  readonly #byRoute = new WeakMap<RouteSettings, Map<string, Address>>()
  /** Request fields that tell identities apart in the key. */
  readonly #identities: readonly string[]

  constructor(settings: ServerSettings) {
    this.#settings = settings
    this.#identities = settings.plain.effective.key.identityHeaders
  }

  /** Null: the request line or Host is no URL of ours, and the handler shall say so. */
  of(target: string, host: string | undefined, secure: boolean, route: RouteSettings | undefined): Address | null {
    const known = this.#mapOf(route)
    const name = secure ? `s ${String(host)} ${target}` : `p ${String(host)} ${target}`
    const found = known.get(name)
    if (found !== undefined) return found
    const url = this.urlOf(target, host, secure)
    if (url === null) return null
    const settings = route ?? this.#routeOf(url)
    const address = { url, settings, key: plainKey(url, settings) }
    if (known.size >= MAX_KNOWN) known.clear()
    known.set(name, address)
    return address
  }

  #mapOf(route: RouteSettings | undefined): Map<string, Address> {
    if (route === undefined) return this.#plain
    let known = this.#byRoute.get(route)
    if (known === undefined) this.#byRoute.set(route, (known = new Map()))
    return known
  }

  /** Whether a request has none of the fields that identities are told by: then an address with a key has its key. */
  isAnonymous(headers: Readonly<Record<string, unknown>>): boolean {
    for (const name of this.#identities) {
      if (headers[name] !== undefined && !EXEMPT.has(name)) return false
    }
    return true
  }

  /** As `isAnonymous`, for a Fetch request. */
  isAnonymousFetch(headers: Headers): boolean {
    for (const name of this.#identities) if (!EXEMPT.has(name) && headers.has(name)) return false
    return true
  }

  urlOf(target: string, host: string | undefined, secure: boolean): string | null {
    const { baseUrl } = this.#settings
    // An absolute-form target names its own origin (RFC 9112 section 3.2.2), but it is the visitor who says so.
    if (!target.startsWith('/')) return null
    if (baseUrl === null && (host === undefined || !HOST.test(host))) return null
    const origin = baseUrl ?? (host === undefined ? null : `${secure ? 'https' : 'http'}://${host}`)
    const url = origin === null ? null : URL.parse(origin + target)
    if (url === null || url.username !== '' || url.password !== '') return null
    // What the parser rewrote (dot segments, backslashes, a fragment) is not what the handler sees: it is not kept (RELIABILITY 102, 104).
    return url.href.slice(url.origin.length) === target ? url.href : null
  }

  /** The settings of a URL. */
  #routeOf(url: string): RouteSettings {
    for (const { matches, settings } of this.#settings.routes) if (matches(url)) return settings
    return this.#settings.plain
  }

  /** The key of a request with these fields. */
  keyOf({ key, url, settings }: Address, headers: () => HeaderList): MaybePromise<string> {
    return key ?? primaryKey({ method: 'GET', url, headers: headers() }, null, settings.effective.key, true)
  }
}

/** In a shared cache, RFC 9111 section 3.5 and the guards decide about these. */
const EXEMPT: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** The key, where it is made at once and no field of a request could be part of it but those of identities. */
function plainKey(url: string, { effective }: RouteSettings): string | null {
  const { matchHeaders, keyFn } = effective.key
  if (keyFn !== null || matchHeaders === true || matchHeaders.length > 0) return null
  const key = primaryKey({ method: 'GET', url, headers: [] }, null, effective.key, true)
  return typeof key === 'string' ? key : null
}
