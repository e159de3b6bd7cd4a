/** SIEVE (Zhang et al., NSDI 2024): a queue, a visited bit, and a hand that moves from old to new and spares what was visited. */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'

/**
 * Entries that the hand passes over in one go, at most. Where all that many were visited, most of the cache was, and any is as good: the first of
 * them goes, which no longer counts as visited. Without that, an eviction after a million hits would be a walk over a million entries.
 */
const REACH = 500

export class Sieve implements EvictionPolicy {
  readonly #list = new NodeList()
  #hand: EvictionNode | null = null

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    this.#list.push(node)
    return node
  }

  hit(node: EvictionNode): void {
    node.mark = 1
  }

  remove(node: EvictionNode): void {
    if (this.#hand === node) this.#hand = node.prev
    this.#list.remove(node)
  }

  /** Each step clears a bit that a hit has set: amortised, one step a hit. */
  victim(): EvictionNode | undefined {
    const first = this.#hand ?? this.#list.tail
    let node = first
    for (let steps = 0; node !== null && node.mark === 1; steps++) {
      if (steps === REACH) {
        this.#hand = node
        return first ?? undefined
      }
      node.mark = 0
      node = node.prev ?? this.#list.tail
    }
    this.#hand = node
    return node ?? undefined
  }

  clear(): void {
    this.#list.clear()
    this.#hand = null
  }
}
