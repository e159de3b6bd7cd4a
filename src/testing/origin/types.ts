/**
 * What a test says to the local origin and what the origin remembers: plain data.
 * The origin shares no parsing code with the caches it tests, so that no mistake is mirrored.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** One request as the origin received it: the record a test counts and inspects. */
export interface OriginRequest {
  /** 1 for the first request since the start or the last `reset()`; also in the response header `origin-serial`. */
  readonly serial: number
  readonly method: string
  /** The request target as sent: path and query. */
  readonly url: string
  /** The path alone, percent-encoding kept. */
  readonly path: string
  readonly query: URLSearchParams
  /** Header lines in the order received, names in lower case, repeats kept. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** When the head arrived: ms since the epoch on the origin's clock. */
  readonly at: number
  /** All lines of that name joined with ', ', or null. */
  header(name: string): string | null
  /** The body received so far, at most the first `bodyLimit` bytes of it. Complete when a handler sees it. */
  readonly body: Uint8Array
  /** Bytes of body received so far. */
  readonly bodySize: number
  /** The answer was sent as it was meant to be: whole, or broken off where it says so. */
  readonly finished: boolean
  /** The client went away before that. */
  readonly aborted: boolean
}

/** Header lines of an answer: an object, or pairs where order matters. An array is one line a member. */
export type OriginHeaders =
  | Readonly<Record<string, string | number | readonly string[]>>
  | readonly (readonly [name: string, value: string])[]

/** An answer as data: what `script` takes and a handler may return. Everything has a default. */
export interface OriginAnswer {
  /** Default 200. */
  readonly status?: number
  readonly statusText?: string
  readonly headers?: OriginHeaders
  /** Text, bytes, or a stream sent chunk by chunk as the client reads. */
  readonly body?: string | Uint8Array | AsyncIterable<Uint8Array>
  /** Sent as application/json unless `headers` name another type. */
  readonly json?: unknown
  /** Trailer fields, sent after a chunked body. */
  readonly trailers?: Readonly<Record<string, string>>
  /** Wait before the head, in ms. */
  readonly delay?: number
  /** After the body: RST ('reset') or FIN ('end') instead of a proper end; give a Content-Length larger than the body, or it is chunked. */
  readonly cut?: 'reset' | 'end'
  /** Not a byte is sent: the connection is closed by `cut` (default 'end'). */
  readonly empty?: boolean
  /** Bytes put on the wire as they are, head included; the connection is then closed by `cut` (default 'end'). */
  readonly raw?: string | Uint8Array
}

/** What a handler gets: the request, and everything it may do. */
export interface OriginExchange {
  readonly request: OriginRequest
  /** Values of the `{name}` segments of the route, percent-decoded; `rest` for a trailing `*`. */
  readonly params: Readonly<Record<string, string>>
  /** The base URL of the origin, without a trailing slash. */
  readonly origin: string
  /** The raw pair of node:http, for answers that the plain data cannot say. */
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
  /** Aborted when the client or the origin goes away: stop then. */
  readonly signal: AbortSignal
  /** ms since the epoch on the origin's clock. */
  now(): number
  /** Resolves after so many ms; rejects when `signal` aborts. Keeps no process alive. */
  wait(ms: number): Promise<void>
}

/** Answers a request: by returning an answer or a Response, or by writing to `exchange.response` and returning nothing. */
export type OriginHandler = (
  exchange: OriginExchange,
) => OriginAnswer | Response | void | Promise<OriginAnswer | Response | void>

export interface OriginOptions {
  /** Default 0: a free port. */
  readonly port?: number
  /** Default: the system's. Used for Date, Last-Modified and for ETags that change with time, never for delays. */
  readonly now?: () => number
  /** How much of each request body is kept in the log, in bytes. Default 1 MiB. */
  readonly bodyLimit?: number
}
