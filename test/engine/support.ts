/** What the engine's suites share: a cached fetch on a fresh store, an origin that keeps count, the events seen. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createCachedFetch,
  MemoryStore,
  type CacheEvent,
  type CachedFetch,
  type CacheOptions,
  type Store,
} from '../../src/index.ts'
import { SqliteStore } from '../../src/stores/sqlite.ts'
import { FakeClock } from '../../src/testing/index.ts'

export interface Bench {
  readonly fetch: CachedFetch
  readonly clock: FakeClock
  readonly events: CacheEvent[]
}

export function bench(options: CacheOptions = {}): Bench {
  const clock = new FakeClock()
  const fetch = createCachedFetch({ clock, ...options })
  const events: CacheEvent[] = []
  fetch.on('*', (event) => events.push(event))
  return { fetch, clock, events }
}

export const STORES: readonly (readonly [name: string, make: () => Store])[] = [
  ['memory', () => new MemoryStore()],
  ['sqlite', () => new SqliteStore(join(mkdtempSync(join(tmpdir(), 'keepfresh-test-')), 'http.db'))],
]

export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 400 && !(await holds()); tries++) await new Promise((resolve) => setTimeout(resolve, 5))
  if (!(await holds())) throw new Error('it never came to hold')
}

/** Memory behind a network: nothing is there before its write has ended. */
export class FarStore implements Store {
  readonly #memory: MemoryStore = new MemoryStore()
  readonly name = 'far'
  readonly limits: Store['limits'] = this.#memory.limits
  readonly #isNear: boolean
  /** What writes that begin now wait for; null: nothing. */
  writesAfter: PromiseWithResolvers<void> | null = null

  /** `isNear`: what is there is read at once, as from a tier in memory. */
  constructor(isNear: boolean = false) {
    this.#isNear = isNear
  }

  read(key: string): ReturnType<Store['read']> {
    const entry = this.#memory.read(key)
    return this.#isNear ? entry : Promise.resolve(entry)
  }

  async write(...given: Parameters<Store['write']>): Promise<void> {
    await this.writesAfter?.promise
    await this.#memory.write(...given)
  }

  async update(...given: Parameters<Store['update']>): Promise<boolean> {
    return this.#memory.update(...given)
  }

  async delete(keys: readonly string[]): Promise<number> {
    return this.#memory.delete(keys)
  }

  async close(): Promise<void> {
    await this.#memory.close()
  }
}
