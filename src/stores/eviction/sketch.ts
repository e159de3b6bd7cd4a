/**
 * A count-min sketch of four-bit counters that are halved after a while: how often keys were asked for lately (TinyLFU, Einziger et al. 2017).
 *
 * Rule 1: halving is spread over the additions that follow it, a few counters each, so that no request pays for a walk over all of them.
 * Nobody sees the difference: until its turn comes, a counter is read as if it were halved, and counts double.
 * Rule 2: the table grows with the cache. It is doubled by being repeated: what a longer hash picks apart was counted together so far. That is
 * spread over the additions that follow, too: until its turn comes, a counter is where it was.
 */

/** Keys are counted in four rows; all four share one table. */
const ROWS = 4
/** A counter goes no further. */
export const MOST = 15
/** Counters for each entry, one byte each. With 4, keys seen once drown the others: up to four hits in a hundred fewer (bench/eviction.ts). */
const WIDTH = 16
/** Entries covered at least, and at most: 1 KiB, 16 MiB. */
const LEAST = 64
const LARGEST = 2 ** 20
/** Additions between two halvings, for each entry covered. */
const SAMPLE = 10
/**
 * Counters that an addition halves, or copies, while there are any left: done after one addition an entry, long before the next halving, and
 * before there are so many new entries that the table has to grow again.
 */
const STRIDE = WIDTH

export class Sketch {
  #counters: Uint8Array
  /** Twice as long, while the table grows: whatever is below `#copied` in the table is here in its stead. */
  #wider: Uint8Array | null = null
  #copied = 0
  #covered = LEAST
  #additions: number
  /** Counters from here on are still to be halved; the length of the table: none. */
  #halved: number
  /** How often all counters were halved. */
  halvings = 0

  /** For so many entries, at first; so many additions were counted elsewhere. */
  constructor(entries: number = LEAST, additions: number = 0) {
    while (this.#covered < entries && this.#covered < LARGEST) this.#covered *= 2
    this.#counters = new Uint8Array(this.#covered * WIDTH)
    this.#halved = this.#counters.length
    this.#additions = additions
  }

  /** Of so many entries the counts are told apart; the table grows to that. */
  cover(entries: number): void {
    while (entries > this.#covered && this.#covered < LARGEST) {
      this.#copy(Infinity)
      this.#wider = new Uint8Array(2 * this.#counters.length)
      this.#covered *= 2
    }
  }

  /** `hash` as by hashOf, asked for so many times. */
  add(hash: number, times: number = 1): void {
    if (this.#wider === null) this.#count(hash, times)
    else this.#countWhileGrowing(hash, times, this.#wider)
    this.#additions += times
    if (this.#additions >= this.#covered * SAMPLE && this.#wider === null) this.#startHalving()
  }

  #count(hash: number, times: number): void {
    const counters = this.#counters
    const halved = this.#halved
    const mask = counters.length - 1
    for (let row = 0; row < ROWS; row++) {
      const at = placeOf(hash, row) & mask
      counters[at] = at < halved ? more(counters[at] ?? 0, times) : moreUnhalved(counters[at] ?? 0, times)
    }
    if (halved <= mask) this.#halve(halved + STRIDE)
  }

  #countWhileGrowing(hash: number, times: number, wider: Uint8Array): void {
    const counters = this.#counters
    for (let row = 0; row < ROWS; row++) {
      const place = placeOf(hash, row)
      const at = place & (counters.length - 1)
      const wide = place & (wider.length - 1)
      if (at < this.#copied) wider[wide] = more(wider[wide] ?? 0, times)
      else if (at < this.#halved) counters[at] = more(counters[at] ?? 0, times)
      else counters[at] = moreUnhalved(counters[at] ?? 0, times)
    }
    this.#copy(this.#copied + STRIDE)
  }

  /** How often, at most: 15 stands for more. */
  frequency(hash: number): number {
    const counters = this.#counters
    const wider = this.#wider
    const mask = counters.length - 1
    let least = MOST
    for (let row = 0; row < ROWS; row++) {
      const place = placeOf(hash, row)
      const at = place & mask
      let read = counters[at] ?? 0
      if (at >= this.#halved) read >>= 1
      if (wider !== null && at < this.#copied) read = wider[place & (wider.length - 1)] ?? 0
      if (read < least) least = read
    }
    return least
  }

  #startHalving(): void {
    this.#halve(this.#counters.length)
    this.#additions >>= 1
    this.#halved = 0
    this.halvings += 1
  }

  #halve(until: number): void {
    const end = Math.min(until, this.#counters.length)
    for (let at = this.#halved; at < end; at++) this.#counters[at] = (this.#counters[at] ?? 0) >> 1
    this.#halved = end
  }

  /** Counters that are still to be halved are, on the way. */
  #copy(until: number): void {
    if (this.#wider === null) return
    const { length } = this.#counters
    const end = Math.min(until, length)
    for (let at = this.#copied; at < end; at++) {
      const counted = at < this.#halved ? (this.#counters[at] ?? 0) : (this.#counters[at] ?? 0) >> 1
      this.#wider[at] = counted
      this.#wider[at + length] = counted
    }
    this.#copied = end
    if (end < length) return
    this.#counters = this.#wider
    this.#halved = this.#counters.length
    this.#wider = null
    this.#copied = 0
  }
}

function more(counted: number, times: number): number {
  return counted < MOST ? Math.min(counted + times, MOST) : counted
}

/** Of a counter that is still to be halved. */
function moreUnhalved(counted: number, times: number): number {
  return counted >> 1 < MOST ? Math.min(counted + 2 * times, 2 * MOST + 1) : counted
}

/** Where a row counts a hash: as many of the lowest bits as the table is long. */
export function placeOf(hash: number, row: number): number {
  let mixed = Math.imul(hash ^ (row * 0x9e3779b9), 0x85ebca6b)
  mixed ^= mixed >>> 13
  return Math.imul(mixed, 0xc2b2ae35) >>> 7
}

/** FNV-1a over the UTF-16 units, from a secret start: who does not know it cannot choose keys that share their counters. */
export function hashOf(key: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash | 0
}
