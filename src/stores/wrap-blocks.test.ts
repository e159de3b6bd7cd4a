import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StoreError } from '../errors.ts'
import type { StoredBody } from '../engine/ports.ts'
import {
  BLOCK,
  EAGER,
  largestWithin,
  openBody,
  openedSize,
  sealBytes,
  sealedSize,
  sealStream,
  type BlockSeal,
} from './wrap-blocks.ts'
import { gcmBlocks } from './wrap-encrypt.ts'
import { hmacBlocks } from './wrap-sign.ts'

const SEALS: readonly (readonly [string, () => BlockSeal])[] = [
  ['encrypted', () => gcmBlocks(randomBytes(32))],
  ['signed', () => hmacBlocks(randomBytes(32))],
]

/** Lengths around the ends of blocks, and around what is opened at once. */
const length = fc.oneof(
  fc.constantFrom(0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, EAGER, EAGER + 1),
  fc.integer({ min: 0, max: 5 * BLOCK }),
)

function chunked(bytes: Uint8Array, step: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close()
      controller.enqueue(bytes.slice(at, at + step))
      at += step
    },
  })
}

/** A body as a store has it: at hand, or in a stream of chunks of some length. */
function stored(bytes: Uint8Array, step: number | null): StoredBody {
  return {
    size: bytes.length,
    bytes: step === null ? bytes : null,
    open: (start, end) => chunked(bytes.subarray(start, end), step ?? bytes.length + 1),
  }
}

async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What is read from start to end; null: corrupt. */
async function readOf(sealed: StoredBody, seal: BlockSeal, start = 0, end = Infinity): Promise<Buffer | null> {
  try {
    const body = await openBody(sealed, seal)
    return await bytesOf(body.open(start, Math.min(end, body.size)))
  } catch (error) {
    if (error instanceof StoreError && error.code === 'ERR_STORE_CORRUPT') return null
    throw error
  }
}

