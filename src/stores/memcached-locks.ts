/**
 * Leases as items: `add` takes one, `gets` and `cas` renew it and give it back, and only if it is still this owner's.
 *
 * 1. An item lasts at least as long as its lease, at most two seconds longer: memcached counts in seconds, and others wait for its clock.
 * 2. The exact end is in the item, by its owner's clock, and is for its owner only: a lease that ended cannot be renewed, even where
 *    the item is still there (RELIABILITY 69).
 */
import type { Clock } from '../engine/ports.ts'
import type { MemcachedCommands } from './memcached-client.ts'
import { exptimeOf } from './memcached-expiry.ts'
import type { MemcachedKeys } from './memcached-keys.ts'

const AT_ONCE = -1
const EMPTY = new Uint8Array()
const encoder = new TextEncoder()
const decoder = new TextDecoder()

interface Held {
  readonly cas: string
  /** Whether the lease is still running. */
  readonly running: boolean
}

export class MemcachedLocks {
  readonly #client: MemcachedCommands
  readonly #keys: MemcachedKeys
  readonly #clock: Clock

  constructor(client: MemcachedCommands, keys: MemcachedKeys, clock: Clock) {
    this.#client = client
    this.#keys = keys
    this.#clock = clock
  }

  lock(name: string, owner: string, lease: number): Promise<boolean> {
    const now = this.#clock.now()
    return this.#client.add(this.#keys.lock(name), itemOf(owner, now + lease), exptimeOf(lease, now))
  }

  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    const held = await this.#held(name, owner)
    if (held === null || !held.running) return false
    const now = this.#clock.now()
    return this.#client.cas(this.#keys.lock(name), itemOf(owner, now + lease), exptimeOf(lease, now), held.cas)
  }

  async unlock(name: string, owner: string): Promise<boolean> {
    const held = await this.#held(name, owner)
    if (held === null) return false
    // There is no conditional delete: an item of the same version is replaced by one that ends at once.
    const given = await this.#client.cas(this.#keys.lock(name), EMPTY, AT_ONCE, held.cas)
    return given && held.running
  }

  async #held(name: string, owner: string): Promise<Held | null> {
    const item = await this.#client.gets(this.#keys.lock(name))
    if (item === undefined) return null
    const text = decoder.decode(item.data)
    const space = text.indexOf(' ')
    if (text.slice(space + 1) !== owner) return null
    return { cas: item.cas, running: Number(text.slice(0, space)) > this.#clock.now() }
  }
}

function itemOf(owner: string, end: number): Uint8Array {
  return encoder.encode(`${end} ${owner}`)
}
