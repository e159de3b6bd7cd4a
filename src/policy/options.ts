/**
 * What a user may set about policy, resolved: plain values with no optional meaning left in them.
 * Edges resolve their options (durations, patterns, sessions) to this once; policy functions only read it.
 */
import { UNLIMITED } from '../http/cache-control.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'

/** Seconds that never run out. JSON-safe (unlike `Infinity`) and safe to multiply by 1000. */
export const FOREVER: number = UNLIMITED

/** An expiry set by the user: seconds from the response, an absolute instant (ms since the epoch), or for ever. */
export type Expiry =
  | { readonly kind: 'seconds'; readonly seconds: number }
  | { readonly kind: 'at'; readonly at: number }
  | { readonly kind: 'never' }

/** A lifetime made of the request and what the origin answered; null: none was made, 'failed': the user's function threw. */
export type ExpiryFunction = (request: RequestHead, response: ResponseHead) => Expiry | null | 'failed'

/** When a hit has the entry refreshed in the background although it is fresh; null: not by this. */
export interface RefreshAhead {
  /** Once this share of its lifetime is over, 0..1. */
  readonly after: number | null
  /** After so many hits since it was fetched, as counted by this process. */
  readonly hits: number | null
}

/** Heuristic freshness (RFC 9111 section 4.2.2): a fraction of the time since Last-Modified, at most `maximum` seconds. */
export interface Heuristic {
  readonly fraction: number
  readonly maximum: number
}

export interface PolicyOptions {
  /** A shared cache (RFC 9111 section 1); false is a private cache. */
  readonly shared: boolean
  /** Obey Cache-Control, Expires and Pragma of requests and responses. */
  readonly cacheControl: boolean
  /** The user's lifetime for this request (per-request, else per-URL, else per-session), or null: none was set. */
  readonly expireAfter: Expiry | null
  /** Makes the user's lifetime of the response, in the place of `expireAfter`; null: there is no such function. */
  readonly expireAfterBy: ExpiryFunction | null
  /** The user's lifetimes for statuses, in the place of `expireAfter`; a status listed here is stored (row 38). */
  readonly expireAfterByStatus: ReadonlyMap<number, Expiry>
  /** `expireAfter` beats the origin's headers (feature E4). */
  readonly override: boolean
  /** Clamps on the lifetime the origin gave, in seconds; null is no clamp. */
  readonly minTtl: number | null
  readonly maxTtl: number | null
  /** Spread of lifetimes set by the user, 0..1: a lifetime is shortened by up to this fraction. */
  readonly jitter: number
  /** A hit begins a lifetime set by the user anew, as long as the entry is not older than this (seconds); null: it does not. */
  readonly sliding: number | null
  /** Hits that refresh in the background; null: none. */
  readonly refreshAhead: RefreshAhead | null
  /** Heuristic freshness, or null: none. */
  readonly heuristic: Heuristic | null
  /** Statuses that may be stored, or null: by the RFC (section 3: understood and explicit, or heuristically cacheable). */
  readonly statuses: ReadonlySet<number> | null
  /** Methods that may be stored and answered; upper case. GET and HEAD by default. */
  readonly methods: ReadonlySet<string>
  /** Stale windows set by the user for this request, in seconds; 0 is none, FOREVER is any age (RFC 5861). */
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  /** They stay with the entry, as the origin's would: a route behind the cache, which sets them, is known only once its handler runs. */
  readonly staleWithEntry: boolean
  /** Revalidate every hit that has a validator. */
  readonly alwaysRevalidate: boolean
  /** Answer stale, where nothing forbids it, when the origin cannot be reached, and 504 where something does (section 4.2.4). */
  readonly serveStaleWhenDisconnected: boolean
  /** Targeted Cache-Control fields obeyed before Cache-Control, lower case, most specific first (RFC 9213). */
  readonly targets: readonly string[]
  /** Shared only: what to do with a response that carries Set-Cookie. */
  readonly setCookie: 'refuse' | 'strip' | 'store'
  /** Shared only: store responses to requests with Cookie that carry no explicit freshness; and responses that vary on credentials. */
  readonly allowCookies: boolean
  /** Vary normalisation (opt-in): compare Accept-Language and Accept-Encoding by meaning instead of by text. */
  readonly normalizeVary: boolean
}

/** RFC 9111 with heuristic freshness of 10 %, at most a week: what createCachedFetch starts from. */
export const RFC_OPTIONS: PolicyOptions = {
  shared: false,
  cacheControl: true,
  expireAfter: null,
  expireAfterBy: null,
  expireAfterByStatus: new Map(),
  override: false,
  minTtl: null,
  maxTtl: null,
  jitter: 0,
  sliding: null,
  refreshAhead: null,
  heuristic: { fraction: 0.1, maximum: 604_800 },
  statuses: null,
  methods: new Set(['GET', 'HEAD']),
  staleWhileRevalidate: 0,
  staleIfError: 0,
  staleWithEntry: false,
  alwaysRevalidate: false,
  serveStaleWhenDisconnected: false,
  targets: [],
  setCookie: 'refuse',
  allowCookies: false,
  normalizeVary: false,
}
