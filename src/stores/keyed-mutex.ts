/** Turns at keys, within this process: for stores that cannot compare and set in one step. */
export class KeyedMutex {
  readonly #last = new Map<string, Promise<unknown>>()

  /** Does the work when all that was asked for earlier under any of these keys has ended, however it ended. */
  async run<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = keys.map((key) => this.#last.get(key)).filter((turn) => turn !== undefined)
    const turn = before.length === 0 ? work() : Promise.allSettled(before).then(work)
    for (const key of keys) this.#last.set(key, turn)
    try {
      return await turn
    } finally {
      for (const key of keys) if (this.#last.get(key) === turn) this.#last.delete(key)
    }
  }
}