for (const [name, make] of SEALS) {
  describe(`blocks, ${name}`, () => {
    it('what is sealed, whole or as a stream, is opened, and every range is a slice', async () => {
      const seal = make()
      await fc.assert(
        fc.asyncProperty(
          length,
          fc.integer({ min: 1000, max: 200_000 }),
          fc.boolean(),
          fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
          async (size, step, atHand, fractions) => {
            const bytes = randomBytes(size)
            const sealed = await bytesOf(sealStream(chunked(bytes, step), seal))
            expect(sealed.equals(sealBytes(bytes, seal))).toBe(true)
            expect([sealedSize(size, seal.overhead), openedSize(sealed.length, seal.overhead)]).toEqual([
              sealed.length,
              size,
            ])
            const body = await openBody(stored(sealed, atHand ? null : step), seal)
            expect((await bytesOf(body.open(0, size))).equals(bytes)).toBe(true)
            const [start = 0, end = 0] = fractions
              .map((fraction) => Math.round(fraction * size))
              .toSorted((a, b) => a - b)
            expect((await bytesOf(body.open(start, end))).equals(bytes.subarray(start, end))).toBe(true)
          },
        ),
        { numRuns: 60 },
      )
    })

    it('any bit changed is found, and ranges of other blocks are what they were', async () => {
      const seal = make()
      await fc.assert(
        fc.asyncProperty(length, fc.nat(), fc.nat(7), async (size, place, bit) => {
          const bytes = randomBytes(size)
          const sealed = sealBytes(bytes, seal)
          const at = place % sealed.length
          const changed = sealed.with(at, (sealed[at] ?? 0) ^ (1 << bit))
          expect(await readOf(stored(changed, null), seal)).toBe(null)
          expect(await readOf(stored(changed, 50_000), seal)).toBe(null)
          const start = Math.floor(at / (BLOCK + seal.overhead)) * BLOCK
          const before = await readOf(stored(changed, 50_000), seal, 0, start)
          expect(start === 0 || size <= EAGER || before?.equals(bytes.subarray(0, start))).toBe(true)
        }),
        { numRuns: 60 },
      )
    })

    it('any cut and any addition is found', async () => {
      const seal = make()
      const full = BLOCK + seal.overhead
      await fc.assert(
        fc.asyncProperty(
          length,
          fc.nat(),
          fc.constantFrom('cut', 'cut at a block', 'add', 'double the last'),
          async (size, n, how) => {
            const sealed = sealBytes(randomBytes(size), seal)
            const last = sealed.subarray(Math.floor((sealed.length - 1) / full) * full)
            const wrong = {
              cut: () => sealed.subarray(0, n % sealed.length),
              'cut at a block': () => sealed.subarray(0, Math.min(sealed.length - 1, (n % 5) * full)),
              add: () => Buffer.concat([sealed, randomBytes(1 + (n % full))]),
              'double the last': () => Buffer.concat([sealed, last]),
            }[how]()
            expect(await readOf(stored(wrong, null), seal)).toBe(null)
            expect(await readOf(stored(wrong, 50_000), seal)).toBe(null)
          },
        ),
        { numRuns: 60 },
      )
    })

    it('any other order of blocks, and any block of another body, is found', async () => {
      const [seal, other] = [make(), make()]
      const full = BLOCK + seal.overhead
      await fc.assert(
        fc.asyncProperty(fc.nat(2), fc.nat(2), fc.boolean(), async (from, to, isOther) => {
          const bytes = randomBytes(3 * BLOCK)
          const sealed = sealBytes(bytes, seal)
          const source = isOther ? sealBytes(bytes, other) : sealed
          const wrong = sealed.slice()
          wrong.set(source.subarray(from * full, (from + 1) * full), to * full)
          wrong.set(source.subarray(to * full, (to + 1) * full), from * full)
          const isSame = from === to && !isOther
          expect((await readOf(stored(wrong, null), seal))?.equals(bytes) ?? false).toBe(isSame)
          expect((await readOf(stored(wrong, 50_000), seal))?.equals(bytes) ?? false).toBe(isSame)
        }),
        { numRuns: 30 },
      )
    })

    it('a stream that ends before its size says so is corrupt, one that fails fails with its own error', async () => {
      const seal = make()
      const sealed = sealBytes(randomBytes(3 * BLOCK), seal)
      const short = { ...stored(sealed, 1000), open: () => chunked(sealed.subarray(0, BLOCK + 500), 1000) }
      expect(await readOf(short, seal)).toBe(null)
      const error = new Error('the disk is gone')
      const failing = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(error) })
      await expect(
        bytesOf((await openBody({ ...stored(sealed, 1000), open: () => failing }, seal)).open(0, 9)),
      ).rejects.toBe(error)
      const broken = new ReadableStream<Uint8Array>({ pull: () => Promise.reject(error) })
      await expect(bytesOf(sealStream(broken, seal))).rejects.toBe(error)
    })

    it('who stops reading stops what is read from', async () => {
      const seal = make()
      const sealed = sealBytes(randomBytes(9 * BLOCK), seal)
      let cancelled = 0
      const open = (): ReadableStream<Uint8Array> =>
        new ReadableStream({
          pull: (c) => c.enqueue(sealed.slice(0, BLOCK + seal.overhead)),
          cancel: () => void cancelled++,
        })
      const body = await openBody({ size: sealed.length, bytes: null, open }, seal)
      const reader = body.open(0, 9 * BLOCK).getReader()
      await reader.read()
      await reader.cancel()
      const sealing = sealStream(open(), seal).getReader()
      await sealing.read()
      await sealing.cancel()
      expect(cancelled).toBe(2)
    })

    it('the largest body within a limit is the largest', () => {
      const { overhead } = make()
      fc.assert(
        fc.property(fc.integer({ min: overhead, max: 1_000_000 }), (most) => {
          const size = largestWithin(most, overhead)
          expect(sealedSize(size, overhead)).toBeLessThanOrEqual(most)
          expect(sealedSize(size + 1, overhead)).toBeGreaterThan(most)
        }),
      )
      expect(largestWithin(Infinity, overhead)).toBe(Infinity)
    })
  })
}
