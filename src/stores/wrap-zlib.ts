/**
 * The compression of node:zlib as keepfresh/compress uses it. zstd came with Node.js 22.15: what the runtime has is asked, not assumed.
 *
 * A stream that fails fails what is made of it with the same error; who stops reading stops the source, too.
 */
import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import { assertBytes } from '../engine/bytes.ts'
import { StoreError } from '../errors.ts'

export type Algorithm = 'zstd' | 'brotli' | 'gzip'

interface Codec {
  readonly levels: readonly [least: number, most: number, usual: number]
  compress(bytes: Uint8Array, level: number): Promise<Uint8Array>
  /** At most `size` bytes; throws where it is more, or no data of this algorithm. */
  decompress(bytes: Uint8Array, size: number): Uint8Array
  compressor(level: number): Transform
  decompressor(): Transform
}

const { BROTLI_PARAM_QUALITY, ZSTD_c_compressionLevel } = zlib.constants
const brotliOptions = (level: number): zlib.BrotliOptions => ({ params: { [BROTLI_PARAM_QUALITY]: level } })
const zstdOptions = (level: number): zlib.ZstdOptions => ({ params: { [ZSTD_c_compressionLevel]: level } })

const gzip: Codec = {
  levels: [1, 9, 6],
  compress: (bytes, level) => promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gzip)(bytes, { level }),
  decompress: (bytes, size) => zlib.gunzipSync(bytes, { maxOutputLength: Math.max(1, size) }),
  compressor: (level) => zlib.createGzip({ level }),
  decompressor: () => zlib.createGunzip(),
}

const brotli: Codec = {
  levels: [0, 11, 4],
  compress: (bytes, level) =>
    promisify<Uint8Array, zlib.BrotliOptions, Uint8Array>(zlib.brotliCompress)(bytes, brotliOptions(level)),
  decompress: (bytes, size) => zlib.brotliDecompressSync(bytes, { maxOutputLength: Math.max(1, size) }),
  compressor: (level) => zlib.createBrotliCompress(brotliOptions(level)),
  decompressor: () => zlib.createBrotliDecompress(),
}

const zstd: Codec | null =
  typeof zlib.createZstdCompress !== 'function'
    ? null
    : {
        levels: [1, 22, 3],
        compress: (bytes, level) =>
          promisify<Uint8Array, zlib.ZstdOptions, Uint8Array>(zlib.zstdCompress)(bytes, zstdOptions(level)),
        decompress: (bytes, size) => zlib.zstdDecompressSync(bytes, { maxOutputLength: Math.max(1, size) }),
        compressor: (level) => zlib.createZstdCompress(zstdOptions(level)),
        decompressor: () => zlib.createZstdDecompress(),
      }

const CODECS: Readonly<Record<Algorithm, Codec | null>> = { zstd, brotli, gzip }

/** The best this runtime has. */
export const BEST: Algorithm = zstd === null ? 'brotli' : 'zstd'

export const ALGORITHMS: readonly Algorithm[] = ['zstd', 'brotli', 'gzip']

export function isAlgorithm(name: unknown): name is Algorithm {
  return ALGORITHMS.some((known) => known === name)
}

/** Null: this runtime has it not. */
export function codecOf(algorithm: Algorithm): Codec | null {
  return CODECS[algorithm]
}

/** What a transform makes of a source. */
export async function* through(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncGenerator<Uint8Array> {
  // Its failure is the transform's, which the loop below throws.
  void pipeline(source, transform).catch(() => undefined)
  for await (const chunk of transform) yield chunk
}

/** What a stream gives; when it is left early, the stream is cancelled. What was read before comes first. */
export async function* chunksOf(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  ahead: readonly Uint8Array[] = [],
): AsyncGenerator<Uint8Array> {
  let ended = false
  try {
    yield* ahead
    for (;;) {
      ended = true
      const { value } = await reader.read()
      if (value === undefined) break
      ended = false
      assertBytes(value)
      yield value
    }
  } finally {
    // Told, but not waited for: it may never answer.
    if (!ended) reader.cancel().catch(() => undefined)
  }
}

/** A stream of what a generator gives, asked for as it is read. `reader` is cancelled at once where nobody wants more. */
export function streamFrom(
  chunks: AsyncGenerator<Uint8Array>,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next()
        if (done === true) controller.close()
        else controller.enqueue(value)
      },
      async cancel(reason) {
        // First the reader: a generator that waits for it could not be ended.
        await reader.cancel(reason)
        await chunks.return(undefined)
      },
    },
    { highWaterMark: 0 },
  )
}

/** @throws StoreError ERR_STORE_FORMAT where this runtime cannot read it */
export function readable(algorithm: Algorithm): Codec {
  const codec = CODECS[algorithm]
  if (codec !== null) return codec
  const message = `The entry is compressed with ${algorithm}, which this runtime does not have: Node.js 22.15 or later does.`
  throw new StoreError('ERR_STORE_FORMAT', message)
}
