/**
 * Where a request goes in the cache: its URL, its settings and, where the URL alone makes it, its key. Remembered by what the request
 * line and Host say, so that a hit parses no URL.
 */
import { primaryKey } from '../engine/key.ts'
import { isPlainEffective } from '../engine/plain-hit.ts'
import type { MaybePromise } from '../engine/ports.ts'
import type { HeaderList } from '../http/message.ts'
import type { RouteSettings, ServerSettings } from './settings.ts'

export interface Address {
  /** Absolute, serialised, without a fragment. */
  readonly url: string
  readonly settings: RouteSettings
  /** The primary key of requests without an identity; null: their fields are part of it. */
  readonly key: string | null
  /** Whether a plain request for it may take the engine's fast lane. */
  readonly plain: boolean
  /** Whether it is that of `purge.path`. */
  readonly purges: boolean
  /** Answers in a row, or nearly so, that could not be shared; counted where somebody asks for the next one. */
  refusals: number
  /** When an answer was last looked at that could not be shared, in ms. */
  lookedAt: number
}

/** A host and perhaps a port: nothing that would become a part of a path or of another host. */
const HOST = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

/** Addresses remembered for each route. */
const MAX_KNOWN = 10_000

/** Characters of one that is: longer ones are seldom asked for twice, but by whoever wants to fill the memory (RELIABILITY 117). */
const MAX_LENGTH = 1000

/** Addresses by scheme, host and target. Most requests are for the host of the one before. */
class Known {
  readonly #byHost = new Map<string, Map<string, Address>>()
  /** Hosts and addresses: what it costs. */
  size = 0
  #host: string | undefined = undefined
  #secure: boolean | null = null
  #targets = new Map<string, Address>()

  get(target: string, host: string | undefined, secure: boolean): Address | undefined {
    if (host !== this.#host || secure !== this.#secure) this.#turnTo(host, secure)
    return this.#targets.get(target)
  }

  #turnTo(host: string | undefined, secure: boolean): void {
    this.#makeRoom()
    this.#host = host
    this.#secure = secure
    const name = secure ? `s ${host}` : `p ${host}`
    let targets = this.#byHost.get(name)
    if (targets === undefined) {
      this.#byHost.set(name, (targets = new Map()))
      this.size += 1
    }
    this.#targets = targets
  }

  /** Under the host that was asked for last. */
  add(target: string, address: Address): void {
    this.#makeRoom()
    this.#targets.set(target, address)
    this.size += 1
  }

  #makeRoom(): void {
    if (this.size < MAX_KNOWN) return
    this.#byHost.clear()
    this.#targets.clear()
    this.size = 0
    // The next request turns to its host anew, and so makes its map known again.
    this.#secure = null
  }
}

/** As many as are remembered for a route; then it begins anew. */
class Remembered {
  readonly #addresses = new Map<string, Address>()

  get(url: string): Address | undefined {
    return this.#addresses.get(url)
  }

  set(url: string, address: Address): void {
    if (url.length > MAX_LENGTH) return
    if (this.#addresses.size >= MAX_KNOWN) this.#addresses.clear()
    this.#addresses.set(url, address)
  }

  get size(): number {
    return this.#addresses.size
  }
}

export class Addresses {
  readonly #settings: ServerSettings
  readonly #plain = new Known()
  readonly #byRoute = new WeakMap<RouteSettings, Known>()
  /** By whole URLs as they were asked for, where no proxy has a say in them: a Fetch request has its URL in one piece. */
  readonly byUrl: Remembered = new Remembered()
  /** Names of request fields that tell identities apart in keys. */
  readonly identities: readonly string[]

  constructor(settings: ServerSettings) {
    this.#settings = settings
    this.identities = settings.plain.effective.key.identityHeaders.filter((name) => !EXEMPT.has(name))
  }

  /** Null: the request line or Host is no URL of ours, and the handler shall say so. */
  of(target: string, host: string | undefined, secure: boolean, route: RouteSettings | undefined): Address | null {
    const known = route === undefined ? this.#plain : this.#knownOf(route)
    const isLong = target.length + (host?.length ?? 0) > MAX_LENGTH
    const found = isLong ? undefined : known.get(target, host, secure)
    if (found !== undefined) return found
    const url = this.urlOf(target, host, secure)
    if (url === null) return null
    const settings = route ?? this.#routeOf(url)
    const path = this.#settings.purge?.path
    const purges = path !== undefined && (target === path || target.startsWith(`${path}?`))
    const key = purges ? null : plainKey(url, settings)
    const address = {
      url,
      settings,
      key,
      plain: key !== null && isPlainEffective(settings.effective),
      purges,
      refusals: 0,
      lookedAt: Number.NEGATIVE_INFINITY,
    }
    if (!isLong) known.add(target, address)
    return address
  }

  /** How many hosts and addresses are remembered for requests that no route was named for. */
  get size(): number {
    return this.#plain.size + this.byUrl.size
  }

  #knownOf(route: RouteSettings): Known {
    let known = this.#byRoute.get(route)
    if (known === undefined) this.#byRoute.set(route, (known = new Known()))
    return known
  }

  urlOf(target: string, host: string | undefined, secure: boolean): string | null {
    const { baseUrl } = this.#settings
    // An absolute-form target names its own origin (RFC 9112 section 3.2.2), but it is the visitor who says so.
    if (!target.startsWith('/') || target.includes('#')) return null
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

  /**
   * The key of a request with these fields: identities among them are part of it (RELIABILITY 85).
   * @param also names of fields that are, too
   */
  keyOf({ url, settings }: Address, headers: HeaderList, also: readonly string[] = []): MaybePromise<string> {
    const { key } = settings.effective
    const options = also.length > 0 ? { ...key, identityHeaders: [...key.identityHeaders, ...also] } : key
    return primaryKey({ method: 'GET', url, headers }, null, options, true)
  }
}

/** What proxies say of the way a request came. */
export const FORWARDED: readonly string[] = ['x-forwarded-host', 'x-forwarded-proto']

/** In a shared cache, RFC 9111 section 3.5 and the guards decide about these. */
const EXEMPT: ReadonlySet<string> = new Set(['authorization', 'cookie', 'proxy-authorization'])

/** The key, where it is made at once and no field of a request could be part of it but those of identities. */
function plainKey(url: string, { effective }: RouteSettings): string | null {
  const { matchHeaders, keyFn } = effective.key
  if (keyFn !== null || matchHeaders === true || matchHeaders.length > 0) return null
  const key = primaryKey({ method: 'GET', url, headers: [] }, null, effective.key, true)
  return typeof key === 'string' ? key : null
}
