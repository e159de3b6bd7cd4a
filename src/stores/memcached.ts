/**
 * A store on one or several memcached servers, for any number of processes.
 *
 * It cannot list: memcached has no way to ask for keys. `keys()`, `entries()`, `size()` and `clear()` are not there
 * (docs/stores/memcached.md says what to do instead).
 */
import type { Clock, LockingStore } from '../engine/ports.ts'
import { MemcachedBackend } from './memcached-backend.ts'
import { MemcachedClient, type MemcachedCommands } from './memcached-client.ts'
import { MemcachedKeys } from './memcached-keys.ts'
import { MemcachedLocks } from './memcached-locks.ts'
import { settingsOf, type MemcachedOptions } from './memcached-options.ts'
import { allAnswer, StrictCommands } from './memcached-strict.ts'
import { RecordStore } from './record-store.ts'
import { SYSTEM_CLOCK } from './system-clock.ts'

export { MemcachedClient } from './memcached-client.ts'
export type {
  Found,
  MemcachedBatchCommands,
  MemcachedClientOptions,
  MemcachedCommands,
  VersionedValue,
} from './memcached-client.ts'
export type { MemcachedOptions } from './memcached-options.ts'

/**
 * Entries in memcached: one item each, long bodies in chunks beside it.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { MemcachedStore } from 'keepfresh/memcached'
 *
 * const fetch = createCachedFetch({ store: new MemcachedStore('memcached://localhost:11211') })
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.ok) // true
 * ```
 */
export class MemcachedStore extends RecordStore implements LockingStore {
  readonly #client: MemcachedCommands
  readonly #locks: MemcachedLocks

  /**
   * @param options a URL of one or several servers, or all options
   * @param clock what lifetimes are counted by; the system's by default
   * @throws OptionError for an unknown option or a wrong value
   */
  constructor(options: string | MemcachedOptions = {}, clock: Clock = SYSTEM_CLOCK) {
    const { namespace, client: given, servers, connection, strict, limits, chunkSize } = settingsOf(options)
    const [commands, end] = given === null ? made(new MemcachedClient(servers, connection)) : [given, nothing]
    const client = strict ? new StrictCommands(commands) : commands
    const keys = new MemcachedKeys(namespace)
    super(new MemcachedBackend(client, keys, { limits, chunkSize }, clock, end), clock)
    this.#client = client
    this.#locks = new MemcachedLocks(client, keys, clock)
  }

  /**
   * Connects to every server, and resolves when all have answered.
   * @throws StoreError ERR_STORE_OPEN, which says which server did not and why
   */
  async ready(): Promise<void> {
    this.assertOpen()
    await allAnswer(this.#client)
  }

  /**
   * Takes a lease of at least `lease` ms, rounded up to whole seconds and one more.
   * @throws StoreError
   */
  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    this.assertOpen()
    return this.#locks.lock(name, owner, lease)
  }

  /** @throws StoreError */
  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    this.assertOpen()
    return this.#locks.renew(name, owner, lease)
  }

  /** @throws StoreError */
  async unlock(name: string, owner: string): Promise<boolean> {
    this.assertOpen()
    return this.#locks.unlock(name, owner)
  }
}

function made(client: MemcachedClient): [MemcachedCommands, () => Promise<void>] {
  return [client, () => client.close()]
}

/** A client that was given is its owner's to close. */
async function nothing(): Promise<void> {}
