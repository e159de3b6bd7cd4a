/**
 * A store over anything that keeps one value a key: Redis, Memcached, Keyv, unstorage, or a user's own few lines.
 *
 * Rule 1: an entry is one value, a frame of head and body (engine/record.ts); reading a small one is one `get`.
 * Rule 2: a long body is in chunks beside the frame, each under its own checksum, named by an id that no other write has. They are
 *   written first: the entry is visible when its frame is, and then whole.
 * Rule 3: chunks that no frame names any more are given to `dropChunks`; those of a write that was killed go by their own lifetime.
 * Rule 4: `update` takes the frame's place only while it is of the version it was read with.
 */
import { StoreError } from '../errors.ts'
import { inlineBody } from '../engine/bytes.ts'
import {
  NEVER,
  type BatchReadingStore,
  type Clock,
  type EntryChange,
  type EntryHead,
  type MaybePromise,
  type ReadOutcome,
  type StoredBody,
  type StoredEntry,
  type StoreLimits,
  type Version,
} from '../engine/ports.ts'
import {
  decodeRecord,
  encodeRecord,
  frameHeader,
  frameLength,
  hexOf,
  randomId,
  type ChunkedAs,
  type Frame,
} from '../engine/record.ts'
import { CHECKSUM, chunkedBody, summed, unsummed } from './chunks.ts'
import { checkClock, wrong } from './options.ts'
import { outcomeNow, outcomeOf } from './read-many.ts'
import { Recent } from './recent.ts'
import { SYSTEM_CLOCK } from './system-clock.ts'
import { checkSize, pieces, storeBody, type BodyReader } from './store-body.ts'

/** What a key-value store must be able to do. All may answer at once or by a promise. */
export interface RecordBackend {
  /** A short name for messages. */
  readonly name: string
  readonly limits: StoreLimits
  /** Bytes of a chunk of a long body, checksum included. */
  readonly chunkSize: number
  get(key: string): MaybePromise<Uint8Array | undefined>
  /**
   * Puts a value in place of what is there; `ttl` is how long it is of use, in ms (null: no end). Returns what was there, or at least
   * its first 36 bytes (FRAME_HEADER), or undefined: its chunks are dropped then.
   */
  set(key: string, value: Uint8Array, ttl: number | null): MaybePromise<Uint8Array | undefined>
  /** Puts a value in place of the one there only if that has these 8 bytes at offset 16, in one step where the server can. */
  replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): MaybePromise<boolean>
  /** Removes values; for each key at least the first 36 bytes of what was there, or undefined. */
  remove(keys: readonly string[]): MaybePromise<readonly (Uint8Array | undefined)[]>
  getChunk(key: string, id: string, n: number): MaybePromise<Uint8Array | undefined>
  setChunk(key: string, id: string, n: number, value: Uint8Array, ttl: number | null): MaybePromise<void>
  /** The chunks 0 to count - 1 live as long as their entry, whose lifetime was changed to `ttl` ms (null: no end). */
  keepChunks(key: string, id: string, count: number, ttl: number | null): MaybePromise<void>
  /**
   * The chunks 0 to count - 1 are of no more use, save to those who read them now: at once, or a while later. Where `set` and `remove`
   * give no more than a beginning, which no checksum covers, the count may be beyond all that there is: stop where nothing is found.
   */
  dropChunks(key: string, id: string, count: number): MaybePromise<void>
  close(): MaybePromise<void>
}

/** A key-value store that can bring many values at once. */
export interface BatchBackend extends RecordBackend {
  /** For each key, in their order, its value, or undefined; or why just this one could not be had. */
  getMany(keys: readonly string[]): MaybePromise<readonly (Uint8Array | StoreError | undefined)[]>
}

function isBatch(backend: RecordBackend): backend is BatchBackend {
  return 'getMany' in backend
}

/** Chunks of a write that never came to its end go after this long (ms), where values have lifetimes. */
const ORPHAN_LIFE = 3_600_000

