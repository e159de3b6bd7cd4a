/**
 * One at a time, among all processes: whoever changes an entry or a lease holds its mutex for the few calls that takes.
 *
 * 1. A mutex is a file that only one can make: a copy of a file that says who we are, made with O_EXCL.
 * 2. The mutex of a process of this machine that has died is taken from it at once; any other one that stays the same for STALE ms
 *    is taken, too. Who takes it renames it first, so that only one can, and gives it back if it turns out to be a new one.
 * 3. Where the disk is full the file is empty, which needs no room: what is there can be removed even then. Nobody learns from it whose
 *    it is.
 * 4. A holder that was held up for STALE / 2 ms gives up (`check`), before anyone could think it dead.
 */
import { readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import { reason, type Files } from './file-system.ts'
import { newId, type Layout } from './file-layout.ts'

const STALE = 4000
const LONGEST_PAUSE = 25

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Mutexes {
  readonly #files: Files
  readonly #layout: Layout
  readonly #timeout: number
  readonly #reopen: () => void
  /** The last in the queue of this process for each mutex. */
  readonly #queues = new Map<string, Promise<unknown>>()
  readonly #identity: string
  #identified: Promise<void> | null = null
  #closed = false

  /** `reopen` makes the directory anew, where it was removed under us. */
  constructor(files: Files, layout: Layout, timeout: number, reopen: () => void) {
    this.#files = files
    this.#layout = layout
    this.#timeout = timeout
    this.#reopen = reopen
    this.#identity = layout.lock(`${newId()}.owner`)
  }

  /**
   * Runs `action` as the only one with this name. It calls `check` right before what it must not do too late.
   * @throws StoreError ERR_STORE_BUSY where others hold it for longer than the timeout; whatever `action` throws
   */
  async run<T>(name: string, action: (check: () => void) => Promise<T>): Promise<T> {
    const before = this.#queues.get(name)
    const turn = Promise.withResolvers<void>()
    this.#queues.set(name, turn.promise)
    try {
      await before
      return await this.#alone(this.#layout.lock(`${name}.busy`), action)
    } finally {
      if (this.#queues.get(name) === turn.promise) this.#queues.delete(name)
      turn.resolve()
      if (this.#closed) await this.#unidentify()
    }
  }

  async #alone<T>(path: string, action: (check: () => void) => Promise<T>): Promise<T> {
    await this.#acquire(path)
    const since = performance.now()
    const check = (): void => {
      if (performance.now() - since < STALE / 2) return
      throw new StoreError('ERR_STORE_BUSY', `A change under ${path} took too long and was given up.`)
    }
    try {
      return await action(check)
    } finally {
      await this.#release(path)
    }
  }

  async #acquire(path: string): Promise<void> {
    const start = performance.now()
    let seen = ''
    let since = start
    for (let pause = 1; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      if (await this.#make(path)) return
      const holder = await this.#files.stat(path)
      if (holder === null) continue
      const mark = `${holder.ino} ${holder.mtimeMs} ${holder.ctimeMs}`
      const now = performance.now()
      if (mark !== seen) {
        seen = mark
        since = now
      }
      if (now - since > STALE || (await this.#isDead(path))) await this.#take(path, holder.ino, holder.mtimeMs)
      else if (now - start > this.#timeout) {
        throw new StoreError('ERR_STORE_BUSY', `Another process holds ${path} for more than ${this.#timeout} ms.`)
      } else await wait(pause * (0.5 + Math.random()))
    }
  }

  /** False: someone has it. */
  async #make(path: string): Promise<boolean> {
    for (let attempt = 0; ; attempt++) {
      const identified = (this.#identified ??= this.#identify())
      try {
        await identified
        return await this.#files.copyNew(this.#identity, path)
      } catch (error) {
        // Unless another change has noticed, too, and makes it anew by now.
        if (this.#identified === identified) this.#identified = null
        if (error instanceof StoreError && error.code === 'ERR_STORE_FULL') return this.#files.makeEmpty(path)
        if (attempt > 0 || reason(error) !== 'ENOENT') throw error
        // The file that says who we are is gone, perhaps with all of the directory.
        this.#reopen()
      }
    }
  }

  async #identify(): Promise<void> {
    await this.#files.remove(this.#identity)
    await this.#files.save(this.#identity, encoder.encode(`${process.pid} ${machine()}`), false)
  }

  async #release(path: string): Promise<void> {
    try {
      await this.#files.remove(path)
    } catch {
      // Once more, since others would have to wait; then they find it stale.
      await this.#files.discard(path)
    }
  }

  async #isDead(path: string): Promise<boolean> {
    const [, pid = '', place = ''] =
      /^(\d+) (.+)$/s.exec(decoder.decode((await this.#files.load(path)) ?? undefined)) ?? []
    if (place !== machine() || Number(pid) === process.pid) return false
    try {
      process.kill(Number(pid), 0)
      return false
    } catch (error) {
      return reason(error) === 'ESRCH'
    }
  }

  async #take(path: string, ino: number, modified: number): Promise<void> {
    const taken = this.#layout.lock(`${newId()}.dead`)
    try {
      await this.#files.rename(path, taken)
    } catch (error) {
      if (reason(error) === 'ENOENT') return
      throw error
    }
    const found = await this.#files.stat(taken)
    // Someone else took the dead one first, and this is the next holder's.
    if (found !== null && (found.ino !== ino || found.mtimeMs !== modified)) await this.#files.copyNew(taken, path)
    await this.#files.discard(taken)
  }

  /** Removes the file that says who we are. A change whose body still comes in makes it again, and removes it again. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#queues.values())
    await this.#unidentify()
  }

  async #unidentify(): Promise<void> {
    if (this.#identified === null || this.#queues.size > 0) return
    this.#identified = null
    await this.#files.discard(this.#identity)
  }
}

let place: string | null = null

/** Where our process ids mean something: the machine, and on Linux the container. */
function machine(): string {
  place ??= `${hostname()} ${namespace()}`
  return place
}

function namespace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    // Not Linux, or no /proc: the name of the machine has to do.
    return ''
  }
}
