/**
 * Coherence by Redis publish and subscribe (feature B8), over a client of `redis` or ioredis, or a URL.
 *
 * Rule 1: Redis forgets a message that nobody hears. So the channel counts as down until its subscription is confirmed, and from the
 *   first sign of trouble until it is confirmed again.
 * Rule 2: a client that was given is used to publish and left open; what listens is a copy of it, and ours.
 * Rule 3: nothing here keeps the process alive.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { OptionError, StoreError } from '../errors.ts'
import { groupsOf } from './groups-of.ts'
import { checkOptions, wrong } from './options.ts'
import { missingPeer } from './peer.ts'
import type { Coherence, CoherenceListener } from './tiered-coherence.ts'

/** A client of `redis` (version 5 or later) or ioredis (version 5 or later), as far as it is needed here. */
export interface PublishingClient {
  duplicate(): unknown
  publish(channel: string, message: string): Promise<unknown>
}

export interface RedisCoherenceOptions {
  /** redis://host:port; needs the package `redis`. Or: */
  readonly url?: string
  /** A connected client; it publishes, and is left open. */
  readonly client?: PublishingClient
  /** The channel: the same for all processes of one cache, another for each cache. Default 'keepfresh:changes'. */
  readonly channel?: string
}

/** How long the first message waits for a connection of ours: ms. */
const PATIENCE = 5000

/** Keys in one message. */
const TOGETHER = 500

/** What listens. */
interface Subscriber {
  readonly status?: unknown
  connect(): Promise<unknown>
  subscribe(channel: string, listener?: (message: string) => void): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  destroy?(): unknown
  disconnect?(): unknown
  unref?(): unknown
  readonly stream?: { unref?(): unknown }
}

/** What a connection of ours to publish by is. */
interface Publisher extends PublishingClient {
  connect(): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  destroy(): unknown
  unref?(): unknown
}

/**
 * Coherence over Redis, for a TieredStore over any far store.
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE. A missing package is StateError ERR_MISSING_PEER, from the first change.
 * @example
 * ```ts no-run
 * import { RedisStore } from 'keepfresh/redis'
 * import { redisCoherence, TieredStore } from 'keepfresh/tiered'
 *
 * const url = 'redis://localhost'
 * const store = new TieredStore({ far: new RedisStore({ url }), coherence: redisCoherence({ url }) })
 * ```
 */
export function redisCoherence(options: RedisCoherenceOptions): Coherence {
  checkOptions('redisCoherence', options, {
    url: { type: 'string' },
    client: { type: 'any' },
    channel: { type: 'string' },
  })
  const { url, client, channel = 'keepfresh:changes' } = options
  if ((url === undefined) === (client === undefined)) {
    throw new OptionError('ERR_OPTION_VALUE', 'client', 'redisCoherence takes either a `url` or a `client`.')
  }
  if (client !== undefined && (typeof client.duplicate !== 'function' || typeof client.publish !== 'function'))
    throw wrong('redisCoherence', 'client', 'must be a client of `redis` or ioredis')
  return new RedisCoherence(client ?? null, url ?? '', channel)
}

class RedisCoherence implements Coherence {
  readonly #given: PublishingClient | null
  readonly #url: string
  readonly #channel: string
  readonly #self: string = crypto.randomUUID()
  #publisher: Promise<PublishingClient> | null = null
  /** The first connection of a client of ours. */
  #connecting: Promise<unknown> | null = null
  readonly #endings: (() => unknown)[] = []
  #listener: CoherenceListener | null = null
  #isConnected = false
  #closed = false

  constructor(given: PublishingClient | null, url: string, channel: string) {
    this.#given = given
    this.#url = url
    this.#channel = channel
  }

  subscribe(listener: CoherenceListener): void {
    this.#listener = listener
    // What failed is in the state: the channel is not there. A missing package is reported by publish.
    this.#listen().catch(() => this.#state(false))
  }

