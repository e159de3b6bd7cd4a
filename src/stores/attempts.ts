/** Attempts to connect: after one that failed there is a pause, in which every use fails at once, with what that one failed with. */

/** Pauses, in ms: the first, then twice as long each time, up to the longest. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 2000

export class Attempts {
  #failure: Error | null = null
  #pause = FIRST_PAUSE
  #retryAt = -Infinity

  /** What the last one failed with; null: it did not. */
  get failure(): Error | null {
    return this.#failure
  }

  /** What to fail with in place of another one; null: it is time for it. */
  get refusal(): Error | null {
    return performance.now() < this.#retryAt ? this.#failure : null
  }

  succeeded(): void {
    this.#failure = null
    this.#pause = FIRST_PAUSE
  }

  /** The error, to be thrown. */
  failed(error: Error): Error {
    this.#failure = error
    this.#retryAt = performance.now() + this.#pause
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    return error
  }
}
