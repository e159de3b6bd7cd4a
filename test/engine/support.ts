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
