/**
 * The store's side of a handler's body: every byte of it, in chunks of its own (what the handler does to its buffers afterwards cannot
 * be seen here).
 *
 * Rule 1: whoever writes for a visitor is not slowed down by the store: it may fall behind by MAX_BEHIND, then it is given up.
 * Rule 2: whoever writes for the store alone is told to wait once it is behind by ENOUGH, and that he may go on when it has caught up.
 */

/** Bytes the store may be behind before it is given up. */
const MAX_BEHIND = 16 * 1024 * 1024

/** Bytes for which it is worth waiting. */
const ENOUGH = 64 * 1024

export class Tap {
  readonly stream: ReadableStream<Uint8Array>
  readonly #lost: () => void
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null
  #waiting: (() => void)[] = []

  /** @param lost told when the store wants no more of a body that is on its way */
  constructor(lost: () => void) {
    this.#lost = lost
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#goOn(),
        cancel: () => {
          const early = this.#controller !== null
          this.leave()
          if (early) lost()
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: 0 }),
    )
  }

  /** Whether anything given here goes anywhere. */
  get isOpen(): boolean {
    return this.#controller !== null
  }

  /** Whether a writer for the store alone should wait. */
  get isFull(): boolean {
    return this.#behind > ENOUGH
  }

  get #behind(): number {
    return -(this.#controller?.desiredSize ?? 0)
  }

  feed(bytes: Uint8Array): void {
    // Not slice(): that of a Buffer shares its memory.
    if (bytes.length > 0) this.#controller?.enqueue(new Uint8Array(bytes))
    if (this.#behind <= MAX_BEHIND) return
    this.break('the store is too slow for this response')
    // Not in the middle of a write of the handler's.
    queueMicrotask(this.#lost)
  }

  /** Calls back when the store has caught up, or wants no more. */
  whenRoom(go: () => void): void {
    if (this.isFull) this.#waiting.push(go)
    else queueMicrotask(go)
  }

  end(): void {
    this.#controller?.close()
    this.leave()
  }

  break(why: string): void {
    this.#controller?.error(new Error(why))
    this.leave()
  }

  /** Nothing more goes this way. */
  leave(): void {
    this.#controller = null
    this.#goOn()
  }

  #goOn(): void {
    for (const go of this.#waiting.splice(0)) queueMicrotask(go)
  }
}
