/**
 * Eviction by time: what expires first goes first ('ttl'), or what has expired, and then the least recently used ('tlru').
 *
 * A binary heap of nodes by the instant they are of no use any more: O(log n) to insert and to remove, no scan. Where all entries live
 * equally long they come in order, and an insertion is one comparison.
 */
import { makeNode, NodeList, type EvictionNode } from '../stores/eviction/policy.ts'

/** An eviction policy that is told until when an entry is of use; those of the stores need not know. */
export interface TimedPolicy {
  insert(key: string, keepUntil: number): EvictionNode
  hit(node: EvictionNode): void
  remove(node: EvictionNode): void
  /** The entry to evict at this instant. */
  victim(now: number): EvictionNode | undefined
  clear(): void
}

/** Soonest first. `mark` is the instant, `place` the position in the heap. */
class ExpiryHeap {
  readonly #heap: EvictionNode[] = []

  get first(): EvictionNode | undefined {
    return this.#heap[0]
  }

  push(node: EvictionNode, instant: number): void {
    node.mark = instant
    this.#heap.push(node)
    this.#up(node, this.#heap.length - 1)
  }

  remove(node: EvictionNode): void {
    const last = this.#heap.pop()
    if (last === undefined || last === node) return
    this.#up(last, node.place)
    this.#down(last, last.place)
  }

  clear(): void {
    this.#heap.length = 0
  }

  #up(node: EvictionNode, from: number): void {
    let at = from
    while (at > 0) {
      const parent = this.#heap[(at - 1) >> 1]
      if (parent === undefined || parent.mark <= node.mark) break
      this.#set(parent, at)
      at = (at - 1) >> 1
    }
    this.#set(node, at)
  }

  #down(node: EvictionNode, from: number): void {
    let at = from
    for (;;) {
      const left = this.#heap[2 * at + 1]
      const right = this.#heap[2 * at + 2]
      const child = left !== undefined && right !== undefined && right.mark < left.mark ? right : left
      if (child === undefined || child.mark >= node.mark) break
      const next = child.place
      this.#set(child, at)
      at = next
    }
    this.#set(node, at)
  }

  #set(node: EvictionNode, at: number): void {
    this.#heap[at] = node
    node.place = at
  }
}

/** 'ttl': what expires first goes first. */
export class SoonestFirst implements TimedPolicy {
  readonly #heap = new ExpiryHeap()

  insert(key: string, keepUntil: number): EvictionNode {
    const node = makeNode(key)
    this.#heap.push(node, keepUntil)
    return node
  }

  hit(): void {
    // Use does not prolong a life.
  }

  remove(node: EvictionNode): void {
    this.#heap.remove(node)
  }

  victim(): EvictionNode | undefined {
    return this.#heap.first
  }

  clear(): void {
    this.#heap.clear()
  }
}

/** 'tlru': what has expired goes first; while nothing has, the least recently used. */
export class TimeAwareLru implements TimedPolicy {
  readonly #heap = new ExpiryHeap()
  readonly #list = new NodeList()

  insert(key: string, keepUntil: number): EvictionNode {
    const node = makeNode(key)
    this.#list.push(node)
    this.#heap.push(node, keepUntil)
    return node
  }

  hit(node: EvictionNode): void {
    this.#list.toFront(node)
  }

  remove(node: EvictionNode): void {
    this.#list.remove(node)
    this.#heap.remove(node)
  }

  victim(now: number): EvictionNode | undefined {
    const soonest = this.#heap.first
    return soonest !== undefined && soonest.mark <= now ? soonest : (this.#list.tail ?? undefined)
  }

  clear(): void {
    this.#list.clear()
    this.#heap.clear()
  }
}
