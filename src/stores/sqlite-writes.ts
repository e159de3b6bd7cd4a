/**
 * Short writes of one turn of the event loop, made in one transaction: what a transaction costs is shared by all of them.
 *
 * 1. They are made when the turn is over: at once where they are many or long, before their keys are read or changed, when the store
 *    is closed, and when the process exits. Stores of one file, in one thread, see what the others have to write.
 * 2. Each has an outcome of its own: where they fail together, each is tried alone. Whoever is told of a failure finds all others made.
 */
import { clearImmediate, setImmediate } from 'node:timers'
import { StoreError } from '../errors.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import type { Statements } from './sqlite-statements.ts'

const MAX_WRITES = 128
const MAX_BYTES = 1024 * 1024

/** A row, its place in the indexes, and what leads there: pages that a write changes beside its body. */
const PAGES = 16 * 1024

/** About how many bytes the write of a body adds to the log. */
export function growth(bytes: number): number {
  return bytes + PAGES
}

interface Write {
  readonly change: (statements: Statements) => void
  readonly failed: (error: unknown) => void
}

interface Failure {
  readonly failed: (error: unknown) => void
  readonly error: unknown
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
  readonly #file: string | null
  readonly #done: () => void
  #writes: Write[] = []
  readonly #keys = new Set<string>()
  #bytes = 0
  #turn: NodeJS.Immediate | null = null

  /**
   * @param file null: a database of this store alone
   * @param done called after writes were made
   */
  constructor(access: SqliteAccess, file: string | null, done: () => void) {
    this.#access = access
    this.#file = file
    this.#done = done
    watchExit()
  }

  /** `failed` is told a StoreError. */
  add(key: string, bytes: number, change: (statements: Statements) => void, failed: (error: unknown) => void): void {
    this.#writes.push({ change, failed })
    this.#keys.add(key)
    this.#bytes += bytes
    if (this.#writes.length >= MAX_WRITES || this.#bytes >= MAX_BYTES) this.#make()
    else if (this.#turn === null) {
      this.#turn = setImmediate(() => this.#make())
      waiting.add(this)
    }
  }

  /** Makes what is to be written to the file, if this key is among it. */
  flushFor(key: string): void {
    for (const writes of waiting) if (writes.#keys.has(key) && this.#sharesFile(writes)) return this.flush()
  }

  /** Makes what is to be written to the file. */
  flush(): void {
    if (waiting.size === 0) return
    // Only what waits now: who is told of a failure may have more to write.
    const all = [...waiting]
    for (const writes of all) if (this.#sharesFile(writes)) writes.#make()
  }

  #sharesFile(other: SqliteWrites): boolean {
    return other === this || (this.#file !== null && other.#file === this.#file)
  }

  #make(): void {
    if (this.#writes.length === 0) return
    const writes = this.#writes
    this.#writes = []
    this.#keys.clear()
    const grown = this.#bytes
    this.#bytes = 0
    if (this.#turn !== null) clearImmediate(this.#turn)
    this.#turn = null
    waiting.delete(this)
    const failures = this.#together(writes) ?? writes.flatMap((write) => this.#alone(write))
    this.#access.grew(grown + writes.length * PAGES)
    for (const { failed, error } of failures) failed(error)
    this.#done()
  }

  /** Rule 2; null: nothing of it is made, and it was not the wait for others that failed. */
  #together(writes: readonly Write[]): readonly Failure[] | null {
    if (writes.length === 1) return null
    try {
      this.#access.change((statements) => {
        for (const { change } of writes) change(statements)
      })
      return []
    } catch (error) {
      const isBusy = error instanceof StoreError && error.code === 'ERR_STORE_BUSY'
      return isBusy ? writes.map(({ failed }) => ({ failed, error })) : null
    }
  }

  #alone({ change, failed }: Write): readonly Failure[] {
    try {
      this.#access.run(change)
      return []
    } catch (error) {
      return [{ failed, error }]
    }
  }
}
