/**
 * Answers that are waited for, and for how long.
 *
 * 1. No command waits for ever: not for a server that hangs, nor for a connection that is gone without a word (RELIABILITY 38).
 * 2. The process lives while an answer is waited for, and no longer: sockets of ours are not held by the event loop, but the one
 *    timer here is. There is no timer a command, and none at all when nothing is going on.
 */

/** A command unanswered for this many ticks is late: its limit, and at most a quarter more. */
const TICKS = 4

interface Waiting {
  readonly since: number
  readonly late: () => void
}

export class Deadlines {
  readonly #limit: number
  readonly #waiting = new Set<Waiting>()
  #ticks = 0
  #timer: NodeJS.Timeout | null = null

  /** @param limit how long an answer may take, in ms */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Settles as `answer` does, through `map` or `fail`; or rejects with what `late` returns when it takes too long. */
  settle<A, T>(
    answer: Promise<A>,
    map: (reply: A) => T,
    fail: (error: unknown) => Error,
    late: () => Error,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const entry = this.#begin(() => reject(late()))
      answer.then(
        (reply) => {
          this.#end(entry)
          try {
            resolve(map(reply))
          } catch (error) {
            reject(error)
          }
        },
        (error: unknown) => {
          this.#end(entry)
          reject(fail(error))
        },
      )
    })
  }

  /** Resolves when nothing is waited for. */
  async idle(): Promise<void> {
    while (this.#waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  #begin(late: () => void): Waiting {
    const entry = { since: this.#ticks, late }
    if (this.#waiting.size === 0) this.#run()
    this.#waiting.add(entry)
    return entry
  }

  #end(entry: Waiting): void {
    if (this.#waiting.delete(entry) && this.#waiting.size === 0) this.#timer?.unref()
  }

  #run(): void {
    this.#timer ??= setInterval(() => this.#tick(), Math.max(1, this.#limit / TICKS))
    this.#timer.ref()
  }

  #tick(): void {
    this.#ticks++
    // In the order they were begun: the first that is not late ends the search.
    for (const entry of this.#waiting) {
      if (this.#ticks - entry.since <= TICKS) break
      this.#end(entry)
      entry.late()
    }
    if (this.#waiting.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
