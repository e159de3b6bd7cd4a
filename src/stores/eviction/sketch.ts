/** A count-min sketch of four-bit counters that are halved after a while: how often keys were asked for lately (TinyLFU, Einziger et al. 2017). */

export class Sketch {
  readonly #counters: Uint8Array
  readonly #mask: number
  readonly #sample: number
  #additions = 0

  /** `capacity`: how many keys matter. */
  constructor(capacity: number) {
    const width = 2 ** Math.ceil(Math.log2(Math.max(64, capacity * 4)))
    this.#counters = new Uint8Array(width)
    this.#mask = width - 1
    this.#sample = Math.max(640, capacity * 10)
  }

  add(key: string): void {
    const hash = hashOf(key)
    for (let row = 0; row < 4; row++) {
      const at = this.#at(hash, row)
      const count = this.#counters[at] ?? 0
      if (count < 15) this.#counters[at] = count + 1
    }
    this.#additions += 1
    if (this.#additions >= this.#sample) this.#age()
  }

  frequency(key: string): number {
    const hash = hashOf(key)
    let least = 15
    for (let row = 0; row < 4; row++) least = Math.min(least, this.#counters[this.#at(hash, row)] ?? 0)
    return least
  }

  #at(hash: number, row: number): number {
    let mixed = Math.imul(hash ^ (row * 0x9e3779b9), 0x85ebca6b)
    mixed ^= mixed >>> 13
    return (Math.imul(mixed, 0xc2b2ae35) >>> 7) & this.#mask
  }

  #age(): void {
    for (let at = 0; at < this.#counters.length; at++) this.#counters[at] = (this.#counters[at] ?? 0) >> 1
    this.#additions >>= 1
  }
}

/** FNV-1a over the UTF-16 units: a guess at frequency needs no more. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return hash >>> 0
}
