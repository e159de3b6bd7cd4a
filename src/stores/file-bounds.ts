/**
 * Keeping within maxEntries and maxBytes: the longest unused go first, by the time of their files.
 *
 * 1. There is no index: the number of entries and bytes is counted once, then kept up with our own changes, and put right by every
 *    pass over the directory, which also sees what other processes did.
 * 2. A pass removes a tenth more than needed, so that passes are rare. Where there are many entries it goes by batches and takes
 *    from each the same share: names are hashes, so that every batch is a fair sample of all.
 * 3. A hit marks its file as used at most once a minute; no one waits for that.
 * 4. What goes while a pass is on its way may or may not have been counted by it. It is taken for counted and not subtracted: too high
 *    an account brings the next pass sooner, one too low would let the bounds be exceeded until another comes.
 */
import type { Group } from './file-walk.ts'
import { groups, inParallel } from './file-walk.ts'
import { space, type Balance } from './file-changes.ts'
import type { Layout } from './file-layout.ts'
import type { FileSettings } from './file-options.ts'
import type { Files } from './file-system.ts'

const BATCH = 20_000
const TOUCH_EVERY = 60_000
const TOUCHED = 10_000
/** By how much the bounds may be exceeded while a pass is under way; beyond it, writes wait for the pass. */
const SLACK = 1.25

interface Candidate {
  readonly digest: string
  readonly time: number
  readonly bytes: number
}

interface Amount {
  entries: number
  bytes: number
}

export class Bounds {
  /** Whether there are bounds at all. */
  readonly active: boolean
  readonly #files: Files
  readonly #layout: Layout
  readonly #settings: FileSettings
  readonly #remove: (digest: string) => Promise<boolean>
  readonly #touched = new Map<string, number>()
  readonly #held: Amount = { entries: 0, bytes: 0 }
  #counted = false
  /** Passes that began or ended going through the directory: odd while one does. */
  #turns = 0
  #stopped = false
  #work: Promise<void> | null = null

  constructor(files: Files, layout: Layout, settings: FileSettings, remove: (digest: string) => Promise<boolean>) {
    this.#files = files
    this.#layout = layout
    this.#settings = settings
    this.#remove = remove
    this.active = settings.maxEntries < Infinity || settings.maxBytes < Infinity
  }

