/**
 * Which entry goes first. A policy sees nodes, not HTTP: the same ones serve any bounded map.
 *
 * Rule 1: every operation is O(1), TinyLFU's sketch included, and none takes long by itself: evicting never scans, and what concerns all entries
 * is spread over the operations that follow. (Maps and arrays grow as those of the language do.)
 * Rule 2: a hit allocates nothing (LFU: a bucket, where there are more frequencies at once than ever before).
 */

/** What a policy keeps about an entry; the entry's owner holds it and hands it back. */
export interface EvictionNode {
  readonly key: string
  /** @internal */ prev: EvictionNode | null
  /** @internal */ next: EvictionNode | null
  /** @internal A visited bit, a hash, an instant: whatever the policy goes by. */
  mark: number
  /** @internal Its place in an array, its bucket or its segment. */
  place: number
}

export interface EvictionPolicy {
  /** A new entry. */
  insert(key: string): EvictionNode
  hit(node: EvictionNode): void
  /** The entry is gone, evicted or deleted. */
  remove(node: EvictionNode): void
  /** The entry to evict; undefined where there is none. */
  victim(): EvictionNode | undefined
  clear(): void
}

export type EvictionName = 'lru' | 'lfu' | 'fifo' | 'random' | 'sieve' | 'tinylfu'

export function makeNode(key: string): EvictionNode {
  return { key, prev: null, next: null, mark: 0, place: 0 }
}

/** A doubly linked list, newest first. */
export class NodeList {
  head: EvictionNode | null = null
  tail: EvictionNode | null = null
  size = 0

  push(node: EvictionNode): void {
    node.prev = null
    node.next = this.head
    if (this.head) this.head.prev = node
    else this.tail = node
    this.head = node
    this.size += 1
  }

  /** Behind the oldest. */
  append(node: EvictionNode): void {
    node.prev = this.tail
    node.next = null
    if (this.tail) this.tail.next = node
    else this.head = node
    this.tail = node
    this.size += 1
  }

  remove(node: EvictionNode): void {
    if (node.prev) node.prev.next = node.next
    else this.head = node.next
    if (node.next) node.next.prev = node.prev
    else this.tail = node.prev
    node.prev = null
    node.next = null
    this.size -= 1
  }

  toFront(node: EvictionNode): void {
    if (this.head === node) return
    this.remove(node)
    this.push(node)
  }

  clear(): void {
    this.head = null
    this.tail = null
    this.size = 0
  }
}