  async #listen(): Promise<void> {
    const made: unknown = (await this.#client()).duplicate()
    if (!isSubscriber(made)) throw new TypeError('the copy of the client cannot subscribe')
    if (this.#closed) return
    this.#endings.push(() => (made.destroy === undefined ? made.disconnect?.() : made.destroy()))
    for (const event of ['error', 'reconnecting', 'close', 'end']) made.on(event, () => this.#state(false))
    if (typeof made.status === 'string') return this.#listenByIoredis(made)
    made.unref?.()
    await made.connect()
    await made.subscribe(this.#channel, (message) => this.#heard(message))
    this.#state(true)
    // It subscribes again before it says so.
    made.on('ready', () => this.#state(true))
  }

  #listenByIoredis(made: Subscriber): void {
    made.on('connect', () => made.stream?.unref?.())
    made.on('message', (channel, message) => {
      if (channel === this.#channel) this.#heard(String(message))
    })
    // Asked again after every reconnection: its answer says from when on nothing is missed.
    const confirm = (): void => {
      made.subscribe(this.#channel).then(
        () => this.#state(true),
        () => this.#state(false),
      )
    }
    made.on('ready', confirm)
    if (made.status === 'wait') made.connect().catch(() => this.#state(false))
  }

  #state(isConnected: boolean): void {
    if (this.#closed || isConnected === this.#isConnected) return
    this.#isConnected = isConnected
    this.#listener?.connected(isConnected)
  }

  #heard(text: string): void {
    if (this.#closed) return
    const message = parsed(text)
    if (message?.by !== this.#self) this.#listener?.changed(message?.keys ?? null)
  }

  async publish(keys: readonly string[] | null): Promise<void> {
    const client = await this.#client()
    if (this.#connecting !== null) await soon(this.#connecting)
    if (keys === null) return void (await client.publish(this.#channel, JSON.stringify({ by: this.#self, keys })))
    for (const group of groupsOf(keys, TOGETHER))
      await client.publish(this.#channel, JSON.stringify({ by: this.#self, keys: group }))
  }

  #client(): Promise<PublishingClient> {
    if (this.#given !== null) return Promise.resolve(this.#given)
    this.#publisher ??= this.#open().catch((error: unknown) => {
      this.#publisher = null
      throw error
    })
    return this.#publisher
  }

  async #open(): Promise<PublishingClient> {
    const made = await makeClient(this.#url)
    // Its calls report what goes wrong; without a listener the process would end.
    made.on('error', () => undefined)
    made.unref?.()
    this.#endings.push(() => made.destroy())
    // It goes on trying by itself; publish waits for the first time, a while.
    this.#connecting = made.connect()
    this.#connecting.catch(() => undefined)
    return made
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#listener = null
    for (const end of this.#endings) await ended(end)
  }
}

/** @throws StoreError ERR_STORE_TIMEOUT */
async function soon(connecting: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  const late = sleep(PATIENCE, undefined, { ref: false, signal: done.signal }).then(() => {
    throw new StoreError('ERR_STORE_TIMEOUT', `Redis could not be reached within ${PATIENCE} ms.`)
  })
  try {
    await Promise.race([connecting, late])
  } finally {
    done.abort()
    late.catch(() => undefined)
  }
}

async function ended(end: () => unknown): Promise<void> {
  try {
    await end()
  } catch {
    // `redis` refuses to end what has ended.
  }
}

/** Null: not a message of ours, and so anything may have changed. */
function parsed(text: string): { by: string; keys: readonly string[] | null } | null {
  try {
    const { by, keys } = (JSON.parse(text) ?? {}) as { by?: unknown; keys?: unknown }
    if (typeof by !== 'string') return null
    const isList = Array.isArray(keys) && keys.every((key) => typeof key === 'string')
    return { by, keys: isList ? keys : null }
  } catch {
    return null
  }
}

function isSubscriber(value: unknown): value is Subscriber {
  const { subscribe, on } = (value ?? {}) as Partial<Record<keyof Subscriber, unknown>>
  return typeof subscribe === 'function' && typeof on === 'function'
}

async function makeClient(url: string): Promise<Publisher> {
  try {
    const { createClient } = await import('redis')
    return createClient({ url, disableOfflineQueue: true }) as Publisher
  } catch (cause) {
    const message = 'redisCoherence needs the package `redis`: npm install redis. Or give it a `client` of ioredis.'
    throw missingPeer(cause, message)
  }
}
