/** Writes whose body has come in whole but that the store has not finished: what closing waits for. */
import { atMost } from './timer.ts'

export class Pending {
  readonly #writes = new Set<Promise<unknown>>()

  add(write: Promise<unknown>): void {
    this.#writes.add(write)
    const done = (): void => void this.#writes.delete(write)
    write.then(done, done)
  }

  /** Resolves when all have ended, or after `limit` ms. */
  async drained(limit: number): Promise<void> {
    if (this.#writes.size === 0) return
    await atMost(limit, Promise.allSettled(this.#writes))
  }
}