const METHODS = [
  'get',
  'set',
  'replace',
  'remove',
  'getChunk',
  'setChunk',
  'keepChunks',
  'dropChunks',
  'close',
] as const

function checkBackend(backend: Partial<RecordBackend> | null | undefined): void {
  const missing = METHODS.filter((name) => typeof backend?.[name] !== 'function')
  if (missing.length > 0) throw wrong('RecordStore', 'backend', `is an object that has ${missing.join(', ')}, too`)
  if (typeof backend?.limits !== 'object') throw wrong('RecordStore', 'backend', 'says its limits')
}

export class RecordStore implements BatchReadingStore {
  readonly name: string
  readonly limits: StoreLimits
  protected readonly backend: RecordBackend
  readonly #clock: Clock
  /** Decoded heads kept at hand: a repeated hit parses no JSON. */
  readonly #heads = new Recent<{ readonly version: string; readonly head: EntryHead }>()
  #closed = false

  /** @throws OptionError for what is no backend, or no clock */
  constructor(backend: RecordBackend, clock: Clock = SYSTEM_CLOCK) {
    checkBackend(backend)
    checkClock('RecordStore', clock)
    this.backend = backend
    this.#clock = clock
    this.name = backend.name
    this.limits = backend.limits
  }

  async read(key: string): Promise<StoredEntry | undefined> {
    this.assertOpen()
    return this.#entryOf(key, await this.backend.get(key))
  }

  async readMany(keys: readonly string[]): Promise<readonly ReadOutcome[]> {
    this.assertOpen()
    const { backend } = this
    if (!isBatch(backend)) return Promise.all(keys.map((key) => outcomeOf(() => this.read(key))))
    const values = await backend.getMany(keys)
    return keys.map((key, index) => {
      const value = values[index]
      return value instanceof StoreError ? value : outcomeNow(() => this.#entryOf(key, value))
    })
  }

  #entryOf(key: string, value: Uint8Array | undefined): StoredEntry | undefined {
    if (value === undefined) return undefined
    const frame = this.#decode(key, value)
    const { head, version, chunked } = frame
    const body = chunked === null ? inlineBody(frame.body) : this.#chunkedBody(key, chunked)
    return { ...head, version, body }
  }

