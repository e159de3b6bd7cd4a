/**
 * keepfresh/fastify: a response cache for Fastify, as a plugin.
 *
 * @module
 */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Duration } from '../clients/durations.ts'
import { apiOf, type ServerCacheApi } from './api.ts'
import { NodeGate } from './node-gate.ts'
import type { VisitOptions } from './node-visit.ts'
import { forwarded, isHttps, type AskedBy } from './node-request.ts'
import type { RouteOptions, ServerCacheOptions } from './options.ts'
import { ruleSettings, type RouteSettings } from './settings.ts'
import { ServerCache } from './server-cache.ts'
import { isSignedIn } from './signed-in.ts'

export { cacheControl, cacheTags } from './cache-control.ts'
export type { CacheDirectives } from './cache-control.ts'
export type { ServerCacheApi } from './api.ts'
export type { PurgeOptions, RouteOptions, RouteRules, ServerCacheOptions } from './options.ts'
export type { PurgeQuery } from './server-cache.ts'

/** What a route says of the cache in `config.cache`: false for not at all, how long its answers are fresh, or more than that. */
export type FastifyRouteRule = false | Duration | RouteOptions

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Options of keepfresh for this route. */
    cache?: FastifyRouteRule
  }
  interface FastifyInstance {
    /** The response cache of this instance. */
    responseCache: ServerCacheApi
  }
}

/** What `register` takes for every plugin, and no option of ours. */
const OF_REGISTER: ReadonlySet<string> = new Set(['prefix', 'logLevel', 'logSerializers'])

/**
 * A response cache for all routes of the instance it is registered on, those in child scopes included. It answers in `onRequest`:
 * hooks that were added before it run for every request, later ones and the handler only where nothing stored can answer.
 * It is closed with the instance.
 *
 * @throws OptionError (a TypeError) for unknown or wrong options: from `ready()`, or from the route's definition
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import { responseCache } from 'keepfresh/fastify'
 *
 * const app = Fastify()
 * await app.register(responseCache, { ttl: '1m', staleWhileRevalidate: '1h' })
 * app.get('/slow', { config: { cache: { ttl: '10m', tags: ['slow'] } } }, async () => ({ at: Date.now() }))
 * app.get('/now', { config: { cache: false } }, async () => ({ at: Date.now() }))
 * await app.responseCache.purge({ tag: 'slow' })
 * ```
 */
export const responseCache: FastifyPluginAsync<ServerCacheOptions> = Object.assign(
  async (fastify: FastifyInstance, options: ServerCacheOptions): Promise<void> => {
    const own = Object.fromEntries(Object.entries(options).filter(([name]) => !OF_REGISTER.has(name)))
    const cache = new ServerCache(own, 'responseCache')
    const gate = new NodeGate(cache)
    const rules = new Rules(cache)
    fastify.decorate('responseCache', apiOf(cache))
    fastify.addHook('onRoute', ({ config }) => void rules.of(config))
    fastify.addHook('onRequest', (request, reply, next) => {
      // Fastify makes `routeOptions` anew whenever it is asked for them.
      const route = rules.any ? rules.of(request.routeOptions.config) : undefined
      gate.enter(request.raw, reply.raw, next, new FastifyVisit(request, reply, route), request.originalUrl)
    })
    fastify.addHook('onClose', () => cache.close())
  },
  {
    // No scope of its own: it is for the instance that registers it.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'keepfresh',
    [Symbol.for('plugin-meta')]: { name: 'keepfresh', fastify: '>=5' },
  },
)

class FastifyVisit implements VisitOptions {
  readonly route: RouteSettings | undefined
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  /** What earlier hooks had set, before later ones and the handler. */
  #early: ReturnType<FastifyReply['getHeaders']> | null = null

  constructor(request: FastifyRequest, reply: FastifyReply, route: RouteSettings | undefined) {
    this.route = route
    this.#request = request
    this.#reply = reply
  }

  begin(): void {
    this.#early = this.#reply.getHeaders()
  }

  signedIn(): boolean {
    const { user, session } = this.#request as { user?: unknown; session?: unknown }
    return isSignedIn(user, session)
  }

  /** Of several names, Fastify goes by the last. */
  forwarded(): AskedBy {
    return forwarded(this.#request.raw, -1)
  }

  askedBy(): AskedBy {
    const { host, protocol } = this.#request
    return { host, secure: isHttps(protocol) }
  }

  /** What earlier hooks had set by reply.header goes with an answer that does not pass through the reply. */
  answering(): void {
    const { raw } = this.#reply
    const fields = this.#early ?? this.#reply.getHeaders()
    for (const name in fields) {
      const value = fields[name as keyof typeof fields]
      if (value !== undefined) raw.setHeader(name, value)
    }
  }

  done(): void {
    this.#reply.hijack()
  }
}

/** The settings of routes by the `config` they were defined with. */
class Rules {
  readonly #cache: ServerCache
  readonly #known = new WeakMap<object, RouteSettings>()
  /** Whether any route has settings of its own. */
  any = false

  constructor(cache: ServerCache) {
    this.#cache = cache
  }

  /** @throws OptionError for wrong options, where the route is defined */
  of(config: { readonly cache?: FastifyRouteRule } | undefined): RouteSettings | undefined {
    if (config?.cache === undefined) return undefined
    const found = this.#known.get(config)
    if (found !== undefined) return found
    const settings = ruleSettings(this.#cache.settings.plain, config.cache)
    this.#known.set(config, settings)
    this.any = true
    return settings
  }
}
