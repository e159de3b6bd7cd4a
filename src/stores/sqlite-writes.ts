/**
 * Short writes of one turn of the event loop, made in one transaction: what a transaction costs is shared by all of them.
 *
 * 1. They are made when the turn is over: at once where they are many or long, before their keys are read or changed, when the store
 *    is closed, and when the process exits.
 * 2. Each has an outcome of its own: where they fail together, each is tried alone.
 */
import { clearImmediate, setImmediate } from 'node:timers'
import { StoreError } from '../errors.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { Statements } from './sqlite-statements.ts'

const MAX_WRITES = 128
const MAX_BYTES = 1024 * 1024

interface Write {
  readonly change: (statements: Statements) => void
  readonly failed: (error: unknown) => void
}

/** Those that have something to write. */
const waiting = new Set<SqliteWrites>()

let watchesExit = false

/** A process that exits in the middle of a turn has answered from what it has not written yet. */
function watchExit(): void {
  if (watchesExit) return
  watchesExit = true
  process.on('exit', () => {
    for (const writes of waiting) writes.flush()
  })
}

export class SqliteWrites {
  readonly #access: SqliteAccess
  readonly #done: () => void
  #writes: Write[] = []
  readonly #keys = new Set<string>()
  #bytes = 0
  #turn: NodeJS.Immediate | null = null

  /** @param done called after writes were made */
  constructor(access: SqliteAccess, done: () => void) {
    this.#access = access
    this.#done = done
    watchExit()
  }

  /** `failed` is told a StoreError. */
  add(key: string, bytes: number, change: (statements: Statements) => void, failed: (error: unknown) => void): void {
    this.#writes.push({ change, failed })
    this.#keys.add(key)
    this.#bytes += bytes
    if (this.#writes.length >= MAX_WRITES || this.#bytes >= MAX_BYTES) this.flush()
    else if (this.#turn === null) {
      this.#turn = setImmediate(() => this.flush())
      waiting.add(this)
    }
  }

  /** Makes what is to be written, if this key is among it. */
  flushFor(key: string): void {
    if (this.#keys.size > 0 && this.#keys.has(key)) this.flush()
  }

  flush(): void {
    if (this.#writes.length === 0) return
    const writes = this.#writes
    this.#writes = []
    this.#keys.clear()
    this.#bytes = 0
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#turn = null
    waiting.delete(this)
    if (!this.#together(writes)) for (const write of writes) this.#alone(write)
    this.#done()
  }

  /** Rule 2; false: nothing of it is made, and it was not the wait for others that failed. */
  #together(writes: readonly Write[]): boolean {
    if (writes.length === 1) return false
    try {
      this.#access.change((statements) => {
        for (const { change } of writes) change(statements)
      })
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'ERR_STORE_BUSY')) return false
      for (const { failed } of writes) failed(error)
    }
    return true
  }

  #alone({ change, failed }: Write): void {
    try {
      this.#access.run(change)
    } catch (error) {
      failed(error)
    }
  }
}
