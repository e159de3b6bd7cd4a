/** SIEVE (Zhang et al., NSDI 2024): a queue, a visited bit, and a hand that moves from old to new and spares what was visited. */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'

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
    let node = this.#hand ?? this.#list.tail
    while (node !== null && node.mark === 1) {
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
