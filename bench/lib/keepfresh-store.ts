/** keepfresh's stores, each with its defaults, under a name that the client's directory gives: two processes with one directory share it. */
import { MemoryStore, type Store } from 'keepfresh'
import { basename } from 'node:path'
import type { SetupOptions } from './types.ts'

/** What the store keeps in a server goes by this name. */
export function namespaceOf(dir: string): string {
  return `bench-${basename(dir)}`
}

/** A client of DynamoDB Local: any credentials will do. */
export function dynamoOptions(endpoint: string): Record<string, unknown> {
  return {
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
    maxAttempts: 2,
  }
}

export async function openStore({ store, dir, server }: SetupOptions): Promise<Store> {
  const name = namespaceOf(dir)
  switch (store) {
    case 'sqlite':
      return new (await import('keepfresh/sqlite')).SqliteStore(`${dir}/keepfresh.db`)
    case 'file':
      return new (await import('keepfresh/file')).FileStore(dir)
    case 'redis':
      return new (await import('keepfresh/redis')).RedisStore({ url: server, namespace: name })
    case 'mongodb':
      return new (await import('keepfresh/mongodb')).MongoStore({ url: server, database: name.replaceAll('-', '_') })
    case 'dynamodb': {
      const { DynamoStore } = await import('keepfresh/dynamodb')
      const made = new DynamoStore({ table: name, clientOptions: dynamoOptions(server), createIfNotExists: true })
      await made.ready()
      return made
    }
    case 'memcached':
      return new (await import('keepfresh/memcached')).MemcachedStore({ servers: server, namespace: name })
    default:
      return new MemoryStore()
  }
}
