/**
 * keepfresh/hono: a response cache for Hono.
 *
 * @module
 */
import type { Context, ExecutionContext, MiddlewareHandler } from 'hono'
import { isPromise } from '../engine/maybe.ts'
import { OptionError } from '../errors.ts'
import { apiOf, type ServerCacheApi } from './api.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'
import { routeSettings, type RouteSettings } from './settings.ts'
import { ServerCache } from './server-cache.ts'
import { isSignedIn } from './signed-in.ts'
import { checkObject } from './validate.ts'
import { waitUntilAmong } from './wait-until.ts'
import { WebGate } from './web-gate.ts'
import { FINISH, type WebVisit } from './web-visit.ts'

export { cacheControl, cacheTags } from './cache-control.ts'
export type { CacheDirectives } from './cache-control.ts'
export type { ServerCacheApi } from './api.ts'
export type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
export type { PurgeQuery } from './server-cache.ts'

/** What answers a request anew: the application. */
export interface HonoApp {
  fetch(request: Request, env?: never, executionCtx?: never): Response | Promise<Response>
}

/** Options of the cache for Hono. */
export interface HonoCacheOptions extends ServerCacheOptions {
  /** The application: stale answers are refreshed by its `fetch`, behind the visitor's back. Without it, the visitor who finds an answer stale waits for the new one, while the others get the stale one at once. */
  app?: HonoApp
}

/** A cache for Hono: a middleware itself, and what makes others. */
export interface HonoCache extends MiddlewareHandler, ServerCacheApi {
  /** A middleware for one route: its options on top of the cache's. Alone, or inside of the cache as a whole. */
  route(options: RouteOptions): MiddlewareHandler
}

/**
 * A response cache for Hono. Middlewares in front of it run for every request, those behind it only when the handler does.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options, at once
 *
 * @example
 * ```ts
 * import { Hono } from 'hono'
 * import { cacheControl, responseCache } from 'keepfresh/hono'
 *
 * const app = new Hono()
 * const cache = responseCache({ app, ttl: '1m', staleWhileRevalidate: '1h' })
 * app.use(cache)
 * app.get('/slow', cache.route({ ttl: '10m', tags: ['slow'] }), (c) => c.json({ at: Date.now() }))
 * app.get('/own', (c) => {
 *   cacheControl(c, { maxAge: '10s' })
 *   return c.text('hello')
 * })
 * ```
 */
export function responseCache(options: HonoCacheOptions = {}): HonoCache {
  checkObject(options, 'responseCache')
  const { app, ...shared } = options
  if (app !== undefined && typeof (app as { fetch?: unknown } | null)?.fetch !== 'function')
    throw new OptionError('ERR_OPTION_VALUE', 'app', 'app must be the application: an object with fetch')
  const cache = new ServerCache(shared, 'responseCache', FINISH)
  const gate = new WebGate(cache)
  const middleware: MiddlewareHandler = (c, next) => pass(gate, app ?? null, c, next)
  return Object.assign(middleware, apiOf(cache), {
    route(rule: RouteOptions): MiddlewareHandler {
      const route = routeSettings(cache.settings.plain, rule)
      return (c, next) => pass(gate, app ?? null, c, next, route)
    },
  })
}

/** No promise more than the answer takes: most visits are hits, or go through. */
function pass(
  gate: WebGate,
  app: HonoApp | null,
  c: Context,
  next: () => Promise<void>,
  route?: RouteSettings,
): Promise<Response | void> {
  const made = gate.enter(new HonoVisit(app, c, next, route))
  return isPromise(made) ? made.then((response) => answer(c, response)) : Promise.resolve(answer(c, made))
}

function answer(c: Context, response: Response): Response {
  if (c.finalized && response === c.res) return response
  // Hono would merge the fields of the response before into this one.
  c.res = undefined
  c.res = response
  return response
}

class HonoVisit implements WebVisit {
  readonly request: Request
  readonly route?: RouteSettings
  readonly once = true
  readonly #app: HonoApp | null
  readonly #c: Context
  readonly #next: () => Promise<void>
  #early: Headers | null = null
  #execution: ExecutionContext | null | undefined = undefined

  constructor(app: HonoApp | null, c: Context, next: () => Promise<void>, route: RouteSettings | undefined) {
    this.request = c.req.raw
    if (route !== undefined) this.route = route
    this.#app = app
    this.#c = c
    this.#next = next
  }

  run(given: Request, replaceable: boolean): Promise<Response> {
    if (replaceable) this.#early = fieldsOf(this.#c)
    const over = given === this.request ? this.#next() : this.#runWith(given)
    return over.then(() => resultOf(this.#c))
  }

  async #runWith(given: Request): Promise<void> {
    const c = this.#c
    // The middlewares behind us find the request they are to answer; those in front of us keep theirs.
    c.req.raw = given
    try {
      await this.#next()
    } finally {
      c.req.raw = this.request
    }
  }

  get again(): WebVisit['again'] {
    const app = this.#app
    if (app === null) return null
    return (given) => app.fetch(given, this.#c.env as never, (this.#executionContext() ?? undefined) as never)
  }

  signedIn(): boolean {
    const { user, session } = this.#c.var as { user?: unknown; session?: unknown }
    return isSignedIn(user, session)
  }

  /** What middlewares in front of us had set goes with an answer that the handler did not make. */
  answering(response: Response): void {
    let cookies: Set<string> | null = null
    for (const [name, value] of this.#early ?? fieldsOf(this.#c)) {
      // Not before there is something to add: a response whose fields nobody has touched is sent faster.
      cookies ??= new Set(response.headers.getSetCookie())
      const isThere = name === 'set-cookie' ? cookies.has(value) : response.headers.has(name)
      if (!isThere) response.headers.append(name, value)
    }
  }

  get waitUntil(): WebVisit['waitUntil'] {
    return waitUntilAmong([this.#executionContext()])
  }

  /** Hono throws where there is none. */
  #executionContext(): ExecutionContext | null {
    if (this.#execution !== undefined) return this.#execution
    try {
      return (this.#execution = this.#c.executionCtx)
    } catch {
      return (this.#execution = null)
    }
  }
}

/** @throws TypeError */
function resultOf(c: Context): Response {
  if (!c.finalized) throw new TypeError('no handler returned a Response, and no middleware called next()')
  return c.res
}

/** The fields set on a context so far. */
function fieldsOf(c: Context): Headers {
  return c.body(null).headers
}
