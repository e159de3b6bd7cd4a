/**
 * W-TinyLFU (Einziger et al. 2017): a window in front of a segmented LRU; what leaves the window stays only if it was asked for more often
 * lately than what it would push out. The window begins at a hundredth of the cache and grows where recency pays.
 *
 * As long as the cache has not been full, hits do not touch the sketch: they are counted beside the entry, and put in when it leaves the window.
 */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'
import { hashOf, Sketch } from './sketch.ts'
import { WindowClimber } from './window-climber.ts'

const WINDOW = 0
const PROBATION = 1
const PROTECTED = 2

/** Until something has to go for the first time everything is in the window, and uses are counted in `place`, as so many times this. */
const USE = 4
/** These counts are never halved: beyond seven, what was asked for often long ago would be in the way of what comes (bench/eviction.ts). */
const MOST_USES = 7 * USE

/** How much of the main part is protected; the rest is on probation. */
const PROTECTED_SHARE = 0.8

export class TinyLfu implements EvictionPolicy {
  readonly #window = new NodeList()
  readonly #probation = new NodeList()
  readonly #protected = new NodeList()
  readonly #sketch = new Sketch()
  readonly #climber = new WindowClimber()
  readonly #seed: number
  /** Whether something had to go. */
  #full = false

  /** `random` is asked once, for the secret of the hashes. */
  constructor(random: () => number) {
    this.#seed = Math.floor(random() * 2 ** 32)
  }

  get #size(): number {
    return this.#window.size + this.#main
  }

  get #main(): number {
    return this.#probation.size + this.#protected.size
  }

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    // Hashed once: a hit does not read the key.
    node.mark = hashOf(key, this.#seed)
    node.place = WINDOW
    this.#window.push(node)
    this.#sketch.cover(this.#size)
    this.#sketch.add(node.mark)
    this.#climber.miss()
    return node
  }

  hit(node: EvictionNode): void {
    this.#climber.hit()
    if (!this.#full) {
      if (node.place < MOST_USES) node.place += USE
      return this.#window.toFront(node)
    }
    this.#sketch.add(node.mark)
    if (node.place !== PROBATION) return this.#listOf(node).toFront(node)
    this.#probation.remove(node)
    node.place = PROTECTED
    this.#protected.push(node)
    if (this.#protected.size > this.#main * PROTECTED_SHARE) this.#demote()
  }

  #demote(): void {
    const node = this.#protected.tail
    if (node === null) return
    this.#protected.remove(node)
    node.place = PROBATION
    this.#probation.push(node)
  }

  remove(node: EvictionNode): void {
    this.#listOf(node).remove(node)
  }

  /** What is over the window moves on to the main part: for nothing while there is room, then in exchange for a victim. */
  victim(): EvictionNode | undefined {
    this.#full = true
    this.#climber.climb(this.#size)
    const window = Math.max(1, Math.ceil(this.#size * this.#climber.share))
    while (this.#window.size > window) {
      const candidate = this.#window.tail
      const victim = this.#probation.tail ?? this.#protected.tail
      if (candidate === null) break
      this.#count(candidate)
      // Who asks for a victim is full: there is room in the main part as long as the window has more than one entry too many.
      if (victim !== null && this.#window.size <= window + 1) {
        if (this.#sketch.frequency(candidate.mark) <= this.#sketch.frequency(victim.mark)) return candidate
        this.#admit(candidate)
        return victim
      }
      this.#admit(candidate)
    }
    return this.#probation.tail ?? this.#protected.tail ?? this.#window.tail ?? undefined
  }

  /** Puts into the sketch what was counted beside the entry. */
  #count(node: EvictionNode): void {
    if (node.place < USE) return
    this.#sketch.add(node.mark, Math.floor(node.place / USE))
    node.place %= USE
  }

  #admit(node: EvictionNode): void {
    this.#window.remove(node)
    node.place = PROBATION
    this.#probation.push(node)
  }

  #listOf(node: EvictionNode): NodeList {
    return node.place === PROBATION ? this.#probation : node.place === PROTECTED ? this.#protected : this.#window
  }

  clear(): void {
    for (const list of [this.#window, this.#probation, this.#protected]) list.clear()
    this.#full = false
  }
}
