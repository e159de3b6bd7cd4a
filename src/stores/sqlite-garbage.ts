/**
 * The chunks of entries that were deleted or replaced: removed in the background, in slices, since there may be many.
 *
 * 1. They are listed in a table, in the same transaction in which their entry goes: what is not removed now is by whoever comes next.
 * 2. Those that a stream of this process still reads stay until it has ended, or nobody can read it any more.
 * 3. An unfinished body that nobody wrote to for an hour is of a process that died.
 */
import { StoreError } from '../errors.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { patiently } from './sqlite-connection.ts'
import { inSlices } from './sqlite-slices.ts'
import type { Statements } from './sqlite-statements.ts'

/** How long, in ms, nothing is looked for after short writes where nothing was found. */
const QUIET = 1000

/** How old an unfinished body must be, in ms, to count as abandoned. */
const ABANDONED = 3_600_000

export class SqliteGarbage {
  readonly #access: SqliteAccess
  /** Streams open now, by entry id. */
  readonly #held = new Map<number, number>()
  /** A stream that was left half-read, without a word, ends when it is collected. */
  readonly #forgotten = new FinalizationRegistry<() => void>((release) => release())
  #collecting: Promise<void> | null = null
  /** Entries up to this one are being read, or done with. */
  #passed = 0
  /** When nothing was found. */
  #clearAt = -Infinity

  constructor(access: SqliteAccess) {
    this.#access = access
  }

  /** Rule 2; the stream has ended when the function that is returned is called. */
  hold(id: number, stream: object): () => void {
    this.#held.set(id, (this.#held.get(id) ?? 0) + 1)
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      this.#forgotten.unregister(release)
      const left = (this.#held.get(id) ?? 1) - 1
      if (left > 0) return void this.#held.set(id, left)
      this.#held.delete(id)
      this.collectSoon()
    }
    this.#forgotten.register(stream, release, release)
    return release
  }

  /** Rule 3. */
  collectAbandoned(busyTimeout: number): void {
    try {
      const before = Date.now() - ABANDONED
      this.#access.run(({ abandoned, deleteAbandoned }) => {
        if (abandoned.get(before) !== undefined) patiently(busyTimeout, () => deleteAbandoned.run(before))
      })
    } catch (error) {
      // Housekeeping must not keep the file from being read: it is left to the next who opens it.
      if (!(error instanceof StoreError)) throw error
    }
    this.collectSoon()
  }

  /** As collectSoon, after short writes: only what they replaced could be there to collect, which is seldom long. */
  collectSometime(): void {
    if (performance.now() - this.#clearAt > QUIET) this.collectSoon()
  }

  /** Collects in the background, if there is something to collect. */
  collectSoon(): void {
    if (this.#access.isClosed) return
    try {
      if (this.#collecting === null && this.#access.run(({ garbage }) => garbage.get(0) === undefined)) {
        this.#clearAt = performance.now()
        return
      }
    } catch {
      // The change before this one is made and must not be reported as failed; the next use meets the same error.
      return
    }
    // What fails here stays listed, for the next collection.
    this.collect().catch(() => undefined)
  }

  /** Removes the chunks of deleted entries, save those being read. */
  collect(): Promise<void> {
    // Also where it is under way: what was passed may have been let go of, and what came since may be before it.
    this.#passed = 0
    this.#collecting ??= Promise.resolve().then(() => inSlices((n) => this.#step(n), 1))
    return this.#collecting
  }

  /** Removes up to `n` chunks; false: that was all. */
  #step(n: number): boolean {
    let isMore = false
    try {
      isMore = !this.#access.isClosed && this.#access.run((statements) => this.#remove(statements, n))
    } finally {
      if (!isMore) this.#collecting = null
    }
    return isMore
  }

  #remove({ garbage, deleteChunks, deleteGarbage }: Statements, n: number): boolean {
    const entry = garbage.get(this.#passed)?.[0]
    if (typeof entry !== 'number') return false
    if (this.#held.has(entry)) this.#passed = entry
    else if (Number(deleteChunks.run(entry, n).changes) < n) deleteGarbage.run(entry)
    return true
  }
}
