/**
 * keepfresh/node: a response cache in front of handlers of node:http, Connect, Express 4 and Express 5.
 *
 * @module
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { apiOf, type ServerCacheApi } from './api.ts'
import { setPhrase } from './node-before.ts'
import { NodeGate } from './node-gate.ts'
import type { VisitOptions } from './node-visit.ts'
import { askedOfExpress } from './node-request.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'
import { routeSettings } from './settings.ts'
import { ServerCache } from './server-cache.ts'
import { checkHandler } from './validate.ts'

export { cacheControl, cacheTags } from './cache-control.ts'
export type { CacheDirectives } from './cache-control.ts'
export type { ServerCacheApi } from './api.ts'
export type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
export type { PurgeQuery } from './server-cache.ts'

/** A middleware of Connect and Express. */
export type NodeMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** A handler of node:http. */
export type NodeHandler = (request: IncomingMessage, response: ServerResponse) => unknown

/** A cache for node:http: a middleware itself, and what makes others. */
export interface NodeCache extends NodeMiddleware, ServerCacheApi {
  /** A middleware for one route: its options on top of the cache's. Alone, or inside of the cache as a whole. */
  route(options: RouteOptions): NodeMiddleware
  /** A handler for node:http with the cache in front of it. */
  wrap(handler: NodeHandler, options?: RouteOptions): NodeHandler
}

/**
 * A response cache for node:http, Connect and Express.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options, at once
 *
 * @example
 * ```ts
 * import express from 'express'
 * import { responseCache } from 'keepfresh/node'
 *
 * const cache = responseCache({ ttl: '1m', staleWhileRevalidate: '1h' })
 * const app = express()
 * app.use(cache)
 * app.get('/slow', cache.route({ ttl: '10m', tags: ['slow'] }), (req, res) => { res.json({ at: Date.now() }) })
 * ```
 */
export function responseCache(options: ServerCacheOptions = {}): NodeCache {
  const cache = new ServerCache(options, 'responseCache')
  const gate = new NodeGate(cache)
  const middleware: NodeMiddleware = (request, response, next) => {
    gate.enter(request, response, next, undefined, targetOf(request))
  }
  return Object.assign(middleware, apiOf(cache), {
    route(rule: RouteOptions): NodeMiddleware {
      const route = { route: routeSettings(cache.settings.plain, rule) }
      return (request, response, next) => gate.enter(request, response, next, route, targetOf(request))
    },
    wrap(handler: NodeHandler, rule?: RouteOptions): NodeHandler {
      checkHandler(handler, 'wrap')
      const route = rule === undefined ? undefined : routeSettings(cache.settings.plain, rule)
      // An application of Express is a handler, too: what it believes of a proxy, it says itself.
      const visit: VisitOptions =
        'settings' in handler ? { route, askedBy: (request) => askedOfExpress(request, handler) } : { route }
      return (request, response) => {
        gate.enter(request, response, () => run(handler, request, response, cache), visit, targetOf(request))
      }
    },
  })
}

/** Express and Connect cut the mount path off `url`; what the visitor asked for is the key. */
function targetOf(request: IncomingMessage): string | undefined {
  const { originalUrl } = request as { originalUrl?: unknown }
  return typeof originalUrl === 'string' ? originalUrl : undefined
}

function run(handler: NodeHandler, request: IncomingMessage, response: ServerResponse, cache: ServerCache): void {
  const failed = (error: unknown): void => {
    if (!response.headersSent) {
      forgetBody(response)
      response.statusCode = 500
      try {
        response.end()
      } catch {
        // What else was set cannot be sent, either.
        response.destroy()
      }
    } else if (!response.writableEnded) response.destroy()
    const { onError } = cache.settings
    if (onError !== null) onError(error)
    // As without a cache: the process hears of it.
    else
      queueMicrotask(() => {
        throw error
      })
  }
  try {
    const result = handler(request, response)
    if (result instanceof Promise) result.catch(failed)
  } catch (error) {
    failed(error)
  }
}

/** What was said of an answer that will not come, or could not be sent. */
function forgetBody(response: ServerResponse): void {
  setPhrase(response, '')
  for (const name of response.getHeaderNames())
    if (name.startsWith('content-') || name === 'transfer-encoding') response.removeHeader(name)
}
