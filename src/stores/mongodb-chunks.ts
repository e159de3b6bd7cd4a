/**
 * Long bodies, in chunks beside the entries: { _id: 'id:n', data, crc, gone?: Date, retired?: true }.
 *
 * 1. They are written before their entry, and named by an id that no other write has: an entry is visible when its body is whole.
 * 2. `gone` says from when on a chunk is of no use: an hour hence until its entry is there, then somewhat later than its entry.
 *    An index by which the server removes, or a sweep, takes what is past it; a writer that is killed leaves nothing for ever.
 * 3. The chunks of an entry that is replaced or deleted stay a minute more, and longer while somebody reads them. They are marked as
 *    `retired`: who gives the chunks of that entry a longer life, late, must not bring them back.
 */
import { StoreError } from '../errors.ts'
import { NEVER } from '../engine/ports.ts'
import { chunkSum } from './chunks.ts'
import type { MongoConnection } from './mongodb-connection.ts'
import { freshId, goneAt, type ChunkedAs } from './mongodb-document.ts'
import type { Document } from './mongodb-driver.ts'
import { pieces, type BodyReader } from './store-body.ts'

/** How long the chunks of a write that never came to its end stay, in ms; and of an entry beyond its own use. */
const ORPHAN_LIFE = 3_600_000
/** How long chunks stay whose entry was replaced or deleted, in ms. */
const GRACE = 60_000

export class MongoChunks {
  readonly #connection: MongoConnection
  readonly #ttl: boolean
  #sweeping: NodeJS.Timeout | null = null

  constructor(connection: MongoConnection, ttl: boolean) {
    this.#connection = connection
    this.#ttl = ttl
  }

  /** Writes what a reader gives, what was read ahead first; `count` is told the bytes so far, and may refuse by throwing. */
  async write(
    reader: BodyReader,
    ahead: readonly Uint8Array[],
    length: number,
    count: (size: number) => void,
  ): Promise<ChunkedAs> {
    const id = freshId()
    let until = Date.now() + ORPHAN_LIFE
    let size = 0
    let n = 0
    try {
      for await (const piece of pieces(reader, ahead, length)) {
        size += piece.length
        count(size)
        // A write that takes its time keeps what it wrote.
        if (Date.now() > until - ORPHAN_LIFE / 2) await this.#keepUntil(id, (until = Date.now() + ORPHAN_LIFE))
        const chunk = { _id: `${id}:${n}`, data: piece, crc: chunkSum(piece, n), gone: new Date(until) }
        await this.#connection.ask(({ chunks }) => chunks.insertOne(chunk))
        n++
      }
    } catch (error) {
      if (n > 0) await this.discard(id)
      throw error
    }
    return { id, length, size }
  }

  /** Removes chunks that no entry ever named; rule 2 where that fails. The error that led here is the one to report. */
  async discard(id: string): Promise<void> {
    try {
      await this.#connection.ask(({ chunks }) => chunks.deleteMany(named(id)))
    } catch {
      // The server is away, or the store closed: they are gone in an hour.
    }
  }

  /** The chunks live as long as their entry, and a little longer. */
  async keep(id: string, keepUntil: number): Promise<void> {
    await this.#keepUntil(id, this.#ttl ? Math.max(keepUntil, Date.now()) + ORPHAN_LIFE : NEVER)
  }

  async #keepUntil(id: string, instant: number): Promise<void> {
    const gone = goneAt(instant)
    const change = gone === null ? { $unset: { gone: 1 } } : { $set: { gone } }
    const living = { ...named(id), retired: { $exists: false } }
    await this.#connection.ask(({ chunks }) => chunks.updateMany(living, change))
  }

  /** The chunks of entries that are not there any more go in a while. */
  async drop(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return
    const retired = { $set: { gone: new Date(Date.now() + GRACE), retired: true } }
    await this.#connection.ask(({ chunks }) => chunks.updateMany(named(...ids), retired))
    if (this.#sweeping !== null) return
    this.#sweeping = setTimeout(() => {
      this.#sweeping = null
      // What fails here is left to the next sweep, of whichever process.
      this.sweep().catch(() => undefined)
    }, GRACE + 1000).unref()
  }

  /** Removes what is past its use, where the server does not do so itself. */
  async sweep(): Promise<void> {
    await this.#connection.ask(({ chunks }) => chunks.deleteMany({ gone: { $lte: new Date() } }))
  }

  /** No sweep is made any more. */
  stop(): void {
    if (this.#sweeping !== null) clearTimeout(this.#sweeping)
    this.#sweeping = null
  }

  /** Reads chunk `n` of a body, checked. */
  async read(key: string, { id, length, size }: ChunkedAs, n: number): Promise<Uint8Array> {
    const chunk = await this.#connection.ask(({ chunks }) => chunks.findOne({ _id: `${id}:${n}` }))
    const data = chunk?.['data']
    if (
      data instanceof Uint8Array &&
      data.length === Math.min(length, size - n * length) &&
      chunkSum(data, n) === chunk?.['crc']
    ) {
      if ((n + 1) * length < size) await this.#prolong(id, chunk)
      return data
    }
    throw await this.#failure(key, id, n, chunk)
  }

  /** Rule 3: chunks about to go stay while they are read. */
  async #prolong(id: string, { gone }: Document): Promise<void> {
    if (!(gone instanceof Date) || gone.getTime() > Date.now() + GRACE / 2) return
    const later = new Date(Date.now() + GRACE)
    await this.#connection.ask(({ chunks }) => chunks.updateMany(named(id), { $max: { gone: later } }))
  }

  /** Gone with its entry, which is nobody's fault; or missing from an entry that is there. */
  async #failure(key: string, id: string, n: number, chunk: Document | null): Promise<StoreError> {
    const entry =
      chunk ??
      (await this.#connection.ask(({ entries }) => entries.findOne({ 'chunks.id': id }, { projection: { _id: 1 } })))
    if (entry === null) {
      return new StoreError('ERR_STORE_FAILED', `The entry ${key} was replaced or deleted while its body was read.`)
    }
    return new StoreError('ERR_STORE_CORRUPT', `Part ${n} of the body of ${key} is gone or damaged.`)
  }
}

/** All chunks of these bodies, by the index over `_id`: ';' comes after ':'. */
function named(...ids: readonly string[]): Document {
  const ranges = ids.map((id) => ({ _id: { $gte: `${id}:`, $lt: `${id};` } }))
  return ranges.length === 1 ? { ...ranges[0] } : { $or: ranges }
}
