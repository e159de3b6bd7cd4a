/**
 * What anyone changes, told by Redis itself (client-side caching, CLIENT TRACKING; feature B8): other processes, redis-cli, the end of a
 * lifetime, eviction for room, FLUSHALL.
 *
 * Rule 1: one connection a primary is tracked and hears: its tracking is redirected to itself. What ends one ends the other, unseen by
 *   none (docs/decisions/0006-tiered-coherence.md).
 * Rule 2: the server looks for the prefix of our entries alone; chunks and leases are never told of.
 * Rule 3: the channel is up while every primary is heard. It is down from the first sign of trouble, and what is asked again is asked anew.
 * Rule 4: nothing here keeps the process alive.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { StateError } from '../errors.ts'
import type { Version } from '../engine/ports.ts'
import type { RedisConnection } from './redis-connection.ts'
import { commandError, isReply, timeoutError } from './redis-errors.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink, RedisServer } from './redis-links.ts'
import type { CoherenceListener, Tracking } from './tiered-coherence.ts'

/** Where Redis tells. */
const CHANNEL = '__redis__:invalidate'
/** Ms between two looks at which primaries there are, and whether their connections still answer. */
const ROUND = 2000
/** What takes longer (ms) is lost. */
const LATE = 5000
/** Ms until the next attempt after one that failed, the first time; then twice as long each time, up to a round. */
const FIRST_PAUSE = 50

export class RedisTracking implements Tracking {
  readonly #connection: Pick<RedisConnection, 'servers' | 'keyPrefix'>
  readonly #keys: RedisKeys
  readonly #has: (key: string, version: Version) => Promise<boolean>
  readonly #links = new Map<string, RedisLink>()
  readonly #ended = new AbortController()
  #listener: CoherenceListener | null = null
  #isConnected = false
  /** Ends the pause between two rounds. */
  #wake: () => void = () => undefined
  #refused: Error | null = null

  constructor(
    connection: Pick<RedisConnection, 'servers' | 'keyPrefix'>,
    keys: RedisKeys,
    has: (key: string, version: Version) => Promise<boolean>,
  ) {
    this.#connection = connection
    this.#keys = keys
    this.#has = has
  }

  nameOf(key: string): string {
    return this.#connection.keyPrefix + this.#keys.entry(key)
  }

  has(key: string, version: Version): Promise<boolean> {
    return this.#has(key, version)
  }

  subscribe(listener: CoherenceListener): void {
    this.#listener = listener
    void this.#keepHearing()
  }

  async #keepHearing(): Promise<void> {
    const { signal } = this.#ended
    let pause = FIRST_PAUSE
    while (!signal.aborted) {
      try {
        await this.#round()
        if (this.#isConnected) pause = FIRST_PAUSE
        await this.#rest(this.#isConnected ? ROUND : pause)
      } catch (error) {
        this.#failed(error)
        await this.#rest(pause)
        pause = Math.min(2 * pause, ROUND)
      }
    }
  }

  /** Hears from every primary there is, and from nobody else. */
  async #round(): Promise<void> {
    const servers = await this.#connection.servers()
    for (const id of this.#links.keys()) if (!servers.some((server) => server.id === id)) this.#drop(id)
    // A connection that is gone without a word does not answer.
    await Promise.all(Array.from(this.#links, ([id, link]) => soon(link.command('PING')).catch(() => this.#drop(id))))
    const missing = servers.filter(({ id }) => !this.#links.has(id))
    if (missing.length > 0) this.#state(false)
    const heard = await Promise.allSettled(missing.map((server) => this.#hear(server)))
    for (const outcome of heard) if (outcome.status === 'rejected') throw outcome.reason
    this.#refused = null
    // One may have been lost again by now: that one woke the next round.
    if (this.#links.size === servers.length) this.#state(true)
  }

  async #hear(server: RedisServer): Promise<void> {
    const link = server.link()
    let isLost = false
    link.whenLost(() => {
      isLost = true
      if (this.#links.get(server.id) !== link) return
      this.#drop(server.id)
      this.#wake()
    })
    try {
      await soon(this.#begin(link))
    } catch (error) {
      link.end()
      throw error
    }
    if (isLost || this.#ended.signal.aborted) return link.end()
    this.#links.set(server.id, link)
  }

  async #begin(link: RedisLink): Promise<void> {
    await link.connect()
    const id = String(await link.command('CLIENT', 'ID'))
    const prefix = this.#connection.keyPrefix + this.#keys.entryPrefix
    await link.command('CLIENT', 'TRACKING', 'ON', 'REDIRECT', id, 'BCAST', 'PREFIX', prefix)
    await link.subscribe(CHANNEL, (message) => this.#heard(message))
  }

  /** The channel is down as soon as one is not heard. */
  #drop(id: string): void {
    const link = this.#links.get(id)
    this.#links.delete(id)
    this.#state(false)
    link?.end()
  }

  /** Null, or what is no list of names: any of them. */
  #heard(message: unknown): void {
    if (this.#ended.signal.aborted) return
    this.#listener?.changed(Array.isArray(message) ? message.map(String) : null)
  }

  /** What failed is in the state; what the server refuses is told by `publish`, too. */
  #failed(error: unknown): void {
    if (error instanceof StateError) this.#refused = error
    else this.#refused = isReply(error) ? commandError(error) : null
    this.#state(false)
  }

  #state(isConnected: boolean): void {
    if (this.#ended.signal.aborted || isConnected === this.#isConnected) return
    this.#isConnected = isConnected
    this.#listener?.connected(isConnected)
  }

  async #rest(ms: number): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    const signal = AbortSignal.any([woken.signal, this.#ended.signal])
    // Ends by its time or by a signal, and is the same then.
    await sleep(ms, undefined, { ref: false, signal }).catch(() => undefined)
  }

  /** @throws StoreError or StateError where the server or the client refuses; nothing is to be done otherwise: the server tells */
  async publish(): Promise<void> {
    if (this.#refused !== null) throw this.#refused
  }

  close(): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#listener = null
    for (const link of this.#links.values()) link.end()
    this.#links.clear()
  }
}

/** @throws StoreError ERR_STORE_TIMEOUT */
function soon<T>(answer: Promise<T>): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(timeoutError('answer', LATE)), LATE).unref()
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
