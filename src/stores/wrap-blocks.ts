/**
 * Bodies in blocks that each carry a proof of being what was written (an authentication tag, a MAC), so that a body of any size
 * streams, a range opens without what is before it, and nothing unproved is ever handed out.
 *
 * The body is cut into blocks of BLOCK bytes; only the last may be shorter, and only that of an empty body is empty. Each block's
 * proof covers its number and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizar, 2015):
 * a changed, moved, missing or added block fails.
 */
import { concat, inlineBody } from '../engine/bytes.ts'
import type { MaybePromise, StoredBody } from '../engine/ports.ts'
import { pieces } from './store-body.ts'
import { corrupt } from './wrap-store.ts'

/** Bytes of the body in one block. */
export const BLOCK = 65_536

/** Bodies up to this many bytes are opened whole when their entry is read. */
export const EAGER: number = 256 * 1024

/** What proves blocks, under keys that no other body has. */
export interface BlockSeal {
  /** How many bytes longer a block is when sealed. */
  readonly overhead: number
  seal(block: Uint8Array, n: number, last: boolean): Uint8Array
  /** What was sealed as a new array; null: it was not this block, or not sealed by this. */
  open(sealed: Uint8Array, n: number, last: boolean): Uint8Array | null
}

/** The length in bytes of a sealed body. */
export function sealedSize(size: number, overhead: number): number {
  return size + Math.max(1, Math.ceil(size / BLOCK)) * overhead
}

/** The length in bytes of the body inside; null: no sealed body is of that length. */
export function openedSize(sealed: number, overhead: number): number | null {
  const count = Math.ceil(sealed / (BLOCK + overhead))
  const last = sealed - (count - 1) * (BLOCK + overhead)
  if (count < 1 || last < overhead || (count > 1 && last === overhead)) return null
  return sealed - count * overhead
}

/** The largest body whose sealed form has at most `most` bytes. */
export function largestWithin(most: number, overhead: number): number {
  if (most === Infinity) return Infinity
  const full = Math.floor(most / (BLOCK + overhead))
  return full * BLOCK + Math.max(0, most - full * (BLOCK + overhead) - overhead)
}

export function sealBytes(bytes: Uint8Array, seal: BlockSeal): Uint8Array {
  const whole = new Uint8Array(sealedSize(bytes.length, seal.overhead))
  const last = Math.max(0, Math.ceil(bytes.length / BLOCK) - 1)
  for (let n = 0; n <= last; n++) {
    const block = bytes.subarray(n * BLOCK, (n + 1) * BLOCK)
    whole.set(seal.seal(block, n, n === last), n * (BLOCK + seal.overhead))
  }
  return whole
}

/** The stream, sealed; when it fails, so does this one, with its error. */
export function sealStream(stream: ReadableStream<Uint8Array>, seal: BlockSeal): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  const blocks = pieces(reader, [], BLOCK)
  // One block is held back: only when another follows is it known not to be the last.
  let held: Uint8Array | null = null
  let n = 0
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        for (;;) {
          const { value } = await blocks.next().catch((error: unknown) => {
            // A stream that failed itself has nothing to cancel.
            reader.cancel(error).catch(() => undefined)
            throw error
          })
          const before: Uint8Array | null = held
          held = value === undefined ? null : new Uint8Array(value)
          if (held === null) {
            controller.enqueue(seal.seal(before ?? new Uint8Array(), n, true))
            return controller.close()
          }
          if (before === null) continue
          controller.enqueue(seal.seal(before, n++, false))
          return
        }
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}

/**
 * The body inside a sealed one. A short one is opened here and now, and so is an empty one: nobody opens a stream of nothing.
 * @throws StoreError ERR_STORE_CORRUPT, or rejects with it; the streams of a long body fail with it
 */
export function openBody(body: StoredBody, seal: BlockSeal): MaybePromise<StoredBody> {
  const size = openedSize(body.size, seal.overhead)
  if (size === null) throw corrupt('its body was cut')
  if (body.bytes === null && size === 0) return openEmpty(body, seal)
  if (body.bytes === null || size > EAGER) {
    return { size, bytes: null, open: (start, end) => openStream(body, seal, start, Math.min(end, size)) }
  }
  return inlineBody(openBytes(body.bytes, size, seal))
}

async function openEmpty(body: StoredBody, seal: BlockSeal): Promise<StoredBody> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body.open(0, body.size)) chunks.push(chunk)
  const size = chunks.reduce((sum, { length }) => sum + length, 0)
  return inlineBody(proved(concat(chunks, size), 0, true, seal))
}

function openBytes(sealed: Uint8Array, size: number, seal: BlockSeal): Uint8Array {
  const whole = new Uint8Array(size)
  const length = BLOCK + seal.overhead
  const last = Math.ceil(sealed.length / length) - 1
  for (let n = 0; n <= last; n++) {
    whole.set(proved(sealed.subarray(n * length, (n + 1) * length), n, n === last, seal), n * BLOCK)
  }
  return whole
}

function proved(sealed: Uint8Array, n: number, last: boolean, seal: BlockSeal): Uint8Array {
  const block = seal.open(sealed, n, last)
  if (block === null) throw corrupt(`block ${n} of its body is not what was written`)
  return block
}

function openStream(body: StoredBody, seal: BlockSeal, start: number, end: number): ReadableStream<Uint8Array> {
  if (start >= end) return inlineBody(new Uint8Array()).open(0, 0)
  const length = BLOCK + seal.overhead
  const last = Math.ceil(body.size / length) - 1
  let n = Math.floor(start / BLOCK)
  const stop = Math.ceil(end / BLOCK)
  const reader = body.open(n * length, Math.min(stop * length, body.size)).getReader()
  const blocks = pieces(reader, [], length)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { value } = await blocks.next()
          const expected = n === last ? body.size - last * length : length
          if (value?.length !== expected) throw corrupt(`block ${n} of its body is cut`)
          const block = proved(value, n, n === last, seal)
          controller.enqueue(block.subarray(Math.max(0, start - n * BLOCK), Math.min(BLOCK, end - n * BLOCK)))
          if (++n < stop) return
          controller.close()
        } catch (error) {
          await reader.cancel(error).catch(() => undefined)
          throw error
        }
        await reader.cancel().catch(() => undefined)
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
