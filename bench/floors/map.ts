/**
 * Floor: what an in-memory HTTP cache has to do on a hit, and nothing else. It normalises the URL to a key, looks it up, checks freshness
 * and Vary, ticks an LRU, and hands out a Response whose parts are made when asked for, through an async function, as fetch must be.
 */
import { fetchStored, FloorResponse, freshUntil, type Stored } from '../lib/floor-response.ts'
import type { Contender } from '../lib/types.ts'
import { clientOf } from '../lib/web.ts'

interface Node {
  readonly stored: Stored
  readonly freshUntil: number
  /** What the request must have for this response: empty without Vary. */
  readonly selecting: readonly (readonly [string, string | null])[]
  newer: Node | null
  older: Node | null
}

/** A Map with a list from the newest to the oldest use. */
export class Lru {
  private readonly map = new Map<string, Node>()
  private newest: Node | null = null

  get(key: string): Node | undefined {
    const node = this.map.get(key)
    if (node !== undefined && node !== this.newest) {
      if (node.newer !== null) node.newer.older = node.older
      if (node.older !== null) node.older.newer = node.newer
      this.push(node)
    }
    return node
  }

  set(key: string, stored: Stored): void {
    const node = { stored, freshUntil: freshUntil(stored), selecting: [], newer: null, older: null }
    this.map.set(key, node)
    this.push(node)
  }

  private push(node: Node): void {
    node.newer = null
    node.older = this.newest
    if (this.newest !== null) this.newest.newer = node
    this.newest = node
  }
}

export function matches(node: Node, headers: Headers | null): boolean {
  for (const [name, value] of node.selecting) if ((headers?.get(name) ?? null) !== value) return false
  return true
}

export const contender: Contender = {
  name: 'floor: Map + minimal object',
  package: null,
  stores: ['memory'],
  async setup() {
    const lru = new Lru()
    const cached = async (url: string): Promise<FloorResponse> => {
      const key = new URL(url).href
      const node = lru.get(key)
      if (node !== undefined && Date.now() < node.freshUntil && matches(node, null))
        return new FloorResponse(node.stored)
      const stored = await fetchStored(key)
      lru.set(key, stored)
      return new FloorResponse(stored)
    }
    return clientOf(cached, async () => {})
  },
}
