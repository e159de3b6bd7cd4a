/**
 * Checkpoints of the write-ahead log, in a thread of their own: they wait for the disk, and that would hold the event loop.
 *
 * 1. One thread serves all stores of this one. It starts when the first has written enough, ends when it has had nothing to do for a while,
 *    and keeps no process alive.
 * 2. It opens the file for each checkpoint, and closes it. Who closes a store takes back what has not begun and waits for what has, so that
 *    the store itself is the last to leave the file.
 * 3. SQLite makes checkpoints within a write, as ever, until there is a thread, where there is none, and where the log gets long all the same.
 */
import { setTimeout } from 'node:timers'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { SqliteDatabase } from './sqlite-driver.ts'

/** Bytes in the log after which it is copied: as many as SQLite's own 1000 pages. */
const ENOUGH = 4 * 1024 * 1024
/** Bytes after which long work waits for the thread to be there: before SQLite would make a checkpoint; and for a checkpoint. */
const BEGUN = 1024 * 1024
const LONG = 24 * 1024 * 1024
/** Pages after which SQLite makes a checkpoint itself: 32 MiB where there is a thread, else its own default. */
const PATIENT = 8192
const OWN = 1000
/** ms that the thread stays without work, and that others wait for it at most. */
const IDLE_TIME = 10_000
const PATIENCE = 10_000

const IDLE = 0
const ASKED = 1
const RUNNING = 2

/** It is text, so that bundlers need not know of it. Another connection's failure is not this one's: it is tried again with the next. */
const SOURCE = `
const { statSync } = require('node:fs')
const { parentPort } = require('node:worker_threads')
const { DatabaseSync } = require('node:sqlite')
parentPort.on('message', (asked) => {
  if (asked === null) return parentPort.close()
  const { path, state } = asked
  if (Atomics.compareExchange(state, 0, ${ASKED}, ${RUNNING}) !== ${ASKED}) return
  try {
    statSync(path)
    const database = new DatabaseSync(path)
    try {
      database.exec('PRAGMA synchronous = NORMAL; PRAGMA wal_checkpoint(PASSIVE)')
    } finally {
      database.close()
    }
  } catch {
  } finally {
    Atomics.store(state, 0, ${IDLE})
    Atomics.notify(state, 0)
  }
})
parentPort.postMessage('ready')`

/** The thread. */
class Thread {
  #isReady = false
  /** There is none to be had: without the permission for threads, for example. */
  hasFailed = false
  #worker: Worker | null = null
  #rest: NodeJS.Timeout | null = null

  /** It was there once, and comes again when it is asked. */
  get works(): boolean {
    return this.#isReady && !this.hasFailed
  }

  ask(path: string, state: Int32Array): void {
    if (this.hasFailed) return
    this.#rest = this.#rest?.refresh() ?? setTimeout(() => this.#end(), IDLE_TIME).unref()
    try {
      this.#worker ??= this.#begin()
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
      this.#worker.postMessage({ path, state })
    } catch {
      this.hasFailed = true
    }
  }

  #begin(): Worker {
    // Nothing of how this process was started concerns it: no loaders, no flags, no word about features.
    const worker = new Worker(SOURCE, { eval: true, execArgv: ['--no-warnings'], env: {}, name: 'keepfresh-sqlite' })
    worker.on('message', () => (this.#isReady = true))
    worker.on('error', () => (this.hasFailed = true))
    worker.unref()
    return worker
  }

  /** What it was asked for before is done before. */
  #end(): void {
    this.#worker?.postMessage(null)
    this.#worker = null
  }
}

const thread = /* @__PURE__ */ new Thread()

export class SqliteCheckpoints {
  readonly #database: SqliteDatabase
  readonly #path: string
  readonly #state = new Int32Array(new SharedArrayBuffer(4))
  /** Bytes since a checkpoint was asked for. */
  #grown = 0
  /** Bytes since the whole log was copied, for all that is known. */
  #length = 0
  #pages = OWN
  #isClosed = false

  constructor(database: SqliteDatabase, path: string) {
    this.#database = database
    this.#path = path
  }

  /** About so many bytes were added to the log. */
  grew(bytes: number): void {
    this.#grown += bytes
    this.#length += bytes
    this.#own(thread.works ? PATIENT : OWN)
    if (this.#grown >= ENOUGH) this.#ask()
  }

  #ask(): void {
    if (this.#isClosed) return
    // One that runs has not seen the end of the log: the next write asks again.
    if (Atomics.compareExchange(this.#state, 0, IDLE, ASKED) === RUNNING) return
    this.#grown = 0
    thread.ask(this.#path, this.#state)
  }

  /** Rule 3. */
  #own(pages: number): void {
    if (this.#pages === pages) return
    this.#pages = pages
    // No more than a number that SQLite keeps.
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${pages}`)
  }

  /** Between two steps of long work: waits for the thread to be there, and where the log is long, until it was copied and is begun anew. */
  async caughtUp(): Promise<void> {
    if (this.#length < BEGUN || (this.#pages !== OWN && this.#length < LONG)) return
    const end = performance.now() + PATIENCE
    if (this.#length >= LONG) await this.#settled(end)
    this.#ask()
    await this.#settled(end)
    // One that was not there in so long a time never comes.
    if (this.#isAwaited() && !thread.works) thread.hasFailed = true
    this.#length = 0
  }

  async #settled(end: number): Promise<void> {
    while (this.#isAwaited() && performance.now() < end) await pause(1)
  }

  #isAwaited(): boolean {
    return Atomics.load(this.#state, 0) !== IDLE && !thread.hasFailed
  }

  /** Takes back what has not begun, and waits for what has. */
  stop(): void {
    Atomics.compareExchange(this.#state, 0, ASKED, IDLE)
    if (!thread.hasFailed) Atomics.wait(this.#state, 0, RUNNING, PATIENCE)
  }

  /** Rule 2: also where long work that waits goes on only now. */
  close(): void {
    this.#isClosed = true
    this.stop()
  }
}
