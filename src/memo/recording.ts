/**
 * What a source yields, recorded while it is read: who comes later gets it from the beginning, and then what comes.
 *
 * Rule 1: the source is read no further than its foremost reader asks; where nobody reads (a renewal in the background), or others wait for
 *         all of it (`eager`), to its end.
 * Rule 2: only what the source ended itself is whole. What failed, was stopped or is too long is not, and is never handed out as such.
 * Rule 3: what has grown past its bound is only handed through: what all its readers have passed is forgotten, and the source is stopped when
 *         the last of them leaves.
 */
import type { Run } from './context.ts'
import { tooLong } from './faults.ts'

/** Items that all readers have passed are forgotten so many at a time. */
const SLICE = 64

export class Recording<T> {
  #items: T[] = []
  /** How many items were forgotten. */
  #forgotten = 0
  /** Null: it goes on. */
  #end: { readonly failure: { readonly error: unknown } | null } | null = null
  #tooLong = false
  readonly #eager: boolean
  readonly #readers = new Set<Reader<T>>()
  /** Called when there is an item, or the end, that they have not seen. */
  #waiting: (() => void)[] = []
  /** Called when a reader wants more, or none is left. */
  #asked: (() => void) | null = null
  #stop: (reason: unknown) => void = () => undefined

  constructor(eager: boolean) {
    this.#eager = eager
  }

  /** How many items came so far. */
  get count(): number {
    return this.#forgotten + this.#items.length
  }

  /** @param began called once there is an item */
  open(began: () => void): Reader<T> {
    const reader = new Reader(this)
    this.#readers.add(reader)
    const tell = (): void => {
      if (this.count > 0) began()
      else if (this.#end === null && reader.left === null) this.#waiting.push(tell)
    }
    tell()
    return reader
  }

  /**
   * Reads the source to its end; all its items. Once the run is aborted the source is told to return, and not waited for.
   * @throws what the source throws; the reason of the abort; TooLong, where there are more than `maxItems`: readers go on
   */
  record(source: AsyncIterable<T>, maxItems: number, run: Pick<Run, 'signal' | 'abort'>): Promise<readonly T[]> {
    const { signal } = run
    const iterator = source[Symbol.asyncIterator]()
    return new Promise((resolve, reject) => {
      const failed = (error: unknown): void => {
        this.#finish({ failure: { error } })
        reject(error)
      }
      this.#stop = (reason) => {
        if (this.#end !== null) return
        failed(reason)
        run.abort(reason)
        // What it says to that is nobody's affair any more.
        void (async () => iterator.return?.())().catch(() => undefined)
      }
      const stop = (): void => this.#stop(signal.reason)
      if (signal.aborted) return stop()
      signal.addEventListener('abort', stop, { once: true })
      const ended = (): void => {
        this.#finish({ failure: null })
        resolve(this.#items)
      }
      void this.#read(iterator, maxItems, reject)
        .then(ended, failed)
        .finally(() => signal.removeEventListener('abort', stop))
    })
  }

  async #read(iterator: AsyncIterator<T>, maxItems: number, refuse: (error: unknown) => void): Promise<void> {
    for (;;) {
      const next = await iterator.next()
      if (this.#end !== null || next.done) return
      this.#items.push(next.value)
      if (!this.#tooLong && this.count > maxItems) {
        this.#tooLong = true
        refuse(tooLong(maxItems))
      }
      this.#wake()
      while (this.#isAhead()) await new Promise<void>((resolve) => (this.#asked = resolve))
      this.#asked = null
    }
  }

  /** Whether the source has yielded all that anybody wants by now. */
  #isAhead(): boolean {
    if (this.#end !== null || this.#waiting.length > 0 || this.#readers.size === 0) return false
    return this.#tooLong || !this.#eager
  }

  #finish(end: { readonly failure: { readonly error: unknown } | null }): void {
    this.#end ??= end
    this.#wake()
    this.#asked?.()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }

  /** @internal */
  async read(reader: Reader<T>): Promise<{ readonly item: T } | undefined> {
    while (reader.position >= this.count && !reader.left) {
      if (this.#end?.failure) throw this.#end.failure.error
      if (this.#end !== null) {
        reader.hasEnded = true
        return undefined
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        this.#asked?.()
      })
    }
    if (reader.left) throw reader.left.reason
    const item = this.#items[reader.position - this.#forgotten] as T
    reader.position += 1
    if (this.#tooLong) this.#forget()
    return { item }
  }

  /** @internal */
  leave(reader: Reader<T>, reason: unknown): void {
    this.#readers.delete(reader)
    this.#wake()
    if (this.#readers.size > 0) return
    if (this.#tooLong) this.#stop(reason)
    this.#asked?.()
  }

  #forget(): void {
    let passed = this.count
    for (const { position } of this.#readers) passed = Math.min(passed, position)
    if (passed - this.#forgotten < SLICE) return
    this.#items = this.#items.slice(passed - this.#forgotten)
    this.#forgotten = passed
  }
}

/** One who reads a recording from its beginning. */
export class Reader<T> {
  readonly #recording: Recording<T>
  /** How many items were read. */
  position = 0
  /** Why it reads no more. */
  left: { readonly reason: unknown } | null = null

  constructor(recording: Recording<T>) {
    this.#recording = recording
  }

  /** Whether an item has come. */
  get hasBegun(): boolean {
    return this.#recording.count > 0
  }

  /** Whether it has read everything, up to the end of the source. */
  hasEnded = false

  /** The next item; undefined after the last. @throws as the source does; the reason for which it left */
  next(): Promise<{ readonly item: T } | undefined> {
    return this.#recording.read(this)
  }

  /** Ends the reading; for whoever waits in `next`, too. */
  leave(reason: unknown): void {
    if (this.left !== null) return
    this.left = { reason }
    this.#recording.leave(this, reason)
  }
}
