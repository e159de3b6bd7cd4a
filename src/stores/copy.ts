/**
 * Copying entries from one store to another (feature B12, row 236): backups, moving from one backend to the next.
 *
 * Rule 1: bodies stream from one to the other; no more than what the target takes whole is ever held.
 * Rule 2: an entry is copied as it is: metadata, and when it was made, expires and is of no more use. Only its version is new.
 * Rule 3: one entry's failure is counted and told, and the others are copied; a store that is closed ends it all.
 * Rule 4: what is to be copied is known, by its keys, before anything is written: target and source may be the same database or directory
 *   (to encrypt what is there, say), and what was written is not copied again.
 */
import { concat } from '../engine/bytes.ts'
import { OptionError, StoreError } from '../errors.ts'
import type { ListableStore, ListedEntry, Store, StoredBody } from '../engine/ports.ts'
import { checkOptions, checkStore } from './options.ts'

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
 * Copies what a store holds into another one, over what is there under the same keys. Entries that are written meanwhile are not copied;
 * all keys are held meanwhile, and no more.
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
    signal: { type: 'object', has: ['throwIfAborted'] },
  })
  checkStore('copyEntries', 'from', from, ['entries'])
  checkStore('copyEntries', 'to', to)
  if (from === to)
    throw new OptionError('ERR_OPTION_VALUE', 'to', 'copyEntries: `to` is the store that is copied from.')
  const copying = new Copying(from, to, options, await keysOf(from, options))
  // The rest is ended before the first failure is told: nothing goes on behind the caller's back.
  const workers = Array.from({ length: options.concurrency ?? 4 }, () => copying.work())
  const ended = await Promise.allSettled(workers)
  for (const worker of ended) if (worker.status === 'rejected') throw worker.reason
  return copying.result
}

/** The keys of what is to be copied. */
async function keysOf(from: ListableStore, { filter, signal }: CopyOptions): Promise<readonly string[]> {
  const keys: string[] = []
  signal?.throwIfAborted()
  for await (const entry of from.entries()) {
    signal?.throwIfAborted()
    if (filter === undefined || filter(entry)) keys.push(entry.key)
  }
  return keys
}

class Copying {
  result: CopyResult = { copied: 0, skipped: 0, failed: 0, bytes: 0 }
  readonly #from: Store
  readonly #to: Store
  readonly #options: CopyOptions
  readonly #keys: readonly string[]
  #at = 0

  constructor(from: Store, to: Store, options: CopyOptions, keys: readonly string[]) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#keys = keys
  }

  async work(): Promise<void> {
    try {
      for (;;) {
        this.#options.signal?.throwIfAborted()
        const key = this.#keys[this.#at++]
        if (key === undefined) return
        this.#count(key, await this.#copy(key))
      }
    } catch (error) {
      this.#at = Infinity
      throw error
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

/** The stream, failing where it is not of its length: half a body is never copied. The signal ends it, even one that gives nothing more. */
function checked(
  stream: ReadableStream<Uint8Array>,
  size: number,
  signal: AbortSignal | undefined,
): ReadableStream<Uint8Array> {
  let left = size
  return stream.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        left -= chunk.length
        controller.enqueue(chunk)
      },
      flush() {
        if (left !== 0) throw new StoreError('ERR_STORE_CORRUPT', 'The body of an entry is not of its length.')
      },
    }),
    signal === undefined ? {} : { signal },
  )
}
