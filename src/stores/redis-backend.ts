/**
 * One value a key, in Redis: what records (record-store.ts) and their listing are built on.
 *
 * 1. A read is one GET, of many keys a few MGETs. What has to be compared or returned in the same step as a change is a script.
 * 2. A chunk has a lifetime from the start, so that those of a write that never came to its end go by themselves; publishing the
 *    entry ends it, in the same step, where the entry has none.
 */
import { StoreError } from '../errors.ts'
import type { StoreLimits, Version } from '../engine/ports.ts'
import { frameHeader, hexOf } from '../engine/record.ts'
import { groupsOf } from './groups-of.ts'
import { RedisConnection } from './redis-connection.ts'
import { isUnknownScript } from './redis-errors.ts'
import { RedisKeys } from './redis-keys.ts'
import type { RedisSettings } from './redis-options.ts'
import { REMOVE, RENEW, REPLACE, SET, UNLOCK, type Script } from './redis-scripts.ts'
import { RedisTracking } from './redis-tracking.ts'
import { RedisWalk } from './redis-walk.ts'
import { outcomeOf } from './read-many.ts'
import type { ListableBackend } from './record-listing.ts'
import type { BatchBackend } from './record-store.ts'
import type { Tracking } from './tiered-coherence.ts'

/** Chunks that no entry names yet live this long, in ms, where their entry will live for ever. */
const ORPHAN_LIFE = 3_600_000
/** Chunks that no entry names any more live this long, in ms: who reads them reads on (RELIABILITY 68). */
const READ_ON = 60_000
/** Values asked for by one command: the server answers nobody else while it puts its reply together. */
const TOGETHER = 100
/** Commands sent at once. */
const BATCH = 500

export class RedisBackend implements ListableBackend, BatchBackend {
  readonly name = 'redis'
  readonly limits: StoreLimits
  readonly chunkSize: number
  readonly #connection: RedisConnection
  readonly #keys: RedisKeys
  readonly #walk: RedisWalk
  readonly #ttl: boolean
  readonly #ttlOffset: number

  constructor(settings: RedisSettings) {
    const { maxEntrySize, inlineSize, chunkSize, ttl, ttlOffset, namespace } = settings
    this.limits = { maxEntrySize, inlineSize, persistent: true, shared: true }
    this.chunkSize = chunkSize
    this.#ttl = ttl
    this.#ttlOffset = ttlOffset
    this.#connection = new RedisConnection(settings)
    this.#keys = new RedisKeys(namespace, this.#connection.keyPrefix)
    this.#walk = new RedisWalk(this.#connection, this.#keys)
  }

  /** Connects, and sees whether the server answers. */
  async ready(): Promise<void> {
    const [first] = await this.#connection.primaries()
    await first?.(['PING'])
  }

  get(key: string): Promise<Uint8Array | undefined> {
    const name = this.#keys.entry(key)
    return this.#connection.run(name, ['GET', name], bytesOf)
  }

