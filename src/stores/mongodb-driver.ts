/**
 * What we use of the package `mongodb`, as structural types: its own never get into our declarations. It is loaded when the first
 * client of ours is made.
 */
import { missingPeer } from './peer.ts'

/** A `MongoClient` of the package `mongodb`. */
export interface MongoClientLike {
  db(name?: string): object
  connect(): Promise<unknown>
  close(): Promise<void>
}

/** A document, as sent or received. */
export type Document = Readonly<Record<string, unknown>>

/** A condition, a change, options: plain data for the server. */
type Data = Readonly<Record<string, unknown>>

export interface Cursor {
  hasNext(): Promise<boolean>
  readBufferedDocuments(): Document[]
  close(): Promise<void>
}

export interface Collection {
  findOne(filter: Data, options?: Data): Promise<Document | null>
  find(filter: Data, options?: Data): Cursor
  countDocuments(filter: Data): Promise<number>
  insertOne(document: Data): Promise<unknown>
  updateOne(filter: Data, change: Data, options?: Data): Promise<{ matchedCount: number; upsertedCount: number }>
  updateMany(filter: Data, change: Data): Promise<unknown>
  deleteOne(filter: Data): Promise<{ deletedCount: number }>
  deleteMany(filter: Data): Promise<{ deletedCount: number }>
  findOneAndReplace(filter: Data, document: Data, options: Data): Promise<Document | null>
  findOneAndUpdate(filter: Data, change: Data, options: Data): Promise<Document | null>
  findOneAndDelete(filter: Data, options: Data): Promise<Document | null>
  createIndex(keys: Data, options: Data): Promise<unknown>
  dropIndex(name: string): Promise<unknown>
}

export interface Database {
  command(command: Data, options?: Data): Promise<Document>
  collection(name: string, options?: Data): Collection
}

/** What the store works on. */
export interface Collections {
  readonly database: Database
  readonly entries: Collection
  readonly chunks: Collection
  readonly locks: Collection
  /** Their names, in that order. */
  readonly names: readonly [string, string, string]
}

/** How documents become objects, whatever the client's own options say; what is damaged in them, checksums tell. */
const BSON = {
  promoteValues: true,
  promoteLongs: true,
  promoteBuffers: true,
  useBigInt64: false,
  bsonRegExp: false,
  raw: false,
  enableUtf8Validation: false,
  ignoreUndefined: true,
  serializeFunctions: false,
}

export function collectionsOf(
  client: MongoClientLike,
  { database: name, collection }: { readonly database: string; readonly collection: string },
): Collections {
  const database = client.db(name) as Database
  const names = [collection, `${collection}.chunks`, `${collection}.locks`] as const
  return {
    database,
    names,
    entries: database.collection(names[0], BSON),
    chunks: database.collection(names[1], BSON),
    // Leases are for the primary alone to say, however other reads are spread.
    locks: database.collection(names[2], { ...BSON, readPreference: 'primary' }),
  }
}

/** A client of ours; it connects when it is used. */
export interface OwnClient extends MongoClientLike {
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/** What a client is made of. */
interface ClientSettings {
  readonly url: string
  readonly clientOptions: object
  readonly connectTimeout: number
  readonly commandTimeout: number
}

/** @throws StateError ERR_MISSING_PEER; the driver's error where it does not take the URL or an option */
export async function makeClient(settings: ClientSettings): Promise<OwnClient> {
  const { url, clientOptions, connectTimeout, commandTimeout } = settings
  const Client = await load()
  const ours = {
    appName: 'keepfresh',
    serverSelectionTimeoutMS: connectTimeout,
    connectTimeoutMS: connectTimeout,
    socketTimeoutMS: commandTimeout,
    waitQueueTimeoutMS: commandTimeout,
  }
  // What the URL says is not to be overruled by our defaults.
  const said = new Set([...new URLSearchParams(url.split('?')[1] ?? '').keys()].map((name) => name.toLowerCase()))
  const left = Object.entries(ours).filter(([name]) => !said.has(name.toLowerCase()))
  const client = new Client(url, { ...Object.fromEntries(left), ...clientOptions })
  // What fails is reported by the command that meets it; an `error` event without a listener would end the process.
  client.on('error', () => undefined)
  return client
}

async function load(): Promise<new (url: string, options: object) => OwnClient> {
  try {
    return (await import('mongodb')).MongoClient
  } catch (cause) {
    throw missingPeer(cause, 'MongoStore needs the package `mongodb`: npm install mongodb.')
  }
}
