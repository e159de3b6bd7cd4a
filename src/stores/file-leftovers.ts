/**
 * Collecting what crashes left: files that were being written, bodies no entry names, ended leases, mutexes of the dead.
 *
 * Only what has been left alone for an hour is removed: whoever is still writing it has touched it since. It is done when a
 * directory is opened, at most once an hour for all processes: the time of the mark is when it was done last.
 */
import { join } from 'node:path'
import type { Layout } from './file-layout.ts'
import { MARK_DRAFT } from './file-layout.ts'
import type { Leases } from './file-leases.ts'
import type { EntryReader } from './file-reader.ts'
import type { Files } from './file-system.ts'
import { groups, inParallel, type Group } from './file-walk.ts'

const HOUR = 3_600_000
const LOCK_FILE = /^[0-9a-f]{16,64}(\.lease)?\.(busy|dead|tmp|owner)$/
const LEASE = /^[0-9a-f]{64}\.lease$/

export class Leftovers {
  readonly #files: Files
  readonly #layout: Layout
  readonly #reader: EntryReader
  readonly #leases: Leases
  #stopped = false

  constructor(files: Files, layout: Layout, reader: EntryReader, leases: Leases) {
    this.#files = files
    this.#layout = layout
    this.#reader = reader
    this.#leases = leases
  }

  stop(): void {
    this.#stopped = true
  }

  /** Collects, unless someone did within the last hour. */
  async collectIfDue(): Promise<void> {
    const mark = await this.#files.stat(this.#layout.mark)
    const now = Date.now()
    if (mark === null || Math.abs(now - mark.mtimeMs) < HOUR) return
    await this.#files.touch(this.#layout.mark, now / 1000)
    await this.collect()
  }

  /** How many files were removed. */
  async collect(): Promise<number> {
    const before = Date.now() - HOUR
    let count = 0
    for await (const folder of groups(this.#files, this.#layout)) {
      await inParallel(folder, async (group) => {
        if (!this.#stopped) count += await this.#ofEntry(group, before)
      })
    }
    for (const { name } of await this.#files.list(this.#layout.dir)) {
      if (MARK_DRAFT.test(name) && (await this.#removeOld(join(this.#layout.dir, name), before))) count += 1
    }
    await inParallel(await this.#files.list(this.#layout.locks), async ({ name }) => {
      if (this.#stopped) return
      if (LEASE.test(name)) await this.#leases.collect(name, before)
      else if (LOCK_FILE.test(name) && (await this.#removeOld(this.#layout.lock(name), before))) count += 1
    })
    return count
  }

  async #ofEntry({ digest, bodies, temps }: Group, before: number): Promise<number> {
    let count = 0
    for (const id of temps) if (await this.#removeOld(this.#layout.temp(digest, id), before)) count += 1
    for (const id of bodies) {
      const path = this.#layout.body(digest, id)
      if (!(await this.#isOld(path, before)) || (await this.#named(digest)) === id) continue
      if (await this.#files.remove(path)) count += 1
    }
    return count
  }

  /** The body that the entry has; a damaged entry has none. */
  async #named(digest: string): Promise<string | null> {
    try {
      const entry = await this.#reader.lines(this.#layout.entry(digest))
      return entry !== undefined && entry.chunk > 0 ? entry.id : null
    } catch (error) {
      if (isDamage(error)) return null
      throw error
    }
  }

  async #isOld(path: string, before: number): Promise<boolean> {
    const found = await this.#files.stat(path)
    return found !== null && found.mtimeMs < before
  }

  async #removeOld(path: string, before: number): Promise<boolean> {
    return (await this.#isOld(path, before)) && (await this.#files.remove(path))
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STORE_CORRUPT'
}
