/**
 * Entries in memory, bounded by their number and their bytes; what goes first is up to an eviction policy (feature B1).
 *
 * Rule 1: an entry is one object, handed out on every read: a hit allocates nothing.
 * Rule 2: bodies are never changed and never handed out writable: streams give copies.
 * Rule 3: no timers; expired entries go when their turn comes, or by deleteWhere.
 */
import { inlineBody } from '../engine/bytes.ts'
import { StoreError } from '../errors.ts'
import { DEFAULT_EVICTION, EVICTION_NAMES, makePolicy } from './eviction/by-name.ts'
import type { EvictionName, EvictionNode, EvictionPolicy } from './eviction/policy.ts'
import type {
  EntryChange,
  EntryHead,
  EvictingStore,
  ListableStore,
  ListedEntry,
  ListQuery,
  StoredEntry,
  StoreLimits,
  StoreSize,
  Version,
} from '../engine/ports.ts'
import { ordered, selects } from './listing.ts'
import { checkOptions, wrong, type OptionRule } from './options.ts'
import { checkSize, collectBody } from './store-body.ts'

/** Told of an entry that had to go, its body's size in bytes, and which bound was met. */
export type EvictionListener = (key: string, size: number, reason: 'entries' | 'bytes') => void

export interface MemoryStoreOptions {
  /** Most entries held. Default 10,000. */
  maxEntries?: number
  /** Most bytes held: bodies, and an estimate of the metadata. Default 64 MiB. */
  maxBytes?: number
  /** Largest body in bytes. Default a quarter of `maxBytes`. */
  maxEntrySize?: number
  /** What goes first when it is full. Default 'tinylfu' (docs/decisions/0003-default-eviction.md). */
  eviction?: EvictionName
  /** Uniform in [0, 1), for eviction 'random'. Default Math.random. */
  random?: () => number
  /** Called for each entry that had to go. */
  onEvict?: EvictionListener
}

/** What an entry costs beside its body and its strings: objects, map slots, links. */
const OVERHEAD = 512

interface Slot {
  entry: StoredEntry
  readonly cost: number
  readonly node: EvictionNode
}

/**
 * A bounded store in this process: the default of every client.
 *
 * @throws OptionError ERR_OPTION_UNKNOWN, ERR_OPTION_VALUE, at construction
 *
 * @example
 * ```ts
 * import { createCachedFetch, MemoryStore } from 'keepfresh'
 *
 * const store = new MemoryStore({ maxEntries: 5000, maxBytes: 32 * 1024 * 1024, eviction: 'lru' })
 * const fetch = createCachedFetch({ store })
 * await (await fetch('https://api.example.com/users')).json()
 * console.log(store.size().entries > 0) // true
 * ```
 */
export class MemoryStore implements ListableStore, EvictingStore {
  readonly name = 'memory' as const
  readonly limits: StoreLimits
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #policy: EvictionPolicy
  readonly #watchers = new Set<EvictionListener>()
  readonly #slots = new Map<string, Slot>()
  #bytes = 0
  #version = 0
  #closed = false

  constructor(options: MemoryStoreOptions = {}) {
    checkOptions('MemoryStore', options, RULES)
    const {
      maxEntries = 10_000,
      maxBytes = 64 * 1024 * 1024,
      eviction = DEFAULT_EVICTION,
      random = Math.random,
    } = options
    this.#policy = makePolicy(eviction, random)
    if (options.onEvict) this.#watchers.add(options.onEvict)
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.limits = {
      maxEntrySize: options.maxEntrySize ?? maxBytes / 4,
      inlineSize: 256 * 1024,
      persistent: false,
      shared: false,
    }
  }

  read(key: string): StoredEntry | undefined {
    this.#open()
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    this.#policy.hit(slot.node)
    return slot.entry
  }

  write(head: EntryHead, body: Uint8Array | ReadableStream<Uint8Array>): void | Promise<void> {
    this.#open()
    return body instanceof Uint8Array ? this.#put(head, body) : this.#collect(head, body)
  }

