/**
 * The way to MongoDB: a client made at the first use, and closed with the store, or when nothing is going on any more.
 *
 * 1. Once connected, the driver connects again by itself. Until then, between two attempts, every use fails at once; and none waits
 *    longer than allowed (RELIABILITY 36-38).
 * 2. A client that was given to us is never closed.
 * 3. The driver's sockets and timers hold the event loop. A client that a script forgot to close is closed once it is idle and the
 *    process has nothing else to wait for than timers and connections; a process that listens keeps it (RELIABILITY 161).
 */
import { StoreError } from '../errors.ts'
import { Attempts } from './attempts.ts'
import { collectionsOf, makeClient, type Collections, type OwnClient } from './mongodb-driver.ts'
import { commandError, connectError, isUnconnected, timeoutError } from './mongodb-errors.ts'
import type { MongoSettings } from './mongodb-options.ts'
import { Deadlines } from './deadlines.ts'

/** Resources that a process has whose client is idle, and that has nothing else to do; not those of a server. */
const IDLE: ReadonlySet<string> = new Set(['TCPSocketWrap', 'TLSWrap', 'PipeWrap', 'TTYWrap', 'Timeout', 'Immediate'])

type Action<T> = (collections: Collections) => Promise<T>

export class MongoConnection {
  readonly #settings: MongoSettings
  readonly #deadlines: Deadlines
  #collections: Collections | null = null
  #own: OwnClient | null = null
  #opening: Promise<Collections> | null = null
  #reconnecting: Promise<unknown> | null = null
  /** With `strict`: the first connection, until it is there; for ever where it failed. */
  #checked: Promise<void> | null = null
  readonly #attempts = new Attempts()
  /** Commands begun and ended. */
  #begun = 0
  #ended = 0
  #watch: NodeJS.Timeout | null = null
  #closed = false

  constructor(settings: MongoSettings) {
    this.#settings = settings
    this.#deadlines = new Deadlines(settings.commandTimeout)
    if (settings.client !== null) this.#collections = collectionsOf(settings.client, settings)
    if (!settings.strict) return
    this.#checked = this.ready()
    this.#checked.then(
      () => {
        this.#checked = null
      },
      // Whoever uses the store, or asks whether it is ready, meets the failure.
      () => undefined,
    )
  }

  /** Asks the server, in as many steps as `action` takes, and maps its answer; fails with a StoreError, in time. */
  run<T, U>(action: Action<T>, map: (answer: T) => U): Promise<U> {
    this.assertOpen()
    this.#begun++
    const collections = this.#collections
    const answer = collections === null || this.#checked !== null ? this.#runLater(action) : action(collections)
    return this.#deadlines.settle(
      answer,
      (value) => {
        this.#ended++
        return map(value)
      },
      (error) => {
        this.#ended++
        return this.#failed(error)
      },
      // It is given up by its caller, and has not ended: the client is in use until the driver has done with it.
      () => timeoutError(this.#settings.commandTimeout),
    )
  }

  /** The same, for what is wanted as it is. */
  ask<T>(action: Action<T>): Promise<T> {
    return this.run(action, (answer) => answer)
  }

  /** The client is in use until the function that is returned is called: between the batches of a listing. */
  hold(): () => void {
    this.#begun++
    return () => void this.#ended++
  }

  async #runLater<T>(action: Action<T>): Promise<T> {
    if (this.#checked !== null) await this.#checked
    return action(this.#collections ?? (await this.#open()))
  }

  #open(): Promise<Collections> {
    const { refusal } = this.#attempts
    if (refusal !== null) return Promise.reject(refusal)
    this.#opening ??= this.#connect().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  async #connect(): Promise<Collections> {
    try {
      const own = (this.#own = await makeClient(this.#settings))
      // By itself the driver would go on with a client whose first attempt failed, and never connect it again.
      await own.connect()
      this.#attempts.succeeded()
      this.#watchIdle()
      return (this.#collections = collectionsOf(own, this.#settings))
    } catch (error) {
      await this.#end()
      throw this.#attempts.failed(connectError(error))
    }
  }

  /** What failed, as a StoreError. A client given to us whose first attempt to connect failed is told to try again. */
  #failed(error: unknown): Error {
    const { client } = this.#settings
    if (client !== null && isUnconnected(error)) {
      // Whether it comes to be connected is seen by the next use.
      this.#reconnecting ??= client
        .connect()
        .catch(() => undefined)
        .finally(() => {
          this.#reconnecting = null
        })
    }
    return commandError(error)
  }

  /** @throws StoreError, StateError ERR_MISSING_PEER */
  async ready(): Promise<void> {
    if (this.#checked !== null) return this.#checked
    await this.ask(({ database }) => database.command({ ping: 1 }))
  }

  /** @throws StoreError ERR_STORE_CLOSED */
  assertOpen(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', 'the mongodb store is closed')
  }

  #watchIdle(): void {
    const { idleTimeout } = this.#settings
    if (idleTimeout === Infinity) return
    let seen = -1
    const look = (): void => {
      if (this.#begun === seen && this.#ended === seen && isIdleProcess()) return void this.#end()
      seen = this.#begun
    }
    this.#watch = setInterval(look, Math.max(1, Math.ceil(Math.min(idleTimeout, 2 ** 32 - 2) / 2))).unref()
  }

  /** Lets go of a client of ours; a later use makes another. */
  async #end(): Promise<void> {
    const own = this.#own
    if (this.#watch !== null) clearInterval(this.#watch)
    this.#watch = null
    this.#own = null
    if (own === null) return
    this.#collections = null
    await own.close().catch(() => undefined)
  }

  /** Waits for what is under way, then closes what is ours. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#opening?.catch(() => undefined)
    await this.#reconnecting
    await this.#deadlines.idle()
    await this.#end()
  }
}

/** Whether nothing but timers and connections keeps the process alive. Where the runtime cannot say, no. */
function isIdleProcess(): boolean {
  // A worker of a cluster may listen through its parent.
  if (process.connected) return false
  const resources: readonly string[] | undefined = process.getActiveResourcesInfo?.()
  return resources?.every((resource) => IDLE.has(resource)) ?? false
}
