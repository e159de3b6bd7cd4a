/**
 * Word of invalidations between caches that have no store in common (row 247): what one deletes or invalidates, the others do, too.
 *
 * Rule 1: only invalidations travel, never what is stored. Expiry, eviction and new responses are each cache's own affair.
 * Rule 2: a store that outlives the process is changed by whoever invalidates; the others only keep what is under way out of it.
 * Rule 3: what is heard is checked before it is believed, and is not told on. Who hears itself does nothing again.
 * Rule 4: a channel that fails is an `error` event: this cache's own invalidation has happened all the same.
 */
import { asStoreError, StateError, OptionError } from '../errors.ts'
import type { Engine } from '../engine/engine.ts'
import type { Events } from '../engine/events.ts'
import type { Invalidations, Told } from '../engine/invalidations.ts'
import { isPromise } from '../engine/maybe.ts'
import type { MaybePromise } from '../engine/ports.ts'
import { quiet } from '../engine/timer.ts'
import { deleteMatching } from './delete-matching.ts'
import { compilePattern, type UrlPatternLike } from './url-rules.ts'

/** What was invalidated: plain data, fit for JSON. */
export interface Invalidation {
  /** Keys of entries that are deleted. */
  readonly keys: readonly string[]
  /** Tags, and what becomes of the entries that carry one. */
  readonly tags: readonly string[]
  readonly mode: 'stale' | 'revalidate' | 'delete'
  /** Entries with such URLs are deleted: globs on host and path, or regular expressions. */
  readonly urls: readonly (string | { readonly source: string; readonly flags: string })[]
  /** Which cache tells it: where a channel brings its own word back, it knows it by this. */
  readonly from?: string
}

/**
 * A way between caches, for the option `broadcast`: over whatever the processes have in common.
 *
 * @example
 * ```ts
 * import { EventEmitter } from 'node:events'
 * import { createCachedFetch, type InvalidationChannel } from 'keepfresh'
 *
 * const bus = new EventEmitter() // in its place: Redis, NATS, process.send of a cluster, ...
 * const channel: InvalidationChannel = {
 *   publish: (invalidation) => void bus.emit('invalidated', JSON.stringify(invalidation)),
 *   subscribe(listener) {
 *     const heard = (text: string): void => listener(JSON.parse(text))
 *     bus.on('invalidated', heard)
 *     return () => bus.off('invalidated', heard)
 *   },
 * }
 * const [here, there] = [createCachedFetch({ broadcast: channel }), createCachedFetch({ broadcast: channel })]
 * await (await there('https://api.example.com/users')).json()
 * await here.cache.delete({ url: 'https://api.example.com/users' })
 * console.log(await there.cache.has('https://api.example.com/users')) // false
 * ```
 */
export interface InvalidationChannel {
  /** Tells all others; the one who publishes may hear it, too. */
  publish(invalidation: Invalidation): MaybePromise<void>
  /** Calls `listener` with what others published; returns what ends that. */
  subscribe(listener: (invalidation: unknown) => void): () => void
}

const DEFAULT_NAME = 'keepfresh'

/** Threads of this process (and windows and workers of a page), by BroadcastChannel. */
class ThreadChannel implements InvalidationChannel {
  readonly #channel: InstanceType<typeof BroadcastChannel>

  constructor(name: string) {
    if (typeof BroadcastChannel === 'undefined')
      throw new StateError(
        'ERR_NOT_SUPPORTED',
        'broadcast: this runtime has no BroadcastChannel; give a channel of your own',
      )
    this.#channel = new BroadcastChannel(name)
  }

  publish(invalidation: Invalidation): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is a window's: a BroadcastChannel has none
    this.#channel.postMessage(invalidation)
  }

  subscribe(listener: (invalidation: unknown) => void): () => void {
    this.#channel.addEventListener('message', (event) => listener(Reflect.get(event, 'data')))
    // After the listener: that is what keeps a process alive.
    quiet(this.#channel)
    return () => this.#channel.close()
  }
}

