/** Keys whose last answer could not be shared: their requests go to the origin side by side instead of one behind the other (row 149). */

/** Two generations of so many: the older one is forgotten whole, so that nothing ever looks for the oldest key. */
const GENERATION = 1000

export class Unshareable {
  #young = new Set<string>()
  #old = new Set<string>()

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key)
  }

  add(key: string): void {
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young
      this.#young = new Set()
    }
    this.#young.add(key)
  }

  forget(key: string): void {
    if (this.#young.size > 0) this.#young.delete(key)
    if (this.#old.size > 0) this.#old.delete(key)
  }
}
