/** The cache under test, as a user gets it: no option is set but the ones that name the configuration. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StoreName } from './configuration.ts'
import type { SuiteFetch } from './suite.ts'

export interface Subject {
  readonly fetch: SuiteFetch
  close(): Promise<void>
}

export async function createSubject(options: { shared: boolean; store: StoreName }): Promise<Subject> {
  const { createCachedFetch, MemoryStore } = await import('keepfresh')
  const { SqliteStore } = await import('keepfresh/sqlite')
  const directory = await mkdtemp(join(tmpdir(), 'keepfresh-conformance-'))
  const store = options.store === 'memory' ? new MemoryStore() : new SqliteStore(join(directory, 'http.db'))
  return {
    fetch: createCachedFetch({ store, shared: options.shared }),
    close: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}
