/** What closing waits for: writes whose body has come in whole but that the store has not finished, and leases to give back. */
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
    if (this.#writes.size > 0) await atMost(limit, this.#ended())
  }

  /** Resolves when those that are under way have ended, or after `limit` ms; it does not wait for any that begin meanwhile. */
  async settled(limit: number): Promise<void> {
    if (this.#writes.size > 0) await atMost(limit, Promise.allSettled(this.#writes))
  }

  /** One may bring another: a write that has ended gives back its lease. */
  async #ended(): Promise<void> {
    while (this.#writes.size > 0) await Promise.allSettled(this.#writes)
  }
}
