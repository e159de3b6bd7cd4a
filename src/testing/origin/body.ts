/**
 * Deterministic bodies that verify themselves, of any length, in constant memory.
 *
 * A body is a head of 64 bytes that says its size and seed, then a pseudo-random sequence computed block by block from (seed, block number):
 * any range can be made without what is before it, and a mix of two bodies, a cut or a flipped byte shows.
 */

import { OptionError } from '../../errors.ts'

const HEAD = 64
const BLOCK = 65_536

/** What `verifyBody` found. */
export interface BodyVerdict {
  readonly valid: boolean
  /** Bytes read. */
  readonly size: number
  /** Offset of the first wrong byte (the length read, where bytes are missing), or null. */
  readonly wrongAt: number | null
}

/** The bytes from `start` up to, but not including, `end` of the body of that size and seed, block by block. */
export function bodyBytes(size: number, seed = 0, start = 0, end: number = size): Generator<Uint8Array<ArrayBuffer>> {
  for (const [name, value] of Object.entries({ size, seed, start, end }))
    if (typeof value !== 'number' || !(value >= 0))
      throw new OptionError('ERR_OPTION_VALUE', name, `${name} must be a number of at least 0, not ${describe(value)}`)
  return blocks(size, seed, start, end)
}

function describe(value: unknown): string {
  return typeof value === 'number' ? String(value) : typeof value
}

function* blocks(size: number, seed: number, start: number, end: number): Generator<Uint8Array<ArrayBuffer>> {
  let at = start
  while (at < end) {
    const index = Math.floor(at / BLOCK)
    const block = makeBlock(size, seed, index)
    const from = at - index * BLOCK
    const to = Math.min(BLOCK, end - index * BLOCK)
    yield block.subarray(from, to)
    at += to - from
  }
}

/** The whole body at once: for sizes that fit in memory. */
export function wholeBody(size: number, seed = 0): Uint8Array<ArrayBuffer> {
  const chunks = bodyBytes(size, seed)
  if (!Number.isSafeInteger(size))
    throw new OptionError('ERR_OPTION_VALUE', 'size', `size must be a whole number of bytes, not ${size}`)
  const bytes = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

/**
 * Reads a body to its end and says whether it is exactly one whole body. Size and seed are read from its own head unless given;
 * give the size for bodies shorter than 64 bytes, whose head is cut.
 *
 * @example
 * ```ts
 * await using origin = await startOrigin()
 * const response = await fetch(`${origin.url}/large/1000000?seed=7`)
 * const { valid } = await verifyBody(new Uint8Array(await response.arrayBuffer()))
 * console.log(valid) // true
 * ```
 */
export async function verifyBody(
  body: AsyncIterable<Uint8Array> | Uint8Array,
  expected: { readonly size?: number; readonly seed?: number } = {},
): Promise<BodyVerdict> {
  const isBytes = body instanceof Uint8Array
  if (!isBytes && !(typeof body === 'object' && body !== null && Symbol.asyncIterator in body))
    throw new OptionError(
      'ERR_OPTION_VALUE',
      'body',
      `verifyBody reads a Uint8Array, or a stream of them, not ${describe(body)}`,
    )
  if (typeof expected !== 'object' || expected === null)
    throw new OptionError('ERR_OPTION_VALUE', 'expected', `verifyBody takes { size, seed }, not ${describe(expected)}`)
  const check = new Checker(expected)
  if (isBytes) check.push(body)
  else for await (const chunk of body) check.push(chunk)
  return check.end()
}

class Checker {
  #size: number | null
  #seed: number | null
  #read = 0
  #wrongAt: number | null = null
  #head: number[] = []

  constructor(expected: { readonly size?: number; readonly seed?: number }) {
    this.#size = expected.size ?? null
    this.#seed = expected.seed ?? null
    if (this.#size !== null) this.#seed ??= 0
  }

  push(chunk: Uint8Array): void {
    if (this.#size === null || this.#seed === null) {
      const missing = HEAD - this.#head.length
      this.#head.push(...chunk.subarray(0, missing))
      if (this.#head.length < HEAD) return
      const head = /^keepfresh body size=(\d+) seed=(\d+)/.exec(String.fromCharCode(...this.#head))
      this.#size ??= head === null ? 0 : Number(head[1])
      this.#seed ??= head === null ? 0 : Number(head[2])
      this.#compare(Uint8Array.from(this.#head), this.#size, this.#seed)
      this.#compare(chunk.subarray(missing), this.#size, this.#seed)
      return
    }
    this.#compare(chunk, this.#size, this.#seed)
  }

  #compare(chunk: Uint8Array, size: number, seed: number): void {
    let at = 0
    const end = Math.min(this.#read + chunk.length, size)
    if (this.#wrongAt === null) {
      for (const block of blocks(size, seed, Math.min(this.#read, end), end)) {
        for (const byte of block) {
          if (byte !== chunk[at]) return this.#fail(this.#read + at, chunk.length)
          at++
        }
      }
      if (at < chunk.length) return this.#fail(this.#read + at, chunk.length)
    }
    this.#read += chunk.length
  }

  #fail(at: number, length: number): void {
    this.#wrongAt = at
    this.#read += length
  }

  end(): BodyVerdict {
    if (this.#size === null) return { valid: false, size: this.#head.length, wrongAt: this.#head.length }
    if (this.#wrongAt === null && this.#read < this.#size) this.#wrongAt = this.#read
    return { valid: this.#wrongAt === null, size: this.#read, wrongAt: this.#wrongAt }
  }
}

function makeBlock(size: number, seed: number, index: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BLOCK)
  const words = new DataView(bytes.buffer)
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b) ^ size) >>> 0 || 1
  for (let at = 0; at < BLOCK; at += 4) {
    // xorshift32: any sequence will do that differs by seed, size and block.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words.setUint32(at, state >>> 0)
  }
  if (index === 0) {
    const text = `keepfresh body size=${size} seed=${seed}`.padEnd(HEAD - 1, ' ') + '\n'
    bytes.set(new TextEncoder().encode(text).subarray(0, HEAD))
  }
  return bytes
}
