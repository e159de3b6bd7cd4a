/** Least frequently used, the least recent of those: one list a frequency, and the lowest that has any. */
import { makeNode, NodeList, type EvictionNode, type EvictionPolicy } from './policy.ts'

export class Lfu implements EvictionPolicy {
  readonly #lists = new Map<number, NodeList>()
  #lowest = 1
  #size = 0

  insert(key: string): EvictionNode {
    const node = makeNode(key)
    node.mark = 1
    this.#listOf(1).push(node)
    this.#lowest = 1
    this.#size += 1
    return node
  }

  hit(node: EvictionNode): void {
    this.#take(node)
    if (this.#lowest === node.mark && !this.#lists.has(node.mark)) this.#lowest += 1
    node.mark += 1
    this.#listOf(node.mark).push(node)
  }

  remove(node: EvictionNode): void {
    this.#take(node)
    this.#size -= 1
  }

  victim(): EvictionNode | undefined {
    if (this.#size === 0) return undefined
    if (!this.#lists.has(this.#lowest)) this.#lowest = Math.min(...this.#lists.keys())
    return this.#lists.get(this.#lowest)?.tail ?? undefined
  }

  clear(): void {
    this.#lists.clear()
    this.#size = 0
  }

  #listOf(frequency: number): NodeList {
    let list = this.#lists.get(frequency)
    if (list === undefined) this.#lists.set(frequency, (list = new NodeList()))
    return list
  }

  #take(node: EvictionNode): void {
    const list = this.#lists.get(node.mark)
    list?.remove(node)
    if (list?.size === 0) this.#lists.delete(node.mark)
  }
}
