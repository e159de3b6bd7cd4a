/**
 * Keys that may still show what was deleted: what could not be deleted (RELIABILITY B35), and what was being written when it was
 * deleted and may come to be there after that, until its writer takes it back (RELIABILITY 65).
 *
 * Rule 1: under a tombstone lie the entries created until its instant; a newer one, another process's perhaps, is seen.
 * Rule 2: it is gone once a write that began after it has ended: what is there then is newer, whatever the clock says.
 */
import { isPromise } from './maybe.ts'
import type { Clock, MaybePromise, StoredEntry } from './ports.ts'

const MOST = 10_000

interface Tombstone {
  readonly at: number
  readonly serial: number
}

export class Tombstones {
  readonly #clock: Clock
  readonly #stones = new Map<string, Tombstone>()
  /** How many writes of a key are under way. */
  readonly #writing = new Map<string, number>()
  /** Grows with every burial: what a write remembers of its beginning. */
  serial = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  cover({ meta: { key }, createdAt }: StoredEntry): boolean {
    if (this.#stones.size === 0) return false
    const stone = this.#stones.get(key)
    return stone !== undefined && createdAt <= stone.at
  }

  /** Whether something under the key may show that was deleted. */
  has(key: string): boolean {
    return this.#stones.has(key)
  }

  bury(keys: readonly string[]): void {
    const at = this.#clock.now()
    this.serial += 1
    for (const key of keys) {
      if (this.#stones.size >= MOST) this.#forgetOldest()
      this.#stones.set(key, { at, serial: this.serial })
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#stones.keys()
    if (oldest !== undefined) this.#stones.delete(oldest)
  }

  /** A write of the key, while it is under way. */
  writing<T>(key: string, write: MaybePromise<T>): MaybePromise<T> {
    if (!isPromise(write)) return write
    this.#writing.set(key, (this.#writing.get(key) ?? 0) + 1)
    const done = (): void => {
      const left = (this.#writing.get(key) ?? 1) - 1
      if (left === 0) this.#writing.delete(key)
      else this.#writing.set(key, left)
    }
    void write.then(done, done)
    return write
  }

  /** A write has succeeded that began when `serial` was `began`. */
  written(key: string, began: number): void {
    if (this.#stones.size === 0) return
    const stone = this.#stones.get(key)
    if (stone !== undefined && stone.serial <= began && !this.#writing.has(key)) this.#stones.delete(key)
  }

  /** Everything that is being written is buried: the store is emptied. */
  emptying(): void {
    if (this.#writing.size > 0) this.bury([...this.#writing.keys()])
  }

  /** What is being written is buried before it is deleted. */
  deleting(keys: readonly string[]): void {
    if (this.#writing.size === 0) return
    const written = keys.filter((key) => this.#writing.has(key))
    if (written.length > 0) this.bury(written)
  }
}
