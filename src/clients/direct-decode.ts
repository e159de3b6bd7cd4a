/**
 * Short bodies in one content coding, decoded on the spot; fetch does it by streams and in threads, which costs more than the exchange.
 *
 * Rule 1: only what is short, coded and decoded: the event loop waits for it.
 * Rule 2: what fails here is for fetch to fail at, in its own words.
 */
import { concat } from '../engine/bytes.ts'

type Decode = (bytes: Uint8Array, options: object) => Uint8Array

interface Zlib {
  readonly constants: Readonly<Record<string, number>>
  readonly gunzipSync: Decode
  readonly brotliDecompressSync: Decode
}

interface Runtime {
  readonly process?: { getBuiltinModule?(id: string): unknown }
}

/** Bytes of a body that is decoded here, and of what may come of it. */
const SHORT = 16_384
const LONGEST = 262_144

const zlib = (globalThis as Runtime).process?.getBuiltinModule?.('node:zlib') as Zlib | undefined

/** As lenient as fetch: what is cut ends where it was cut. */
const gzip = { finishFlush: zlib?.constants['Z_SYNC_FLUSH'], maxOutputLength: LONGEST }
const brotli = { finishFlush: zlib?.constants['BROTLI_OPERATION_FLUSH'], maxOutputLength: LONGEST }

const DECODERS: ReadonlyMap<string, (bytes: Uint8Array) => Uint8Array> = new Map(
  zlib === undefined
    ? []
    : [
        ['gzip', (bytes) => zlib.gunzipSync(bytes, gzip)],
        ['x-gzip', (bytes) => zlib.gunzipSync(bytes, gzip)],
        ['br', (bytes) => zlib.brotliDecompressSync(bytes, brotli)],
      ],
)

/** A coded body as it comes in. */
export class CodedBody {
  readonly chunks: Uint8Array[] = []
  readonly #decode: (bytes: Uint8Array) => Uint8Array
  #size = 0

  private constructor(decode: (bytes: Uint8Array) => Uint8Array) {
    this.#decode = decode
  }

  /** Null: in a coding that is not for here. */
  static of(coding: string): CodedBody | null {
    const decode = DECODERS.get(coding.toLowerCase())
    return decode === undefined ? null : new CodedBody(decode)
  }

  /** False: it is not short. */
  push(chunk: Uint8Array): boolean {
    this.chunks.push(chunk)
    this.#size += chunk.length
    return this.#size <= SHORT
  }

  /** Now that it is whole. Null: what comes of it is not short, or it is not what it says. */
  decoded(): Uint8Array | null {
    if (this.#size === 0) return null
    try {
      return this.#decode(concat(this.chunks, this.#size))
    } catch {
      // Rule 2.
      return null
    }
  }
}
