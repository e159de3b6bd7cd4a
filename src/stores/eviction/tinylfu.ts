/**
 * W-TinyLFU (Einziger et al. 2017): a small window in front of a segmented LRU; what leaves the window stays only if it was asked for
 * more often lately than what it would push out.
 */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'
import { Sketch } from './sketch.ts'

const WINDOW = 0
const PROBATION = 1
const PROTECTED = 2

export class TinyLfu implements EvictionPolicy {
  readonly #window = new NodeList()
  readonly #probation = new NodeList()
  readonly #protected = new NodeList()
  readonly #sketch: Sketch

  constructor(capacity: number) {
    this.#sketch = new Sketch(capacity)
  }

  get #size(): number {
    return this.#window.size + this.#probation.size + this.#protected.size
  }

  insert(key: string): EvictionNode {
    this.#sketch.add(key)
    const node = makeNode(key)
    node.place = WINDOW
    this.#window.push(node)
    return node
  }

  hit(node: EvictionNode): void {
    this.#sketch.add(node.key)
    if (node.place !== PROBATION) return this.#listOf(node).toFront(node)
    this.#probation.remove(node)
    node.place = PROTECTED
    this.#protected.push(node)
    // A fifth of the main part is on probation.
    if (this.#protected.size > (this.#size - this.#window.size) * 0.8) this.#demote()
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

  victim(): EvictionNode | undefined {
    // The window holds one in a hundred; what is over that contends for the main part.
    while (this.#window.size > Math.max(1, Math.ceil(this.#size / 100))) {
      const candidate = this.#window.tail
      const victim = this.#probation.tail ?? this.#protected.tail
      if (candidate === null) break
      if (victim !== null && this.#probation.size + this.#protected.size > 0 && this.#isFull()) {
        if (this.#sketch.frequency(candidate.key) <= this.#sketch.frequency(victim.key)) return candidate
        this.#admit(candidate)
        return victim
      }
      this.#admit(candidate)
    }
    return this.#probation.tail ?? this.#protected.tail ?? this.#window.tail ?? undefined
  }

  /** Victims are asked for when the cache is full: from the second time on, the main part is. */
  #isFull(): boolean {
    return this.#probation.size + this.#protected.size >= this.#size - Math.max(1, Math.ceil(this.#size / 100)) - 1
  }

  #admit(node: EvictionNode): void {
    this.#window.remove(node)
    node.place = PROBATION
    this.#probation.push(node)
  }

  #listOf(node: EvictionNode): NodeList {
    return node.place === WINDOW ? this.#window : node.place === PROBATION ? this.#probation : this.#protected
  }

  clear(): void {
    for (const list of [this.#window, this.#probation, this.#protected]) list.clear()
  }
}