  /** Something was read: it goes later. */
  used(path: string): void {
    if (!this.active) return
    const now = Date.now()
    if (now - (this.#touched.get(path) ?? 0) < TOUCH_EVERY) return
    if (this.#touched.size >= TOUCHED) this.#touched.clear()
    this.#touched.set(path, now)
    // The time is a hint for what goes first; the read it belongs to is done.
    this.#files.touch(path, now / 1000).catch(() => undefined)
  }

  /** Called before a change of our own; what it returns is told what the change added or took (rule 4). */
  account(): Balance {
    const turn = this.#turns
    return (entries, bytes) => {
      const isSure = turn === this.#turns && turn % 2 === 0
      this.#held.entries += isSure ? entries : Math.max(0, entries)
      this.#held.bytes += isSure ? bytes : Math.max(0, bytes)
    }
  }

  /** Called after a write: makes room if needed, and has it wait where too much is held. */
  enforce(): Promise<void> | void {
    if (!this.active || (this.#counted && !this.#isOver(1))) return
    this.#work ??= this.#run().finally(() => {
      this.#work = null
    })
    if (this.#counted && this.#isOver(SLACK)) return this.#work
  }

  /** When what is under way has ended. */
  settled(): Promise<void> {
    return this.#work ?? Promise.resolve()
  }

  stop(): void {
    this.#stopped = true
  }

  #isOver(slack: number): boolean {
    const { maxEntries, maxBytes } = this.#settings
    return this.#held.entries > maxEntries * slack || this.#held.bytes > maxBytes * slack
  }

  async #run(): Promise<void> {
    try {
      for (let passes = 0; passes < 3 && !this.#stopped && (!this.#counted || this.#isOver(1)); passes++) {
        await this.#pass()
      }
    } catch {
      // A directory that cannot be gone through now is met again by the next write, whose own errors are reported.
      this.#counted = false
    }
  }

  async #pass(): Promise<void> {
    this.#turns += 1
    let rest: { batch: Candidate[]; keep: Amount | null }
    try {
      rest = await this.#walk()
    } finally {
      this.#turns += 1
    }
    if (rest.keep !== null) await this.#evict(rest.batch, rest.keep)
    else if (this.#isOver(1)) await this.#evict(rest.batch, this.#target())
  }

  /**
   * Counts everything, and removes from all batches but the last, which it returns with what is to be kept of it: null where it is the
   * only one.
   */
  async #walk(): Promise<{ batch: Candidate[]; keep: Amount | null }> {
    const before = { ...this.#held }
    const found: Amount = { entries: 0, bytes: 0 }
    const share = this.#counted ? this.#share(before) : { entries: 1, bytes: 1 }
    let batch: Candidate[] = []
    let batches = 0
    for await (const folder of groups(this.#files, this.#layout)) {
      if (this.#stopped) return { batch: [], keep: null }
      await inParallel(folder, async (group) => {
        const candidate = await this.#candidate(group)
        found.entries += candidate.time === Infinity ? 0 : 1
        found.bytes += candidate.bytes
        if (candidate.time !== Infinity) batch.push(candidate)
      })
      if (batch.length < BATCH) continue
      batches += 1
      const gone = await this.#evict(batch, shareOf(amountOf(batch), share))
      found.entries -= gone.entries
      found.bytes -= gone.bytes
      batch = []
    }
    this.#held.entries += found.entries - before.entries
    this.#held.bytes += found.bytes - before.bytes
    this.#counted = true
    return { batch, keep: batches > 0 ? shareOf(amountOf(batch), share) : null }
  }

  async #candidate({ digest, entry, bodies }: Group): Promise<Candidate> {
    const { blockBytes } = this.#settings
    const head = entry ? await this.#files.stat(this.#layout.entry(digest)) : null
    let bytes = space(head?.size ?? 0, blockBytes)
    for (const id of bodies) {
      bytes += space((await this.#files.stat(this.#layout.body(digest, id)))?.size ?? 0, blockBytes)
    }
    return { digest, time: head?.mtimeMs ?? Infinity, bytes }
  }

  /** What to come down to: a tenth below the bounds. */
  #target(): Amount {
    const { maxEntries, maxBytes } = this.#settings
    return { entries: lowered(maxEntries), bytes: lowered(maxBytes) }
  }

  /** Which share of everything is to stay. */
  #share(held: Amount): Amount {
    const { entries, bytes } = this.#target()
    return { entries: Math.min(1, entries / held.entries), bytes: Math.min(1, bytes / held.bytes) }
  }

  /** Removes the oldest of a batch until no more than `keep` is left; what went. */
  async #evict(batch: Candidate[], keep: Amount): Promise<Amount> {
    const left = amountOf(batch)
    const goes: Candidate[] = []
    batch.sort((a, b) => a.time - b.time)
    for (const candidate of batch) {
      if (left.entries <= keep.entries && left.bytes <= keep.bytes) break
      goes.push(candidate)
      left.entries -= 1
      left.bytes -= candidate.bytes
    }
    const gone: Candidate[] = []
    await inParallel(goes, async (candidate) => {
      if (!this.#stopped && (await this.#remove(candidate.digest))) gone.push(candidate)
    })
    return amountOf(gone)
  }
}

function lowered(bound: number): number {
  return bound === Infinity ? Infinity : bound - Math.floor(bound / 10)
}

function amountOf(batch: readonly Candidate[]): Amount {
  return { entries: batch.length, bytes: batch.reduce((sum, { bytes }) => sum + bytes, 0) }
}

function shareOf(all: Amount, share: Amount): Amount {
  return { entries: all.entries * share.entries, bytes: all.bytes * share.bytes }
}
