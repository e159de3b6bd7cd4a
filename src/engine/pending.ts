/** Writes whose body has come in whole but that the store has not finished: what closing waits for. */
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
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, limit)))
    await Promise.race([Promise.allSettled(this.#writes), late])
    clearTimeout(timer)
  }
}
