/**
 * W-TinyLFU (Einziger et al. 2017): a window in front of a segmented LRU; what leaves the window stays only if it was asked for more often
 * lately than what it would push out. The window begins at a hundredth of the cache and grows where recency pays.
 *
 * Rule 1: as long as nothing had to go there is one list and no sketch: uses are counted beside the entries. From then on that list is the
 * main part; the window takes the newest from it, a few at a time. Nothing is moved, and nothing counted, for all entries at once.
 * Rule 2: one operation moves a few entries at most, whatever the window's size has become.
 */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'
import { hashOf, MOST, Sketch } from './sketch.ts'
import { WindowClimber } from './window-climber.ts'

/** The segment an entry is in: the lowest bits of `place`. */
const SEGMENT = 3
const PROBATION = 0
const PROTECTED = 1
const WINDOW = 2

/** Uses before something had to go for the first time are counted in `place`, as so many times this. */
const USE = 4
/** More are not counted: beyond that, what was asked for often long ago would be in the way of what comes (bench/eviction.ts). */
const MOST_USES = 8 * USE

/** How much of the main part is protected; the rest is on probation. */
const PROTECTED_SHARE = 0.8
/** Entries that one operation moves at most, so that the window is soon as large as it should be. */
const MOVES = 32

export class TinyLfu implements EvictionPolicy {
  readonly #window = new NodeList()
  readonly #probation = new NodeList()
  readonly #protected = new NodeList()
  readonly #climber = new WindowClimber()
  readonly #seed: number
  /** Null: nothing had to go so far. */
  #sketch: Sketch | null = null
  /** How many entries it should have, by when that was last looked at. */
  #windowSize = 1
  /** The window has not been as large as it should be so far. */
  #opening = true

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
    this.#climber.miss()
    if (this.#sketch === null) {
      node.place = PROBATION + USE
      this.#probation.push(node)
      return node
    }
    node.place = WINDOW
    this.#window.push(node)
    this.#sketch.cover(this.#size)
    this.#sketch.add(node.mark)
    // There is room where nobody asked for a victim: what is over the window need not contend, but for the rival of the next victim.
    if (this.#window.size > this.#windowSize + 1) {
      this.#setWindowSize()
      this.#shrinkWindow()
    }
    return node
  }

  hit(node: EvictionNode): void {
    this.#climber.hit()
    if (this.#sketch === null) {
      if (node.place < MOST_USES) node.place += USE
      return this.#probation.toFront(node)
    }
    this.#sketch.add(node.mark)
    const segment = node.place & SEGMENT
    if (segment !== PROBATION) return (segment === WINDOW ? this.#window : this.#protected).toFront(node)
    this.#probation.remove(node)
    node.place += PROTECTED - PROBATION
    this.#protected.push(node)
    if (this.#protected.size > this.#main * PROTECTED_SHARE) this.#demote()
  }

  #demote(): void {
    const node = this.#protected.tail
    if (node === null) return
    this.#protected.remove(node)
    node.place += PROBATION - PROTECTED
    this.#probation.push(node)
  }

  remove(node: EvictionNode): void {
    const segment = node.place & SEGMENT
    if (segment === PROBATION) this.#probation.remove(node)
    else (segment === WINDOW ? this.#window : this.#protected).remove(node)
    // It may come back.
    if (this.#sketch !== null && node.place >= USE) this.#sketch.add(node.mark, this.#usesBeside(node, this.#sketch))
  }

  /** What is over the window contends with what is next to leave the main part. */
  victim(): EvictionNode | undefined {
    this.#sketch ??= new Sketch(this.#size, Math.min(this.#climber.requests, (this.#size * MOST_USES) / USE))
    this.#climber.climb(this.#size)
    this.#setWindowSize()
    if (this.#opening) this.#openWindow()
    this.#shrinkWindow()
    const candidate = this.#window.tail
    const victim = this.#probation.tail ?? this.#protected.tail
    if (candidate === null || victim === null) return victim ?? candidate ?? undefined
    if (this.#window.size <= this.#windowSize) return victim
    if (this.#frequency(candidate, this.#sketch) <= this.#frequency(victim, this.#sketch)) return candidate
    this.#admit(candidate)
    return victim
  }

  #frequency(node: EvictionNode, sketch: Sketch): number {
    const counted = sketch.frequency(node.mark)
    return node.place < USE ? counted : Math.min(MOST, counted + this.#usesBeside(node, sketch))
  }

  /** They grow old as what is in the sketch does. */
  #usesBeside(node: EvictionNode, sketch: Sketch): number {
    return Math.floor(node.place / USE / 2 ** sketch.halvings)
  }

  #setWindowSize(): void {
    this.#windowSize = Math.max(1, Math.ceil(this.#size * this.#climber.share))
  }

  #shrinkWindow(): void {
    for (let moves = 0; moves < MOVES && this.#window.size > this.#windowSize + 1; moves++) {
      if (this.#window.tail !== null) this.#admit(this.#window.tail)
    }
  }

  /** What came in last, or was used last, is in the window. */
  #openWindow(): void {
    const size = this.#windowSize + 1
    for (let moves = 0; moves < MOVES && this.#window.size < size; moves++) {
      const node = this.#probation.head
      if (node === null) break
      this.#probation.remove(node)
      node.place += WINDOW - PROBATION
      this.#window.append(node)
    }
    this.#opening = this.#window.size < size
  }

  #admit(node: EvictionNode): void {
    this.#window.remove(node)
    node.place += PROBATION - WINDOW
    this.#probation.push(node)
  }

  clear(): void {
    for (const list of [this.#window, this.#probation, this.#protected]) list.clear()
    this.#sketch = null
    this.#opening = true
  }
}
