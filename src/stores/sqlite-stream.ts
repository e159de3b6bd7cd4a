/**
 * Writing a body of unknown length: short ones whole, long ones as chunks under a reserved row without a key.
 *
 * Each chunk is its own short transaction, so that other processes can write in between; the last transaction gives the row its
 * key, and only then is it an entry. What a crash leaves has no key, and is collected when it is an hour old.
 */
import { StoreError } from '../errors.ts'
import type { EntryHead } from '../engine/ports.ts'
import { encodeMetaText } from '../engine/record.ts'
import { chunkSum, joined, pieces } from './chunks.ts'
import { headSum } from './sqlite-row.ts'
import type { Statements } from './sqlite-statements.ts'

export interface StreamTarget {
  readonly inlineSize: number
  readonly chunkSize: number
  readonly maxEntrySize: number
  /** Writes a short body. */
  writeWhole(head: EntryHead, body: Uint8Array): void
  /** Runs a change in a transaction; throws StoreError. */
  change<T>(action: (statements: Statements) => T): T
  /** Has the collector remove what deleted rows left; never fails: what is left is collected another time. */
  collect(): Promise<void>
}

export async function writeStream(
  target: StreamTarget,
  head: EntryHead,
  stream: ReadableStream<Uint8Array>,
): Promise<void> {
  const reader = stream.getReader()
  try {
    const ahead: Uint8Array[] = []
    let size = 0
    for (;;) {
      const { value } = await reader.read()
      if (value === undefined) return target.writeWhole(head, joined(ahead, size))
      // A copy (slice() of a Buffer would be none): the giver may use its buffer again.
      ahead.push(new Uint8Array(value))
      size += value.length
      if (size > Math.min(target.inlineSize, target.maxEntrySize)) break
    }
    await writeChunks(target, head, reader, ahead)
  } catch (error) {
    // Ours, not the stream's: it is told that nobody reads on. A stream that failed itself has nothing to cancel.
    await reader.cancel(error).catch(() => undefined)
    throw error
  } finally {
    reader.releaseLock()
  }
}

async function writeChunks(
  target: StreamTarget,
  head: EntryHead,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  ahead: readonly Uint8Array[],
): Promise<void> {
  const id = target.change(({ reserve }) =>
    Number(reserve.run(Date.now(), head.expiresAt, head.keepUntil, target.chunkSize).lastInsertRowid),
  )
  try {
    let size = 0
    let n = 0
    for await (const piece of pieces(reader, ahead, target.chunkSize)) {
      size += piece.length
      if (size > target.maxEntrySize) throw tooLarge(head.key, target.maxEntrySize)
      target.change(({ touch, addChunk }) => {
        if (touch.run(Date.now(), id).changes === 0) throw lost(head.key)
        addChunk.run(id, n, chunkSum(piece, n), piece)
      })
      n++
    }
    target.change((statements) => publish(statements, head, id, size))
  } catch (error) {
    discard(target, id)
    throw error
  }
  await target.collect()
}

function publish({ deleteKey, publish: give }: Statements, head: EntryHead, id: number, size: number): void {
  const { key, createdAt, expiresAt, keepUntil } = head
  const meta = encodeMetaText(head.meta)
  deleteKey.run(key)
  const sum = headSum(createdAt, expiresAt, keepUntil, size, meta)
  if (give.run(key, createdAt, expiresAt, keepUntil, size, sum, meta, id).changes === 0) throw lost(key)
}

function discard(target: StreamTarget, id: number): void {
  try {
    target.change(({ deleteId }) => deleteId.run(id))
  } catch {
    // The row has no key: no one can read it, and it is collected later. The error that led here is the one to report.
    return
  }
  void target.collect()
}

export function tooLarge(key: string, limit: number): StoreError {
  return new StoreError('ERR_STORE_FULL', `The body of ${key} is larger than maxEntrySize (${limit} bytes).`)
}

function lost(key: string): StoreError {
  return new StoreError(
    'ERR_STORE_FAILED',
    `The write of ${key} was given up: its unfinished body was removed as abandoned.`,
  )
}
