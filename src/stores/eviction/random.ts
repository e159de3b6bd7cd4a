/** Any entry, each as likely: an array with the last moved into the gap. */
import { makeNode, type EvictionNode, type EvictionPolicy } from './policy.ts'

export class Random implements EvictionPolicy {
  readonly #nodes: EvictionNode[] = []
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    node.place = this.#nodes.length
    this.#nodes.push(node)
    return node
  }

  hit(): void {
    // Chance does not look.
  }

  remove(node: EvictionNode): void {
    const last = this.#nodes.pop()
    if (last === undefined || last === node) return
    this.#nodes[node.place] = last
    last.place = node.place
  }

  victim(): EvictionNode | undefined {
    // A generator that gives 1, or no number, is wrong: it does not lift the bound.
    return this.#nodes[Math.floor(this.#random() * this.#nodes.length)] ?? this.#nodes.at(-1)
  }

  clear(): void {
    this.#nodes.length = 0
  }
}