/** Who takes part: a client, whoever holds it. */
interface Connected {
  readonly engine: Engine
}

/** Connects a client with others; returns what ends that. */
export function connect(client: Connected, broadcast: true | string | InvalidationChannel): () => void {
  const channel =
    typeof broadcast === 'object' ? broadcast : new ThreadChannel(broadcast === true ? DEFAULT_NAME : broadcast)
  const { invalidations } = client.engine
  const self = crypto.getRandomValues(new Uint32Array(4)).join('.')
  invalidations.tell = tellerOf(client.engine.events, client.engine.store.name, channel, self)
  return ended(invalidations, listen(new WeakRef(client), channel, self))
}

// Closures of one function share what any of them holds: each of these has a function of its own.

function tellerOf(events: Events, store: string, channel: InvalidationChannel, from: string): (part: Told) => void {
  const failed = (error: unknown): void => report(events, store, error)
  return (part) => {
    try {
      const told = channel.publish({ keys: [], tags: [], mode: 'delete', urls: [], ...part, from })
      if (isPromise(told)) told.catch(failed)
    } catch (error) {
      failed(error)
    }
  }
}

/** A client that nobody holds any more is not kept by its channel. */
function listen(client: WeakRef<Connected>, channel: InvalidationChannel, self: string): () => void {
  const stop = channel.subscribe((heard) => {
    const listener = client.deref()
    if (listener === undefined) return stop()
    if (isInvalidation(heard) && heard.from !== self)
      receive(listener, heard).catch((error: unknown) =>
        report(listener.engine.events, listener.engine.store.name, error),
      )
  })
  return stop
}

function ended(invalidations: Invalidations, stop: () => void): () => void {
  return () => {
    invalidations.tell = null
    stop()
  }
}

function report(events: Events, store: string, error: unknown): void {
  events.emit({
    type: 'error',
    operation: 'broadcast',
    key: null,
    error: asStoreError(error, 'broadcast', store),
  })
}

async function receive({ engine }: Connected, { keys, tags, mode, urls }: Invalidation): Promise<void> {
  if (keys.length + tags.length > 0) await engine.invalidations.heard({ keys, tags, mode })
  if (urls.length === 0) return
  engine.invalidations.fenceAll()
  if (engine.store.limits.persistent) return
  const matchers = urls.map((url) =>
    compilePattern(typeof url === 'string' ? url : new RegExp(url.source, url.flags), 'broadcast'),
  )
  await deleteMatching(engine, (url) => matchers.some((matches) => matches(url)))
}

/** A pattern as it can be told; null: a function, which cannot. */
export function tellable(pattern: UrlPatternLike): Invalidation['urls'][number] | null {
  if (typeof pattern === 'string') return pattern
  return pattern instanceof RegExp ? { source: pattern.source, flags: pattern.flags } : null
}

function isInvalidation(value: unknown): value is Invalidation {
  if (typeof value !== 'object' || value === null) return false
  const { keys, tags, mode, urls } = value as Partial<Invalidation>
  return (
    isStrings(keys) &&
    isStrings(tags) &&
    (mode === 'stale' || mode === 'revalidate' || mode === 'delete') &&
    Array.isArray(urls) &&
    urls.every(
      (url: unknown) =>
        typeof url === 'string' ||
        (typeof url === 'object' &&
          url !== null &&
          typeof Reflect.get(url, 'source') === 'string' &&
          typeof Reflect.get(url, 'flags') === 'string'),
    )
  )
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

/** @throws OptionError */
export function checkBroadcast(value: unknown, name: string): void {
  const { publish, subscribe } = (
    typeof value === 'object' && value !== null ? value : {}
  ) as Partial<InvalidationChannel>
  const channel = typeof publish === 'function' && typeof subscribe === 'function'
  if (typeof value === 'boolean' || (typeof value === 'string' && value !== '') || channel) return
  throw new OptionError(
    'ERR_OPTION_VALUE',
    name,
    `${name} must be true, false, a name, or an object with publish and subscribe`,
  )
}
