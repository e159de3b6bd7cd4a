/**
 * Stores by URL (feature S3): one line a backend; each is loaded when it is named. What is missing is told to whoever named it: a store
 * that fails later is none of the caller's affair, but one that was never there is (row 6).
 */
import { OptionError } from '../errors.ts'
import type { Store } from '../engine/ports.ts'
import { MemoryStore } from '../stores/memory.ts'
import { missingPeer } from '../stores/peer.ts'

type Opener = (rest: string) => Promise<Store>

const OPENERS: Readonly<Record<string, Opener>> = {
  memory: async () => new MemoryStore(),
  sqlite: async (rest) => {
    const { SqliteStore } = await import('../stores/sqlite.ts')
    return new SqliteStore(pathOf(rest))
  },
  file: async (rest) => {
    const { FileStore } = await import('../stores/file.ts')
    return new FileStore(pathOf(rest))
  },
  redis: async (rest) => redis(`redis:${rest}`),
  rediss: async (rest) => redis(`rediss:${rest}`),
  memcached: async (rest) => {
    const { MemcachedStore } = await import('../stores/memcached.ts')
    return new MemcachedStore(`memcached:${rest}`)
  },
  mongodb: async (rest) => mongodb(`mongodb:${rest}`),
  'mongodb+srv': async (rest) => mongodb(`mongodb+srv:${rest}`),
  dynamodb: async (rest) => {
    const { dynamoStoreFromUrl } = await import('../stores/dynamodb.ts')
    const store = dynamoStoreFromUrl(`dynamodb:${rest}`)
    try {
      await import('@aws-sdk/client-dynamodb')
    } catch (cause) {
      throw missing('dynamodb:', '@aws-sdk/client-dynamodb', cause)
    }
    return store
  },
}

/** StateError ERR_MISSING_PEER for a package that could not be imported. */
function missing(scheme: string, name: string, cause: unknown): unknown {
  const message = `store: a URL that begins with ${scheme} needs the package \`${name}\`: npm install ${name}.`
  return missingPeer(cause, message)
}

async function mongodb(url: string): Promise<Store> {
  try {
    await import('mongodb')
  } catch (cause) {
    throw missing('mongodb:', 'mongodb', cause)
  }
  const { MongoStore } = await import('../stores/mongodb.ts')
  return new MongoStore(url)
}

async function redis(url: string): Promise<Store> {
  try {
    await import('redis')
  } catch (cause) {
    throw missing('redis:', 'redis', cause)
  }
  const { RedisStore } = await import('../stores/redis.ts')
  return new RedisStore(url)
}

/** 'sqlite:a.db', 'sqlite:/tmp/a.db' and 'sqlite:///tmp/a.db' name files as one would expect. */
function pathOf(rest: string): string {
  return rest.replace(/^\/\/(?=[^/])/, '').replace(/^\/\/\//, '/')
}

/** Schemes that need something after the colon. */
const NAMED: ReadonlySet<string> = new Set(['sqlite', 'file', 'dynamodb'])

const FORMS =
  "'memory:', 'sqlite:path/to/file.db', 'file:path/to/folder', 'redis://host:6379', 'mongodb://host:27017/database', 'dynamodb:table' or 'memcached://host:11211'"

/** Opens the store a URL names; wrong ones are refused at once, before anything is loaded. @throws OptionError ERR_STORE_URL */
export function openerOf(url: string): () => Promise<Store> {
  const colon = url.indexOf(':')
  const scheme = url.slice(0, Math.max(0, colon))
  const opener = Object.hasOwn(OPENERS, scheme) ? OPENERS[scheme] : undefined
  const rest = url.slice(colon + 1)
  if (opener === undefined || (NAMED.has(scheme) && rest === '')) {
    throw new OptionError('ERR_STORE_URL', 'store', `store: '${url}' is not a store URL; give ${FORMS}`)
  }
  return () => opener(rest)
}
