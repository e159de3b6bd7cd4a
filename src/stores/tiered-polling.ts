/**
 * Coherence by looking: a short log of changes, as one entry of any store that several processes use (feature B8).
 *
 * Rule 1: the log is metadata, changed by `update` only: of two processes that write at once one tries again, none is lost.
 * Rule 2: it holds the last changes; who looks too late for them, or finds another log, takes everything for changed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { isValidMeta, isWrappedMeta } from '../engine/meta.ts'
import { NEVER, type EntryMeta, type Store, type StoredEntry } from '../engine/ports.ts'
import { StoreError } from '../errors.ts'
import { checkOptions, checkStore } from './options.ts'
import type { Coherence, CoherenceListener } from './tiered-coherence.ts'

export interface PollingOptions {
  /** Seconds between two looks: how long another process's change may go unseen. Default 1. */
  readonly interval?: number
  /** The key of the log. Default 'keepfresh:changes'. */
  readonly key?: string
}

/** Changes in the log, and the characters they may have. */
const KEPT = 256
const CHARACTERS = 32_768
const ATTEMPTS = 50
/** A look that takes longer (ms) is one that fails: the channel is down until it ends. */
const LATE = 5000

/** Who changed what; null: anything. */
type Change = readonly [by: string, key: string | null]

interface Log {
  /** Another log is of another id: made after the first was deleted. */
  readonly id: string
  /** How many changes there were, ever. */
  readonly count: number
  /** The last of them. */
  readonly last: readonly Change[]
}

/**
 * Coherence over a store that all processes share: the far store itself, whose lists then contain the log, or a small one of its own.
 * The store is left open at the end.
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE
 * @example
 * ```ts
 * import { SqliteStore } from 'keepfresh/sqlite'
 * import { pollingCoherence, TieredStore } from 'keepfresh/tiered'
 *
 * const far = new SqliteStore('http.db')
 * const store = new TieredStore({ far, coherence: pollingCoherence(new SqliteStore('changes.db'), { interval: 0.5 }) })
 * ```
 */
export function pollingCoherence(store: Store, options: PollingOptions = {}): Coherence & { poll(): Promise<void> } {
  checkOptions('pollingCoherence', options, { interval: { type: 'number', from: 0 }, key: { type: 'string' } })
  checkStore('pollingCoherence', 'store', store)
  return new Polling(store, (options.interval ?? 1) * 1000, options.key ?? 'keepfresh:changes')
}

class Polling implements Coherence {
  readonly #store: Store
  readonly #interval: number
  readonly #key: string
  readonly #self: string = crypto.randomUUID()
  readonly #ended = new AbortController()
  #listener: CoherenceListener | null = null
  #isConnected = false
  #seen: { readonly id: string; readonly count: number } | null = null
  #looking: Promise<void> = Promise.resolve()

  constructor(store: Store, interval: number, key: string) {
    this.#store = store
    this.#interval = Math.max(1, interval)
    this.#key = key
  }

  subscribe(listener: CoherenceListener): void {
    this.#listener = listener
    void this.#keepLooking()
  }

  async #keepLooking(): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      await this.poll()
      // Ends by its signal only.
      await sleep(this.#interval, undefined, { ref: false, signal }).catch(() => undefined)
    }
  }

  /** Looks now; one look at a time. Never rejects: a store that fails is a channel that is down. */
  poll(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look())
    return this.#looking
  }

  async #look(): Promise<void> {
    if (this.#ended.signal.aborted) return
    let log: Log | null
    const late = setTimeout(() => this.#state(false), LATE).unref()
    try {
      log = logOf(await this.#store.read(this.#key))
    } catch {
      // What failed is in the state: the tiered store trusts its memory for less long.
      return this.#state(false)
    } finally {
      clearTimeout(late)
    }
    const before = this.#seen
    this.#seen = log
    this.#state(true)
    if (before === null && log === null) return
    const missed = log === null || log.id !== before?.id ? Infinity : log.count - before.count
    if (log === null || missed < 0 || missed > log.last.length) return this.#listener?.changed(null)
    const others = missed === 0 ? [] : log.last.slice(-missed).filter(([by]) => by !== this.#self)
    const keys = others.map(([, key]) => key).filter((key) => key !== null)
    if (others.length > 0) this.#listener?.changed(keys.length < others.length ? null : keys)
  }

  #state(isConnected: boolean): void {
    if (isConnected === this.#isConnected) return
    this.#isConnected = isConnected
    this.#listener?.connected(isConnected)
  }

  async publish(keys: readonly string[] | null): Promise<void> {
    const all = keys === null || keys.length > KEPT ? [null] : keys
    const changes = all.map((key): Change => [this.#self, key])
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const entry = await this.#store.read(this.#key)
      const log = logOf(entry)
      if (log !== null && entry !== undefined && (await this.#append(entry, log, changes))) return
      if (log === null) await this.#begin()
      // Others are writing: not in step with them.
      if (attempt > 0) await sleep(Math.random() * Math.min(100, 2 ** attempt))
    }
    throw new StoreError(
      'ERR_STORE_BUSY',
      `The log of changes (${this.#key}) could not be written: too many others do.`,
    )
  }

  async #append({ version }: StoredEntry, log: Log, changes: readonly Change[]): Promise<boolean> {
    const last = shortened([...log.last, ...changes])
    const meta = metaOf(this.#key, { id: log.id, count: log.count + changes.length, last })
    return this.#store.update(this.#key, { meta, expiresAt: NEVER, keepUntil: NEVER }, version)
  }

  /** An empty log, under an id that nobody has seen: to all others, anything may have changed. */
  async #begin(): Promise<void> {
    const meta = metaOf(this.#key, { id: crypto.randomUUID(), count: 0, last: [] })
    const head = { key: this.#key, meta, createdAt: 0, expiresAt: NEVER, keepUntil: NEVER }
    await this.#store.write(head, new Uint8Array())
  }

  close(): void {
    this.#ended.abort()
    this.#listener = null
  }
}

/** The last changes that fit. */
function shortened(changes: readonly Change[]): readonly Change[] {
  let characters = 0
  let from = changes.length
  while (from > 0 && changes.length - from < KEPT) {
    characters += changes[from - 1]?.[1]?.length ?? 0
    if (characters > CHARACTERS) break
    from--
  }
  return changes.slice(from)
}

function metaOf(key: string, log: Log): EntryMeta {
  const meta: unknown = { kind: 'wrapped', key, by: 'changes 1', data: JSON.stringify(log) }
  if (!isValidMeta(meta)) throw new TypeError('a log is made of strings')
  return meta
}

/** Null: there is none, or it is unreadable and a new one is due. */
function logOf(entry: StoredEntry | undefined): Log | null {
  const meta: unknown = entry?.meta
  if (!isWrappedMeta(meta) || meta.by !== 'changes 1') return null
  try {
    const log = JSON.parse(meta.data) as Partial<Log> | null
    const { id, count, last } = log ?? {}
    return typeof id === 'string' && typeof count === 'number' && Array.isArray(last) ? { id, count, last } : null
  } catch {
    // Not ours: it is replaced at the next change.
    return null
  }
}
