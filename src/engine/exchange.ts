/**
 * One request as the engine sees it, and its answer: the types between the engine and the edges.
 * Edges convert (fetch, session, later undici and servers); the engine decides and performs.
 */
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { Demand, ResponseMeta } from '../policy/decision.ts'
import type { PolicyOptions } from '../policy/options.ts'
import type { MaybePromise, Origin } from './ports.ts'

/** Decides over a response, on write and on read: false keeps it out (feature K6). The body may be read; it is a copy. */
export type ResponseFilter = (response: FilterSubject) => boolean | Promise<boolean>

/** What a filter sees. */
export interface FilterSubject extends ResponseHead {
  readonly url: string
  readonly method: string
  readonly fromCache: boolean
  /** The body, read whole for this call only; null where it is longer than the store takes whole (its `limits.inlineSize`). */
  body(): Promise<Uint8Array | null>
}

/** How keys are made (features K1-K5). All names lower case. */
export interface KeyOptions {
  readonly sortParams: boolean
  /** Ignored in query, JSON and form bodies and matched headers; redacted in everything stored. */
  readonly ignoredParams: ReadonlySet<string>
  /** The member of a JSON body in which alone ignored names are looked for; null: anywhere. Bodies without it: anywhere, too. */
  readonly contentRootKey?: string | null
  /** Request headers that are part of the key; true: all but transport and conditional ones. */
  readonly matchHeaders: true | readonly string[]
  /** Private cache: requests that differ in these credentials never share an entry (a digest of them is in the key). */
  readonly identityHeaders: readonly string[]
  /** Replaces the key: gets the request and the default key. */
  readonly keyFn: ((request: RequestHead, defaultKey: string) => MaybePromise<string>) | null
}

/** Everything that is in force for one request: session, URL rule and request options, merged by their precedence. */
export interface Effective {
  /** False: neither read nor write (feature S5). */
  readonly enabled: boolean
  readonly policy: PolicyOptions
  readonly demand: Demand
  readonly key: KeyOptions
  readonly filter: ResponseFilter | null
  /** Hits are served, nothing is ever written. */
  readonly readOnly: boolean
  /** Largest body stored, in bytes. */
  readonly maxEntrySize: number
  /** Bytes from which on a body that was cut is kept, to ask for its rest alone; null: never, nor is the rest of anything asked for alone. */
  readonly resume: number | null
  readonly tags: readonly string[]
  /** Response header fields whose members are tags (Cache-Tag, Surrogate-Key), lower case. */
  readonly tagHeaders: readonly string[]
  /** Name of this cache in Cache-Status (RFC 9211) on what we hand out; null: no such field. */
  readonly cacheStatus: string | null
}

/** One request for the engine. */
export interface Exchange {
  readonly request: RequestHead
  /** The primary key; null where none can be made (then the request bypasses). */
  readonly key: string | null
  readonly effective: Effective
  readonly origin: Origin
  /** Asks the origin for a revalidation nobody waits for, where that is done in another way. Absent: as `origin`. */
  readonly refreshOrigin?: Origin
  /** Told, before it is answered, that what it is answered with is going to be refreshed, unless `refreshSkipped` is told later. */
  readonly refreshExpected?: (reason: 'stale' | 'refresh-ahead') => void
  /** Told where a stale answer is not refreshed after all: another is at it, or the last attempt failed a moment ago. */
  readonly refreshSkipped?: () => void
  /** The origin can be asked but once (the handler behind a middleware): what a 304 leaves open cannot be asked for anew. */
  readonly once?: boolean
  readonly signal: AbortSignal | null
  /** The URL and headers as they may be stored: credentials and ignored values redacted. */
  readonly redactUrl: (url: string) => string
}

/** RFC 9211 words for what happened. */
export type CacheOutcome =
  | 'hit'
  | 'stale'
  | 'revalidated'
  | 'uri-miss'
  | 'vary-miss'
  | 'partial-miss'
  | 'expired'
  | 'request'
  | 'bypass'
  | 'method'
  | 'unsatisfiable'

/** The facts of one answer: what cacheInfo() shows, Cache-Status says and events carry. */
export interface ReplyInfo {
  readonly outcome: CacheOutcome
  /** The literal reason of the decision: a key of reasons.ts. */
  readonly reason: string
  readonly key: string | null
  readonly fromCache: boolean
  /** This call asked the origin and was told 304. */
  readonly revalidated: boolean
  /** Another request's answer was shared. */
  readonly collapsed: boolean
  /** Whether the origin's answer is being stored; why not, where not. */
  readonly stored: boolean
  readonly refused: string | null
  /** The entry behind the answer: stored before, or being stored now. Null: none. */
  readonly meta: ResponseMeta | null
  /** When the reply was made (ms): age is counted from the entry to here. */
  readonly now: number
}

/** The body of a reply. */
export interface ReplyBody {
  /** The whole body where it is at hand; shared: copy before handing out anything writable. */
  readonly bytes: Uint8Array | null
  /** Its caller's, where that is nobody else's affair: once aborted, `bytes` are not for it any more (bytes.ts, `overBy`). */
  readonly signal?: AbortSignal | null
  /** Length in bytes where it is known. */
  readonly size: number | null
  /** All of it, without going through a stream. Called at most once, and not after `stream()`. */
  read(): Promise<Uint8Array>
  /** A stream of it. A stored body may be opened many times, a live one once. */
  stream(): ReadableStream<Uint8Array>
  /** Whether `stream()` and `read()` may be called again: the body is stored, not live. */
  readonly repeatable: boolean
  /** Nobody reads it, or no further: what is open on its account is closed or freed. */
  leave(reason: unknown): void
}

export interface Reply {
  readonly head: ResponseHead
  /** Null: no body (HEAD, 204, 304). */
  readonly body: ReplyBody | null
  readonly info: ReplyInfo
}
