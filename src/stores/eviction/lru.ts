/** Least recently used; without the recency it is first in, first out. */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'

export class Lru implements EvictionPolicy {
  readonly #list = new NodeList()

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    this.#list.push(node)
    return node
  }

  hit(node: EvictionNode): void {
    this.#list.toFront(node)
  }

  remove(node: EvictionNode): void {
    this.#list.remove(node)
  }

  victim(): EvictionNode | undefined {
    return this.#list.tail ?? undefined
  }

  clear(): void {
    this.#list.clear()
  }
}
