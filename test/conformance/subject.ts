/** The cache under test, as a user gets it: no option is set but the ones that name the configuration, and, at an edge, `onError`. */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from 'keepfresh'
import { serverOf, type Configuration, type EdgeName, type StoreName } from './configuration.ts'
import { START } from './edges.ts'
import { createPlainClient } from './plain-fetch.ts'
import type { SuiteFetch } from './suite.ts'

export interface Subject {
  /** Where the suite's client is sent, if that is not the suite's server itself. */
  readonly url?: string
  readonly fetch: SuiteFetch
  close(): Promise<void>
}

/** Seconds. Hundreds of tests at once queue for a server on two cores: what is tested is what it answers, not when. */
const PATIENT = 20

/** @param origin the suite's server */
export async function createSubject({ type, store: name, edge }: Configuration, origin: string): Promise<Subject> {
  const directory = await mkdtemp(join(tmpdir(), 'keepfresh-conformance-'))
  const store = await makeStore(name, directory)
  const options = { store, ...(serverOf(name) === null ? {} : { storeTimeout: PATIENT }) }
  const subject = edge === undefined ? await cachedFetch(type, options) : await atEdge(edge, origin, options)
  return {
    ...subject,
    close: async () => {
      await subject.close()
      await store.close()
      await rm(directory, { recursive: true })
    },
  }
}

export interface StoreOptions {
  readonly store: Store
  readonly storeTimeout?: number
}

async function cachedFetch(type: Configuration['type'], options: StoreOptions): Promise<Subject> {
  const { createCachedFetch } = await import('keepfresh')
  const fetch = createCachedFetch({ ...options, shared: type === 'shared' })
  // A store that fails is a miss: whoever wonders about one finds the reason here.
  fetch.on('error', ({ operation, error }) => console.error(`store error, ${operation}: ${error.message}`))
  return { fetch, close: () => fetch.close() }
}

async function atEdge(edge: EdgeName, origin: string, options: StoreOptions): Promise<Subject> {
  const target = await START[edge](origin, options)
  const client = createPlainClient()
  return {
    url: target.url,
    fetch: client.fetch,
    close: async () => {
      await client.close()
      await target.close()
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
    new (await import('keepfresh/mongodb')).MongoStore({
      url,
      database: `conformance_${randomUUID().slice(0, 8)}`,
      commandTimeout: PATIENT * 1000,
    }),
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
