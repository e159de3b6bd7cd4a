/**
 * Calls under way. Closing waits a moment for them: what was begun before is answered, from the store where it can be, else from the network;
 * closing alone fails nothing (row 12).
 */
import { atMost } from '../engine/timer.ts'

export class Calls {
  #underWay = 0
  #drained: (() => void) | null = null

  async run<T>(call: () => Promise<T>): Promise<T> {
    this.begin()
    try {
      return await call()
    } finally {
      this.end()
    }
  }

  begin(): void {
    this.#underWay += 1
  }

  end(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) this.#drained?.()
  }

  /** Resolves when all calls have ended, or after `limit` ms. */
  async drained(limit: number): Promise<void> {
    if (this.#underWay > 0) await atMost(limit, new Promise<void>((resolve) => (this.#drained = resolve)))
  }
}
