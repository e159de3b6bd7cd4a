/** The cache under test, as a user gets it: no option is set but the ones that name the configuration. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from 'keepfresh'
import { serverOf, type StoreName } from './configuration.ts'
import type { SuiteFetch } from './suite.ts'

export interface Subject {
  readonly fetch: SuiteFetch
  close(): Promise<void>
}

/** Hundreds of tests at once queue for a server on two cores: what is tested is what it answers, not when. */
const PATIENT = 20

export async function createSubject(options: { shared: boolean; store: StoreName }): Promise<Subject> {
  const { createCachedFetch } = await import('keepfresh')
  const directory = await mkdtemp(join(tmpdir(), 'keepfresh-conformance-'))
  const store = await makeStore(options.store, directory)
  const patience = serverOf(options.store) === null ? {} : { storeTimeout: PATIENT }
  return {
    fetch: createCachedFetch({ store, shared: options.shared, ...patience }),
    close: async () => {
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}

const MAKERS: Readonly<Record<StoreName, (directory: string, server: string) => Promise<Store>>> = {
  memory: async () => new (await import('keepfresh')).MemoryStore(),
  sqlite: async (directory) => new (await import('keepfresh/sqlite')).SqliteStore(join(directory, 'http.db')),
  file: async (directory) => new (await import('keepfresh/file')).FileStore(join(directory, 'cache')),
  tiered: async (directory) => {
    const { TieredStore } = await import('keepfresh/tiered')
    return new TieredStore({ far: new (await import('keepfresh/sqlite')).SqliteStore(join(directory, 'http.db')) })
  },
  redis: async (_, url) => new (await import('keepfresh/redis')).RedisStore({ url, namespace: randomUUID() }),
  memcached: async (_, servers) =>
    new (await import('keepfresh/memcached')).MemcachedStore({ servers: servers.split(','), namespace: randomUUID() }),
  mongodb: async (_, url) =>
    new (await import('keepfresh/mongodb')).MongoStore({ url, database: `conformance_${randomUUID().slice(0, 8)}` }),
  dynamodb: async (_, endpoint) =>
    new (await import('keepfresh/dynamodb')).DynamoStore({
      table: `conformance_${randomUUID().slice(0, 8)}`,
      createIfNotExists: true,
      clientOptions: { endpoint, region: 'local', credentials: { accessKeyId: 'local', secretAccessKey: 'local' } },
    }),
}

function makeStore(name: StoreName, directory: string): Promise<Store> {
  return MAKERS[name](directory, serverOf(name) ?? '')
}