  /** In a cluster every key is in a slot of its own, which MGET cannot reach across: there it is a GET each, all sent at once. */
  async getMany(keys: readonly string[]): Promise<readonly (Uint8Array | StoreError | undefined)[]> {
    const { spread } = await this.#connection.client()
    if (spread) return Promise.all(keys.map((key) => outcomeOf(() => this.get(key))))
    const replies = groupsOf(keys, TOGETHER).map((group) => {
      const names = group.map((key) => this.#keys.entry(key))
      return this.#connection.run(names[0] ?? '', ['MGET', ...names], (reply) => listOf(reply, names.length))
    })
    return (await Promise.all(replies)).flat()
  }

  set(key: string, value: Uint8Array, ttl: number | null): Promise<Uint8Array | undefined> {
    return this.#script(SET, this.#namesOf(key, value), [viewOf(value), this.#lifetime(ttl)], headerOf)
  }

  replace(key: string, value: Uint8Array, version: Uint8Array, ttl: number | null): Promise<boolean> {
    const args = [viewOf(value), this.#lifetime(ttl), viewOf(version), this.#chunkLifetime(ttl)]
    return this.#script(REPLACE, this.#namesOf(key, value), args, isOne)
  }

  /** The entry, and the chunks that its frame names. */
  #namesOf(key: string, frame: Uint8Array): string[] {
    const { chunked } = frameHeader(frame)
    const names = [this.#keys.entry(key)]
    if (chunked === null) return names
    const id = hexOf(chunked.id)
    for (let n = 0; n * chunked.length < chunked.size; n++) names.push(this.#keys.chunk(key, id, n))
    return names
  }

  async remove(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    const removed: (Uint8Array | undefined)[] = []
    for (const batch of groupsOf(keys, BATCH)) {
      removed.push(
        ...(await Promise.all(batch.map((key) => this.#script(REMOVE, [this.#keys.entry(key)], [], bytesOf)))),
      )
    }
    return removed
  }

  getChunk(key: string, id: string, n: number): Promise<Uint8Array | undefined> {
    const name = this.#keys.chunk(key, id, n)
    return this.#connection.run(name, ['GET', name], bytesOf)
  }

  setChunk(key: string, id: string, n: number, value: Uint8Array, ttl: number | null): Promise<void> {
    const name = this.#keys.chunk(key, id, n)
    const lifetime = this.#lifetime(ttl)
    const first = lifetime === '0' ? String(ORPHAN_LIFE) : lifetime
    return this.#connection.run(name, ['SET', name, viewOf(value), 'PX', first], nothing)
  }

  /** `replace` saw to it, in the same step: what another process retires in between must not live on. */
  keepChunks(): void {}

  /** The count is from a header that may be damaged: where there are no more chunks, there is nothing more to do (RELIABILITY 145). */
  async dropChunks(key: string, id: string, count: number): Promise<void> {
    for (let at = 0; at < count; at += BATCH) {
      const length = Math.min(BATCH, count - at)
      const names = Array.from({ length }, (_, index) => this.#keys.chunk(key, id, at + index))
      const found = names.map((name) => this.#connection.run(name, ['PEXPIRE', name, String(READ_ON)], isOne))
      if (!(await Promise.all(found)).includes(true)) return
    }
  }

  /** Takes, prolongs or ends a lease. */
  lock(name: string, owner: string, lease: number): Promise<boolean> {
    const key = this.#keys.lock(name)
    const command = ['SET', key, owner, 'NX', 'PX', life(lease)]
    return this.#connection.run(key, command, (reply) => reply !== null)
  }

  renew(name: string, owner: string, lease: number): Promise<boolean> {
    return this.#script(RENEW, [this.#keys.lock(name)], [owner, life(lease)], isOne)
  }

  unlock(name: string, owner: string): Promise<boolean> {
    return this.#script(UNLOCK, [this.#keys.lock(name)], [owner], isOne)
  }

  tracking(): Tracking {
    return new RedisTracking(this.#connection, this.#keys, (key, version) => this.#has(key, version))
  }

  /** The version of a frame is in its bytes 16 to 23. */
  #has(key: string, version: Version): Promise<boolean> {
    const name = this.#keys.entry(key)
    const isIt = (reply: unknown): boolean => hexOf(bytesOf(reply) ?? new Uint8Array()) === version
    return this.#connection.run(name, ['GETRANGE', name, '16', '23'], isIt)
  }

  heads(): AsyncGenerator<Uint8Array[]> {
    return this.#walk.heads()
  }

  bytes(): Promise<number> {
    return this.#walk.bytes()
  }

  clear(): Promise<void> {
    return this.#walk.clear()
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async #script<T>(
    script: Script,
    names: readonly string[],
    args: readonly (string | Uint8Array)[],
    map: (reply: unknown) => T,
  ): Promise<T> {
    const key = names[0] ?? ''
    const rest = [String(names.length), ...names, ...args]
    try {
      return await this.#connection.run(key, ['EVALSHA', script.sha, ...rest], map)
    } catch (error) {
      if (!(error instanceof StoreError) || !isUnknownScript(error.cause)) throw error
      return this.#connection.run(key, ['EVAL', script.source, ...rest], map)
    }
  }

  /** Of the chunks of an entry with this lifetime: an hour at least, as when they were written. */
  #chunkLifetime(ttl: number | null): string {
    return this.#lifetime(ttl === null ? null : Math.max(ttl, ORPHAN_LIFE))
  }

  /** In ms, as a script and SET take it; '0': none. */
  #lifetime(ttl: number | null): string {
    return ttl === null || !this.#ttl ? '0' : life(ttl + this.#ttlOffset)
  }
}

function life(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}

/** The same bytes, as the clients want them. */
function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A string of the server, or that there is none. */
function bytesOf(reply: unknown): Uint8Array | undefined {
  if (reply === null) return undefined
  // A plain view: a Buffer's slice() would share the memory of the packet, and other replies' with it.
  if (reply instanceof Uint8Array) return new Uint8Array(reply.buffer, reply.byteOffset, reply.byteLength)
  throw new StoreError('ERR_STORE_FAILED', `The Redis client answered with ${typeof reply} where bytes were asked for.`)
}

/** A list of strings of the server. What is no string under a key of ours is as if it were not there. */
function listOf(reply: unknown, length: number): readonly (Uint8Array | undefined)[] {
  if (Array.isArray(reply) && reply.length === length) return reply.map(bytesOf)
  throw new StoreError('ERR_STORE_FAILED', `The Redis client answered with ${typeof reply} where a list was asked for.`)
}

function headerOf(reply: unknown): Uint8Array | undefined {
  const bytes = bytesOf(reply)
  return bytes === undefined || bytes.length === 0 ? undefined : bytes
}

function isOne(reply: unknown): boolean {
  return Number(reply) === 1
}

function nothing(): void {}
