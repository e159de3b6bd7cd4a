/**
 * Long bodies: written as chunks under a reserved row without a key, and read back chunk by chunk.
 *
 * Each chunk is its own short transaction, so that other processes can write in between; the last transaction gives the row its
 * key, and only then is it an entry. What a crash leaves has no key, and is collected when it is an hour old.
 */
import { StoreError } from '../errors.ts'
import type { EntryHead, StoreLimits } from '../engine/ports.ts'
import { encodeMetaText } from '../engine/record.ts'
import { chunkSum } from './chunks.ts'
import type { SqliteAccess } from './sqlite-access.ts'
import { nameOf } from './sqlite-key.ts'
import { corruptEntry, headSum } from './sqlite-row.ts'
import type { Statements } from './sqlite-statements.ts'
import { checkSize, pieces, type BodyReader } from './store-body.ts'

/** How a long body is written. */
export interface LongWrite {
  /** Bytes of each chunk but the last. */
  readonly chunkSize: number
  readonly limits: StoreLimits
  /** Called before it takes the place of what is there. */
  readonly publishing: () => void
}

/** Writes an entry whose body is what was read `ahead` and what the reader still gives. @throws StoreError */
export async function writeLong(
  access: SqliteAccess,
  head: EntryHead,
  [reader, ahead]: readonly [BodyReader, readonly Uint8Array[]],
  { chunkSize, limits, publishing }: LongWrite,
): Promise<void> {
  const id = access.change(({ reserve }) =>
    Number(reserve.run(Date.now(), head.expiresAt, head.keepUntil, chunkSize).lastInsertRowid),
  )
  try {
    let size = 0
    let n = 0
    for await (const piece of pieces(reader, ahead, chunkSize)) {
      size += piece.length
      checkSize(head.key, size, limits)
      access.change(({ touch, addChunk }) => {
        if (touch.run(Date.now(), id).changes === 0) throw lost(head.key)
        addChunk.run(id, n, chunkSum(piece, n), piece)
      })
      access.grew(piece.length)
      n++
    }
    publishing()
    access.change((statements) => publish(statements, head, id, size))
  } catch (error) {
    discard(access, id)
    throw error
  }
}

function publish({ deleteKey, publish: give }: Statements, head: EntryHead, id: number, size: number): void {
  const { key, createdAt, expiresAt, keepUntil } = head
  const meta = encodeMetaText(head.meta)
  const name = nameOf(key)
  deleteKey.run(name)
  const sum = headSum(createdAt, expiresAt, keepUntil, size, meta)
  if (give.run(name, createdAt, expiresAt, keepUntil, size, sum, meta, id).changes === 0) throw lost(key)
}

function discard(access: SqliteAccess, id: number): void {
  try {
    access.change(({ deleteId }) => deleteId.run(id))
  } catch {
    // The row has no key: no one can read it, and it is collected later. The error that led here is the one to report.
  }
}

function lost(key: string): StoreError {
  return new StoreError(
    'ERR_STORE_FAILED',
    `The write of ${key} was given up: its unfinished body was removed as abandoned.`,
  )
}

/** Where a long body is. */
export interface LongBody {
  readonly key: string
  readonly id: number
  readonly size: number
  /** Bytes of each chunk but the last. */
  readonly chunk: number
}

/** Chunk `n` of a body, checked. @throws StoreError */
export function readChunk(
  access: SqliteAccess,
  path: string,
  { key, id, size, chunk }: LongBody,
  n: number,
): Uint8Array {
  return access.run((statements) => {
    const [crc, data] = statements.chunk.get(id, n) ?? []
    const length = Math.min(chunk, size - n * chunk)
    if (data instanceof Uint8Array && data.length === length && chunkSum(data, n) === crc) return data
    if (data !== undefined || statements.exists.get(id) !== undefined) {
      throw corruptEntry(key, path, `chunk ${n} is missing or its checksum wrong`)
    }
    const message = `The entry ${key} was replaced or deleted by another process while its body was read.`
    throw new StoreError('ERR_STORE_FAILED', message)
  })
}
