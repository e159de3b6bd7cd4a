/**
 * Plan and Outcome: every decision the cache takes, as tagged data with a literal reason. Read this first.
 *
 * `plan(request, stored, now, options)` decides before the origin is asked; `settle(...)` decides what its answer means.
 * Neither performs anything: the engine does, in one exhaustive switch. reasons.ts turns a reason into a sentence and an RFC section.
 */
import type { HeaderList } from '../http/message.ts'

/** The terms under which a stored response may be reused: fixed when it is stored, renewed by a 304 (RFC 9111 sections 4.2, 4.3.4). */
export interface Terms {
  /** Freshness lifetime in seconds (section 4.2.1); FOREVER never ends. */
  readonly lifetime: number
  /** Where the lifetime came from. */
  readonly source: LifetimeSource
  /** corrected_initial_age in seconds (section 4.2.3): the age at `responseTime`. */
  readonly initialAge: number
  /** `no-cache` without field names: never reused without validation. */
  readonly noCache: boolean
  /** `must-revalidate`, and in a shared cache `proxy-revalidate` and `s-maxage`: never served stale. */
  readonly mustRevalidate: boolean
  /** RFC 8246: not revalidated while fresh. */
  readonly immutable: boolean
  /** The origin's stale-while-revalidate and stale-if-error in seconds (RFC 5861); 0 is none, FOREVER any age. */
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  /** Seconds past its end that the one who had it stored may have use for it (feature E5): it is kept so long. Absent: no longer than the above. */
  readonly keep?: number
  /** Sliding expiration: the seconds that a hit gives it anew (row 88). Absent: hits change nothing. */
  readonly sliding?: number
  /** The 304 or HEAD that brought these terms said no-store: nothing of it is stored (section 5.2.2.5). Never among what is stored. */
  readonly noStore?: true
}

export type LifetimeSource =
  | 's-maxage'
  | 'max-age'
  | 'expires'
  | 'targeted'
  | 'heuristic'
  | 'expire-after'
  | 'override'
  | 'conflict'
  | 'invalid'
  | 'none'

/** A stored byte range of a 206 (RFC 9111 section 3.3): inclusive positions, as in Content-Range. */
export interface Part {
  readonly first: number
  readonly last: number
}

/** What an incomplete entry lacks of what is asked for (RFC 9111 section 3.3). Inclusive positions. */
export interface Lack {
  readonly wanted: Part
  /** From its first missing byte to its last. */
  readonly missing: Part
  /** The strong validator that the rest is asked for with, in If-Range. */
  readonly validator: string
}

/**
 * A stored response without its body: plain, frozen data. `url` and `headers` are already redacted.
 * Stores keep it and never look inside.
 */
export interface ResponseMeta {
  readonly kind: 'response'
  /** The key it was stored under, compared on every hit. */
  readonly key: string
  readonly method: string
  readonly url: string
  /** Selecting header fields (section 4.1): the names in Vary with the request's combined value, null where absent. */
  readonly selecting: readonly (readonly [name: string, value: string | null])[]
  readonly status: number
  readonly statusText: string
  readonly headers: HeaderList
  /** When the request was sent and the response received: ms since the epoch on the cache's clock. */
  readonly requestTime: number
  readonly responseTime: number
  readonly terms: Terms
  readonly tags: readonly string[]
  /** Ranges held, in ascending order, when the entry is incomplete; null: the whole representation. */
  readonly parts: readonly Part[] | null
  /**
   * The complete length of the representation where `parts` is not null; null: unknown. Of a whole, the length its body must have, where less
   * of it may be stored (engine/clipped.ts); null: all that is stored is the whole.
   */
  readonly total: number | null
  /** The body is stored decoded although Content-Encoding is in the headers (fetch decodes): it cannot serve ranges. */
  readonly decoded: boolean
}

/** The index under a primary key whose responses vary: one row a variant, the newest first. */
export interface VariantIndex {
  readonly kind: 'variants'
  readonly key: string
  readonly variants: readonly Variant[]
}

export interface Variant {
  /** The key of the variant's entry. */
  readonly key: string
  readonly selecting: ResponseMeta['selecting']
  /** Date of the response in ms, to prefer the most recent (section 4.1). */
  readonly date: number
  readonly etag: string | null
}

/** The mark of a tag: entries that carry the tag and were stored until `at` (ms) are invalid (feature I2). */
export interface TagMark {
  readonly kind: 'mark'
  readonly key: string
  readonly at: number
  /** What it does to them: they went stale then, they must be revalidated (RFC 9111 section 4.4), or they count as absent. */
  readonly mode: 'stale' | 'revalidate' | 'delete'
}

/** The metadata of a cached value of a function (keepfresh/memo): no response, and nothing that policy looks at. */
export interface ValueMeta {
  readonly kind: 'value'
  readonly key: string
  /** The body is the value and then the key it is under, both encoded: where the value ends. */
  readonly valueSize: number
  /** The value is the error that the function failed with. */
  readonly failed: boolean
  /** When the function was called, and how long it took: ms. */
  readonly askedAt: number
  readonly took: number
  readonly tags: readonly string[]
}

/**
 * The metadata of an entry that a wrapper of a store (compression, encryption, a signature) changed on its way there. Only that
 * wrapper can read it: to everyone else the entry does not exist. docs/decisions/0005-wrappers.md.
 */
export interface WrappedMeta {
  readonly kind: 'wrapped'
  readonly key: string
  /** The wrapper, and the format it wrote. */
  readonly by: string
  /** The metadata inside, and what the wrapper has to know about the body. */
  readonly data: string
}

/** The six modes of the Fetch standard (`init.cache`). */
export type CacheMode = 'default' | 'no-store' | 'reload' | 'no-cache' | 'force-cache' | 'only-if-cached'

