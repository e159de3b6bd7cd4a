/**
 * Copying entries from one store to another (feature B12, row 236): backups, moving from one backend to the next.
 *
 * Rule 1: bodies stream from one to the other; no more than what the target takes whole is ever held.
 * Rule 2: an entry is copied as it is: metadata, and when it was made, expires and is of no more use. Only its version is new.
 * Rule 3: one entry's failure is counted and told, and the others are copied; a store that is closed ends it all.
 */
import { concat } from '../engine/bytes.ts'
import { OptionError, StoreError } from '../errors.ts'
import type { ListableStore, ListedEntry, Store, StoredBody } from '../engine/ports.ts'
import { checkOptions } from './options.ts'

export interface CopyOptions {
  /** Called after each entry, with the counts so far. What it throws ends the copying. */
  readonly onProgress?: (progress: CopyProgress) => void
  /** Which entries are copied. Default: all. The others are counted nowhere. */
  readonly filter?: (entry: ListedEntry) => boolean
  /** How many entries are copied at once. Default 4. */
  readonly concurrency?: number
  /** Ends the copying: nothing further is begun, and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface CopyResult {
  /** Entries that are in the target now. */
  readonly copied: number
  /** Entries that were corrupt, or gone when their turn came. */
  readonly skipped: number
  /** Entries that could not be read or written. */
  readonly failed: number
  /** Bytes of the bodies that were copied. */
  readonly bytes: number
}

export interface CopyProgress extends CopyResult {
  readonly key: string
  readonly outcome: 'copied' | 'skipped' | 'failed'
  /** Why it was skipped or failed; undefined: it was copied, or was gone. */
  readonly error: unknown
}

type Outcome = Pick<CopyProgress, 'outcome' | 'error'> & { readonly bytes: number }

/**
 * Copies what a store holds into another one, over what is there under the same keys. Entries that are written meanwhile may or may
 * not be copied.
 *
 * @returns how many were copied, skipped (corrupt, or gone meanwhile) and failed, and how many bytes of bodies were copied
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE; StoreError ERR_STORE_CLOSED; the reason of `signal`; what listing throws
 * @example
 * ```ts
 * import { copyEntries, MemoryStore } from 'keepfresh'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const { copied, failed } = await copyEntries(new SqliteStore('http.db'), new MemoryStore(), {
 *   filter: (entry) => entry.expiresAt > Date.now(),
 *   onProgress: ({ key, outcome }) => console.log(outcome, key),
 * })
 * ```
 */
export async function copyEntries(from: ListableStore, to: Store, options: CopyOptions = {}): Promise<CopyResult> {
  checkOptions('copyEntries', options, {
    onProgress: { type: 'function' },
    filter: { type: 'function' },
    concurrency: { type: 'number', range: [1, 1000] },
    signal: { type: 'object' },
  })
  if (from === to)
    throw new OptionError('ERR_OPTION_VALUE', 'to', 'copyEntries: `to` is the store that is copied from.')
  const copying = new Copying(from, to, options)
  // The rest is ended before the first failure is told: nothing goes on behind the caller's back.
  const workers = Array.from({ length: options.concurrency ?? 4 }, () => copying.work())
  const ended = await Promise.allSettled(workers)
  for (const worker of ended) if (worker.status === 'rejected') throw worker.reason
  return copying.result
}

class Copying {
  result: CopyResult = { copied: 0, skipped: 0, failed: 0, bytes: 0 }
  readonly #from: ListableStore
  readonly #to: Store
  readonly #options: CopyOptions
  readonly #entries: AsyncIterator<ListedEntry>
  #next: Promise<unknown> = Promise.resolve()
  #isOver = false

  constructor(from: ListableStore, to: Store, options: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#entries = from.entries()[Symbol.asyncIterator]()
  }

  async work(): Promise<void> {
    try {
      for (;;) {
        const entry = await this.#take()
        if (entry === null) return
        this.#count(entry.key, await this.#copy(entry.key))
      }
    } catch (error) {
      this.#isOver = true
      await this.#entries.return?.()
      throw error
    }
  }

  /** The next entry to copy: one worker asks at a time. */
  #take(): Promise<ListedEntry | null> {
    const taken = this.#next.then(() => this.#find())
    this.#next = taken.catch(() => undefined)
    return taken
  }

  async #find(): Promise<ListedEntry | null> {
    const { filter, signal } = this.#options
    for (;;) {
      signal?.throwIfAborted()
      if (this.#isOver) return null
      const { done, value } = await this.#entries.next()
      if (done === true) {
        this.#isOver = true
        return null
      }
      if (filter === undefined || filter(value)) return value
    }
  }

  async #copy(key: string): Promise<Outcome> {
    try {
      const entry = await this.#from.read(key)
      if (entry === undefined) return { outcome: 'skipped', error: undefined, bytes: 0 }
      const { meta, createdAt, expiresAt, keepUntil, body } = entry
      await this.#to.write({ key, meta, createdAt, expiresAt, keepUntil }, await this.#bodyFor(body))
      return { outcome: 'copied', error: undefined, bytes: body.size }
    } catch (error) {
      const code = error instanceof StoreError ? error.code : null
      this.#options.signal?.throwIfAborted()
      if (code === 'ERR_STORE_CLOSED') throw error
      return { outcome: code === 'ERR_STORE_CORRUPT' ? 'skipped' : 'failed', error, bytes: 0 }
    }
  }

  /** Whole up to what the target takes whole (StoreLimits.inlineSize), otherwise a stream. */
  async #bodyFor(body: StoredBody): Promise<Uint8Array | ReadableStream<Uint8Array>> {
    const { size, bytes } = body
    const isShort = size <= this.#to.limits.inlineSize
    if (bytes !== null && isShort) return bytes
    const stream = checked(body.open(0, size), size, this.#options.signal)
    if (!isShort) return stream
    const chunks: Uint8Array[] = []
    for await (const chunk of stream) chunks.push(chunk)
    return concat(chunks, size)
  }

  #count(key: string, { outcome, error, bytes }: Outcome): void {
    const { copied, skipped, failed, bytes: before } = this.result
    this.result = {
      copied: copied + (outcome === 'copied' ? 1 : 0),
      skipped: skipped + (outcome === 'skipped' ? 1 : 0),
      failed: failed + (outcome === 'failed' ? 1 : 0),
      bytes: before + bytes,
    }
    this.#options.onProgress?.({ ...this.result, key, outcome, error })
  }
}

/** The stream, failing where it is not of its length: half a body is never copied. Between chunks it may be ended by the signal. */
function checked(
  stream: ReadableStream<Uint8Array>,
  size: number,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  let left = size
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        signal?.throwIfAborted()
        left -= chunk.length
        controller.enqueue(chunk)
      },
      flush() {
        if (left !== 0) throw new StoreError('ERR_STORE_CORRUPT', 'The body of an entry is not of its length.')
      },
    }),
  )
}
