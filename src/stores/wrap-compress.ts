/**
 * keepfresh/compress: a store whose longer bodies are compressed (feature B10, row 227).
 *
 * Rule 1: only what gets smaller is compressed: bodies from `threshold` bytes on whose first 64 KiB shrink by a sixteenth. Everything
 *   else, and everything written without this wrapper, is stored and read as it is.
 * Rule 2: the length of a body that came as a stream is known at its end: the last 8 bytes of what is stored.
 * Rule 3: nothing larger than it was is ever made of what is stored: a body that decompresses to more is corrupt.
 */
import { assertBytes, concat, inlineBody } from '../engine/bytes.ts'
import { isValidMeta, isWrappedMeta } from '../engine/meta.ts'
import type {
  EntryChange,
  EntryHead,
  EntryMeta,
  ListableStore,
  ListedEntry,
  LockingStore,
  MaybePromise,
  Store,
  StoredBody,
  StoredEntry,
  StoreLimits,
} from '../engine/ports.ts'
import { encodeMeta } from '../engine/record.ts'
import { StoreError } from '../errors.ts'
import { checkOptions, wrong } from './options.ts'
import { EAGER } from './wrap-blocks.ts'
import {
  corrupt,
  wrappedMeta,
  wrapStore,
  type Bytes,
  type Parcel,
  type VersionedHead,
  type Wrapper,
} from './wrap-store.ts'
import {
  ALGORITHMS,
  BEST,
  chunksOf,
  codecOf,
  isAlgorithm,
  readable,
  streamFrom,
  through,
  type Algorithm,
} from './wrap-zlib.ts'

export interface CompressOptions {
  /** Default: the best the runtime has: zstd (Node.js 22.15 or later), else brotli. All that the runtime has are read. */
  readonly algorithm?: Algorithm
  /** gzip 1 to 9 (default 6), brotli 0 to 11 (default 4), zstd 1 to 22 (default 3). */
  readonly level?: number
  /** The shortest body in bytes that is compressed. Default 1024. */
  readonly threshold?: number
}

const FORMAT = 'compress 1'
/** How much of a body is tried. */
const SAMPLE = 65_536
const TRAILER = 8

/** What the metadata of a compressed entry says. `size`: null where the end of the body says it. */
interface Packing {
  readonly algorithm: Algorithm
  readonly size: number | null
  readonly meta: EntryMeta
}

/**
 * The store, with bodies compressed; it lists and locks if the given one does.
 * @throws OptionError ERR_OPTION_VALUE, ERR_OPTION_UNKNOWN
 * @example
 * ```ts
 * import { compressed } from 'keepfresh/compress'
 * import { SqliteStore } from 'keepfresh/sqlite'
 *
 * const store = compressed(new SqliteStore('http.db'), { algorithm: 'brotli', threshold: 4096 })
 * ```
 */
export function compressed(store: ListableStore & LockingStore, options?: CompressOptions): ListableStore & LockingStore
export function compressed(store: ListableStore, options?: CompressOptions): ListableStore
export function compressed(store: LockingStore, options?: CompressOptions): LockingStore
export function compressed(store: Store, options?: CompressOptions): Store
export function compressed(store: Store, options: CompressOptions = {}): Store {
  checkOptions('compressed', options, {
    algorithm: { type: 'string', among: ALGORITHMS },
    level: { type: 'number', range: [0, 22] },
    threshold: { type: 'number', range: [0, Infinity] },
  })
  const { algorithm = BEST, threshold = 1024 } = options
  const codec = codecOf(algorithm)
  if (codec === null) throw wrong('compressed', 'algorithm', `is ${algorithm}, which this runtime does not have`)
  const [least, most, usual] = codec.levels
  const { level = usual } = options
  if (level < least || level > most)
    throw wrong('compressed', 'level', `must be from ${least} to ${most} for ${algorithm}`)
  return wrapStore(store, new Compression(algorithm, level, threshold))
}

class Compression implements Wrapper {
  readonly title = 'compressed'
  readonly hidesKeys = false
  readonly reorders = ['size'] as const
  readonly #algorithm: Algorithm
  readonly #level: number
  readonly #threshold: number
  /** By the very object the store handed out: a store that keeps metadata at hand has it parsed once. */
  readonly #packings = new WeakMap<EntryMeta, Packing>()

