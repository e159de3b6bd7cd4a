/**
 * keepfresh/koa: a response cache for Koa.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { apiOf, type ServerCacheApi } from './api.ts'
import { NodeGate } from './node-gate.ts'
import type { VisitOptions } from './node-visit.ts'
import { forwarded, type AskedBy } from './node-request.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'
import { routeSettings, type RouteSettings } from './settings.ts'
import { ServerCache } from './server-cache.ts'
import { isSignedIn } from './signed-in.ts'

export { cacheControl, cacheTags } from './cache-control.ts'
export type { CacheDirectives } from './cache-control.ts'
export type { ServerCacheApi } from './api.ts'
export type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
export type { PurgeQuery } from './server-cache.ts'

/** What the cache uses of Koa's context. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The path and query as the visitor asked for them, whatever a router made of `url`. */
  readonly originalUrl: string
  /** False: Koa leaves the response alone. */
  respond?: boolean | undefined
  /** `proxy`: Koa believes X-Forwarded-Host and X-Forwarded-Proto. */
  readonly app?: { readonly proxy?: boolean | undefined }
  /** `state.user` is where authentication leaves who asks. */
  state?: unknown
}

/** A middleware of Koa. */
export type KoaMiddleware = (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>

/** A cache for Koa: a middleware itself, and what makes others. */
export interface KoaCache extends KoaMiddleware, ServerCacheApi {
  /** A middleware for one route: its options on top of the cache's. Alone, or inside of the cache as a whole. */
  route(options: RouteOptions): KoaMiddleware
}

/**
 * A response cache for Koa. Middlewares in front of it run for every request, those behind it only when the handler does.
 *
 * A stale answer is sent at once, then the rest of the middlewares runs for the next visitor: those in front see `await next()` last
 * until that is done.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options, at once
 *
 * @example
 * ```ts
 * import Koa from 'koa'
 * import { cacheControl, responseCache } from 'keepfresh/koa'
 *
 * const cache = responseCache({ ttl: '1m', staleWhileRevalidate: '1h' })
 * const app = new Koa()
 * app.use(cache)
 * app.use((ctx) => {
 *   cacheControl(ctx, { maxAge: '10m' })
 *   ctx.body = { at: Date.now() }
 * })
 * ```
 */
export function responseCache(options: ServerCacheOptions = {}): KoaCache {
  const cache = new ServerCache(options, 'responseCache')
  const gate = new NodeGate(cache)
  const middleware: KoaMiddleware = (ctx, next) => pass(gate, ctx, next)
  return Object.assign(middleware, apiOf(cache), {
    route(rule: RouteOptions): KoaMiddleware {
      const route = routeSettings(cache.settings.plain, rule)
      return (ctx, next) => pass(gate, ctx, next, route)
    },
  })
}

/** Through the gate; resolved when it is known who answers, and he has. */
function pass(gate: NodeGate, ctx: KoaContext, next: () => Promise<unknown>, route?: RouteSettings): Promise<void> {
  const visit = new KoaVisit(ctx, next, route)
  gate.enter(ctx.req, ctx.res, () => visit.proceed(), visit, ctx.originalUrl)
  return visit.over()
}

const OVER = Promise.resolve()

class KoaVisit implements VisitOptions {
  readonly route: RouteSettings | undefined
  readonly #ctx: KoaContext
  readonly #next: () => Promise<unknown>
  /** What was decided at once; null: nothing yet. */
  #result: Promise<unknown> | null = null
  /** Who waits for what is decided later. */
  #waiting: PromiseWithResolvers<unknown> | null = null

  constructor(ctx: KoaContext, next: () => Promise<unknown>, route: RouteSettings | undefined) {
    this.#ctx = ctx
    this.#next = next
    this.route = route
  }

  proceed(): void {
    const run = this.#next()
    if (this.#waiting !== null) run.then(this.#waiting.resolve, this.#waiting.reject)
    else if (this.#result === null) this.#result = run
    // Somebody else has answered: what fails now is nobody's answer.
    else run.catch(() => undefined)
  }

  /** Koa leaves the response alone. */
  done(): void {
    this.#ctx.respond = false
    if (this.#waiting === null) this.#result ??= OVER
    else this.#waiting.resolve(undefined)
  }

  over(): Promise<void> {
    const result = this.#result ?? (this.#waiting = Promise.withResolvers()).promise
    return result as Promise<void>
  }

  signedIn(): boolean {
    return isSignedIn(userOf(this.#ctx.state), sessionOf(this.#ctx))
  }

  askedBy(): AskedBy {
    return this.#ctx.app?.proxy === true ? forwarded(this.#ctx.req) : {}
  }
}

function userOf(state: unknown): unknown {
  return (state as { user?: unknown } | null | undefined)?.user
}

/** Where koa-session and its like leave the session. */
function sessionOf(ctx: KoaContext): unknown {
  return (ctx as { session?: unknown }).session
}
