/**
 * A store in Redis, or what speaks its protocol (Valkey, Dragonfly), for any number of processes and machines.
 *
 * 1. A hit on a short body is one round trip. Long bodies are in chunks beside their entry (record-store.ts).
 * 2. Redis may drop an entry when it is of no more use; whether it is, is decided by its reader, not by Redis.
 * 3. What is not of our namespace and our shape is never read, counted or removed (redis-keys.ts).
 */
import type { LockingStore } from '../engine/ports.ts'
import { ListableRecordStore } from './record-listing.ts'
import { RedisBackend } from './redis-backend.ts'
import { settingsOf, type RedisOptions } from './redis-options.ts'
import type { Tracking, TrackingStore } from './tiered-coherence.ts'

export type { RedisClusterOptions, RedisOptions, RedisSentinelOptions } from './redis-options.ts'
export type { Ioredis, NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClientLike } from './redis-client.ts'

/**
 * Entries in Redis, Valkey or Dragonfly: one server, a cluster, or a primary found through sentinels.
 *
 * It connects at the first use, and fails fast, with `ERR_STORE_OPEN`, while the server cannot be reached. The package `redis` must
 * be installed (`npm install redis`), unless a client of `ioredis` is given.
 *
 * @example
 * ```ts
 * import { createCachedFetch } from 'keepfresh'
 * import { RedisStore } from 'keepfresh/redis'
 *
 * await using fetch = createCachedFetch({ store: new RedisStore('redis://localhost:6379'), autoClose: true })
 * const response = await fetch('https://api.example.com/users')
 * console.log(response.ok) // true
 * ```
 */
export class RedisStore extends ListableRecordStore implements LockingStore, TrackingStore {
  declare protected readonly backend: RedisBackend

  /**
   * @param options a URL, or all options; without any, localhost
   * @throws OptionError for a wrong option
   */
  constructor(options: string | RedisOptions = {}) {
    super(new RedisBackend(settingsOf(options)))
  }

  /**
   * Connects, and resolves when the server has answered.
   * @throws StoreError ERR_STORE_OPEN where it cannot be reached or refuses us, ERR_STORE_TIMEOUT where it is silent; StateError
   *   ERR_MISSING_PEER where `redis` is not installed
   */
  async ready(): Promise<void> {
    this.assertOpen()
    await this.backend.ready()
  }

  /**
   * A channel on which Redis itself tells of every change to an entry, whoever made it: what a TieredStore over this store listens to.
   * It takes one more connection to each primary, from when it is subscribed to until it is closed.
   * @throws StoreError ERR_STORE_CLOSED
   */
  tracking(): Tracking {
    this.assertOpen()
    return this.backend.tracking()
  }

  /** @throws StoreError */
  async lock(name: string, owner: string, lease: number): Promise<boolean> {
    this.assertOpen()
    return this.backend.lock(name, owner, lease)
  }

  /** @throws StoreError */
  async renew(name: string, owner: string, lease: number): Promise<boolean> {
    this.assertOpen()
    return this.backend.renew(name, owner, lease)
  }

  /** @throws StoreError */
  async unlock(name: string, owner: string): Promise<boolean> {
    this.assertOpen()
    return this.backend.unlock(name, owner)
  }
}