  #decode(key: string, value: Uint8Array): Frame {
    const known = this.#heads.get(key)
    const frame = decodeRecord(value, (version) => (known?.version === version ? known.head : undefined))
    if (frame.head.key !== key) {
      throw new StoreError('ERR_STORE_CORRUPT', `The ${this.name} store has the entry of another key under ${key}.`)
    }
    if (known?.version !== frame.version) this.#heads.set(key, { version: frame.version, head: frame.head })
    return frame
  }

  #chunkedBody(key: string, { id, length, size }: ChunkedAs): StoredBody {
    const name = hexOf(id)
    return chunkedBody(size, length, async (n) => {
      const data = unsummed(await this.backend.getChunk(key, name, n), n, Math.min(length, size - n * length))
      if (data !== null) return data
      throw new StoreError('ERR_STORE_CORRUPT', `Part ${n} of the body of ${key} is gone or damaged.`)
    })
  }

  async write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): Promise<Version> {
    this.assertOpen()
    let version = ''
    const publish = async (whole: Uint8Array | ChunkedAs): Promise<void> => {
      version = await this.#publish(head, whole)
    }
    await storeBody(body, {
      key: head.key,
      limits: this.limits,
      whole: publish,
      long: async (reader, ahead) => publish(await this.#writeChunks(head, reader, ahead)),
    })
    return version
  }

  async #publish(head: EntryHead, body: Uint8Array | ChunkedAs): Promise<string> {
    const frame = encodeRecord(head, body)
    const before = await this.backend.set(head.key, frame, this.#ttl(head.keepUntil))
    this.#heads.delete(head.key)
    await this.#drop(head.key, before)
    return hexOf(frame.subarray(16, 24))
  }

  async #writeChunks(head: EntryHead, reader: BodyReader, ahead: readonly Uint8Array[]): Promise<ChunkedAs> {
    const id = randomId()
    const length = this.backend.chunkSize - CHECKSUM
    const ttl = this.#chunkTtl(head.keepUntil)
    let size = 0
    let n = 0
    try {
      for await (const piece of pieces(reader, ahead, length)) {
        size += piece.length
        checkSize(head.key, size, this.limits)
        this.assertOpen()
        await this.backend.setChunk(head.key, hexOf(id), n, summed(piece, n), ttl)
        n++
      }
    } catch (error) {
      // What cannot be dropped now has a lifetime, or is named by nobody. The error that led here is the one to report.
      if (n > 0 && !this.#closed) await dropped(() => this.backend.dropChunks(head.key, hexOf(id), n))
      throw error
    }
    return { id, length, size }
  }

  /** The chunks of a frame that is not there any more. */
  async #drop(key: string, frame: Uint8Array | undefined): Promise<void> {
    const chunked = frame === undefined ? null : chunksOf(frame)
    if (chunked === null) return
    await this.backend.dropChunks(key, hexOf(chunked.id), Math.ceil(chunked.size / chunked.length))
  }

  async update(key: string, change: EntryChange, version: Version): Promise<boolean> {
    this.assertOpen()
    const value = await this.backend.get(key)
    if (value === undefined) return false
    const frame = this.#decode(key, value)
    if (frame.version !== version) return false
    const { meta, expiresAt, keepUntil } = change
    const next = encodeRecord({ ...frame.head, meta, expiresAt, keepUntil }, frame.chunked ?? frame.body)
    const done = await this.backend.replace(key, next, value.slice(16, 24), this.#ttl(keepUntil))
    if (done && frame.chunked !== null) {
      // Chunks must not go before the frame that names them.
      const { id, size, length } = frame.chunked
      await this.backend.keepChunks(key, hexOf(id), Math.ceil(size / length), this.#chunkTtl(keepUntil))
    }
    return done
  }

  async delete(keys: readonly string[]): Promise<number> {
    this.assertOpen()
    if (keys.length === 0) return 0
    const unique = [...new Set(keys)]
    for (const key of unique) this.#heads.delete(key)
    const frames = await this.backend.remove(unique)
    await Promise.all(unique.map((key, index) => this.#drop(key, frames[index])))
    return frames.filter((frame) => frame !== undefined).length
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#heads.clear()
    await this.backend.close()
  }

  /** @throws StoreError ERR_STORE_CLOSED */
  protected assertOpen(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', `the ${this.name} store is closed`)
  }

  /** How long an entry is of use, in ms; null: no end. What is of no use any more is still given a moment. */
  #ttl(keepUntil: number): number | null {
    return keepUntil >= NEVER ? null : Math.max(1000, keepUntil - this.#clock.now())
  }

  #chunkTtl(keepUntil: number): number | null {
    const ttl = this.#ttl(keepUntil)
    return ttl === null ? null : Math.max(ttl, ORPHAN_LIFE)
  }
}

/** Cleaning up after a failure: a second failure adds nothing. */
async function dropped(drop: () => MaybePromise<void>): Promise<void> {
  try {
    await drop()
  } catch {
    // Rule 3: they go by their own lifetime.
  }
}

/**
 * Where the body of a frame is; null where it is inside, or where the value is no frame of ours. A damaged one may name any number of
 * chunks: what is whole is checked as a whole, and of what is a beginning only the backend finds out (`dropChunks`).
 */
function chunksOf(frame: Uint8Array): ChunkedAs | null {
  try {
    const header = frameHeader(frame)
    const { chunked } = header
    return chunked === null || frame.length < frameLength(header) ? chunked : decodeRecord(frame).chunked
  } catch {
    // Foreign or damaged: it names no chunks that we know of.
    return null
  }
}
