/**
 * Several sources of bytes as one stream, one after the other.
 *
 * Rule 1: a source gives exactly as many bytes as it said, or the stream fails: what comes after it would be in the wrong place.
 * Rule 2: whoever cancels it leaves at once the source that is being read, and those whose turn has not come where they are open already.
 */
import { assertBytes } from './bytes.ts'
import { BodyInterrupted } from './live-body.ts'
import type { OriginBody, OriginReader } from './ports.ts'

export interface Piece {
  /** How many bytes it gives. */
  readonly length: number
  open(): OriginBody
  /** Lets go of it unread. Absent: it is open only once it is read. */
  readonly leave?: (reason: unknown) => void
  /** Where the rest of it is, where it fails after so many bytes. Absent: nowhere. */
  readonly instead?: (after: number, error: unknown) => Promise<OriginBody>
  /** Asked where it ends short: whether everything ends there. Absent: it does not. */
  readonly endsAll?: () => boolean
}

class Joined {
  readonly #pieces: readonly Piece[]
  #at = 0
  #given = 0
  #reader: OriginReader | null = null
  #wentOn = false
  #hasLeft = false

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces
  }

  /** The next bytes; null: that was all. */
  async next(): Promise<Uint8Array | null> {
    for (;;) {
      const piece = this.#pieces[this.#at]
      if (piece === undefined) return null
      const { done, value } = await this.#read(piece)
      if (done) {
        if (this.#given < piece.length) {
          if (piece.endsAll?.()) return null
          throw new BodyInterrupted(`${piece.length - this.#given} bytes of a part did not come`)
        }
        this.#at += 1
        this.#given = 0
        this.#reader = null
        this.#wentOn = false
        continue
      }
      assertBytes(value)
      if (value.length === 0) continue
      this.#given += value.length
      if (this.#given > piece.length) throw new BodyInterrupted('a part is longer than it said')
      return value
    }
  }

  async #read(piece: Piece): ReturnType<OriginReader['read']> {
    try {
      this.#reader ??= piece.open().getReader()
      return await this.#reader.read()
    } catch (error) {
      if (piece.instead === undefined || this.#wentOn || this.#hasLeft) throw error
      this.#wentOn = true
      const rest = await piece.instead(this.#given, error)
      this.#reader = rest.getReader()
      if (this.#hasLeft) await this.#reader.cancel(error)
      return this.#reader.read()
    }
  }

  async leave(reason: unknown): Promise<void> {
    this.#hasLeft = true
    for (const { leave } of this.#pieces.slice(this.#reader === null ? this.#at : this.#at + 1)) leave?.(reason)
    await this.#reader?.cancel(reason)
  }
}

/** The pieces as one stream, each opened when its turn comes. */
export function joined(pieces: readonly Piece[]): ReadableStream<Uint8Array> {
  const all = new Joined(pieces)
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const value = await all.next()
          if (value === null) controller.close()
          else controller.enqueue(value)
        } catch (error) {
          // What is open may be what failed: nobody is left to tell that it could not be left.
          all.leave(error).catch(() => undefined)
          throw error
        }
      },
      cancel: (reason) => all.leave(reason),
    },
    { highWaterMark: 0 },
  )
}
