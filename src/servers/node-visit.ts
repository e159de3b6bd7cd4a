/** One visit of a node:http server: what the adapter says about it, and what the cache makes of it. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CacheClient } from '../clients/client.ts'
import type { Address } from './addresses.ts'
import type { Inside } from './gate.ts'
import type { AskedBy } from './node-request.ts'
import type { RouteSettings } from './settings.ts'

/** What an adapter adds to a visit. */
export interface VisitOptions {
  /** Settings of the route, where the adapter knows it. */
  readonly route?: RouteSettings | undefined
  /** Whether a user or a session came with the request; asked when the handler has answered. */
  signedIn?(): boolean
  /** What the framework tells its handlers of a proxy in front; asked where the request says that there is one. */
  askedBy?(request: IncomingMessage): AskedBy
  /** As the framework reads what a proxy says, where `trustProxy` says that it is to be believed. */
  forwarded?(): AskedBy
  /** Called before the handler's turn, where something that it did not make may be sent yet. */
  begin?(): void
  /** Called before something is sent that the handler did not make. */
  answering?(): void
  /** Called after that, once it is certain that the handler will not run: the adapter must keep its hands off the response. */
  done?(): void
}

export interface Visit extends Inside {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly proceed: () => void
  readonly options: VisitOptions
  readonly address: Address
  readonly client: CacheClient
  /** The request carries Authorization. */
  readonly authorized: boolean
}
