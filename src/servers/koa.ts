/**
 * keepfresh/koa: a response cache for Koa.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { apiOf, type ServerCacheApi } from './api.ts'
import { NodeGate } from './node-gate.ts'
import { forwarded, type AskedBy } from './node-request.ts'
import { routeSettings, type RouteOptions, type RouteSettings, type ServerCacheOptions } from './options.ts'
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

/** Through the gate; Koa is told to respond, or not to, when it is known who does. */
function pass(gate: NodeGate, ctx: KoaContext, next: () => Promise<unknown>, route?: RouteSettings): Promise<void> {
  return new Promise((resolve, reject) => {
    const proceed = (): void => {
      next().then(() => resolve(), reject)
    }
    const done = (): void => {
      ctx.respond = false
      resolve()
    }
    const signedIn = (): boolean => isSignedIn(userOf(ctx.state), sessionOf(ctx))
    const askedBy = (): AskedBy => (ctx.app?.proxy === true ? forwarded(ctx.req) : {})
    gate.enter(ctx.req, ctx.res, proceed, { ...(route && { route }), signedIn, askedBy, done }, ctx.originalUrl)
  })
}

function userOf(state: unknown): unknown {
  return (state as { user?: unknown } | null | undefined)?.user
}

/** Where koa-session and its like leave the session. */
function sessionOf(ctx: KoaContext): unknown {
  return (ctx as { session?: unknown }).session
}