  constructor(algorithm: Algorithm, level: number, threshold: number) {
    this.#algorithm = algorithm
    this.#level = level
    this.#threshold = threshold
  }

  limits(inner: StoreLimits): StoreLimits {
    // What does not compress gets longer, by less than this in all three formats, where only its start did.
    const most = inner.maxEntrySize
    return { ...inner, maxEntrySize: most === Infinity ? most : Math.max(0, Math.floor(most - most / 512 - 1024)) }
  }

  nameOf(key: string): string {
    return key
  }

  wrap(head: EntryHead, body: Bytes): MaybePromise<Parcel> {
    if (!(body instanceof Uint8Array)) return this.#wrapStream(head, body)
    return body.length < this.#threshold || body.length === 0 ? { head, body } : this.#wrapBytes(head, body)
  }

  async #wrapBytes(head: EntryHead, bytes: Uint8Array): Promise<Parcel> {
    if (bytes.length > SAMPLE && !(await this.#shrinks(bytes))) return { head, body: bytes }
    const body = await readable(this.#algorithm).compress(bytes, this.#level)
    return isGain(body, bytes) ? { head: this.#packed(head, bytes.length), body } : { head, body: bytes }
  }

  async #shrinks(bytes: Uint8Array): Promise<boolean> {
    const sample = bytes.subarray(0, SAMPLE)
    return isGain(await readable(this.#algorithm).compress(sample, this.#level), sample)
  }

  async #wrapStream(head: EntryHead, stream: ReadableStream<Uint8Array>): Promise<Parcel> {
    const reader = stream.getReader()
    try {
      return await this.#wrapRead(head, reader)
    } catch (error) {
      // A stream that failed itself has nothing to cancel.
      reader.cancel(error).catch(() => undefined)
      throw error
    }
  }

  async #wrapRead(head: EntryHead, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Parcel> {
    const ahead: Uint8Array[] = []
    let size = 0
    while (size < SAMPLE) {
      const { value } = await reader.read()
      if (value === undefined) return this.wrap(head, concat(ahead, size))
      assertBytes(value)
      // A copy: the giver may use its buffer again.
      ahead.push(new Uint8Array(value))
      size += value.length
    }
    if (size < this.#threshold || !(await this.#shrinks(concat(ahead, size)))) {
      return { head, body: streamFrom(chunksOf(reader, ahead), reader) }
    }
    return { head: this.#packed(head, null), body: streamFrom(this.#compress(reader, ahead), reader) }
  }

  async *#compress(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    ahead: readonly Uint8Array[],
  ): AsyncGenerator<Uint8Array> {
    let size = 0
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunksOf(reader, ahead)) {
        size += chunk.length
        yield chunk
      }
    }
    yield* through(counted(), readable(this.#algorithm).compressor(this.#level))
    const trailer = new Uint8Array(TRAILER)
    new DataView(trailer.buffer).setBigUint64(0, BigInt(size), true)
    yield trailer
  }

  #packed(head: EntryHead, size: number | null): EntryHead {
    return { ...head, meta: pack(head.key, { algorithm: this.#algorithm, size, meta: head.meta }) }
  }

  /** Null: it is not compressed. */
  #packing({ meta }: EntryHead): Packing | null {
    const wrapped: unknown = meta
    if (!isWrappedMeta(wrapped) || wrapped.by !== FORMAT) return null
    const known = this.#packings.get(meta)
    if (known !== undefined) return known
    const packing = unpack(wrapped.data)
    this.#packings.set(meta, packing)
    return packing
  }

  unwrap(_key: string, stored: StoredEntry): MaybePromise<StoredEntry> {
    const packing = this.#packing(stored)
    if (packing === null) return stored
    const { key, createdAt, expiresAt, keepUntil, version, body } = stored
    const entry = { key, meta: packing.meta, createdAt, expiresAt, keepUntil, version }
    const { algorithm, size } = packing
    if (size !== null) return { ...entry, body: unpackedBody(body, body.size, size, algorithm) }
    return trailerOf(body).then((length) => ({
      ...entry,
      body: unpackedBody(body, body.size - TRAILER, length, algorithm),
    }))
  }

  change(key: string, stored: VersionedHead, change: EntryChange): EntryChange {
    const packing = this.#packing(stored)
    return packing === null ? change : { ...change, meta: pack(key, { ...packing, meta: change.meta }) }
  }

  list(stored: ListedEntry): ListedEntry {
    const packing = this.#packing(stored)
    return packing === null ? stored : { ...stored, meta: packing.meta, size: packing.size ?? stored.size }
  }
}

/** Whether it is worth the work: a sixteenth less. */
function isGain(packed: Uint8Array, bytes: Uint8Array): boolean {
  return packed.length <= bytes.length - bytes.length / 16
}

/** A line of what is to know of the body, and then the metadata as JSON. */
function pack(key: string, { algorithm, size, meta }: Packing): EntryMeta {
  return wrappedMeta(key, FORMAT, `${algorithm} ${size ?? '-'}\n${Buffer.from(encodeMeta(meta)).toString('utf8')}`)
}

function unpack(data: string): Packing {
  const end = data.indexOf('\n')
  const [algorithm, size = ''] = data.slice(0, Math.max(0, end)).split(' ')
  if (!isAlgorithm(algorithm) || !/^(?:-|\d{1,15})$/.test(size)) throw corrupt('how it was compressed is unreadable')
  let meta: unknown
  try {
    meta = JSON.parse(data.slice(end + 1))
  } catch (cause) {
    throw corrupt('its metadata is no JSON', cause)
  }
  if (!isValidMeta(meta)) throw corrupt('a field of its metadata has the wrong type')
  return { algorithm, size: size === '-' ? null : Number(size), meta }
}

async function trailerOf(body: StoredBody): Promise<number> {
  const { size } = body
  if (size < TRAILER) throw corrupt('its body was cut')
  const trailer = new Uint8Array(TRAILER)
  let at = 0
  for await (const chunk of body.open(size - TRAILER, size)) {
    trailer.set(chunk.subarray(0, TRAILER - at), at)
    at += chunk.length
  }
  const length = Number(new DataView(trailer.buffer).getBigUint64(0, true))
  if (at !== TRAILER || !Number.isSafeInteger(length)) throw corrupt('the end of its body is damaged')
  return length
}

function unpackedBody(packed: StoredBody, packedSize: number, size: number, algorithm: Algorithm): StoredBody {
  const codec = readable(algorithm)
  if (packed.bytes === null || size > EAGER) {
    return { size, bytes: null, open: (start, end) => unpackedStream(packed, packedSize, size, algorithm, start, end) }
  }
  let bytes: Uint8Array
  try {
    bytes = codec.decompress(packed.bytes.subarray(0, packedSize), size)
  } catch (cause) {
    throw corrupt('its body does not decompress', cause)
  }
  if (bytes.length !== size) throw corrupt('its body has the wrong length')
  return inlineBody(bytes)
}

function unpackedStream(
  packed: StoredBody,
  packedSize: number,
  size: number,
  algorithm: Algorithm,
  start: number,
  end: number,
): ReadableStream<Uint8Array> {
  if (start >= end) return inlineBody(new Uint8Array()).open(0, 0)
  const reader = packed.open(0, packedSize).getReader()
  return streamFrom(slice(unpacked(reader, algorithm), size, start, end), reader)
}

async function* unpacked(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  algorithm: Algorithm,
): AsyncGenerator<Uint8Array> {
  let failed: { readonly error: unknown } | null = null
  const source = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* chunksOf(reader)
    } catch (error) {
      failed = { error }
      throw error
    }
  }
  try {
    yield* through(source(), readable(algorithm).decompressor())
  } catch (cause) {
    // The store's own failure is its own; anything else is data that is none.
    if (failed !== null || cause instanceof StoreError) throw cause
    throw corrupt('its body does not decompress', cause)
  }
}

/** The bytes from `start` to `end` of all that is given; who asks for the last byte is told where there are more or fewer than `size`. */
async function* slice(
  chunks: AsyncGenerator<Uint8Array>,
  size: number,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array> {
  let at = 0
  for await (const chunk of chunks) {
    const piece = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at))
    at += chunk.length
    if (at > size) break
    if (piece.length > 0) yield piece
    if (at >= end && end < size) return
  }
  if (at !== size) throw corrupt('its body has the wrong length')
}
