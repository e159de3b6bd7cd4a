/**
 * Which exchanges an invalidation overtook: what the origin was asked for before it is not stored after it (RELIABILITY 65).
 *
 * Rule 1: an exchange enters before the origin is asked, and leaves once what came of it is written, or never will be.
 * Rule 2: names are keys and tags (tags.ts). Raising a fence for one overtakes every exchange under way for it, however many there are
 *   under one key and whether or not others can join them.
 * Rule 3: names are remembered only while something is under way, and no more than MAX_NAMES. Where they were forgotten, everything that
 *   entered before counts as overtaken: an entry is lost at worst, an old one never kept.
 * Rule 4: of two answers under one key the one that was asked for later stays, whichever is written first (RFC 9111 section 4: the most
 *   recent one is used).
 */

/** Names remembered at once. */
const MAX_NAMES = 10_000

export class Fences {
  #epoch = 0
  #underWay = 0
  /** Whoever entered before this epoch counts as overtaken by everything. */
  #forgotten = 0
  readonly #raised = new Map<string, number>()
  #order = 0
  /** Whoever was asked for before this is taken for outrun by all. */
  #unsure = 0
  /** The latest order written under a key, while others are under way. */
  readonly #written = new Map<string, number>()

  /** Grows with each invalidation: what was asked for before one is told from what was asked for after it. */
  get epoch(): number {
    return this.#epoch
  }

  /** How many names are remembered. */
  get size(): number {
    return this.#raised.size
  }

  /** Begins an exchange; the epoch it will be judged by. */
  enter(): number {
    this.#underWay += 1
    return this.#epoch
  }

  leave(): void {
    this.#underWay -= 1
    if (this.#underWay > 0) return
    if (this.#raised.size > 0) this.#forget()
    if (this.#written.size > 0) this.#written.clear()
  }

  /** The place of an exchange among all that are: who is asked later comes later. */
  next(): number {
    return ++this.#order
  }

  /** What was asked for at `order` is under a key now. */
  wrote(key: string, order: number): void {
    // Whoever writes is under way itself.
    if (this.#underWay < 2 || (this.#written.get(key) ?? 0) >= order) return
    if (this.#written.size >= MAX_NAMES) {
      this.#written.clear()
      this.#unsure = this.#order
    }
    this.#written.set(key, order)
  }

  /** Whether what was asked for later is under the key already. */
  isOutrun(key: string, order: number): boolean {
    return order < this.#unsure || (this.#written.size > 0 && (this.#written.get(key) ?? 0) > order)
  }

  raise(names: readonly string[]): void {
    this.#epoch += 1
    if (this.#underWay === 0 || this.#raised.size + names.length > MAX_NAMES) this.#forget()
    else for (const name of names) this.#raised.set(name, this.#epoch)
  }

  /** Everything under way is overtaken. */
  raiseAll(): void {
    this.#epoch += 1
    this.#forget()
  }

  #forget(): void {
    this.#raised.clear()
    this.#forgotten = this.#epoch
  }

  /** Whether what entered at `epoch` was overtaken by an invalidation of any of these names. */
  overtook(epoch: number, names: readonly string[]): boolean {
    if (epoch === this.#epoch) return false
    return epoch < this.#forgotten || names.some((name) => (this.#raised.get(name) ?? 0) > epoch)
  }
}
