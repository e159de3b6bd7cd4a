/** The values that were put in last, by key: the one put in longest ago goes when there are too many. */
export class Recent<V> {
  readonly #most: number
  readonly #values = new Map<string, V>()

  constructor(most: number = 1000) {
    this.#most = most
  }

  has(key: string): boolean {
    return this.#values.has(key)
  }

  get(key: string): V | undefined {
    return this.#values.get(key)
  }

  set(key: string, value: V): void {
    if (this.#values.size >= this.#most && !this.#values.has(key)) {
      const [oldest] = this.#values.keys()
      if (oldest !== undefined) this.#values.delete(oldest)
    }
    this.#values.set(key, value)
  }

  delete(key: string): void {
    this.#values.delete(key)
  }

  clear(): void {
    this.#values.clear()
  }
}
