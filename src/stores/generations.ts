/**
 * What was worked out for the keys asked for lately. Two generations: the older one is forgotten whole, so that nothing ever looks for the
 * oldest, and keys that never come again cost no more than two look-ups and a place.
 */

/** In a generation. */
const MOST = 1000

export class Generations<K, V> {
  #young = new Map<K, V>()
  #old = new Map<K, V>()

  get(key: K): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined || this.#old.size === 0) return value
    const old = this.#old.get(key)
    // Asked for again: it goes on with the young ones.
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: K, value: V): void {
    if (this.#young.size >= MOST) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
  }
}