/** What the caller asks of the cache for this one request, beyond headers. */
export interface Demand {
  readonly mode: CacheMode
  /** Revalidate now; a 304 keeps the body (feature S11). An entry without a validator is fetched anew. */
  readonly refresh: boolean
  /** Fetch whole now and overwrite. */
  readonly forceRefresh: boolean
  /** Never touch the network: as the request directive only-if-cached (section 5.2.1.7). */
  readonly onlyIfCached: boolean
}

/** How a stored response answers this very request (conditions and ranges of the caller: RFC 9110 sections 13, 14). */
export type Answer =
  | { readonly kind: 'whole' }
  | { readonly kind: 'not-modified' }
  /** Inclusive positions in the representation, and the offset of `first` in the stored body. */
  | {
      readonly kind: 'range'
      readonly first: number
      readonly last: number
      readonly total: number | null
      readonly offset: number
    }
  | { readonly kind: 'range-not-satisfiable'; readonly total: number }

/** What to do before the origin is asked. */
export type Plan =
  /** Forward untouched; neither read nor store. Unsafe methods still invalidate. */
  | { readonly kind: 'bypass'; readonly reason: BypassReason }
  /**
   * Forward; the answer may be stored. `conditions` are added to the request (validators of other variants, section 4.3.1). `lack`: parts of
   * it are stored, and the rest may be asked for alone (section 3.3).
   */
  | { readonly kind: 'miss'; readonly reason: MissReason; readonly conditions: HeaderList; readonly lack?: Lack }
  /** Answer from the store; `refresh` asks for a revalidation in the background although the entry is fresh (row 143). */
  | {
      readonly kind: 'hit'
      readonly reason: HitReason
      readonly age: number
      readonly answer: Answer
      readonly refresh: boolean
    }
  /** Answer from the store although stale; `refresh` asks for a revalidation in the background. */
  | {
      readonly kind: 'stale'
      readonly reason: StaleReason
      readonly age: number
      readonly answer: Answer
      readonly refresh: boolean
    }
  /**
   * Ask the origin first, with `conditions` in place of the caller's own conditional fields.
   * `onError`: what is allowed when the origin fails: the stale entry, a 504 (section 5.2.2.2), or only the error itself.
   */
  | {
      readonly kind: 'revalidate'
      readonly reason: RevalidateReason
      readonly conditions: HeaderList
      readonly onError: 'stale' | 'gateway-timeout' | 'fail'
    }
  /** only-if-cached and nothing usable: 504 (section 5.2.1.7). */
  | { readonly kind: 'unsatisfiable'; readonly reason: 'only-if-cached' }

export type BypassReason =
  | 'method'
  | 'mode-no-store'
  | 'request-no-store'
  | 'expire-after-zero'
  | 'disabled'
  | 'precondition'
  | 'multi-range'
  | 'range-unit'
  | 'request-body'
  | 'key-unavailable'

export type MissReason =
  | 'uri-miss'
  | 'vary-miss'
  | 'partial-miss'
  | 'authorization-miss'
  | 'filtered'
  | 'mode-reload'
  | 'force-refresh'
  | 'store-failure'

export type HitReason = 'fresh' | 'mode-force-cache' | 'collapsed' | 'revalidated'

export type StaleReason =
  | 'stale-while-revalidate'
  | 'max-stale'
  | 'stale-if-error'
  | 'mode-force-cache'
  | 'disconnected'

export type RevalidateReason =
  | 'stale'
  | 'no-cache'
  | 'request-no-cache'
  | 'request-max-age'
  | 'request-min-fresh'
  | 'pragma'
  | 'mode-no-cache'
  | 'refresh'
  | 'always-revalidate'
  | 'vary-star'
  | 'invalidated'
  | 'clock'
  | 'refresh-ahead'

/** What the origin's answer means. */
export type Outcome =
  /** Keep it. `headers` is what to store: hop-by-hop fields and the fields named by private/no-cache are gone. */
  | {
      readonly kind: 'store'
      readonly reason: 'explicit' | 'heuristic' | 'validator' | 'expire-after' | 'override' | 'status-list'
      readonly headers: HeaderList
      readonly terms: Terms
      /** Names in Vary, lower case; `'*'` alone when it varies on everything. */
      readonly vary: readonly string[]
      readonly part: (Part & { readonly total: number | null }) | null
    }
  /** A 304 that validated the stored response: its headers and terms from now on (section 4.3.4). */
  | { readonly kind: 'refresh'; readonly headers: HeaderList; readonly terms: Terms }
  /** Not kept. `drop`: what is stored under this key must go, too. */
  | { readonly kind: 'refuse'; readonly reason: RefuseReason; readonly drop: boolean }
  /** A non-error answer to an unsafe method: what is stored for these URLs and groups is no longer valid (section 4.4, RFC 9875). */
  | { readonly kind: 'invalidate'; readonly urls: readonly string[]; readonly groups: readonly string[] }

export type RefuseReason =
  | 'method'
  | 'no-store'
  | 'private'
  | 'authorization'
  | 'set-cookie'
  | 'cookie'
  | 'vary-star'
  | 'vary-credentials'
  | 'status'
  | 'status-not-understood'
  | 'not-modified'
  | 'no-freshness'
  | 'partial'
  | 'expire-after-zero'
  | 'expire-after-failed'
  | 'request-no-store'
  | 'head-size'
  | 'server-error'
  | 'secret'
  | 'undelimited'

/** The tagged union's reasons, for the table in reasons.ts. */
export type Reason =
  | BypassReason
  | MissReason
  | HitReason
  | StaleReason
  | RevalidateReason
  | RefuseReason
  | 'only-if-cached'
