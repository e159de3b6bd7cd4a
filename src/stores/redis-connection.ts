/**
 * The way to Redis: connected at the first use, given up when it fails, and opened again, with pauses, at a later use.
 *
 * 1. Nothing is queued for a server that is down: between two attempts every command fails at once (RELIABILITY 36, 37).
 * 2. No `error` event of a client is without a listener. What it says is in the error of the command that met it.
 * 3. A client that was given to us is never opened or closed, only waited for; and left as it was found.
 */
import { StoreError } from '../errors.ts'
import { Attempts } from './attempts.ts'
import type { RedisClient, RedisCommand } from './redis-client.ts'
import { Deadlines } from './deadlines.ts'
import { commandError, connectError, timeoutError } from './redis-errors.ts'
import type { RedisServer } from './redis-links.ts'
import { makeClient, type OwnClient } from './redis-open.ts'
import type { RedisSettings } from './redis-options.ts'

/** Error events are reported by the commands that fail; a listener there must be. */
const heard = (): void => undefined

export class RedisConnection {
  readonly #settings: RedisSettings
  readonly #deadlines: Deadlines
  readonly #subject: string
  #client: RedisClient | null
  #own: OwnClient | null = null
  #connecting: Promise<RedisClient> | null = null
  readonly #attempts = new Attempts()
  #wasReady = false
  #closed = false

  constructor(settings: RedisSettings) {
    this.#settings = settings
    this.#deadlines = new Deadlines(settings.commandTimeout)
    this.#subject = subjectOf(settings)
    this.#client = settings.client
    settings.client?.on('error', heard)
    // Whoever uses the store, or asks whether it is ready, meets the failure.
    if (settings.strict) this.client().catch(() => undefined)
  }

  /** What the client itself puts before keys. */
  get keyPrefix(): string {
    return this.#settings.client?.keyPrefix ?? ''
  }

  /** Sends a command to the server that has `key`, and maps its answer. */
  run<T>(key: string, command: RedisCommand, map: (reply: unknown) => T): Promise<T> {
    const client = this.#client
    if (client === null || client.state !== 'ready') return this.#runLater(key, command, map)
    return this.#answered(client.send(key, command), map)
  }

  async #runLater<T>(key: string, command: RedisCommand, map: (reply: unknown) => T): Promise<T> {
    const client = await this.client()
    return this.#answered(client.send(key, command), map)
  }

  /** Waits for an answer no longer than allowed; a connection of ours that does not answer is given up. */
  #answered<A, T>(answer: Promise<A>, map: (reply: A) => T): Promise<T> {
    return this.#deadlines.settle(answer, map, commandError, () => {
      this.#own?.destroy()
      return timeoutError('answer', this.#settings.commandTimeout)
    })
  }

  /**
   * The client, ready; connected now where it is not.
   * @throws StoreError, StateError ERR_MISSING_PEER
   */
  client(): Promise<RedisClient> {
    if (this.#client?.state === 'ready') return Promise.resolve(this.#client)
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null
    })
    return this.#connecting
  }

  /** For each server that has keys, what sends it a command. */
  async primaries(): Promise<readonly ((command: RedisCommand) => Promise<unknown>)[]> {
    const client = await this.client()
    const senders = await this.#answered(client.primaries(), (found) => found)
    return senders.map((send) => (command) => this.#answered(send(command), (reply) => reply))
  }

  /** Each server that has keys, as far as is known by now, to hear from. */
  async servers(): Promise<readonly RedisServer[]> {
    const client = await this.client()
    return client.servers()
  }

  async #connect(): Promise<RedisClient> {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', 'the redis store is closed')
    const { refusal, failure } = this.#attempts
    const refused = this.#settings.strict && !this.#wasReady ? failure : refusal
    if (refused !== null) throw refused
    try {
      const client = await this.#attempt()
      this.#attempts.succeeded()
      this.#wasReady = true
      return client
    } catch (error) {
      throw this.#attempts.failed(connectFailure(error, this.#subject))
    }
  }

  async #attempt(): Promise<RedisClient> {
    const { connectTimeout, client: given } = this.#settings
    const known = this.#client
    if (known !== null && given !== null) {
      await becameReady(known, connectTimeout)
      return known
    }
    // Even where it is about to connect again by itself, as its options or Sentinel have it: a new one asks anew.
    this.#release()
    const own = await makeClient(this.#settings)
    own.client.on('error', heard)
    this.#own = own
    try {
      await inTime(own.connect(), connectTimeout)
    } catch (error) {
      this.#release()
      throw error
    }
    this.#client = own.client
    return own.client
  }

  #release(): void {
    this.#own?.destroy()
    this.#own = null
    this.#client = this.#closed ? null : this.#settings.client
  }

  /** Waits for what is under way, then closes what is ours. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#connecting?.catch(() => undefined)
    await this.#deadlines.idle()
    this.#release()
    this.#settings.client?.off('error', heard)
  }
}

/** That a package is missing is told as it is; all else with what it is about. */
function connectFailure(error: unknown, subject: string): Error {
  const isOurs = error instanceof Error && 'code' in error && error.code === 'ERR_MISSING_PEER'
  return isOurs ? error : connectError(error, subject)
}

/** What we are to reach, without credentials, for messages. */
function subjectOf({ url, cluster, sentinel, client }: RedisSettings): string {
  if (client !== null) return 'The Redis client given'
  if (sentinel !== null) return `The Redis primary '${sentinel.name}'`
  const urls = cluster?.rootNodes.filter((node) => typeof node === 'string') ?? [url ?? 'localhost']
  const hosts = urls.map((each) => each.replace(/^\w+:\/\/([^/]*@)?/, '').replace(/\?.*$/, ''))
  return `Redis at ${hosts.join(', ') || 'the root nodes'}`
}

function inTime<T>(work: Promise<T>, limit: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    // Held by the event loop: whoever waits for the connection keeps the process alive.
    const timer = setTimeout(() => reject(timeoutError('accept the connection', limit)), limit)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** Resolves when a client that connects by itself is ready; rejects with the first error it has. */
async function becameReady(client: RedisClient, limit: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const look = (): void => {
    if (client.state === 'ready') resolve()
  }
  const fail = (error: unknown): void => reject(error)
  const events = ['ready', 'connect'] as const
  for (const event of events) client.on(event, look)
  client.on('error', fail)
  try {
    client.wake()
    look()
    if (client.state === 'absent') {
      reject(new StoreError('ERR_STORE_OPEN', 'It is not connected: call its connect() first.'))
    }
    await inTime(promise, limit)
  } finally {
    for (const event of events) client.off(event, look)
    client.off('error', fail)
  }
}
