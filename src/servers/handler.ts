/**
 * keepfresh/server: a response cache in front of any `(Request) => Response`: Bun, Deno, Workers, Next, SvelteKit, your own.
 *
 * @module
 */
import { shown } from '../clients/shown.ts'
import { OptionError } from '../errors.ts'
import { apiOf, type ServerCacheApi } from './api.ts'
import type { ServerCacheOptions } from './options.ts'
import { ServerCache } from './server-cache.ts'
import { checkHandler, checkObject } from './validate.ts'
import { checkFunction, waitUntilAmong, type WaitUntil } from './wait-until.ts'
import { WebGate } from './web-gate.ts'
import { FINISH } from './web-visit.ts'

export { cacheControl, cacheTags } from './cache-control.ts'
export type { CacheDirectives } from './cache-control.ts'
export type { ServerCacheApi } from './api.ts'
export type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
export type { PurgeQuery } from './server-cache.ts'
export type { WaitUntil } from './wait-until.ts'

/** Options of `cached`. */
export interface HandlerCacheOptions extends ServerCacheOptions {
  /** Keeps the runtime alive while a stale answer is refreshed or an answer is stored. Default: `waitUntil` of the handler's own arguments, as Workers pass it; elsewhere none is needed. */
  waitUntil?: WaitUntil
}

/** A handler with a cache in front of it, and the cache. It takes what the handler takes. */
export type CachedHandler<Q extends Request, Rest extends readonly unknown[]> = ((
  request: Q,
  ...rest: Rest
) => Promise<Response>) &
  ServerCacheApi

/**
 * Puts a response cache in front of a handler of Requests. The handler is called with the visitor's own arguments; a stale answer is
 * refreshed by calling it once more with a Request of its own.
 *
 * What may not be kept is the very Response the handler returned, where `cacheStatus` is false. What the handler throws is thrown.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options, at once
 *
 * @example
 * ```ts
 * import { cached } from 'keepfresh/server'
 *
 * const handler = cached(
 *   async (request: Request) => Response.json({ path: new URL(request.url).pathname, at: Date.now() }),
 *   { ttl: '1m', staleWhileRevalidate: '1h' },
 * )
 * const response = await handler(new Request('https://example.com/slow'))
 * export default { fetch: handler }
 * ```
 */
export function cached<Q extends Request, Rest extends readonly unknown[]>(
  handler: (request: Q, ...rest: Rest) => Response | Promise<Response>,
  options: HandlerCacheOptions = {},
): CachedHandler<Q, Rest> {
  checkHandler(handler, 'cached')
  checkObject(options, 'cached')
  const { waitUntil, ...shared } = options
  checkFunction(waitUntil, 'waitUntil')
  const cache = new ServerCache(shared, 'cached', FINISH)
  const gate = new WebGate(cache)
  const call = async (request: Q, ...rest: Rest): Promise<Response> => {
    if (typeof request?.url !== 'string' || typeof request.headers?.get !== 'function')
      throw new OptionError(
        'ERR_OPTION_VALUE',
        'request',
        `a cached handler is called with a Request, not with ${shown(request)}`,
      )
    // Requests made anew are of the visitor's own class.
    const run = (given: Request): Response | Promise<Response> => handler(given as Q, ...rest)
    return gate.enter({ request, run, again: run, waitUntil: waitUntil ?? waitUntilAmong(rest) })
  }
  return Object.assign(call, apiOf(cache))
}
