/** One visit of a Fetch handler: what the adapter says about it, and what the cache makes of it. */
import type { CacheClient } from '../clients/client.ts'
import type { MaybePromise } from '../engine/ports.ts'
import type { Address } from './addresses.ts'
import { looksShareable } from './answering.ts'
import type { Inside } from './gate.ts'
import type { RouteSettings } from './settings.ts'

/** What an adapter says about a visit. */
export interface WebVisit {
  readonly request: Request
  /**
   * Runs the handler; the request is the visitor's, or one like it without its conditions.
   * @param replaceable whether a stored answer may take the place of this one
   */
  run(request: Request, replaceable: boolean): MaybePromise<Response>
  /** Runs the handler once more, for nobody. Null: only `run` can, so that the visitor waits for it. */
  readonly again: ((request: Request, replaceable: boolean) => MaybePromise<Response>) | null
  /** `run` can be called only once, being the rest of a chain. */
  readonly once?: boolean
  readonly route?: RouteSettings
  /** Whether a user or a session came with the request; asked when the handler has answered. */
  readonly signedIn?: () => boolean
  /** Given every answer that the handler did not make, before it goes out. */
  readonly answering?: (response: Response) => void
  /** Keeps the runtime alive until the promise is settled; null: it stays alive by itself. */
  readonly waitUntil: ((work: Promise<unknown>) => void) | null
}

/** What caches further in may change. */
export interface WebInside extends Inside {
  somebody: boolean
}

export interface Visit extends WebInside {
  readonly of: WebVisit
  readonly address: Address
  readonly client: CacheClient
  /** The request carries Authorization. */
  readonly authorized: boolean
}

/** Bytes of a body that are still read for the store alone when its visitor has left: its handler is no longer wanted. */
export const FINISH: number = 256 * 1024

const VISIT = Symbol('keepfresh visit')

/** A request that is inside of a cache already. */
interface Visited extends Request {
  [VISIT]?: WebInside
}

/** What the cache that stands further out has said; undefined: there is none. */
export function insideOf(request: Request): WebInside | undefined {
  return (request as Visited)[VISIT]
}

/** Lets a cache further in know that this one stands in front of it. */
export function enclose(request: Request, inside: WebInside): void {
  ;(request as Visited)[VISIT] = inside
}

export function announced(of: WebVisit, response: Response): Response {
  of.answering?.(response)
  return response
}

/** Whether the next answer may be worth keeping, by the head of this one. */
export function mayBeShared({ status, headers }: Response, { effective: { policy } }: RouteSettings): boolean {
  const field = headers.get('cache-control')
  if (!looksShareable(status, field, field === null && headers.has('expires'), policy)) return false
  return policy.setCookie !== 'refuse' || !headers.has('set-cookie')
}
