/** Keys whose last answer could not be shared: their requests go to the origin side by side instead of one behind the other (row 149). */
const MAX_KEYS = 1000

export class Unshareable {
  readonly #keys = new Set<string>()

  has(key: string): boolean {
    return this.#keys.size > 0 && this.#keys.has(key)
  }

  add(key: string): void {
    this.#keys.delete(key)
    const [oldest] = this.#keys
    if (this.#keys.size >= MAX_KEYS && oldest !== undefined) this.#keys.delete(oldest)
    this.#keys.add(key)
  }

  forget(key: string): void {
    if (this.#keys.size > 0) this.#keys.delete(key)
  }
}