  async #collect(head: EntryHead, body: ReadableStream<Uint8Array>): Promise<void> {
    const whole = await collectBody(body, head.key, this.limits)
    this.#open()
    this.#put(head, whole)
  }

  #put(head: EntryHead, bytes: Uint8Array): void {
    checkSize(head.key, bytes.length, this.limits)
    this.#remove(head.key)
    const cost = bytes.length + costOf(head)
    if (cost > this.#maxBytes) throw new StoreError('ERR_STORE_FULL', `an entry of ${cost} bytes is over maxBytes`)
    // Room is made first: the new entry is not what has to go for itself.
    while (this.#slots.size >= this.#maxEntries || this.#bytes + cost > this.#maxBytes) {
      if (!this.#evict(this.#slots.size >= this.#maxEntries ? 'entries' : 'bytes')) break
    }
    // Who was told of an eviction may have written this very key.
    this.#remove(head.key)
    const entry: StoredEntry = { ...head, version: ++this.#version, body: inlineBody(bytes) }
    this.#slots.set(head.key, { entry, cost, node: this.#policy.insert(head.key) })
    this.#bytes += cost
  }

  #evict(reason: 'entries' | 'bytes'): boolean {
    const node = this.#policy.victim()
    const slot = node && this.#slots.get(node.key)
    if (slot === undefined) return false
    this.#remove(slot.entry.key)
    for (const watcher of this.#watchers) watcher(slot.entry.key, slot.entry.body.size, reason)
    return true
  }

  #remove(key: string): boolean {
    const slot = this.#slots.get(key)
    if (!slot) return false
    this.#slots.delete(key)
    this.#policy.remove(slot.node)
    this.#bytes -= slot.cost
    return true
  }

  /** @throws OptionError */
  watchEvictions(listener: EvictionListener): () => void {
    if (typeof listener !== 'function') throw wrong('MemoryStore', 'listener', 'must be a function')
    this.#watchers.add(listener)
    return () => void this.#watchers.delete(listener)
  }

  update(key: string, change: EntryChange, version: Version): boolean {
    this.#open()
    const slot = this.#slots.get(key)
    if (!slot || slot.entry.version !== version) return false
    slot.entry = { ...slot.entry, ...change, version: ++this.#version }
    return true
  }

  delete(keys: readonly string[]): number {
    this.#open()
    return keys.filter((key) => this.#remove(key)).length
  }

  async *keys(): AsyncGenerator<string> {
    this.#open()
    for (const key of Array.from(this.#slots.keys())) yield key
  }

  async *entries(query: ListQuery = {}): AsyncGenerator<ListedEntry> {
    this.#open()
    const rows = [...this.#slots.values()]
      .map(({ entry: { body, ...rest } }) => ({ ...rest, size: body.size }))
      .filter((row) => selects(query, row))
    yield* ordered(rows, query)
  }

  size(): StoreSize {
    this.#open()
    return { entries: this.#slots.size, bytes: this.#bytes }
  }

  clear(): void {
    this.#open()
    this.#slots.clear()
    this.#policy.clear()
    this.#bytes = 0
  }

  async deleteWhere(query: Pick<ListQuery, 'expiredAt' | 'createdBefore'>): Promise<number> {
    this.#open()
    let count = 0
    let seen = 0
    for (const [key, { entry }] of this.#slots) {
      if (selects(query, entry) && this.#remove(key)) count += 1
      // Nothing is held over this: another entry may be under the key afterwards.
      if (++seen % SLICE === 0) await turn()
    }
    return count
  }

  close(): void {
    this.#closed = true
    this.#slots.clear()
    this.#policy.clear()
    this.#bytes = 0
  }

  #open(): void {
    if (this.#closed) throw new StoreError('ERR_STORE_CLOSED', 'the memory store is closed')
  }
}

/** An estimate: strings at two bytes a character, and the rest. A changed head (update) is counted as it was. */
function costOf({ key, meta }: EntryHead): number {
  let characters = key.length
  if (meta.kind === 'wrapped') characters += meta.data.length
  if (meta.kind === 'response') for (const [name, value] of meta.headers) characters += name.length + value.length
  return OVERHEAD + 2 * characters
}

/** How many entries deleteWhere looks at before others have a turn. */
const SLICE = 10_000

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0))
}

const atLeast = (least: number): OptionRule => ({ type: 'number', from: least })

const RULES: Readonly<Record<keyof Required<MemoryStoreOptions>, OptionRule>> = {
  maxEntries: atLeast(1),
  maxBytes: atLeast(1),
  maxEntrySize: atLeast(0),
  eviction: { type: 'string', among: EVICTION_NAMES },
  random: { type: 'function' },
  onEvict: { type: 'function' },
}
