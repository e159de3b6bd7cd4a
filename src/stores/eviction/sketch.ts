/**
 * A count-min sketch of four-bit counters that are halved after a while: how often keys were asked for lately (TinyLFU, Einziger et al. 2017).
 *
 * Rule 1: halving is spread over the additions that follow it, a few counters each, so that no request pays for a walk over all of them.
 * Nobody sees the difference: until its turn comes, a counter is read as if it were halved, and counts double.
 * Rule 2: the table grows with the cache. It is doubled by being repeated: what a longer hash picks apart was counted together so far.
 */

/** Keys are counted in four rows; all four share one table. */
const ROWS = 4
const MOST = 15
/** Counters for each entry, one byte each. With 4, keys seen once drown the others: up to four hits in a hundred fewer (bench/eviction.ts). */
const WIDTH = 16
/** Entries covered at first, and at most: 1 KiB, 16 MiB. */
const FIRST = 64
const LARGEST = 2 ** 20
/** Additions between two halvings, for each entry covered. */
const SAMPLE = 10
/** Counters that an addition halves while there are any left to halve: done after one addition an entry, long before the next halving. */
const STRIDE = WIDTH

export class Sketch {
  #counters = new Uint8Array(FIRST * WIDTH)
  #covered = FIRST
  #additions = 0
  /** Counters from here on are still to be halved; the length of the table: none. */
  #halved = FIRST * WIDTH

  /** Of so many entries the counts are told apart; the table grows to that. */
  cover(entries: number): void {
    while (entries > this.#covered && this.#covered < LARGEST) this.#double()
  }

  /** `hash` as by hashOf, asked for so many times. */
  add(hash: number, times: number = 1): void {
    const counters = this.#counters
    const mask = counters.length - 1
    for (let row = 0; row < ROWS; row++) {
      const at = placeOf(hash, row, mask)
      const count = counters[at] ?? 0
      if (at < this.#halved) {
        if (count < MOST) counters[at] = Math.min(count + times, MOST)
      } else if (count >> 1 < MOST) counters[at] = Math.min(count + 2 * times, 2 * MOST + 1)
    }
    if (this.#halved <= mask) this.#halve(this.#halved + STRIDE)
    this.#additions += times
    if (this.#additions >= this.#covered * SAMPLE) {
      this.#additions >>= 1
      this.#halved = 0
    }
  }

  /** How often, at most: 15 stands for more. */
  frequency(hash: number): number {
    const counters = this.#counters
    let least = MOST
    for (let row = 0; row < ROWS; row++) {
      const at = placeOf(hash, row, counters.length - 1)
      const count = counters[at] ?? 0
      least = Math.min(least, at < this.#halved ? count : count >> 1)
    }
    return least
  }

  #halve(end: number): void {
    for (let at = this.#halved; at < end; at++) this.#counters[at] = (this.#counters[at] ?? 0) >> 1
    this.#halved = end
  }

  #double(): void {
    const { length } = this.#counters
    this.#halve(length)
    const wider = new Uint8Array(2 * length)
    wider.set(this.#counters)
    wider.set(this.#counters, length)
    this.#counters = wider
    this.#covered *= 2
    this.#halved = 2 * length
  }
}

/** Where a row counts a hash. */
export function placeOf(hash: number, row: number, mask: number): number {
  let mixed = Math.imul(hash ^ (row * 0x9e3779b9), 0x85ebca6b)
  mixed ^= mixed >>> 13
  return (Math.imul(mixed, 0xc2b2ae35) >>> 7) & mask
}

/** FNV-1a over the UTF-16 units, from a secret start: who does not know it cannot choose keys that share their counters. */
export function hashOf(key: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash | 0
}
